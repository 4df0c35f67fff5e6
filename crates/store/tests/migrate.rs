//! A store is moved whole: every row of every table, from a file to a real PostgreSQL and back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use strongroom_store::migrate::{Filled, MoveError, Source, Target};
use strongroom_store::postgres::{OpenError, Options, PostgresStore};
use strongroom_store::sqlite::SqliteStore;
use strongroom_testbed::Postgres;

static SERVER: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::start(strongroom_testbed::Options::default().careless()));

/// More than are read at a time.
const ROWS: usize = 600;

fn database(name: &str) -> Options {
    SERVER.create_database(name);
    Options::parse(&SERVER.url(name)).unwrap().password(SERVER.password().as_bytes())
}

/// The tables of a file, each with its columns: name, type, whether it may be NULL.
fn tables(connection: &Connection) -> BTreeMap<String, Vec<(String, String, bool)>> {
    let mut names = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let columns = |name: &String| {
        let mut select = connection
            .prepare("SELECT name, type, \"notnull\" = 0 AND pk = 0 FROM pragma_table_info(?1)")
            .unwrap();
        let found = select.query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    names.iter().map(|name| (name.clone(), columns(name))).collect()
}

/// What a column of the row of that number holds: of each table and row something else, and sometimes nothing.
fn invented((table, column, kind, may_be_null): (&str, &str, &str, bool), row: usize) -> Value {
    let number = row as i64 + 1;
    let bytes = |length: usize| -> Vec<u8> {
        let salt = table.len() * 31 + column.len();
        (0..length).map(|at| ((row * 7 + at * 3 + salt) % 251) as u8).collect()
    };
    match (column, kind) {
        _ if may_be_null && row.is_multiple_of(3) => Value::Null,
        // What no version reads any more is left behind.
        ("retired_root_key", _) => Value::Null,
        ("active" | "dead" | "enforced", _) => Value::Integer(number % 2),
        // What a reader takes apart when it begins.
        ("root_key", _) => Value::Blob(bytes(8)),
        ("number" | "sequence" | "account" | "id", "INTEGER") => Value::Integer(number),
        (_, "INTEGER") => Value::Integer(number * 1_000_003 - 500),
        (_, "TEXT") => Value::Text(format!("{column} \"{row}\" \u{e4}\u{1f511}' {{}} \\")),
        // In order, and of the length of an id.
        (_, _) => Value::Blob([&(row as u32).to_be_bytes(), bytes(16).as_slice()].concat()),
    }
}

/// A file whose every table has rows, none of which a server has written.
fn invented_store(path: &Path) {
    drop(SqliteStore::open(path).unwrap());
    let mut connection = Connection::open(path).unwrap();
    let tables = tables(&connection);
    let transaction = connection.transaction().unwrap();
    for (table, columns) in tables.iter().filter(|(name, _)| *name != "audit_head") {
        let names: Vec<String> = columns.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
        let bound: Vec<String> = (1..=columns.len()).map(|number| format!("?{number}")).collect();
        let sql = format!("INSERT INTO \"{table}\" ({}) VALUES ({})", names.join(", "), bound.join(", "));
        for row in 0..ROWS {
            let values = columns.iter().map(|(name, kind, null)| invented((table, name, kind, *null), row));
            transaction.execute(&sql, params_from_iter(values)).unwrap();
        }
    }
    let head = "UPDATE audit_head SET sequence = 600, root = zeroblob(32), edge = x'0102', pruned_upto = 3, pruned_by = 7, \
                log_keys_made = 2, resolved_upto = 600";
    transaction.execute(head, []).unwrap();
    transaction.commit().unwrap();
}

/// Everything in a file.
fn dump(path: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let connection = Connection::open(path).unwrap();
    let rows = |table: &String| {
        let mut select = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let width = select.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values: Vec<Value> = (0..width).map(|at| row.get(at).unwrap()).collect();
            Ok(format!("{values:?}"))
        };
        select.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    tables(&connection).keys().map(|table| (table.clone(), rows(table))).collect()
}

async fn filled(mut source: Source, target: Target) -> Filled {
    let filled = target.fill(&mut source, |_| ()).await.unwrap();
    filled.read_back(|_| ()).await.unwrap();
    assert!(!source.was_written().await.unwrap());
    filled
}

/// Begins after one that was dropped: the database notices that a connection is gone when it gets to it.
async fn begun_anew(options: &Options) -> Target {
    let begun = std::time::Instant::now();
    loop {
        match Target::database(options).await {
            Ok(target) => return target,
            Err(MoveError::UnderWay(_)) if begun.elapsed() < strongroom_testbed::PATIENCE => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[tokio::test]
async fn every_row_of_every_table_there_and_back() {
    let (folder, options) = (Folder::new(), database("there_and_back"));
    let (from, to) = (folder.path("from.db"), folder.path("to.db"));
    invented_store(&from);
    filled(Source::file(&from).unwrap(), Target::database(&options).await.unwrap())
        .await
        .accept()
        .await
        .unwrap();
    filled(Source::database(&options).await.unwrap(), Target::file(&to).unwrap())
        .await
        .accept()
        .await
        .unwrap();
    let (before, after) = (dump(&from), dump(&to));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (table, rows) in &before {
        let count = if table == "audit_head" { 1 } else { ROWS };
        assert_eq!(rows.len(), count, "{table}");
        assert!(*rows == after[table], "{table} differs");
    }
    drop(SqliteStore::open(&to).unwrap());
}

/// A table or column that a later version adds is copied, or named here with the reason why not.
#[tokio::test]
async fn what_only_a_database_has_is_known() {
    let (folder, options) = (Folder::new(), database("columns"));
    let path = folder.path("store.db");
    drop(SqliteStore::open(&path).unwrap());
    drop(PostgresStore::open(&options).await.unwrap());
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'";
    let listed = SERVER.run("columns", sql);
    let of_database: BTreeSet<&str> = listed.lines().collect();
    let tables = tables(&Connection::open(&path).unwrap());
    let of_file: BTreeSet<String> = tables
        .iter()
        .flat_map(|(table, columns)| columns.iter().map(move |(column, ..)| format!("{table}.{column}")))
        .collect();
    let of_file: BTreeSet<&str> = of_file.iter().map(String::as_str).collect();
    let only_there: Vec<&str> = of_database.difference(&of_file).copied().collect();
    let counted = ["audit_head.commits", "audit_head.untold"];
    let leases = ["lease.account", "lease.holder", "lease.name", "lease.until"];
    assert_eq!(only_there, [&counted[..], &leases, &["store_version.id", "store_version.version"]].concat());
    assert_eq!(
        of_file.difference(&of_database).collect::<Vec<_>>(),
        [&"account.retired_root_key", &"audit_head.resolved_upto"]
    );
}

#[tokio::test]
async fn a_later_write_is_noticed_and_not_copied() {
    let (folder, options) = (Folder::new(), database("written"));
    let (from, back) = (folder.path("from.db"), folder.path("back.db"));
    invented_store(&from);
    let writes = Connection::open(&from).unwrap();
    let mut source = Source::file(&from).unwrap();
    // A change that no audit event tells of.
    writes.execute("UPDATE webhook SET position = position + 1", []).unwrap();
    let copy = Target::database(&options).await.unwrap().fill(&mut source, |_| ()).await.unwrap();
    assert!(source.was_written().await.unwrap());
    copy.accept().await.unwrap();
    assert_eq!(SERVER.run("written", "SELECT min(position) FROM webhook"), "999503");

    let mut source = Source::database(&options).await.unwrap();
    SERVER.run("written", "UPDATE audit_head SET commits = commits + 1; UPDATE webhook SET position = 5");
    let copy = Target::file(&back).unwrap().fill(&mut source, |_| ()).await.unwrap();
    assert!(source.was_written().await.unwrap());
    copy.accept().await.unwrap();
    let least: i64 = Connection::open(&back)
        .unwrap()
        .query_row("SELECT min(position) FROM webhook", [], |row| row.get(0))
        .unwrap();
    assert_eq!(least, 999_503);
}

#[tokio::test]
async fn a_copy_that_was_not_accepted_is_no_store_and_begun_anew() {
    let (folder, options) = (Folder::new(), database("unfinished"));
    let from = folder.path("from.db");
    invented_store(&from);
    // Cut off while it is filled: nothing is there, and no server makes a store of it.
    drop(Target::database(&options).await.unwrap());
    assert!(matches!(PostgresStore::open(&options).await, Err(OpenError::Unfinished { .. })));
    assert_eq!(SERVER.run("unfinished", "SELECT count(*) FROM vault"), "0");
    let copy = filled(Source::file(&from).unwrap(), begun_anew(&options).await).await;
    // While it is looked at nobody else begins.
    assert!(matches!(Target::database(&options).await, Err(MoveError::UnderWay(_))));
    for opened in [PostgresStore::open(&options).await, PostgresStore::open_current_to_read(&options).await] {
        assert!(matches!(opened, Err(OpenError::Unfinished { .. })));
    }
    drop(copy);
    assert!(matches!(PostgresStore::open(&options).await, Err(OpenError::Unfinished { .. })));
    let copy = filled(Source::file(&from).unwrap(), begun_anew(&options).await).await;
    copy.accept().await.unwrap();
    drop(PostgresStore::open(&options).await.unwrap());
    assert!(matches!(Target::database(&options).await, Err(MoveError::Occupied(_))));

    let to = folder.path("to.db");
    std::fs::write(folder.path("to.db.part"), "what a copy has left that was cut off").unwrap();
    let target = Target::file(&to).unwrap();
    assert!(matches!(Target::file(&to), Err(MoveError::UnderWay(_))));
    let copy = filled(Source::database(&options).await.unwrap(), target).await;
    drop(copy);
    let left: Vec<_> =
        std::fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("to.db")), "{left:?}");
}

#[tokio::test]
async fn a_text_that_a_database_cannot_keep_is_told() {
    let (folder, options) = (Folder::new(), database("nul"));
    let from = folder.path("from.db");
    invented_store(&from);
    let change = "UPDATE secret SET metadata = 'a' || char(0) || 'b' WHERE account = 300";
    assert_eq!(Connection::open(&from).unwrap().execute(change, []).unwrap(), 1);
    let mut source = Source::file(&from).unwrap();
    let Err(MoveError::Write(error)) =
        Target::database(&options).await.unwrap().fill(&mut source, |_| ()).await
    else {
        panic!("it was taken");
    };
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert!(told.contains("the table secret has a text with a NUL"), "{told}");
}

#[tokio::test]
async fn what_is_altered_on_the_way_is_found() {
    let (folder, options) = (Folder::new(), database("altered"));
    let from = folder.path("from.db");
    invented_store(&from);
    for (change, table) in [
        (
            "UPDATE version SET ciphertext = ciphertext || '\\x00' WHERE number = (SELECT min(number) FROM version)",
            "version",
        ),
        ("UPDATE \"user\" SET role = 'admin' WHERE account = 5", "user"),
        ("DELETE FROM answer WHERE account = 5", "answer"),
        ("UPDATE audit_head SET pruned_by = 8", "audit_head"),
    ] {
        let mut source = Source::file(&from).unwrap();
        let copy = begun_anew(&options).await.fill(&mut source, |_| ()).await.unwrap();
        SERVER.run("altered", change);
        let found = copy.read_back(|_| ()).await.unwrap_err();
        assert!(
            matches!(found, MoveError::Differs { table: differs, .. } if differs == table),
            "{table}: {found}"
        );
    }
}
