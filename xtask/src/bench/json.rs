//! What a run found, for programs.

use serde_json::{Value, json};

use super::results::{FIGURES, Figures, Results, Series};
use super::spread::Spread;
use super::targets;

/// All of it; `null` is what was not measured.
pub(super) fn json(results: &Results) -> Value {
    let Results { plan, machine, rounds, seconds, commit_bytes, binary_bytes, .. } = results;
    json!({
        "plan": plan,
        "machine": machine,
        "rounds": rounds,
        "seconds": seconds,
        "targets": targets::of(results).iter().map(target).collect::<Vec<_>>(),
        "cases": results.series.iter().map(series).collect::<Vec<_>>(),
        "sizes": sizes(results),
        "footprints": footprints(results),
        "commit_bytes": commit_bytes,
        "binary_bytes": binary_bytes,
    })
}

fn target(target: &targets::Target) -> Value {
    json!({
        "target": target.about,
        "wanted": target.goal_shown(),
        "found": target.found,
        "outcome": target.outcome(),
    })
}

fn series(series: &Series) -> Value {
    let mut rivals = serde_json::Map::new();
    let mut ratios = serde_json::Map::new();
    for (rival, rounds) in &series.turns {
        rivals.insert(rival.name().to_owned(), figures(rounds));
        if let Some(ratio) = series.ratio(*rival) {
            ratios.insert(rival.name().to_owned(), ratio.json());
        }
    }
    json!({
        "case": series.case,
        "about": series.about,
        "store": series.store,
        "secrets": series.secrets,
        "protocol": series.protocol.name(),
        "connections": series.connections,
        "due_per_second": series.due,
        "beside_other_sizes": series.beside_sizes,
        "ratio_to": ratios,
        "figures": rivals,
    })
}

fn figures(rounds: &[Figures]) -> Value {
    let pairs = FIGURES.iter().map(|(name, figure)| {
        let spread = Spread::of(rounds.iter().map(figure));
        ((*name).to_owned(), spread.map_or(Value::Null, |spread| spread.json()))
    });
    Value::Object(pairs.collect())
}

fn sizes(results: &Results) -> Vec<Value> {
    let one = |size: &super::results::Size| {
        json!({
            "store": size.store,
            "secrets": size.secrets,
            "start_ms": Spread::of(size.start_ms.iter().copied()).map(|spread| spread.json()),
            "memory_kb": {
                "at_start": size.at_start_kb,
                "after_all_cases": size.at_end_kb,
                "peak": size.peak_kb,
                "bare_peak": size.bare_peak_kb,
            },
            "disk_bytes_per_secret": size.disk_per_secret,
        })
    };
    results.sizes.iter().map(one).collect()
}

fn footprints(results: &Results) -> Vec<Value> {
    let one = |at: &super::results::Footprint| {
        json!({
            "store": at.store,
            "empty_memory_kb": at.empty_kb,
            "empty_disk_bytes": at.empty_bytes,
            "disk_bytes_per_create": at.disk_per_create,
            "disk_bytes_per_resolve": at.disk_per_resolve,
        })
    };
    results.footprints.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::targets::tests::example;
    use super::*;

    #[test]
    fn a_program_can_read_it() {
        let text = json(&example()).to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["cases"][0]["ratio_to"]["bare"]["median"], 0.9);
        assert_eq!(read["cases"][0]["figures"]["strongroom"]["p99_us"]["median"], 300.0);
        assert!(read["cases"][0]["figures"]["strongroom"]["max_us"].is_null());
    }
}
