//! What can go wrong, in the domain's own words. The server makes HTTP of it in one place.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_crypto::CryptoError;

use crate::cidr::BadCidr;
use crate::filter::FilterError;
use crate::grant::{Action, BadGrant};
use crate::ids::{IpPolicyId, IpRestrictionId, PrincipalId, VaultId};
use crate::webhook::{BadUrl, UnknownEventType};

/// Short for a result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of things there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    /// A vault.
    Vault,
    /// A secret.
    Secret,
    /// An API key.
    ApiKey,
    /// A service user.
    ServiceUser,
    /// An event of the audit log.
    AuditEvent,
    /// A webhook.
    Webhook,
    /// Something that a webhook was to be told.
    Delivery,
    /// An IP policy.
    IpPolicy,
    /// A rule of an IP policy.
    IpPolicyRule,
    /// An IP restriction.
    IpRestriction,
    /// A key slot.
    KeySlot,
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vault => "Vault",
            Self::Secret => "Secret",
            Self::ApiKey => "API Key",
            Self::ServiceUser => "Service User",
            Self::AuditEvent => "Audit Event",
            Self::Webhook => "Webhook",
            Self::Delivery => "Delivery",
            Self::IpPolicy => "IP Policy",
            Self::IpPolicyRule => "IP Policy Rule",
            Self::IpRestriction => "IP Restriction",
            Self::KeySlot => "Key Slot",
        })
    }
}

/// A failure of a use case. `Display` is fit for everyone's eyes; a cause that is not stands in `source`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something given breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Rule),
    /// There is no such thing, or none that this caller may see.
    #[error("{0} not found")]
    NotFound(Missing),
    /// The name is taken.
    #[error("{0} name is taken")]
    NotUnique(Noun),
    /// It is not any more what the caller's change is for.
    #[error("it has changed")]
    Changed,
    /// It does not go with what is there.
    #[error("{0}")]
    Conflict(Conflict),
    /// What was to be given out is past its end.
    #[error("secrets that were to be resolved have expired")]
    Expired(Vec<Expired>),
    /// The feed of changes cannot be read on from where the caller was.
    #[error("{0}")]
    Gone(Gone),
    /// The vault still holds secrets.
    #[error("the vault holds secrets")]
    NotEmpty,
    /// No more of these are allowed.
    #[error("limited to {max} of {noun}")]
    LimitReached {
        /// What there are too many of.
        noun: Noun,
        /// How many are allowed.
        max: u64,
        /// The vault that was to take one more.
        vault: Option<VaultId>,
    },
    /// The caller did not show who it is.
    #[error("{0}")]
    Unauthenticated(BadCredential),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(Denial),
    /// The caller does this too often.
    #[error("too many requests")]
    RateLimited {
        /// Requests a minute that are allowed.
        max: u32,
        /// How long until the next one is.
        retry_after: Duration,
    },
    /// The thing changed since it was read. Use cases try again; callers do not see this.
    #[error("changed in the meantime")]
    Stale,
    /// The server has no keys: it waits to be unsealed.
    #[error("the server is sealed")]
    Sealed,
    /// The store cannot answer now: disk full, database away, shutting down.
    #[error("the store is not available")]
    Unavailable(#[source] Cause),
    /// Something that should not happen.
    #[error("internal error")]
    Internal(#[source] Cause),
}

/// A secret that is past its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// What it is called: `vault:name`, or `vault:name@version` if a version was named.
    pub name: String,
    /// Since when.
    pub at: Timestamp,
}

/// What lies behind an error; for the log alone.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        Self::Internal(Box::new(error))
    }
}

impl From<BadUrl> for Rule {
    fn from(bad: BadUrl) -> Self {
        Self::WebhookUrl(bad)
    }
}

impl From<UnknownEventType> for Rule {
    fn from(unknown: UnknownEventType) -> Self {
        Self::EventTypes(unknown)
    }
}

impl From<BadCidr> for Rule {
    fn from(bad: BadCidr) -> Self {
        Self::Cidr(bad)
    }
}

impl From<BadGrant> for Rule {
    fn from(bad: BadGrant) -> Self {
        Self::Grant(bad)
    }
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::Invalid(Rule::Filter(error))
    }
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The thing that the request is about.
    #[error("{0}")]
    Resource(Noun),
    /// The vault, named by id, that a new secret was to go into.
    #[error("vault with id {0}")]
    VaultId(String),
    /// The principal that a new API key was to act for.
    #[error("principal {0}")]
    Owner(PrincipalId),
    /// The vault, named by name, that a new secret was to go into.
    #[error("vault with name {0}")]
    VaultName(String),
    /// A version of a secret that is not kept, or never was; which are.
    #[error("version {number}; there are {oldest} to {newest}")]
    Version {
        /// Its number.
        number: u32,
        /// The oldest that is kept.
        oldest: u32,
        /// The current one.
        newest: u32,
    },
    /// What was to be resolved and is not there: vaults, `vault:name`, `vault:name@version` or ids.
    #[error("secrets that were to be resolved")]
    Values(Vec<String>),
}

/// A rule about what is given. A text that is too long or too secret to repeat is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// A name is needed.
    #[error("the name of a {0} cannot be empty")]
    NameEmpty(Noun),
    /// The name is too long.
    #[error("the name of a {noun} is limited to {max} bytes; it has {length}")]
    NameTooLong {
        /// Whose name.
        noun: Noun,
        /// Bytes allowed.
        max: usize,
        /// Bytes given.
        length: usize,
    },
    /// The name has a character that is not allowed.
    #[error("the name of a {noun} may hold only a-z A-Z 0-9 _ / . -")]
    NameCharacters {
        /// Whose name.
        noun: Noun,
        /// The name.
        name: String,
    },
    /// A value is needed.
    #[error("the value cannot be empty")]
    ValueEmpty,
    /// The value is too long.
    #[error("the value is limited to {max} bytes")]
    ValueTooLong {
        /// Bytes allowed.
        max: usize,
    },
    /// The description is too long.
    #[error("the description is limited to {max} bytes; it has {length}")]
    DescriptionTooLong {
        /// Whose description.
        noun: Noun,
        /// Bytes allowed.
        max: usize,
        /// Bytes given.
        length: usize,
    },
    /// The metadata is too long.
    #[error("the metadata is limited to {max} bytes; it has {length}")]
    MetadataTooLong {
        /// Whose metadata.
        noun: Noun,
        /// Bytes allowed.
        max: usize,
        /// Bytes given.
        length: usize,
    },
    /// A field has a value that it cannot have.
    #[error("the value of '{0}' is invalid")]
    Parameter(&'static str),
    /// A new secret needs a vault.
    #[error("a vault_id or vault_name is needed")]
    VaultMissing,
    /// More than one way to name an owner was used.
    #[error("only one of owner_id and owner_email can be given")]
    OwnerTwice,
    /// The filter is none.
    #[error("{0}")]
    Filter(FilterError),
    /// A grant is none.
    #[error("{0}")]
    Grant(BadGrant),
    /// Nothing can expire before it is made.
    #[error("the time that something expires must lie ahead")]
    ExpiryPast,
    /// Too many values for one answer.
    #[error("an answer holds up to {max} values; these would be more")]
    TooManyValues {
        /// Values allowed.
        max: usize,
    },
    /// Too many bytes of values for one answer.
    #[error("an answer holds up to {max} bytes of values; these would be more")]
    TooMuchValue {
        /// Bytes allowed.
        max: usize,
    },
    /// None, or too many, references in one request.
    #[error("a request holds 1 to {max} references")]
    ReferenceCount {
        /// References allowed.
        max: usize,
    },
    /// A reference that names nothing, or two things.
    #[error("a reference is an id, a vault's and a secret's name, or a vault's name")]
    Reference,
    /// A number of versions that cannot be kept.
    #[error("a vault keeps 1 to {max} versions of a secret")]
    KeepVersions {
        /// The most.
        max: u32,
    },
    /// A request comes under the key of another one.
    #[error("another request was made under this key")]
    OtherRequest,
    /// A webhook's URL cannot be delivered to.
    #[error("the URL cannot be used: {0}")]
    WebhookUrl(BadUrl),
    /// A webhook is told of an event type that there is not, or of none.
    #[error("event_types names one that there is not, or none")]
    EventTypes(UnknownEventType),
    /// A signing secret of another form.
    #[error("the secret is whsec_ and 24 to 64 bytes in base64")]
    SigningSecret,
    /// A rule of an IP policy needs something.
    #[error("'{0}' is needed")]
    Needed(&'static str),
    /// A text is no range of addresses.
    #[error("{0}")]
    Cidr(BadCidr),
    /// A rule of an IP policy neither allows nor denies.
    #[error("the action of a rule is allow or deny")]
    RuleAction,
    /// A rule is to be of an IP policy that there is not.
    #[error("there is no such IP policy")]
    IpPolicyId,
    /// A restriction names an IP policy that there is not.
    #[error("there is no IP policy {0}")]
    NoSuchIpPolicy(String),
    /// A restriction is of a type that there is not.
    #[error("there is no such type of restriction")]
    RestrictionType(String),
    /// A restriction names no IP policy.
    #[error("a restriction names at least one IP policy")]
    NoIpPolicy,
    /// A restriction names too many IP policies.
    #[error("a restriction names up to {max} IP policies")]
    TooManyIpPolicies {
        /// The most.
        max: usize,
    },
    /// A secret is moved to where it is.
    #[error("the secret is in that vault already")]
    SameVault,
}

/// What something does not go with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// It is to be brought back, or destroyed, and is not deleted; its id.
    #[error("{0} is not deleted")]
    NotDeleted(String),
    /// A secret is to be brought back into a vault that is deleted.
    #[error("its vault {0} is deleted")]
    VaultDeleted(VaultId),
    /// An IP policy is to be removed that restrictions name.
    #[error("{policy} is named by restrictions")]
    InUse {
        /// The policy.
        policy: IpPolicyId,
        /// Those that name it.
        by: Vec<IpRestrictionId>,
    },
    /// The caller's own address would not get in any more.
    #[error("{0} would not get in any more")]
    LockOut(IpAddr),
    /// The key that is used would be bound to a certificate that its own connection did not show.
    #[error("the API key would not work on this connection any more")]
    OtherCertificate,
    /// Something is to be brought back, and another one has its name.
    #[error("another {0} has its name")]
    NameTaken(Noun),
    /// Keys of a vault are to be rotated, and are already.
    #[error("keys of the vault {0} are being rotated")]
    Rotating(VaultId),
    /// The root key is to be rotated, and is already.
    #[error("the root key is being rotated")]
    RotatingRoot,
    /// The only way to the root key is to be removed.
    #[error("it is the last key slot")]
    LastKeySlot,
}

/// Why the feed of changes cannot be read on from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// What comes after it is not kept any longer.
    #[error("the changes after the cursor are not kept any longer")]
    Pruned,
    /// It is of another server's feed, or of this one's as it was before it was restored from a backup.
    #[error("the cursor is not of this feed")]
    OtherFeed,
}

/// What is wrong with a credential. None of these holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCredential {
    /// There is no Authorization header.
    #[error("no credential was given")]
    Missing,
    /// The Authorization header is neither Bearer nor Basic.
    #[error("the Authorization header is neither Bearer nor Basic")]
    Unparsable,
    /// The credential does not have the form of a token.
    #[error("the credential has not the form of an API key's token")]
    Malformed,
    /// It is the id of an authtoken.
    #[error("the credential is the id of an authtoken")]
    AuthtokenId,
    /// It is the id of an API key and not its token.
    #[error("the credential is the id of an API key, not its token")]
    ApiKeyId,
    /// It has the form of a token, and is not one that counts.
    #[error("the credential is not a valid API key's token")]
    Unknown,
    /// The key's time is over.
    #[error("the API key expired at {0}")]
    Expired(Timestamp),
    /// The key is bound to a certificate, and the connection showed none.
    #[error("the API key is bound to a client certificate, and the connection showed none")]
    NoCertificate,
    /// The key is bound to another certificate than the connection showed.
    #[error("the API key is bound to another client certificate than the connection showed")]
    OtherCertificate,
    /// The key's owner was switched off.
    #[error("the owner of the API key, {0}, is not active")]
    OwnerInactive(PrincipalId),
}

/// Why a known caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Only those who may write change things.
    #[error("the caller may read and not change")]
    ReadOnly,
    /// Only an admin makes keys for somebody else.
    #[error("only an admin may name another owner")]
    OtherOwner,
    /// Only an admin looks after service users.
    #[error("only an admin may create, update or delete service users")]
    ServiceUsers,
    /// Only an admin looks after webhooks.
    #[error("only an admin may look after webhooks")]
    Webhooks,
    /// Only an admin looks after IP policies and restrictions.
    #[error("only an admin may look after IP policies and restrictions")]
    IpRestrictions,
    /// A restriction does not allow the address that the caller comes from.
    #[error("{address} is not allowed by {by}")]
    Address {
        /// The address.
        address: IpAddr,
        /// The restriction.
        by: IpRestrictionId,
    },
    /// Only an admin looks after the keys that seal values.
    #[error("only an admin may look after vault keys")]
    Keys,
    /// The named owner is not active.
    #[error("the owner of the API key is inactive")]
    OwnerInactive,
    /// Only an admin makes keys that open more than an ordinary one does.
    #[error("only an admin may give the grants resolve, audit and admin")]
    AdminGrants,
    /// A key with grants does not look after keys.
    #[error("the grants of the API key do not allow to look after API keys")]
    ApiKeys,
    /// The key's grants do not say so.
    #[error("the grants of the API key do not allow this")]
    NotGranted {
        /// What they do not allow.
        action: Action,
        /// What it was to be done to: `vault:name`, or a vault.
        target: Option<String>,
    },
    /// These secrets, each written `vault:name`, may be seen and not resolved.
    #[error("the grants of the API key do not allow to resolve all of the secrets")]
    NotResolvable(Vec<String>),
    /// The key has no grant to resolve anything.
    #[error("the API key has no grant to resolve")]
    ResolvesNothing,
    /// Renaming would let the caller read a value that it may not read now.
    #[error("the new name would let the API key resolve what it may not resolve now")]
    WouldGain,
}
