//! Filters over what is in memory: for what a store keeps in a form that its database cannot look into.

use super::{Compare, Expr, Filter, Part};

/// What a field of one object holds, in the form that its [`Kind`](super::Kind) is stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// Unix seconds.
    Time(i64),
    /// The stored bytes of an id.
    Id(Vec<u8>),
    /// True or false.
    Bool(bool),
}

impl Filter {
    /// Whether it holds for an object whose fields `of` tells, by name.
    pub fn holds<'a>(&self, of: &impl Fn(&str) -> Value<'a>) -> bool {
        holds(&self.expr, of)
    }
}

fn holds<'a>(expr: &Expr, of: &impl Fn(&str) -> Value<'a>) -> bool {
    match expr {
        Expr::Const(value) => *value,
        Expr::Not(inner) => !holds(inner, of),
        Expr::And(all) => all.iter().all(|one| holds(one, of)),
        Expr::Or(any) => any.iter().any(|one| holds(one, of)),
        Expr::Flag(field) => matches!(of(field), Value::Bool(true)),
        Expr::Text { field, op, value } => compared(*op, text(of(field)), value.as_str()),
        Expr::TextIn { field, values } => values.iter().any(|value| text(of(field)) == value),
        Expr::TextPart { field, part, value } => {
            let found = text(of(field));
            match part {
                Part::Start => found.starts_with(value.as_str()),
                Part::Anywhere => found.contains(value.as_str()),
                Part::End => found.ends_with(value.as_str()),
            }
        }
        Expr::TextSize { field, op, count } => {
            // No text is longer than what fits.
            compared(*op, i64::try_from(text(of(field)).chars().count()).unwrap_or(i64::MAX), *count)
        }
        Expr::Id { field, op, value } => compared(*op, id(of(field)), value.clone()),
        Expr::IdIn { field, values } => values.contains(&id(of(field))),
        Expr::Time { field, op, second } => match of(field) {
            Value::Time(at) => compared(*op, at, *second),
            _ => false,
        },
        Expr::Fields { left, op, right } => match (of(left), of(right)) {
            (Value::Text(left), Value::Text(right)) => compared(*op, left, right),
            (Value::Time(left), Value::Time(right)) => compared(*op, left, right),
            _ => false,
        },
    }
}

/// Texts are ordered by code point, as their bytes are.
fn compared<T: Ord>(op: Compare, left: T, right: T) -> bool {
    match op {
        Compare::Eq => left == right,
        Compare::Ne => left != right,
        Compare::Lt => left < right,
        Compare::Le => left <= right,
        Compare::Gt => left > right,
        Compare::Ge => left >= right,
    }
}

/// The parser lets texts be compared with text fields alone; of another field nothing is told.
fn text(value: Value<'_>) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn id(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Id(id) => id,
        _ => Vec::new(),
    }
}
