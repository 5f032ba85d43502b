// SPDX-License-Identifier: GPL-2.0

use super::super::lay;
use super::super::Entry;
use super::super::Series;
use super::*;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = Self { dir };
        fixture.write("linux-7.3.4/block/bio.c", "one\ntwo\n");
        fixture.write("linux-7.3.4/block/Kconfig", "menu\n");
        fixture.write(
            "repo/block/hook.patch",
            "--- a/block/bio.c\n+++ b/block/bio.c\n@@ -1,2 +1,2 @@\n-one\n+1\n two\n",
        );
        fixture.write("repo/block/copy/lib.rs", "// rust\n");
        fixture
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        write_atomically(&self.path(path), text.as_bytes()).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path("linux-7.3.4").join(path)).unwrap()
    }

    fn lay(&self, series: &Series) -> Result<Laid> {
        lay(&self.path("repo"), series, &self.path("linux-7.3.4"))
    }
}

fn series(hooks: &[&str], files: &[&str]) -> Series {
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
    let entry = Entry {
        series: String::from("block"),
        subject: String::from("block: test"),
        message: String::new(),
        hooks: paths(hooks),
        files: paths(files),
    };
    Series {
        patches: vec![entry],
        ..Series::default()
    }
}

#[test]
fn a_second_run_writes_nothing() {
    let fixture = Fixture::new();
    let work = series(&["block/hook.patch"], &["block/copy/"]);
    assert_eq!(fixture.lay(&work).unwrap().changed, 2);
    assert_eq!(fixture.read("block/bio.c"), "1\ntwo\n");
    let again = fixture.lay(&work).unwrap();
    assert_eq!((again.changed, again.files.len()), (0, 2));
}

#[test]
fn an_edit_writes_one_file() {
    let fixture = Fixture::new();
    let work = series(&["block/hook.patch"], &["block/copy/"]);
    let before = fixture.lay(&work).unwrap();
    fixture.write("repo/block/copy/lib.rs", "// more rust\n");
    let after = fixture.lay(&work).unwrap();
    assert_eq!(after.changed, 1);
    assert_ne!(before.identity, after.identity);
    assert_eq!(before.kconfig_identity, after.kconfig_identity);
}

#[test]
fn an_empty_series_restores_the_kernel() {
    let fixture = Fixture::new();
    fixture
        .lay(&series(&["block/hook.patch"], &["block/copy/"]))
        .unwrap();
    assert_eq!(fixture.lay(&Series::default()).unwrap().changed, 2);
    assert_eq!(fixture.read("block/bio.c"), "one\ntwo\n");
    assert!(!fixture.path("linux-7.3.4/block/copy").exists());
}

#[test]
fn what_an_interrupted_run_has_left_is_no_edit() {
    let fixture = Fixture::new();
    let tree = fixture.path("linux-7.3.4");
    let work = series(&["block/hook.patch"], &["block/copy/"]);
    fixture.lay(&work).unwrap();
    let old = read_manifest(&tree).unwrap();
    fixture.write("repo/block/copy/lib.rs", "// more rust\n");
    fixture.lay(&work).unwrap();
    let mut manifest = read_manifest(&tree).unwrap();
    let path = Path::new("block/copy/lib.rs");
    let before = old[path].sha256.clone();
    manifest.get_mut(path).unwrap().before.push(before);
    write_manifest(&tree, &manifest).unwrap();
    fixture.write("linux-7.3.4/block/copy/lib.rs", "// rust\n");
    assert!(edited(&tree).unwrap().is_empty());
    assert_eq!(fixture.lay(&work).unwrap().changed, 1);
    fixture.write("linux-7.3.4/block/copy/lib.rs", "// rust\n");
    assert_eq!(edited(&tree).unwrap(), [path]);
}

#[test]
fn a_hunk_that_does_not_apply_leaves_the_tree_alone() {
    let fixture = Fixture::new();
    fixture.lay(&series(&["block/hook.patch"], &[])).unwrap();
    fixture.write(
        "repo/block/hook.patch",
        "--- a/block/bio.c\n+++ b/block/bio.c\n@@ -1,2 +1,2 @@\n-zero\n+1\n two\n",
    );
    fixture.write("repo/block/copy/lib.rs", "// new\n");
    let error = fixture
        .lay(&series(&["block/hook.patch"], &["block/copy/"]))
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("block/hook.patch") && text.contains("block/bio.c"),
        "{text}"
    );
    assert_eq!(fixture.read("block/bio.c"), "1\ntwo\n");
    assert!(!fixture.path("linux-7.3.4/block/copy").exists());
}

#[test]
fn pristine_files_are_read_through_the_copies() {
    let fixture = Fixture::new();
    let tree = fixture.path("linux-7.3.4");
    fixture
        .lay(&series(&["block/hook.patch"], &["block/copy/"]))
        .unwrap();
    let read = |path: &str| pristine(&tree, Path::new(path)).unwrap();
    assert_eq!(read("block/bio.c").as_deref(), Some(&b"one\ntwo\n"[..]));
    assert_eq!(read("block/copy/lib.rs"), None);
    assert_eq!(read("block/Kconfig").as_deref(), Some(&b"menu\n"[..]));
}
