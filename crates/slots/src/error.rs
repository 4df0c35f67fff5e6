use strongroom_crypto::CryptoError;

/// Why a slot's key cannot be had, or not be sealed. No text holds any of what was given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The slot's row holds what no version of Strongroom writes there.
    #[error("the key slot was altered: how its key is got cannot be read")]
    Opener,
    /// It does not open. Wrong, or for another slot, or altered: these are one answer.
    #[error("the key slot does not open with that")]
    Refused,
    /// A passphrase is too short to be one.
    #[error("a passphrase has at least {min} characters")]
    TooShort {
        /// How many.
        min: usize,
    },
    /// A passphrase is too long.
    #[error("a passphrase has at most {max} bytes")]
    TooLong {
        /// How many.
        max: usize,
    },
    /// There are not 24 words.
    #[error("there are 24 words in recovery words, and {given} were given")]
    WordCount {
        /// How many were given.
        given: usize,
    },
    /// A word that is in no list.
    #[error("word {position} is none of the words there are: look for a typing error in it")]
    UnknownWord {
        /// Its place, from 1.
        position: usize,
    },
    /// The words do not belong together.
    #[error(
        "each of the words is one, but they do not belong together: a word is another one, or two are swapped"
    )]
    WordChecksum,
    /// Shares cannot be made so.
    #[error("shares are 2 to {max}, and of these at least 2 are needed")]
    ShareNumbers {
        /// The most.
        max: u8,
    },
    /// A text that is no share.
    #[error("that is no share: it starts with '{}' and was copied whole", crate::shamir::MARK)]
    NoShare,
    /// A share that was mistyped or cut.
    #[error("share {number} was mistyped or cut: its checksum does not fit")]
    ShareDamaged {
        /// Its number, as far as that can be read.
        number: u8,
    },
    /// A share of another set.
    #[error("share {number} is of another set of shares, {set}")]
    OtherSet {
        /// Its number.
        number: u8,
        /// What that set is called.
        set: String,
    },
    /// A share that was given before.
    #[error("share {number} was given already")]
    ShareRepeated {
        /// Its number.
        number: u8,
    },
    /// A share that is whole, and not the one that was made.
    #[error("share {number} is not the one that was made: somebody changed it")]
    ShareWrong {
        /// Its number.
        number: u8,
    },
    /// There are too few shares.
    #[error("{given} of {needed} shares were given")]
    TooFewShares {
        /// How many were given.
        given: u8,
        /// How many it takes.
        needed: u8,
    },
    /// A key service that the configuration says nothing of.
    #[error("{service} is not configured: {todo}")]
    NotConfigured {
        /// Which.
        service: &'static str,
        /// What to set.
        todo: &'static str,
    },
    /// What the configuration names cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// A key service cannot be reached.
    #[error("{service} cannot be reached: {source}")]
    Unreachable {
        /// Where it is.
        service: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key service refuses.
    #[error("{service} refuses: {why}")]
    ServiceRefused {
        /// Where it is.
        service: String,
        /// In its own words, or ours.
        why: String,
    },
    /// Something that should not happen.
    #[error("the system gives no randomness or memory")]
    System,
}

impl Error {
    /// Whether the same attempt may well succeed later: a service that cannot be reached, or that refuses for now.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::ServiceRefused { .. })
    }
}

impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Refused => Self::Refused,
            CryptoError::Random => Self::System,
        }
    }
}
