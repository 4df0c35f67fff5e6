//! The language of the `filter` query parameter: a small subset of CEL.
//!
//! The subset is the one of ngrok's API filtering page: `!`, `&&`, `||` and parentheses; `==`, `!=`, `<`, `<=`,
//! `>`, `>=`; `in [..]`; `startsWith`, `contains`, `endsWith`; `size`; `== null`; and instants written
//! `timestamp("…")` or `timestamp(time.now)`, moved with `add("24h")` and `subtract("7d")`. Indexing, arithmetic,
//! conditionals, regular expressions and everything else CEL has is refused.
//!
//! [`Filter::parse`] does all the checking: what it returns is typed, and a store can compile it without failing.
//! General CEL implementations are not used here because an expression of a few kilobytes can exhaust their
//! stack, and one of a few hundred bytes can cost seconds; see [`MAX_TEXT`], [`MAX_DEPTH`] and [`MAX_TERMS`].
//!
//! # What a store must hold to
//!
//! * No field is ever absent: an empty text stands for null, and ids and times always have a value.
//! * Text is ordered by code point and holds no NUL.
//! * Times are whole Unix seconds; never is [`NEVER`].
//! * Ids are stored as the bytes that the field's `decode` gives.

mod ast;
mod check;
mod holds;
mod lexer;
mod literal;
mod parser;
mod time;

#[cfg(test)]
mod tests;

pub use ast::{Compare, Expr, Part};
pub use holds::Value;

/// The longest filter, in bytes of UTF-8.
///
/// Filters travel in the request's URI, which servers and proxies commonly cap at 8 KiB; percent-encoding can
/// triple a byte. Everything that parsing may cost follows from this bound.
pub const MAX_TEXT: usize = 4096;

/// How deep parentheses, `!`, lists and calls may be nested.
///
/// The parser and everything that walks an [`Expr`] is recursive, so this bounds their stack. Deeper than a person
/// writes, far shallower than what the database's own parser takes.
pub const MAX_DEPTH: usize = 32;

/// How many terms (comparisons, substring tests, list items, bare fields) a filter may have.
///
/// The database works through every term for every row of a list, and this bounds that work. ngrok announces such a
/// limit on its API filtering page without giving a figure.
pub const MAX_TERMS: usize = 100;

/// What stands for never among Unix seconds: later than any that can be told.
pub const NEVER: i64 = i64::MAX;

/// A field that a filter may name.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The path after `obj.`; it may have dots, as in `vault.id`.
    pub name: &'static str,
    /// What the field holds, and with it what may be asked of it.
    pub kind: Kind,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text; never null, an empty text takes that part.
    Text,
    /// An instant in whole seconds.
    Time,
    /// An instant in whole seconds, or never, which comes after all others; null is never.
    End,
    /// An id, stored as bytes that are ordered like its text.
    Id {
        /// Gives the stored bytes of an id's text, or `None` for a text that is no such id.
        decode: fn(&str) -> Option<Vec<u8>>,
    },
    /// True or false.
    Bool,
}

/// A filter that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    expr: Expr,
}

impl Filter {
    /// Reads a filter over `fields`, with `now` as the instant that `time.now` stands for.
    ///
    /// # Errors
    ///
    /// [`FilterError`] when the text is not of the language, names another field, compares what cannot be
    /// compared, or is beyond [`MAX_TEXT`], [`MAX_DEPTH`] or [`MAX_TERMS`].
    pub fn parse(text: &str, fields: &'static [Field], now: jiff::Timestamp) -> Result<Self, FilterError> {
        if text.len() > MAX_TEXT {
            return Err(FilterError::new(format!("the filter is longer than {MAX_TEXT} bytes")));
        }
        let expr = parser::parse(text, fields, now)?;
        if expr.terms() > MAX_TERMS {
            return Err(FilterError::new(format!("the filter has more than {MAX_TERMS} terms")));
        }
        Ok(Self { expr })
    }

    /// The checked expression, for a store to compile.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The bytes of memory that the filter takes beside its own place, for a cache to weigh.
    #[must_use]
    pub fn heap_size(&self) -> usize {
        self.expr.heap_size()
    }

    /// The text that `field` must equal, when that is all that the filter says.
    pub fn exact(&self, field: &str) -> Option<&str> {
        match &self.expr {
            Expr::Text { field: name, op: Compare::Eq, value } if *name == field => Some(value),
            _ => None,
        }
    }

    /// The text that `field` must equal for the filter to be true, when the filter says so outright.
    ///
    /// Clients look things up with `obj.name == "…"`; this lets a store answer that from an index. `None` says
    /// nothing: the filter may still be true for a single value only.
    pub fn required_equal(&self, field: &str) -> Option<&str> {
        let conjuncts = match &self.expr {
            Expr::And(conjuncts) => conjuncts.as_slice(),
            single => std::slice::from_ref(single),
        };
        conjuncts.iter().find_map(|conjunct| match conjunct {
            Expr::Text { field: name, op: Compare::Eq, value } if *name == field => Some(value.as_str()),
            _ => None,
        })
    }
}

/// Why a filter was refused, in words for the client: what, and at which character (counted from 1).
///
/// It is the detail of ngrok's `ERR_NGROK_250`, "Invalid CEL query: …". Literals of the filter are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(String);

impl FilterError {
    fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// `at` is a byte offset into `text`; it is told as a count of characters.
    fn at(text: &str, at: usize, what: impl std::fmt::Display) -> Self {
        let before = text.char_indices().take_while(|(offset, _)| *offset < at).count();
        Self(format!("{what}, at character {}", before + 1))
    }
}
