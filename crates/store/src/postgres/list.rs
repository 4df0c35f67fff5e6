//! What all lists have in common: newest first, before an id, under a filter, one item more than asked.

use strongroom_domain::Result;
use strongroom_domain::grant::Target;
use strongroom_domain::page::{Listing, Query};
use tokio_postgres::Row;

use super::session::Pool;
use super::value::Value;
use crate::filter_sql;
use crate::lane::Lane;

/// The select of a list, up to its conditions.
pub(super) struct Select {
    /// `SELECT … FROM … WHERE …`, with `?` for the values.
    pub(super) sql: String,
    /// The values.
    pub(super) values: Vec<Value<'static>>,
    /// The column of the id, which the list is ordered by.
    pub(super) id: &'static str,
    /// The column of each field that a filter may name.
    pub(super) column: fn(&str) -> &'static str,
    /// The columns that a scope is about: the vault's name, and the secret's where secrets are listed.
    pub(super) scope: &'static [&'static str],
}

pub(super) async fn list<T>(
    pool: &Pool,
    select: Select,
    query: &Query,
    view: impl Fn(&Row) -> Result<T>,
) -> Result<Listing<T>> {
    list_in(pool, Lane::of(query), select, query, view).await
}

/// The same for a list of which more is known than its query tells.
pub(super) async fn list_in<T>(
    pool: &Pool,
    lane: Lane,
    select: Select,
    query: &Query,
    view: impl Fn(&Row) -> Result<T>,
) -> Result<Listing<T>> {
    let Select { mut sql, mut values, id, column, scope } = select;
    if let Some(before) = query.page.before {
        sql += &format!(" AND {id} < ?");
        values.push(before.into());
    }
    if let Some(filter) = &query.filter {
        let fragment = filter_sql::compile(filter, &column);
        sql += &format!(" AND ({})", fragment.sql);
        values.extend(fragment.params.into_iter().map(Value::from));
    }
    if let Some(targets) = &query.scope {
        sql += &within(targets, scope, &mut values);
    }
    sql += &format!(" ORDER BY {id} DESC LIMIT ?");
    values.push((query.page.limit.get() + 1).into());
    let sql = numbered(&sql);
    // What is not a walk has no more time than a lookup, so that it needs no turn.
    let rows = match lane {
        Lane::Walking => pool.walk(sql, values).await?,
        Lane::Named | Lane::Indexed | Lane::OneVault => pool.query_once(&sql, &values).await?,
    };
    let items = rows.iter().map(view).collect::<Result<Vec<T>>>()?;
    Ok(Listing::from_lookahead(items, query.page.limit))
}

impl From<filter_sql::Value> for Value<'_> {
    fn from(value: filter_sql::Value) -> Self {
        match value {
            filter_sql::Value::Int(number) => number.into(),
            filter_sql::Value::Text(text) => text.into(),
            filter_sql::Value::Bytes(bytes) => bytes.into(),
        }
    }
}

/// The condition that a row is one of those that the targets are about. Of a pattern's characters `*` alone is special.
fn within(targets: &[Target], columns: &[&str], values: &mut Vec<Value<'static>>) -> String {
    let mut any = vec!["1 = 0".to_owned()];
    for target in targets {
        let patterns = [&target.vault, &target.secret];
        let mut all = Vec::with_capacity(columns.len());
        for (column, pattern) in columns.iter().zip(patterns) {
            all.push(format!("{column} LIKE ?"));
            values.push(like(pattern.as_str()).into());
        }
        any.push(all.join(" AND "));
    }
    format!(" AND ({})", any.join(" OR "))
}

/// A pattern as `LIKE` has them.
fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 8);
    for character in pattern.chars() {
        match character {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', character]),
            _ => like.push(character),
        }
    }
    like
}

/// The statement with the database's placeholders. No statement of a list has a `?` that is none.
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut numbered = parts.next().unwrap_or_default().to_owned();
    for (number, part) in (1..).zip(parts) {
        numbered += &format!("${number}{part}");
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_in_their_order() {
        assert_eq!(
            numbered("SELECT a FROM b WHERE c = ? AND d IN (?, ?)"),
            "SELECT a FROM b WHERE c = $1 AND d IN ($2, $3)"
        );
    }

    #[test]
    fn in_a_pattern_the_star_alone_is_special() {
        assert_eq!(like("prod_*/100%\\x"), "prod\\_%/100\\%\\\\x");
    }
}
