//! One PostgreSQL server for all tests of this file, and a schema in it for each store.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_store::postgres::{Options, PostgresStore};
use strongroom_testbed::{Postgres, Proxy};

/// The server.
pub(crate) static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let options = strongroom_testbed::Options::default().careless();
    Postgres::start(options.setting("max_connections", "400"))
});

/// A database, and schemas in it that are all empty at first.
pub(crate) struct Place {
    database: String,
    /// What stands between the stores and the server.
    proxy: Option<Proxy>,
    schemas: AtomicU64,
}

impl Place {
    pub(crate) fn new(database: &str) -> Self {
        SERVER.create_database(database);
        Self { database: database.to_owned(), proxy: None, schemas: AtomicU64::new(0) }
    }

    /// The same, reached by way of a proxy.
    pub(crate) fn behind_a_proxy(database: &str) -> Self {
        Self { proxy: Some(Proxy::to(SERVER.address())), ..Self::new(database) }
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("it was made with one")
    }

    /// Runs statements in it.
    pub(crate) fn run(&self, statements: &str) -> String {
        SERVER.run(&self.database, statements)
    }

    /// The same, where it may fail.
    pub(crate) fn try_run(&self, statements: &str) -> Result<String, String> {
        SERVER.try_run(&self.database, statements)
    }

    /// A new schema.
    pub(crate) fn schema(&self) -> Schema<'_> {
        let name = format!("store_{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        SERVER.create_schema(&self.database, &name);
        Schema { place: self, name }
    }
}

/// Where a store is.
pub(crate) struct Schema<'a> {
    place: &'a Place,
    pub(crate) name: String,
}

impl Schema<'_> {
    /// How it is reached.
    pub(crate) fn options(&self) -> Options {
        let address = self.place.proxy.as_ref().map_or(SERVER.address(), Proxy::address);
        let url = SERVER.url_at(address, &self.place.database);
        let options = Options::parse(&url).unwrap().password(SERVER.password().as_bytes());
        options.parameter("search_path", &self.name)
    }

    /// A node's store.
    pub(crate) async fn node(&self) -> PostgresStore {
        PostgresStore::open(&self.options()).await.unwrap()
    }
}
