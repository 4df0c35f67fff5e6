//! Bad days of two nodes over one PostgreSQL: nodes, networks and databases that fail, under load from clients of both.
//!
//! Whatever happens, what was acknowledged is there once, in the values and in the log, both nodes answer the same, and what clients
//! saw of a secret is linearizable. Each test prints its figures (`--nocapture`), and adds them to `target/figures/nodes.txt`.
//! `STRONGROOM_NODE_HISTORIES` sets how many histories each bad day has at least (80), `STRONGROOM_NODE_ROUNDS` how often its faults
//! come (1), and `STRONGROOM_SEED` what is drawn by chance.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::type_complexity)]

#[path = "nodes/away.rs"]
mod away;
#[path = "nodes/check.rs"]
mod check;
#[path = "nodes/clocks.rs"]
mod clocks;
#[path = "nodes/database.rs"]
mod database;
#[path = "nodes/figures.rs"]
mod figures;
#[path = "nodes/first_start.rs"]
mod first_start;
mod harness;
#[path = "nodes/histories.rs"]
mod histories;
#[path = "nodes/load.rs"]
mod load;
#[path = "nodes/lost_commits.rs"]
mod lost_commits;
#[path = "nodes/network.rs"]
mod network;
#[path = "nodes/processes.rs"]
mod processes;
#[path = "nodes/seen.rs"]
mod seen;
#[path = "nodes/world.rs"]
mod world;
#[path = "nodes/writer.rs"]
mod writer;

#[expect(clippy::disallowed_methods, reason = "a setting of these tests, not of the server")]
fn number_from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// How often the faults of a bad day come.
fn rounds() -> u64 {
    number_from_env("STRONGROOM_NODE_ROUNDS", 1)
}
