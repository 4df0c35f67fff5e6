use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// That an event is in the audit log (RFC 6962). All hashes are in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditInclusion {
    /// The event's number in the log, from 1; in the tree it is the leaf with the number before.
    pub sequence: u64,
    /// The event's hash, that of the leaf.
    pub hash: String,
    /// The hashes that lead from it to the root, the lowest first.
    pub proof: Vec<String>,
    /// How many events the log has.
    pub size: u64,
    /// The root of its tree.
    pub root: String,
    /// A signed note that says the same of size and root.
    pub checkpoint: String,
}

/// That the audit log as it was is the start of the log as it is (RFC 6962). All hashes are in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditConsistency {
    /// How many events the earlier log has.
    pub from: u64,
    /// The root of its tree.
    pub from_root: String,
    /// The hashes that lead from the one root to the other.
    pub proof: Vec<String>,
    /// How many events the later log has.
    pub size: u64,
    /// The root of its tree.
    pub root: String,
    /// A signed note that says the same of size and root.
    pub checkpoint: String,
}
