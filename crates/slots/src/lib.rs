#![doc = include_str!("../README.md")]

mod error;
mod opener;
pub mod passphrase;
pub mod recovery;
pub mod shamir;
pub mod transit;

pub use error::Error;
