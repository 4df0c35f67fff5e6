//! What a node does when a place of the database, or a connection to it, says nothing, and what it leaves behind there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use strongroom_domain::store::{SharedStore, Store};
use strongroom_domain::{Error, Result};
use strongroom_store::cache::CachedStore;
use strongroom_store::postgres::{Options, PostgresStore};
use strongroom_testbed::{Postgres, Proxy, ROLE, Replication, poll};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::OnDrop;
use crate::conformance::house::House;
use crate::place::{Place, SERVER};

/// Less than a connection is given to be made, and than a statement has: whoever asks goes away first.
const IMPATIENT: Duration = Duration::from_millis(300);

/// Asks again and again, and goes away each time before there can be an answer for as long as there is trouble.
async fn impatiently<T>(what: &str, ask: impl AsyncFn() -> Result<T>) -> T {
    for _ in 0..100 {
        if let Ok(Ok(answer)) = timeout(IMPATIENT, ask()).await {
            return answer;
        }
    }
    panic!("{what}: no answer")
}

/// An address whose packets are dropped: its listener takes nobody, and its queue is full.
struct Silent {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queued: Vec<TcpStream>,
}

impl Silent {
    async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(connected) = timeout(IMPATIENT, TcpStream::connect(address)).await {
            queued.push(connected.unwrap());
        }
        Self { address, _listener: listener, _queued: queued }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_host_is_found_behind_one_that_drops_packets_by_whoever_goes_away_meanwhile() {
    let place = Place::new("links_silent");
    let schema = place.schema();
    let silent = Silent::new().await;
    let second = Proxy::to(SERVER.address());
    let store = PostgresStore::open(&schema.options_at(&[silent.address, second.address()])).await.unwrap();
    let house = House::build(&store).await;
    for round in 0..3 {
        // No connection is left, and the first host is as silent as before.
        second.drop_connections();
        impatiently("others' changes", async || store.changed_by_others(None).await).await;
        house.add_vault(&round.to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_host_is_found_behind_one_that_takes_connections_and_says_nothing() {
    let place = Place::new("links_frozen");
    let schema = place.schema();
    let (first, second) = (Proxy::to(SERVER.address()), Proxy::to(SERVER.address()));
    let options = schema.options_at(&[first.address(), second.address()]);
    first.hold();
    let store = PostgresStore::open(&options).await.unwrap();
    House::build(&store).await;
}

/// By its looks, each of which is given up after two seconds, and by changes, which ask for a look first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_host_freezes_goes_on_with_the_other_one_by_itself() {
    let place = Place::new("links_failover");
    let schema = place.schema();
    let (first, second) = (Proxy::to(SERVER.address()), Proxy::to(SERVER.address()));
    let options = schema.options_at(&[first.address(), second.address()]);
    let store = CachedStore::shared(Arc::new(PostgresStore::open(&options).await.unwrap()), false);
    let house = House::build(&store).await;
    first.hold();
    let mut tries = 0;
    while house.vault_insert(&house.vault(&format!("vault-{tries}"))).await.is_err() {
        tries += 1;
        assert!(tries < 20, "changes are answered 503 for ever");
    }
    // The host comes back as a standby would that nobody needs: what was found stays.
    house.add_vault("after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_never_answer_again_are_not_given_to_the_next_who_asks() {
    let place = Place::behind_a_proxy("links_stranded");
    let schema = place.schema();
    let store = PostgresStore::open(&schema.options().connections(3)).await.unwrap();
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    for _ in 0..3 {
        // Whatever is open then is in the pools.
        store.changed_by_others(None).await.unwrap();
        place.proxy().strand();
        impatiently("others' changes", async || store.changed_by_others(None).await).await;
        let found = impatiently("a vault", async || store.vault_find(house.account, vault.id).await).await;
        assert_eq!(found.unwrap().id, vault.id);
        house.add_vault(&house.stamp().ksuid.to_string()).await;
    }
}

/// Holds a lock in a database until it is dropped.
fn hold<'s>(scope: &'s thread::Scope<'s, '_>, server: &'s Postgres, database: &'s str, lock: &str) {
    let held = format!("BEGIN; {lock}; SET LOCAL application_name = 'held'; SELECT pg_sleep(15)");
    scope.spawn(move || server.run(database, &held));
    poll("the lock is held", || is_held(server, database).then_some(()));
}

fn is_held(server: &Postgres, database: &str) -> bool {
    let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'held' AND state = 'active' AND datname = ";
    server.run("postgres", &format!("{held}'{database}'")) != "0"
}

/// How many processes serve nodes of a database, and how many of those wait for a lock.
fn serving(server: &Postgres, database: &str) -> (usize, usize) {
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity \
         WHERE datname = '{database}' AND usename = '{ROLE}'"
    );
    let counts = server.run("postgres", &sql);
    let (all, waiting) = counts.split_once('|').unwrap();
    (all.parse().unwrap(), waiting.parse().unwrap())
}

/// What looks at what others changed has one connection. It must not wait for the one that it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_loses_its_only_connection_asks_on_another_at_once() {
    let place = Place::behind_a_proxy("looks");
    let schema = place.schema();
    let store = schema.node().await;
    store.changed_by_others(None).await.unwrap();
    place.proxy().slow(Duration::from_millis(300));
    let losing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        place.proxy().slow(Duration::ZERO);
        place.proxy().drop_connections();
    };
    let (looked, ()) = tokio::join!(store.changed_by_others(None), losing);
    looked.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_stops_what_nobody_waits_for_any_more() {
    const DATABASE: &str = "links_abandoned";
    let place = Place::new(DATABASE);
    let schema = place.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    thread::scope(|scope| {
        let lock = format!("LOCK TABLE {}.vault IN ACCESS EXCLUSIVE MODE", schema.name);
        hold(scope, &SERVER, DATABASE, &lock);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..30 {
                    let asked = timeout(IMPATIENT, store.vault_find(house.account, vault.id)).await;
                    assert!(asked.is_err(), "{asked:?}");
                }
            });
        });
        poll("none of them waits", || (serving(&SERVER, DATABASE).1 == 0).then_some(()));
        assert!(is_held(&SERVER, DATABASE), "they were stopped, and did not come to their end");
    });
    assert!(store.vault_find(house.account, vault.id).await.unwrap().is_some());
}

/// Many changes at once; how each ended, and the largest number of processes that served them.
async fn changes(
    server: &Postgres,
    database: &str,
    store: &Arc<PostgresStore>,
    house: &House<'_>,
) -> (usize, usize) {
    let changing: Vec<_> = (0..30)
        .map(|number| {
            let (store, account, vault) =
                (store.clone(), house.account, house.vault(&format!("vault-{number}")));
            let event = house.event(&vault, strongroom_domain::audit::Action::Created);
            tokio::spawn(async move { store.vault_insert(account, vault, None, event.into()).await })
        })
        .collect();
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::SeqCst) {
                most = most.max(serving(server, database).0);
                thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let _end = OnDrop(|| ended.store(true, Ordering::SeqCst));
        let made = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut made = 0;
                for change in changing {
                    match change.await.unwrap() {
                        Ok(()) => made += 1,
                        Err(Error::Unavailable(_)) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                made
            })
        });
        ended.store(true, Ordering::SeqCst);
        (made, most.join().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_wait_for_a_lock_leave_no_more_processes_than_the_node_has_connections() {
    const DATABASE: &str = "links_locked";
    let place = Place::new(DATABASE);
    let schema = place.schema();
    let store = Arc::new(schema.node().await);
    let house = House::build(&*store).await;
    let (made, most) = thread::scope(|scope| {
        let lock = format!("SELECT FROM {}.audit_head FOR UPDATE", schema.name);
        hold(scope, &SERVER, DATABASE, &lock);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(changes(&SERVER, DATABASE, &store, &house))
        })
    });
    println!("{made} of 30 changes were made; {most} processes at most");
    assert!(most <= Options::CONNECTIONS, "{most} processes");
    house.add_vault("after").await;
    assert_eq!(store.counts().await.unwrap().vaults, made as u64 + 1);
    assert!(serving(&SERVER, DATABASE).0 <= Options::CONNECTIONS);
}

/// The one that holds the log waits for a standby that is gone. It is not told to be made, and is not given up either: where the database
/// would stop waiting it would be made without the standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_behind_a_commit_that_waits_for_a_standby_pile_up_nowhere_and_none_is_acknowledged() {
    let server = Postgres::start(strongroom_testbed::Options::default().careless());
    server.create_database("store");
    let options = Options::parse(&server.url("store")).unwrap().password(server.password().as_bytes());
    let store = Arc::new(PostgresStore::open(&options).await.unwrap());
    let house = House::build(&*store).await;
    server.commits_wait(Replication::Synchronous);
    let (made, most) = changes(&server, "store", &store, &house).await;
    println!("{made} of 30 changes were made; {most} processes at most");
    assert_eq!(made, 0, "nothing is acknowledged that the standby does not have");
    // One of them is left to wait by itself.
    assert!(most <= Options::CONNECTIONS + 1, "{most} processes");
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    assert_eq!(server.run("postgres", waits), "1", "the database goes on waiting for the standby");
    server.commits_wait(Replication::Asynchronous);
    poll("the commit is done", || (server.run("postgres", waits) == "0").then_some(()));
    house.add_vault("after").await;
    assert_eq!(store.counts().await.unwrap().vaults, 2, "the one whose commit was sent, and the last");
    assert!(serving(&server, "store").0 <= Options::CONNECTIONS);
}
