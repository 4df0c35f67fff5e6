#![doc = include_str!("../README.md")]

#[cfg(feature = "aws-kms")]
pub mod aws_kms;
mod error;
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
pub use service::{Config, KmsConfig, TokenConfig};
