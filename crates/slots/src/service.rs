//! Slots whose keys are sealed by a key of another service, which opens them without a person.

use strongroom_crypto::{SlotKey, SlotKind, SlotPublicKey};

use crate::{Error, transit};

/// Where other services are, and what opens them: the server's own configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// A transit engine.
    pub transit: Option<transit::Config>,
}

impl Config {
    fn transit(&self) -> Result<&transit::Config, Error> {
        let todo = "give the server --transit-address, --transit-token-file and --transit-key";
        self.transit.as_ref().ok_or(Error::NotConfigured { service: "the transit engine", todo })
    }

    /// Whether a kind is kept by a service at all.
    #[must_use]
    pub fn keeps(kind: SlotKind) -> bool {
        matches!(kind, SlotKind::Transit | SlotKind::Pkcs11 | SlotKind::AwsKms)
    }

    /// Has a service seal a slot key; gives the opener. It may take as long as the service does, half a minute at most.
    ///
    /// # Errors
    /// [`Error::NotConfigured`]; those of the kind.
    pub fn seal(&self, kind: SlotKind, key: &SlotKey) -> Result<String, Error> {
        match kind {
            SlotKind::Transit => transit::seal(self.transit()?, key),
            other => Err(not_built(other)),
        }
    }

    /// Has a service open the slot key of that public key.
    ///
    /// # Errors
    /// [`Error::NotConfigured`]; those of the kind.
    pub fn open(&self, kind: SlotKind, opener: &str, public: &SlotPublicKey) -> Result<SlotKey, Error> {
        match kind {
            SlotKind::Transit => transit::open(self.transit()?, opener, public),
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
