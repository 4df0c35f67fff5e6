//! What a list is asked for: the page and the filter.

use strongroom_domain::clock::Clock;
use strongroom_domain::filter::{Field, Filter};
use strongroom_domain::ids::Ksuid;
use strongroom_domain::page::{Page, PageLimit, Query};

use super::Result;
use super::query::Query as Parameters;
use crate::error::Protocol;
use crate::view::Next;

/// How one kind of thing is listed.
pub(crate) struct Kind {
    /// What its ids start with; the first is named in messages.
    pub(crate) prefixes: &'static [&'static str],
    /// What a filter may ask about.
    pub(crate) fields: &'static [Field],
    /// What a query may hold.
    pub(crate) parameters: &'static [&'static str],
}

/// `beforeId` is the TypeScript SDK's `before_id`.
pub(crate) const PARAMETERS: &[&str] = &["before_id", "limit", "filter", "beforeId"];

/// Our own list of secrets can also be narrowed to a vault, and to secrets that were not used of late.
pub(crate) const PARAMETERS_OF_DETAILS: &[&str] = &["before_id", "limit", "filter", "vault", "unused_since"];

/// The list of deleted things is narrowed by nothing.
pub(crate) const PARAMETERS_OF_DELETED: &[&str] = &["before_id", "limit"];

/// The TypeScript and Rust SDKs send the vault's id along when they list its secrets.
pub(crate) const PARAMETERS_WITH_ID: &[&str] = &["before_id", "limit", "filter", "beforeId", "id"];

/// Reads a list's query.
///
/// # Errors
/// Those of [`Parameters::parse`], [`Protocol::LimitRange`], [`Protocol::LimitNumber`], [`Protocol::BeforeId`], and what is wrong
/// with the filter.
pub(crate) fn query(
    raw: Option<&str>,
    kind: &Kind,
    lenient: bool,
    clock: &dyn Clock,
) -> Result<(Query, Next)> {
    let parameters = Parameters::parse(raw, kind.parameters, lenient)?;
    let limit = parameters.get("limit").map_or(Ok(PageLimit::MAX), limit)?;
    let before = parameters.get("before_id").or_else(|| parameters.get("beforeId"));
    let before = before.map(|text| before_id(text, kind)).transpose()?;
    let filter = parameters.get("filter");
    let parsed = filter
        .map(|text| Filter::parse(text, kind.fields, clock.now()))
        .transpose()
        .map_err(strongroom_domain::Error::from)?;
    let next = Next { limit, repeated: parameters.without(&["before_id", "beforeId", "limit", "id"]) };
    Ok((Query { page: Page { before, limit }, filter: parsed, scope: None }, next))
}

/// The size of a page.
pub(super) fn limit(text: &str) -> Result<PageLimit, Protocol> {
    let number: i128 = text.parse().map_err(|_| Protocol::LimitNumber(text.to_owned()))?;
    let limit = u64::try_from(number).ok().and_then(PageLimit::new);
    limit.ok_or_else(|| Protocol::LimitRange(text.to_owned()))
}

fn before_id(text: &str, kind: &Kind) -> Result<Ksuid, Protocol> {
    let number = kind.prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    number.and_then(|number| number.parse().ok()).ok_or_else(|| Protocol::BeforeId {
        text: text.to_owned(),
        prefix: kind.prefixes.first().copied().unwrap_or_default(),
    })
}
