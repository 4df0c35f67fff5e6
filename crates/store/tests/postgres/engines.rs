//! What engines do that speak PostgreSQL's protocol and are not PostgreSQL, as far as PostgreSQL can be brought to do it: tables that
//! are made without a transaction, commits whose end nobody knows, functions that are not there. And the encodings that it has.

use std::sync::{Arc, LazyLock};
use std::thread;

use strongroom_crypto::{SealedValue, WrappedKey};
use strongroom_domain::Error;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::Version;
use strongroom_domain::store::Store;
use strongroom_store::postgres::{OpenError, Options, PostgresStore};
use strongroom_testbed::Towards;

use crate::conformance::house::House;
use crate::conformance::values::resolved_event;
use crate::place::{Place, SERVER, Schema};

static PLACE: LazyLock<Place> = LazyLock::new(|| Place::new("engines"));

const FIRST: &str = include_str!("../../migrations/postgres/0001_first.sql");
const VERSION_0: &str = "CREATE TABLE store_version (id BIGINT PRIMARY KEY, version BIGINT NOT NULL); \
                         INSERT INTO store_version VALUES (1, 0)";

/// The statements of the first migration.
fn statements() -> Vec<&'static str> {
    let statements: Vec<&str> = FIRST.split_inclusive(';').filter(|one| one.contains(';')).collect();
    let made = |what: &str| statements.iter().filter(|statement| statement.contains(what)).count();
    assert_eq!(made("CREATE ") + made("INSERT "), statements.len(), "they are told apart by their ends");
    statements
}

/// Runs statements in a schema as who owns it, each by itself.
fn run_in(schema: &Schema<'_>, statements: &[&str]) -> Result<String, String> {
    let begin = format!("SET ROLE strongroom; SET search_path = {}", schema.name);
    // One text is one transaction for `psql`, unless it says where each ends.
    let each: Vec<&str> = statements.iter().flat_map(|statement| ["BEGIN;", statement, ";COMMIT;"]).collect();
    PLACE.try_run(&format!("{begin}; {}", each.concat()))
}

/// All that a schema has: tables, columns, what is unique, and the row that is there from the start.
fn made_in(schema: &Schema<'_>) -> String {
    let name = &schema.name;
    PLACE.run(&format!(
        "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default \
         FROM information_schema.columns WHERE table_schema = '{name}' ORDER BY table_name, ordinal_position; \
         SELECT replace(indexdef, '{name}.', '') FROM pg_indexes WHERE schemaname = '{name}' ORDER BY 1; \
         SELECT * FROM {name}.audit_head; SELECT * FROM {name}.store_version"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_was_cut_off_after_any_statement_is_finished() {
    let whole = PLACE.schema();
    drop(whole.node().await);
    let (whole, statements) = (made_in(&whole), statements());
    assert!(statements.len() > 30, "{} statements", statements.len());
    for done in 0..=statements.len() {
        let schema = PLACE.schema();
        run_in(&schema, &[&[VERSION_0], &statements[..done]].concat()).unwrap();
        let opened = PostgresStore::open(&schema.options()).await;
        assert!(opened.is_ok(), "after {done} statements: {:?}", opened.err());
        assert_eq!(made_in(&schema), whole, "after {done} statements");
    }
}

/// Others make the same tables statement by statement, each at once there for all to see, while stores open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_meet_while_tables_are_made_without_a_transaction_all_open() {
    for _ in 0..6 {
        let schema = PLACE.schema();
        run_in(&schema, &[VERSION_0]).unwrap();
        let nodes = thread::scope(|scope| {
            for _ in 0..3 {
                // What another is about to make is an error to it: then it begins once more.
                scope.spawn(|| while run_in(&schema, &statements()).is_err() {});
            }
            let opening = (0..3).map(|_| {
                let options = schema.options();
                scope.spawn(move || {
                    tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap()
                        .block_on(async { PostgresStore::open(&options).await.map(drop) })
                })
            });
            let opening: Vec<_> = opening.collect();
            opening.into_iter().map(|opening| opening.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(nodes.iter().all(Result::is_ok), "{nodes:?}");
        let store = schema.node().await;
        House::build(&store).await;
    }
}

/// Begins with a database as it is found: makes the tables if there are none, and the account if there is none.
async fn begin(options: &Options) -> (PostgresStore, bool) {
    let store = PostgresStore::open(options).await.unwrap();
    // Records of an account that is another one's than each other node's.
    let elsewhere = PLACE.schema();
    let there = elsewhere.node().await;
    let house = House::build(&there).await;
    let (account, user, key) = house.founding();
    let events = vec![house.event(&key, Action::Created)];
    let made = store.account_insert(account, user, key, Vec::new(), events).await;
    assert!(matches!(made, Ok(()) | Err(Error::Stale)), "{made:?}");
    (store, made.is_ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_begin_with_an_empty_database_at_the_same_moment_one_makes_the_account() {
    for _ in 0..8 {
        let schema = PLACE.schema();
        let options = [schema.options(), schema.options()];
        let [one, other] = options.map(|options| tokio::spawn(async move { begin(&options).await }));
        let (one, other) = tokio::join!(one, other);
        let ((one, by_one), (other, by_other)) = (one.unwrap(), other.unwrap());
        assert!(by_one != by_other, "made by the one: {by_one}, by the other: {by_other}");
        let accounts =
            (one.account_find().await.unwrap().unwrap(), other.account_find().await.unwrap().unwrap());
        assert_eq!(accounts.0.id, accounts.1.id);
        for store in [&one, &other] {
            assert_eq!(store.audit_head().await.unwrap().sequence, 1, "one log with one record");
            assert!(strongroom_domain::app::audit::verify(store, |_| ()).await.unwrap().is_ok());
        }
        let rows = |table: &str| PLACE.run(&format!("SELECT count(*) FROM {}.{table}", schema.name));
        assert_eq!(["account", "\"user\"", "api_key", "audit", "audit_head"].map(rows), ["1"; 5]);
    }
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("in_{}", encoding.to_lowercase());
        SERVER.run(
            "postgres",
            &format!(
                "CREATE DATABASE {name} OWNER strongroom TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
            ),
        );
        let options = Options::parse(&SERVER.url(&name)).unwrap().password(SERVER.password().as_bytes());
        for opened in
            [PostgresStore::open(&options).await, PostgresStore::open_current_to_read(&options).await]
        {
            let refused = opened.err().expect("it does for no store");
            assert!(
                matches!(&refused, OpenError::Encoding { found, .. } if found == encoding),
                "{refused:?}"
            );
        }
        assert_eq!(
            SERVER.run(&name, "SELECT count(*) FROM pg_tables WHERE tablename = 'store_version'"),
            "0"
        );
    }
}

/// Has one commit in so many fail at its end with an error, as its last check. A sequence counts, since no rollback takes back what it
/// gave.
fn fail_commits(schema: &Schema<'_>, one_in: u32, code: &str) {
    let name = &schema.name;
    PLACE.run(&format!(
        "CREATE SEQUENCE {name}.commits_tried; \
         CREATE FUNCTION {name}.fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
         IF nextval('{name}.commits_tried') % {one_in} = 0 THEN RAISE 'as was asked' USING ERRCODE = '{code}'; END IF; \
         RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON {name}.audit_head DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION {name}.fail()"
    ));
}

/// Changes of each kind, several at once. How many were done; each that was not is told so in this way.
async fn change(store: &Arc<PostgresStore>, house: &House<'_>, refused: fn(&Error) -> bool) -> u64 {
    let (account, mut done) = (house.account, 0);
    for round in 0..12 {
        let vault = house.vault(&format!("vault-{round}"));
        let event = house.event(&vault, Action::Created);
        let mut changes = vec![{
            let (store, vault) = (store.clone(), vault.clone());
            tokio::spawn(async move { store.vault_insert(account, vault, None, event.into()).await })
        }];
        for _ in 0..4 {
            let (store, event) = (store.clone(), house.event(&vault, Action::Resolved));
            changes.push(tokio::spawn(async move { store.secret_resolved(account, vec![event]).await }));
        }
        for change in changes {
            match change.await.unwrap() {
                Ok(()) => done += 1,
                Err(error) => assert!(refused(&error), "{error:?}"),
            }
        }
    }
    done
}

/// What the database refuses at the end of a commit was not done: it is tried again, or told, and is in the log as often as it was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_whose_commit_fails_are_made_once_or_told_not_to_be() {
    let never: fn(&Error) -> bool = |_| false;
    let internal: fn(&Error) -> bool = |error| matches!(error, Error::Internal(_));
    for (code, refused) in [
        ("40001", never),
        ("40P01", never),
        // Of these the log tells.
        ("40003", never),
        ("58030", never),
        ("XX000", internal),
        ("23514", internal),
    ] {
        let schema = PLACE.schema();
        let store = Arc::new(schema.node().await);
        let house = House::build(&*store).await;
        let before = store.audit_head().await.unwrap().sequence;
        fail_commits(&schema, 3, code);
        let done = change(&store, &house, refused).await;
        assert_eq!(store.audit_head().await.unwrap().sequence - before, done, "{code}");
        assert_eq!(
            PLACE.run(&format!("SELECT count(*) FROM {}.audit", schema.name)),
            (before + done).to_string()
        );
        let tried: u64 =
            PLACE.run(&format!("SELECT last_value FROM {}.commits_tried", schema.name)).parse().unwrap();
        assert!(tried > 12, "{code}: {tried} commits were tried");
        assert!(strongroom_domain::app::audit::verify(&*store, |_| ()).await.unwrap().is_ok(), "{code}");
    }
}

/// What PostgreSQL answers to a commit that it has done, and what another engine may answer all the same.
const COMMITTED: &[u8] = b"C\0\0\0\x0bCOMMIT\0";

fn error_response(code: &str) -> Vec<u8> {
    let fields = format!("SERROR\0VERROR\0C{code}\0Mresult is ambiguous\0\0");
    let length = u32::try_from(fields.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat()
}

/// The commit was done, and the database says that it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_was_done_and_answered_with_an_error_is_made_once() {
    let place = Place::behind_a_proxy("ambiguous");
    let schema = place.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let mut secret = house.add_secret(&vault, "secret").await;
    for code in ["40003", "XXUUU", "58000"] {
        let before = store.audit_head().await.unwrap().sequence;
        let lie = || place.proxy().exchange(Towards::Client, COMMITTED, &error_response(code));
        lie();
        house.add_vault(code).await;
        lie();
        secret.revision += 1;
        house.secret_update(&secret, None).await.unwrap();
        lie();
        let event = house.event(&vault, Action::Resolved);
        store.secret_resolved(house.account, vec![event]).await.unwrap();
        assert_eq!(place.proxy().to_exchange(), 0, "{code}: what was to be answered was");
        assert_eq!(store.audit_head().await.unwrap().sequence, before + 3, "{code}");
        let found = store.secret_find(house.account, secret.id).await.unwrap().unwrap();
        assert_eq!(found.revision, secret.revision, "{code}");

        // No record tells of this one: nobody can find out, and it is not tried again.
        lie();
        let pruned = store.version_prune(house.account, vec![(secret.id, 9)]).await;
        assert!(matches!(pruned, Err(Error::Unavailable(_))), "{code}: {pruned:?}");
        assert_eq!(place.proxy().to_exchange(), 0, "{code}");
    }
    assert!(strongroom_domain::app::audit::verify(&store, |_| ()).await.unwrap().is_ok());
}

/// Two who change the same value at once, in one batch with others: what the refused one was to prune and to mark is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_refused_change_of_a_value_nothing_is_done() {
    let schema = PLACE.schema();
    let store = Arc::new(schema.node().await);
    let house = House::build(&*store).await;
    let vault = house.add_vault("vault").await;
    let mut secrets = Vec::new();
    for number in 0..12 {
        secrets.push(house.add_secret(&vault, &number.to_string()).await);
    }
    let mut changes = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        for rival in [number % 2, 1 - number % 2] {
            let mut secret = secret.clone();
            (secret.revision, secret.version) = (2, 2);
            // The first rival keeps all, and the second the current one alone; each has a time and a key of its own.
            secret.updated_at += std::time::Duration::from_secs(rival as u64 + 1);
            let key = format!("{} by rival {rival}", secret.id).into_bytes();
            let version = Version {
                sealed: SealedValue { wrapped_key: WrappedKey::from_bytes(key.clone()), ciphertext: key },
                ..house.version(&secret)
            };
            let (event, keep) = (house.event(&secret, Action::Updated), if rival == 0 { 10 } else { 1 });
            let (store, account) = (store.clone(), house.account);
            let change = async move {
                (rival, store.secret_update(account, secret, Some(version), keep, event).await)
            };
            changes.push(tokio::spawn(change));
        }
    }
    let mut won = Vec::new();
    for change in changes {
        match change.await.unwrap() {
            (rival, Ok(())) => won.push(rival),
            (_, refused) => assert!(matches!(refused, Err(Error::Stale)), "{refused:?}"),
        }
    }
    assert_eq!(won.len(), secrets.len());
    for (secret, rival) in secrets.iter().zip(won) {
        let kept = store.version_kept(house.account, secret.id).await.unwrap();
        let kept: Vec<_> = kept.iter().map(|kept| (kept.number, kept.replaced_at)).collect();
        let at = secret.updated_at + std::time::Duration::from_secs(1);
        let expected = if rival == 0 { vec![(2, None), (1, Some(at))] } else { vec![(2, None)] };
        assert_eq!(kept, expected, "{} by rival {rival}", secret.name);
        let value = store.version_find(house.account, secret.id, 2).await.unwrap().unwrap();
        assert_eq!(value.sealed.ciphertext, format!("{} by rival {rival}", secret.id).into_bytes());
    }
    let batches = store.counts().await.unwrap();
    assert!(batches.commits < batches.changes, "some were in one batch: {batches:?}");
}

/// A value was given out, and its secret destroyed before that was written down.
#[tokio::test]
async fn a_use_of_a_secret_that_is_gone_leaves_no_row() {
    let schema = PLACE.schema();
    let store = schema.node().await;
    let house = House::build(&store).await;
    let vault = house.add_vault("vault").await;
    let (gone, kept, there) = (
        house.add_secret(&vault, "gone").await,
        house.add_secret(&vault, "kept").await,
        house.add_secret(&vault, "there").await,
    );
    house.secret_delete(&gone).await.unwrap();
    let event = house.event(&kept, Action::Deleted);
    store.secret_delete(house.account, Arc::new(kept.clone()), house.deletion(), true, event).await.unwrap();
    let key = house.add_api_key(house.user, "key").await;
    let used = [&gone, &kept, &there].map(|secret| resolved_event(&house, &key, secret));
    store.secret_resolved(house.account, used.to_vec()).await.unwrap();
    let shown = |id| store.resolved_find(house.account, id);
    assert!(shown(gone.id).await.unwrap().is_none());
    assert!(shown(kept.id).await.unwrap().is_some(), "what may be brought back is known to have been used");
    assert!(shown(there.id).await.unwrap().is_some());
    assert_eq!(PLACE.run(&format!("SELECT count(*) FROM {}.resolved", schema.name)), "2");
}

#[tokio::test]
async fn a_store_whose_size_the_database_does_not_tell_is_ready_and_counted() {
    let place = Place::new("unsized");
    let schema = place.schema();
    let store = schema.node().await;
    House::build(&store).await.add_vault("vault").await;
    let told = store.counts().await.unwrap();
    assert!(told.bytes > Some(0));
    for kind in ["name", "oid"] {
        place.run(&format!(
            "ALTER FUNCTION pg_catalog.pg_database_size({kind}) RENAME TO pg_database_size_of_old"
        ));
    }
    let null = format!(
        "CREATE FUNCTION {}.pg_database_size(name) RETURNS BIGINT LANGUAGE sql AS 'SELECT NULL::BIGINT'",
        schema.name
    );
    for (how, statement) in [("it has no such function", "SELECT 1"), ("it says NULL", &*null)] {
        place.run(statement);
        let store = schema.node().await;
        store.ready().await.unwrap();
        let counts = store.counts().await.unwrap();
        assert_eq!((counts.bytes, counts.vaults, counts.events), (None, 1, told.events), "{how}");
    }
}
