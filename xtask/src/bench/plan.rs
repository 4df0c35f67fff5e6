//! How much is measured.

use super::cases::{CASES, Case, Draw, find};
use crate::Result;

/// Measure Strongroom beside a bare axum server; tables, JSON and plots go to bench/results.
#[derive(clap::Args, Default)]
#[command(after_help = "How long it takes, after the build, on two cores:
  --quick               three to four minutes: one store of 1,000 secrets, few and short rounds
  (nothing)             about 45 minutes: stores of 1,000, 100,000 and 1,000,000 secrets
  --vs openbao          adds a minute to --quick, five to the full run

Examples:
  cargo xtask bench --quick
  cargo xtask bench --vs openbao
  cargo xtask bench --quick --case create --case resolve --connections 1,64
  cargo xtask bench --secrets 1000,1000000 --case list --rounds 3

The files are called after the plan: quick.md, full.json, full-ratios.svg; with `-vs-openbao` if it was there, with
`-part` if only a part was measured, so that it never stands where the whole was. The whole ends with several nodes over
one PostgreSQL, in nodes.md, which `cargo xtask bench-nodes` measures by itself.")]
pub(crate) struct Args {
    /// Take three to four minutes after the build: one small store, fewer and shorter rounds.
    #[arg(long)]
    quick: bool,
    /// Measure this server too; it is installed if it is missing.
    #[arg(long, value_name = "SERVER", value_parser = ["openbao"])]
    vs: Option<String>,
    /// How many secrets the stores have at the start, one store for each number.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    secrets: Vec<u64>,
    /// Measure only this case; may be given more than once.
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
    /// At how many connections.
    #[arg(long, value_name = "N", value_delimiter = ',')]
    connections: Vec<u32>,
    /// How often each rival has its turn.
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// How long each turn takes.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
}

/// How much is measured.
pub(super) struct Plan {
    /// What the files are called.
    pub(super) name: String,
    /// How many secrets the stores have, fewest first.
    pub(super) sizes: Vec<u64>,
    /// The store that all cases are measured on.
    pub(super) main: u64,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    /// Rounds over TLS and HTTP/2.
    pub(super) protocol_rounds: u32,
    /// Rounds at a rate.
    pub(super) open_rounds: u32,
    /// How often a server is started.
    pub(super) starts: u32,
    pub(super) connections: Vec<u32>,
    /// Whether all cases are measured at every number of connections.
    pub(super) thorough: bool,
    /// Whether one case shows enough of the sizes: all that matters is that the benchmarks run.
    pub(super) brief: bool,
    pub(super) cases: Vec<&'static Case>,
    pub(super) openbao: bool,
    /// Whether several nodes over one PostgreSQL are measured too.
    pub(super) nodes: bool,
}

/// Where the targets are set, and what the other measurements use.
const USUAL: u32 = 64;

impl Plan {
    pub(super) fn of(args: &Args) -> Result<Self> {
        let mut plan = if args.quick { Self::quick() } else { Self::full() };
        if !args.secrets.is_empty() {
            plan.sizes.clone_from(&args.secrets);
            plan.sizes.sort_unstable();
            plan.sizes.dedup();
            // The middle one.
            plan.main = plan.sizes[plan.sizes.len() / 2];
        }
        if !args.case.is_empty() {
            plan.cases = chosen(&args.case)?;
        }
        if !args.connections.is_empty() {
            plan.connections.clone_from(&args.connections);
        }
        if let Some(rounds) = args.rounds {
            (plan.rounds, plan.protocol_rounds, plan.open_rounds) = (rounds, rounds, rounds);
        }
        plan.seconds = args.seconds.unwrap_or(plan.seconds);
        plan.openbao = args.vs.is_some();
        if plan.openbao {
            plan.name += "-vs-openbao";
        }
        if plan.differs_from_whole(args) {
            plan.name += "-part";
            plan.nodes = false;
        }
        plan.check()?;
        Ok(plan)
    }

    fn quick() -> Self {
        Self {
            name: "quick".to_owned(),
            sizes: vec![1_000],
            main: 1_000,
            rounds: 3,
            seconds: 1,
            protocol_rounds: 1,
            open_rounds: 1,
            starts: 5,
            connections: vec![1, USUAL],
            thorough: false,
            brief: false,
            cases: CASES_ALL.iter().collect(),
            openbao: false,
            nodes: true,
        }
    }

    fn full() -> Self {
        Self {
            name: "full".to_owned(),
            sizes: vec![1_000, 100_000, 1_000_000],
            main: 100_000,
            rounds: 5,
            seconds: 3,
            protocol_rounds: 5,
            open_rounds: 3,
            starts: 7,
            connections: vec![1, 16, USUAL, 256],
            thorough: true,
            ..Self::quick()
        }
    }

    /// One short round of everything.
    pub(super) fn smoke() -> Self {
        Self {
            name: "smoke".to_owned(),
            sizes: vec![200, 300],
            main: 200,
            rounds: 1,
            starts: 1,
            connections: vec![USUAL],
            brief: true,
            ..Self::quick()
        }
    }

    fn differs_from_whole(&self, args: &Args) -> bool {
        !args.secrets.is_empty()
            || self.cases.len() < CASES.len()
            || !args.connections.is_empty()
            || args.rounds.is_some()
            || args.seconds.is_some()
    }

    fn check(&self) -> Result {
        let numbers = [self.rounds, self.seconds].into_iter().chain(self.connections.iter().copied());
        if numbers
            .chain(self.sizes.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)))
            .any(|n| n == 0)
        {
            return Err("rounds, seconds, connections and secrets are at least 1".into());
        }
        if self.sizes.iter().any(|size| *size >= super::seed::DOOMED) {
            return Err(format!("a store has fewer than {} secrets at the start", super::seed::DOOMED).into());
        }
        Ok(())
    }

    /// The number of connections of all that is measured at one number alone.
    pub(super) fn usual(&self, case: &Case) -> u32 {
        let last = self.connections.last().copied().unwrap_or(USUAL);
        let usual = if self.connections.contains(&USUAL) { USUAL } else { last };
        usual.min(case.most)
    }

    /// The numbers of connections that a case is measured at.
    pub(super) fn connections(&self, case: &Case) -> Vec<u32> {
        let all = self.thorough || case.central;
        let mut numbers: Vec<u32> = if all { self.connections.clone() } else { vec![self.usual(case)] };
        numbers.retain(|number| *number <= case.most);
        if numbers.is_empty() { vec![case.most] } else { numbers }
    }

    pub(super) fn has(&self, case: &str) -> bool {
        self.cases.iter().any(|one| one.name == case)
    }

    /// The cases that are measured on stores of all sizes in turn.
    pub(super) fn sized(&self) -> Vec<&'static Case> {
        let sized = self.cases.iter().copied().filter(|case| case.sized);
        sized.take(if self.brief { 1 } else { usize::MAX }).collect()
    }

    /// The cases that follow on the stores that are not the main one.
    pub(super) fn others(&self) -> Vec<&'static Case> {
        let cases = self.cases.iter().copied().filter(|case| !self.brief && !case.sized);
        cases.filter(|case| case.draw != Draw::Each).collect()
    }
}

const CASES_ALL: &[Case] = &CASES;

/// The named cases, in the order that they are measured in.
fn chosen(names: &[String]) -> Result<Vec<&'static Case>> {
    if let Some(unknown) = names.iter().find(|name| find(name).is_none()) {
        let known: Vec<_> = CASES.iter().map(|case| case.name).collect();
        return Err(format!("there is no case `{unknown}`; there are: {}", known.join(", ")).into());
    }
    Ok(CASES_ALL.iter().filter(|case| names.iter().any(|name| name == case.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Args)) -> Result<Plan> {
        let mut args = Args::default();
        change(&mut args);
        Plan::of(&args)
    }

    #[test]
    fn a_part_is_not_called_as_the_whole() {
        assert_eq!(plan(|_| ()).unwrap().name, "full");
        assert_eq!(plan(|args| args.quick = true).unwrap().name, "quick");
        assert_eq!(plan(|args| args.vs = Some("openbao".into())).unwrap().name, "full-vs-openbao");
        assert_eq!(plan(|args| args.case = vec!["get".into()]).unwrap().name, "full-part");
        assert_eq!(plan(|args| args.seconds = Some(9)).unwrap().name, "full-part");
        assert!(plan(|_| ()).unwrap().nodes && !plan(|args| args.seconds = Some(9)).unwrap().nodes);
    }

    #[test]
    fn cases_keep_their_order_and_must_exist() {
        let named = plan(|args| args.case = vec!["create".into(), "get".into()]).unwrap();
        assert_eq!(named.cases.iter().map(|case| case.name).collect::<Vec<_>>(), ["get", "create"]);
        assert!(plan(|args| args.case = vec!["fetch".into()]).is_err());
        assert!(plan(|args| args.connections = vec![0]).is_err());
    }

    #[test]
    fn a_slow_case_is_spared_what_would_only_wait() {
        let full = Plan::full();
        let walk = find("filter-metadata").unwrap();
        assert_eq!((full.connections(walk), full.usual(walk)), (vec![1, 16], 16));
        assert_eq!(full.connections(find("get").unwrap()), [1, 16, 64, 256]);
    }
}
