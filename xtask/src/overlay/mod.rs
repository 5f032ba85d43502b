// SPDX-License-Identifier: GPL-2.0
//! Our work over a pristine kernel: which files, in which order, and how they get into a tree.

mod content;
mod history;
mod lay;
pub mod pinned;
mod refresh;
mod series;
mod tree;

pub use content::apply_entry;
pub use content::Contents;
pub use lay::contents;
pub use lay::lay;
pub use refresh::refresh;
pub use series::Cover;
pub use series::Entry;
pub use series::Series;
pub use tree::identity;
pub use tree::place;
pub use tree::pristine;
pub use tree::store;
pub use tree::Laid;
