//! How much each account holds, counted along by the writer: counting a million rows for each change would not do.

use rusqlite::Connection;

/// What one account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tally {
    pub(super) vaults: u64,
    pub(super) secrets: u64,
    pub(super) api_keys: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    account: i64,
    tally: Tally,
    changed: bool,
}

/// The tallies of all accounts; there are few.
#[derive(Debug, Clone, Default)]
pub(super) struct Tallies(Vec<Entry>);

impl Tallies {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut select =
            connection.prepare_cached("SELECT number, vaults, secrets, api_keys FROM account")?;
        let entries = select.query_map([], |row| {
            let tally = Tally { vaults: row.get(1)?, secrets: row.get(2)?, api_keys: row.get(3)? };
            Ok(Entry { account: row.get(0)?, tally, changed: false })
        })?;
        entries.collect::<rusqlite::Result<_>>().map(Self)
    }

    /// The tally of an account, to look at.
    pub(super) fn of(&self, account: i64) -> Tally {
        self.0.iter().find(|entry| entry.account == account).map_or_else(Tally::default, |entry| entry.tally)
    }

    /// The sum over all accounts.
    pub(super) fn total(&self) -> Tally {
        self.0.iter().fold(Tally::default(), |sum, entry| Tally {
            vaults: sum.vaults + entry.tally.vaults,
            secrets: sum.secrets + entry.tally.secrets,
            api_keys: sum.api_keys + entry.tally.api_keys,
        })
    }

    /// Changes the tally of an account.
    pub(super) fn count(&mut self, account: i64, change: impl FnOnce(&mut Tally)) {
        let place = self.0.iter().position(|entry| entry.account == account).unwrap_or_else(|| {
            self.0.push(Entry { account, tally: Tally::default(), changed: true });
            self.0.len() - 1
        });
        change(&mut self.0[place].tally);
        self.0[place].changed = true;
    }

    /// Writes what changed.
    pub(super) fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for entry in self.0.iter_mut().filter(|entry| entry.changed) {
            let Tally { vaults, secrets, api_keys } = entry.tally;
            connection
                .prepare_cached(
                    "UPDATE account SET vaults = ?2, secrets = ?3, api_keys = ?4 WHERE number = ?1",
                )?
                .execute((entry.account, vaults, secrets, api_keys))?;
            entry.changed = false;
        }
        Ok(())
    }
}
