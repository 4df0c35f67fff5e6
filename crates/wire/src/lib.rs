#![doc = include_str!("../README.md")]

mod api_key;
mod audit;
mod error;
mod root;
mod secret;
mod service_user;
mod vault;

pub use api_key::{ApiKey, ApiKeyCreate, ApiKeyList, ApiKeyUpdate};
pub use audit::{Credential, Event, Principal};
pub use error::Error;
pub use root::{Account, Root, SelfInfo};
pub use secret::{Ref, Secret, SecretCreate, SecretList, SecretUpdate};
pub use service_user::{BotUserList, ServiceUser, ServiceUserCreate, ServiceUserList, ServiceUserUpdate};
pub use vault::{Vault, VaultCreate, VaultList, VaultUpdate};
