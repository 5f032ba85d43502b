// SPDX-License-Identifier: GPL-2.0
//! Which file of a crate uses what of which other, and the circles in that.

use std::collections::btree_map::Entry;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use super::names::Tree;

/// Why there is an edge: the first line that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub line: usize,
    pub path: String,
}

/// Files by their numbers in the tree, and what each of them imports.
pub struct Graph<'a> {
    tree: &'a Tree,
    pub edges: BTreeMap<(usize, usize), Cause>,
}

impl<'a> Graph<'a> {
    pub fn new(tree: &'a Tree) -> Self {
        let mut edges = BTreeMap::new();
        for (from, source) in tree.sources.iter().enumerate() {
            let imports = source.imports.iter().map(|import| &import.path);
            for named in imports.chain(&source.paths) {
                let Some(to) = tree.file_of(source, named).filter(|to| *to != from) else {
                    continue;
                };
                let cause = Cause {
                    line: named.line,
                    path: named.segments.join("::"),
                };
                match edges.entry((from, to)) {
                    Entry::Vacant(place) => drop(place.insert(cause)),
                    Entry::Occupied(mut there) => {
                        if cause.line < there.get().line {
                            there.insert(cause);
                        }
                    }
                }
            }
        }
        Self { tree, edges }
    }

    /// An edge in words: `chunk/raw.rs:5 imports job.rs (super::super::job::Job)`.
    pub fn describe(&self, from: usize, to: usize) -> String {
        let name = |file: usize| {
            let source = self.tree.sources.get(file);
            source.map_or("?", |source| source.file.as_str())
        };
        match self.edges.get(&(from, to)) {
            Some(Cause { line, path }) => {
                format!("{}:{line} imports {} ({path})", name(from), name(to))
            }
            None => format!("{} imports {}", name(from), name(to)),
        }
    }

    /// The shortest circle through each file that is in one and in none that was named before.
    pub fn circles(&self) -> Vec<String> {
        let mut named = BTreeSet::new();
        let mut circles = Vec::new();
        for start in 0..self.tree.sources.len() {
            if named.contains(&start) {
                continue;
            }
            if let Some(circle) = self.circle(start) {
                named.extend(circle.iter().copied());
                let next = circle.iter().cycle().skip(1);
                let edges = circle.iter().zip(next);
                let lines: Vec<String> = edges
                    .map(|(from, to)| format!("  {}", self.describe(*from, *to)))
                    .collect();
                circles.push(format!(
                    "a circle of {} files:\n{}",
                    lines.len(),
                    lines.join("\n")
                ));
            }
        }
        circles
    }

    /// The shortest way from a file back to it.
    fn circle(&self, start: usize) -> Option<Vec<usize>> {
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(file) = queue.pop_front() {
            for to in self.imported_by(file) {
                if to == start {
                    let mut circle = vec![file];
                    while let Some(previous) = circle.last().and_then(|last| before.get(last)) {
                        circle.push(*previous);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                if let Entry::Vacant(place) = before.entry(to) {
                    place.insert(file);
                    queue.push_back(to);
                }
            }
        }
        None
    }

    fn imported_by(&self, file: usize) -> impl Iterator<Item = usize> + '_ {
        let edges = self.edges.range((file, 0)..=(file, usize::MAX));
        edges.map(|((_, to), _)| *to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let parse = |(file, text): &(&str, &str)| Source::parse(file, text).unwrap();
        let tree = Tree::new(files.iter().map(parse).collect());
        Graph::new(&tree).circles()
    }

    #[test]
    fn a_circle_is_named() {
        let found = circles(&[
            ("a.rs", "use super::b::B; pub struct A;"),
            ("b.rs", "pub struct B;\nfn f() { super::c::f() }"),
            ("c.rs", "pub fn f() {}\n\nuse super::{b, a::A};"),
            ("d.rs", "use super::a::A;"),
        ]);
        // c.rs needs both: the shorter circle is found from b.rs, the longer from a.rs.
        assert_eq!(
            found,
            [
                "a circle of 3 files:\n  a.rs:1 imports b.rs (super::b::B)\n  b.rs:2 imports c.rs \
              (super::c::f)\n  c.rs:3 imports a.rs (super::a::A)"
            ]
        );
    }

    #[test]
    fn a_parent_may_show_what_its_children_have() {
        let siblings = [
            ("chunk.rs", "mod a; mod b; pub(crate) use a::A;"),
            ("chunk/a.rs", "pub(crate) struct A;"),
            ("chunk/b.rs", "use super::A; use super::a;"),
        ];
        assert!(circles(&siblings).is_empty());
        let parent = [
            (
                "chunk.rs",
                "mod a; pub(crate) use a::A; pub(crate) struct Chunk;",
            ),
            (
                "chunk/a.rs",
                "use super::Chunk; pub(crate) struct A(Chunk);",
            ),
        ];
        let found = circles(&parent);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("chunk/a.rs:1 imports chunk.rs (super::Chunk)"));
    }

    #[test]
    fn several_circles_are_all_named() {
        let found = circles(&[
            ("a.rs", "use super::b;"),
            ("b.rs", "use super::a;"),
            ("c.rs", "use crate::d;"),
            ("d.rs", "use crate::c;"),
            ("e.rs", "#[cfg(test)] mod tests { use super::super::f; }"),
            ("f.rs", "use super::e;"),
        ]);
        assert_eq!(found.len(), 2);
    }
}
