//! The stores of the servers under test: files in their data folders, or, where `STRONGROOM_TEST_STORE=postgres` says so, schemas
//! of a PostgreSQL server that the tests of a binary share, one for each data folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use strongroom_domain::store::Store;
use strongroom_store::postgres::{self, PostgresStore};
use strongroom_store::sqlite::SqliteStore;
use strongroom_testbed::{Options, Postgres, is_postgres};

const DATABASE: &str = "stores";

static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let server = Postgres::start(Options::default().careless().setting("max_connections", "400"));
    server.create_database(DATABASE);
    server
});

static SCHEMAS: LazyLock<Mutex<HashMap<PathBuf, String>>> = LazyLock::new(Mutex::default);

/// The settings that name the store which belongs to the data folder among a command's arguments; none where it is in that folder.
pub(crate) fn settings(args: &[&str]) -> Vec<(&'static str, String)> {
    let names_one = args.iter().any(|arg| arg.starts_with("--database"));
    let data = args.iter().position(|arg| *arg == "--data-dir").and_then(|at| args.get(at + 1));
    match data {
        Some(data) if is_postgres() && !names_one => vec![
            ("STRONGROOM_DATABASE", SERVER.schema_url(DATABASE, &schema_of(Path::new(data)))),
            ("STRONGROOM_DATABASE_PASSWORD_FILE", SERVER.password_file().display().to_string()),
            ("STRONGROOM_DATABASE_CONNECTIONS", "4".to_owned()),
        ],
        _ => Vec::new(),
    }
}

/// The store of a data folder, to be read.
pub(crate) async fn open_to_read(data: &Path) -> Arc<dyn Store> {
    if !is_postgres() {
        return Arc::new(SqliteStore::open_to_read(&data.join("strongroom.db")).unwrap());
    }
    let options = postgres::Options::parse(&SERVER.schema_url(DATABASE, &schema_of(data))).unwrap();
    let options = options.password(SERVER.password().as_bytes());
    Arc::new(PostgresStore::open_current_to_read(&options).await.unwrap())
}

/// The folders with the files of all stores, and with the log of the database's server; all that it held in memory is written.
pub(crate) fn folders() -> [PathBuf; 2] {
    SERVER.run(DATABASE, "CHECKPOINT");
    let own =
        SERVER.run(DATABASE, "SELECT 'base/' || oid FROM pg_database WHERE datname = current_database()");
    [own.as_str(), "pg_wal"].map(|folder| SERVER.data_folder().join(folder))
}

fn schema_of(data: &Path) -> String {
    let mut schemas = SCHEMAS.lock().unwrap();
    let number = schemas.len();
    let make = || {
        let name = format!("store_{number}");
        SERVER.create_schema(DATABASE, &name);
        name
    };
    schemas.entry(data.to_owned()).or_insert_with(make).clone()
}
