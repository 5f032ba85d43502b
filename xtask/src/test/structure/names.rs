// SPDX-License-Identifier: GPL-2.0
//! Where a name leads: the modules of a crate as a tree, and paths followed through imports and re-exports.

use std::collections::BTreeMap;

use super::imports::Named;
use super::source::Source;
use super::ROOT;

/// How many imports a name may go through; a circle of globs would go on for ever.
const DEPTH: usize = 16;

/// The files of a crate.
pub struct Tree {
    pub sources: Vec<Source>,
    /// The file of each module.
    modules: BTreeMap<Vec<String>, usize>,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    /// The module of a file.
    Module(Vec<String>),
    /// An item that a file defines, or something within it.
    Item(usize),
}

impl Tree {
    pub fn new(sources: Vec<Source>) -> Self {
        let named = sources.iter().enumerate();
        let modules = named
            .map(|(index, source)| (source.module(ROOT), index))
            .collect();
        Self { sources, modules }
    }

    /// The file that has what a path in `from` names; [`None`] if that is not in this crate.
    pub fn file_of(&self, from: &Source, path: &Named) -> Option<usize> {
        match self.follow(&from.module(ROOT), &path.segments, DEPTH)? {
            Meaning::Module(module) => self.modules.get(&module).copied(),
            Meaning::Item(file) => Some(file),
        }
    }

    fn follow(&self, from: &[String], path: &[String], depth: usize) -> Option<Meaning> {
        let mut module = from.to_vec();
        let mut rest = path;
        while let Some((word, after)) = rest.split_first() {
            match word.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => drop(module.pop()?),
                _ => break,
            }
            rest = after;
        }
        // A name alone may be one of the prelude or of another crate; after a module it is in there, even if it
        // comes out of a macro and cannot be seen.
        let mut inside = rest.len() < path.len();
        let mut meaning = Meaning::Module(module);
        for word in rest {
            let Meaning::Module(module) = &meaning else {
                // A variant or an associated item: it is where its type is.
                break;
            };
            meaning = match self.look_up(module, word, depth) {
                Some(found) => found,
                None if inside => Meaning::Item(*self.modules.get(module)?),
                None => return None,
            };
            inside = true;
        }
        Some(meaning)
    }

    /// What a name is in a module.
    fn look_up(&self, module: &[String], name: &str, depth: usize) -> Option<Meaning> {
        let depth = depth.checked_sub(1)?;
        let mut child = module.to_vec();
        child.push(String::from(name));
        if self.modules.contains_key(&child) {
            return Some(Meaning::Module(child));
        }
        let file = *self.modules.get(module)?;
        let source = self.sources.get(file)?;
        if source.defined.contains(name) {
            return Some(Meaning::Item(file));
        }
        let named = source
            .imports
            .iter()
            .filter(|import| import.name.as_deref() == Some(name))
            .find_map(|import| self.follow(module, &import.path.segments, depth));
        let globs = || {
            source
                .imports
                .iter()
                .filter(|import| import.name.is_none())
                .find_map(|import| {
                    match self.follow(module, &import.path.segments, depth)? {
                        Meaning::Module(inside) => self.look_up(&inside, name, depth),
                        // The variants of an enum.
                        Meaning::Item(_) => None,
                    }
                })
        };
        named.or_else(globs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let parse = |(file, text): &(&str, &str)| Source::parse(file, text).unwrap();
        Tree::new(files.iter().map(parse).collect())
    }

    fn leads(tree: &Tree, from: usize, path: &str) -> Option<String> {
        let segments = path.split("::").map(String::from).collect();
        let file = tree.file_of(&tree.sources[from], &Named { segments, line: 1 })?;
        Some(tree.sources[file].file.clone())
    }

    #[test]
    fn paths_are_followed_through_reexports() {
        let tree = tree(&[
            ("blk_copy.rs", "mod chunk; mod job;"),
            (
                "chunk.rs",
                "mod raw; pub(crate) use raw::{Chunk, part as piece}; pub(crate) use self::hold::*; struct Here;",
            ),
            ("chunk/raw.rs", "pub(super) enum Chunk { A } fn part() {}"),
            ("chunk/hold.rs", "pub(crate) fn hold() {} use super::*;"),
            ("job.rs", "use super::chunk; use crate::chunk::Chunk; use kernel::sync::Arc;"),
        ]);
        let job = |path| leads(&tree, 4, path);
        assert_eq!(job("super::chunk").as_deref(), Some("chunk.rs"));
        assert_eq!(job("super::chunk::Here").as_deref(), Some("chunk.rs"));
        assert_eq!(job("chunk::Here").as_deref(), Some("chunk.rs"));
        assert_eq!(job("crate::chunk::Chunk").as_deref(), Some("chunk/raw.rs"));
        assert_eq!(job("Chunk::A").as_deref(), Some("chunk/raw.rs"));
        assert_eq!(job("chunk::piece").as_deref(), Some("chunk/raw.rs"));
        assert_eq!(job("chunk::hold").as_deref(), Some("chunk/hold.rs"));
        assert_eq!(job("kernel::sync::Arc"), None);
        assert_eq!(job("Arc::new"), None);
        assert_eq!(job("super::super::gone"), None);
        assert_eq!(job("super::chunk::made").as_deref(), Some("chunk.rs"));
        assert_eq!(job("chunk::made").as_deref(), Some("chunk.rs"));
        assert_eq!(leads(&tree, 2, "super::Here").as_deref(), Some("chunk.rs"));
    }
}
