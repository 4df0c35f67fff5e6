//! What was acknowledged is what is read from then on, by everyone, whatever is kept in memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strongroom_domain::ids::PrincipalId;
use strongroom_domain::principal::ServiceUser;
use strongroom_domain::secret::Secret;
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;

use super::concurrency::at_once;
use super::house::{House, filtered, page};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    readers_never_go_back,
    a_deleted_secret_stays_deleted,
    lists_never_go_back,
    a_revoked_credential_opens_nothing,
    a_credential_of_a_sleeping_user_is_not_active,
];

const READERS: usize = 4;
const ROUNDS: u64 = 150;

/// The number that was acknowledged last, and whether the writer has ended, with all readers it may concern.
#[derive(Default)]
struct Acknowledged {
    number: AtomicU64,
    ended: AtomicBool,
}

impl Acknowledged {
    fn tell(&self, number: u64) {
        self.number.store(number, Ordering::SeqCst);
    }

    fn last(&self) -> u64 {
        self.number.load(Ordering::SeqCst)
    }
}

/// Runs a writer and readers until the writer ends, and fails unless the readers saw it at work.
fn while_written(writer: impl AsyncFn() + Sync, reader: impl AsyncFn() -> u64 + Sync, told: &Acknowledged) {
    let read = at_once(1 + READERS, async |thread| {
        let mut seen = std::collections::BTreeSet::new();
        if thread == 0 {
            let _end = Ended(told);
            writer().await;
        } else {
            while !told.ended.load(Ordering::SeqCst) {
                seen.insert(reader().await);
            }
        }
        seen.len()
    });
    assert!(read.iter().max() > Some(&2), "the readers saw nothing change: {read:?}");
}

/// A writer that fails ends too: its readers would otherwise read for ever.
struct Ended<'a>(&'a Acknowledged);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
    }
}

async fn readers_never_go_back(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("1").await;
    let secret = house.add_secret(&vault, "secret").await;
    let told = Acknowledged::default();
    told.tell(1);
    // The vault's name tells its revision, and the secret's description its own.
    let writer = async || {
        for revision in 2..ROUNDS {
            // A secret's change tells its vault's name, and is refused with one that is not the vault's any more.
            let vault_name = (revision - 1).to_string();
            let next = Secret { description: revision.to_string(), vault_name, revision, ..secret.clone() };
            house.secret_update(&next, None).await.unwrap();
            let next = Vault { name: revision.to_string(), revision, ..vault.clone() };
            house.vault_update(&next).await.unwrap();
            told.tell(revision);
        }
    };
    let reader = async || {
        let least = told.last();
        let secret = store.secret_find(house.account, secret.id).await.unwrap().unwrap();
        let vault = store.vault_find(house.account, vault.id).await.unwrap().unwrap();
        assert!(secret.revision >= least, "secret {} after {least}", secret.revision);
        assert!(vault.revision >= least, "vault {} after {least}", vault.revision);
        let shown: u64 = secret.vault_name.parse().unwrap();
        assert!(shown >= least, "the vault's name in the secret: {shown} after {least}");
        assert_eq!(secret.description.parse().ok().unwrap_or(1), secret.revision, "a mixture");
        assert_eq!(vault.name, vault.revision.to_string(), "a mixture");
        secret.revision
    };
    while_written(writer, reader, &told);
}

async fn a_deleted_secret_stays_deleted(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let mut secrets = Vec::new();
    for number in 0..ROUNDS {
        secrets.push(house.add_secret(&vault, &number.to_string()).await);
    }
    let told = Acknowledged::default();
    let writer = async || {
        for (number, secret) in secrets.iter().enumerate() {
            house.secret_delete(secret).await.unwrap();
            told.tell(number as u64 + 1);
        }
    };
    let reader = async || {
        // Those on both sides of the edge: the last that was deleted, and the one that is being deleted.
        let deleted = told.last() as usize;
        let next = secrets.get(deleted).unwrap_or(&secrets[0]);
        let _ = store.secret_find(house.account, next.id).await.unwrap();
        if let Some(gone) = deleted.checked_sub(1).map(|place| &secrets[place]) {
            let found = store.secret_find(house.account, gone.id).await.unwrap();
            assert!(found.is_none(), "secret {deleted} is back");
        }
        deleted as u64
    };
    while_written(writer, reader, &told);
}

/// Each list is asked for in the same words again and again, as a sync tool does.
async fn lists_never_go_back(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("1").await;
    let secret = house.add_secret(&vault, "secret").await;
    let told = Acknowledged::default();
    told.tell(1);
    // In each round one more secret is made, and one is changed; now and then the vault gets another name.
    let writer = async || {
        let mut vault = vault.clone();
        let mut secret = secret.clone();
        for revision in 2..ROUNDS {
            if revision % 8 == 0 {
                vault = Vault { name: revision.to_string(), revision: vault.revision + 1, ..vault };
                house.vault_update(&vault).await.unwrap();
            }
            let vault_name = vault.name.clone();
            secret = Secret { description: revision.to_string(), vault_name, revision, ..secret };
            house.secret_update(&secret, None).await.unwrap();
            let made = house.add_secret(&vault, &format!("made-{revision}")).await;
            let listed = house.secrets(Some(vault.id), page(None, 100)).await.unwrap();
            assert_eq!(listed.items.first(), Some(&made), "the newest is missing");
            if revision > 50 {
                house.secret_delete(&made).await.unwrap();
                let listed = house.secrets(Some(vault.id), page(None, 100)).await.unwrap();
                assert!(!listed.items.contains(&made), "a deleted secret is listed");
            }
            told.tell(revision);
        }
    };
    let named = filtered(Secret::FIELDS, r#"obj.name == "secret""#);
    let reader = async || {
        let least = told.last();
        let found = house.secrets(None, named.clone()).await.unwrap();
        let revision = found.items[0].revision;
        assert!(revision >= least, "secret {revision} after {least}");
        let all = house.secrets(None, page(None, 100)).await.unwrap();
        assert!(all.items.len() as u64 >= least.min(50), "{} secrets after {least}", all.items.len());
        let shown: u64 = all.items[0].vault_name.parse().unwrap();
        assert!(shown >= least - least % 8 || least < 8, "the vault's name in a list: {shown} after {least}");
        revision
    };
    while_written(writer, reader, &told);
}

async fn a_revoked_credential_opens_nothing(store: &dyn Store) {
    let house = House::build(store).await;
    let mut keys = Vec::new();
    for number in 0..ROUNDS {
        keys.push(house.add_api_key(house.user, &number.to_string()).await);
    }
    let told = Acknowledged::default();
    let writer = async || {
        for (number, key) in keys.iter().enumerate() {
            house.api_key_delete(key).await.unwrap();
            assert!(store.credential_find(key.id).await.unwrap().is_none(), "key {number} opens");
            told.tell(number as u64 + 1);
        }
    };
    let reader = async || {
        let revoked = told.last() as usize;
        let next = keys.get(revoked).unwrap_or(&keys[0]);
        let _ = store.credential_find(next.id).await.unwrap();
        if let Some(gone) = revoked.checked_sub(1).map(|place| &keys[place]) {
            let found = store.credential_find(gone.id).await.unwrap();
            assert!(found.is_none(), "key {revoked} opens again");
        }
        revoked as u64
    };
    while_written(writer, reader, &told);
}

async fn a_credential_of_a_sleeping_user_is_not_active(store: &dyn Store) {
    let house = House::build(store).await;
    let user = house.add_service_user("robot").await;
    let key = house.add_api_key(PrincipalId::ServiceUser(user.id), "key").await;
    let told = Acknowledged::default();
    told.tell(1);
    // Asleep at even revisions. The name tells the revision, and the credential the name.
    let writer = async || {
        for revision in 2..ROUNDS {
            let name = revision.to_string();
            let active = revision % 2 == 1;
            let next = ServiceUser { name: name.clone(), active, revision, ..user.clone() };
            house.service_user_update(&next).await.unwrap();
            let found = store.credential_find(key.id).await.unwrap().unwrap();
            assert_eq!((&found.subject, found.active), (&name, active));
            told.tell(revision);
        }
    };
    let reader = async || {
        let least = told.last();
        let found = store.credential_find(key.id).await.unwrap().unwrap();
        let shown: u64 = found.subject.parse().unwrap_or(1);
        assert!(shown >= least, "{shown} after {least}");
        assert_eq!(found.active, shown % 2 == 1, "a mixture");
        shown
    };
    while_written(writer, reader, &told);
}
