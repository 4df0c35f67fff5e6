//! What is kept in memory, and what a change puts out of it.

use std::sync::Arc;

use quick_cache::sync::Cache;
use strongroom_domain::caller::Credential;
use strongroom_domain::filter::Filter;
use strongroom_domain::gate::Gate;
use strongroom_domain::ids::{AccountId, ApiKeyId, SecretId, VaultId};
use strongroom_domain::page::{Listing, Query};
use strongroom_domain::secret::{Secret, Version};
use strongroom_domain::vault::Vault;

use super::coherent::{Coherent, ENTRY_WEIGHT, Pages};

/// Bytes of memory for secrets' metadata, about.
const SECRETS_WEIGHT: u64 = 24 << 20;
/// Bytes of memory for sealed values, about.
const VERSIONS_WEIGHT: u64 = 16 << 20;
/// Bytes of memory for pages of secrets, about: a page of a hundred takes some 60 KiB.
const PAGES_WEIGHT: u64 = 16 << 20;
/// Bytes of memory for vaults, about.
const VAULTS_WEIGHT: u64 = 4 << 20;
/// Bytes of memory for credentials, about.
const CREDENTIALS_WEIGHT: u64 = 4 << 20;
/// Bytes of memory for gates, about: an account has one, whose size its limits bound.
const GATES_WEIGHT: u64 = 1 << 20;
/// What a grant weighs beside its text.
const GRANT_WEIGHT: usize = 100;
/// Vault names whose ids are remembered.
const NAMES: usize = 4096;
/// Secret names whose ids are remembered.
const SECRET_NAMES: usize = 32 << 10;

/// Everything that is kept.
pub(super) struct Caches {
    pub(super) secrets: Coherent<(AccountId, SecretId), Secret>,
    /// Of each secret the version that was asked for last, sealed.
    pub(super) versions: Coherent<(AccountId, SecretId), Version>,
    pub(super) vaults: Coherent<(AccountId, VaultId), Vault>,
    /// Which vault had a name when it was last looked for. Only a hint: the vault itself says what it is called.
    pub(super) names: Cache<(AccountId, String), VaultId>,
    /// The same of secrets in a vault.
    pub(super) secret_names: Cache<(AccountId, VaultId, String), SecretId>,
    pub(super) credentials: Coherent<ApiKeyId, Credential>,
    pub(super) gates: Coherent<AccountId, Gate>,
    pub(super) pages: Pages<PageKey, Listing<Arc<Secret>>>,
}

/// What a page of secrets was asked for by: all of the account, or of one vault, and how.
pub(super) type PageKey = (AccountId, Option<VaultId>, Query);

/// What a change replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Replaced {
    Secret(AccountId, SecretId),
    /// No record, but the lists that a secret comes into.
    SecretList,
    /// The vault, and with it the name that its secrets show.
    Vault(AccountId, VaultId),
    /// The keys of a vault, and nothing else of it.
    VaultKeys(AccountId, VaultId),
    /// The keys of all vaults.
    AllVaultKeys,
    /// How versions of a secret are sealed, and nothing that is told of it.
    Sealed(AccountId, SecretId),
    /// The same of all secrets.
    AllSealed,
    Key(ApiKeyId),
    Gate(AccountId),
    /// A service user, and with it all credentials that are its.
    ServiceUser,
    /// All that is kept.
    Everything,
}

impl Caches {
    /// A change begins: what it replaces is gone, and is not kept again before the change ends.
    pub(super) fn begin(&self, replaced: Replaced) {
        match replaced {
            Replaced::Secret(account, id) => {
                self.secrets.begin((account, id));
                self.versions.begin((account, id));
                self.pages.begin();
            }
            Replaced::SecretList => self.pages.begin(),
            Replaced::Vault(account, id) => {
                self.vaults.begin((account, id));
                self.secrets.begin_all();
                self.pages.begin();
            }
            Replaced::VaultKeys(account, id) => self.vaults.begin((account, id)),
            Replaced::AllVaultKeys => self.vaults.begin_all(),
            Replaced::Sealed(account, id) => self.versions.begin((account, id)),
            Replaced::AllSealed => self.versions.begin_all(),
            Replaced::Key(id) => self.credentials.begin(id),
            Replaced::Gate(account) => self.gates.begin(account),
            Replaced::ServiceUser => self.credentials.begin_all(),
            Replaced::Everything => {
                self.secrets.begin_all();
                self.versions.begin_all();
                self.vaults.begin_all();
                self.credentials.begin_all();
                self.gates.begin_all();
                self.pages.begin();
            }
        }
    }

    /// A change is done, or failed.
    pub(super) fn end(&self, replaced: Replaced) {
        match replaced {
            Replaced::Secret(account, id) => {
                self.pages.end();
                self.versions.end((account, id));
                self.secrets.end((account, id));
            }
            Replaced::SecretList => self.pages.end(),
            Replaced::Vault(account, id) => {
                self.pages.end();
                self.secrets.end_all();
                self.vaults.end((account, id));
            }
            Replaced::VaultKeys(account, id) => self.vaults.end((account, id)),
            Replaced::AllVaultKeys => self.vaults.end_all(),
            Replaced::Sealed(account, id) => self.versions.end((account, id)),
            Replaced::AllSealed => self.versions.end_all(),
            Replaced::Key(id) => self.credentials.end(id),
            Replaced::Gate(account) => self.gates.end(account),
            Replaced::ServiceUser => self.credentials.end_all(),
            Replaced::Everything => {
                self.pages.end();
                self.gates.end_all();
                self.credentials.end_all();
                self.vaults.end_all();
                self.versions.end_all();
                self.secrets.end_all();
            }
        }
    }
}

impl Default for Caches {
    fn default() -> Self {
        Self {
            secrets: Coherent::new(SECRETS_WEIGHT, texts_of),
            versions: Coherent::new(VERSIONS_WEIGHT, |version| {
                version.sealed.ciphertext.len() + version.sealed.wrapped_key.as_bytes().len()
            }),
            vaults: Coherent::new(VAULTS_WEIGHT, |vault| {
                vault.name.len() + vault.description.len() + vault.metadata.len()
            }),
            names: Cache::new(NAMES),
            secret_names: Cache::new(SECRET_NAMES),
            credentials: Coherent::new(CREDENTIALS_WEIGHT, |credential| {
                let grants = credential.key.grants.iter().flat_map(|grants| grants.iter());
                let grants: usize = grants.map(|grant| GRANT_WEIGHT + grant.to_string().len()).sum();
                let key = &credential.key;
                key.description.len() + key.metadata.len() + credential.subject.len() + grants
            }),
            gates: Coherent::new(GATES_WEIGHT, |_| 0),
            pages: Pages::new(PAGES_WEIGHT, |(_, _, query), page| {
                let secrets = page.items.iter().map(|secret| ENTRY_WEIGHT + texts_of(secret));
                weight_of(query) + secrets.sum::<usize>()
            }),
        }
    }
}

fn texts_of(secret: &Secret) -> usize {
    secret.name.len() + secret.vault_name.len() + secret.description.len() + secret.metadata.len()
}

/// What a query holds beside itself. It is the caller's to make long: by a filter, and by the grants of their key.
fn weight_of(query: &Query) -> usize {
    let filter = query.filter.as_ref().map_or(0, Filter::heap_size);
    let targets = query.scope.iter().flatten();
    let scope = targets
        .map(|target| GRANT_WEIGHT + target.vault.as_str().len() + target.secret.as_str().len())
        .sum::<usize>();
    filter + scope
}
