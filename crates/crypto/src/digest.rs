//! The hashes of the audit log: those of its tree (RFC 6962), and the chain that older stores kept. The fingerprints of
//! certificates.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Domain separation: no other hash in the project starts with these bytes.
const LABEL: &[u8] = b"strongroom audit chain v1";
/// What RFC 6962 puts before the bytes of a leaf.
const LEAF: u8 = 0;
/// What RFC 6962 puts before the two hashes of a node.
const NODE: u8 = 1;

/// SHA-256 over some bytes, piece by piece.
fn sha256(pieces: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let mut out = Digest::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The chain value of one record: SHA-256 over the label, the previous record's chain value, the sequence number and the
/// record's canonical bytes, the last with its length before it.
#[must_use]
pub fn chain_digest(previous: &Digest, sequence: u64, record: &[u8]) -> Digest {
    let length = (record.len() as u64).to_be_bytes();
    sha256(&[LABEL, previous, &sequence.to_be_bytes(), &length, record])
}

/// The hash of a leaf of the tree (RFC 6962, section 2.1).
#[must_use]
pub fn leaf_digest(record: &[u8]) -> Digest {
    sha256(&[&[LEAF], record])
}

/// The hash of a node of the tree, of those of its two halves.
#[must_use]
pub fn node_digest(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[NODE], left, right])
}

/// The fingerprint of a certificate, of all of its DER form: what `openssl x509 -fingerprint -sha256` shows.
#[must_use]
pub fn certificate_digest(der: &[u8]) -> Digest {
    sha256(&[der])
}

/// The digest of a share of a slot key, which tells whether it is the one that was made: shares are random, so it gives away
/// nothing of one.
#[must_use]
pub fn share_digest(share: &[u8]) -> Digest {
    sha256(&[b"strongroom key share v1", share])
}

/// The root of a tree without leaves.
#[must_use]
pub fn empty_digest() -> Digest {
    sha256(&[])
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

    #[test]
    fn a_leaf_is_no_node() {
        let (left, right) = (leaf_digest(b"a"), leaf_digest(b"b"));
        let both = [left, right].concat();
        assert_ne!(node_digest(&left, &right), leaf_digest(&both));
        assert_ne!(node_digest(&left, &right), node_digest(&right, &left));
    }

    fn hex(digest: Digest) -> String {
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hashes that implementations of RFC 6962 test themselves with.
    #[test]
    fn known_answers() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(empty_digest()), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(leaf_digest(b"")), leaf);
        let two = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
        assert_eq!(hex(node_digest(&leaf_digest(b""), &leaf_digest(&[0]))), two);
    }
}
