//! A page of a list: newest first, by descending id.

use crate::access::Scope;
use crate::filter::Filter;
use crate::ids::Ksuid;

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    /// Only ids below this one. It need not exist.
    pub before: Option<Ksuid>,
    /// How many items at most.
    pub limit: PageLimit,
}

/// How many items a page has at most: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageLimit(u8);

impl PageLimit {
    /// The largest, and what is used when none is given.
    pub const MAX: Self = Self(100);

    /// Checks a number.
    #[must_use]
    pub fn new(limit: u64) -> Option<Self> {
        u8::try_from(limit).ok().filter(|limit| (1..=Self::MAX.0).contains(limit)).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// What a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Query {
    /// Which page.
    pub page: Page,
    /// Only items that this holds for.
    pub filter: Option<Filter>,
    /// Only items that the caller may see, where that is not all; use cases set it.
    pub scope: Option<Scope>,
}

/// A page's items, and whether there are more after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub more: bool,
}

impl<T> Listing<T> {
    /// A listing out of what a store found when it looked for one item more than the page has.
    #[must_use]
    pub fn from_lookahead(mut items: Vec<T>, limit: PageLimit) -> Self {
        let more = items.len() > limit.get();
        items.truncate(limit.get());
        Self { items, more }
    }
}
