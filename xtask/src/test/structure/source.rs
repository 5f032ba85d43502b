// SPDX-License-Identifier: GPL-2.0
//! What a file of Rust says: its imports, the paths that it names, what it defines, and which lines are code. Modules
//! with tests do not count.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Result;
use proc_macro2::Delimiter;
use proc_macro2::Span;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use quote::ToTokens;
use syn::visit::Visit;
use syn::Attribute;
use syn::ImplItem;
use syn::Item;
use syn::ItemMod;

use super::imports::Import;
use super::imports::Named;
use super::imports::Uses;

/// A file.
#[derive(Debug, Default)]
pub struct Source {
    /// Its name, from the engine's folder on.
    pub file: String,
    /// All imports, also those within functions.
    pub imports: Vec<Import>,
    /// Paths of more than one segment outside of imports.
    pub paths: Vec<Named>,
    /// Names of the items that it defines.
    pub defined: BTreeSet<String>,
    /// Modules with tests that are files of their own.
    pub tests: BTreeSet<String>,
    /// Lines that are code: no comments and no imports.
    pub code: BTreeSet<usize>,
    /// Lines that mention `unsafe`.
    pub unsafe_lines: BTreeSet<usize>,
    /// Lines that mention `bindings`, imports included.
    pub bindings: BTreeSet<usize>,
}

impl Source {
    /// Reads a file.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let mut source = Self {
            file: String::from(file),
            ..Self::default()
        };
        for item in syn::parse_file(text)?.items {
            source.item(&item);
        }
        Ok(source)
    }

    /// The path of the module that the file is: `chunk/raw.rs` is `chunk::raw`.
    pub fn module(&self, root: &str) -> Vec<String> {
        if self.file == root {
            return Vec::new();
        }
        let stem = self.file.strip_suffix(".rs").unwrap_or(&self.file);
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        stem.split('/').map(String::from).collect()
    }

    fn item(&mut self, item: &Item) {
        if is_test(attributes(item)) {
            if let Item::Mod(ItemMod { ident, content, .. }) = item {
                let file = content.is_none().then(|| ident.to_string());
                self.tests.extend(file);
            }
            return;
        }
        if let Some(name) = name_of(item) {
            self.defined.insert(name);
        }
        match item {
            // A file of its own, found by its name.
            Item::Mod(ItemMod { content: None, .. }) => self.body(item),
            Item::Mod(ItemMod {
                content: Some((_, items)),
                ..
            }) => self.inner(items),
            Item::Impl(whole) => {
                let mut whole = whole.clone();
                whole.items.retain(|item| !is_test(impl_attributes(item)));
                self.body(&Item::Impl(whole));
            }
            other => self.body(other),
        }
    }

    /// A module within the file counts as the file.
    fn inner(&mut self, items: &[Item]) {
        let (imports, paths) = (self.imports.len(), self.paths.len());
        items.iter().for_each(|item| self.item(item));
        let imports = self.imports.iter_mut().skip(imports);
        let paths = self.paths.iter_mut().skip(paths);
        for named in imports.map(|import| &mut import.path).chain(paths) {
            if named.segments.first().is_some_and(|word| word == "super") {
                named.segments.remove(0);
            }
        }
    }

    /// What has no modules in it.
    fn body(&mut self, item: &Item) {
        let mut uses = Uses::default();
        uses.visit_item(item);
        self.imports.extend(uses.imports);
        let mut tokens = Tokens {
            source: self,
            imports: uses.lines,
        };
        tokens.walk(item.to_token_stream());
    }
}

/// Looks at each token of an item.
struct Tokens<'a> {
    source: &'a mut Source,
    /// Where imports begin and end.
    imports: BTreeMap<(usize, usize), (usize, usize)>,
}

impl Tokens<'_> {
    fn walk(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        // `pub(in path)` says who may import, and imports nothing.
        let visibility = matches!(tokens.first(), Some(TokenTree::Ident(word)) if word == "in");
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Punct(mark) if mark.as_char() == '#' && is_doc(tokens.get(at)) => {
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    self.word(&word.to_string(), word.span());
                    let rest = path_after(&tokens, at);
                    if !rest.is_empty() && !continues_path(&tokens, at - 1) && !visibility {
                        let line = word.span().start().line;
                        let mut segments = vec![word.to_string()];
                        segments.extend(rest);
                        if !self.imported(word.span()) {
                            self.source.paths.push(Named { segments, line });
                        }
                    }
                }
                TokenTree::Group(group) => {
                    if group.delimiter() != Delimiter::None {
                        self.lines(group.span_open());
                        self.lines(group.span_close());
                    }
                    self.walk(group.stream());
                }
                other => self.lines(other.span()),
            }
        }
    }

    fn word(&mut self, word: &str, span: Span) {
        let line = span.start().line;
        self.lines(span);
        if word == "unsafe" {
            self.source.unsafe_lines.insert(line);
        } else if word == "bindings" {
            self.source.bindings.insert(line);
        }
    }

    /// The lines of a token are code, unless it belongs to an import.
    fn lines(&mut self, span: Span) {
        if !self.imported(span) {
            let lines = span.start().line..=span.end().line;
            self.source.code.extend(lines);
        }
    }

    fn imported(&self, span: Span) -> bool {
        let start = (span.start().line, span.start().column);
        let before = self.imports.range(..=start).next_back();
        before.is_some_and(|(_, end)| start < *end)
    }
}

/// The segments after a word at `at - 1`: what `::` leads to.
fn path_after(tokens: &[TokenTree], mut at: usize) -> Vec<String> {
    let mut segments = Vec::new();
    while is_colons(tokens, at) {
        let Some(TokenTree::Ident(word)) = tokens.get(at + 2) else {
            break;
        };
        segments.push(word.to_string());
        at += 3;
    }
    segments
}

/// Whether a word is a later segment of a path, or of one with generic arguments in it.
fn continues_path(tokens: &[TokenTree], at: usize) -> bool {
    at.checked_sub(2).is_some_and(|at| is_colons(tokens, at))
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon =
        |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

/// Whether an attribute is a comment.
fn is_doc(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else {
        return false;
    };
    let mut inside = group.stream().into_iter();
    matches!(inside.next(), Some(TokenTree::Ident(word)) if word == "doc")
}

/// Whether something is there for tests only: `cfg(test)`, or with the option of the KUnit tests.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string();
        let words: Vec<&str> = text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .collect();
        let tests = |word: &&str| *word == "test" || word.ends_with("KUNIT_TEST");
        words.first() == Some(&"cfg") && words.iter().any(tests) && !words.contains(&"not")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn impl_attributes(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item has in its module.
fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
//! A file. unsafe

use super::{
    plan::{self, Range as Place},
    trace::*, //
};

/// bindings::this is a comment.
#[inline]
pub(in crate::chunk) fn one() -> plan::Chunk { // unsafe
    use kernel::bindings::bio;
    /* two
       lines */
    unsafe { other!(super::job::run::<u8>(a.b)) };
    let text = "a
        b";
}

mod below {
    const A: u8 = super::super::stats::B;
}

struct S;

impl S {
    #[cfg(test)]
    fn probe() { super::hidden::probe() }
}

#[cfg_attr(CONFIG_KUNIT, tests)]
#[cfg(any(test, CONFIG_BLK_COPY_KUNIT_TEST))]
mod tests {
    use super::*;
    fn it() { unsafe { bindings::call() } }
}

#[cfg(not(test))]
fn real() {}

#[cfg(test)]
mod more_tests;
"#;

    fn parsed() -> Source {
        Source::parse("chunk/raw.rs", TEXT).unwrap()
    }

    #[test]
    fn imports_are_flattened() {
        let source = parsed();
        let imports: Vec<(String, Option<&str>)> = source
            .imports
            .iter()
            .map(|import| (import.path.segments.join("::"), import.name.as_deref()))
            .collect();
        let expected = [
            ("super::plan", Some("plan")),
            ("super::plan::Range", Some("Place")),
            ("super::trace", None),
            ("kernel::bindings::bio", Some("bio")),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(path, name)| (String::from(*path), *name))
            .collect();
        assert_eq!(imports, expected);
        assert_eq!(source.imports[2].path.line, 6);
    }

    #[test]
    fn paths_are_seen_in_macros_too() {
        let paths: Vec<String> = parsed()
            .paths
            .iter()
            .map(|path| path.segments.join("::"))
            .collect();
        assert_eq!(paths, ["plan::Chunk", "super::job::run", "super::stats::B"]);
    }

    #[test]
    fn code_is_counted_without_comments_imports_and_tests() {
        let source = parsed();
        let lines: Vec<usize> = source.code.iter().copied().collect();
        assert_eq!(lines, [10, 11, 15, 16, 17, 18, 21, 24, 26, 29, 38, 39]);
        assert_eq!(source.unsafe_lines.iter().collect::<Vec<_>>(), [&15]);
        assert_eq!(source.bindings.iter().collect::<Vec<_>>(), [&12]);
    }

    #[test]
    fn modules_are_named_by_their_files() {
        let module = |file: &str| {
            let source = Source {
                file: String::from(file),
                ..Source::default()
            };
            source.module("blk_copy.rs").join("::")
        };
        assert_eq!(module("blk_copy.rs"), "");
        assert_eq!(module("chunk.rs"), "chunk");
        assert_eq!(module("chunk/mod.rs"), "chunk");
        assert_eq!(module("chunk/raw.rs"), "chunk::raw");
        assert!(parsed().defined.contains("S"));
        assert!(parsed().tests.contains("more_tests"));
    }
}
