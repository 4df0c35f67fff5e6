//! Plots as SVG, drawn by hand: bars, and lines over steps on a scale of powers of ten.

use std::fmt::Write as _;

use super::report::is_plain;
use super::results::{Figure, Results, Rival, Series};
use super::spread::Spread;

/// The plots, each with the name that its file ends in.
pub(super) fn plots(results: &Results) -> [(&'static str, String); 3] {
    [("ratios", ratios(results)), ("connections", connections(results)), ("latency", latency(results))]
}

/// Throughput beside the bare server and OpenBao, case by case.
fn ratios(results: &Results) -> String {
    let beside = |rival| {
        let mut bars: Vec<(String, Spread)> = Vec::new();
        for series in results.series.iter().filter(|series| series.due.is_none() && is_plain(series)) {
            if let Some(ratio) = series.ratio(rival) {
                bars.push((format!("{}, {}", series.about, series.connections), ratio));
            }
        }
        bars
    };
    let titles = [
        (Rival::Bare, "Requests in a second, as a multiple of the bare server's (case, connections)"),
        (Rival::OpenBao, "The same as a multiple of OpenBao's"),
    ];
    let groups = titles.map(|(rival, title)| (title, beside(rival)));
    let groups: Vec<_> = groups.into_iter().filter(|(_, bars)| !bars.is_empty()).collect();
    let height: usize = groups.iter().map(|(_, bars)| 50 + bars.len() * BAR).sum();
    let mut svg = Svg::new(height + 20);
    let mut top = 0;
    for (title, bars) in &groups {
        svg.bars(top, title, bars);
        top += 50 + bars.len() * BAR;
    }
    svg.done()
}

fn connections(results: &Results) -> String {
    let main = results.series.iter().find(|series| series.due.is_some()).or(results.series.last());
    let main = main.map(|series| series.secrets);
    let all = results.series.iter().filter(|series| series.due.is_none() && is_plain(series));
    let all: Vec<&Series> = all.filter(|series| Some(series.secrets) == main).collect();
    let mut steps: Vec<u32> = all.iter().map(|series| series.connections).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut lines: Vec<Line> = Vec::new();
    for series in all {
        let value = series.spread(Rival::Strongroom, |figures| figures.per_second).map(|rate| rate.median);
        let Some(step) = steps.iter().position(|step| *step == series.connections) else { continue };
        match lines.iter_mut().find(|line| line.name == series.about) {
            Some(line) => line.points.extend(value.map(|value| (step, value))),
            None => lines.push(Line {
                name: series.about,
                points: value.map(|value| (step, value)).into_iter().collect(),
            }),
        }
    }
    let steps: Vec<String> = steps.iter().map(u32::to_string).collect();
    chart("Strongroom, requests in a second over connections", &steps, &lines)
}

fn latency(results: &Results) -> String {
    const PERCENTILES: [(&str, Figure); 4] =
        [("p50", |f| f.p50), ("p90", |f| f.p90), ("p99", |f| f.p99), ("p99.9", |f| f.p999)];
    let at_a_rate = results.series.iter().filter(|series| series.due.is_some());
    let lines = at_a_rate.map(|series| {
        let values = PERCENTILES.iter().map(|(_, figure)| series.spread(Rival::Strongroom, *figure));
        let points = values.enumerate().filter_map(|(step, value)| Some((step, value?.median))).collect();
        Line { name: series.about, points }
    });
    let steps = PERCENTILES.map(|(name, _)| name.to_owned());
    let title = "Strongroom, latency in µs at half of the top throughput, requests due on a schedule";
    chart(title, &steps, &lines.collect::<Vec<_>>())
}

struct Line {
    name: &'static str,
    points: Vec<(usize, f64)>,
}

const WIDTH: usize = 1000;
const BAR: usize = 22;
/// Where bars begin: their names are left of it.
const NAMES: usize = 400;
/// Where the lines of a chart end: their names are right of it.
const CHART: (usize, usize) = (560, 420);
const LEFT: usize = 80;
const TOP: usize = 50;

/// Colours that differ in hue and in brightness.
const COLOURS: [&str; 12] = [
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#7f7f7f",
    "#bcbd22", "#003f5c", "#ffa600",
];

struct Svg(String);

impl Svg {
    fn new(height: usize) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        ))
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _ = writeln!(
            self.0,
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="#222222">{text}</text>"##
        );
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.0,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="1"/>"#
        );
    }

    /// Bars of medians, each with a line from the least to the greatest.
    fn bars(&mut self, top: usize, title: &str, bars: &[(String, Spread)]) {
        self.text(20.0, top as f64 + 28.0, "start", title);
        let greatest = bars.iter().map(|(_, ratio)| ratio.greatest).fold(1.0, f64::max);
        let room = (WIDTH - NAMES - 70) as f64;
        let x = |value: f64| NAMES as f64 + value / greatest * room;
        let bottom = (top + 42 + bars.len() * BAR) as f64;
        for (place, (name, ratio)) in bars.iter().enumerate() {
            let y = (top + 42 + place * BAR) as f64;
            self.text(NAMES as f64 - 8.0, y + 14.0, "end", name);
            let (from, width, height) = (x(0.0), x(ratio.median) - x(0.0), BAR - 6);
            let _ = writeln!(
                self.0,
                r##"<rect x="{from:.1}" y="{:.1}" width="{width:.1}" height="{height}" fill="#4c8bc2"/>"##,
                y + 2.0
            );
            self.line((x(ratio.least), y + 10.0), (x(ratio.greatest), y + 10.0), "#222222");
            self.text(x(ratio.greatest) + 6.0, y + 14.0, "start", &format!("{:.2}", ratio.median));
        }
        self.line((x(1.0), top as f64 + 38.0), (x(1.0), bottom), "#999999");
    }

    fn done(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }
}

/// Lines over steps; the scale goes by powers of ten.
fn chart(title: &str, steps: &[String], lines: &[Line]) -> String {
    let (right, height) = CHART;
    let mut svg = Svg::new(height + 60);
    svg.text(20.0, 28.0, "start", title);
    let values =
        || lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value).filter(|value| *value > 0.0);
    let least = values().fold(f64::INFINITY, f64::min).log10().floor();
    let greatest = values().fold(1.0, f64::max).log10().ceil().max(least + 1.0);
    if !least.is_finite() {
        svg.text(20.0, 60.0, "start", "nothing was measured");
        return svg.done();
    }
    let y = |value: f64| height as f64 - (value.log10() - least) / (greatest - least) * (height - TOP) as f64;
    let last = steps.len().saturating_sub(1).max(1);
    let x = |step: usize| LEFT as f64 + step as f64 * (right - LEFT - 20) as f64 / last as f64;
    for power in least as i32..=greatest as i32 {
        let at = y(10_f64.powi(power));
        svg.line((LEFT as f64, at), (right as f64, at), "#dddddd");
        svg.text(LEFT as f64 - 8.0, at + 4.0, "end", &format!("{}", 10_f64.powi(power)));
    }
    for (step, name) in steps.iter().enumerate() {
        svg.text(x(step), height as f64 + 24.0, "middle", name);
    }
    for (place, Line { name, points }) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let places: Vec<_> =
            points.iter().map(|(step, value)| format!("{:.1},{:.1}", x(*step), y(*value))).collect();
        let _ = writeln!(
            svg.0,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            places.join(" ")
        );
        for (step, value) in points {
            let _ = writeln!(
                svg.0,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"/>"#,
                x(*step),
                y(*value)
            );
        }
        let at = (TOP + place * 24) as f64;
        let _ = writeln!(
            svg.0,
            r#"<rect x="{}" y="{:.1}" width="14" height="4" fill="{colour}"/>"#,
            right + 20,
            at - 6.0
        );
        svg.text(right as f64 + 42.0, at, "start", name);
    }
    svg.done()
}

#[cfg(test)]
mod tests {
    use super::super::targets::tests::example;
    use super::*;

    #[test]
    fn plots_are_closed_and_escaped() {
        for (name, svg) in plots(&example()) {
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{name}");
            assert!(svg.contains("a case &lt;of&gt; tests"), "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
        }
    }

    #[test]
    fn nothing_can_be_plotted() {
        let mut results = example();
        results.series.clear();
        assert!(plots(&results).iter().all(|(_, svg)| svg.ends_with("</svg>\n")));
    }
}
