//! An account in a store, and the records that the cases put into it. Nothing here is sealed: a store looks into no value.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::{KeyId, SealedValue, SystemRng, TokenHash, WrappedKey};
use strongroom_domain::api_key::ApiKey;
use strongroom_domain::audit::{Action, Actor, Event, Head, Object};
use strongroom_domain::caller::Role;
use strongroom_domain::clock::Clock;
use strongroom_domain::deleted::Deletion;
use strongroom_domain::error::Rule;
use strongroom_domain::filter::{Field, Filter};
use strongroom_domain::fingerprint::Fingerprint;
use strongroom_domain::grant::Grants;
use strongroom_domain::ids::{
    AccountId, ApiKeyId, Ksuid, PrincipalId, SecretId, ServiceUserId, UserId, VaultId,
};
use strongroom_domain::keep::VaultKeep;
use strongroom_domain::page::{Listing, Page, PageLimit, Query};
use strongroom_domain::principal::{Account, ServiceUser, User};
use strongroom_domain::secret::{Secret, Version};
use strongroom_domain::stamp::{Stamp, Stamper};
use strongroom_domain::store::{ApiKeysOf, Store};
use strongroom_domain::vault::Vault;
use strongroom_domain::{Error, Result};

/// A time that stands still: all ids are then of one second and differ in their count alone.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }
}

/// The root key of an account that was just made.
pub(crate) const ROOT: [u8; KeyId::LENGTH] = [7; KeyId::LENGTH];

/// Something that says it was wrapped by that root key.
pub(crate) fn under_root(what: &[u8]) -> WrappedKey {
    WrappedKey::from_bytes([&ROOT[..], what].concat())
}

pub(crate) struct House<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) account: AccountId,
    pub(crate) user: PrincipalId,
    stamper: Stamper,
}

/// All that a store shows of an account: equal before and after means that nothing has changed.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    vaults: Vec<Vault>,
    secrets: Vec<Secret>,
    versions: Vec<Option<Version>>,
    api_keys: Vec<Comparable>,
    service_users: Vec<ServiceUser>,
    head: Head,
    counts: [u64; 4],
}

/// An API key without the type of its hash, which is not to be compared with `==` where it matters.
pub(crate) type Comparable = (ApiKeyId, Told, Timestamp, PrincipalId, u64, [u8; 32]);

type Told = (String, String, Option<Grants>, Option<Timestamp>, Option<Fingerprint>);

pub(crate) fn comparable(key: &ApiKey) -> Comparable {
    let (description, metadata) = (key.description.clone(), key.metadata.clone());
    let told = (description, metadata, key.grants.clone(), key.expires_at, key.client_certificate);
    (key.id, told, key.created_at, key.owner, key.revision, *key.hash.as_bytes())
}

impl<'a> House<'a> {
    /// Makes the account in a store that has none.
    pub(crate) async fn build(store: &'a dyn Store) -> Self {
        let stamper = Stamper::new(Arc::new(Still), Arc::new(SystemRng));
        let account = AccountId::new(stamper.stamp().unwrap().ksuid);
        let user = PrincipalId::User(UserId::new(stamper.stamp().unwrap().ksuid));
        let house = Self { store, account, user, stamper };
        let (account, user, key) = house.founding();
        let event = house.event(&key, Action::Created);
        store.account_insert(account, user, key, Vec::new(), vec![event]).await.unwrap();
        house
    }

    /// The same account, through another node's store.
    #[allow(dead_code, reason = "asked for by the tests of several nodes alone")]
    pub(crate) fn over<'b>(&self, store: &'b dyn Store) -> House<'b> {
        let stamper = Stamper::new(Arc::new(Still), Arc::new(SystemRng));
        House { store, account: self.account, user: self.user, stamper }
    }

    /// The records of an account's making.
    pub(crate) fn founding(&self) -> (Account, User, ApiKey) {
        let PrincipalId::User(id) = self.user else { panic!("the first principal is a user") };
        let account = Account {
            id: self.account,
            name: "house".to_owned(),
            created_at: Still.now(),
            root_key: KeyId::from_bytes(ROOT),
            wrapped_token_key: WrappedKey::from_bytes(vec![8; 40]),
        };
        let email = "first@example.com".to_owned();
        let user = User { id, email, role: Role::Admin, created_at: Still.now() };
        (account, user, self.api_key(self.user, "first"))
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamper.stamp().unwrap()
    }

    pub(crate) fn event(&self, object: impl Into<Object>, action: Action) -> Event {
        let actor = Actor::on_machine(self.user, "first@example.com".to_owned());
        Event::new(self.stamp(), self.account, actor, object, action)
    }

    pub(crate) fn vault(&self, name: &str) -> Vault {
        let Stamp { ksuid, at } = self.stamp();
        Vault {
            id: VaultId::new(ksuid),
            name: name.to_owned(),
            description: format!("description of {name}"),
            metadata: format!("metadata of {name}"),
            created_at: at,
            created_by: self.user,
            updated_at: at,
            last_updated_by: self.user,
            revision: 1,
            wrapped_key: under_root(name.as_bytes()),
            previous_key: None,
            keyed_at: at,
            keep: VaultKeep::default(),
        }
    }

    pub(crate) async fn vault_insert(&self, vault: &Vault) -> Result<()> {
        let event = self.event(vault, Action::Created);
        self.store.vault_insert(self.account, vault.clone(), None, event.into()).await
    }

    pub(crate) async fn add_vault(&self, name: &str) -> Vault {
        let vault = self.vault(name);
        self.vault_insert(&vault).await.unwrap();
        vault
    }

    pub(crate) async fn vault_update(&self, vault: &Vault) -> Result<()> {
        let event = self.event(vault, Action::Updated);
        self.store.vault_update(self.account, vault.clone(), event).await
    }

    pub(crate) async fn vault_delete(&self, vault: &Vault) -> Result<()> {
        let event = self.event(vault, Action::Deleted);
        let vault = Arc::new(vault.clone());
        self.store.vault_delete(self.account, vault, self.deletion(), false, event).await
    }

    pub(crate) fn deletion(&self) -> Deletion {
        Deletion { at: self.stamp().at, by: self.user }
    }

    pub(crate) fn secret(&self, vault: &Vault, name: &str) -> Secret {
        let Stamp { ksuid, at } = self.stamp();
        Secret {
            id: SecretId::new(ksuid),
            vault_id: vault.id,
            vault_name: vault.name.clone(),
            name: name.to_owned(),
            description: format!("description of {name}"),
            metadata: format!("metadata of {name}"),
            created_at: at,
            created_by: self.user,
            updated_at: at,
            last_updated_by: self.user,
            revision: 1,
            version: 1,
            expires_at: None,
        }
    }

    /// A version whose bytes tell whose it is.
    pub(crate) fn version(&self, secret: &Secret) -> Version {
        let text = format!("{} {}", secret.id, secret.version).into_bytes();
        let wrapped_key = WrappedKey::from_bytes(text.clone());
        Version {
            number: secret.version,
            created_at: secret.updated_at,
            created_by: Some(secret.last_updated_by),
            sealed: SealedValue { wrapped_key, ciphertext: text },
        }
    }

    pub(crate) async fn secret_insert(&self, vault: &Vault, secret: &Secret) -> Result<()> {
        let (version, event) = (self.version(secret), self.event(secret, Action::Created));
        let vault = Arc::new(vault.clone());
        self.store.secret_insert(self.account, vault, secret.clone(), version, None, event.into()).await
    }

    pub(crate) async fn add_secret(&self, vault: &Vault, name: &str) -> Secret {
        let secret = self.secret(vault, name);
        self.secret_insert(vault, &secret).await.unwrap();
        secret
    }

    pub(crate) async fn secret_update(&self, secret: &Secret, version: Option<Version>) -> Result<()> {
        self.secret_update_keeping(secret, version, 10).await
    }

    pub(crate) async fn secret_update_keeping(
        &self,
        secret: &Secret,
        version: Option<Version>,
        keep: u32,
    ) -> Result<()> {
        let event = self.event(secret, Action::Updated);
        self.store.secret_update(self.account, secret.clone(), version, keep, event).await
    }

    pub(crate) async fn secret_delete(&self, secret: &Secret) -> Result<()> {
        let event = self.event(secret, Action::Deleted);
        let secret = Arc::new(secret.clone());
        self.store.secret_delete(self.account, secret, self.deletion(), false, event).await
    }

    pub(crate) fn api_key(&self, owner: PrincipalId, description: &str) -> ApiKey {
        let Stamp { ksuid, at } = self.stamp();
        let mut hash = [0; 32];
        hash[..20].copy_from_slice(ksuid.as_bytes());
        ApiKey {
            id: ApiKeyId::new(ksuid),
            description: description.to_owned(),
            metadata: format!("metadata of {description}"),
            created_at: at,
            owner,
            grants: None,
            expires_at: None,
            client_certificate: None,
            revision: 1,
            hash: TokenHash::from_bytes(hash),
        }
    }

    pub(crate) async fn api_key_insert(&self, key: &ApiKey) -> Result<()> {
        let event = self.event(key, Action::Created);
        self.store.api_key_insert(self.account, key.clone(), event.into()).await
    }

    pub(crate) async fn add_api_key(&self, owner: PrincipalId, description: &str) -> ApiKey {
        let key = self.api_key(owner, description);
        self.api_key_insert(&key).await.unwrap();
        key
    }

    pub(crate) async fn api_key_delete(&self, key: &ApiKey) -> Result<()> {
        let event = self.event(key, Action::Deleted);
        self.store.api_key_delete(self.account, key.id, key.revision, event).await
    }

    pub(crate) fn service_user(&self, name: &str) -> ServiceUser {
        let Stamp { ksuid, at } = self.stamp();
        let id = ServiceUserId::new(ksuid);
        ServiceUser { id, name: name.to_owned(), active: true, created_at: at, revision: 1 }
    }

    pub(crate) async fn service_user_insert(&self, user: &ServiceUser) -> Result<()> {
        let event = self.event(user, Action::Created);
        self.store.service_user_insert(self.account, user.clone(), event.into()).await
    }

    pub(crate) async fn add_service_user(&self, name: &str) -> ServiceUser {
        let user = self.service_user(name);
        self.service_user_insert(&user).await.unwrap();
        user
    }

    pub(crate) async fn service_user_update(&self, user: &ServiceUser) -> Result<()> {
        let event = self.event(user, Action::Updated);
        self.store.service_user_update(self.account, user.clone(), event).await
    }

    pub(crate) async fn service_user_delete(&self, user: &ServiceUser, keys: &[ApiKeyId]) -> Result<()> {
        let event = self.event(user, Action::Deleted);
        self.store.service_user_delete(self.account, user.id, user.revision, keys.to_vec(), vec![event]).await
    }

    /// A page of secrets, to be looked at.
    pub(crate) async fn secrets(&self, vault: Option<VaultId>, query: Query) -> Result<Listing<Secret>> {
        let page = self.store.secret_list(self.account, vault, query).await?;
        let items = page.items.iter().map(|secret| (**secret).clone()).collect();
        Ok(Listing { items, more: page.more })
    }

    pub(crate) async fn shown(&self) -> Shown {
        let Self { store, account, .. } = *self;
        let all = || page(None, 100);
        let secrets = self.secrets(None, all()).await.unwrap().items;
        let mut versions = Vec::new();
        for secret in &secrets {
            versions.push(store.version_find(account, secret.id, secret.version).await.unwrap());
        }
        let counts = store.counts().await.unwrap();
        let keys = store.api_key_list(account, ApiKeysOf::Account, all()).await.unwrap().items;
        Shown {
            vaults: store.vault_list(account, all()).await.unwrap().items,
            secrets,
            versions,
            api_keys: keys.iter().map(comparable).collect(),
            service_users: store.service_user_list(account, all()).await.unwrap().items,
            head: store.audit_head().await.unwrap(),
            counts: [counts.vaults, counts.secrets, counts.api_keys, counts.events],
        }
    }

    /// Fails unless a change is refused as expected and leaves nothing behind, no audit event either.
    pub(crate) async fn refuses(
        &self,
        what: &str,
        expected: fn(&Error) -> bool,
        change: impl Future<Output = Result<()>>,
    ) {
        let before = self.shown().await;
        let error = change.await.expect_err(what);
        assert!(expected(&error), "{what}: {error:?}");
        assert_eq!(self.shown().await, before, "{what}");
    }
}

pub(crate) fn page(before: Option<Ksuid>, limit: u64) -> Query {
    Query { page: Page { before, limit: PageLimit::new(limit).unwrap() }, filter: None, scope: None }
}

pub(crate) fn filtered(fields: &'static [Field], text: &str) -> Query {
    let filter = Filter::parse(text, fields, Still.now()).unwrap_or_else(|e| panic!("{text}: {e}"));
    Query { filter: Some(filter), ..page(None, 100) }
}

pub(crate) fn id_taken(error: &Error) -> bool {
    matches!(error, Error::Invalid(Rule::Parameter("id")))
}

pub(crate) fn stale(error: &Error) -> bool {
    matches!(error, Error::Stale)
}

/// Walks a list in pages of every size, and fails unless each shows these ids, newest first, and says rightly whether
/// another page follows. `inserted` is in the order of insertion.
pub(crate) async fn assert_pages<T>(
    inserted: &[Ksuid],
    list: impl AsyncFn(Query) -> Result<Listing<T>>,
    id: impl Fn(&T) -> Ksuid,
) {
    let newest_first: Vec<Ksuid> = inserted.iter().rev().copied().collect();
    for limit in 1..=newest_first.len() + 1 {
        let (mut before, mut rest) = (None, newest_first.as_slice());
        loop {
            let shown = list(page(before, limit as u64)).await.unwrap();
            let (expected, after) = rest.split_at(limit.min(rest.len()));
            let ids: Vec<Ksuid> = shown.items.iter().map(&id).collect();
            assert_eq!(ids, expected, "limit {limit}, before {before:?}");
            assert_eq!(shown.more, !after.is_empty(), "limit {limit}, before {before:?}");
            if !shown.more {
                break;
            }
            (before, rest) = (ids.last().copied(), after);
        }
    }
    let nothing = list(page(newest_first.last().copied(), 100)).await.unwrap();
    assert!(nothing.items.is_empty() && !nothing.more, "before the oldest");
    // The id that a page starts before need not exist, or not any more.
    let mut between = *newest_first[0].as_bytes();
    // The next number: with a carry where the last byte is 255.
    for byte in between.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    let after_newest = list(page(Some(Ksuid::from_bytes(between)), 100)).await.unwrap();
    assert_eq!(after_newest.items.len(), newest_first.len(), "before an id that does not exist");
    let oldest = list(page(Some(Ksuid::MIN), 100)).await.unwrap();
    assert!(oldest.items.is_empty(), "before the smallest id");
}
