//! The PostgreSQL store does what every store has to: on a real server, in every way that it can be spoken to, through a line that
//! fails, among others who want the same rows, and as several nodes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod conformance;
#[path = "postgres/dressed.rs"]
mod dressed;
#[path = "postgres/engines.rs"]
mod engines;
#[path = "postgres/links.rs"]
mod links;
#[path = "postgres/lists.rs"]
mod lists;
#[path = "postgres/nodes.rs"]
mod nodes;
#[path = "postgres/place.rs"]
mod place;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dressed::{InTurn, Patient, Untold};
use place::{Place, Schema};
use strongroom_domain::store::Store;
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::{Options, PostgresStore};

/// One run of all cases at a time: many threads at once, in several of them, would keep the database from answering in time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs every case on a store of its own, which is made with the case's number, and fails with the names of all that failed.
fn conforms(place: &Place, dress: impl AsyncFn(&Schema<'_>, u64) -> Box<dyn Store>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    #[expect(clippy::disallowed_methods, reason = "which case to run alone, for whoever looks for a fault")]
    let only = std::env::var("STRONGROOM_CASE").unwrap_or_default();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    for (number, case) in (0..).zip(conformance::every_case()).filter(|(_, case)| case.name.contains(&only)) {
        let schema = place.schema();
        let run = AssertUnwindSafe(|| {
            runtime.block_on(async {
                let store = dress(&schema, number).await;
                (case.run)(&*store).await;
            });
        });
        if catch_unwind(run).is_err() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "failed, as told above: {failed:#?}");
}

/// The same for a store that is opened with these options, and stands alone.
fn conforms_with(database: &str, set: fn(Options) -> Options, dress: fn(PostgresStore) -> Box<dyn Store>) {
    let open = async |schema: &Schema<'_>| PostgresStore::open(&set(schema.options())).await.unwrap();
    conforms(&Place::new(database), async |schema, _| dress(open(schema).await));
}

#[test]
fn bare() {
    conforms_with("bare", |options| options, |store| Box::new(store));
}

#[test]
fn behind_the_cache() {
    conforms_with("cached", |options| options, |store| Box::new(CachedStore::new(Arc::new(store))));
}

/// As a pooler wants it that hands out connections by transaction.
#[test]
fn without_prepared_statements() {
    conforms_with("unprepared", |options| options.prepare(false), |store| Box::new(store));
}

fn serializable(options: Options) -> Options {
    options.parameter("default_transaction_isolation", "serializable").connections(8)
}

/// As databases are that know no other isolation.
#[test]
fn serializable_alone() {
    conforms_with("serializable", serializable, |store| Box::new(store));
}

/// Another program writes to the end of the log all the time, so that transactions meet it and are refused (40001).
#[test]
fn serializable_among_others() {
    let place = Place::new("disturbed");
    let (current, ended) = (Mutex::<Option<String>>::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let _end = OnDrop(|| ended.store(true, Ordering::SeqCst));
        scope.spawn(|| disturb(&place, &current, &ended));
        conforms(&place, async |schema, _| {
            let store = PostgresStore::open(&serializable(schema.options())).await.unwrap();
            *current.lock().unwrap() = Some(schema.name.clone());
            Box::new(store) as Box<dyn Store>
        });
    });
    let refused = place.refused();
    println!("{refused} transactions were refused");
    assert!(refused > 100, "{refused} transactions were refused: this shows little");
}

/// Holds the end of the log of the current store for a moment, and writes to it; then leaves it alone for as long.
fn disturb(place: &Place, current: &Mutex<Option<String>>, ended: &AtomicBool) {
    while !ended.load(Ordering::SeqCst) {
        let Some(schema) = current.lock().unwrap().clone() else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        // Many times in one go, since each `psql` is a process.
        place.run(&format!(
            "DO $$ BEGIN FOR round IN 1..40 LOOP UPDATE {schema}.audit_head SET commits = commits; \
             PERFORM pg_sleep(0.002); COMMIT; PERFORM pg_sleep(0.008); END LOOP; END $$"
        ));
    }
}

/// Runs something at the end of a scope, however that ends.
pub(crate) struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// One of so many statements breaks its connection: before it is there, before it is answered, or in the middle.
#[test]
fn through_a_line_that_fails() {
    const PIECES: u64 = 150;
    let seed = seed();
    println!("STRONGROOM_SEED={seed} repeats this, as far as threads do");
    let place = Arc::new(Place::behind_a_proxy("unreliable"));
    conforms(&place, async |schema, number| {
        place.proxy().lose_now_and_then(0, seed);
        let store = schema.node().await;
        // Each case is cut in other places, and again in others whenever it was spared.
        let next = AtomicU64::new(seed.wrapping_add(number << 32));
        let of_store = place.clone();
        let spare = move |spare| {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            of_store.proxy().lose_now_and_then(if spare { 0 } else { PIECES }, seed);
        };
        spare(false);
        let untold = Untold { under_way: AtomicUsize::new(0), spare: Box::new(spare) };
        Box::new(Patient { store, untold }) as Box<dyn Store>
    });
    let lost = place.proxy().lost();
    println!("{lost} connections were cut");
    assert!(lost > 100, "{lost} connections were cut: this shows little");
}

#[expect(clippy::disallowed_methods, reason = "a seed of the tests, which have no configuration")]
fn seed() -> u64 {
    let given = std::env::var("STRONGROOM_SEED").ok();
    given.map_or_else(|| u64::from(std::process::id()), |seed| seed.parse().expect("a number"))
}

/// Each thing is asked of the one or the other.
#[test]
fn two_nodes_in_turn() {
    conforms(&Place::new("in_turn"), async |schema, _| {
        let node = async || CachedStore::shared(Arc::new(schema.node().await), false);
        Box::new(InTurn::new(vec![node().await, node().await])) as Box<dyn Store>
    });
}
