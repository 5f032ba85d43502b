// SPDX-License-Identifier: GPL-2.0

//! The attribute macros of the kernel, as far as the stand-in of its crate needs them.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Takes the `#[pin]` off the fields. The stand-in's `pin_init!` pins nothing: who uses it does not
/// move what it has made.
#[proc_macro_attribute]
pub fn pin_data(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    without_pin(item)
}

fn without_pin(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut kept = Vec::new();
    while let Some(token) = tokens.next() {
        let attribute = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        if attribute && tokens.next_if(is_pin).is_some() {
            continue;
        }
        kept.push(match token {
            TokenTree::Group(group) => {
                let inside = without_pin(group.stream());
                let mut same = Group::new(group.delimiter(), inside);
                same.set_span(group.span());
                TokenTree::Group(same)
            }
            token => token,
        });
    }
    TokenStream::from_iter(kept)
}

/// Whether this is the `[pin]` of a `#[pin]`.
fn is_pin(token: &TokenTree) -> bool {
    let TokenTree::Group(group) = token else {
        return false;
    };
    group.delimiter() == Delimiter::Bracket && group.stream().to_string() == "pin"
}
