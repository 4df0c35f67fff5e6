#![doc = include_str!("../README.md")]

mod error;
mod opener;
pub mod passphrase;
pub mod recovery;
mod service;
pub mod shamir;
pub mod transit;

pub use error::Error;
pub use service::Config;
