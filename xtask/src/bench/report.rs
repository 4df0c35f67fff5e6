//! What a run found, for people: targets, then ratios, then figures.

use std::fmt::Write as _;

use super::results::{Protocol, Results, Rival, Series};
use super::spread::{Spread, cell, median_cell};
use super::targets;

/// The line that shows progress.
pub(super) fn progress(series: &Series) -> String {
    let Series { store, secrets, case, protocol, connections, .. } = series;
    let mut line = format!("{store} {secrets}: {case}, {}, {connections} at once", protocol.name());
    if let Some(due) = series.due {
        let micros = |figure| series.spread(Rival::Strongroom, figure);
        let _ = match (micros(|f| f.p50), micros(|f| f.p99)) {
            (Some(p50), Some(p99)) => {
                write!(line, ", {due:.0}/s due: p50 {:.0} µs, p99 {:.0} µs", p50.median, p99.median)
            }
            _ => write!(line, ", {due:.0}/s due: the rate was not kept"),
        };
        return line;
    }
    let _ = write!(line, ": {}/s", median_cell(series.spread(Rival::Strongroom, |f| f.per_second), 0));
    for (rival, _) in series.turns.iter().filter(|(rival, _)| *rival != Rival::Strongroom) {
        let _ = write!(line, ", {} of {}", cell(series.ratio(*rival), 2), rival.name());
    }
    line
}

/// The whole report as Markdown.
pub(super) fn markdown(results: &Results) -> String {
    let Results { plan, machine, rounds, seconds, .. } = results;
    let mut text = format!(
        "# Benchmark ({plan})\n\n\
         {machine}; the servers and the load generator share it, so ratios say much and absolute figures little. \
         {rounds} rounds of {seconds} s, in which the rivals take turns. Medians (least–greatest).\n\n\
         The bare server is axum that returns the same bytes and keeps nothing. Bare rows are those of a create, written \
         to SQLite by one thread without HTTP, 64 or 1 in a transaction; syncs are writes of {} bytes, which a create's \
         commit writes to the log, each followed by `fdatasync`.\n",
        results.commit_bytes
    );
    of_targets(&mut text, results);
    ratios(&mut text, results);
    figures(&mut text, results);
    at_a_rate(&mut text, results);
    needs(&mut text, results);
    let _ = write!(
        text,
        "\n![ratios]({plan}-ratios.svg)\n\n![connections]({plan}-connections.svg)\n\n![latency]({plan}-latency.svg)\n"
    );
    text
}

fn of_targets(text: &mut String, results: &Results) {
    text.push_str("\n## Targets\n\n| target | wanted | found | |\n| --- | --: | --: | --- |\n");
    for target in targets::of(results) {
        let (goal, found) = (target.goal_shown(), target.found_shown());
        let _ = writeln!(text, "| {} | {goal} | {found} | {} |", target.about, target.outcome());
    }
}

fn closed(results: &Results) -> impl Iterator<Item = &Series> {
    results.series.iter().filter(|series| series.due.is_none())
}

/// The first cells of a row: what was measured.
fn place(series: &Series) -> String {
    let Series { store, secrets, about, protocol, connections, .. } = series;
    let beside = if series.beside_sizes { " (sizes)" } else { "" };
    format!("| {about}{beside} | {store} {secrets} | {} | {connections} |", protocol.name())
}

fn ratios(text: &mut String, results: &Results) {
    text.push_str(
        "\n## Ratios\n\nRequests in a second, as a multiple of the rival's in the same rounds; (sizes): stores of all sizes \
         took turns.\n\n\
         | case | secrets | protocol | connections | to the bare server | to OpenBao | to rows by 64 | to rows by 1 | to syncs |\n\
         | --- | --: | --- | --: | --: | --: | --: | --: | --: |\n",
    );
    for series in closed(results) {
        let rivals = [Rival::Bare, Rival::OpenBao, Rival::Rows, Rival::Row, Rival::Sync];
        let cells = rivals.map(|rival| cell(series.ratio(rival), 2));
        let _ = writeln!(text, "{} {} |", place(series), cells.join(" | "));
    }
}

fn figures(text: &mut String, results: &Results) {
    text.push_str(
        "\n## Figures\n\nEach connection asks again as soon as it has its answer. Processor time is the server's, for \
         10,000 requests.\n\n\
         | case | secrets | protocol | connections | requests/s | bare | OpenBao | rows by 64 | rows by 1 | syncs | p50 µs | p99 µs | bare p50 µs | CPU s | bare CPU s | OpenBao CPU s |\n\
         | --- | --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for series in closed(results) {
        let rate = |rival| cell(series.spread(rival, |f| f.per_second), 0);
        let others = [Rival::Bare, Rival::OpenBao, Rival::Rows, Rival::Row, Rival::Sync];
        let others = others.map(|rival| median_cell(series.spread(rival, |f| f.per_second), 0));
        let latencies = [
            median_cell(series.spread(Rival::Strongroom, |f| f.p50), 0),
            median_cell(series.spread(Rival::Strongroom, |f| f.p99), 0),
            median_cell(series.spread(Rival::Bare, |f| f.p50), 0),
        ];
        let cpu = [Rival::Strongroom, Rival::Bare, Rival::OpenBao]
            .map(|rival| median_cell(series.spread(rival, |f| f.cpu), 2));
        let rows = [rate(Rival::Strongroom), others.join(" | "), latencies.join(" | "), cpu.join(" | ")];
        let _ = writeln!(text, "{} {} |", place(series), rows.join(" | "));
    }
}

fn at_a_rate(text: &mut String, results: &Results) {
    text.push_str(
        "\n## Latencies at half of the top throughput\n\nRequests are due on a schedule that does not wait for answers, and \
         a latency counts from when its request was due. The bare server has Strongroom's rate, OpenBao half of its own \
         top. oha asks what may come twice, wrk the rest: there a latency is that of wrk plus how late requests left, \
         each at the same percentile.\n\n\
         | case | secrets | connections | due/s | p50 µs | p90 µs | p99 µs | p99.9 µs | p99 / p50 | bare p50 µs | bare p99 µs | OpenBao p50 µs | OpenBao p99 µs |\n\
         | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for series in results.series.iter().filter(|series| series.due.is_some()) {
        let micros = |rival, figure| median_cell(series.spread(rival, figure), 0);
        let ratio = Spread::of(series.of(Rival::Strongroom).iter().map(|f| f.p99 / f.p50));
        let cells = [
            micros(Rival::Strongroom, |f| f.p50),
            micros(Rival::Strongroom, |f| f.p90),
            micros(Rival::Strongroom, |f| f.p99),
            micros(Rival::Strongroom, |f| f.p999),
            cell(ratio, 1),
            micros(Rival::Bare, |f| f.p50),
            micros(Rival::Bare, |f| f.p99),
            micros(Rival::OpenBao, |f| f.p50),
            micros(Rival::OpenBao, |f| f.p99),
        ];
        let Series { about, store, secrets, connections, due, .. } = series;
        let due = due.unwrap_or_default();
        let _ = writeln!(
            text,
            "| {about} | {store} {secrets} | {connections} | {due:.0} | {} |",
            cells.join(" | ")
        );
    }
}

fn needs(text: &mut String, results: &Results) {
    let mb = |kb: u64| kb as f64 * 1024.0 / 1e6;
    text.push_str(
        "\n## Memory, disk and start\n\n\
         | secrets | start to first answer, ms | memory at start, MB | after all cases | at most | bare server at most | disk bytes per secret |\n\
         | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for size in &results.sizes {
        let memory = [size.at_start_kb, size.at_end_kb, size.peak_kb, size.bare_peak_kb]
            .map(|kb| format!("{:.1}", mb(kb)));
        let _ = writeln!(
            text,
            "| {} {} | {} | {} | {:.0} |",
            size.store,
            size.secrets,
            cell(Spread::of(size.start_ms.iter().copied()), 0),
            memory.join(" | "),
            size.disk_per_secret,
        );
    }
    text.push_str("\n| | |\n| --- | --: |\n");
    for at in &results.footprints {
        let _ = write!(
            text,
            "| {0}: resident memory when empty | {1:.1} MB |\n| {0}: disk for a create and its audit event | {2:.0} bytes |\n\
             | {0}: disk for a resolve and its audit event | {3:.0} bytes |\n",
            at.store,
            mb(at.empty_kb),
            at.disk_per_create,
            at.disk_per_resolve,
        );
    }
    let _ = writeln!(text, "| stripped binary | {:.1} MB |", results.binary_bytes as f64 / 1e6);
}

/// Whether a series belongs into plots: in clear, on the store that all cases are measured on.
pub(super) fn is_plain(series: &Series) -> bool {
    series.protocol == Protocol::Http1 && !series.beside_sizes
}

#[cfg(test)]
mod tests {
    use super::super::targets::tests::example;
    use super::*;

    #[test]
    fn every_part_is_there() {
        let text = markdown(&example());
        for part in [
            "# Benchmark (test)",
            "a machine",
            "## Targets",
            "## Ratios",
            "| 0.90 (0.90–0.90) |",
            "## Figures",
        ] {
            assert!(text.contains(part), "{part}");
        }
        // All rows of a table have as many cells as its head.
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let cells: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(cells.iter().all(|count| *count == cells[0]), "{table}");
        }
    }

    #[test]
    fn progress_is_a_line() {
        let results = example();
        assert!(progress(&results.series[0]).ends_with("64 at once: 900/s, 0.90 (0.90–0.90) of bare"));
        assert!(progress(&results.series[1]).ends_with("450/s due: p50 100 µs, p99 300 µs"));
    }
}
