//! Slots whose keys are sealed by a key of another service, which opens them without a person.

use std::path::PathBuf;

use strongroom_crypto::{SlotKey, SlotKind, SlotPublicKey};

use crate::{Error, Given, transit};

/// Where other services are, and what opens them: the server's own configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// A transit engine.
    pub transit: Option<transit::Config>,
    /// A token of PKCS #11. Only a build with the feature `pkcs11` asks it.
    pub pkcs11: Option<TokenConfig>,
    /// AWS KMS. Only a build with the feature `aws-kms` asks it.
    pub aws_kms: Option<KmsConfig>,
}

/// Where a token's key is, and what opens the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// The vendor's module, a shared library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The label of the AES key on it.
    pub key: String,
    /// A file that holds the PIN, which others may not read.
    pub pin_file: PathBuf,
}

/// Which key of AWS KMS it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsConfig {
    /// A symmetric key by its id, ARN or alias.
    pub key: String,
    /// The region, in place of that of the environment or the profile.
    pub region: Option<String>,
    /// Another address than the region's own.
    pub endpoint: Option<String>,
}

impl Config {
    fn transit(&self) -> Result<&transit::Config, Error> {
        let todo = "give the server --transit-address, --transit-token-file and --transit-key";
        self.transit.as_ref().ok_or(Error::NotConfigured { service: "the transit engine", todo })
    }

    #[cfg(feature = "aws-kms")]
    fn aws_kms(&self) -> Result<&KmsConfig, Error> {
        let todo = "give the server --aws-kms-key";
        self.aws_kms.as_ref().ok_or(Error::NotConfigured { service: "AWS KMS", todo })
    }

    #[cfg(feature = "pkcs11")]
    fn pkcs11(&self) -> Result<&TokenConfig, Error> {
        let todo = "give the server --pkcs11-module, --pkcs11-token and --pkcs11-pin-file";
        self.pkcs11.as_ref().ok_or(Error::NotConfigured { service: "a token of PKCS #11", todo })
    }

    /// Whether a kind is kept by a service at all.
    #[must_use]
    pub fn keeps(kind: SlotKind) -> bool {
        kind.opens_by_itself() && kind != SlotKind::File
    }

    /// Has a service seal a slot key; gives the opener. It may take as long as the service does, half a minute at most.
    ///
    /// # Errors
    /// [`Error::NotConfigured`]; those of the kind.
    pub fn seal(&self, kind: SlotKind, key: &SlotKey) -> Result<String, Error> {
        match kind {
            SlotKind::Transit => transit::seal(self.transit()?, key),
            #[cfg(feature = "aws-kms")]
            SlotKind::AwsKms => crate::aws_kms::seal(self.aws_kms()?, key),
            #[cfg(feature = "pkcs11")]
            SlotKind::Pkcs11 => crate::pkcs11::seal(self.pkcs11()?, key, &strongroom_crypto::SystemRng),
            other => Err(not_built(other)),
        }
    }

    /// Opens the slot key of that public key by what is given, or without it by the service that keeps it.
    ///
    /// # Errors
    /// Those of [`Given::open`] and [`Config::open`].
    pub fn open_with(
        &self,
        given: Option<&Given>,
        (kind, opener): (SlotKind, &str),
        public: &SlotPublicKey,
    ) -> Result<SlotKey, Error> {
        match given {
            None => self.open(kind, opener, public),
            // A passphrase says nothing of a slot of another kind.
            Some(given) if given.kind() != kind => Err(Error::Refused),
            Some(given) => given.open(opener, public),
        }
    }

    /// Has a service open the slot key of that public key.
    ///
    /// # Errors
    /// [`Error::NotConfigured`]; those of the kind.
    pub fn open(&self, kind: SlotKind, opener: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
        match kind {
            SlotKind::Transit => transit::open(self.transit()?, opener, public),
            #[cfg(feature = "aws-kms")]
            SlotKind::AwsKms => crate::aws_kms::open(self.aws_kms()?, opener, public),
            #[cfg(feature = "pkcs11")]
            SlotKind::Pkcs11 => crate::pkcs11::open(self.pkcs11()?, opener, public),
            other => Err(not_built(other)),
        }
    }
}

fn not_built(kind: SlotKind) -> Error {
    let (service, todo) = match kind {
        SlotKind::Pkcs11 => ("PKCS #11", "this build has none: build it with --features pkcs11"),
        SlotKind::AwsKms => ("AWS KMS", "this build has none: build it with --features aws-kms"),
        _ => ("that kind of slot", "no service keeps its key"),
    };
    Error::NotConfigured { service, todo }
}
