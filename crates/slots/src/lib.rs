#![doc = include_str!("../README.md")]

#[cfg(feature = "aws-kms")]
pub mod aws_kms;
mod error;
mod given;
mod opener;
pub mod passphrase;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod private_file;
pub mod recovery;
mod service;
pub mod shamir;
pub mod transit;

pub use error::Error;
pub use given::Given;
pub use private_file::is_private;
pub use service::{Config, KmsConfig, TokenConfig};

use strongroom_crypto::{SlotKey, SlotPublicKey};

/// Takes what was opened for the key of a slot: whatever opened it, it has to be that of the slot's public key.
fn key_of(public: &SlotPublicKey, bytes: &[u8]) -> Result<SlotKey, Error> {
    let key = SlotKey::from_slice(bytes)?;
    if key.public() == public { Ok(key) } else { Err(Error::Refused) }
}
