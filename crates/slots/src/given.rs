//! What opens a slot, as a person gives it.

use strongroom_crypto::{SlotKey, SlotKind, SlotPublicKey};
use zeroize::Zeroizing;

use crate::shamir::Collector;
use crate::{Error, passphrase, recovery};

/// One thing that opens a slot which does not open by itself.
pub enum Given {
    /// A passphrase.
    Passphrase(Zeroizing<String>),
    /// 24 words.
    Words(Zeroizing<String>),
    /// As many shares as it takes.
    Shares(Vec<Zeroizing<String>>),
}

impl Given {
    /// The kind of slot that it is for.
    #[must_use]
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::Passphrase(_) => SlotKind::Passphrase,
            Self::Words(_) => SlotKind::Recovery,
            Self::Shares(_) => SlotKind::Shamir,
        }
    }

    /// Opens the slot key of that public key.
    ///
    /// # Errors
    /// What is wrong with it; [`Error::Refused`] if it is that of another slot.
    pub fn open(&self, opener: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
        match self {
            Self::Passphrase(text) => passphrase::open(opener, public, text),
            Self::Words(text) => recovery::open(public, text),
            Self::Shares(shares) => {
                let mut collector = Collector::new(opener, public)?;
                shares.iter().try_for_each(|share| collector.add(share))?;
                collector.open()
            }
        }
    }
}
