//! The audit log: proofs of what is in it for those who may read it, a walk through all of it for those who work on the
//! machine itself, and its pruning.

mod prune;
mod walk;

use strongroom_crypto::LogKey;

use super::App;
use super::keyring::Keys;
use crate::Digest;
use crate::audit::checkpoint::{self, LogPublicKey};
use crate::audit::proof::{self, Range};
use crate::audit::tree::{joined, perfect_root, subtrees};
use crate::audit::{Broken, EventQuery, Head, Record};
use crate::caller::Caller;
use crate::error::{Error, Missing, Noun, Result, Rule};
use crate::ids::AccountId;
use crate::page::Listing;
use crate::store::Store;

pub use prune::tree_at;
pub use walk::{verify, verify_against};

/// That a record is in the log.
#[derive(Debug)]
pub struct Inclusion {
    /// The record's number.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
    /// What leads from the hash to the root.
    pub proof: Vec<Digest>,
    /// The log that it is in.
    pub head: Head,
    /// A signed checkpoint of that log.
    pub checkpoint: String,
}

/// That a log is the start of a later one.
#[derive(Debug)]
pub struct Consistency {
    /// The earlier log.
    pub from: Head,
    /// What leads from its root to the later one's.
    pub proof: Vec<Digest>,
    /// The later log.
    pub head: Head,
    /// A signed checkpoint of the later log.
    pub checkpoint: String,
}

/// The hashes of a log's tree are not there.
#[derive(Debug, thiserror::Error)]
#[error("the audit log's tree lacks hashes that it must have")]
struct HashesMissing;

impl App {
    /// A page of the log's records.
    ///
    /// # Errors
    /// `Forbidden` for who may not read the log.
    pub async fn audit_list(&self, caller: &Caller, query: EventQuery) -> Result<Listing<Record>> {
        caller.must_audit()?;
        self.store.audit_page(query).await
    }

    /// A signed checkpoint of the log as it is now.
    ///
    /// # Errors
    /// `Forbidden` for who may not read the log.
    pub async fn audit_checkpoint(&self, caller: &Caller) -> Result<String> {
        caller.must_audit()?;
        let keys = self.keyring.keys()?;
        Ok(self.log(&keys).checkpoint(&self.store.audit_head().await?))
    }

    /// Shows that a record is in the log as it was when it had `size` records, or as it is now.
    ///
    /// # Errors
    /// As [`Log::inclusion`]; `Forbidden` for who may not read the log.
    pub async fn audit_inclusion(
        &self,
        caller: &Caller,
        sequence: u64,
        size: Option<u64>,
    ) -> Result<Inclusion> {
        caller.must_audit()?;
        let keys = self.keyring.keys()?;
        self.log(&keys).inclusion(sequence, size).await
    }

    /// Shows that the log as it was when it had `from` records is the start of the log when it had `size`, or as it is now.
    ///
    /// # Errors
    /// As [`Log::consistency`]; `Forbidden` for who may not read the log.
    pub async fn audit_consistency(
        &self,
        caller: &Caller,
        from: u64,
        size: Option<u64>,
    ) -> Result<Consistency> {
        caller.must_audit()?;
        let keys = self.keyring.keys()?;
        self.log(&keys).consistency(from, size).await
    }

    /// Whether the key that signs the log's checkpoints was missing, and another was made in its place: none that was kept before
    /// is of this key.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_key_was_lost(&self) -> Result<bool> {
        Ok(self.store.log_keys_made().await? > 1)
    }

    /// The key that the log's checkpoints are checked with; it is for everybody.
    ///
    /// # Errors
    /// `Sealed`.
    pub fn audit_key(&self) -> Result<LogPublicKey> {
        Ok(self.log(&*self.keyring.keys()?).public_key())
    }

    /// The end of the log, for the one who runs the server.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_head(&self) -> Result<Head> {
        self.store.audit_head().await
    }

    /// A signed checkpoint of the log as it is now, for the one who runs the server; only if the log leads there from the
    /// `last` one.
    ///
    /// # Errors
    /// Those of the store. What is wrong with the log is in the value; then nothing is signed.
    pub async fn audit_checkpoint_past(&self, last: Option<&Head>) -> Result<Result<(Head, String), Broken>> {
        let keys = self.keyring.keys()?;
        let log = self.log(&keys);
        let head = self.store.audit_head().await?;
        // The head is a row of its own: it is signed only if the tree is the one that it tells of.
        if root_over(&*self.store, 0..head.sequence).await? != head.root {
            return Ok(Err(Broken::WrongRoot { sequence: head.sequence }));
        }
        if let Some(last) = last
            && let Err(broken) = log.leads_from(last, &head).await?
        {
            return Ok(Err(broken));
        }
        Ok(Ok((head, log.checkpoint(&head))))
    }

    fn log<'a>(&'a self, keys: &'a Keys) -> Log<'a> {
        Log { store: &*self.store, account: self.account.id, key: &keys.log }
    }
}

/// A log, and the key that speaks for it.
pub struct Log<'a> {
    /// Where it is.
    pub store: &'a dyn Store,
    /// Whose it is.
    pub account: AccountId,
    /// The key that signs its checkpoints.
    pub key: &'a LogKey,
}

impl Log<'_> {
    /// The key that its checkpoints are checked with.
    #[must_use]
    pub fn public_key(&self) -> LogPublicKey {
        LogPublicKey::new(self.account, self.key.public())
    }

    /// A signed checkpoint at a head of the log.
    #[must_use]
    pub fn checkpoint(&self, head: &Head) -> String {
        checkpoint::sign(self.account, head, self.key)
    }

    /// Shows that a record is in the log.
    ///
    /// # Errors
    /// `NotFound` if there is no such record; `Invalid` for a log that is longer than it is.
    pub async fn inclusion(&self, sequence: u64, size: Option<u64>) -> Result<Inclusion> {
        let head = self.head_at(size).await?;
        if sequence == 0 || sequence > head.sequence {
            return Err(Error::NotFound(Missing::Resource(Noun::AuditEvent)));
        }
        let leaf = sequence - 1;
        let proof = self.hashes(proof::inclusion(leaf, head.sequence)).await?;
        let hash = root_over(self.store, leaf..sequence).await?;
        Ok(Inclusion { sequence, hash, proof, head, checkpoint: self.checkpoint(&head) })
    }

    /// Shows that an earlier log is the start of a later one.
    ///
    /// # Errors
    /// `Invalid` for a log that is longer than it is, or an earlier one that is longer than the later.
    pub async fn consistency(&self, from: u64, size: Option<u64>) -> Result<Consistency> {
        let head = self.head_at(size).await?;
        if from > head.sequence {
            return Err(Rule::Parameter("from").into());
        }
        let proof = self.hashes(between(from, head.sequence)).await?;
        let from = Head { sequence: from, root: root_over(self.store, 0..from).await? };
        Ok(Consistency { from, proof, head, checkpoint: self.checkpoint(&head) })
    }

    /// Whether one head is of the start of the log that another is of. The proof is checked, so that it is the very tree under
    /// the later root that has the earlier one in it.
    async fn leads_from(&self, last: &Head, head: &Head) -> Result<Result<(), Broken>> {
        let (expected, found) = (last.sequence, head.sequence);
        if found < expected {
            return Ok(Err(Broken::BeforeCheckpoint { expected, found }));
        }
        let proof = self.hashes(between(expected, found)).await?;
        let continues = proof::continues((expected, &last.root), (found, &head.root), &proof);
        Ok(if continues { Ok(()) } else { Err(Broken::NotCheckpoint { sequence: expected }) })
    }

    async fn head_at(&self, size: Option<u64>) -> Result<Head> {
        let head = self.store.audit_head().await?;
        match size {
            None => Ok(head),
            Some(size) if size > head.sequence => Err(Rule::Parameter("size").into()),
            Some(size) => Ok(Head { sequence: size, root: root_over(self.store, 0..size).await? }),
        }
    }

    async fn hashes(&self, ranges: Vec<Range>) -> Result<Vec<Digest>> {
        let mut hashes = Vec::with_capacity(ranges.len());
        for range in ranges {
            hashes.push(root_over(self.store, range).await?);
        }
        Ok(hashes)
    }
}

/// What a proof is made of that a log is the start of another; nothing where that needs none.
fn between(from: u64, size: u64) -> Vec<Range> {
    if from == 0 || from == size { Vec::new() } else { proof::consistency(from, size) }
}

/// The hash over some of a log's records, out of the hashes that its tree keeps.
///
/// # Errors
/// Those of the store; `Internal` when hashes are missing.
pub async fn root_over(store: &dyn Store, range: Range) -> Result<Digest> {
    let mut hashes = Vec::new();
    for node in subtrees(range.start, range.end) {
        let (level, first, count) = node.place();
        let kept = store.audit_hashes(level, first, count as u64).await?;
        if kept.len() != count {
            return Err(Error::Internal(Box::new(HashesMissing)));
        }
        hashes.push(perfect_root(&kept));
    }
    Ok(joined(&hashes))
}
