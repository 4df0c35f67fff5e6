//! Resolving: the one way to read values. Each value that is given out has an audit event on disk before it leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use strongroom_crypto::{Digest, SecretValue, chain_digest};

use super::App;
use crate::audit::{Actor, Client, Event};
use crate::caller::Caller;
use crate::error::{Denial, Error, Expired, Missing, Result, Rule};
use crate::grant::Action;
use crate::ids::{SecretId, VaultId};
use crate::page::{Page, PageLimit, Query};
use crate::secret::{Secret, Version};
use crate::vault::{Vault, VaultKeys};

/// References in one request.
const REFERENCES_MAX: usize = 100;
/// Values in one answer.
const VALUES_MAX: usize = 1000;
/// Bytes of all values in one answer: what one request may hold in memory and keep a thread busy with.
const BYTES_MAX: usize = 8 << 20;

/// What is to be resolved, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueRef {
    /// A secret by id; a version of it, or the current one.
    Id(SecretId, Option<u32>),
    /// A secret by its vault's name and its own; a version of it, or the current one.
    Name(String, String, Option<u32>),
    /// All that the caller sees in the vault of that name.
    Vault(String),
    /// A text in the place of an id that is none: nothing has it.
    NoId(String),
}

/// A secret, and which version of it is meant.
#[derive(Debug, Clone)]
struct Found {
    secret: Arc<Secret>,
    /// The version that was named; the current one if none was.
    named: Option<u32>,
}

impl Found {
    fn version(&self) -> u32 {
        self.named.unwrap_or(self.secret.version)
    }

    fn called(&self) -> String {
        named(&self.secret.vault_name, &self.secret.name, self.named)
    }
}

/// A digest of which secrets and which versions these are, and of what they are called. It tells nothing of a value, and is
/// another one as soon as an answer would be.
fn tag(targets: &[Found]) -> Digest {
    let mut bytes = Vec::with_capacity(targets.len() * 64);
    for target in targets {
        bytes.extend_from_slice(target.secret.id.ksuid().as_bytes());
        bytes.extend_from_slice(&target.version().to_be_bytes());
        bytes.extend_from_slice(&target.secret.revision.to_be_bytes());
        // Versions and revisions are counted again after a store was put back from a backup; the time goes on.
        bytes.extend_from_slice(&target.secret.updated_at.as_second().to_be_bytes());
        // Neither name holds a NUL.
        for name in [&target.secret.vault_name, &target.secret.name] {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
    }
    chain_digest(&[0; 32], targets.len() as u64, &bytes)
}

/// What resolving gives.
pub struct Resolution {
    /// Tells one answer from another: as long as it is the same, so are the values.
    pub tag: Digest,
    /// The values, in the order asked for; none if the caller knows them already, by their tag.
    pub values: Option<Vec<Value>>,
}

/// A secret with a value, in clear.
pub struct Value {
    /// Its metadata.
    pub secret: Arc<Secret>,
    /// Which version the value is.
    pub version: u32,
    /// The value.
    pub value: Arc<SecretValue>,
}

/// Refuses what the caller sees and may not resolve.
fn must_resolve(caller: &Caller, targets: &[Found]) -> Result<()> {
    let may = |found: &&Found| {
        caller.ruling_on(Action::Resolve, &found.secret.vault_name, &found.secret.name).allows()
    };
    let denied: Vec<_> = targets.iter().filter(|found| !may(found)).map(Found::called).collect();
    if denied.is_empty() { Ok(()) } else { Err(Error::Forbidden(Denial::NotResolvable(denied))) }
}

/// Refuses to give out anything when something has expired.
fn must_last(targets: &[Found], now: Timestamp) -> Result<()> {
    let expired: Vec<_> = targets
        .iter()
        .filter(|found| found.secret.has_expired(now))
        .filter_map(|found| Some(Expired { name: found.called(), at: found.secret.expires_at? }))
        .collect();
    if expired.is_empty() { Ok(()) } else { Err(Error::Expired(expired)) }
}

fn named(vault: &str, name: &str, version: Option<u32>) -> String {
    match version {
        Some(version) => format!("{vault}:{name}@{version}"),
        None => format!("{vault}:{name}"),
    }
}

impl App {
    /// Resolves: finds what is named, opens the values, and gives them once their events are on disk. All or nothing. The
    /// order is that of the references; a vault's secrets come by name. Values that `knows` the tag of stay closed.
    ///
    /// # Errors
    /// `NotFound` with all that is missing or that the caller may not see; `Forbidden` with all that it may see and not
    /// resolve; `Expired` with all whose end is past; `Invalid` for more than 1,000 values or 8 MiB of them, or not 1 to 100 references.
    pub async fn value_resolve(
        &self,
        caller: &Caller,
        references: &[ValueRef],
        client: &Client,
        knows: impl Fn(&Digest) -> bool,
    ) -> Result<Resolution> {
        self.try_again(|| async {
            // Which value is the current one is not told by a memory that is out of date.
            self.store.catch_up_if_behind().await?;
            let targets = self.value_find(caller, references).await?;
            let tag = tag(&targets);
            let values =
                if knows(&tag) { None } else { Some(self.value_open(caller, &targets, client).await?) };
            // The events may have waited for the store: whoever lost the right meanwhile gets nothing.
            self.store.catch_up_if_behind().await?;
            must_resolve(&self.refreshed(caller).await?, &targets)?;
            Ok(Resolution { tag, values })
        })
        .await
    }

    /// Finds what is named, and sees to it that the caller may resolve it.
    async fn value_find(&self, caller: &Caller, references: &[ValueRef]) -> Result<Vec<Found>> {
        if !(1..=REFERENCES_MAX).contains(&references.len()) {
            return Err(Rule::ReferenceCount { max: REFERENCES_MAX }.into());
        }
        if !caller.may_resolve() {
            return Err(Error::Forbidden(Denial::ResolvesNothing));
        }
        // What is missing is told first, so that nobody learns from the order what is there.
        let (mut targets, mut missing) = (Vec::with_capacity(references.len()), Vec::new());
        for reference in references {
            self.value_find_one(caller, reference, &mut targets, &mut missing).await?;
            if targets.len() > VALUES_MAX {
                return Err(Rule::TooManyValues { max: VALUES_MAX }.into());
            }
        }
        if !missing.is_empty() {
            return Err(Error::NotFound(Missing::Values(missing)));
        }
        must_resolve(caller, &targets)?;
        must_last(&targets, self.clock.now())?;
        Ok(targets)
    }

    async fn value_find_one(
        &self,
        caller: &Caller,
        reference: &ValueRef,
        list: &mut Vec<Found>,
        missing: &mut Vec<String>,
    ) -> Result<()> {
        // What the caller may not see is not looked for: not even the time it takes tells whether it is there.
        let (found, version, called) = match reference {
            ValueRef::Vault(name) => {
                let seen = caller.sees_vault(name);
                let vault =
                    if seen { self.store.vault_find_by_name(caller.account, name).await? } else { None };
                match vault {
                    Some(vault) => list.extend(self.secrets_in(caller, &vault).await?),
                    None => missing.push(name.clone()),
                }
                return Ok(());
            }
            ValueRef::NoId(text) => (None, None, text.clone()),
            ValueRef::Id(id, version) => {
                (self.store.secret_find(caller.account, *id).await?, *version, id.to_string())
            }
            ValueRef::Name(vault, name, version) => {
                let seen = caller.sees_secret(vault, name);
                let found = if seen { self.secret_named(caller, vault, name).await? } else { None };
                (found, *version, named(vault, name, *version))
            }
        };
        match found.filter(|secret| caller.sees_secret(&secret.vault_name, &secret.name)) {
            Some(secret) if self.is_kept(caller, &secret, version).await? => {
                list.push(Found { secret, named: version });
            }
            _ => missing.push(called),
        }
        Ok(())
    }

    /// Whether a version is there to be read. The current one is.
    async fn is_kept(&self, caller: &Caller, secret: &Secret, version: Option<u32>) -> Result<bool> {
        match version {
            Some(number) if number != secret.version => {
                Ok(self.store.version_find(caller.account, secret.id, number).await?.is_some())
            }
            _ => Ok(true),
        }
    }

    async fn secret_named(&self, caller: &Caller, vault: &str, name: &str) -> Result<Option<Arc<Secret>>> {
        let Some(vault) = self.store.vault_find_by_name(caller.account, vault).await? else {
            return Ok(None);
        };
        self.store.secret_find_by_name(caller.account, vault.id, name).await
    }

    /// All that the caller sees in a vault, by name; no more than it takes to know that it is too much.
    async fn secrets_in(&self, caller: &Caller, vault: &Vault) -> Result<Vec<Found>> {
        let mut secrets: Vec<Arc<Secret>> = Vec::new();
        loop {
            let before = secrets.last().map(|secret| secret.id.ksuid());
            let page = Page { before, limit: PageLimit::MAX };
            let query = Query { page, filter: None, scope: caller.scope_to_see() };
            let listed = self.store.secret_list(caller.account, Some(vault.id), query).await?;
            if listed.items.iter().any(|secret| secret.vault_name != vault.name) {
                // Renamed since it was looked for by name.
                return Err(Error::Stale);
            }
            secrets.extend_from_slice(&listed.items);
            if !listed.more || secrets.len() > VALUES_MAX {
                break;
            }
        }
        secrets.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(secrets.into_iter().map(|secret| Found { secret, named: None }).collect())
    }

    /// Opens values, and gives them once an event for each secret is on disk. `Stale` when a change came between.
    async fn value_open(&self, caller: &Caller, targets: &[Found], client: &Client) -> Result<Vec<Value>> {
        let versions = self.versions_of(caller, targets).await?;
        let vault_keys = self.vault_keys_of(caller, targets).await?;
        let mut opened: BTreeMap<(SecretId, u32), Arc<SecretValue>> = BTreeMap::new();
        let mut events = Vec::with_capacity(targets.len());
        let mut values = Vec::with_capacity(targets.len());
        for (target, sealed) in targets.iter().zip(&versions) {
            let (secret, version) = (&target.secret, target.version());
            let value = match opened.get(&(secret.id, version)) {
                Some(value) => value.clone(),
                None => {
                    let keys = vault_keys.get(&secret.vault_id).ok_or(Error::Stale)?;
                    // Opened for the caller, who asked for it and has the grant.
                    let value = Arc::new(self.open_with(caller, keys, secret, sealed).await?);
                    let (stamp, actor) = (self.stamper.stamp()?, Actor::from(caller));
                    let of = (&**secret, version);
                    events.push(Event::resolved(stamp, caller.account, actor, of, client.clone()));
                    opened.insert((secret.id, version), value.clone());
                    value
                }
            };
            values.push(Value { secret: secret.clone(), version, value });
        }
        if !events.is_empty() {
            // Finding a large vault may have taken its time: the key must still be what it was.
            must_resolve(&self.refreshed(caller).await?, targets)?;
            self.store.secret_resolved(caller.account, events).await?;
        }
        Ok(values)
    }

    /// The sealed version of each target, read a few at a time, so that no more is held than an answer may have.
    async fn versions_of(&self, caller: &Caller, targets: &[Found]) -> Result<Vec<Arc<Version>>> {
        const AT_A_TIME: usize = 50;
        let (mut versions, mut bytes) = (Vec::with_capacity(targets.len()), 0);
        for targets in targets.chunks(AT_A_TIME) {
            let which = targets.iter().map(|target| (target.secret.id, target.version())).collect();
            let found = self.store.version_list(caller.account, which).await?;
            for (target, version) in targets.iter().zip(found) {
                let version = match version {
                    Some(version) => version,
                    None if target.version() == target.secret.version => {
                        Arc::new(self.version_current(caller, &target.secret).await?)
                    }
                    // It was there when it was looked for.
                    None => return Err(Error::Stale),
                };
                bytes += version.sealed.ciphertext.len();
                versions.push(version);
            }
            if bytes > BYTES_MAX {
                return Err(Rule::TooMuchValue { max: BYTES_MAX }.into());
            }
        }
        Ok(versions)
    }

    /// The keys of each vault that a target is in.
    async fn vault_keys_of(
        &self,
        caller: &Caller,
        targets: &[Found],
    ) -> Result<BTreeMap<VaultId, VaultKeys>> {
        let vaults: BTreeMap<VaultId, &Secret> =
            targets.iter().map(|target| (target.secret.vault_id, &*target.secret)).collect();
        let mut keys = BTreeMap::new();
        for (id, secret) in vaults {
            let vault = self.vault_of_secret(caller, secret).await?;
            keys.insert(id, self.open_vault_keys(&vault).await?);
        }
        Ok(keys)
    }
}
