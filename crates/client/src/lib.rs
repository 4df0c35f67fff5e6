#![doc = include_str!("../README.md")]

pub mod api;
pub mod cache;
pub mod env_name;
pub mod profile;
pub mod redact;
pub mod reference;
pub mod template;
pub mod values_file;
