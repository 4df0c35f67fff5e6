//! The OpenAPI document, generated from the routes and the shapes of the wire.

use std::sync::LazyLock;

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};

use crate::routes;

/// The version header, which every call of the API carries.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; the session extractor reads it")]
pub(crate) struct Version {
    /// The API's version: 2.
    #[param(rename = "Ngrok-Version", pattern = "^2$", example = "2")]
    ngrok_version: String,
}

/// The id in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "describes a path; the item extractor reads it")]
pub(crate) struct Id {
    /// A prefix that names the kind, and a KSUID.
    id: String,
}

/// What a change expects.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; the extractor reads it")]
pub(crate) struct IfMatch {
    /// The ETag of what is to be changed; 412 if it has changed since.
    #[param(rename = "If-Match", required = false)]
    if_match: String,
}

/// The key under which a create may come again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; the session reads it")]
pub(crate) struct IdempotencyKey {
    /// The same request with the same key within 24 hours makes nothing: it gets the first answer again, with the header
    /// `Idempotent-Replayed: true`. Another request with it is 422. 1 to 255 visible ASCII characters, in quotes or without.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        pattern = "^([!#-~][!-~]{0,254}|\"[!#-\\[\\]-~]{1,255}\")$",
        example = "8e03978e-40d5-43e8-bc93-6894a57f9324"
    )]
    idempotency_key: String,
}

/// What confirms a change that keeps its own sender out.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Confirm {
    /// Make the change even if the address that it is sent from would not get in any more; otherwise that is 409.
    #[param(required = false, default = false)]
    confirm_lockout: bool,
}

/// What a list takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; the list parser reads it")]
pub(crate) struct Paging {
    /// Only items with an id before this one.
    #[param(required = false)]
    before_id: String,
    /// Items on the page, 1 to 100.
    #[param(required = false, minimum = 1, maximum = 100, default = 100)]
    limit: u8,
    /// A CEL expression over `obj`, such as `obj.name == "db-password"`.
    #[param(required = false)]
    filter: String,
}

/// What a list without a filter takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; the list parser reads it")]
pub(crate) struct Pages {
    /// Only items with an id before this one.
    #[param(required = false)]
    before_id: String,
    /// Items on the page, 1 to 100.
    #[param(required = false, minimum = 1, maximum = 100, default = 100)]
    limit: u8,
}

/// What narrows our own list of secrets.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; the list parser reads it")]
pub(crate) struct Detailed {
    /// Only secrets of the vault of that name.
    #[param(required = false)]
    vault: String,
    /// Only secrets that were neither made nor resolved since then, RFC 3339.
    #[param(required = false, format = DateTime)]
    unused_since: String,
}

/// What is to be resolved.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Valued {
    /// The vault's name.
    vault: String,
    /// The secret's name; all of the vault when it is left out.
    #[param(required = false)]
    name: String,
    /// Which version, from 1; the current one when it is left out.
    #[param(required = false, minimum = 1)]
    version: u32,
}

/// Which events are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Events {
    /// `newest` or `oldest` first.
    #[param(required = false, default = "newest", pattern = "^(newest|oldest)$")]
    order: String,
    /// With the newest first: only events with a number below this one.
    #[param(required = false)]
    before: u64,
    /// With the oldest first: only events with a number above this one.
    #[param(required = false)]
    after: u64,
    /// Events on the page, 1 to 100.
    #[param(required = false, minimum = 1, maximum = 100, default = 100)]
    limit: u8,
    /// A CEL expression over `obj`, such as `obj.event_type == "secret_resolved.v0"`. The fields are `event_id`, `event_type`,
    /// `event_timestamp`, `principal.id`, `principal.subject` and `object.id`.
    #[param(required = false)]
    filter: String,
}

/// From where the feed of changes is read.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Following {
    /// The `cursor` of an answer before; `start` for the oldest change that is kept; the changes from now on when it is left out.
    #[param(required = false, pattern = "^(start|[0-9]+-[0-9a-f]{16})$")]
    after: String,
    /// Changes in the answer, 1 to 100.
    #[param(required = false, minimum = 1, maximum = 100, default = 100)]
    limit: u8,
    /// How long to wait for a change where there is none yet, such as `30s`; up to `60s`.
    #[param(required = false)]
    wait: String,
}

/// Which deliveries are listed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Deliveries {
    /// Only those that are tried again (`waiting`), or those that were given up (`dead`).
    #[param(required = false, pattern = "^(waiting|dead)$")]
    state: String,
    /// Only those of audit events with a number below this one.
    #[param(required = false)]
    before: u64,
    /// Deliveries on the page, 1 to 100.
    #[param(required = false, minimum = 1, maximum = 100, default = 100)]
    limit: u8,
}

/// What is to be shown to be in the audit log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Included {
    /// The event's number, from 1.
    #[param(minimum = 1)]
    sequence: u64,
    /// The log when it had so many events; the log as it is when it is left out.
    #[param(required = false)]
    size: u64,
}

/// Which log is to be shown to continue which.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes a query; crate::parse reads it")]
pub(crate) struct Continued {
    /// The earlier log: the one that had so many events.
    from: u64,
    /// The later one; the log as it is when it is left out.
    #[param(required = false)]
    size: u64,
}

/// What every call can be refused with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes answers; crate::error writes them")]
pub(crate) enum Errors {
    /// The request breaks a rule
    #[response(status = 400)]
    BadRequest(strongroom_wire::Error),
    /// No valid API key, or one that may not do this
    #[response(status = 403)]
    Forbidden(strongroom_wire::Error),
    /// There is no such thing
    #[response(status = 404)]
    NotFound(strongroom_wire::Error),
    /// It does not go with what is there
    #[response(status = 409)]
    Conflict(strongroom_wire::Error),
    /// A secret that was to be resolved has expired
    #[response(status = 410)]
    Expired(strongroom_wire::Error),
    /// It has changed since the ETag in If-Match was read
    #[response(status = 412)]
    Changed(strongroom_wire::Error),
    /// The body is too large
    #[response(status = 413)]
    TooLarge(strongroom_wire::Error),
    /// The body is not JSON
    #[response(status = 415)]
    NotJson(strongroom_wire::Error),
    /// Another request came with this Idempotency-Key
    #[response(status = 422)]
    OtherRequest(strongroom_wire::Error),
    /// Too many requests
    #[response(status = 429)]
    TooMany(strongroom_wire::Error),
    /// Something that should not happen; the server's log tells the cause
    #[response(status = 500)]
    Internal(strongroom_wire::Error),
    /// The store is not available
    #[response(status = 503)]
    Unavailable(strongroom_wire::Error),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Strongroom",
        description = "Vaults and secrets: ngrok's Vaults & Secrets API, self-hosted. No answer holds a secret's value but those of /strongroom/resolve and /strongroom/values.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        routes::vault_create, routes::vault_list, routes::vault_get, routes::vault_update, routes::vault_delete,
        routes::secret_create, routes::secret_list, routes::secret_list_of_vault, routes::secret_get,
        routes::secret_update, routes::secret_delete,
        routes::api_key_create, routes::api_key_list, routes::api_key_get, routes::api_key_update, routes::api_key_delete,
        routes::service_user_create, routes::service_user_list, routes::service_user_get, routes::service_user_update,
        routes::service_user_delete,
        routes::bot_user_create, routes::bot_user_list, routes::bot_user_get, routes::bot_user_update,
        routes::bot_user_delete,
        routes::ip_policy_create, routes::ip_policy_list, routes::ip_policy_get, routes::ip_policy_update,
        routes::ip_policy_delete,
        routes::ip_policy_rule_create, routes::ip_policy_rule_list, routes::ip_policy_rule_get,
        routes::ip_policy_rule_update, routes::ip_policy_rule_delete,
        routes::ip_restriction_create, routes::ip_restriction_list, routes::ip_restriction_get,
        routes::ip_restriction_update, routes::ip_restriction_delete,
        routes::value_resolve, routes::value_get, routes::explain, routes::detail_list, routes::detail_get,
        routes::secret_move, routes::version_list, routes::version_rollback, routes::vault_detail_get,
        routes::vault_detail_update, routes::deleted_list, routes::secret_undelete, routes::secret_purge,
        routes::vault_undelete, routes::vault_purge,
        routes::change_list, routes::audit_list, routes::audit_checkpoint, routes::audit_inclusion, routes::audit_consistency,
        routes::webhook_create, routes::webhook_list, routes::webhook_get, routes::webhook_update, routes::webhook_delete,
        routes::delivery_list, routes::delivery_retry, routes::webhook_test,
        routes::key_list, routes::key_get, routes::key_rotate, routes::root_key_rotate,
        routes::key_slot_list, routes::key_slot_create, routes::key_slot_get, routes::key_slot_delete, routes::key_slot_test,
        routes::seal_get, routes::seal, routes::unseal,
        routes::root_get, routes::self_get, routes::health_get, routes::ready_get, routes::metrics_get, routes::openapi_get,
    ),
    security(("token" = [])),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key's token")).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The document, as JSON text.
#[must_use]
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        // A document built from constants is always written; an empty one would fail the freshness check at once.
        Document::openapi().to_pretty_json().map_or_else(|_| String::new(), |text| text + "\n")
    });
    &TEXT
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::routes::{PLAIN, ROUTES};
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document: serde_json::Value = serde_json::from_str(openapi()).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (path.clone(), method.to_uppercase()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let routed = ROUTES
            .iter()
            .chain(PLAIN)
            .flat_map(|route| {
                route.methods.iter().map(|method| (route.path.to_owned(), (*method).to_owned()))
            })
            .collect();
        assert_eq!(described, routed);
    }
}
