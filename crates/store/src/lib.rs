#![doc = include_str!("../README.md")]

mod audit_tree;
pub mod cache;
mod columns;
pub mod filter_sql;
mod lane;
pub mod migrate;
pub mod postgres;
pub mod sqlite;
mod written;
