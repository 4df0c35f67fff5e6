//! The chain that stores kept before they had a tree: each record's hash was over the one before it. It is walked once
//! more, when such a store gets its tree, so that nothing which was altered before goes into it.

use strongroom_crypto::{Digest, chain_digest};

use super::Broken;

/// How far a chain was walked.
#[derive(Debug, Default)]
pub struct Chain {
    sequence: u64,
    hash: Digest,
}

impl Chain {
    /// Checks the next record.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, sequence: u64, hash: &Digest, canonical: &[u8]) -> Result<(), Broken> {
        let expected = self.sequence + 1;
        if sequence != expected {
            return Err(Broken::Gap { expected, found: sequence });
        }
        if chain_digest(&self.hash, expected, canonical) != *hash {
            return Err(Broken::Altered { sequence: expected });
        }
        *self = Self { sequence, hash: *hash };
        Ok(())
    }

    /// Checks that it ends where the store says.
    ///
    /// # Errors
    /// What is wrong with its end.
    pub fn finish(&self, sequence: u64, hash: &Digest) -> Result<(), Broken> {
        if self.sequence != sequence {
            return Err(Broken::WrongEnd { expected: sequence, found: self.sequence });
        }
        if self.hash == *hash { Ok(()) } else { Err(Broken::Altered { sequence }) }
    }
}
