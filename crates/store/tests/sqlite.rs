//! The SQLite store does what every store has to, bare and behind the cache.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use strongroom_domain::store::Store;
use strongroom_store::cache::CachedStore;
use strongroom_store::sqlite::SqliteStore;

/// Runs every case on a store of its own, and fails with the names of all that failed.
fn conforms(dress: fn(SqliteStore) -> Box<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut failed = Vec::new();
    for case in conformance::every_case() {
        let folder = tempfile::tempdir().unwrap();
        let store = dress(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let run = AssertUnwindSafe(|| runtime.block_on((case.run)(&*store)));
        if catch_unwind(run).is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "failed, as told above: {failed:#?}");
}

#[test]
fn bare() {
    conforms(|store| Box::new(store));
}

#[test]
fn behind_the_cache() {
    conforms(|store| Box::new(CachedStore::new(Arc::new(store))));
}
