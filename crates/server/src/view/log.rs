//! Proofs over the audit log.

use strongroom_domain::app::audit::{Consistency, Inclusion};
use strongroom_wire as wire;

use super::hex;

/// That a record is in the log.
#[must_use]
pub fn inclusion(inclusion: Inclusion) -> wire::AuditInclusion {
    let Inclusion { sequence, hash, proof, head, checkpoint } = inclusion;
    wire::AuditInclusion {
        sequence,
        hash: hex(&hash),
        proof: proof.iter().map(|hash| hex(hash)).collect(),
        size: head.sequence,
        root: hex(&head.root),
        checkpoint,
    }
}

/// That a log is the start of a later one.
#[must_use]
pub fn consistency(consistency: Consistency) -> wire::AuditConsistency {
    let Consistency { from, proof, head, checkpoint } = consistency;
    wire::AuditConsistency {
        from: from.sequence,
        from_root: hex(&from.root),
        proof: proof.iter().map(|hash| hex(hash)).collect(),
        size: head.sequence,
        root: hex(&head.root),
        checkpoint,
    }
}
