//! Key slots, and a server that is sealed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A way to the root key: what is known of it, and nothing that opens anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "ks_32ELIL9nzEhwlvjSpNSI6xXGNcE",
    "uri": "https://strongroom.example.com/strongroom/key_slots/ks_32ELIL9nzEhwlvjSpNSI6xXGNcE",
    "name": "recovery", "kind": "recovery", "key_id": "2f1d0c4e5a6b7c8d", "opens_by_itself": false,
    "created_at": "2026-11-26T10:00:00Z", "created_by": "usr_32ELIL9nzEhwlvjSpNSI6xXGNcE",
}))]
pub struct KeySlot {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Its name, unique.
    pub name: String,
    /// How its key is kept: `file`, `passphrase`, `transit`, `recovery`, `shamir`, `pkcs11` or `aws-kms`.
    pub kind: String,
    /// What its key is called: 16 hexadecimal digits that tell nothing about it.
    pub key_id: String,
    /// Whether a server opens it without a person.
    pub opens_by_itself: bool,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
}

/// All key slots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySlotList {
    /// The slots, the oldest first.
    pub key_slots: Vec<KeySlot>,
    /// Where this list is.
    pub uri: String,
}

/// A slot that is to be made. Who keeps its key makes it: the client (`file`, `passphrase`, `recovery`, `shamir`), and then
/// `enrolment` and `opener` come along, or else the server.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"name": "kms", "kind": "transit"}))]
pub struct KeySlotCreate {
    /// Its name: 1 to 255 of `a-z A-Z 0-9 _ / . -`; that of its kind if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How its key is kept.
    pub kind: String,
    /// What root keys are sealed to: 64 bytes in base64, the slot's public key and its pre-shared key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<String>,
    /// How its key is got: an object in JSON, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opener: Option<String>,
}

/// What opens a slot that does not open by itself. It is kept nowhere. None of these for a slot that opens by itself.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"passphrase": "correct horse battery staple"}))]
pub struct Unseal {
    /// A passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
    /// 24 words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Shares: a test takes as many as are needed; a sealed server takes one after the other too, and gathers them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<String>,
}

/// Whether a slot opens the root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"opens": true}))]
pub struct KeySlotTested {
    /// Whether it does.
    pub opens: bool,
}

/// Shares of one set that were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"set": "2f1d0c4e", "given": 1, "needed": 3}))]
pub struct SharesGiven {
    /// What the set is called, as each of its shares says after `sr1-`.
    pub set: String,
    /// How many there are.
    pub given: u8,
    /// How many it takes.
    pub needed: u8,
}

/// Whether the server has its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"sealed": true, "kinds": ["passphrase", "shamir"], "shares": [{"set": "2f1d0c4e", "given": 1, "needed": 3}]}))]
pub struct Seal {
    /// Whether it has none, and waits for who unseals it.
    pub sealed: bool,
    /// The kinds of slots there are, each once; none while it is not sealed.
    pub kinds: Vec<String>,
    /// Shares that were given so far, of each set; the one that the last share was of is the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<SharesGiven>,
}

/// A key slot as an audit event tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySlotRef {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// How its key is kept.
    pub kind: String,
    /// What its key is called.
    pub key_id: String,
    /// When it was made.
    pub created_at: String,
}

/// The server as an audit event tells of its being sealed or unsealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServerSealing {
    /// The slot that it was unsealed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_slot: Option<String>,
}
