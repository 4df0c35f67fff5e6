//! The routes. A handler extracts, parses, calls one use case, and views what it gave.

mod api_keys;
mod audit;
mod changes;
mod deleted;
mod details;
mod explain;
mod health;
mod ip_policies;
mod ip_policy_rules;
mod ip_restrictions;
mod key_slots;
mod keys;
mod root;
mod secrets;
mod service_users;
mod values;
mod vaults;
mod versions;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::Shared;
use crate::error::{Problem, Protocol};

pub(crate) use api_keys::*;
pub(crate) use audit::*;
pub(crate) use changes::*;
pub(crate) use deleted::*;
pub(crate) use details::*;
pub(crate) use explain::*;
pub(crate) use health::*;
pub(crate) use ip_policies::*;
pub(crate) use ip_policy_rules::*;
pub(crate) use ip_restrictions::*;
pub(crate) use key_slots::*;
pub(crate) use keys::*;
pub(crate) use root::*;
pub(crate) use secrets::*;
pub(crate) use service_users::*;
pub(crate) use values::*;
pub(crate) use vaults::*;
pub(crate) use versions::*;
pub(crate) use webhooks::*;

/// A path, and what can be done there.
pub struct Route {
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// The methods.
    pub methods: &'static [&'static str],
}

impl Route {
    /// Whether a path is one of this route.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut given = path.split('/');
        self.path.split('/').all(|part| given.next().is_some_and(|text| part == "{id}" || part == text))
            && given.next().is_none()
    }
}

const COLLECTION: &[&str] = &["GET", "POST"];
const ITEM: &[&str] = &["GET", "PATCH", "DELETE"];
const READ: &[&str] = &["GET"];
const ACT: &[&str] = &["POST"];

/// Every route that needs a key.
pub const ROUTES: &[Route] = &[
    Route { path: "/", methods: READ },
    Route { path: "/self", methods: READ },
    Route { path: "/vaults", methods: COLLECTION },
    Route { path: "/vaults/{id}", methods: ITEM },
    Route { path: "/vaults/{id}/secrets", methods: READ },
    Route { path: "/vault_secrets", methods: COLLECTION },
    Route { path: "/vault_secrets/{id}", methods: ITEM },
    Route { path: "/api_keys", methods: COLLECTION },
    Route { path: "/api_keys/{id}", methods: ITEM },
    Route { path: "/bot_users", methods: COLLECTION },
    Route { path: "/bot_users/{id}", methods: ITEM },
    Route { path: "/service_users", methods: COLLECTION },
    Route { path: "/service_users/{id}", methods: ITEM },
    Route { path: "/ip_policies", methods: COLLECTION },
    Route { path: "/ip_policies/{id}", methods: ITEM },
    Route { path: "/ip_policy_rules", methods: COLLECTION },
    Route { path: "/ip_policy_rules/{id}", methods: ITEM },
    Route { path: "/ip_restrictions", methods: COLLECTION },
    Route { path: "/ip_restrictions/{id}", methods: ITEM },
    Route { path: "/strongroom/resolve", methods: ACT },
    Route { path: "/strongroom/values", methods: READ },
    Route { path: "/strongroom/explain", methods: ACT },
    Route { path: "/strongroom/secrets", methods: READ },
    Route { path: "/strongroom/secrets/{id}", methods: READ },
    Route { path: "/strongroom/secrets/{id}/move", methods: ACT },
    Route { path: "/strongroom/secrets/{id}/versions", methods: READ },
    Route { path: "/strongroom/secrets/{id}/rollback", methods: ACT },
    Route { path: "/strongroom/vaults/{id}", methods: &["GET", "PATCH"] },
    Route { path: "/strongroom/deleted", methods: READ },
    Route { path: "/strongroom/secrets/{id}/undelete", methods: ACT },
    Route { path: "/strongroom/secrets/{id}/purge", methods: ACT },
    Route { path: "/strongroom/vaults/{id}/undelete", methods: ACT },
    Route { path: "/strongroom/vaults/{id}/purge", methods: ACT },
    Route { path: "/strongroom/changes", methods: READ },
    Route { path: "/strongroom/audit_events", methods: READ },
    Route { path: "/strongroom/audit/checkpoint", methods: READ },
    Route { path: "/strongroom/audit/inclusion", methods: READ },
    Route { path: "/strongroom/audit/consistency", methods: READ },
    Route { path: "/strongroom/webhooks", methods: COLLECTION },
    Route { path: "/strongroom/webhooks/{id}", methods: ITEM },
    Route { path: "/strongroom/webhooks/{id}/deliveries", methods: READ },
    Route { path: "/strongroom/webhooks/{id}/retry", methods: ACT },
    Route { path: "/strongroom/webhooks/{id}/test", methods: ACT },
    Route { path: "/strongroom/keys", methods: READ },
    Route { path: "/strongroom/keys/{id}", methods: READ },
    Route { path: "/strongroom/keys/{id}/rotate", methods: ACT },
    Route { path: "/strongroom/root_key/rotate", methods: ACT },
    Route { path: "/strongroom/key_slots", methods: COLLECTION },
    Route { path: "/strongroom/key_slots/{id}", methods: &["GET", "DELETE"] },
    Route { path: "/strongroom/key_slots/{id}/test", methods: ACT },
    Route { path: "/strongroom/seal", methods: ACT },
    Route { path: "/metrics", methods: READ },
];

/// Routes that are posted to and change nothing.
pub(crate) const READING: &[&str] =
    &["/strongroom/resolve", "/strongroom/explain", "/strongroom/key_slots/{id}/test"];

/// Every route that needs no key.
pub(crate) const PLAIN: &[Route] = &[
    Route { path: "/healthz", methods: READ },
    Route { path: "/readyz", methods: READ },
    Route { path: "/openapi.json", methods: READ },
    Route { path: "/strongroom/seal", methods: READ },
    Route { path: "/strongroom/unseal", methods: ACT },
];

/// The collections that `GET /` names.
pub(crate) const COLLECTIONS: &[&str] = &[
    "api_keys",
    "bot_users",
    "ip_policies",
    "ip_policy_rules",
    "ip_restrictions",
    "service_users",
    "vault_secrets",
    "vaults",
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(root_get))
        .route("/self", get(self_get))
        .route("/vaults", get(vault_list).post(vault_create))
        .route("/vaults/{id}", get(vault_get).patch(vault_update).delete(vault_delete))
        .route("/vaults/{id}/secrets", get(secret_list_of_vault))
        .route("/vault_secrets", get(secret_list).post(secret_create))
        .route("/vault_secrets/{id}", get(secret_get).patch(secret_update).delete(secret_delete))
        .route("/api_keys", get(api_key_list).post(api_key_create))
        .route("/api_keys/{id}", get(api_key_get).patch(api_key_update).delete(api_key_delete))
        .route("/bot_users", get(bot_user_list).post(bot_user_create))
        .route("/bot_users/{id}", get(bot_user_get).patch(bot_user_update).delete(bot_user_delete))
        .route("/service_users", get(service_user_list).post(service_user_create))
        .route(
            "/service_users/{id}",
            get(service_user_get).patch(service_user_update).delete(service_user_delete),
        )
        .route("/ip_policies", get(ip_policy_list).post(ip_policy_create))
        .route("/ip_policies/{id}", get(ip_policy_get).patch(ip_policy_update).delete(ip_policy_delete))
        .route("/ip_policy_rules", get(ip_policy_rule_list).post(ip_policy_rule_create))
        .route(
            "/ip_policy_rules/{id}",
            get(ip_policy_rule_get).patch(ip_policy_rule_update).delete(ip_policy_rule_delete),
        )
        .route("/ip_restrictions", get(ip_restriction_list).post(ip_restriction_create))
        .route(
            "/ip_restrictions/{id}",
            get(ip_restriction_get).patch(ip_restriction_update).delete(ip_restriction_delete),
        )
        .route("/strongroom/resolve", post(value_resolve))
        .route("/strongroom/values", get(value_get))
        .route("/strongroom/explain", post(explain))
        .route("/strongroom/secrets", get(detail_list))
        .route("/strongroom/secrets/{id}", get(detail_get))
        .route("/strongroom/secrets/{id}/move", post(secret_move))
        .route("/strongroom/secrets/{id}/versions", get(version_list))
        .route("/strongroom/secrets/{id}/rollback", post(version_rollback))
        .route("/strongroom/vaults/{id}", get(vault_detail_get).patch(vault_detail_update))
        .route("/strongroom/deleted", get(deleted_list))
        .route("/strongroom/secrets/{id}/undelete", post(secret_undelete))
        .route("/strongroom/secrets/{id}/purge", post(secret_purge))
        .route("/strongroom/vaults/{id}/undelete", post(vault_undelete))
        .route("/strongroom/vaults/{id}/purge", post(vault_purge))
        .route("/strongroom/changes", get(change_list))
        .route("/strongroom/audit_events", get(audit_list))
        .route("/strongroom/audit/checkpoint", get(audit_checkpoint))
        .route("/strongroom/audit/inclusion", get(audit_inclusion))
        .route("/strongroom/audit/consistency", get(audit_consistency))
        .route("/strongroom/webhooks", get(webhook_list).post(webhook_create))
        .route("/strongroom/webhooks/{id}", get(webhook_get).patch(webhook_update).delete(webhook_delete))
        .route("/strongroom/webhooks/{id}/deliveries", get(delivery_list))
        .route("/strongroom/webhooks/{id}/retry", post(delivery_retry))
        .route("/strongroom/webhooks/{id}/test", post(webhook_test))
        .route("/strongroom/keys", get(key_list))
        .route("/strongroom/keys/{id}", get(key_get))
        .route("/strongroom/keys/{id}/rotate", post(key_rotate))
        .route("/strongroom/root_key/rotate", post(root_key_rotate))
        .route("/strongroom/key_slots", get(key_slot_list).post(key_slot_create))
        .route("/strongroom/key_slots/{id}", get(key_slot_get).delete(key_slot_delete))
        .route("/strongroom/key_slots/{id}/test", post(key_slot_test))
        .route("/strongroom/seal", get(seal_get).post(seal))
        .route("/strongroom/unseal", post(unseal))
        .route("/metrics", get(metrics_get))
        .route("/healthz", get(health_get))
        .route("/readyz", get(ready_get))
        .route("/openapi.json", get(openapi_get))
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .with_state(shared)
}

/// ngrok answers a wrong method as it does an unknown path, never with 405.
async fn no_route() -> Problem {
    Protocol::NoRoute.into()
}
