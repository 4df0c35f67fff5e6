//! The one place where a failure becomes a status, one of ngrok's codes and a text.
//!
//! The codes and texts are those of ngrok's error catalogue; its advice to look at ngrok's own pages is left out. The catalogue
//! gives no statuses: those here are the recorded ones, and otherwise those of the family.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use strongroom_domain::Error;
use strongroom_domain::cidr::BadCidr;
use strongroom_domain::error::{BadCredential, Conflict, Denial, Expired, Gone, Missing, Noun, Rule};
use strongroom_domain::ids::{IpPolicyId, OperationId};
use strongroom_domain::webhook::UnknownEventType;

/// A failure of a request: the domain's, or one of the protocol around it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The domain refuses.
    #[error(transparent)]
    Domain(#[from] Error),
    /// The request is not one of the protocol.
    #[error(transparent)]
    Protocol(#[from] Protocol),
    /// A key slot, or what was given for one, is not what it has to be.
    #[error(transparent)]
    Slot(#[from] SlotProblem),
}

impl From<Rule> for Problem {
    fn from(rule: Rule) -> Self {
        Self::Domain(rule.into())
    }
}

/// What can be wrong with key slots, and with what is given to open one.
#[derive(Debug, thiserror::Error)]
pub enum SlotProblem {
    /// Not one thing that opens a slot was given, or several.
    #[error("not one thing that opens a key slot")]
    Input,
    /// A kind of slot that there is not, or not with these fields.
    #[error("invalid key slot")]
    Invalid(&'static str),
    /// What was given opens none, or the service that keeps the slot's key does not.
    #[error(transparent)]
    NotOpened(#[from] strongroom_slots::Error),
    /// Somebody else tries to unseal the server, or one who did failed just now.
    #[error("too many attempts to unseal")]
    TooOften {
        /// How long until the next one counts.
        retry_after: std::time::Duration,
    },
}

/// What a request can get wrong before the domain hears of it. What a client sent is repeated only where it cannot be a secret
/// that was put in the wrong place, and then cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Protocol {
    /// The server stops soon.
    #[error("the server stops soon")]
    Stopping,
    /// Nothing is at that path, or nothing takes that method there.
    #[error("no such route")]
    NoRoute,
    /// The id in the path is no id.
    #[error("malformed id")]
    MalformedId {
        /// What it should identify.
        noun: Noun,
        /// The text.
        text: String,
    },
    /// No `Ngrok-Version` header.
    #[error("no API version")]
    NoVersion,
    /// Another version than 2.
    #[error("unsupported API version")]
    OtherVersion(String),
    /// A body came without its type.
    #[error("no content type")]
    NoContentType,
    /// A body came that is not JSON.
    #[error("unsupported content type")]
    OtherContentType(String),
    /// A body came where none belongs.
    #[error("unexpected body")]
    UnexpectedBody(String),
    /// The body could not be read to its end, or not in time.
    #[error("the body was cut off")]
    BodyCutOff,
    /// The body is too large.
    #[error("the body is too large")]
    BodyTooLarge {
        /// Bytes allowed.
        max: usize,
    },
    /// The body is not one JSON object with distinct keys.
    #[error("the body is not a JSON object")]
    BodyUnparsable,
    /// A field that there is not.
    #[error("unknown field")]
    UnknownField {
        /// Its name.
        name: String,
        /// The fields that there are.
        supported: String,
    },
    /// A field with a value of the wrong kind.
    #[error("invalid field")]
    InvalidField(&'static str),
    /// A header with a value that it cannot have.
    #[error("invalid header")]
    InvalidHeader(&'static str),
    /// A trusted proxy does not tell whom it asks for.
    #[error("invalid X-Forwarded-For")]
    ForwardedFor,
    /// The query cannot be decoded.
    #[error("invalid query")]
    InvalidQuery(&'static str),
    /// Query parameters that there are not.
    #[error("unknown query parameters")]
    UnknownParameters {
        /// Their names.
        names: String,
        /// The parameters that there are.
        supported: String,
    },
    /// A query parameter more than once.
    #[error("repeated query parameter")]
    RepeatedParameter {
        /// Its name.
        name: &'static str,
        /// How often.
        count: usize,
    },
    /// A page size out of range.
    #[error("page size out of range")]
    LimitRange(String),
    /// A page size that is no number.
    #[error("page size not a number")]
    LimitNumber(String),
    /// An `If-Match` that is neither `*` nor a list of entity tags.
    #[error("invalid If-Match")]
    IfMatch,
    /// An `Idempotency-Key` that is none.
    #[error("invalid Idempotency-Key")]
    IdempotencyKey,
    /// An `Idempotency-Key` where there is no asking again.
    #[error("Idempotency-Key not supported here")]
    NotRepeatable,
    /// So many wait for changes already.
    #[error("too many wait for changes")]
    TooManyWatchers {
        /// How many may.
        max: usize,
        /// Whether so many may with one API key, or with all together.
        of_key: bool,
    },
    /// A `before_id` that is no id of the listed kind.
    #[error("invalid before_id")]
    BeforeId {
        /// The text.
        text: String,
        /// What it should start with.
        prefix: &'static str,
    },
}

/// The texts of a failure, ready for the wire.
struct Told {
    status: StatusCode,
    code: String,
    msg: String,
}

/// One of ngrok's errors.
fn told(status: StatusCode, code: u32, msg: impl Into<String>) -> Told {
    Told { status, code: format!("ERR_NGROK_{code}"), msg: msg.into() }
}

/// One of our own, for what ngrok's API does not have.
fn own(status: StatusCode, code: u32, msg: impl Into<String>) -> Told {
    Told { status, code: format!("ERR_STRONGROOM_{code}"), msg: msg.into() }
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const BOUND: &str = "The API key is bound to a client certificate";
const CERTIFICATES: &str =
    "Connect with that certificate to this server itself; a proxy that ends TLS does not pass it on.";
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const KEYS: &str =
    "Make an API key with POST /api_keys; the first start wrote one to first-api-key in the data folder.";
const EVENT_TYPES: &str = "Types are '*', secret_expiring.v0, secret_expired.v0, and secret_ or vault_ with created, updated, deleted, undeleted or purged and .v0, such as secret_updated.v0.";
const CHECK: &str = "Check your API client implementation and review the API documentation: /openapi.json.";

/// What a client sent, short enough for a message, without control characters and without a token that was put in the
/// wrong place.
#[must_use]
pub fn short(text: &str) -> String {
    const LENGTH: usize = 64;
    let text = without_tokens(text);
    let mut out: String = text.chars().take(LENGTH).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(LENGTH).is_some() {
        out.push('…');
    }
    out
}

/// Takes out what has the form of an API key's token: 27 letters and digits, `_`, and as many as are random.
fn without_tokens(text: &str) -> String {
    const ID: usize = 27;
    const RANDOM: usize = 16;
    let run = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) =
        rest.as_bytes().windows(ID + 1).position(|window| window[ID] == b'_' && run(window) == ID)
    {
        let end = place + ID + 1 + run(&rest.as_bytes()[place + ID + 1..]);
        let secret = end - place > ID + RANDOM;
        out.push_str(if secret { &rest[..place] } else { &rest[..end] });
        out.push_str(if secret { "(a token)" } else { "" });
        rest = &rest[end..];
    }
    out + rest
}

/// The first few of what was named; all of it stands in the details.
fn some(named: &[String]) -> String {
    first_few(named.iter().map(|name| short(name)))
}

fn first_few(named: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let more = named.len().saturating_sub(SHOWN);
    let shown: Vec<_> = named.take(SHOWN).collect();
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// What a client may want to know beside the text: names, which hold no comma, joined by one.
fn named(problem: &Problem) -> Option<(String, String)> {
    let list = |named: &[String]| {
        let plain = |name: &String| without_tokens(name).replace(|c: char| c.is_control() || c == ',', "?");
        named.iter().map(plain).collect::<Vec<_>>().join(", ")
    };
    match problem {
        Problem::Domain(Error::NotFound(Missing::Values(named))) => Some(("missing".to_owned(), list(named))),
        Problem::Domain(Error::Forbidden(Denial::NotResolvable(named))) => {
            Some(("denied".to_owned(), list(named)))
        }
        Problem::Domain(Error::Expired(expired)) => {
            let names: Vec<_> = expired.iter().map(|expired| expired.name.clone()).collect();
            Some(("expired".to_owned(), list(&names)))
        }
        _ => None,
    }
}

impl From<&Problem> for Told {
    fn from(problem: &Problem) -> Self {
        match problem {
            Problem::Domain(error) => error.into(),
            Problem::Protocol(protocol) => protocol.into(),
            Problem::Slot(problem) => problem.into(),
        }
    }
}

impl From<&Error> for Told {
    fn from(error: &Error) -> Self {
        match error {
            Error::Invalid(rule) => rule.into(),
            Error::NotFound(missing) => missing.into(),
            Error::NotUnique(Noun::Vault) => {
                told(BAD, 23004, "Vault names must be unique within an account.")
            }
            Error::NotUnique(Noun::Secret) => told(BAD, 24005, "Secret names must be unique within a vault."),
            Error::NotUnique(Noun::IpPolicyRule) => {
                told(BAD, 1408, "The IP Policy has a rule with that CIDR already.")
            }
            Error::NotUnique(_) => told(BAD, 4112, "The name must be unique within the account."),
            Error::Changed => own(
                StatusCode::PRECONDITION_FAILED,
                1027,
                "It has changed since the ETag in If-Match was read. Nothing was changed now: read it again.",
            ),
            Error::Conflict(conflict) => conflict.into(),
            Error::Expired(expired) => {
                let named = expired.iter().map(|Expired { name, at }| format!("{} at {at}", short(name)));
                own(
                    StatusCode::GONE,
                    1011,
                    format!(
                        "Nothing was resolved, as these have expired: {}. Whoever manages them gives them another end with \
                         PATCH /vault_secrets/{{id}} and 'expires_at', \"\" for none.",
                        first_few(named)
                    ),
                )
            }
            Error::Gone(gone) => gone.into(),
            Error::NotEmpty => told(
                BAD,
                23003,
                "A Vault must be empty before it can be deleted. Remove all secrets from the vault and try again.",
            ),
            Error::LimitReached { max, vault: Some(vault), .. } => told(
                BAD,
                24007,
                format!(
                    "You've reached the maximum number of secrets ({max}) allowed for vault {vault} by this server's limits."
                ),
            ),
            Error::LimitReached { max, noun: Noun::Webhook, .. } => {
                own(BAD, 1054, format!("There are {max} webhooks, and no more may be. Delete one first."))
            }
            Error::LimitReached { max, noun: Noun::IpPolicy, .. } => {
                told(BAD, 1415, format!("Your account is limited to {max} IP Policies."))
            }
            Error::LimitReached { max, noun: Noun::IpPolicyRule, .. } => {
                told(BAD, 1417, format!("Your account is limited to {max} rules per IP Policy."))
            }
            Error::LimitReached { max, noun: Noun::IpRestriction, .. } => own(
                BAD,
                1063,
                format!("There are {max} IP restrictions, and no more may be. Delete one first."),
            ),
            Error::LimitReached { max, noun: Noun::KeySlot, .. } => {
                own(BAD, 1092, format!("There are {max} key slots, and no more may be. Remove one first."))
            }
            Error::LimitReached { max, .. } => told(
                BAD,
                23005,
                format!(
                    "You've reached the maximum number of vaults ({max}) allowed by this server's limits."
                ),
            ),
            Error::Unauthenticated(bad) => bad.into(),
            Error::Forbidden(denial) => denial.into(),
            Error::RateLimited { max, .. } => told(
                StatusCode::TOO_MANY_REQUESTS,
                226,
                format!("Your account is rate limited to {max} API requests per minute."),
            ),
            Error::Sealed => own(
                StatusCode::SERVICE_UNAVAILABLE,
                1090,
                "The server is sealed: it has no keys, and answers nothing that needs them. An operator unseals it with \"strongroom unseal\".",
            ),
            Error::Unavailable(_) => told(
                StatusCode::SERVICE_UNAVAILABLE,
                1501,
                "The store is not available at the moment, and nothing was acknowledged. Try again later; the server's log \
                 tells the cause under this operation id.",
            ),
            Error::Stale => told(
                StatusCode::SERVICE_UNAVAILABLE,
                1501,
                "Too many others are changing the same thing. Nothing was changed. Try again.",
            ),
            Error::Internal(_) => told(
                StatusCode::INTERNAL_SERVER_ERROR,
                20000,
                "An internal error occurred. The server's log tells the cause under this operation id.",
            ),
        }
    }
}

impl From<&Rule> for Told {
    fn from(rule: &Rule) -> Self {
        match rule {
            Rule::NameEmpty(Noun::Vault) => told(BAD, 23001, "The vault name cannot be empty."),
            Rule::NameEmpty(Noun::Secret) => told(BAD, 24001, "The secret name cannot be empty."),
            Rule::NameEmpty(_) => told(BAD, 4109, "The name cannot be empty."),
            Rule::NameTooLong { noun: Noun::Vault, max, .. } => {
                told(BAD, 23002, format!("Your vault name must be less than {} characters.", max + 1))
            }
            Rule::NameTooLong { noun: Noun::Secret, max, .. } => {
                told(BAD, 24002, format!("Your secret name must be less than {} characters.", max + 1))
            }
            Rule::NameTooLong { max, length, .. } => {
                told(BAD, 4110, format!("The name is too long: {length} bytes. Max: {max}."))
            }
            Rule::NameCharacters { noun, name } => {
                let (code, noun) = if *noun == Noun::Vault { (23000, "vault") } else { (24000, "secret") };
                let name = short(name);
                let allowed = "Must only contain the characters \"a-zA-Z0-9_/.-\".";
                told(BAD, code, format!("The {noun} name \"{name}\" is invalid. {allowed}"))
            }
            Rule::ValueEmpty => told(BAD, 24003, "The secret value cannot be empty."),
            Rule::ValueTooLong { max } => {
                told(BAD, 24004, format!("Your secret value must be less than {} bytes.", max + 1))
            }
            Rule::DescriptionTooLong { noun: Noun::ApiKey, max, length } => told(
                BAD,
                604,
                format!("The description is limited to {max} characters; you have entered {length}."),
            ),
            Rule::DescriptionTooLong { noun: Noun::IpPolicyRule, max, length } => told(
                BAD,
                1421,
                format!("The IP Policy Rule description exceeds the maximum length of {max}, got {length}."),
            ),
            Rule::DescriptionTooLong { .. } => parameter("description"),
            Rule::MetadataTooLong { noun: Noun::ApiKey, max, length } => told(
                BAD,
                605,
                format!("The metadata is limited to {max} characters; you have entered {length}."),
            ),
            Rule::MetadataTooLong { max, length, .. } => {
                told(BAD, 100, format!("Invalid metadata length: {length} bytes. Max: {max}"))
            }
            Rule::Parameter(name) => parameter(name),
            Rule::VaultMissing => told(BAD, 24008, "Required parameter 'VaultID' is missing."),
            Rule::OwnerTwice => told(BAD, 631, "Only one of owner_id and owner_email may be given."),
            Rule::Grant(bad) => own(BAD, 1004, format!("The grants are invalid: {bad}.")),
            Rule::ExpiryPast => own(BAD, 1007, "The expires_at of an API key or a secret must lie ahead."),
            Rule::TooManyValues { max } => own(
                BAD,
                1005,
                format!(
                    "An answer holds up to {max} values, and these would be more. Ask for fewer at a time."
                ),
            ),
            Rule::TooMuchValue { max } => own(
                BAD,
                1005,
                format!(
                    "An answer holds up to {} MiB of values, and these would be more. Ask for fewer at a time.",
                    max >> 20
                ),
            ),
            Rule::ReferenceCount { max } => {
                own(BAD, 1006, format!("A request names 1 to {max} secrets or vaults in 'secrets'."))
            }
            Rule::Reference => own(
                BAD,
                1006,
                "A reference is an id, or a vault's and a secret's name, each with a version or without, or a vault's name \
                 alone. Names hold the characters \"a-zA-Z0-9_/.-\".",
            ),
            Rule::KeepVersions { max } => own(
                BAD,
                1022,
                format!("A vault keeps 1 to {max} versions of a secret; 0 is as the server is set."),
            ),
            Rule::OtherRequest => own(
                StatusCode::UNPROCESSABLE_ENTITY,
                1013,
                "Another request came with this Idempotency-Key within 24 hours, from the same API key and to the same path. \
                 Nothing was changed now: give each request a key of its own, and send it again as it was or not at all.",
            ),
            Rule::WebhookUrl(bad) => own(BAD, 1050, format!("The url of the webhook cannot be used: {bad}.")),
            Rule::EventTypes(UnknownEventType(kind)) => {
                // What has not the look of one may be a secret in the wrong place.
                let alike = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.*".contains(c);
                let told = match kind.as_str() {
                    "" => "The event_types of a webhook name at least one type.".to_owned(),
                    kind if kind.chars().all(alike) => format!("There is no event type '{}'.", short(kind)),
                    _ => "The event_types of a webhook name one that there is not.".to_owned(),
                };
                own(BAD, 1051, format!("{told} {EVENT_TYPES}"))
            }
            Rule::SigningSecret => own(
                BAD,
                1052,
                "The secret of a webhook is 'whsec_' and 24 to 64 bytes in base64. Leave it out to have one made.",
            ),
            Rule::Needed(name) => {
                told(BAD, 1405, format!("Required parameter is missing. Please specify {name}."))
            }
            Rule::Cidr(bad) => bad.into(),
            Rule::RuleAction => {
                told(BAD, 1422, "An IP Policy Rule must have an 'action' of either 'allow' or 'deny'.")
            }
            Rule::IpPolicyId => told(
                BAD,
                1414,
                "The provided ip_policy_id is invalid: there is no such IP Policy. Please check the value given with your request.",
            ),
            // What has not the look of what it should be may be a secret in the wrong place.
            Rule::NoSuchIpPolicy(id) => {
                let id = if id.starts_with(IpPolicyId::PREFIX) {
                    format!(" '{}'", short(id))
                } else {
                    String::new()
                };
                told(
                    BAD,
                    1801,
                    format!("Invalid IP Restriction. The policy{id} does not exist on your account."),
                )
            }
            Rule::RestrictionType(kind) => {
                let alike = kind.len() < 20 && kind.bytes().all(|byte| byte.is_ascii_lowercase());
                let kind = if alike { format!(" \"{kind}\"") } else { String::new() };
                told(
                    BAD,
                    1803,
                    format!(
                        "The provided IP Restriction type{kind} is invalid. Valid types: dashboard, api, agent, endpoints."
                    ),
                )
            }
            Rule::NoIpPolicy => told(BAD, 1804, "An IP Restriction must specify at least one IP Policy."),
            Rule::TooManyIpPolicies { max } => told(
                BAD,
                1800,
                format!("You have reached the maximum of {max} IP Policies on a restriction."),
            ),
            Rule::SameVault => own(BAD, 1009, "The secret is in that vault already. Rename it with PATCH."),
            Rule::Filter(error) => told(BAD, 250, format!("Invalid CEL query: {error}")),
        }
    }
}

impl From<&BadCidr> for Told {
    fn from(bad: &BadCidr) -> Self {
        match bad {
            BadCidr::Malformed(text) => {
                // What has not the look of one may be a secret in the wrong place.
                let alike = text.bytes().all(|byte| byte.is_ascii_hexdigit() || b".:/".contains(&byte));
                let text = if alike { format!(": {}", short(text)) } else { String::new() };
                told(BAD, 1406, format!("Invalid CIDR{text}. Write such as 192.0.2.0/24 or 2001:db8::/32."))
            }
            BadCidr::NotLowest(suggestion) => told(
                BAD,
                1409,
                format!(
                    "IP Policy Rule CIDR must be specified using the lowest IP address in the range. Did you mean {suggestion}?"
                ),
            ),
            BadCidr::NoMask(suggestion) => told(
                BAD,
                1413,
                format!(
                    "IP Policy Rule is missing a network mask. Consider using {suggestion} if you want to target a single host IP."
                ),
            ),
        }
    }
}

fn parameter(name: &str) -> Told {
    let msg = format!("The value provided for the request parameter '{name}' is invalid. {CHECK}");
    told(BAD, 215, msg)
}

impl From<&Conflict> for Told {
    fn from(conflict: &Conflict) -> Self {
        match conflict {
            Conflict::NotDeleted(id) => own(
                CONFLICT,
                1023,
                format!("{id} is not deleted: there is nothing to bring back or to destroy."),
            ),
            Conflict::VaultDeleted(vault) => own(
                CONFLICT,
                1024,
                format!(
                    "The secret's vault {vault} is deleted. Bring that back first, with POST /strongroom/vaults/{vault}/undelete."
                ),
            ),
            Conflict::InUse { policy, by } => {
                let by = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                told(
                    BAD,
                    1420,
                    format!(
                        "Cannot delete IP Policy ({policy}) because it is referenced by one or more IP Restrictions: ({by}). \
                         Please detach this IP Policy from all IP Restrictions before deleting it."
                    ),
                )
            }
            Conflict::LockOut(address) => own(
                CONFLICT,
                1061,
                format!(
                    "Nothing was changed: after this change an enforced IP restriction would keep out {address}, where this request \
                     comes from. Allow that address first, or repeat the request with ?confirm_lockout=true."
                ),
            ),
            Conflict::OtherCertificate => own(
                CONFLICT,
                1081,
                "Nothing was changed: this request did not come with that certificate, so its own API key would not work any more. \
                 Show the certificate, or change the key with another one.",
            ),
            Conflict::NameTaken(noun) => own(
                CONFLICT,
                1025,
                format!("Another {noun} has that name by now. Give another one in 'name'."),
            ),
            Conflict::RotatingRoot => {
                own(CONFLICT, 1072, "The root key is being rotated already. Begin again when that is done.")
            }
            Conflict::LastKeySlot => own(
                CONFLICT,
                1091,
                "This is the last key slot: without it nobody could open the store any more. Add another one first.",
            ),
            Conflict::Rotating(vault) => own(
                CONFLICT,
                1071,
                format!(
                    "Keys of the vault {vault} are being rotated already. Begin again when that is done: GET /strongroom/keys/{vault} tells how far it is."
                ),
            ),
        }
    }
}

impl From<&Gone> for Told {
    fn from(gone: &Gone) -> Self {
        const AGAIN: &str = "Begin again: GET /strongroom/changes without 'after' tells the cursor of now; then read all that you watch, \
                             and go on from that cursor.";
        let (code, why) = match gone {
            Gone::Pruned => (1030, "The changes after this cursor are not kept any longer."),
            Gone::OtherFeed => (
                1031,
                "This cursor is not of this server's changes: it is another server's, or this one was restored from a backup since.",
            ),
        };
        own(StatusCode::GONE, code, format!("{why} {AGAIN}"))
    }
}

impl From<&Missing> for Told {
    fn from(missing: &Missing) -> Self {
        match missing {
            Missing::Resource(Noun::IpPolicy) => told(NOT_FOUND, 1402, "IP Policy not found"),
            Missing::Resource(Noun::IpPolicyRule) => told(NOT_FOUND, 1404, "IP Policy Rule not found"),
            Missing::Resource(_) => {
                Self { status: NOT_FOUND, code: String::new(), msg: "Resource not found".to_owned() }
            }
            Missing::VaultId(id) => told(NOT_FOUND, 24006, format!("Vault with ID {} not found.", short(id))),
            Missing::Owner(id) => {
                told(NOT_FOUND, 380, format!("The resource '{id}' is referenced but was not found."))
            }
            Missing::VaultName(name) => {
                told(NOT_FOUND, 24009, format!("Vault not found with name: {}", short(name)))
            }
            Missing::Version { number, oldest, newest } => own(
                NOT_FOUND,
                1021,
                format!(
                    "The secret has no version {number}, or not any more: there are {oldest} to {newest}."
                ),
            ),
            Missing::Values(named) => own(
                NOT_FOUND,
                1003,
                format!(
                    "Nothing was resolved, as these are not there, or not for this API key: {}",
                    some(named)
                ),
            ),
        }
    }
}

impl From<&BadCredential> for Told {
    fn from(bad: &BadCredential) -> Self {
        // ngrok repeats the credential here; a message that others may read is no place for one.
        let (code, msg) = match bad {
            BadCredential::Missing => {
                (200, "The API requires that you set the Authorization header for authentication.")
            }
            BadCredential::Unparsable => (
                201,
                "The API requires that you use Basic or Bearer authentication via the Authorization header. It could not \
                 parse the header in this request.",
            ),
            BadCredential::Malformed => {
                (202, "The API authentication you specified does not look like a valid credential.")
            }
            BadCredential::Unknown => {
                (203, "The API authentication you specified is properly formed, but it is invalid.")
            }
            BadCredential::AuthtokenId => (206, "The authentication you specified is actually an authtoken."),
            BadCredential::ApiKeyId => (
                208,
                "The authentication you specified is actually an API key ID, not an API key token. Check your records for \
                 an API key with the form FIRSTPART_SECONDPART.",
            ),
            BadCredential::Expired(at) => {
                return told(FORBIDDEN, 203, format!("The API key expired at {at}. {KEYS}"));
            }
            BadCredential::NoCertificate => {
                return own(
                    FORBIDDEN,
                    1080,
                    format!("{BOUND}, and the connection showed none. {CERTIFICATES}"),
                );
            }
            BadCredential::OtherCertificate => {
                return own(
                    FORBIDDEN,
                    1080,
                    format!("{BOUND}, and the connection showed another one. {CERTIFICATES}"),
                );
            }
            BadCredential::OwnerInactive(owner) => {
                return told(FORBIDDEN, 636, format!("The owner of the API key, {owner}, is inactive."));
            }
        };
        told(FORBIDDEN, code, format!("{msg} {KEYS}"))
    }
}

impl From<&Denial> for Told {
    fn from(denial: &Denial) -> Self {
        match denial {
            Denial::ReadOnly => {
                told(FORBIDDEN, 635, "The owner of the API key needs write privileges to do this.")
            }
            Denial::OtherOwner => told(FORBIDDEN, 630, "You must be an admin to set another owner."),
            Denial::ServiceUsers => {
                told(FORBIDDEN, 4111, "You must be an admin to create, update, or delete service users.")
            }
            Denial::Webhooks => own(FORBIDDEN, 1053, "You must be an admin to look after webhooks."),
            Denial::IpRestrictions => {
                own(FORBIDDEN, 1060, "You must be an admin to look after IP policies and restrictions.")
            }
            Denial::Address { address, by } => told(
                FORBIDDEN,
                220,
                format!(
                    "Your IP address {address} does not match the account's IP policy: the restriction {by} does not allow it. An \
                     admin changes that from another address, or on the server itself with 'strongroom ip-restrictions disable'."
                ),
            ),
            Denial::Keys => own(FORBIDDEN, 1070, "You must be an admin to look after vault keys."),
            Denial::OwnerInactive => told(FORBIDDEN, 636, "The owner is inactive."),
            Denial::AdminGrants => own(
                FORBIDDEN,
                1008,
                "You must be an admin to give the grants resolve, audit and admin, or to change a key that has them.",
            ),
            Denial::ApiKeys => {
                own(FORBIDDEN, 1001, "The API key's grants do not allow to look after API keys.")
            }
            Denial::NotGranted { action, target } => {
                let target = target.as_ref().map_or_else(String::new, |target| format!(" {}", short(target)));
                let hint = "POST /strongroom/explain tells what it may do.";
                own(FORBIDDEN, 1001, format!("The API key has no grant to {action}{target}. {hint}"))
            }
            Denial::NotResolvable(named) => {
                own(FORBIDDEN, 1002, format!("The API key has no grant to resolve: {}", some(named)))
            }
            Denial::ResolvesNothing => own(
                FORBIDDEN,
                1002,
                "The API key has no grant to resolve. An admin makes a key that has one: POST /api_keys with \
                 {\"grants\": [{\"action\": \"resolve\", \"vault\": \"…\"}]}.",
            ),
            Denial::WouldGain => own(
                FORBIDDEN,
                1010,
                "Under the new name the API key could resolve the secret, which it may not now.",
            ),
        }
    }
}

impl From<&SlotProblem> for Told {
    fn from(problem: &SlotProblem) -> Self {
        match problem {
            SlotProblem::Input => {
                own(BAD, 1095, "Give one of 'passphrase', 'words' and 'shares': what the key slot is of.")
            }
            SlotProblem::Invalid(what) => own(BAD, 1097, *what),
            SlotProblem::NotOpened(error) => not_opened(error),
            SlotProblem::TooOften { retry_after } => own(
                StatusCode::TOO_MANY_REQUESTS,
                1094,
                format!(
                    "One attempt is made at a time, and there is a pause after one that failed. Try again in {} s.",
                    retry_after.as_secs() + 1
                ),
            ),
        }
    }
}

/// What is wrong with what was given for a key slot, or with the service that keeps its key.
fn not_opened(error: &strongroom_slots::Error) -> Told {
    use strongroom_slots::Error as Slot;
    let (status, code) = match error {
        Slot::Refused => (FORBIDDEN, 1093),
        Slot::Unreachable { .. } | Slot::ServiceRefused { .. } => (StatusCode::BAD_GATEWAY, 1096),
        Slot::NotConfigured { .. } | Slot::Configuration(_) => (CONFLICT, 1096),
        Slot::System => (StatusCode::INTERNAL_SERVER_ERROR, 1096),
        _ => (BAD, 1093),
    };
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map_or_else(String::new, |letter| letter.to_uppercase().to_string());
    own(status, code, format!("{first}{}.", letters.as_str()))
}

impl From<&Protocol> for Told {
    fn from(protocol: &Protocol) -> Self {
        match protocol {
            Protocol::Stopping => own(
                StatusCode::SERVICE_UNAVAILABLE,
                1098,
                "The server stops soon: send new requests to another one.",
            ),
            Protocol::NoRoute => Self { status: NOT_FOUND, code: String::new(), msg: "Not Found".to_owned() },
            Protocol::MalformedId { noun, text } => told(
                NOT_FOUND,
                222,
                format!(
                    "The {noun} resource identified by '{}' could not be found because the identifier is not a valid identifier.",
                    short(text)
                ),
            ),
            Protocol::NoVersion => told(
                BAD,
                218,
                "Your request has not specified an API version. Include the version you wish to use in the Ngrok-Version \
                 header. Supported versions: 2.",
            ),
            Protocol::OtherVersion(version) => told(
                BAD,
                217,
                format!(
                    "The provided API version '{}' is invalid or unsupported. Supported versions: 2.",
                    short(version)
                ),
            ),
            Protocol::NoContentType => told(
                BAD,
                216,
                "You did not provide a Content-Type with your request. The supported content type is application/json.",
            ),
            Protocol::OtherContentType(given) => told(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                210,
                format!(
                    "The content type you specified '{}' is not supported by the API. The supported content type is application/json.",
                    short(given)
                ),
            ),
            Protocol::UnexpectedBody(method) => told(
                BAD,
                211,
                format!(
                    "The {method} request you made does not expect a body, but you provided one. {CHECK}"
                ),
            ),
            Protocol::BodyCutOff => {
                told(BAD, 212, format!("The server was unable to read the complete request body. {CHECK}"))
            }
            Protocol::BodyTooLarge { max } => {
                told(StatusCode::PAYLOAD_TOO_LARGE, 812, format!("The request exceeded {max} bytes."))
            }
            Protocol::BodyUnparsable => told(
                BAD,
                213,
                format!(
                    "The application/json request body could not be parsed: it must be one JSON object with distinct keys. {CHECK}"
                ),
            ),
            Protocol::UnknownField { name, supported } => told(
                BAD,
                214,
                format!(
                    "The request parameter '{}' is unknown and not expected. The supported fields are: {supported}. {CHECK}",
                    short(name)
                ),
            ),
            Protocol::InvalidField(name) | Protocol::InvalidHeader(name) => parameter(name),
            Protocol::InvalidQuery(why) => {
                told(BAD, 230, format!("The query part of the requested URI is invalid: {why}. {CHECK}"))
            }
            Protocol::UnknownParameters { names, supported } => told(
                BAD,
                231,
                format!(
                    "The query part of the requested URI includes unknown parameters: {}. The supported parameters are: {supported}. {CHECK}",
                    short(names)
                ),
            ),
            Protocol::RepeatedParameter { name, count } => told(
                BAD,
                232,
                format!(
                    "The request must specify only a single value for the '{name}' parameter but got {count}. {CHECK}"
                ),
            ),
            Protocol::LimitRange(text) => told(
                BAD,
                233,
                format!("The page size limit must be between 1 and 100 but '{}' was provided.", short(text)),
            ),
            Protocol::LimitNumber(text) => told(
                BAD,
                244,
                format!(
                    "The page size limit must be a number between 1 and 100 but '{}' was provided.",
                    short(text)
                ),
            ),
            Protocol::ForwardedFor => own(
                BAD,
                1062,
                "The X-Forwarded-For of a trusted proxy does not tell an address where this request comes from. Have the proxy set \
                 it to the address that it is asked from.",
            ),
            Protocol::IfMatch => own(
                BAD,
                1026,
                "The If-Match header is neither * nor a list of entity tags, each as the ETag of an answer tells it.",
            ),
            Protocol::IdempotencyKey => own(
                BAD,
                1012,
                "The Idempotency-Key header is one string of 1 to 255 visible ASCII characters, in quotes or without.",
            ),
            Protocol::NotRepeatable => own(
                BAD,
                1014,
                "This create cannot be asked for again under an Idempotency-Key. Nothing was made: send it without the header, and \
                 list what there is before you send it again.",
            ),
            Protocol::TooManyWatchers { max, of_key } => own(
                StatusCode::TOO_MANY_REQUESTS,
                1015,
                format!(
                    "{max} wait for changes {} already, and no more may. Ask without 'wait', or try again later.",
                    if *of_key { "with this API key" } else { "on this server" }
                ),
            ),
            Protocol::BeforeId { text, prefix } => told(
                BAD,
                227,
                format!("The ID '{}' is invalid. Expected an ID with a prefix of '{prefix}'.", short(text)),
            ),
        }
    }
}

impl IntoResponse for Problem {
    /// An empty answer that carries the problem: [`crate::front`] writes the body, which tells the operation's id.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// The answer that tells of a problem.
pub(crate) fn view(problem: &Problem, operation: OperationId, path: &str) -> Response {
    let detail = match problem {
        Problem::Protocol(Protocol::NoRoute) => ("path".to_owned(), short(path)),
        _ => ("operation_id".to_owned(), operation.to_string()),
    };
    let (status, body) = body(problem, Some(detail));
    let mut response = crate::view::json(status, &body);
    if let Problem::Domain(Error::RateLimited { retry_after, .. })
    | Problem::Slot(SlotProblem::TooOften { retry_after }) = problem
    {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs() + 1));
    }
    response
}

/// The status and the body that tell of a problem.
pub(crate) fn body(
    problem: &Problem,
    detail: Option<(String, String)>,
) -> (StatusCode, strongroom_wire::Error) {
    let Told { status, code, msg } = problem.into();
    let details = named(problem).into_iter().chain(detail).collect();
    (status, strongroom_wire::Error { error_code: code, status_code: status.as_u16(), msg, details })
}

/// Logs what lies behind a problem that is the server's own.
pub(crate) fn log(problem: &Problem, operation: OperationId) {
    let Problem::Domain(error @ (Error::Internal(cause) | Error::Unavailable(cause))) = problem else {
        return;
    };
    tracing::error!(%operation, %error, cause = %chain(&**cause), "a request failed");
}

/// An error with all that lies behind it, for the log.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        chain.push_str(": ");
        chain.push_str(&source.to_string());
        next = source.source();
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_wrong_place_is_not_repeated() {
        let token = "32ELEgPmoXjxGJ3MXfoPBbZKrfD_59G1nFjCYtpoGt8Fp41Fm";
        for (text, shown) in [
            (token.to_owned(), "(a token)"),
            (format!("/api_keys/{token}/x"), "/api_keys/(a token)/x"),
            (format!("ak_{token}"), "ak_(a token)"),
            (format!("secret_{token} {token}"), "secret_(a token) (a token)"),
            ("prod:db_password".to_owned(), "prod:db_password"),
            ("secret_32ELEgPmoXjxGJ3MXfoPBbZKrfD".to_owned(), "secret_32ELEgPmoXjxGJ3MXfoPBbZKrfD"),
            ("32ELEgPmoXjxGJ3MXfoPBbZKrfD_x ü".to_owned(), "32ELEgPmoXjxGJ3MXfoPBbZKrfD_x ü"),
            ("ä\u{7}".repeat(40), &format!("{}…", "ä?".repeat(32))),
        ] {
            assert_eq!(short(&text), shown);
        }
    }
}
