#![doc = include_str!("../README.md")]

pub mod access;
pub mod answer;
pub mod api_key;
pub mod app;
pub mod audit;
pub mod caller;
pub mod change;
pub mod cidr;
pub mod clock;
pub mod deleted;
pub mod error;
pub mod expected;
pub mod filter;
pub mod fingerprint;
pub mod gate;
pub mod grant;
pub mod ids;
pub mod ip_policy;
pub mod keep;
pub mod key_slot;
pub mod limits;
pub mod page;
pub mod principal;
pub mod rotation;
pub mod secret;
pub mod stamp;
pub mod store;
pub mod text;
pub mod token;
pub mod vault;
pub mod webhook;

pub use error::{Error, Result};
pub use strongroom_crypto::{
    Digest, KeyId, MemoryLock, RootKey, SecretValue, SigningSecret, SlotEnrolment, SlotKey, SlotKind,
};
