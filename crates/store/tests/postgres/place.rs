//! One PostgreSQL server for all tests of this file, and a schema in it for each store.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_store::postgres::{Options, PostgresStore};
use strongroom_testbed::{Postgres, Proxy};

/// The server.
pub(crate) static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let options = strongroom_testbed::Options::default().careless();
    // Each line of its log names the database that it is about.
    let options = options.setting("log_line_prefix", "%d ");
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

    /// How many transactions were refused as others came between (40001), by the server's log.
    pub(crate) fn refused(&self) -> usize {
        let (log, of_this) = (SERVER.log(), format!("{} ERROR:", self.database));
        let refused = |line: &&str| line.starts_with(&of_this) && line.contains("could not serialize access");
        log.lines().filter(refused).count()
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
        self.options_at(&[self.place.proxy.as_ref().map_or(SERVER.address(), Proxy::address)])
    }

    /// How it is reached where it may be in several places.
    pub(crate) fn options_at(&self, places: &[SocketAddr]) -> Options {
        let url = SERVER.url(&self.place.database);
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        let url = url.replace(&SERVER.address().to_string(), &places.join(","));
        let options = Options::parse(&url).unwrap().password(SERVER.password().as_bytes());
        options.parameter("search_path", &self.name)
    }

    /// Keeps all rows as they are, under the name of a moment.
    pub(crate) fn keep(&self, moment: &str) {
        let (name, kept) = (&self.name, self.kept(moment));
        let copies =
            self.tables().map(|table| format!("CREATE TABLE {kept}.{table} AS TABLE {name}.{table};"));
        self.place.run(&format!("CREATE SCHEMA {kept}; {}", copies.collect::<String>()));
    }

    /// Puts all rows back to what they were at a moment, at once: as a standby has them that did not get the last commits, and what was
    /// committed there since.
    pub(crate) fn put_back(&self, moment: &str) {
        let (name, kept) = (&self.name, self.kept(moment));
        let tables: Vec<String> = self.tables().collect();
        let all = tables.iter().map(|table| format!("{name}.{table}")).collect::<Vec<_>>().join(", ");
        let rows = tables.iter().map(|table| format!("INSERT INTO {name}.{table} TABLE {kept}.{table};"));
        // Without the triggers of foreign keys, so that the order of the tables is of no matter.
        let begin = "BEGIN; SET LOCAL session_replication_role = replica;";
        self.place.run(&format!("{begin} TRUNCATE {all}; {} COMMIT", rows.collect::<String>()));
    }

    fn kept(&self, moment: &str) -> String {
        format!("{}_{moment}", self.name)
    }

    fn tables(&self) -> impl Iterator<Item = String> {
        let named =
            self.place.run(&format!("SELECT tablename FROM pg_tables WHERE schemaname = '{}'", self.name));
        named.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    /// A node's store.
    pub(crate) async fn node(&self) -> PostgresStore {
        PostgresStore::open(&self.options()).await.unwrap()
    }
}
