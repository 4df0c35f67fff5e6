//! The Merkle tree over the log (RFC 6962).
//!
//! Its leaves are the records' canonical bytes, record 1 the first. What is kept of it are *blocks*: sixteen hashes of one
//! level, side by side. A hash of level 0 is a leaf's; one of level `n` is the root of the subtree over 16ⁿ leaves. So a full
//! block of one level gives one hash of the next, and what is in no full block yet is the tree's right edge: at most fifteen
//! hashes a level, kept in memory and with the log's head. Adding a leaf costs about one hash of a node, and a block that is
//! full never changes.

use strongroom_crypto::{Digest, empty_digest, node_digest};

/// Hashes of a block.
pub const BLOCK: usize = 1 << BLOCK_BITS;
/// The block's height in the tree.
pub const BLOCK_BITS: u32 = 4;
/// Levels of blocks that any log can have.
pub const LEVELS: u32 = u64::BITS / BLOCK_BITS;

/// A perfect subtree: all the leaves whose number, counted from 0 and without its last `height` bits, is `index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Its height; a leaf's is 0.
    pub height: u32,
    /// Its place among those of the same height, from 0.
    pub index: u64,
}

impl Node {
    /// Where its hashes are kept: the level, the first of them, and how many of them it is made of.
    #[must_use]
    pub fn place(&self) -> (u32, u64, usize) {
        let within = self.height % BLOCK_BITS;
        (self.height / BLOCK_BITS, self.index << within, 1 << within)
    }
}

/// The perfect subtrees that make up the leaves from one to before another, the larger ones first. The range starts where a
/// subtree as large as all of it could start, as the ranges of RFC 6962 do.
#[must_use]
pub fn subtrees(mut from: u64, to: u64) -> Vec<Node> {
    let mut nodes = Vec::new();
    while from < to {
        let height = (to - from).ilog2();
        nodes.push(Node { height, index: from >> height });
        from += 1 << height;
    }
    nodes
}

/// The hash over neighbouring subtrees, each smaller than the one before.
#[must_use]
pub fn joined(hashes: &[Digest]) -> Digest {
    let Some((last, before)) = hashes.split_last() else { return empty_digest() };
    before.iter().rfold(*last, |right, left| node_digest(left, &right))
}

/// The root of a perfect subtree, out of hashes of one level: one, two, four, eight or sixteen.
#[must_use]
pub fn perfect_root(hashes: &[Digest]) -> Digest {
    match hashes {
        [] => empty_digest(),
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_digest(&perfect_root(left), &perfect_root(right))
        }
    }
}

/// A block that is full.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Its level.
    pub level: u32,
    /// Its number in the level, from 0.
    pub number: u64,
    /// Its sixteen hashes.
    pub hashes: &'a [Digest],
    /// The hash over them: the one of the next level that has the block's number.
    pub root: Digest,
}

/// The right edge of a tree: all that is needed to add to it, and its root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// For each level its hashes that are in no full block yet.
    edge: Vec<Vec<Digest>>,
}

/// Bytes that are no edge of a tree of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored edge of the audit log's tree is damaged")]
pub struct BadEdge;

impl Tree {
    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. `full` is told of each block that is full now.
    ///
    /// # Errors
    /// Those of `full`; the tree is then of no more use.
    pub fn append<E>(&mut self, leaf: Digest, full: impl FnMut(Block<'_>) -> Result<(), E>) -> Result<(), E> {
        self.append_at(0, leaf, full)
    }

    /// Adds a perfect subtree of 16ⁿ leaves, where nothing smaller has been added yet.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_at<E>(
        &mut self,
        level: u32,
        hash: Digest,
        mut full: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut carried = hash;
        let last = self.size;
        self.size += 1 << (level * BLOCK_BITS);
        for level in level.. {
            let place = level as usize;
            if self.edge.len() <= place {
                self.edge.resize_with(place + 1, || Vec::with_capacity(BLOCK));
            }
            let block = &mut self.edge[place];
            block.push(carried);
            if block.len() < BLOCK {
                break;
            }
            carried = perfect_root(block);
            let number = last >> (BLOCK_BITS * (level + 1));
            full(Block { level, number, hashes: block, root: carried })?;
            block.clear();
        }
        Ok(())
    }

    /// The hashes of a level that are in no full block yet.
    #[must_use]
    pub fn edge(&self, level: u32) -> &[Digest] {
        self.edge.get(level as usize).map_or(&[], Vec::as_slice)
    }

    /// The index of the first of them.
    #[must_use]
    pub fn edge_start(&self, level: u32) -> u64 {
        let hashes = self.size >> (level * BLOCK_BITS);
        hashes - hashes % BLOCK as u64
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut peaks = Vec::with_capacity(64);
        for block in self.edge.iter().rev() {
            let mut rest = block.as_slice();
            while !rest.is_empty() {
                let (peak, after) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(perfect_root(peak));
                rest = after;
            }
        }
        joined(&peaks)
    }

    /// The edge as it is stored: its hashes one after the other, those of level 0 first. How many there are of each level
    /// follows from the size.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.edge.iter().flatten().flatten().copied().collect()
    }

    /// A tree from its stored edge.
    ///
    /// # Errors
    /// [`BadEdge`] when there are more or fewer hashes than the size says.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, BadEdge> {
        let (hashes, rest) = bytes.as_chunks();
        let mut hashes = hashes.iter();
        let levels = size.checked_ilog2().map_or(0, |bits| bits / BLOCK_BITS + 1);
        let mut tree = Self { size, edge: Vec::with_capacity(levels as usize) };
        for level in 0..levels {
            let count = size >> (BLOCK_BITS * level) & (BLOCK as u64 - 1);
            let mut block = Vec::with_capacity(BLOCK);
            for _ in 0..count {
                block.push(*hashes.next().ok_or(BadEdge)?);
            }
            tree.edge.push(block);
        }
        if hashes.next().is_some() || !rest.is_empty() { Err(BadEdge) } else { Ok(tree) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use strongroom_crypto::leaf_digest;

    /// Word for word from RFC 6962, section 2.1.
    fn root_by_the_book(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_digest(),
            [leaf] => *leaf,
            _ => {
                let half = 1 << (leaves.len() - 1).ilog2();
                node_digest(&root_by_the_book(&leaves[..half]), &root_by_the_book(&leaves[half..]))
            }
        }
    }

    #[test]
    fn roots_blocks_and_edges_are_those_of_the_book() {
        let leaves: Vec<Digest> = (0..700u32).map(|number| leaf_digest(&number.to_be_bytes())).collect();
        let (mut tree, mut blocks) = (Tree::default(), BTreeMap::new());
        for (at, leaf) in leaves.iter().enumerate() {
            assert_eq!(tree.root(), root_by_the_book(&leaves[..at]), "{at} leaves");
            assert_eq!(Tree::from_bytes(tree.size(), &tree.to_bytes()), Ok(tree.clone()));
            let keep = |block: Block<'_>| {
                assert!(blocks.insert((block.level, block.number), block.hashes.to_vec()).is_none());
                Ok::<_, Infallible>(())
            };
            tree.append(*leaf, keep).unwrap();
        }
        for ((level, number), hashes) in &blocks {
            let width = 1usize << (BLOCK_BITS * level);
            for (at, hash) in hashes.iter().enumerate() {
                let start = (usize::try_from(*number).unwrap() * BLOCK + at) * width;
                assert_eq!(*hash, root_by_the_book(&leaves[start..start + width]), "level {level}");
            }
        }
        assert_eq!(blocks.keys().filter(|(level, _)| *level == 0).count(), 700 / BLOCK);
        assert_eq!(blocks.keys().filter(|(level, _)| *level == 1).count(), 700 / BLOCK / BLOCK);
    }

    #[test]
    fn a_damaged_edge_is_refused() {
        let mut tree = Tree::default();
        for number in 0..35u8 {
            tree.append(leaf_digest(&[number]), |_| Ok::<_, Infallible>(())).unwrap();
        }
        let bytes = tree.to_bytes();
        assert_eq!(bytes.len(), 5 * 32);
        for (size, bytes) in [(36, &bytes[..]), (35, &bytes[1..]), (34, &bytes[..]), (35, &bytes[32..])] {
            assert_eq!(Tree::from_bytes(size, bytes), Err(BadEdge));
        }
    }

    #[test]
    fn a_range_is_cut_into_the_largest_subtrees() {
        assert_eq!(subtrees(0, 0), []);
        let heights = |from, to| subtrees(from, to).iter().map(|node| node.height).collect::<Vec<_>>();
        assert_eq!(heights(0, 7), [2, 1, 0]);
        assert_eq!(heights(8, 15), [2, 1, 0]);
        assert_eq!(Node { height: 6, index: 3 }.place(), (1, 12, 4));
    }
}
