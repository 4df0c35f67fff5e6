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
        for case in self.plan.cases.iter().copied().filter(|case| case.sized) {
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
                let turns = [Rival::Strongroom, Rival::Bare].into_iter().zip(sides).collect();
                let series =
                    Series { beside_sizes: true, ..series(store, stand.secrets, case, &load, turns) };
                self.keep(series);
            }
        }
        Ok(())
    }

    /// The other cases, once, on the stores that are not the main one, so that their memory is that after all cases.
    fn others(&mut self, store: &'static Store, stands: &[Stand], main: usize) -> Result {
        for (_, stand) in stands.iter().enumerate().filter(|(place, _)| *place != main) {
            let cases = self.plan.cases.iter().copied();
            for case in cases.filter(|case| !case.sized && case.draw != Draw::Each) {
                // Where a request keeps a core busy for a second, sixteen at once are not answered in time.
                let connections =
                    if case.most < self.plan.usual(&cases::CASES[0]) { 1 } else { self.plan.usual(case) };
                let load = self.load(connections, Protocol::Http1);
                let both = [stand.strongroom(case), stand.bare(case)];
                self.measure(store, stand.secrets, case, &load, &both, None, "o")?;
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
        for case in self.plan.cases.iter().copied().filter(|case| case.draw != Draw::Each) {
            let mut targets = vec![stand.strongroom(case), stand.bare(case)];
            if let (Some(server), Some(requests)) = (rival, case.openbao) {
                let api = server.api.clone();
                targets.push(Target {
                    rival: Rival::OpenBao,
                    server,
                    api,
                    requests: requests(),
                    draw: case.draw,
                });
            }
            for connections in self.plan.connections(case) {
                let load = self.load(connections, Protocol::Http1);
                let beside = (case.name == "create").then_some(floors);
                self.measure(store, stand.secrets, case, &load, &targets, beside, "c")?;
            }
            self.at_a_rate(store, stand.secrets, case, &targets)?;
            if OVER_HTTP2.contains(&case.name) {
                let load = self.load(self.plan.usual(case), Protocol::Http2);
                self.measure(store, stand.secrets, case, &load, &targets[..2], None, "h2")?;
            }
        }
        Ok(())
    }

    /// Latencies at half of the throughput that was just found: each server at half of its own, but the bare one at
    /// Strongroom's rate.
    fn at_a_rate(
        &mut self,
        store: &'static Store,
        secrets: u64,
        case: &Case,
        targets: &[Target<'_>],
    ) -> Result {
        let load = self.load(self.plan.usual(case), Protocol::Http1);
        let Some(ours) = self.half_of_top(store, case, load.connections, Rival::Strongroom) else {
            return Ok(());
        };
        let theirs = self.half_of_top(store, case, load.connections, Rival::OpenBao).unwrap_or(ours);
        let rounds = turns::take(self.plan.open_rounds, targets.len(), |who, round| {
            let due = if targets[who].rival == Rival::OpenBao { theirs } else { ours };
            let load = Load { due: Some(due), ..load };
            self.generators.run(case, &targets[who], &load, &name("r", load, round))
        })?;
        let turns = targets.iter().map(|target| target.rival).zip(rounds).collect();
        self.keep(series(store, secrets, case, &Load { due: Some(ours), ..load }, turns));
        Ok(())
    }

    fn half_of_top(&self, store: &Store, case: &Case, connections: u32, rival: Rival) -> Option<f64> {
        let at = |series: &&Series| {
            let closed = series.due.is_none() && series.protocol == Protocol::Http1 && !series.beside_sizes;
            closed
                && series.case == case.name
                && series.connections == connections
                && series.store == store.name
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
                let both = [stand.strongroom(case), stand.bare(case)];
                self.measure(store, stand.secrets, case, &load, &both, None, "t")?;
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
        let shares: Vec<_> = self
            .plan
            .connections(case)
            .into_iter()
            .map(|connections| (connections, share(connections, seconds)))
            .collect();
        // A turn at a rate uses no more than the greatest share of a second, all the time.
        let open_share = u64::from(seconds) * DELETES_A_SECOND;
        let doomed = shares.iter().map(|(_, share)| share * u64::from(rounds)).sum::<u64>()
            + (open_share + OVER) * u64::from(open_rounds);
        seeded.add_doomed(doomed)?;
        let stand = seeded.stand()?;
        let mut next = 0;
        let mut fresh = |count: u64| {
            next += count;
            Target { requests: cases::deletes(next - count, count), ..stand.strongroom(case) }
        };
        for (connections, share) in shares {
            // The share ends the turn, not the time.
            let ours = Load { seconds: seconds * 20, ..self.load(connections, Protocol::Http1) };
            let theirs = self.load(connections, Protocol::Http1);
            let rounds = turns::take(rounds, 2, |who, round| match who {
                0 => self.generators.run(case, &fresh(share), &ours, &name("d", ours, round)),
                _ => self.generators.run(case, &stand.bare(case), &theirs, &name("d", theirs, round)),
            })?;
            let turns = [Rival::Strongroom, Rival::Bare].into_iter().zip(rounds).collect();
            self.keep(series(store, stand.secrets, case, &theirs, turns));
        }
        let load = self.load(self.plan.usual(case), Protocol::Http1);
        let half = self.half_of_top(store, case, load.connections, Rival::Strongroom);
        if let Some(half) = half {
            let load = Load { due: Some(half.min(DELETES_A_SECOND as f64)), ..load };
            let rounds = turns::take(open_rounds, 2, |who, round| match who {
                0 => self.generators.run(case, &fresh(open_share + OVER), &load, &name("e", load, round)),
                _ => self.generators.run(case, &stand.bare(case), &load, &name("e", load, round)),
            })?;
            let turns = [Rival::Strongroom, Rival::Bare].into_iter().zip(rounds).collect();
            self.keep(series(store, stand.secrets, case, &load, turns));
        }
        stand.stop()
    }

    fn load(&self, connections: u32, protocol: Protocol) -> Load {
        Load { protocol, connections, seconds: self.plan.seconds, due: None }
    }

    /// The rivals take turns, round by round; beside durable creates stand the floors that are no servers.
    #[expect(clippy::too_many_arguments, reason = "what is measured, where, how hard, and beside what")]
    fn measure(
        &mut self,
        store: &'static Store,
        secrets: u64,
        case: &Case,
        load: &Load,
        targets: &[Target<'_>],
        floors: Option<&Floors<'_>>,
        phase: &str,
    ) -> Result {
        let mut rivals: Vec<_> = targets.iter().map(|target| target.rival).collect();
        if floors.is_some() {
            rivals.extend([Rival::Rows, Rival::Row, Rival::Sync]);
        }
        let rounds = turns::take(self.plan.rounds, rivals.len(), |who, round| match (floors, rivals[who]) {
            (Some(floors), Rival::Rows) => floors.rows(64, load.seconds),
            (Some(floors), Rival::Row) => floors.rows(1, load.seconds),
            (Some(floors), Rival::Sync) => floors.syncs(load.seconds),
            _ => self.generators.run(case, &targets[who], load, &name(phase, *load, round)),
        })?;
        self.keep(series(store, secrets, case, load, rivals.into_iter().zip(rounds).collect()));
        Ok(())
    }

    /// Keeps a series and tells of it.
    fn keep(&mut self, series: Series) {
        println!("{}", super::report::progress(&series));
        self.results.series.push(series);
    }
}

/// What is measured over HTTP/2. oha cannot make names up, so that an update stands for durable changes.
const OVER_HTTP2: [&str; 3] = ["get", "resolve", "update"];

/// What is measured over HTTP/1.1 with TLS.
const OVER_TLS: [&str; 3] = ["get", "resolve", "create"];

/// No server deletes more in a second, durably, on the machines that this runs on.
const DELETES_A_SECOND: u64 = 5_000;

/// What a turn at a rate may ask beyond what is due in its time.
const OVER: u64 = 500;

/// How many secrets a turn deletes: about as many as take as long as the other cases' turns.
fn share(connections: u32, seconds: u32) -> u64 {
    let a_second = if connections < 8 { DELETES_A_SECOND / 10 } else { DELETES_A_SECOND };
    a_second * u64::from(seconds)
}

/// What sets the texts that are new in this turn apart from those of every other.
fn name(phase: &str, load: Load, round: u32) -> String {
    let protocol = load.protocol as u8;
    format!("{phase}{protocol}-{}-{round}", load.connections)
}

fn series(
    store: &Store,
    secrets: u64,
    case: &Case,
    load: &Load,
    turns: Vec<(Rival, Vec<Figures>)>,
) -> Series {
    Series {
        store: store.name,
        secrets,
        case: case.name,
        about: case.about,
        protocol: load.protocol,
        connections: load.connections,
        due: load.due,
        beside_sizes: false,
        turns,
    }
}
