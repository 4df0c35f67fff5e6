//! The PostgreSQL store does what every store has to: on a real server, in every way that it can be spoken to.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use strongroom_domain::store::Store;
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::{Options, PostgresStore};
use strongroom_testbed::{Postgres, ROLE};

/// One server for all tests of this file, each in a database of its own.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    Postgres::start(strongroom_testbed::Options::default().careless().setting("max_connections", "400"))
});

static BUSY: Mutex<()> = Mutex::new(());

/// Runs every case on a store of its own, and fails with the names of all that failed.
fn conforms(database: &str, set: fn(Options) -> Options, dress: fn(PostgresStore) -> Box<dyn Store>) {
    SERVER.create_database(database);
    let schemas: String = (0..conformance::every_case().count())
        .map(|number| format!("CREATE SCHEMA case_{number} AUTHORIZATION {ROLE};"))
        .collect();
    SERVER.run(database, &schemas);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let only = std::env::var("STRONGROOM_CASE").unwrap_or_default();
    let mut failed = Vec::new();
    for (number, case) in conformance::every_case().enumerate().filter(|(_, case)| case.name.contains(&only))
    {
        let options = Options::parse(&SERVER.url(database)).unwrap().password(SERVER.password().as_bytes());
        let options = set(options).parameter("search_path", &format!("case_{number}"));
        // Cases of many threads at once are not to keep each other's servers from answering in time.
        let busy = ["coherence", "concurrency"].iter().any(|busy| case.name.contains(busy));
        let _turn = busy.then(|| BUSY.lock().unwrap_or_else(PoisonError::into_inner));
        let begun = Instant::now();
        let run = AssertUnwindSafe(|| {
            runtime.block_on(async {
                let store = dress(PostgresStore::open(&options).await.unwrap());
                (case.run)(&*store).await;
            });
        });
        if catch_unwind(run).is_err() {
            failed.push(case.name);
        }
        if begun.elapsed().as_millis() > 500 {
            eprintln!("{} {:?}", case.name, begun.elapsed());
        }
    }
    assert!(failed.is_empty(), "failed, as told above: {failed:#?}");
}

#[test]
fn bare() {
    conforms("bare", |options| options, |store| Box::new(store));
}

#[test]
fn behind_the_cache() {
    conforms("cached", |options| options, |store| Box::new(CachedStore::new(Arc::new(store))));
}

/// As a pooler wants it that hands out connections by transaction.
#[test]
fn without_prepared_statements() {
    conforms("unprepared", |options| options.prepare(false), |store| Box::new(store));
}

/// As databases are that know no other isolation.
#[test]
fn serializable() {
    let serializable =
        |options: Options| options.parameter("default_transaction_isolation", "serializable").connections(8);
    conforms("serializable", serializable, |store| Box::new(store));
}
