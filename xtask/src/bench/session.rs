//! The order in which everything is measured.

use std::path::{Path, PathBuf};

use super::cases::{self, Case, Draw, find};
use super::floors::Floors;
use super::load::{Generators, Load, Target};
use super::plan::Plan;
use super::results::{Figures, Protocol, Results, Rival, Series};
use super::stand::{STORES, Seeded, Stand, Store};
use super::{footprint, openbao, turns};
use crate::Result;
use crate::build::Servers;
use crate::process::{command, run};
use crate::server::{Certificate, Server};

/// The programs, and a folder for all that they leave.
pub(super) struct Session<'a> {
    pub(super) plan: &'a Plan,
    pub(super) programs: &'a Servers,
    pub(super) openbao: Option<PathBuf>,
    pub(super) generators: Generators,
    pub(super) folder: &'a Path,
    pub(super) results: Results,
}

impl Session<'_> {
    /// Measures each kind of store in turn.
    pub(super) fn run(&mut self) -> Result {
        for store in &STORES {
            self.store(store)?;
        }
        Ok(())
    }

    fn store(&mut self, store: &'static Store) -> Result {
        let Self { plan, programs, folder, .. } = *self;
        println!("{}: memory and disk", store.name);
        let footprint = footprint::measure(programs, &self.generators, store, folder)?;
        let empty_bytes = footprint.empty_bytes;
        self.results.footprints.push(footprint);

        let mut seeded = Vec::new();
        for secrets in &plan.sizes {
            let made = Seeded::make(programs, store, folder, *secrets)?;
            let disk = made.bytes()?.saturating_sub(empty_bytes) as f64 / *secrets as f64;
            let start_ms = made.start_times(plan.starts)?;
            seeded.push((made, start_ms, disk));
        }
        let main = seeded.iter().position(|(made, ..)| made.secrets == plan.main).ok_or("no main store")?;
        let floors = Floors::beside(&programs.floor, &seeded[main].0.file(), folder)?;
        self.results.commit_bytes = floors.commit_bytes;

        let stands = seeded.iter().map(|(made, ..)| made.stand()).collect::<Result<Vec<Stand>>>()?;
        self.sizes(store, &stands)?;
        self.others(store, &stands, main)?;
        let rival = match &self.openbao {
            Some(program) => Some(openbao::start(program, &folder.join("openbao"))?),
            None => None,
        };
        self.cases(store, &stands[main], rival.as_ref(), &floors)?;
        rival.map_or(Ok(()), Server::stop)?;
        for (stand, (made, start_ms, disk)) in stands.into_iter().zip(&seeded) {
            self.results.sizes.push(stand.size(made, start_ms.clone(), *disk)?);
            stand.stop()?;
        }
        self.tls(store, &seeded[main].0)?;
        self.deletes(store, &seeded[main].0)
    }

    /// The cases that should not depend on the size of the store: those of all sizes take turns.
    fn sizes(&mut self, store: &'static Store, stands: &[Stand]) -> Result {
        if stands.len() < 2 {
            return Ok(());
        }
        for case in self.plan.sized() {
            let load = self.load(self.plan.usual(case), Protocol::Http1);
            let mut all = Vec::new();
            for stand in stands {
                all.extend([stand.strongroom(case), stand.bare(case)]);
            }
            let mut rounds = turns::take(self.plan.rounds, all.len(), |who, round| {
                self.generators.run(case, &all[who], &load, &name("s", load, round))
            })?
            .into_iter();
            for stand in stands {
                let sides = [rounds.next().unwrap_or_default(), rounds.next().unwrap_or_default()];
                let turns = BOTH.into_iter().zip(sides).collect();
                let what = What { store, secrets: stand.secrets, case };
                self.keep(Series { beside_sizes: true, ..series(&what, &load, turns) });
            }
        }
        Ok(())
    }

    /// The other cases, once, on the stores that are not the main one, so that their memory is that after all cases.
    fn others(&mut self, store: &'static Store, stands: &[Stand], main: usize) -> Result {
        for (_, stand) in stands.iter().enumerate().filter(|(place, _)| *place != main) {
            for case in self.plan.others() {
                // Where a request keeps a core busy for a second, sixteen at once are not answered in time.
                let connections = if case.most == u32::MAX { self.plan.usual(case) } else { 1 };
                let load = self.load(connections, Protocol::Http1);
                let what = What { store, secrets: stand.secrets, case };
                self.measure(&what, &load, 1, &[stand.strongroom(case), stand.bare(case)], None)?;
            }
        }
        Ok(())
    }

    /// All cases but deletes, at every number of connections, at a rate, and over HTTP/2 in clear.
    fn cases(
        &mut self,
        store: &'static Store,
        stand: &Stand,
        rival: Option<&Server>,
        floors: &Floors<'_>,
    ) -> Result {
        let Plan { rounds, protocol_rounds, .. } = *self.plan;
        for case in self.plan.cases.iter().copied().filter(|case| case.draw != Draw::Each) {
            let what = What { store, secrets: stand.secrets, case };
            let mut targets = vec![stand.strongroom(case), stand.bare(case)];
            if let (Some(server), Some(requests)) = (rival, case.openbao) {
                let api = server.api.clone();
                let draw = case.draw;
                targets.push(Target { rival: Rival::OpenBao, server, api, requests: requests(), draw });
            }
            for connections in self.plan.connections(case) {
                let load = self.load(connections, Protocol::Http1);
                let beside = (case.name == "create").then_some(floors);
                self.measure(&what, &load, rounds, &targets, beside)?;
            }
            self.at_a_rate(&what, &targets)?;
            if OVER_HTTP2.contains(&case.name) {
                let load = self.load(self.plan.usual(case), Protocol::Http2);
                self.measure(&what, &load, protocol_rounds, &targets[..2], None)?;
            }
        }
        Ok(())
    }

    /// Latencies at half of the throughput that was just found: each server at half of its own, but the bare one at
    /// Strongroom's rate.
    fn at_a_rate(&mut self, what: &What<'_>, targets: &[Target<'_>]) -> Result {
        let load = self.load(self.plan.usual(what.case), Protocol::Http1);
        let Some(ours) = self.half_of_top(what, load.connections, Rival::Strongroom) else { return Ok(()) };
        let theirs = self.half_of_top(what, load.connections, Rival::OpenBao).unwrap_or(ours);
        let targets: Vec<_> =
            targets.iter().filter(|target| self.plan.thorough || target.rival != Rival::Bare).collect();
        let rounds = turns::take(self.plan.open_rounds, targets.len(), |who, round| {
            let due = if targets[who].rival == Rival::OpenBao { theirs } else { ours };
            let load = Load { due: Some(due), ..load };
            self.generators.run(what.case, targets[who], &load, &name("r", load, round))
        })?;
        let turns = targets.iter().map(|target| target.rival).zip(rounds).collect();
        self.keep(series(what, &Load { due: Some(ours), ..load }, turns));
        Ok(())
    }

    fn half_of_top(&self, what: &What<'_>, connections: u32, rival: Rival) -> Option<f64> {
        let at = |series: &&Series| {
            let closed = series.due.is_none() && series.protocol == Protocol::Http1 && !series.beside_sizes;
            let same = series.case == what.case.name && series.secrets == what.secrets;
            closed && same && series.connections == connections && series.store == what.store.name
        };
        let top = self.results.series.iter().rev().find(at)?.spread(rival, |figures| figures.per_second)?;
        Some((top.median / 2.0).max(1.0))
    }

    /// A few cases over TLS, with either protocol.
    fn tls(&mut self, store: &'static Store, seeded: &Seeded<'_>) -> Result {
        let certificate = self.certificate()?;
        let stand = seeded.stand_tls(&certificate)?;
        for (protocol, names) in [(Protocol::Http1Tls, OVER_TLS), (Protocol::Http2Tls, OVER_HTTP2)] {
            let cases = self.plan.cases.iter().copied();
            for case in cases.filter(|case| names.contains(&case.name)) {
                let load = self.load(self.plan.usual(case), protocol);
                let what = What { store, secrets: stand.secrets, case };
                let both = [stand.strongroom(case), stand.bare(case)];
                self.measure(&what, &load, self.plan.protocol_rounds, &both, None)?;
            }
        }
        stand.stop()
    }

    fn certificate(&self) -> Result<Certificate> {
        let (certificate, key) = (self.folder.join("certificate.pem"), self.folder.join("key.pem"));
        if !certificate.exists() {
            run(command(&self.programs.floor).arg("certificate").args([&certificate, &key]))?;
        }
        Ok(Certificate { certificate, key })
    }

    /// Deletes: each turn has secrets of its own, which are added while no server has the store.
    fn deletes(&mut self, store: &'static Store, seeded: &Seeded<'_>) -> Result {
        let Some(case) = find("delete").filter(|_| self.plan.has("delete")) else { return Ok(()) };
        let Plan { rounds, open_rounds, seconds, .. } = *self.plan;
        let connections = self.plan.connections(case);
        let shares = connections.iter().map(|connections| share(*connections, seconds));
        let at_a_rate = share(u32::MAX, seconds) + OVER;
        seeded.add_doomed(shares.sum::<u64>() * u64::from(rounds) + at_a_rate * u64::from(open_rounds))?;
        let stand = seeded.stand()?;
        let what = What { store, secrets: stand.secrets, case };
        let mut next = 0;
        let mut fresh = |count: u64| {
            next += count;
            Target { requests: cases::deletes(next - count, count), ..stand.strongroom(case) }
        };
        for connections in connections {
            let load = self.load(connections, Protocol::Http1);
            let rounds = turns::take(rounds, 2, |who, round| match who {
                0 => self.generators.run(case, &fresh(share(connections, seconds)), &load, "delete"),
                _ => self.generators.run(case, &stand.bare(case), &load, &name("d", load, round)),
            })?;
            self.keep(series(&what, &load, BOTH.into_iter().zip(rounds).collect()));
        }
        let load = self.load(self.plan.usual(case), Protocol::Http1);
        if let Some(half) = self.half_of_top(&what, load.connections, Rival::Strongroom) {
            let load = Load { due: Some(half.min(DELETES_A_SECOND as f64)), ..load };
            let rounds = turns::take(open_rounds, 2, |who, round| match who {
                0 => self.generators.run(case, &fresh(at_a_rate), &load, "delete"),
                _ => self.generators.run(case, &stand.bare(case), &load, &name("d", load, round)),
            })?;
            self.keep(series(&what, &load, BOTH.into_iter().zip(rounds).collect()));
        }
        stand.stop()
    }

    fn load(&self, connections: u32, protocol: Protocol) -> Load {
        Load { protocol, connections, seconds: self.plan.seconds, due: None }
    }

    /// The rivals take turns, round by round; beside durable creates stand the floors that are no servers.
    fn measure(
        &mut self,
        what: &What<'_>,
        load: &Load,
        rounds: u32,
        targets: &[Target<'_>],
        floors: Option<&Floors<'_>>,
    ) -> Result {
        let mut rivals: Vec<_> = targets.iter().map(|target| target.rival).collect();
        if floors.is_some() {
            // Who waits for each create is held up by one sync; many together share it.
            rivals.extend(if load.connections == 1 {
                &[Rival::Row, Rival::Sync][..]
            } else {
                &[Rival::Rows]
            });
        }
        let found = turns::take(rounds, rivals.len(), |who, round| match (floors, rivals[who]) {
            (Some(floors), Rival::Rows) => floors.rows(64, load.seconds),
            (Some(floors), Rival::Row) => floors.rows(1, load.seconds),
            (Some(floors), Rival::Sync) => floors.syncs(load.seconds),
            _ => self.generators.run(what.case, &targets[who], load, &name("c", *load, round)),
        })?;
        self.keep(series(what, load, rivals.into_iter().zip(found).collect()));
        Ok(())
    }

    /// Keeps a series and tells of it.
    fn keep(&mut self, series: Series) {
        println!("{}", super::report::progress(&series));
        self.results.series.push(series);
    }
}

/// What is asked of which store.
struct What<'a> {
    store: &'static Store,
    secrets: u64,
    case: &'a Case,
}

/// Who takes turns where nobody else can.
const BOTH: [Rival; 2] = [Rival::Strongroom, Rival::Bare];

/// What is measured over HTTP/2. oha cannot make names up, so that an update stands for durable changes.
const OVER_HTTP2: [&str; 3] = ["get", "resolve", "update"];

/// What is measured over HTTP/1.1 with TLS.
const OVER_TLS: [&str; 3] = ["get", "resolve", "create"];

/// How many secrets there are to be deleted for each second. A server that is faster ends its turn before the time.
const DELETES_A_SECOND: u64 = 5_000;

/// What a turn at a rate may ask beyond what is due in its time.
const OVER: u64 = 500;

/// How many secrets there are for a turn of deletes.
fn share(connections: u32, seconds: u32) -> u64 {
    let a_second = if connections < 8 { DELETES_A_SECOND / 5 } else { DELETES_A_SECOND };
    a_second * u64::from(seconds)
}

/// What sets the texts that are new in this turn apart from those of every other.
fn name(phase: &str, load: Load, round: u32) -> String {
    let protocol = load.protocol as u8;
    format!("{phase}{protocol}-{}-{round}", load.connections)
}

fn series(what: &What<'_>, load: &Load, turns: Vec<(Rival, Vec<Figures>)>) -> Series {
    Series {
        store: what.store.name,
        secrets: what.secrets,
        case: what.case.name,
        about: what.case.about,
        protocol: load.protocol,
        connections: load.connections,
        due: load.due,
        beside_sizes: false,
        turns,
    }
}
