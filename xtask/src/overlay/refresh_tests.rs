// SPDX-License-Identifier: GPL-2.0

use super::super::lay;
use super::super::Entry;
use super::*;

const TREE: &str = "linux-7.3.4";

/// A repository and a tree: two hooks change one file, and a file of ours stands beside it.
struct Fixture {
    dir: tempfile::TempDir,
    series: Series,
}

const PRISTINE: &str = "int a;\nint b;\nint c;\nint d;\nint e;\nint f;\nint g;\nint h;\n";

const FIRST: &str = "\
diff --git a/block/bio.c b/block/bio.c
--- a/block/bio.c
+++ b/block/bio.c
@@ -1,4 +1,5 @@
 int a;
+int first;
 int b;
 int c;
 int d;
diff --git a/block/other.c b/block/other.c
--- a/block/other.c
+++ b/block/other.c
@@ -1 +1,2 @@
 int o;
+int p;
";

const SECOND: &str = "\
diff --git a/block/bio.c b/block/bio.c
--- a/block/bio.c
+++ b/block/bio.c
@@ -6,4 +6,5 @@ int c;
 int e;
 int f;
 int g;
+int second;
 int h;
";

impl Fixture {
    fn new() -> Self {
        let patch = |hook: &str, files: &[&str]| Entry {
            series: String::from("block"),
            subject: format!("block: {hook}"),
            message: String::new(),
            hooks: vec![PathBuf::from(hook)],
            files: files.iter().map(PathBuf::from).collect(),
        };
        let fixture = Self {
            dir: tempfile::tempdir().unwrap(),
            series: Series {
                patches: vec![
                    patch("block/first.patch", &["block/copy/lib.rs"]),
                    patch("block/second.patch", &[]),
                ],
                ..Series::default()
            },
        };
        fixture.edit("block/bio.c", PRISTINE);
        fixture.edit("block/other.c", "int o;\n");
        fixture.store("block/first.patch", FIRST);
        fixture.store("block/second.patch", SECOND);
        fixture.store("block/copy/lib.rs", "// one\n// two\n// three\n// four\n");
        fixture.lay().unwrap();
        fixture
    }

    fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join(TREE)
    }

    fn edit(&self, path: &str, text: &str) {
        write_atomically(&self.tree().join(path), text.as_bytes()).unwrap();
    }

    fn replace(&self, path: &str, old: &str, new: &str) {
        let text = self.laid(path);
        assert!(text.contains(old));
        self.edit(path, &text.replace(old, new));
    }

    fn store(&self, path: &str, text: &str) {
        write_atomically(&self.repo().join(path), text.as_bytes()).unwrap();
    }

    fn stored(&self, path: &str) -> String {
        fs::read_to_string(self.repo().join(path)).unwrap()
    }

    fn laid(&self, path: &str) -> String {
        fs::read_to_string(self.tree().join(path)).unwrap()
    }

    fn lay(&self) -> Result<usize> {
        lay(&self.repo(), &self.series, &self.tree()).map(|laid| laid.changed)
    }

    fn refresh(&self) -> Result<Vec<String>> {
        let refreshed = refresh(&self.repo(), &self.series, &self.tree())?;
        let names = refreshed.keys();
        Ok(names.map(|path| path.display().to_string()).collect())
    }
}

#[test]
fn an_edit_is_not_lost() {
    let fixture = Fixture::new();
    fixture.replace("block/bio.c", "int c;", "int changed;");
    let error = format!("{:#}", fixture.lay().unwrap_err());
    assert!(
        error.contains("block/bio.c") && error.contains("./x refresh"),
        "{error}"
    );
    assert!(fixture.laid("block/bio.c").contains("int changed;"));

    // What the message says drops it.
    let git = Git::at(&fixture.tree(), Author::nobody()).unwrap();
    let diff = git.run(&["diff"]).unwrap();
    assert!(diff.contains("-int c;\n+int changed;\n"), "{diff}");
    assert_eq!(git.run(&["status", "--short"]).unwrap(), " M block/bio.c\n");
    git.run(&["checkout", "-q", "block/bio.c"]).unwrap();
    assert_eq!(fixture.lay().unwrap(), 0);
}

#[test]
fn nothing_edited_is_nothing_to_do() {
    let fixture = Fixture::new();
    assert!(fixture.refresh().unwrap().is_empty());
    // A file that is gone is laid again.
    fs::remove_file(fixture.tree().join("block/copy/lib.rs")).unwrap();
    assert!(fixture.refresh().unwrap().is_empty());
    assert_eq!(fixture.lay().unwrap(), 0);
    assert!(fixture.laid("block/copy/lib.rs").contains("// one"));
}

#[test]
fn our_files_are_copied() {
    let fixture = Fixture::new();
    fixture.replace("block/copy/lib.rs", "two", "2");
    assert_eq!(fixture.refresh().unwrap(), ["block/copy/lib.rs"]);
    assert_eq!(
        fixture.stored("block/copy/lib.rs"),
        fixture.laid("block/copy/lib.rs")
    );
    assert_eq!(fixture.lay().unwrap(), 0);
}

#[test]
fn a_change_goes_to_the_hook_that_has_its_lines() {
    for (old, new, hook) in [
        ("int first;", "int first, more;", "block/first.patch"),
        ("int second;", "int second, more;", "block/second.patch"),
        ("int second;\n", "", "block/second.patch"),
        // It touches nothing of either.
        ("int d;\n", "int d;\nint more;\n", "block/second.patch"),
    ] {
        let fixture = Fixture::new();
        let before = fixture.laid("block/bio.c");
        fixture.replace("block/bio.c", old, new);
        let edited = fixture.laid("block/bio.c");
        let removed = new.is_empty();
        let refreshed = fixture.refresh();
        if removed {
            // The hook would be empty.
            assert!(format!("{:#}", refreshed.unwrap_err()).contains("series.toml"));
            assert_eq!(fixture.stored(hook), SECOND);
            continue;
        }
        refreshed.unwrap();
        assert!(fixture.stored(hook).contains("more;"), "{old}");
        assert_ne!(before, edited);
        assert_eq!(fixture.laid("block/bio.c"), edited);
        // From nothing, the hooks lead to the same.
        fs::remove_file(fixture.tree().join("block/bio.c")).unwrap();
        fixture.lay().unwrap();
        assert_eq!(fixture.laid("block/bio.c"), edited);
    }
}

#[test]
fn several_edits_go_to_several_places() {
    let fixture = Fixture::new();
    fixture.replace("block/bio.c", "int first;", "int first;\nint one;");
    fixture.replace("block/bio.c", "int second;", "int second;\nint two;");
    fixture.replace("block/other.c", "int p;", "int q;");
    let edited = fixture.laid("block/bio.c");
    assert_eq!(
        fixture.refresh().unwrap(),
        ["block/first.patch", "block/second.patch"]
    );
    let first = fixture.stored("block/first.patch");
    assert!(
        first.contains("+int one;") && first.contains("+int q;"),
        "{first}"
    );
    assert!(!first.contains("two"), "{first}");
    let second = fixture.stored("block/second.patch");
    assert!(
        second.contains("+int two;") && !second.contains("one"),
        "{second}"
    );
    assert_eq!(fixture.laid("block/bio.c"), edited);
    assert_eq!(fixture.lay().unwrap(), 0);
}

#[test]
fn hooks_are_written_as_git_does() {
    let fixture = Fixture::new();
    fixture.replace("block/bio.c", "int first;", "int once;");
    fixture.refresh().unwrap();
    assert_eq!(
        fixture.stored("block/first.patch"),
        FIRST.replace("int first;", "int once;")
    );
}

#[test]
fn both_sides_may_change() {
    let fixture = Fixture::new();
    fixture.replace("block/copy/lib.rs", "one", "1");
    fixture.store("block/copy/lib.rs", "// one\n// two\n// three\n// 4\n");
    assert!(fixture.lay().is_err());
    fixture.refresh().unwrap();
    let merged = "// 1\n// two\n// three\n// 4\n";
    assert_eq!(fixture.stored("block/copy/lib.rs"), merged);
    assert_eq!(fixture.laid("block/copy/lib.rs"), merged);

    fixture.replace("block/copy/lib.rs", "// 1", "// I");
    fixture.store("block/copy/lib.rs", &merged.replace("// 1", "// i"));
    let error = format!("{:#}", fixture.refresh().unwrap_err());
    assert!(error.contains("by hand"), "{error}");
    assert!(fixture.stored("block/copy/lib.rs").contains("// i"));
    assert!(fixture.laid("block/copy/lib.rs").contains("// I"));
}

#[test]
fn what_is_in_the_repository_already_is_no_edit() {
    let fixture = Fixture::new();
    fixture.replace("block/copy/lib.rs", "two", "2");
    fixture.store("block/copy/lib.rs", &fixture.laid("block/copy/lib.rs"));
    assert_eq!(fixture.lay().unwrap(), 0);
    assert!(tree::edited(&fixture.tree()).unwrap().is_empty());
}

#[test]
fn the_repository_of_a_tree_may_move_with_it() {
    let fixture = Fixture::new();
    let moved = fixture.dir.path().join("moved");
    fs::create_dir(&moved).unwrap();
    for folder in [TREE, "linux-7.3.4.pristine"] {
        fs::rename(fixture.dir.path().join(folder), moved.join(folder)).unwrap();
    }
    fixture.store("block/copy/lib.rs", "// new\n");
    let tree = moved.join(TREE);
    assert_eq!(
        lay(&fixture.repo(), &fixture.series, &tree)
            .unwrap()
            .changed,
        1
    );
    let git = Git::at(&tree, Author::nobody()).unwrap();
    assert_eq!(git.run(&["status", "--short"]).unwrap(), "");
}
