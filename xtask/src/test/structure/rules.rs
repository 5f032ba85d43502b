// SPDX-License-Identifier: GPL-2.0
//! The rules of the engine's structure, as data, and what breaks them.

use super::graph::Graph;
use super::names::Tree;
use super::source::Source;
use super::ROOT;

/// A group of files that may use those below it and each other.
struct Wing {
    /// Modules at the root of the crate; those within them belong to the wing as well.
    modules: &'static [&'static str],
    /// Whether they take and return plain values only, so that they compile on the host.
    pure: bool,
}

/// The wings, lowest first.
const WINGS: [Wing; 6] = [
    Wing {
        modules: &["plan", "limits", "verdict"],
        pure: true,
    },
    Wing {
        modules: &["trace", "stats", "request"],
        pure: false,
    },
    Wing {
        modules: &["chunk"],
        pure: false,
    },
    Wing {
        modules: &["job"],
        pure: false,
    },
    Wing {
        modules: &["file", "uring"],
        pure: false,
    },
    Wing {
        modules: &["ffi"],
        pure: false,
    },
];

/// What pure files may use that is not in the crate.
const PURE: [&[&str]; 2] = [&["core"], &["kernel", "block", "units"]];

/// A file, or all in a folder if the name ends in a slash, and why it is an exception.
type Exception = (&'static str, &'static str);

/// Where `bindings` may stand.
const BINDINGS: [Exception; 2] = [("ffi.rs", "C calls it"), ("ffi/", "C calls it")];

/// Where `unsafe` may stand: files that read out or act, and decide nothing.
const UNSAFE: [Exception; 10] = [
    ("ffi.rs", "C calls it"),
    ("ffi/", "C calls it"),
    ("chunk/memory.rs", "the one allocation of a chunk"),
    ("chunk/raw.rs", "the raw pointers of a chunk"),
    ("chunk/submit.rs", "how the bios of a chunk begin and end"),
    ("job/handle.rs", "a copy that outlives its caller"),
    ("job/link.rs", "what is sent to devices that stay open"),
    (
        "job/run.rs",
        "what is on the stack of a copy that is waited for",
    ),
    ("job/tracker.rs", "who is woken: a function and a pointer"),
    (
        "uring/ask.rs",
        "a copy that outlives the call that asks for it",
    ),
];

/// The most code that the engine may be: lines without comments, imports and tests. This is what it
/// has today, rounded up: it may shrink, and grows only if somebody changes this line.
const MAX_LINES: usize = 3506;

/// The most of these lines that may mention `unsafe`.
const MAX_UNSAFE: usize = 78;

/// The number of a file's wing, and whether it is pure; the root is above all.
fn wing_of(source: &Source) -> Option<(usize, bool)> {
    let module = source.module(ROOT);
    let Some(first) = module.first() else {
        return Some((WINGS.len(), false));
    };
    let number = WINGS
        .iter()
        .position(|wing| wing.modules.contains(&first.as_str()))?;
    Some((number, WINGS.get(number)?.pure))
}

fn is_listed(source: &Source, list: &[Exception]) -> bool {
    list.iter().any(|(name, _)| {
        source.file == *name || name.ends_with('/') && source.file.starts_with(name)
    })
}

/// Files without a wing, and imports from a wing of one above it.
pub fn order(tree: &Tree, graph: &Graph<'_>) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        if wing_of(source).is_none() {
            complaints.push(format!("{} is in no wing of the table", source.file));
        }
    }
    let wing = |file: usize| tree.sources.get(file).and_then(wing_of);
    for (from, to) in graph.edges.keys() {
        if let (Some((lower, _)), Some((upper, _))) = (wing(*from), wing(*to)) {
            if lower < upper {
                complaints.push(format!("{}, which is above it", graph.describe(*from, *to)));
            }
        }
    }
    complaints
}

/// What pure files use of the kernel.
pub fn purity(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        if !wing_of(source).is_some_and(|(_, pure)| pure) {
            continue;
        }
        let imports = source.imports.iter().map(|import| &import.path);
        let foreign = source.paths.iter().filter(|path| {
            let first = path.segments.first().map(String::as_str);
            matches!(first, Some("kernel" | "bindings" | "alloc" | "std"))
        });
        for named in imports.chain(foreign) {
            let is_pure = PURE.iter().any(|pure| {
                let start = named.segments.iter().take(pure.len());
                start.eq(pure.iter())
            });
            if !is_pure && tree.file_of(source, named).is_none() {
                complaints.push(format!(
                    "{}:{} uses {}",
                    source.file,
                    named.line,
                    named.segments.join("::")
                ));
            }
        }
    }
    complaints
}

/// Lines with `bindings` where they may not stand.
pub fn bindings(tree: &Tree) -> Vec<String> {
    places(tree, &BINDINGS, |source| source.bindings.iter())
}

/// Lines with `unsafe` where they may not stand.
pub fn unsafety(tree: &Tree) -> Vec<String> {
    places(tree, &UNSAFE, |source| source.unsafe_lines.iter())
}

fn places<'a, I: Iterator<Item = &'a usize>>(
    tree: &'a Tree,
    allowed: &[Exception],
    lines: impl Fn(&'a Source) -> I,
) -> Vec<String> {
    let others = tree
        .sources
        .iter()
        .filter(|source| !is_listed(source, allowed));
    let found = others.filter_map(|source| {
        let lines: Vec<String> = lines(source).map(ToString::to_string).collect();
        let text = format!("{}: line {}", source.file, lines.join(", "));
        (!lines.is_empty()).then_some(text)
    });
    found.collect()
}

/// How much code there is, in words, and whether it is too much.
pub fn size(tree: &Tree) -> (String, Vec<String>) {
    judge_size(
        tree.sources.iter().map(|source| source.code.len()).sum(),
        tree.sources
            .iter()
            .map(|source| source.unsafe_lines.len())
            .sum(),
    )
}

fn judge_size(lines: usize, unsafe_lines: usize) -> (String, Vec<String>) {
    let said = format!(
        "the engine has {lines} lines of code (of at most {MAX_LINES}), and {unsafe_lines} (of at \
         most {MAX_UNSAFE}) mention unsafe"
    );
    let mut complaints = Vec::new();
    if lines > MAX_LINES {
        complaints.push(format!("{} lines too many", lines - MAX_LINES));
    }
    if unsafe_lines > MAX_UNSAFE {
        complaints.push(format!(
            "{} too many that mention unsafe",
            unsafe_lines - MAX_UNSAFE
        ));
    }
    (said, complaints)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let parse = |(file, text): &(&str, &str)| Source::parse(file, text).unwrap();
        Tree::new(files.iter().map(parse).collect())
    }

    const GOOD: [(&str, &str); 8] = [
        (ROOT, "mod chunk; mod ffi; mod job; mod limits; mod plan;"),
        ("limits.rs", "use kernel::block::units::{Sector, Sectors};"),
        ("trace.rs", "use kernel::prelude::*;"),
        (
            "plan.rs",
            "mod range; use super::limits; use core::ops::Range; use range::*;",
        ),
        (
            "plan/range.rs",
            "pub(crate) fn range() {} use super::super::limits::MAX;",
        ),
        (
            "chunk.rs",
            "mod raw; use kernel::prelude::*; use super::{plan::Plan, trace};",
        ),
        ("chunk/raw.rs", "fn f() { unsafe { g() } }"),
        ("ffi.rs", "use super::{chunk, plan}; unsafe fn f() {}"),
    ];

    fn complaints(tree: &Tree) -> Vec<String> {
        let graph = Graph::new(tree);
        [
            order(tree, &graph),
            purity(tree),
            bindings(tree),
            unsafety(tree),
        ]
        .concat()
    }

    /// What one more file makes wrong.
    fn wrong(file: &str, text: &str) -> Vec<String> {
        let mut files = GOOD.to_vec();
        files.retain(|(name, _)| *name != file);
        files.push((file, text));
        complaints(&tree(&files))
    }

    #[test]
    fn a_good_tree_has_no_complaints() {
        assert_eq!(complaints(&tree(&GOOD)), [""; 0]);
    }

    #[test]
    fn arrows_go_down() {
        assert_eq!(
            wrong("job.rs", "use super::{chunk, ffi};"),
            ["job.rs:1 imports ffi.rs (super::ffi), which is above it"]
        );
        assert_eq!(
            wrong("chunk/hold.rs", "\nfn f() { crate::ffi::done() }"),
            ["chunk/hold.rs:2 imports ffi.rs (crate::ffi::done), which is above it"]
        );
        assert!(wrong("chunk/hold.rs", "use super::super::trace;").is_empty());
        assert_eq!(
            wrong("batch.rs", ""),
            ["batch.rs is in no wing of the table"]
        );
        let root = "pub(crate) struct Engine;";
        let mut files = GOOD.to_vec();
        files[0].1 = root;
        files.push(("trace.rs", "use super::Engine;"));
        assert_eq!(
            complaints(&tree(&files)),
            ["trace.rs:1 imports blk_copy.rs (super::Engine), which is above it"]
        );
    }

    #[test]
    fn pure_files_use_plain_values() {
        assert_eq!(
            wrong(
                "plan/cut.rs",
                "use kernel::{block::units::Sector, prelude::*};"
            ),
            ["plan/cut.rs:1 uses kernel::prelude"]
        );
        assert_eq!(
            wrong(
                "verdict.rs",
                "fn f() { kernel::warn_on!(true); core::mem::swap() }"
            ),
            ["verdict.rs:1 uses kernel::warn_on"]
        );
        let tests =
            "#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))] mod tests { use kernel::prelude::*; }";
        assert!(wrong("verdict.rs", tests).is_empty());
        assert_eq!(wrong("limits.rs", "use super::chunk;").len(), 1);
    }

    #[test]
    fn exceptions_are_listed() {
        assert_eq!(
            wrong(
                "chunk/hold.rs",
                "use kernel::bindings;\n\nunsafe impl Send for S {}"
            ),
            ["chunk/hold.rs: line 1", "chunk/hold.rs: line 3"]
        );
        assert!(wrong("ffi/bios.rs", "use kernel::bindings; unsafe fn f() {}").is_empty());
        assert_eq!(wrong("ffix.rs", "use kernel::bindings;").len(), 2);
        for (name, why) in BINDINGS.iter().chain(&UNSAFE) {
            assert!(!why.is_empty(), "{name}");
        }
    }

    #[test]
    fn there_is_a_most() {
        let (said, complaints) = judge_size(MAX_LINES, MAX_UNSAFE);
        assert!(
            said.contains(&format!("{MAX_LINES} lines of code"))
                && said.contains(&format!("and {MAX_UNSAFE} ")),
            "{said}"
        );
        assert!(complaints.is_empty());
        assert_eq!(
            judge_size(MAX_LINES + 1, MAX_UNSAFE + 2).1,
            ["1 lines too many", "2 too many that mention unsafe"]
        );
        let counted = size(&tree(&GOOD)).0;
        assert!(
            counted.contains("has 6 lines") && counted.contains("and 2 "),
            "{counted}"
        );
    }
}
