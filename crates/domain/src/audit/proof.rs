//! Proofs over the log's tree (RFC 6962, section 2.1; checked as RFC 9162, section 2.1.3.2 and 2.1.4.2, says).
//!
//! A proof is a list of hashes. Each is that over a range of leaves, which is made of subtrees whose hashes are kept: so the
//! ranges are worked out first, and then read.

use strongroom_crypto::{Digest, empty_digest, node_digest};

/// Some leaves that follow each other, from one to before another.
pub type Range = std::ops::Range<u64>;

/// The largest power of two below `size`, which is at least 2: where the tree over so many leaves is cut.
fn cut(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The ranges whose hashes show that a leaf is in the tree of `size` leaves.
#[must_use]
pub fn inclusion(leaf: u64, size: u64) -> Vec<Range> {
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + cut(to - from);
        if leaf < middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges whose hashes show that the tree of `old` leaves is the start of that of `size`; `old` is neither none nor all.
#[must_use]
pub fn consistency(old: u64, size: u64) -> Vec<Range> {
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    // Whether what is left of the old tree is itself a subtree of the new one that has not been left to the right.
    let mut whole = true;
    while old != to {
        let middle = from + cut(to - from);
        if old <= middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        ranges.push(from..to);
    }
    ranges.reverse();
    ranges
}

/// Whether a proof leads from the hash of a leaf to the root of the tree of `size` leaves.
#[must_use]
pub fn includes(leaf: u64, hash: Digest, size: u64, proof: &[Digest], root: &Digest) -> bool {
    if leaf >= size {
        return false;
    }
    let (mut place, mut last, mut walked) = (leaf, size - 1, hash);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            walked = node_digest(sibling, &walked);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            walked = node_digest(&walked, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && walked == *root
}

/// Whether a proof shows that the tree with one root is the start of that with another.
#[must_use]
pub fn continues(old: (u64, &Digest), new: (u64, &Digest), proof: &[Digest]) -> bool {
    let ((old_size, old_root), (size, root)) = (old, new);
    if old_size == 0 {
        return proof.is_empty() && *old_root == empty_digest();
    }
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    if old_size > size {
        return false;
    }
    let (mut place, mut last) = (old_size - 1, size - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    // The old tree is a subtree of the new one: its root need not be sent.
    let (start, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (*first, rest)
    };
    let (mut walked_old, mut walked) = (start, start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            walked_old = node_digest(hash, &walked_old);
            walked = node_digest(hash, &walked);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            walked = node_digest(&walked, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && walked_old == *old_root && walked == *root
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tree::{joined, subtrees};
    use super::*;
    use strongroom_crypto::leaf_digest;

    /// The hash over a range, from the leaves.
    fn hash(leaves: &[Digest], range: Range) -> Digest {
        let perfect = |node: &super::super::tree::Node| {
            let width = 1usize << node.height;
            let start = usize::try_from(node.index).unwrap() * width;
            super::super::tree::perfect_root(&leaves[start..start + width])
        };
        joined(&subtrees(range.start, range.end).iter().map(perfect).collect::<Vec<_>>())
    }

    fn hashes(leaves: &[Digest], ranges: Vec<Range>) -> Vec<Digest> {
        ranges.into_iter().map(|range| hash(leaves, range)).collect()
    }

    #[test]
    fn what_is_proved_is_checked_and_nothing_else_passes() {
        const SIZE: u64 = 40;
        let leaves: Vec<Digest> = (0..SIZE).map(|number| leaf_digest(&number.to_be_bytes())).collect();
        let root = |size| if size == 0 { empty_digest() } else { hash(&leaves, 0..size) };
        let at = |leaf: u64| leaves[usize::try_from(leaf).unwrap()];
        for size in 1..=SIZE {
            for leaf in 0..size {
                let proof = hashes(&leaves, inclusion(leaf, size));
                assert!(includes(leaf, at(leaf), size, &proof, &root(size)), "{leaf} of {size}");
                for other in 0..size + 2 {
                    let passes = includes(other, at(leaf), size, &proof, &root(size));
                    assert_eq!(passes, other == leaf, "{leaf} of {size} as {other}");
                }
                assert!(!includes(leaf, at(leaf), size, &proof, &root(size - 1)));
                let longer = [&proof[..], &[at(leaf)]].concat();
                assert!(!includes(leaf, at(leaf), size, &longer, &root(size)));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!includes(leaf, at(leaf), size, shorter, &root(size)));
                }
            }
            for old in 1..size {
                let proof = hashes(&leaves, consistency(old, size));
                let (old_root, new_root) = (root(old), root(size));
                assert!(continues((old, &old_root), (size, &new_root), &proof), "{old} to {size}");
                assert!(!continues((old, &new_root), (size, &new_root), &proof));
                assert!(!continues((old, &old_root), (size, &old_root), &proof));
                let longer = [&proof[..], &[old_root]].concat();
                assert!(!continues((old, &old_root), (size, &new_root), &longer));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!continues((old, &old_root), (size, &new_root), shorter));
                }
            }
            assert!(continues((size, &root(size)), (size, &root(size)), &[]));
            assert!(continues((0, &root(0)), (size, &root(size)), &[]));
            assert!(!continues((0, &root(size)), (size, &root(size)), &[]));
            assert!(!continues((size, &root(size)), (size - 1, &root(size - 1)), &[]));
        }
    }
}
