//! `strongroom migrate-store`: moves a store from a file to a database, or back.

mod place;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use strongroom_crypto::RootKey;
use strongroom_domain::app::{audit, keys};
use strongroom_domain::principal::Account;
use strongroom_domain::store::Store;
use strongroom_store::migrate::{Filled, MoveError, Value};

use crate::audit::{block_on, events, progress};
use crate::failure::{Failure, Kind};
use crate::{hygiene, root_key, settings};
use place::{Named, Place, given};

pub(crate) const HELP: &str = "Examples:
  strongroom migrate-store --from sqlite:/var/lib/strongroom \\
    --to postgres://strongroom@db.example.com/strongroom \\
    --database-password-file /etc/strongroom/db-password
  strongroom migrate-store --from postgres://strongroom@db.example.com/strongroom \\
    --to sqlite:/var/lib/strongroom-2/ --root-key-file /var/lib/strongroom/root.key

The old store is only read. Its server may run as long as nothing is changed: what is changed
meanwhile is noticed, and nothing is moved then. The new place must be empty. No server starts on
it before every row was compared, the audit log verified and every value opened. A copy that was
cut off is begun anew by the same command.";

#[derive(Args)]
pub(crate) struct MigrateStore {
    /// The store as it is: sqlite:DATA-FOLDER, sqlite:FILE or postgres://USER@HOST/NAME
    #[arg(long, value_name = "STORE")]
    from: String,
    /// Where it goes, in the same way; there must be none yet
    #[arg(long, value_name = "STORE")]
    to: String,
    /// The root key's file [default: root.key beside the store's file]
    #[arg(long, env = "STRONGROOM_ROOT_KEY_FILE", value_name = "FILE", hide_env_values = true)]
    root_key_file: Option<PathBuf>,
    /// A file with the password for the database, which others may not read
    #[arg(long, env = "STRONGROOM_DATABASE_PASSWORD_FILE", value_name = "FILE", hide_env_values = true)]
    database_password_file: Option<PathBuf>,
    /// The authorities to trust for the database, PEM [default: the system's]
    #[arg(long, env = "STRONGROOM_DATABASE_CA", value_name = "FILE", hide_env_values = true)]
    database_ca: Option<PathBuf>,
}

/// What was found good of a copy.
struct Checked {
    rows: u64,
    events: String,
    vaults: u64,
    values: u64,
    /// One of the values that were opened, as people call it.
    sample: Option<String>,
}

impl MigrateStore {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        hygiene::harden();
        let (from, to) = match (&self.from.parse()?, &self.to.parse()?) {
            (Named::File(file), Named::Database(url)) => {
                let database = self.database(url)?;
                (Place::File(file.clone()), database)
            }
            (Named::Database(url), Named::File(file)) => (self.database(url)?, Place::File(file.clone())),
            (Named::File(_), Named::File(_)) => {
                return Err(Failure::new("both are files")
                    .todo("a file is copied with strongroom backup and strongroom restore")
                    .kind(Kind::Usage));
            }
            (Named::Database(_), Named::Database(_)) => {
                return Err(Failure::new("both are databases")
                    .todo("a database is copied with pg_dump and pg_restore")
                    .kind(Kind::Usage));
            }
        };
        let _folder = to.take_folder()?;
        block_on(self.migrate(&from, &to))
    }

    fn database(&self, url: &str) -> Result<Place, Failure> {
        given(url, self.database_password_file.clone(), self.database_ca.clone())
    }

    async fn migrate(&self, from: &Place, to: &Place) -> Result<ExitCode, Failure> {
        let key_file =
            self.root_key_file.clone().or_else(|| from.root_key_file()).or_else(|| to.root_key_file());
        let key_file = key_file.ok_or_else(|| Failure::new("no root key file is named"))?;
        // Looked at before anything is written.
        let (account, root_key) = root_key::of_store(&*from.store().await?, &key_file).await?;
        let mut source = from.source().await?;
        let target = to.target().await?;
        let amid = |error| failure(&format!("{from} cannot be moved to {to}"), error);
        let filled = target.fill(&mut source, progress("rows copied")).await.map_err(amid)?;
        let checked = check(&filled, &account, &root_key).await.map_err(|failure| left(failure, to))?;
        if source.was_written().await.map_err(amid)? {
            let what = format!(
                "{from} was changed while it was copied: the copy is not up to date, and was not accepted"
            );
            return Err(Failure::new(what)
                .todo("stop its servers, or keep them from being asked for changes and values, and run this again")
                .kind(Kind::Conflict));
        }
        filled.accept().await.map_err(amid)?;
        crate::out(&told(&checked, to, &key_file.display().to_string()))
    }
}

fn told(checked: &Checked, to: &Place, key_file: &str) -> String {
    let Checked { rows, events, vaults, values, sample } = checked;
    let sample = sample.as_ref().map_or_else(String::new, |sample| format!(", such as that of {sample}"));
    format!(
        "{to} holds the store: {rows} rows, the same as in the old one\n\
         {events}, the log is whole\n\
         the keys of {vaults} vaults open, and {values} values{sample}\n\
         Serve this one from now on, and the old one no more: both would give out other things under the same ids.\n  \
         strongroom serve {} --root-key-file {key_file}\n",
        to.flags()
    )
}

/// Compares the copy with what was read, verifies its log, and opens all that is sealed in it.
async fn check(filled: &Filled, account: &Account, root_key: &RootKey) -> Result<Checked, Failure> {
    let unread = |error| Failure::new("the copy cannot be read").because(error);
    let store = filled.store().map_err(|error| failure("the copy cannot be read", error))?;
    let (vaults, opened) = match keys::open(&*store, account, root_key).await.map_err(unread)? {
        Ok(opened) => opened,
        Err(broken) => return Err(Failure::new(format!("the store is damaged: {broken}"))),
    };
    let mut found = Found::default();
    let read = filled.read_back(|value| found.note(value, &opened)).await;
    let rows = read.map_err(|error| failure("the copy is not as the store is", error))?;
    found.judge()?;
    let verified = audit::verify(&*store, progress("events checked")).await.map_err(unread)?;
    let head = verified.map_err(|broken| {
        Failure::new(format!("the audit log was tampered with or damaged: {broken}"))
            .todo("strongroom audit verify tells the same of the old store: restore a backup first")
    })?;
    let pruned = store.audit_pruned().await.map_err(unread)?;
    let sample = match &found.sample {
        Some(sample) => name_of(&*store, account, sample).await.map_err(unread)?,
        None => None,
    };
    Ok(Checked { rows, events: events(pruned, head.sequence), vaults, values: found.opened, sample })
}

/// How the values were found.
#[derive(Default)]
struct Found {
    opened: u64,
    sample: Option<(strongroom_domain::ids::SecretId, u32)>,
    shut: u64,
    first_shut: Option<String>,
}

impl Found {
    fn note(&mut self, value: &Value, keys: &keys::Opened) {
        let which = (value.secret, value.version);
        if value.vault.is_some_and(|vault| keys.opens(vault, which, &value.sealed)) {
            self.opened += 1;
            self.sample = Some(which);
        } else {
            self.shut += 1;
            self.first_shut
                .get_or_insert_with(|| format!("version {} of secret {}", value.version, value.secret));
        }
    }

    fn judge(&self) -> Result<(), Failure> {
        let Some(first) = &self.first_shut else { return Ok(()) };
        let all = self.opened + self.shut;
        let what = format!(
            "{} of {all} values do not open, the first {first}: they were altered in the old store",
            self.shut
        );
        Err(Failure::new(what)
            .todo("put them right there, by an earlier version or from a backup, or delete and purge them"))
    }
}

/// What people call a version, if its secret is not deleted.
async fn name_of(
    store: &dyn Store,
    account: &Account,
    (secret, version): &(strongroom_domain::ids::SecretId, u32),
) -> strongroom_domain::Result<Option<String>> {
    let secret = store.secret_find(account.id, *secret).await?;
    Ok(secret.map(|secret| format!("{}:{}@{version}", secret.vault_name, secret.name)))
}

/// Says of a failure what became of the copy.
fn left(failure: Failure, to: &Place) -> Failure {
    match to {
        Place::File(_) => failure.amid("nothing was moved"),
        Place::Database { .. } => failure.amid("nothing was moved, and no server starts on the copy"),
    }
}

fn failure(what: &str, error: MoveError) -> Failure {
    let failure = Failure::new(what);
    match error {
        MoveError::Occupied(_) => failure
            .because(error)
            .todo("name a database without a store, or a file that does not exist: nothing is overwritten")
            .kind(Kind::Conflict),
        MoveError::Database(error) => settings::unusable(error).amid(what),
        MoveError::UnderWay(_) => failure.because(error).todo("wait for it to end").kind(Kind::Conflict),
        error => failure.because(error),
    }
}
