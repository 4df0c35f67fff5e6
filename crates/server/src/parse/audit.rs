//! What a list of audit events is asked for.

use strongroom_domain::audit::{Event, EventQuery, Order};
use strongroom_domain::clock::Clock;
use strongroom_domain::filter::Filter;
use strongroom_domain::page::PageLimit;

use super::query::Query;
use super::{Result, list, number};
use crate::error::Protocol;

/// Reads the query of a list of events.
///
/// # Errors
/// [`Protocol::InvalidField`], those of a page's size, and what is wrong with the filter.
pub(crate) fn events(query: &Query, clock: &dyn Clock) -> Result<EventQuery> {
    let order = match query.get("order") {
        None | Some("newest") => Order::NewestFirst,
        Some("oldest") => Order::OldestFirst,
        Some(_) => return Err(Protocol::InvalidField("order").into()),
    };
    // One goes down from a number and the other up: the other bound would be a range and no place to go on from.
    let (own, other) = match order {
        Order::NewestFirst => ("before", "after"),
        Order::OldestFirst => ("after", "before"),
    };
    if query.given(other).is_some() {
        return Err(Protocol::InvalidField(other).into());
    }
    let filter = query.get("filter").map(|text| Filter::parse(text, Event::FIELDS, clock.now()));
    Ok(EventQuery {
        order,
        past: number(query, own)?,
        limit: query.get("limit").map_or(Ok(PageLimit::MAX), list::limit)?,
        filter: filter.transpose().map_err(strongroom_domain::Error::from)?,
    })
}
