//! Somebody changes the store's file behind the server's back: no sealed value opens anywhere but in its place, and the
//! audit log names the first record that is not as it was written.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "tamper/audit.rs"]
mod audit;
#[path = "tamper/key_slots.rs"]
mod key_slots;
#[path = "tamper/values.rs"]
mod values;
#[path = "tamper/webhooks.rs"]
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use strongroom_crypto::{RootKey, SystemRng};
use strongroom_domain::SecretValue;
use strongroom_domain::app::{App, SecretChange, SecretDraft, VaultDraft, VaultRef};
use strongroom_domain::caller::Caller;
use strongroom_domain::clock::SystemClock;
use strongroom_domain::error::Noun;
use strongroom_domain::expected::Expected;
use strongroom_domain::ids::{SecretId, VaultId};
use strongroom_domain::limits::Limits;
use strongroom_domain::secret::Secret;
use strongroom_domain::text::{Description, Metadata, Name};
use strongroom_store::sqlite::SqliteStore;
use tempfile::TempDir;

/// A house with its file, which is tampered with while the house is open: the store keeps no value in memory.
struct House {
    app: App,
    caller: Caller,
    root_key: RootKey,
    folder: TempDir,
}

impl House {
    async fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&folder.path().join("store.db")).unwrap());
        let root_key = RootKey::make(&SystemRng).unwrap();
        let same = root_key.same();
        App::install(&root_key, Arc::new(SystemClock), Arc::new(SystemRng))
            .unwrap()
            .commit(&*store)
            .await
            .unwrap();
        let app = App::open(store, root_key, Limits::default(), Arc::new(SystemClock), Arc::new(SystemRng));
        let app = app.await.unwrap();
        let caller = app.operator().await.unwrap();
        Self { app, caller, root_key: same, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// A way into the file that goes past the store.
    fn backdoor(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        // Nothing here has to outlive a power failure.
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        connection
    }

    /// Opens the same file again, as the next start of the server does.
    async fn reopened(&self) -> Result<App, strongroom_domain::app::OpenError> {
        let root_key = self.root_key.same();
        let store = Arc::new(SqliteStore::open_to_read(&self.path()).unwrap());
        App::open(store, root_key, Limits::default(), Arc::new(SystemClock), Arc::new(SystemRng)).await
    }

    async fn add_vault(&self, name: &str) -> VaultId {
        let draft = VaultDraft {
            id: None,
            name: Name::parse(Noun::Vault, name.to_owned(), &Limits::default()).unwrap(),
            description: Description::default(),
            metadata: Metadata::default(),
        };
        self.app.vault_create(&self.caller, draft, None).await.unwrap().it.id
    }

    async fn add_secret(&self, vault: VaultId, name: &str, text: &str) -> Secret {
        self.create_secret(vault, name, text).await.unwrap()
    }

    async fn create_secret(
        &self,
        vault: VaultId,
        name: &str,
        text: &str,
    ) -> strongroom_domain::Result<Secret> {
        let draft = SecretDraft {
            id: None,
            vault: VaultRef::Id(vault),
            name: Name::parse(Noun::Secret, name.to_owned(), &Limits::default()).unwrap(),
            value: value(text),
            description: Description::default(),
            metadata: Metadata::default(),
            expires_at: None,
        };
        self.app.secret_create(&self.caller, draft, None).await.map(|made| made.it)
    }

    /// Sets a value, which opens the one that is stored to see whether it differs.
    async fn set(&self, secret: SecretId, text: &str) -> strongroom_domain::Result<Arc<Secret>> {
        let change = SecretChange { value: Some(value(text)), ..SecretChange::default() };
        self.app.secret_change(&self.caller, secret, change, &Expected::Any).await
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec())
}

/// A copy of a store that nobody has open.
fn copy_of(path: &Path, folder: &TempDir) -> PathBuf {
    let to = folder.path().join("copy.db");
    strongroom_store::sqlite::copy_store(path, &to, |_, _| ()).unwrap();
    to
}
