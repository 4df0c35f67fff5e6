//! Whether a log is what it was.

use strongroom_crypto::{Digest, empty_digest, leaf_digest};

use super::tree::{BLOCK_BITS, Block, LEVELS, Tree};
use super::{Event, Object};
use crate::error::Result;

/// An event as it is kept: numbered from 1 without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: u64,
    /// The event's canonical bytes.
    pub canonical: Vec<u8>,
}

/// An event that is to be appended: its canonical bytes, and their hash in the tree.
#[derive(Debug)]
pub struct Entry {
    /// The event's canonical bytes.
    pub canonical: Vec<u8>,
    /// Their hash.
    pub hash: Digest,
}

impl Entry {
    /// Makes ready what can be before its place in the log is known.
    ///
    /// # Errors
    /// As [`Event::to_canonical`].
    pub fn new(event: &Event) -> Result<Self> {
        let canonical = event.to_canonical()?;
        Ok(Self { hash: leaf_digest(&canonical), canonical })
    }
}

impl Record {
    /// Its hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Digest {
        leaf_digest(&self.canonical)
    }
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record; 0 before the first.
    pub sequence: u64,
    /// The root of the tree over all records up to it.
    pub root: Digest,
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self { sequence: 0, root: empty_digest() }
    }
}

impl From<&Tree> for Head {
    fn from(tree: &Tree) -> Self {
        Self { sequence: tree.size(), root: tree.root() }
    }
}

/// What is wrong with a log, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A record is missing, or one stands where it does not belong.
    #[error("record {expected} is missing: record {found} stands in its place")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that comes.
        found: u64,
    },
    /// A record's bytes do not have the hash that the tree has in its place.
    #[error("record {sequence} was altered: it does not match its hash")]
    Altered {
        /// The record.
        sequence: u64,
    },
    /// Records match their hashes, and these do not match the hash over all of them.
    #[error("one of the records {first} to {last} was altered, and its hash with it, or its hash alone")]
    AlteredAmong {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The hash of a record is not there.
    #[error("the hash of record {sequence} is missing")]
    HashMissing {
        /// The record.
        sequence: u64,
    },
    /// The log starts after records that nobody is known to have pruned.
    #[error("the records up to {upto} are gone, and no event tells that the log was pruned up to there")]
    Start {
        /// The last of them.
        upto: u64,
    },
    /// A record stands before the start.
    #[error("record {found} stands before the start of the log")]
    BeforeStart {
        /// Its number.
        found: u64,
    },
    /// A record's bytes are no event.
    #[error("record {sequence} is not an audit event")]
    Unreadable {
        /// The record.
        sequence: u64,
    },
    /// The log ends elsewhere than the store says.
    #[error("the log ends at record {found}, the store says that it ends at record {expected}")]
    WrongEnd {
        /// Where it should end.
        expected: u64,
        /// Where it ends.
        found: u64,
    },
    /// The tree over the records up to a checkpoint has another root than it.
    #[error("the records up to {sequence} are not those that the checkpoint was made of")]
    NotCheckpoint {
        /// Where the checkpoint was made.
        sequence: u64,
    },
    /// The log ends before a checkpoint that was made of it.
    #[error("the log ends at record {found}, and the checkpoint was made at record {expected}")]
    BeforeCheckpoint {
        /// Where the checkpoint was made.
        expected: u64,
        /// Where the log ends.
        found: u64,
    },
    /// The tree over all records has another root than the store says.
    #[error("the tree over the records up to {sequence} does not have the root that it should")]
    WrongRoot {
        /// The last record.
        sequence: u64,
    },
}

/// The hashes that a log keeps of a stretch of records, level by level.
#[derive(Debug, Default)]
pub struct StoredHashes(Vec<(u64, Vec<Digest>)>);

impl StoredHashes {
    /// Which hashes tell of the records after one up to another: for each level the first one's index and how many there
    /// are.
    pub fn wanted(after: u64, upto: u64) -> impl Iterator<Item = (u32, u64, u64)> {
        let levels = (0..LEVELS).take_while(move |level| upto >> (level * BLOCK_BITS) > 0);
        levels.map(move |level| {
            let (first, end) = (after >> (level * BLOCK_BITS), upto >> (level * BLOCK_BITS));
            (level, first, end - first)
        })
    }

    /// Takes those of the next level: the first one's index, and as many as there are.
    pub fn push(&mut self, first: u64, hashes: Vec<Digest>) {
        self.0.push((first, hashes));
    }

    fn get(&self, level: u32, index: u64) -> Option<&Digest> {
        let (first, hashes) = self.0.get(level as usize)?;
        hashes.get(usize::try_from(index.checked_sub(*first)?).ok()?)
    }
}

/// Walks a log from its start; feed it every record in order, then ask [`Verifier::finish`].
#[derive(Debug, Default)]
pub struct Verifier {
    tree: Tree,
    /// Where the log must pass, as checkpoints say, the earliest last.
    expected: Vec<Head>,
    /// The end of the records that are pruned; none where it starts with record 1.
    start: Option<Head>,
    /// Whether an event tells of that.
    told: bool,
}

impl Verifier {
    /// A walk that is to come past these heads.
    #[must_use]
    pub fn expecting(heads: &[Head]) -> Self {
        let mut expected = heads.to_vec();
        expected.sort_by_key(|head| std::cmp::Reverse(head.sequence));
        Self { expected, ..Self::default() }
    }

    /// The same, of a log that is pruned up to where the tree ends. Heads from before its end cannot be compared.
    #[must_use]
    pub fn starting_at(tree: Tree, heads: &[Head]) -> Self {
        let start = (tree.size() > 0).then(|| Head::from(&tree));
        Self { tree, start, ..Self::expecting(heads) }
    }

    /// Passes over the records up to one, which are pruned, by the hashes that are kept of them.
    ///
    /// # Errors
    /// What is wrong with these.
    pub fn pass_over(&mut self, upto: u64, kept: &StoredHashes) -> Result<(), Broken> {
        if self.tree.size() >= upto {
            return Ok(());
        }
        self.pass()?;
        while self.tree.size() < upto {
            let sequence = self.tree.size() + 1;
            let hash = kept.get(0, self.tree.size()).ok_or(Broken::HashMissing { sequence })?;
            self.tree.append(*hash, |block| same(&block, kept))?;
            self.pass()?;
        }
        (self.start, self.told) = (Some(self.head()), false);
        Ok(())
    }

    /// Up to which record the log is pruned, as far as the walk has come.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start.map_or(0, |start| start.sequence)
    }

    /// Whether a record that was checked tells that the log was pruned up to there; a whole log needs none.
    #[must_use]
    pub fn start_is_told(&self) -> bool {
        self.told || self.start.is_none()
    }

    /// Checks the next record, against the hashes that are kept of it; gives the event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, record: &Record, kept: &StoredHashes) -> Result<Event, Broken> {
        // A checkpoint may be of the empty log.
        self.pass()?;
        let sequence = self.tree.size() + 1;
        if record.sequence != sequence {
            return Err(Broken::Gap { expected: sequence, found: record.sequence });
        }
        let hash = record.hash();
        if kept.get(0, self.tree.size()) != Some(&hash) {
            return Err(Broken::Altered { sequence });
        }
        let event = Event::from_canonical(&record.canonical).map_err(|_| Broken::Unreadable { sequence })?;
        if let Object::AuditLog { upto, root } = event.object {
            self.told |= self.start == Some(Head { sequence: upto, root });
        }
        self.tree.append(hash, |block| same(&block, kept))?;
        self.pass()?;
        Ok(event)
    }

    /// Compares with the checkpoints that were made here.
    fn pass(&mut self) -> Result<(), Broken> {
        let here = self.tree.size();
        while let Some(head) = self.expected.pop_if(|head| head.sequence <= here) {
            if self.head() != head {
                return Err(Broken::NotCheckpoint { sequence: head.sequence });
            }
        }
        Ok(())
    }

    /// How many records were walked.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The end of what was walked.
    #[must_use]
    pub fn head(&self) -> Head {
        Head::from(&self.tree)
    }

    /// Checks that the log ends where the store says, and not before a checkpoint, and that it starts where an event says.
    ///
    /// # Errors
    /// [`Broken::WrongEnd`], [`Broken::WrongRoot`] when only the root differs, or what is wrong with a checkpoint or the
    /// start.
    pub fn finish(&mut self, head: &Head) -> Result<(), Broken> {
        let (sequence, walked) = (head.sequence, self.head());
        if walked.sequence != sequence {
            return Err(Broken::WrongEnd { expected: sequence, found: walked.sequence });
        }
        if walked.root != head.root {
            return Err(Broken::WrongRoot { sequence });
        }
        self.pass()?;
        match self.expected.last() {
            Some(ahead) => Err(Broken::BeforeCheckpoint { expected: ahead.sequence, found: sequence }),
            None if self.start_is_told() => Ok(()),
            None => Err(Broken::Start { upto: self.start() }),
        }
    }
}

/// Whether the hash over a full block is the one that is kept.
fn same(block: &Block<'_>, kept: &StoredHashes) -> Result<(), Broken> {
    let (level, number) = (block.level + 1, block.number);
    if kept.get(level, number) == Some(&block.root) {
        return Ok(());
    }
    let width = 1 << (level * BLOCK_BITS);
    Err(Broken::AlteredAmong { first: number * width + 1, last: (number + 1) * width })
}
