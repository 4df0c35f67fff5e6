//! Gives a store that has a chain over its audit log a tree instead: the part of migration 4 that SQL cannot do.

use rusqlite::{Connection, Transaction};
use strongroom_domain::Digest;
use strongroom_domain::audit::chain::Chain;
use strongroom_domain::audit::tree::Tree;
use strongroom_domain::audit::{Broken, Record};

use super::audit;

/// Records between two lines of the log that tell how far it is.
const BETWEEN_LINES: u64 = 250_000;

/// Why it cannot be done; nothing is then changed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The chain shows that the log was altered before.
    Broken(Broken),
    /// SQLite refuses.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Walks the chain, and computes the tree over the same bytes. All of it is one transaction: a crash leaves the chain.
pub(super) fn grow(step: &Transaction<'_>) -> Result<(), Failed> {
    let (sequence, hash): (u64, Digest) =
        step.query_row("SELECT sequence, hash FROM audit_head", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let tree = walk(step, sequence, &hash)?;
    step.execute_batch(
        "ALTER TABLE audit DROP COLUMN hash; ALTER TABLE audit_head RENAME COLUMN hash TO root;",
    )?;
    Ok(audit::set_head(step, &tree)?)
}

fn walk(step: &Connection, sequence: u64, hash: &Digest) -> Result<Tree, Failed> {
    let (mut chain, mut tree) = (Chain::default(), Tree::default());
    let mut select =
        step.prepare("SELECT sequence, hash, canonical FROM audit WHERE sequence > 0 ORDER BY sequence")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let record = Record { sequence: row.get(0)?, canonical: row.get(2)? };
        chain.check(record.sequence, &row.get(1)?, &record.canonical).map_err(Failed::Broken)?;
        tree.append(record.hash(), |block| audit::insert_block(step, &block))?;
        if record.sequence.is_multiple_of(BETWEEN_LINES) {
            tracing::info!(done = record.sequence, of = sequence, "the audit log gets its tree");
        }
    }
    chain.finish(sequence, hash).map_err(Failed::Broken)?;
    Ok(tree)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;
    use strongroom_domain::app::audit::verify;
    use strongroom_domain::audit::{Action, Actor, Event, Object};
    use strongroom_domain::ids::{AccountId, Ksuid, PrincipalId, ServiceUserId, UserId};
    use strongroom_domain::stamp::Stamp;
    use strongroom_domain::store::Store;

    use super::super::schema::{self, Access, MIGRATIONS, OpenError};
    use super::super::{SqliteStore, audit};
    use super::*;

    const RECORDS: u64 = 300;

    /// As they were written before there was a tree.
    fn canonical(number: u64) -> Vec<u8> {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let ksuid = Ksuid::from_parts(at, number.into());
        let object = Object::ServiceUser {
            id: ServiceUserId::new(ksuid),
            name: "robot".into(),
            active: true,
            created_at: at,
        };
        let actor = Actor::on_machine(PrincipalId::User(UserId::new(Ksuid::MIN)), "admin".to_owned());
        let event =
            Event::new(Stamp { ksuid, at }, AccountId::new(Ksuid::MIN), actor, object, Action::Created);
        serde_json::to_vec(&event).unwrap()
    }

    /// A store of the time when the log had a chain.
    fn chained_store(path: &Path) {
        let mut connection = schema::connect(path, Access::Write).unwrap();
        let before = MIGRATIONS.iter().position(|migration| migration.sql.contains("audit_tree")).unwrap();
        schema::migrate(&mut connection, path, &MIGRATIONS[..before]).ok().unwrap();
        let mut hash = Digest::default();
        for number in 1..=RECORDS {
            hash = strongroom_crypto::chain_digest(&hash, number, &canonical(number));
            let row = (number, hash, canonical(number));
            connection
                .execute("INSERT INTO audit (sequence, hash, canonical) VALUES (?1, ?2, ?3)", row)
                .unwrap();
        }
        connection.execute("UPDATE audit_head SET sequence = ?1, hash = ?2", (RECORDS, hash)).unwrap();
    }

    #[tokio::test]
    async fn a_chained_log_gets_a_tree_over_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        chained_store(&path);
        assert!(matches!(SqliteStore::open_current_to_read(&path), Err(OpenError::Older { .. })));
        let store = SqliteStore::open(&path).unwrap();
        let records = store.audit_list(0, 1000).await.unwrap();
        let bytes: Vec<_> = records.into_iter().map(|record| record.canonical).collect();
        assert_eq!(bytes, (1..=RECORDS).map(canonical).collect::<Vec<_>>());
        let head = verify(&store, |_| ()).await.unwrap().unwrap();
        assert_eq!(head.sequence, RECORDS);
        assert_eq!(store.audit_hashes(1, 0, 100).await.unwrap().len(), 18);
    }

    #[test]
    fn a_log_that_was_altered_gets_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        chained_store(&path);
        let connection = schema::connect(&path, Access::Write).unwrap();
        connection.execute("UPDATE audit SET canonical = x'7b7d' WHERE sequence = 200", []).unwrap();
        let error = SqliteStore::open(&path).err().unwrap();
        assert!(
            matches!(error, OpenError::BrokenLog { broken: Broken::Altered { sequence: 200 }, .. }),
            "{error}"
        );
        let version = schema::version(&connection).unwrap();
        assert!(version < MIGRATIONS.len() && audit::tree(&connection).is_err(), "nothing was changed");
    }
}
