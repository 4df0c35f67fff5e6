//! The rotation of keys: what is refused under an old one, what is due, and that a rotation ends only when nothing is.

use std::sync::Arc;

use strongroom_crypto::{KeyId, SealedRootKey, SealedValue, WrappedKey};
use strongroom_domain::audit::{Action, Object};
use strongroom_domain::error::Conflict;
use strongroom_domain::key_slot::KeySlot;
use strongroom_domain::rotation::{Due, Kind, NewKey, NewRootKey, Rotation, Turned, UnderRoot, Usage};
use strongroom_domain::secret::{Secret, Version};
use strongroom_domain::store::Store;
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

use super::deleted::{bring_back, delete_secret, delete_vault, deletion, purge, purge_vault};
use super::house::{House, ROOT, stale, under_root};
use super::{Case, cases};

pub(crate) const CASES: &[Case] = cases![
    nothing_is_written_under_an_old_key,
    a_rotation_ends_when_nothing_is_due,
    what_changed_meanwhile_is_left_as_it_is,
    data_keys_are_due_once,
    one_rotation_of_a_vault_at_a_time,
    a_deleted_vault_is_rotated_and_comes_back_with_its_keys,
    a_rotation_goes_with_its_vault,
    the_oldest_keys_are_overdue_first,
    a_root_key_is_replaced_in_one_step,
];

const OLD: [u8; 8] = *b"old key ";
const NEW: [u8; 8] = *b"new key ";

fn under(key: [u8; 8], text: &str) -> SealedValue {
    let wrapped_key = WrappedKey::from_bytes([&key[..], text.as_bytes()].concat());
    SealedValue { wrapped_key, ciphertext: text.as_bytes().to_vec() }
}

fn is_rotating(error: &Error) -> bool {
    matches!(error, Error::Conflict(Conflict::Rotating(_)))
}

impl House<'_> {
    fn version_under(&self, key: [u8; 8], secret: &Secret) -> Version {
        let sealed = under(key, &format!("{} {}", secret.name, secret.version));
        Version { sealed, ..self.version(secret) }
    }

    async fn insert_under(&self, key: [u8; 8], vault: &Vault, secret: &Secret) -> Result<()> {
        let (version, event) = (self.version_under(key, secret), self.event(secret, Action::Created));
        let vault = Arc::new(vault.clone());
        self.store.secret_insert(self.account, vault, secret.clone(), version, None, event.into()).await
    }

    async fn add_under(&self, key: [u8; 8], vault: &Vault, name: &str) -> Secret {
        let secret = self.secret(vault, name);
        self.insert_under(key, vault, &secret).await.unwrap();
        secret
    }

    /// A second version of it.
    async fn change_under(&self, key: [u8; 8], secret: &Secret) -> Result<Secret> {
        let (revision, version) = (secret.revision + 1, secret.version + 1);
        let next = Secret { revision, version, ..secret.clone() };
        self.secret_update(&next, Some(self.version_under(key, &next))).await.map(|()| next)
    }

    async fn begin(&self, vault: &Vault, kind: Kind) -> Result<()> {
        let key = (kind == Kind::VaultKey).then(|| NewKey {
            id: KeyId::from_bytes(NEW),
            wrapped: under_root(b"the new key"),
            replaces: vault.wrapped_key.clone(),
        });
        let rotation = Rotation { vault: vault.id, kind, started_at: self.stamp().at, done: 0 };
        let event = self.event(Object::from(vault), Action::RotationStarted);
        self.store.rotation_begin(self.account, rotation, key, event).await
    }

    async fn due(&self, vault: &Vault, kind: Kind) -> Vec<Due> {
        self.store.rotation_due(self.account, vault.id, kind, None, 100).await.unwrap()
    }

    async fn turn(&self, vault: &Vault, kind: Kind, due: &[Due]) -> Result<u64> {
        let turned = due.iter().map(|due| {
            let text = format!("turned {}", due.number);
            let sealed = under(NEW, &text);
            Turned { secret: due.secret, number: due.number, was: due.sealed.wrapped_key.clone(), sealed }
        });
        self.store.rotation_step(self.account, vault.id, kind, turned.collect()).await
    }

    async fn end(&self, vault: &Vault, kind: Kind) -> Result<()> {
        let event = self.event(Object::from(vault), Action::Rotated);
        self.store.rotation_end(self.account, vault.id, kind, event).await
    }

    async fn usage(&self, vault: &Vault) -> (u64, Option<(u64, u64)>) {
        let usage = self.store.rotation_usage(self.account, vec![vault.id]).await.unwrap();
        let [Usage { values, rotation }] = usage[..] else { panic!("one vault") };
        (values, rotation.map(|(rotation, left)| (rotation.done, left)))
    }

    async fn found(&self, vault: &Vault) -> Arc<Vault> {
        self.store.vault_find(self.account, vault.id).await.unwrap().unwrap()
    }
}

async fn nothing_is_written_under_an_old_key(store: &dyn Store) {
    let house = House::build(store).await;
    let (vault, other) = (house.add_vault("vault").await, house.add_vault("other").await);
    let secret = house.add_under(OLD, &vault, "secret").await;
    let elsewhere = house.add_under(*b"other's ", &other, "elsewhere").await;
    house.begin(&vault, Kind::VaultKey).await.unwrap();
    let found = house.found(&vault).await;
    assert_eq!(found.previous_key.as_ref(), Some(&vault.wrapped_key));
    assert_eq!(found.wrapped_key, under_root(b"the new key"));
    assert_eq!((found.revision, found.tag()), (vault.revision, vault.tag()), "no change of the vault");

    house.refuses("an old insert", stale, house.insert_under(OLD, &vault, &house.secret(&vault, "n"))).await;
    let change = async || house.change_under(OLD, &secret).await.map(drop);
    house.refuses("an old change", stale, change()).await;
    let relocate = async |key| {
        let moved =
            Secret { vault_id: vault.id, vault_name: vault.name.clone(), revision: 2, ..elsewhere.clone() };
        let (versions, event) =
            (vec![house.version_under(key, &moved)], house.event(&moved, Action::Updated));
        let (from, to) = (Arc::new(elsewhere.clone()), Arc::new(vault.clone()));
        store.secret_move(house.account, from, to, moved, versions, event).await
    };
    house.refuses("an old move", stale, relocate(OLD)).await;
    relocate(NEW).await.unwrap();
    house.insert_under(NEW, &vault, &house.secret(&vault, "n")).await.unwrap();
    house.change_under(NEW, &secret).await.unwrap();
    // A change of the vault that was under way meanwhile leaves its keys alone.
    house.vault_update(&Vault { description: "d".to_owned(), revision: 2, ..vault.clone() }).await.unwrap();
    assert_eq!(house.found(&vault).await.wrapped_key, under_root(b"the new key"));
}

async fn a_rotation_ends_when_nothing_is_due(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (one, two) = (house.add_under(OLD, &vault, "one").await, house.add_under(OLD, &vault, "two").await);
    let one = house.change_under(OLD, &one).await.unwrap();
    delete_secret(&house, &two, deletion(&house, 0)).await;
    assert_eq!(house.usage(&vault).await, (3, None));
    house.begin(&vault, Kind::VaultKey).await.unwrap();
    assert_eq!(house.usage(&vault).await, (3, Some((0, 3))));
    let due = house.due(&vault, Kind::VaultKey).await;
    let which: Vec<_> = due.iter().map(|due| (due.secret, due.number)).collect();
    assert_eq!(which, [(one.id, 1), (one.id, 2), (two.id, 1)], "by secret and number, deleted ones too");
    assert!(due.iter().all(|due| due.sealed.ciphertext.is_empty()));
    for (after, rest) in [(which[0], &which[1..]), (which[1], &which[2..]), (which[2], &[][..])] {
        let due = store.rotation_due(house.account, vault.id, Kind::VaultKey, Some(after), 2).await.unwrap();
        let found: Vec<_> = due.iter().map(|due| (due.secret, due.number)).collect();
        assert_eq!(found, rest.iter().take(2).copied().collect::<Vec<_>>(), "after {after:?}");
    }
    // What is kept in memory has to go.
    store.version_find(house.account, one.id, 2).await.unwrap();
    store.version_list(house.account, vec![(one.id, 2)]).await.unwrap();
    assert_eq!(house.turn(&vault, Kind::VaultKey, &due[..2]).await.unwrap(), 2);
    let listed = store.version_list(house.account, vec![(one.id, 2)]).await.unwrap();
    let sealed = &listed[0].as_ref().unwrap().sealed;
    assert_eq!(sealed.wrapped_key, under(NEW, "turned 2").wrapped_key);
    assert_eq!(sealed.ciphertext, b"one 2", "the value is as it was");
    assert_eq!(house.usage(&vault).await, (3, Some((2, 1))));
    let not_yet = |error: &Error| matches!(error, Error::NotEmpty);
    house.refuses("an early end", not_yet, house.end(&vault, Kind::VaultKey)).await;
    assert!(house.found(&vault).await.previous_key.is_some());

    assert_eq!(house.turn(&vault, Kind::VaultKey, &due[2..]).await.unwrap(), 1);
    assert_eq!(house.due(&vault, Kind::VaultKey).await, []);
    house.end(&vault, Kind::VaultKey).await.unwrap();
    assert_eq!(house.found(&vault).await.previous_key, None);
    assert_eq!(
        (house.usage(&vault).await, store.rotation_list(house.account).await.unwrap()),
        ((3, None), vec![])
    );
    house.refuses("a second end", stale, house.end(&vault, Kind::VaultKey)).await;
    let late = house.turn(&vault, Kind::VaultKey, &due).await;
    assert!(late.is_err_and(|error| stale(&error)));
    bring_back(&house, &*house.found(&vault).await, &Secret { revision: 2, ..two }, None).await.unwrap();
}

async fn what_changed_meanwhile_is_left_as_it_is(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let (one, two) = (house.add_under(OLD, &vault, "one").await, house.add_under(OLD, &vault, "two").await);
    house.begin(&vault, Kind::VaultKey).await.unwrap();
    let due = house.due(&vault, Kind::VaultKey).await;
    house.turn(&vault, Kind::VaultKey, &due[..1]).await.unwrap();
    house.secret_delete(&two).await.unwrap();
    assert_eq!(house.turn(&vault, Kind::VaultKey, &due).await.unwrap(), 0);
    assert_eq!(house.usage(&vault).await, (1, Some((1, 0))));
    assert!(store.version_find(house.account, one.id, 1).await.unwrap().is_some());
    house.end(&vault, Kind::VaultKey).await.unwrap();
}

async fn data_keys_are_due_once(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let one = house.add_secret(&vault, "one").await;
    house.begin(&vault, Kind::DataKeys).await.unwrap();
    // What is written from then on has fresh data keys.
    house.add_secret(&vault, "two").await;
    let due = house.due(&vault, Kind::DataKeys).await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].secret, &due[0].sealed), (one.id, &house.version(&one).sealed));
    let not_yet = |error: &Error| matches!(error, Error::NotEmpty);
    house.refuses("an early end", not_yet, house.end(&vault, Kind::DataKeys)).await;
    assert_eq!(house.turn(&vault, Kind::DataKeys, &due).await.unwrap(), 1);
    let version = store.version_find(house.account, one.id, 1).await.unwrap().unwrap();
    assert_eq!(version.sealed, under(NEW, "turned 1"));
    assert_eq!(version.created_at, house.version(&one).created_at);
    house.end(&vault, Kind::DataKeys).await.unwrap();
    house.begin(&vault, Kind::DataKeys).await.unwrap();
    assert_eq!(house.due(&vault, Kind::DataKeys).await.len(), 2, "each time all of them");
}

async fn one_rotation_of_a_vault_at_a_time(store: &dyn Store) {
    let house = House::build(store).await;
    let (vault, other) = (house.add_vault("vault").await, house.add_vault("other").await);
    for kind in [Kind::VaultKey, Kind::DataKeys] {
        house.begin(&house.found(&vault).await.as_ref().clone(), kind).await.unwrap();
        for again in [Kind::VaultKey, Kind::DataKeys] {
            house.refuses("a second one", is_rotating, house.begin(&vault, again)).await;
        }
        let wrong = if kind == Kind::VaultKey { Kind::DataKeys } else { Kind::VaultKey };
        house.refuses("the end of another kind", stale, house.end(&vault, wrong)).await;
        house.end(&vault, kind).await.unwrap();
    }
    house.refuses("in the place of an older key", stale, house.begin(&vault, Kind::VaultKey)).await;
    house.begin(&other, Kind::VaultKey).await.unwrap();
    let never = house.vault("never");
    house.refuses("of no vault", stale, house.begin(&never, Kind::DataKeys)).await;
    let running = store.rotation_list(house.account).await.unwrap();
    assert_eq!(running.iter().map(|rotation| rotation.vault).collect::<Vec<_>>(), [other.id]);
}

async fn a_deleted_vault_is_rotated_and_comes_back_with_its_keys(store: &dyn Store) {
    let house = House::build(store).await;
    let vault = house.add_vault("vault").await;
    let secret = house.add_under(OLD, &vault, "secret").await;
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    house.begin(&vault, Kind::VaultKey).await.unwrap();
    delete_vault(&house, &vault, deletion(&house, 0)).await;
    let read = store.deleted_vault_find(house.account, vault.id).await.unwrap().unwrap().was;
    assert_eq!(read.previous_key.as_ref(), Some(&vault.wrapped_key));
    let due = house.due(&vault, Kind::VaultKey).await;
    assert_eq!(house.turn(&vault, Kind::VaultKey, &due).await.unwrap(), 1);
    house.end(&vault, Kind::VaultKey).await.unwrap();
    // It was read before its rotation ended: what it had then does not come back.
    let back = Vault { revision: 2, ..read };
    let event = house.event(&back, Action::Undeleted);
    store.vault_undelete(house.account, back.clone(), None, event).await.unwrap();
    let found = house.found(&vault).await;
    assert_eq!((&found.wrapped_key, &found.previous_key), (&under_root(b"the new key"), &None));
    house.refuses("an old insert", stale, house.insert_under(OLD, &found, &house.secret(&found, "n"))).await;
    house.insert_under(NEW, &found, &house.secret(&found, "n")).await.unwrap();
}

async fn a_rotation_goes_with_its_vault(store: &dyn Store) {
    let house = House::build(store).await;
    let (one, two) = (house.add_vault("one").await, house.add_vault("two").await);
    let secret = house.add_under(OLD, &two, "secret").await;
    house.begin(&one, Kind::VaultKey).await.unwrap();
    house.begin(&two, Kind::DataKeys).await.unwrap();
    house.vault_delete(&one).await.unwrap();
    assert_eq!(store.rotation_list(house.account).await.unwrap().len(), 1);
    delete_secret(&house, &secret, deletion(&house, 0)).await;
    delete_vault(&house, &two, deletion(&house, 0)).await;
    purge(&house, &[&secret]).await.unwrap();
    purge_vault(&house, &two).await.unwrap();
    assert_eq!(store.rotation_list(house.account).await.unwrap(), []);
}

async fn the_oldest_keys_are_overdue_first(store: &dyn Store) {
    let house = House::build(store).await;
    let at = |hours| house.stamp().at + jiff::SignedDuration::from_hours(hours);
    let mut vaults = Vec::new();
    for (name, hours) in [("b", 2), ("c", 3), ("a", 1)] {
        let vault = Vault { keyed_at: at(hours), ..house.vault(name) };
        house.vault_insert(&vault).await.unwrap();
        vaults.push(vault);
    }
    let overdue = async |hours, limit| store.rotation_overdue(house.account, at(hours), limit).await.unwrap();
    assert_eq!(overdue(0, 9).await, []);
    assert_eq!(overdue(2, 9).await, [vaults[2].id, vaults[0].id]);
    assert_eq!(overdue(3, 1).await, [vaults[2].id]);
    house.begin(&vaults[2], Kind::DataKeys).await.unwrap();
    assert_eq!(overdue(2, 9).await, [vaults[0].id], "one that is under way is waited for");
}

/// A slot as it is under the next root key: its id comes before what was.
fn resealed(slot: &KeySlot) -> SealedRootKey {
    let psk = WrappedKey::from_bytes([&NEW[..], slot.sealed.psk.as_bytes()].concat());
    SealedRootKey { public: slot.sealed.public, psk, message: [&NEW[..], &slot.sealed.message].concat() }
}

/// The key that follows the root key of [`House::founding`], which puts its id before what it wraps.
fn next_root_key(replaces: [u8; 8], refuses: Option<UnderRoot>) -> NewRootKey {
    let rewrap = move |what: &UnderRoot, wrapped: &WrappedKey| match refuses {
        Some(refused) if refused == *what => Err(Error::Internal("it does not open".into())),
        _ => Ok(WrappedKey::from_bytes([&NEW[..], wrapped.as_bytes()].concat())),
    };
    let (id, replaces) = (KeyId::from_bytes(NEW), KeyId::from_bytes(replaces));
    NewRootKey {
        id,
        replaces,
        made_at: jiff::Timestamp::from_second(1_800_000_000).unwrap(),
        rewrap: Arc::new(rewrap),
        reseal: Arc::new(|slot| Ok(resealed(slot))),
    }
}

async fn a_root_key_is_replaced_in_one_step(store: &dyn Store) {
    let house = House::build(store).await;
    store.log_key_insert(house.account, WrappedKey::from_bytes(b"log key".to_vec())).await.unwrap();
    let (vault, gone) = (house.add_vault("vault").await, house.add_vault("gone").await);
    house.begin(&vault, Kind::VaultKey).await.unwrap();
    delete_vault(&house, &gone, deletion(&house, 0)).await;
    // Looked up before, so that what a cache keeps has to go.
    let before = house.found(&vault).await;
    let replace = async |new: NewRootKey| {
        let object = Object::RootKey { key: new.id.to_string(), previous: new.replaces.to_string() };
        store.root_key_replace(house.account, new, house.event(object, Action::Rotated)).await
    };
    let broken = |error: &Error| matches!(error, Error::Internal(_));
    for what in [UnderRoot::TokenKey, UnderRoot::LogKey, UnderRoot::VaultKey(gone.id)] {
        let refused = async { replace(next_root_key(ROOT, Some(what))).await.map(drop) };
        house.refuses("one that does not open", broken, refused).await;
    }
    let refused = async { replace(next_root_key([9; 8], None)).await.map(drop) };
    house.refuses("in the place of another one", stale, refused).await;
    assert_eq!(house.found(&vault).await, before);

    // The token key, the log key, two keys of the one vault and one of the other.
    assert_eq!(replace(next_root_key(ROOT, None)).await.unwrap(), 5);
    let by_new = |wrapped: &WrappedKey| WrappedKey::from_bytes([&NEW[..], wrapped.as_bytes()].concat());
    let found = house.found(&vault).await;
    assert_eq!(found.wrapped_key, by_new(&before.wrapped_key));
    assert_eq!(found.previous_key, before.previous_key.as_ref().map(by_new));
    let deleted = store.deleted_vault_find(house.account, gone.id).await.unwrap().unwrap().was;
    assert_eq!(deleted.wrapped_key, by_new(&gone.wrapped_key));
    let account = store.account_find().await.unwrap().unwrap();
    assert_eq!(account.root_key, KeyId::from_bytes(NEW));
    assert_eq!(account.wrapped_token_key.wrapped_by(), Some(KeyId::from_bytes(NEW)));
    assert_eq!(
        store.log_key_find(house.account).await.unwrap().unwrap().wrapped_by(),
        Some(KeyId::from_bytes(NEW))
    );
    assert_eq!(store.root_keyed_at(house.account).await.unwrap().as_second(), 1_800_000_000);

    // What was under way when it happened.
    let under = |key: [u8; 8], name: &str| Vault {
        wrapped_key: WrappedKey::from_bytes([&key[..], b"wrapped"].concat()),
        ..house.vault(name)
    };
    for (what, root) in [("under the old one", ROOT), ("under one of no account", [9; 8])] {
        house.refuses(what, stale, house.vault_insert(&under(root, "late"))).await;
    }
    let cut = Vault { wrapped_key: WrappedKey::from_bytes(NEW[..7].to_vec()), ..house.vault("cut") };
    house.refuses("under one that cannot be told", stale, house.vault_insert(&cut)).await;
    house.vault_insert(&under(NEW, "late")).await.unwrap();
    let refused = async { replace(next_root_key(ROOT, None)).await.map(drop) };
    house.refuses("twice", stale, refused).await;
}
