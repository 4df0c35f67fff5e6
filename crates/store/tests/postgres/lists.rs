//! What takes long to read keeps nobody else waiting, and ends.

use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_domain::Error;
use strongroom_domain::audit::{Action, Event, EventQuery, Order};
use strongroom_domain::page::PageLimit;
use strongroom_domain::rotation::{Kind, Rotation};
use strongroom_domain::secret::Secret;
use strongroom_domain::store::{Lease, LeaseStore, NodeId, RotationStore, Store};
use strongroom_testbed::poll;

use crate::conformance::house::{House, filtered, page};
use crate::place::{Place, Schema};

static PLACE: LazyLock<Place> = LazyLock::new(|| Place::new("lists"));

/// A table that nobody else can read, until this is dropped.
struct Locked {
    schema: String,
    holding: Option<thread::JoinHandle<()>>,
}

impl Locked {
    fn table(schema: &Schema<'_>, table: &str) -> Self {
        let table = format!("{}.{table}", schema.name);
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(100)");
        let holding = Some(thread::spawn(move || drop(PLACE.try_run(&lock))));
        let granted = format!(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = '{table}'::regclass"
        );
        poll("the table is locked", || (PLACE.run(&granted) != "0").then_some(()));
        Self { schema: schema.name.clone(), holding }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let end =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK TABLE ";
        PLACE.run(&format!("{end}{}.%'", self.schema));
        if let Some(holding) = self.holding.take() {
            holding.join().unwrap();
        }
    }
}

/// Statements of lists that the database has under way, or that wait in it.
fn under_way(schema: &Schema<'_>) -> u64 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE relation = '{}.resolved'::regclass \
         AND query LIKE 'SELECT %resolved.at%'",
        schema.name
    );
    PLACE.run(&sql).parse().unwrap()
}

/// Far more lists than there are connections, half of which nobody waits for any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_leave_connections_to_changes_lookups_and_leases() {
    let schema = PLACE.schema();
    let store = Arc::new(schema.node().await);
    let house = House::build(&*store).await;
    let vault = house.add_vault("vault").await;
    let mut secret = house.add_secret(&vault, "secret").await;
    let locked = Locked::table(&schema, "resolved");
    let list = || {
        let (store, account) = (store.clone(), house.account);
        let query = filtered(Secret::FIELDS, "obj.description.contains('secret')");
        tokio::spawn(async move { store.detail_list(account, None, None, query).await })
    };
    let given_up: Vec<_> = (0..20).map(|_| list()).collect();
    poll("they are under way", || (under_way(&schema) >= 7).then_some(()));
    given_up.into_iter().for_each(|list| list.abort());
    let lists: Vec<_> = (0..20).map(|_| list()).collect();
    // Longer than anybody waits for a connection.
    let (begun, mut round) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(6) {
        round += 1;
        house.add_vault(&format!("v{round}")).await;
        secret.revision += 1;
        house.secret_update(&secret, None).await.unwrap();
        assert!(store.secret_find(house.account, secret.id).await.unwrap().is_some());
        // A short list is none of those that wait for their turn.
        assert_eq!(house.secrets(Some(vault.id), page(None, 10)).await.unwrap().items.len(), 1);
        let (holder, span) = (NodeId::from_bytes([1; 16]), Duration::from_secs(60));
        assert!(store.lease_take(house.account, Lease::Sweeping, holder, span).await.unwrap());
        let under_way = under_way(&schema);
        assert!(under_way <= 7, "{under_way} lists are under way");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    drop(locked);
    for list in lists {
        assert_eq!(list.await.unwrap().unwrap().items.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_takes_too_long_ends_in_the_database_too() {
    let schema = PLACE.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let _locked = Locked::table(&schema, "resolved");
    let query = filtered(Secret::FIELDS, "obj.description.contains('secret')");
    let listed = store.detail_list(house.account, None, None, query).await;
    assert!(matches!(listed, Err(Error::Unavailable(_))), "{:?}", listed.map(|list| list.items.len()));
    poll("nothing is under way", || (under_way(&schema) == 0).then_some(()));
}

/// Each thousand records are a statement, none of which takes long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_of_the_log_has_a_deadline() {
    let place = Place::behind_a_proxy("search");
    let schema = place.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    for _ in 0..20 {
        let events = (0..1000).map(|_| house.event(&vault, Action::Resolved)).collect();
        store.secret_resolved(house.account, events).await.unwrap();
    }
    let filter = filtered(Event::FIELDS, "obj.event_type == 'never'").filter;
    let query =
        EventQuery { order: Order::NewestFirst, past: None, limit: PageLimit::new(100).unwrap(), filter };
    assert!(store.audit_page(query.clone()).await.unwrap().items.is_empty());
    place.proxy().slow(Duration::from_millis(900));
    let found = store.audit_page(query).await;
    assert!(matches!(found, Err(Error::Unavailable(_))), "{:?}", found.map(|page| page.items.len()));
}

/// Whether a rotation is at its end is looked at before the log is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_go_on_while_all_values_of_a_vault_are_looked_through() {
    let schema = PLACE.schema();
    let store = Arc::new(schema.node().await);
    let house = House::build(&*store).await;
    let vault = house.add_vault("vault").await;
    house.add_secret(&vault, "secret").await;
    let rotation = Rotation { vault: vault.id, kind: Kind::DataKeys, started_at: house.stamp().at, done: 0 };
    let event = house.event(&vault, Action::RotationStarted);
    store.rotation_begin(house.account, rotation, None, event).await.unwrap();
    let locked = Locked::table(&schema, "version");
    let (of_end, account, event) = (store.clone(), house.account, house.event(&vault, Action::Rotated));
    let end =
        tokio::spawn(async move { of_end.rotation_end(account, vault.id, Kind::DataKeys, event).await });
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.add_vault(&format!("v{round}")).await;
    }
    assert!(!end.is_finished(), "it has looked at nothing");
    drop(locked);
    let ended = end.await.unwrap();
    assert!(matches!(ended, Err(Error::NotEmpty)), "{ended:?}");
}
