//! What is sent about webhooks.

use strongroom_domain::SigningSecret;
use strongroom_domain::app::{WebhookChange, WebhookDraft};
use strongroom_domain::error::{Noun, Rule};
use strongroom_domain::limits::Limits;
use strongroom_domain::page::PageLimit;
use strongroom_domain::text::{Description, Metadata};
use strongroom_domain::webhook::{DeliveryState, EventTypes, WebhookUrl};
use zeroize::Zeroizing;

use super::body::Fields;
use super::query::Query;
use super::{Result, given, list, number};
use crate::error::Protocol;

/// A webhook to be made.
pub(crate) fn create(mut body: Fields, limits: &Limits, allow_private: bool) -> Result<WebhookDraft> {
    let url = body.text("url")?.unwrap_or_default();
    let description = body.text("description")?.unwrap_or_default();
    Ok(WebhookDraft {
        url: WebhookUrl::parse(&url, allow_private).map_err(Rule::from)?,
        event_types: EventTypes::new(body.texts("event_types")?.unwrap_or_default()).map_err(Rule::from)?,
        description: Description::parse(Noun::Webhook, description, limits)?,
        metadata: Metadata::parse(Noun::Webhook, body.text("metadata")?.unwrap_or_default(), limits)?,
        active: body.flag("active")?.unwrap_or(true),
        secret: secret(&mut body)?,
    })
}

/// What to change of a webhook.
pub(crate) fn update(mut body: Fields, limits: &Limits, allow_private: bool) -> Result<WebhookChange> {
    Ok(WebhookChange {
        url: given(body.text("url")?, |text| Ok(WebhookUrl::parse(&text, allow_private)?))?,
        event_types: body.texts("event_types")?.map(EventTypes::new).transpose().map_err(Rule::from)?,
        description: given(body.text("description")?, |text| {
            Description::parse(Noun::Webhook, text, limits)
        })?,
        metadata: given(body.text("metadata")?, |text| Metadata::parse(Noun::Webhook, text, limits))?,
        active: body.flag("active")?,
        secret: secret(&mut body)?,
    })
}

fn secret(body: &mut Fields) -> Result<Option<SigningSecret>> {
    let Some(text) = body.text("secret")?.map(Zeroizing::new) else { return Ok(None) };
    Ok(Some(SigningSecret::parse(&text).ok_or(Rule::SigningSecret)?))
}

/// Which delivery is to be tried again; none is all.
pub(crate) fn retry(mut body: Fields) -> Result<Option<u64>> {
    Ok(body.sequence("sequence")?)
}

/// What a list of deliveries is asked for.
pub(crate) struct Deliveries {
    pub(crate) state: Option<DeliveryState>,
    pub(crate) before: Option<u64>,
    pub(crate) limit: PageLimit,
}

/// Reads the query of a list of deliveries.
pub(crate) fn deliveries(query: &Query) -> Result<Deliveries> {
    let state =
        query.get("state").map(|text| DeliveryState::parse(text).ok_or(Protocol::InvalidField("state")));
    Ok(Deliveries {
        state: state.transpose()?,
        before: number(query, "before")?,
        limit: query.get("limit").map_or(Ok(PageLimit::MAX), list::limit)?,
    })
}
