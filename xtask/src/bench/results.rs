//! What a run found, before anybody looks at it.

use super::spread::Spread;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    Strongroom,
    /// The bare axum server.
    Bare,
    OpenBao,
    /// Rows straight into SQLite, 64 in a transaction.
    Rows,
    /// The same, each row in a transaction of its own.
    Row,
    /// A write and an `fdatasync`.
    Sync,
}

impl Rival {
    /// As tables and JSON call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Strongroom => "strongroom",
            Self::Bare => "bare",
            Self::OpenBao => "openbao",
            Self::Rows => "rows_64",
            Self::Row => "rows_1",
            Self::Sync => "sync",
        }
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    Http1Tls,
    Http2Tls,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http1Tls => "HTTP/1.1, TLS",
            Self::Http2Tls => "HTTP/2, TLS",
        }
    }

    pub(super) fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Tls)
    }

    pub(super) fn scheme(self) -> &'static str {
        if matches!(self, Self::Http1Tls | Self::Http2Tls) { "https" } else { "http" }
    }
}

/// What one run measured; what it cannot tell is not a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Latencies in microseconds.
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    /// Processor seconds of the server for 10,000 requests.
    pub(super) cpu: f64,
}

impl Figures {
    /// A rate and nothing else.
    pub(super) fn rate(per_second: f64) -> Self {
        let none = f64::NAN;
        Self { per_second, p50: none, p90: none, p99: none, p999: none, max: none, cpu: none }
    }
}

/// One of the figures.
pub(super) type Figure = fn(&Figures) -> f64;

/// All of them, as the JSON calls them.
pub(super) const FIGURES: [(&str, Figure); 7] = [
    ("requests_per_second", |f| f.per_second),
    ("p50_us", |f| f.p50),
    ("p90_us", |f| f.p90),
    ("p99_us", |f| f.p99),
    ("p999_us", |f| f.p999),
    ("max_us", |f| f.max),
    ("cpu_seconds_per_10000", |f| f.cpu),
];

/// One case under one load: what each rival's turns found, in the order of the rounds.
#[derive(Debug)]
pub(super) struct Series {
    /// The kind of store.
    pub(super) store: &'static str,
    /// How many secrets it had at the start.
    pub(super) secrets: u64,
    pub(super) case: &'static str,
    pub(super) about: &'static str,
    pub(super) protocol: Protocol,
    pub(super) connections: u32,
    /// Requests a second that were due, whether or not earlier ones were answered; none where each connection waits
    /// for its answer.
    pub(super) due: Option<f64>,
    /// Whether stores of other sizes took turns with this one.
    pub(super) beside_sizes: bool,
    pub(super) turns: Vec<(Rival, Vec<Figures>)>,
}

impl Series {
    /// The rounds of a rival.
    pub(super) fn of(&self, rival: Rival) -> &[Figures] {
        self.turns.iter().find(|(of, _)| *of == rival).map_or(&[], |(_, rounds)| rounds)
    }

    pub(super) fn spread(&self, rival: Rival, figure: Figure) -> Option<Spread> {
        Spread::of(self.of(rival).iter().map(figure))
    }

    /// Strongroom's throughput as a multiple of a rival's, from the turns of each round.
    pub(super) fn ratio(&self, rival: Rival) -> Option<Spread> {
        let rounds = self.of(Rival::Strongroom).iter().zip(self.of(rival));
        Spread::of(rounds.map(|(ours, theirs)| ours.per_second / theirs.per_second))
    }
}

/// What a store of one size needs.
#[derive(Debug)]
pub(super) struct Size {
    pub(super) store: &'static str,
    pub(super) secrets: u64,
    /// From starting the process to its first answer.
    pub(super) start_ms: Vec<f64>,
    /// Resident memory in kB: after the first answer, after all cases, and the most at any time.
    pub(super) at_start_kb: u64,
    pub(super) at_end_kb: u64,
    pub(super) peak_kb: u64,
    /// The most of the bare server beside it.
    pub(super) bare_peak_kb: u64,
    pub(super) disk_per_secret: f64,
}

/// What does not depend on how many secrets there are.
#[derive(Debug)]
pub(super) struct Footprint {
    pub(super) store: &'static str,
    /// Resident memory of a server that holds nothing.
    pub(super) empty_kb: u64,
    /// What its store takes on the disk.
    pub(super) empty_bytes: u64,
    pub(super) disk_per_create: f64,
    pub(super) disk_per_resolve: f64,
}

/// All that one run measured.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) plan: String,
    pub(super) machine: String,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) series: Vec<Series>,
    pub(super) sizes: Vec<Size>,
    pub(super) footprints: Vec<Footprint>,
    /// What one create's commit writes to SQLite's log.
    pub(super) commit_bytes: u64,
    pub(super) binary_bytes: u64,
}
