//! What the project wants to be true, and whether this run found it so.

use super::results::{Protocol, Results, Rival, Series};

/// One aim and what was found.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) about: String,
    pub(super) goal: Goal,
    /// None where this run did not measure what it takes.
    pub(super) found: Option<f64>,
}

/// Which side of a figure is good.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn new(about: impl Into<String>, goal: Goal, found: Option<f64>) -> Self {
        Self { about: about.into(), goal, found }
    }

    /// In a word.
    pub(super) fn outcome(&self) -> &'static str {
        let met = self.found.map(|found| match self.goal {
            Goal::AtLeast(least) => found >= least,
            Goal::AtMost(most) => found <= most,
        });
        match met {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }

    pub(super) fn goal_shown(&self) -> String {
        match self.goal {
            Goal::AtLeast(least) => format!("≥ {least}"),
            Goal::AtMost(most) => format!("≤ {most}"),
        }
    }

    pub(super) fn found_shown(&self) -> String {
        match self.found {
            Some(found) if found.is_infinite() => "the rate was not kept".to_owned(),
            Some(found) if found >= 100.0 => format!("{found:.0}"),
            Some(found) => format!("{found:.2}"),
            None => "–".to_owned(),
        }
    }
}

/// All targets, for the kind of store that comes first in the results.
pub(super) fn of(results: &Results) -> Vec<Target> {
    use Goal::{AtLeast, AtMost};
    let ratio =
        |case, connections, rival| closed(results, case, connections)?.ratio(rival).map(|ratio| ratio.median);
    let mut targets = vec![
        Target::new(
            "get metadata, 64 connections, to the bare server",
            AtLeast(0.85),
            ratio("get", 64, Rival::Bare),
        ),
        Target::new(
            "list 100, 64 connections, to the bare server",
            AtLeast(0.6),
            ratio("list", 64, Rival::Bare),
        ),
        Target::new("time to list 100 at 1 M secrets, to that at 1 k", AtMost(1.2), growth(results, "list")),
        Target::new(
            "time to filter by name at 1 M secrets, to that to get by id",
            AtMost(1.5),
            beside_get(results, "filter-name"),
        ),
        Target::new(
            "durable create, 64 connections, to OpenBao",
            AtLeast(20.0),
            ratio("create", 64, Rival::OpenBao),
        ),
        Target::new(
            "durable create, 64 connections, to bare rows in batches of 64",
            AtLeast(0.5),
            ratio("create", 64, Rival::Rows),
        ),
        Target::new(
            "durable create, 1 connection, to syncs alone",
            AtLeast(0.8),
            ratio("create", 1, Rival::Sync),
        ),
        Target::new(
            "resolve one, 64 connections, to a read of OpenBao",
            AtLeast(10.0),
            ratio("resolve", 64, Rival::OpenBao),
        ),
    ];
    targets.extend(results.series.iter().filter(|series| series.due.is_some()).map(tail));
    targets.extend(needs(results));
    targets
}

/// A case at 64 connections or so over HTTP/1.1 in clear, on the store that all cases are measured on.
fn closed<'a>(results: &'a Results, case: &str, connections: u32) -> Option<&'a Series> {
    results.series.iter().rev().find(|series| {
        let usual = series.due.is_none() && series.protocol == Protocol::Http1 && !series.beside_sizes;
        usual && series.case == case && series.connections == connections
    })
}

/// A case on a store of so many secrets that took turns with stores of other sizes.
fn sized<'a>(results: &'a Results, case: &str, secrets: u64) -> Option<&'a Series> {
    results
        .series
        .iter()
        .find(|series| series.beside_sizes && series.case == case && series.secrets == secrets)
}

const THOUSAND: u64 = 1_000;
const MILLION: u64 = 1_000_000;

/// How many times as long a case takes at a million secrets as at a thousand.
fn growth(results: &Results, case: &str) -> Option<f64> {
    times_as_long(sized(results, case, MILLION)?, sized(results, case, THOUSAND)?)
}

/// How many times as long a case takes as to get a secret by its id, at a million secrets.
fn beside_get(results: &Results, case: &str) -> Option<f64> {
    times_as_long(sized(results, case, MILLION)?, sized(results, "get", MILLION)?)
}

/// With as many connections that never rest, a request takes as much longer as there are fewer in a second.
fn times_as_long(one: &Series, other: &Series) -> Option<f64> {
    let rate = |series: &Series| series.spread(Rival::Strongroom, |figures| figures.per_second);
    Some(rate(other)?.median / rate(one)?.median)
}

/// The slowest hundredth beside the middle, at half of the top throughput.
fn tail(series: &Series) -> Target {
    let middle = series.spread(Rival::Strongroom, |figures| figures.p50).map(|p50| p50.median);
    let tail = series.spread(Rival::Strongroom, |figures| figures.p99).map(|p99| p99.median);
    // A round that fell behind has no latencies.
    let kept = series.of(Rival::Strongroom).iter().all(|figures| figures.p99.is_finite());
    let found = if kept { tail.zip(middle).map(|(tail, middle)| tail / middle) } else { Some(f64::INFINITY) };
    let Series { about, connections, .. } = series;
    Target::new(
        format!("p99 to p50 at half of the top: {about}, {connections} connections"),
        Goal::AtMost(5.0),
        found,
    )
}

fn needs(results: &Results) -> [Target; 5] {
    use Goal::AtMost;
    let million = results.sizes.iter().find(|size| size.secrets == MILLION);
    let mb = |kb: u64| kb as f64 * 1024.0 / 1e6;
    let start = million.and_then(|size| super::spread::Spread::of(size.start_ms.iter().copied()));
    let whole = results.series.iter().any(|series| series.case == "create");
    let after_all = million.filter(|_| whole).map(|size| mb(size.at_end_kb));
    [
        Target::new(
            "resident memory when empty, MB",
            AtMost(20.0),
            results.footprints.first().map(|at| mb(at.empty_kb)),
        ),
        Target::new("resident memory at 1 M secrets after all cases, MB", AtMost(150.0), after_all),
        Target::new(
            "start at 1 M secrets to the first answer, ms",
            AtMost(300.0),
            start.map(|start| start.median),
        ),
        Target::new("stripped binary, MB", AtMost(25.0), Some(results.binary_bytes as f64 / 1e6)),
        Target::new(
            "time to list 100 in the middle at 1 M secrets, to that at 1 k",
            AtMost(1.2),
            growth(results, "list-middle"),
        ),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::results::Figures;
    use super::*;

    /// A result with one case of each kind.
    pub(in super::super) fn example() -> Results {
        let figures = |per_second| Figures {
            p50: 100.0,
            p90: 150.0,
            p99: 300.0,
            p999: 400.0,
            ..Figures::rate(per_second)
        };
        let series = |case, rival, beside: f64| Series {
            store: "sqlite",
            secrets: 1_000,
            case,
            about: "a case <of> tests",
            protocol: Protocol::Http1,
            connections: 64,
            due: None,
            beside_sizes: false,
            turns: vec![(Rival::Strongroom, vec![figures(900.0); 2]), (rival, vec![figures(beside); 2])],
        };
        let get = series("get", Rival::Bare, 1_000.0);
        let at_a_rate = Series { due: Some(450.0), ..series("get", Rival::Bare, 450.0) };
        let of_size = |secrets, rate| Series {
            secrets,
            beside_sizes: true,
            turns: vec![(Rival::Strongroom, vec![figures(rate)])],
            ..series("list", Rival::Bare, 1.0)
        };
        Results {
            plan: "test".into(),
            machine: "a machine".into(),
            rounds: 2,
            seconds: 1,
            series: vec![get, at_a_rate, of_size(1_000, 130.0), of_size(1_000_000, 100.0)],
            sizes: Vec::new(),
            footprints: Vec::new(),
            commit_bytes: 32_000,
            binary_bytes: 17_000_000,
        }
    }

    fn outcome(results: &Results, about: &str) -> &'static str {
        of(results)
            .iter()
            .find(|target| target.about.starts_with(about))
            .map_or("no such target", Target::outcome)
    }

    #[test]
    fn targets_are_met_missed_or_not_measured() {
        let results = example();
        assert_eq!(outcome(&results, "get metadata"), "met");
        assert_eq!(outcome(&results, "time to list 100 at 1 M"), "missed");
        assert_eq!(outcome(&results, "durable create, 64 connections, to OpenBao"), "not measured");
        assert_eq!(outcome(&results, "p99 to p50"), "met");
        assert_eq!(outcome(&results, "stripped binary"), "met");
    }

    #[test]
    fn a_rate_that_was_not_kept_is_a_miss() {
        let mut results = example();
        results.series[1].turns[0].1[0].p99 = f64::INFINITY;
        assert_eq!(outcome(&results, "p99 to p50"), "missed");
    }
}
