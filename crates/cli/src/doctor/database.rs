//! What the doctor looks at of a store in a database, before the store itself.

use strongroom_store::postgres::{OpenError, PostgresStore};

use super::Finding::{self, Bad, Good, Warning};
use crate::failure::Failure;
use crate::settings::Database;

/// Connects to the database. The store, if it can be read, and what was found.
pub(super) async fn look(database: &Database) -> (Option<PostgresStore>, Vec<Finding>) {
    let store = match PostgresStore::open_current_to_read(&database.options).await {
        Ok(store) => store,
        Err(error) => return (None, vec![not_opened(error)]),
    };
    let place = store.place();
    let reached = match store.program_version().await {
        Ok(version) => Good(format!(
            "the database {place} answers: PostgreSQL {version}, its tables are of this version"
        )),
        Err(error) => not_opened(OpenError::Database { place: place.to_owned(), source: error }),
    };
    let findings = vec![reached, tls(database)];
    (Some(store), findings)
}

fn not_opened(error: OpenError) -> Finding {
    let todo = match &error {
        OpenError::Older { found: 0, .. } => {
            "strongroom serve makes one there, strongroom migrate-store moves one there"
        }
        OpenError::Older { .. } => "start the server of this version on it once",
        OpenError::Newer { .. } => "use a later version",
        _ => "see that it runs, that --database names it, and that its password is right",
    };
    let what = match &error {
        OpenError::Older { place, found: 0, .. } => {
            Failure::new(format!("there is no store in the database {place}"))
        }
        _ => Failure::new("the database cannot be used").because(error),
    };
    Bad(what.to_string(), todo.into())
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
