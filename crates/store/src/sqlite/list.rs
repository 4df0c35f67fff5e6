//! What all lists have in common: newest first, before an id, under a filter, one item more than asked.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use strongroom_domain::grant::Target;
use strongroom_domain::page::{Listing, Query};

use crate::filter_sql;

/// The select of a list, up to its conditions.
pub(super) struct Select {
    /// `SELECT … FROM … WHERE …`, with `?` for the values.
    pub(super) sql: String,
    /// The values.
    pub(super) params: Vec<Value>,
    /// The column of the id, which the list is ordered by.
    pub(super) id: &'static str,
    /// The column of each field that a filter may name.
    pub(super) column: fn(&str) -> &'static str,
    /// The columns that a scope is about: the vault's name, and the secret's where secrets are listed.
    pub(super) scope: &'static [&'static str],
}

pub(super) fn list<T>(
    connection: &Connection,
    select: Select,
    query: &Query,
    view: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Listing<T>> {
    let Select { mut sql, mut params, id, column, scope } = select;
    if let Some(before) = query.page.before {
        sql += &format!(" AND {id} < ?");
        params.push(Value::Blob(before.as_bytes().to_vec()));
    }
    if let Some(filter) = &query.filter {
        let fragment = filter_sql::compile(filter, &column);
        sql += &format!(" AND ({})", fragment.sql);
        params.extend(fragment.params.into_iter().map(Value::from));
    }
    if let Some(targets) = &query.scope {
        sql += &within(targets, scope, &mut params);
    }
    sql += &format!(" ORDER BY {id} DESC LIMIT ?");
    params.push(Value::Integer(query.page.limit.get() as i64 + 1));
    let items = connection
        .prepare_cached(&sql)?
        .query_map(params_from_iter(params), view)?
        .collect::<rusqlite::Result<Vec<T>>>()?;
    Ok(Listing::from_lookahead(items, query.page.limit))
}

impl From<filter_sql::Value> for Value {
    fn from(value: filter_sql::Value) -> Self {
        match value {
            filter_sql::Value::Int(number) => Self::Integer(number),
            filter_sql::Value::Text(text) => Self::Text(text),
            filter_sql::Value::Bytes(bytes) => Self::Blob(bytes),
        }
    }
}

/// The condition that a row is one of those that the targets are about. `GLOB` compares bytes, and of its special characters
/// a pattern has `*` alone, which means the same there.
fn within(targets: &[Target], columns: &[&str], params: &mut Vec<Value>) -> String {
    let mut any = vec!["1 = 0".to_owned()];
    for target in targets {
        let patterns = [&target.vault, &target.secret];
        let mut all = Vec::with_capacity(columns.len());
        for (column, pattern) in columns.iter().zip(patterns) {
            all.push(format!("{column} GLOB ?"));
            params.push(Value::Text(pattern.as_str().to_owned()));
        }
        any.push(all.join(" AND "));
    }
    format!(" AND ({})", any.join(" OR "))
}
