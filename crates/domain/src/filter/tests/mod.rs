mod accepted;
mod bounds;
mod refused;

use jiff::Timestamp;

use super::{Compare, Expr, Field, Filter, Kind, Part};

static FIELDS: [Field; 8] = [
    Field { name: "id", kind: Kind::Id { decode: decode_id } },
    Field { name: "created_at", kind: Kind::Time },
    Field { name: "updated_at", kind: Kind::Time },
    Field { name: "name", kind: Kind::Text },
    Field { name: "metadata", kind: Kind::Text },
    Field { name: "vault.id", kind: Kind::Id { decode: decode_id } },
    Field { name: "expires_at", kind: Kind::End },
    Field { name: "active", kind: Kind::Bool },
];

fn decode_id(text: &str) -> Option<Vec<u8>> {
    text.strip_prefix("vault_").map(|rest| rest.as_bytes().to_vec())
}

/// 2026-01-14T12:00:00.25Z
fn now() -> Timestamp {
    Timestamp::new(NOW, 250_000_000).unwrap_or_default()
}

const NOW: i64 = 1_768_392_000;

fn parse(text: &str) -> Result<Expr, String> {
    Filter::parse(text, &FIELDS, now()).map(|filter| filter.expr().clone()).map_err(|error| error.to_string())
}

fn text(op: Compare, value: &str) -> Expr {
    Expr::Text { field: "name", op, value: value.to_owned() }
}

fn name_is(value: &str) -> Expr {
    text(Compare::Eq, value)
}

fn created(op: Compare, second: i64) -> Expr {
    Expr::Time { field: "created_at", op, second }
}

fn size(op: Compare, count: i64) -> Expr {
    Expr::TextSize { field: "name", op, count }
}

fn part(part: Part, value: &str) -> Expr {
    Expr::TextPart { field: "name", part, value: value.to_owned() }
}

fn not(expr: Expr) -> Expr {
    Expr::Not(Box::new(expr))
}

fn id(field: &'static str, op: Compare, value: &str) -> Expr {
    Expr::Id { field, op, value: value.as_bytes().to_vec() }
}
