//! What a run found: ratios first, then figures, each as a median with its spread.

use std::fmt::{Display, Formatter, Write as _};
use std::fs;
use std::path::Path;

use super::load::Figures;
use crate::Result;

/// All that one run measured.
pub(super) struct Report {
    pub(super) plan: &'static str,
    pub(super) machine: String,
    pub(super) secrets: u64,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) cases: Vec<Case>,
    pub(super) memory: Memory,
    /// From starting the process to its first answer.
    pub(super) start_ms: Vec<f64>,
}

/// One kind of request at one number of connections.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) connections: u32,
    pub(super) rounds: Vec<Round>,
}

/// The two servers' turns.
pub(super) struct Round {
    pub(super) strongroom: Figures,
    pub(super) floor: Figures,
}

/// Memory of the processes, in kB.
pub(super) struct Memory {
    pub(super) at_start_kb: u64,
    pub(super) at_end_kb: u64,
    pub(super) peak_kb: u64,
    pub(super) floor_peak_kb: u64,
}

/// A median and how far the rest lie from it.
struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() {
            0 => f64::NAN,
            even if even % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self { median, least: end(values.first()), greatest: end(values.last()) }
    }

    fn shown(&self, decimals: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{greatest:.decimals$})")
    }

    fn json(&self) -> String {
        let Self { median, least, greatest } = self;
        format!(r#"{{"median":{median:.3},"min":{least:.3},"max":{greatest:.3}}}"#)
    }
}

/// One of the figures of a run.
type Figure = fn(&Figures) -> f64;

/// All of them, as they are called in the JSON.
const FIGURES: [(&str, Figure); 5] = [
    ("requests_per_second", |f| f.per_second),
    ("p50_us", |f| f.p50 as f64),
    ("p90_us", |f| f.p90 as f64),
    ("p99_us", |f| f.p99 as f64),
    ("max_us", |f| f.max as f64),
];

impl Case {
    fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.strongroom.per_second / round.floor.per_second))
    }

    fn strongroom(&self, figure: Figure) -> Spread {
        Spread::of(self.rounds.iter().map(|round| figure(&round.strongroom)))
    }

    fn floor(&self, figure: Figure) -> Spread {
        Spread::of(self.rounds.iter().map(|round| figure(&round.floor)))
    }

    fn json(&self) -> String {
        let side = |of: &dyn Fn(Figure) -> Spread| {
            let pairs = FIGURES.map(|(name, figure)| format!(r#""{name}":{}"#, of(figure).json()));
            format!("{{{}}}", pairs.join(","))
        };
        format!(
            r#"{{"case":"{}","connections":{},"ratio":{},"strongroom":{},"bare":{}}}"#,
            self.name,
            self.connections,
            self.ratio().json(),
            side(&|figure| self.strongroom(figure)),
            side(&|figure| self.floor(figure)),
        )
    }
}

/// The line that shows progress.
impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { name, connections, .. } = self;
        let (ours, theirs) = (self.strongroom(|f| f.per_second), self.floor(|f| f.per_second));
        let ratio = self.ratio().shown(2);
        write!(f, "{name}, {connections} at once: {ratio} of the bare server's ")?;
        write!(f, "({:.0}/s beside {:.0}/s)", ours.median, theirs.median)
    }
}

impl Report {
    pub(super) fn markdown(&self) -> String {
        let Self { plan, machine, secrets, rounds, seconds, memory, .. } = self;
        let mut text = format!(
            "# Benchmark ({plan})\n\n\
             {machine}; shared by the server and the load generator. {secrets} secrets at the start; {rounds} rounds \
             of {seconds} s, the two servers taking turns. Medians (least–greatest). The bare server is axum \
             returning the same bytes; it keeps nothing.\n\n\
             | case | connections | ratio to the bare server | requests/s | bare requests/s | p50 µs | p99 µs | bare p99 µs |\n\
             | --- | --: | --: | --: | --: | --: | --: | --: |\n"
        );
        for case in &self.cases {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.0} | {:.0} | {:.0} |",
                case.name,
                case.connections,
                case.ratio().shown(2),
                case.strongroom(|f| f.per_second).shown(0),
                case.floor(|f| f.per_second).shown(0),
                case.strongroom(|f| f.p50 as f64).median,
                case.strongroom(|f| f.p99 as f64).median,
                case.floor(|f| f.p99 as f64).median,
            );
        }
        let mb = |kb: u64| kb as f64 / 1024.0;
        let _ = write!(
            text,
            "\n| | |\n| --- | --: |\n\
             | start to first answer | {} ms |\n\
             | resident memory before the cases | {:.1} MiB |\n\
             | resident memory after them | {:.1} MiB |\n\
             | most resident memory | {:.1} MiB |\n\
             | most resident memory, bare server | {:.1} MiB |\n",
            Spread::of(self.start_ms.iter().copied()).shown(0),
            mb(memory.at_start_kb),
            mb(memory.at_end_kb),
            mb(memory.peak_kb),
            mb(memory.floor_peak_kb),
        );
        text
    }

    fn json(&self) -> String {
        let Self { plan, machine, secrets, rounds, seconds, memory, .. } = self;
        let cases: Vec<_> = self.cases.iter().map(Case::json).collect();
        let Memory { at_start_kb, at_end_kb, peak_kb, floor_peak_kb } = memory;
        format!(
            r#"{{"plan":"{plan}","machine":{machine:?},"secrets":{secrets},"rounds":{rounds},"seconds":{seconds},
"cases":[
{}
],
"start_ms":{},
"memory_kb":{{"at_start":{at_start_kb},"at_end":{at_end_kb},"peak":{peak_kb},"bare_peak":{floor_peak_kb}}}}}
"#,
            cases.join(",\n"),
            Spread::of(self.start_ms.iter().copied()).json(),
        )
    }

    /// Writes both forms, named after the plan and the size of the store.
    pub(super) fn write(&self, folder: &Path) -> Result {
        fs::create_dir_all(folder)?;
        for (extension, text) in [("md", self.markdown()), ("json", self.json())] {
            let file = folder.join(format!("{}-{}.{extension}", self.plan, self.secrets));
            fs::write(&file, text)?;
            println!("wrote {}", file.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_median_and_ends() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]).shown(0), "2 (1–3)");
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).shown(1), "2.5 (1.0–4.0)");
    }
}
