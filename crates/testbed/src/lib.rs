#![doc = include_str!("../README.md")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "it is a part of tests, which fail by panicking")]

mod chosen;
mod guard;
pub mod linear;
mod poll;
mod port;
mod postgres;
mod programs;
mod proxy;
mod small_disk;

pub use chosen::is_postgres;
pub use poll::{PATIENCE, poll};
pub use postgres::{Options, Postgres, ROLE, Replication, Stop};
pub use proxy::{Proxy, Towards};
pub use small_disk::SmallDisk;
