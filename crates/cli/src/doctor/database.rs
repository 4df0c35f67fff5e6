//! What the doctor looks at of a store in a database, before the store itself.

use strongroom_store::postgres::PostgresStore;

use super::Finding::{self, Good, Warning};
use super::{bad, unreadable};
use crate::settings::{Database, unusable};

/// Connects to the database. The store, if it can be read, and what was found.
pub(super) async fn look(database: &Database) -> (Option<PostgresStore>, Vec<Finding>) {
    let store = match PostgresStore::open_current_to_read(&database.options).await {
        Ok(store) => store,
        Err(error) => return (None, vec![bad(&unusable(error))]),
    };
    let place = store.place();
    let reached = match store.program_version().await {
        Ok(version) => Good(format!(
            "the database {place} answers: PostgreSQL {version}, its tables are of this version"
        )),
        Err(error) => unreadable("the database", error),
    };
    let findings = vec![reached, tls(database)];
    (Some(store), findings)
}

fn tls(database: &Database) -> Finding {
    let options = &database.options;
    match (options.is_encrypted(), options.is_here()) {
        (true, _) => Good("connections to the database use TLS, and its certificate is checked".into()),
        (false, true) => Good("the database is on this machine: connections to it use no TLS".into()),
        (false, false) => Warning(
            "connections to the database need not use TLS: who is between may read and alter what passes"
                .into(),
            "leave sslmode out of --database, or set it to verify-full".into(),
        ),
    }
}
