//! The hash chain of the audit log.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Domain separation: no other hash in the project starts with these bytes.
const LABEL: &[u8] = b"strongroom audit chain v1";

/// The chain value of one record: SHA-256 over the label, the previous record's chain value, the sequence number and the
/// record's canonical bytes, the last with its length before it.
#[must_use]
pub fn chain_digest(previous: &Digest, sequence: u64, record: &[u8]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(LABEL);
    context.update(previous);
    context.update(&sequence.to_be_bytes());
    context.update(&(record.len() as u64).to_be_bytes());
    context.update(record);
    let mut out = Digest::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let base = chain_digest(&[0; 32], 1, b"a");
        assert_eq!(base, chain_digest(&[0; 32], 1, b"a"));
        assert_ne!(base, chain_digest(&[1; 32], 1, b"a"));
        assert_ne!(base, chain_digest(&[0; 32], 2, b"a"));
        assert_ne!(base, chain_digest(&[0; 32], 1, b"b"));
    }
}
