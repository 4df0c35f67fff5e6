//! The audit log.

use rusqlite::Connection;
use strongroom_domain::app::audit::verify;
use strongroom_domain::audit::Broken;
use strongroom_store::sqlite::SqliteStore;

use super::{House, copy_of};

/// Records of the log under test.
const LAST: u64 = 9;

/// A log of nine real events.
async fn logged() -> House {
    let house = House::build().await;
    let vault = house.add_vault("vault").await;
    for name in ["a", "b", "c"] {
        let secret = house.add_secret(vault, name, "before").await;
        house.set(secret.id, "after").await.unwrap();
    }
    house.add_vault("last").await;
    assert_eq!(house.app.counts().await.unwrap().events, LAST);
    house
}

/// Moves the records from a number on by one, up or down.
fn shift(connection: &Connection, from: u64, by: i64) {
    // By way of negative numbers: the numbers are unique at every moment.
    connection
        .execute("UPDATE audit SET sequence = -sequence - ?2 WHERE sequence >= ?1", (from, by))
        .unwrap();
    connection.execute("UPDATE audit SET sequence = -sequence WHERE sequence < 0", []).unwrap();
}

/// Alters the hash that is kept of one record.
fn alter_hash(connection: &Connection, sequence: u64) {
    let sql = "UPDATE audit_head SET edge = \
               CAST(substr(edge, 1, 32 * ?1 - 32) || zeroblob(32) || substr(edge, 32 * ?1 + 1) AS BLOB)";
    assert_eq!(connection.execute(sql, [sequence]).unwrap(), 1);
}

fn swap(connection: &Connection, one: u64, other: u64) {
    connection
        .execute_batch(&format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM audit WHERE sequence IN ({one}, {other});
             UPDATE audit SET canonical = (SELECT canonical FROM kept WHERE kept.sequence <> audit.sequence)
             WHERE sequence IN ({one}, {other});
             DROP TABLE kept;"
        ))
        .unwrap();
}

fn run(connection: &Connection, sql: &str) {
    let changed = connection.execute(sql, []).unwrap();
    assert!(changed > 0, "nothing to do for {sql}");
}

#[tokio::test]
async fn the_first_bad_record_is_named() {
    type Tamper = fn(&Connection);
    let gap = |expected, found| Broken::Gap { expected, found };
    let altered = |sequence| Broken::Altered { sequence };
    let wrong_root = |sequence| Broken::WrongRoot { sequence };
    let cases: [(&str, Broken, Tamper); 18] = [
        ("two altered", altered(4), |c| {
            run(
                c,
                "UPDATE audit SET canonical = CAST(CAST(canonical AS TEXT) || ' ' AS BLOB) WHERE sequence IN (4, 7)",
            );
        }),
        ("one letter altered", altered(5), |c| {
            run(
                c,
                "UPDATE audit SET canonical = CAST(replace(CAST(canonical AS TEXT), '\"name\":\"b\"', '\"name\":\"x\"') \
                 AS BLOB) WHERE sequence = 5",
            );
        }),
        ("the first altered", altered(1), |c| {
            run(
                c,
                "UPDATE audit SET canonical = CAST(CAST(canonical AS TEXT) || ' ' AS BLOB) WHERE sequence = 1",
            );
        }),
        ("the last altered", altered(LAST), |c| {
            run(
                c,
                "UPDATE audit SET canonical = CAST(CAST(canonical AS TEXT) || ' ' AS BLOB) WHERE sequence = 9",
            );
        }),
        ("a hash altered", altered(6), |c| alter_hash(c, 6)),
        ("the last hash altered", altered(LAST), |c| alter_hash(c, LAST)),
        ("emptied", altered(3), |c| run(c, "UPDATE audit SET canonical = x'' WHERE sequence = 3")),
        ("one dropped", gap(4, 5), |c| run(c, "DELETE FROM audit WHERE sequence = 4")),
        ("the first dropped", gap(1, 2), |c| run(c, "DELETE FROM audit WHERE sequence = 1")),
        ("two dropped", gap(3, 5), |c| run(c, "DELETE FROM audit WHERE sequence IN (3, 4)")),
        ("the last dropped", Broken::WrongEnd { expected: LAST, found: 8 }, |c| {
            run(c, "DELETE FROM audit WHERE sequence = 9");
        }),
        ("all dropped", Broken::WrongEnd { expected: LAST, found: 0 }, |c| run(c, "DELETE FROM audit")),
        ("one dropped and the rest moved up", altered(4), |c| {
            run(c, "DELETE FROM audit WHERE sequence = 4");
            shift(c, 5, -1);
        }),
        ("one inserted and the rest moved down", altered(5), |c| {
            shift(c, 5, 1);
            run(c, "INSERT INTO audit SELECT 5, canonical FROM audit WHERE sequence = 4");
        }),
        ("two swapped", altered(4), |c| swap(c, 4, 7)),
        ("neighbours swapped", altered(8), |c| swap(c, 8, 9)),
        ("the end said to be earlier", wrong_root(8), |c| {
            run(c, "UPDATE audit_head SET sequence = 8, edge = substr(edge, 1, 256)");
        }),
        ("the root altered", wrong_root(LAST), |c| run(c, "UPDATE audit_head SET root = zeroblob(32)")),
    ];
    let house = logged().await;
    for (what, expected, tamper) in cases {
        assert_eq!(verified(&house, tamper).await.expect(what), Err(expected), "{what}");
    }
    let untouched = verified(&house, |_| ()).await.unwrap();
    assert_eq!(untouched.map(|head| head.sequence), Ok(LAST), "untouched");
}

/// What a walk over a tampered copy finds.
async fn verified(
    house: &House,
    tamper: fn(&Connection),
) -> strongroom_domain::Result<Result<strongroom_domain::audit::Head, Broken>> {
    let folder = tempfile::tempdir().unwrap();
    let path = copy_of(&house.path(), &folder);
    tamper(&Connection::open(&path).unwrap());
    verify(&SqliteStore::open_to_read(&path).unwrap(), |_| ()).await
}

/// A record that the store cannot read is no reason to call the log whole.
#[tokio::test]
async fn what_is_no_record_is_an_error() {
    let house = logged().await;
    let tampers: [fn(&Connection); 3] = [
        |c| run(c, "UPDATE audit_head SET root = x''"),
        |c| run(c, "UPDATE audit_head SET edge = x'00'"),
        |c| run(c, "UPDATE audit_head SET sequence = 8"),
    ];
    for tamper in tampers {
        let found = verified(&house, tamper).await;
        assert!(!matches!(found, Ok(Ok(_))), "{found:?}");
    }
}

/// `audit list` would print it as one of the house's own.
#[tokio::test]
async fn a_record_after_the_end_is_noticed() {
    let house = logged().await;
    let found = verified(&house, |c| {
        run(c, "INSERT INTO audit SELECT 10, canonical FROM audit WHERE sequence = 9");
    });
    let found = found.await.unwrap();
    assert!(found.is_err(), "a forged record after the end passes: {found:?}");
}

/// What is signed goes to the second place, over the checkpoint that would show it.
#[tokio::test]
async fn only_a_log_that_leads_on_from_the_last_checkpoint_is_signed() {
    let house = logged().await;
    let signed = async |last| house.app.audit_checkpoint_past(last).await.unwrap();
    let (last, _) = signed(None).await.unwrap();
    house.add_vault("one-more").await;
    let (now, _) = signed(Some(&last)).await.unwrap();
    assert_eq!((last.sequence, now.sequence), (LAST, LAST + 1));
    let restore = |connection: &Connection| {
        let head = "UPDATE audit_head SET sequence = ?1, root = ?2, edge = (SELECT edge FROM kept)";
        connection.execute(head, (now.sequence, now.root)).unwrap();
    };
    let backdoor = house.backdoor();
    backdoor.execute_batch("CREATE TEMP TABLE kept AS SELECT edge FROM audit_head").unwrap();

    run(&backdoor, "UPDATE audit_head SET root = zeroblob(32)");
    let wrong_root = Broken::WrongRoot { sequence: now.sequence };
    assert_eq!(signed(Some(&last)).await, Err(wrong_root.clone()), "the head is not the tree's");
    assert_eq!(signed(None).await, Err(wrong_root), "nor without a checkpoint");
    restore(&backdoor);

    // A tree that is whole in itself, over another record 3.
    for last in [&last, &now] {
        alter_hash(&backdoor, 3);
        let store = SqliteStore::open_to_read(&house.path()).unwrap();
        let root = strongroom_domain::app::audit::root_over(&store, 0..now.sequence).await.unwrap();
        backdoor.execute("UPDATE audit_head SET root = ?1", [root]).unwrap();
        assert_eq!(signed(Some(last)).await, Err(Broken::NotCheckpoint { sequence: last.sequence }));
        restore(&backdoor);
    }

    let cut =
        "UPDATE audit_head SET sequence = ?1, root = ?2, edge = (SELECT substr(edge, 1, 288) FROM kept)";
    backdoor.execute(cut, (last.sequence, last.root)).unwrap();
    let before = Broken::BeforeCheckpoint { expected: now.sequence, found: last.sequence };
    assert_eq!(signed(Some(&now)).await, Err(before), "the tail is cut off");
    restore(&backdoor);
    assert!(signed(Some(&now)).await.is_ok(), "as it was");
}
