//! Where the store of a world is: in a file, or, where `STRONGROOM_TEST_STORE=postgres` says so, in a schema of a PostgreSQL
//! server that the tests of a binary share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use strongroom_domain::store::Store;
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::{self, PostgresStore};
use strongroom_store::sqlite::SqliteStore;
use strongroom_testbed::{Options, Postgres, is_postgres};
use tempfile::TempDir;

const DATABASE: &str = "worlds";

static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let server = Postgres::start(Options::default().careless().setting("max_connections", "400"));
    server.create_database(DATABASE);
    server
});

/// A store that is new, and the folder that goes with it once the test ends.
pub(crate) type Placed = (Arc<dyn Store>, Option<TempDir>);

pub(crate) async fn new_store() -> Placed {
    if is_postgres() { (in_schema().await, None) } else { in_file() }
}

pub(crate) fn in_file() -> Placed {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    (Arc::new(CachedStore::new(Arc::new(store))), Some(folder))
}

async fn in_schema() -> Arc<dyn Store> {
    static SCHEMAS: AtomicU64 = AtomicU64::new(0);
    let schema = format!("world_{}", SCHEMAS.fetch_add(1, Ordering::Relaxed));
    SERVER.create_schema(DATABASE, &schema);
    let options = postgres::Options::parse(&SERVER.schema_url(DATABASE, &schema)).unwrap();
    let options = options.password(SERVER.password().as_bytes()).connections(4);
    let store = CachedStore::shared(Arc::new(PostgresStore::open(&options).await.unwrap()), false);
    // The first look has all forgotten; what is kept from then on is kept.
    store.catch_up().await.unwrap();
    Arc::new(store)
}
