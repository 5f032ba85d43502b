// SPDX-License-Identifier: GPL-2.0
//! What a file imports: `use` with its braces taken apart.

use std::collections::BTreeMap;

use proc_macro2::Span;
use quote::ToTokens;
use syn::visit;
use syn::visit::Visit;
use syn::ItemUse;
use syn::UseTree;

/// A path as it stands in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Something that is imported: a path, and the name by which it is known from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub path: Named,
    /// [`None`]: everything that is in it.
    pub name: Option<String>,
}

/// Collects imports.
#[derive(Default)]
pub struct Uses {
    pub imports: Vec<Import>,
    /// The lines on which they stand, by the first one.
    pub lines: BTreeMap<(usize, usize), (usize, usize)>,
}

impl<'ast> Visit<'ast> for Uses {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let start = item.use_token.span.start();
        let end = item.semi_token.span.end();
        self.lines
            .insert((start.line, start.column), (end.line, end.column));
        self.tree(&item.tree, &mut Vec::new());
        visit::visit_item_use(self, item);
    }
}

impl Uses {
    fn tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = before.last().cloned();
                self.add(before.clone(), name, name_span(tree));
            }
            UseTree::Name(name) => {
                let mut segments = before.clone();
                segments.push(name.ident.to_string());
                self.add(segments, Some(name.ident.to_string()), name.ident.span());
            }
            UseTree::Rename(rename) => {
                let mut segments = before.clone();
                if rename.ident != "self" {
                    segments.push(rename.ident.to_string());
                }
                let name = Some(rename.rename.to_string());
                self.add(segments, name, rename.ident.span());
            }
            UseTree::Glob(glob) => self.add(before.clone(), None, glob.star_token.spans[0]),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(tree, before)),
        }
    }

    fn add(&mut self, segments: Vec<String>, name: Option<String>, span: Span) {
        let line = span.start().line;
        self.imports.push(Import {
            path: Named { segments, line },
            name,
        });
    }
}

fn name_span(tree: &UseTree) -> Span {
    tree.to_token_stream()
        .into_iter()
        .next()
        .map_or_else(Span::call_site, |token| token.span())
}
