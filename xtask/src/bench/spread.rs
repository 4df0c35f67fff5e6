//! A median and how far the rest lie from it.

use serde_json::{Value, json};

/// What several rounds found for one figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    /// The spread of the values that are numbers; none where there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, least, greatest })
    }

    pub(super) fn shown(&self, decimals: usize) -> String {
        let Self { median, least, greatest } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{greatest:.decimals$})")
    }

    pub(super) fn json(&self) -> Value {
        let Self { median, least, greatest } = self;
        json!({ "median": median, "min": least, "max": greatest })
    }
}

/// A spread as a cell of a table; a dash where there is none.
pub(super) fn cell(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| spread.shown(decimals))
}

/// A median as a cell of a table; a dash where there is none.
pub(super) fn median_cell(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.decimals$}", spread.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_median_and_ends() {
        assert_eq!(cell(Spread::of([3.0, 1.0, 2.0]), 0), "2 (1–3)");
        assert_eq!(cell(Spread::of([4.0, 1.0, 2.0, 3.0]), 1), "2.5 (1.0–4.0)");
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        assert_eq!(cell(Spread::of([f64::NAN, 1.0]), 0), "1 (1–1)");
        assert_eq!(median_cell(Spread::of([f64::NAN]), 0), "–");
    }
}
