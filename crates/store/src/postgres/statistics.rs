//! What the database knows of how the rows are spread, while a store is young.
//!
//! A planner that knows nothing of a table takes every index whose columns begin as the right one's do for as good as that, and
//! connections keep the plans of their statements: a vault's secrets are then read one after the other to see whether a name is
//! free. PostgreSQL looks at tables by itself, once a minute. Until it has come by we ask it to.

use strongroom_domain::Result;

use super::session::Pool;
use crate::migrate::{TABLES, quoted};

/// A log with more records than these was looked at already: nobody writes as many within a minute.
const GROWN: u64 = 1 << 18;
/// With fewer, any plan will do.
const SMALL: u64 = 64;
/// A store that grew by this factor since it was looked at is looked at again.
const FACTOR: u64 = 4;

/// Whether a store that had so many records when it was last looked at, and none if it never was, is to be looked at again.
pub(super) fn are_due(looked_at: u64, records: u64) -> bool {
    (SMALL.max(looked_at * FACTOR)..GROWN).contains(&records)
}

/// Has the database look at all tables. A role that does not own them is told so by the database, in its own log, and nothing happens.
pub(super) async fn renew(pool: &Pool) -> Result<()> {
    let session = pool.session().await?;
    for table in TABLES {
        session.command(&format!("ANALYZE {}", quoted(table.name))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_looked_at_again_and_again_while_it_is_young() {
        let (mut looked_at, mut looks) = (0, Vec::new());
        for records in 0..3 * GROWN {
            if are_due(looked_at, records) {
                looked_at = records;
                looks.push(records);
            }
        }
        assert_eq!(looks, [64, 256, 1024, 4096, 16384, 65536]);
    }
}
