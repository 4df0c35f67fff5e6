//! Memory of a server that holds nothing, and what changes and their audit cost on the disk.

use std::path::Path;

use super::cases::{Case, Request, find};
use super::load::{Generators, Load, Target};
use super::results::{Footprint, Protocol, Rival};
use super::stand::{Seeded, Store, expect, resolver};
use crate::Result;
use crate::build::Servers;
use crate::http::Api;
use crate::server::Server;

/// How many secrets the store has that grows under measurement.
const SECRETS: u64 = 100;

/// Measures on stores of its own: what is counted here is all that happens to them.
pub(super) fn measure(
    programs: &Servers,
    generators: &Generators,
    store: &'static Store,
    folder: &Path,
) -> Result<Footprint> {
    let seeded = Seeded::make(programs, store, folder, SECRETS)?;
    let growth = |name: &str| -> Result<f64> {
        let case = find(name).ok_or("an unknown case")?;
        let before = seeded.bytes()?;
        let server = seeded.serve(None)?;
        let api = if case.resolves { resolver(&server.api)? } else { server.api.clone() };
        let asked = ask_for_a_second(generators, case, &server, api)?;
        // A server that stops moves its log into the store.
        server.stop()?;
        Ok((seeded.bytes()? - before) as f64 / asked)
    };
    let (disk_per_create, disk_per_resolve) = (growth("create")?, growth("resolve")?);
    let empty = Seeded::make(programs, store, folder, 0)?;
    let server = empty.serve(None)?;
    expect(&server.api.get("/vault_secrets?limit=1")?, 200)?;
    let empty_kb = server.memory_kb("VmRSS")?;
    server.stop()?;
    let empty_bytes = empty.bytes()?;
    Ok(Footprint { store: store.name, empty_kb, empty_bytes, disk_per_create, disk_per_resolve })
}

fn ask_for_a_second(generators: &Generators, case: &Case, server: &Server, api: Api) -> Result<f64> {
    let requests: Vec<Request> = (case.requests)(SECRETS);
    let target = Target { rival: Rival::Strongroom, server, api, requests, draw: case.draw };
    let load = Load { protocol: Protocol::Http1, connections: 64, seconds: 1, due: None };
    Ok(generators.count(case, &target, &load, "footprint")?.requests as f64)
}
