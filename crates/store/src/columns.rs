//! What both back ends call things alike: the columns that the fields of filters stand for.
//!
//! A filter's parser lets no other field through than those of its noun, so that the last arm of each is one of them too.

/// Of an API key.
pub(crate) fn api_key(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "description" => "description",
        "metadata" => "metadata",
        "created_at" => "created_at",
        _ => "owner",
    }
}

/// Of an IP policy.
pub(crate) fn ip_policy(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "description" => "description",
        "metadata" => "metadata",
        _ => "created_at",
    }
}

/// Of an IP restriction.
pub(crate) fn ip_restriction(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "description" => "description",
        "metadata" => "metadata",
        "type" => "type",
        "enforced" => "enforced",
        _ => "created_at",
    }
}

/// Of a rule of an IP policy.
pub(crate) fn ip_rule(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "description" => "description",
        "metadata" => "metadata",
        "cidr" => "cidr",
        "action" => "action",
        "created_at" => "created_at",
        _ => "policy",
    }
}

/// The end, as filters see it: never is `filter::NEVER`, since a condition over NULL would lose rows.
const EXPIRES_AT: &str = "coalesce(secret.expires_at, 9223372036854775807)";

/// Of a secret.
pub(crate) fn secret(field: &str) -> &'static str {
    match field {
        "id" => "secret.id",
        "name" => "secret.name",
        "description" => "secret.description",
        "metadata" => "secret.metadata",
        "created_at" => "secret.created_at",
        "updated_at" => "secret.updated_at",
        "created_by" => "secret.created_by",
        "vault.id" => "secret.vault",
        "expires_at" => EXPIRES_AT,
        _ => "vault.name",
    }
}

/// Of a service user.
pub(crate) fn service_user(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "name" => "name",
        "active" => "active",
        _ => "created_at",
    }
}

/// Of a vault.
pub(crate) fn vault(field: &str) -> &'static str {
    match field {
        "id" => "id",
        "name" => "name",
        "description" => "description",
        "metadata" => "metadata",
        "created_at" => "created_at",
        "updated_at" => "updated_at",
        _ => "created_by",
    }
}
