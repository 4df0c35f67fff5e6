//! How long a list may take to read, by what it asks for: those that may go through everything are not to keep others waiting.

use strongroom_domain::page::Query;

/// What a scan has to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// What has one name, found through the index of names: as a rule a row or a few, and then read where it is asked for.
    Named,
    /// A page's worth of an index: soon done.
    Indexed,
    /// One vault's secrets, by a key with grants: all of them, if few are visible. This is what resolving a vault takes, and
    /// is not to wait for filters.
    OneVault,
    /// Possibly all rows, for a filter that no index helps. These must not keep the others waiting.
    Walking,
}

impl Lane {
    pub(crate) fn of(query: &Query) -> Self {
        match &query.filter {
            Some(filter) if filter.exact("name").is_some() && query.scope.is_none() => Self::Named,
            Some(filter) if filter.required_equal("name").is_some() => Self::Indexed,
            None if query.scope.is_none() => Self::Indexed,
            _ => Self::Walking,
        }
    }
}
