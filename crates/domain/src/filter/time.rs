//! Instants and spans of time.

use jiff::Timestamp;

use super::ast::{Compare, Expr};

const NANOS: i128 = 1_000_000_000;

/// Reads an RFC 3339 date and time with any offset, or a date followed by `Z`, which is midnight UTC; an example on
/// ngrok's API filtering page has the latter form.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if has_shape(text, "dddd-dd-ddZ") {
        let date = text.get(.."dddd-dd-dd".len())?;
        return format!("{date}T00:00:00Z").parse().ok();
    }
    // Jiff reads more forms than RFC 3339 has.
    let (date_time, rest) = text.split_at_checked("dddd-dd-ddTdd:dd:dd".len())?;
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let fits = has_shape(date_time, "dddd-dd-ddTdd:dd:dd")
        && ["Z", "+dd:dd", "-dd:dd"].iter().any(|shape| has_shape(offset, shape));
    if fits { text.parse().ok() } else { None }
}

/// `d` in the shape stands for a digit, anything else for itself in either case.
fn has_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            other => byte.eq_ignore_ascii_case(&other),
        })
}

/// Reads a span such as `24h`, `7d` or `1h30m`, in nanoseconds.
///
/// A day is 24 hours. The units are those of Go's durations and `d`; fractions and signs are not taken.
pub(super) fn span(text: &str) -> Option<i128> {
    let mut total: i128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let unit = match unit {
            "d" => 86_400 * NANOS,
            "h" => 3_600 * NANOS,
            "m" => 60 * NANOS,
            "s" => NANOS,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<i128>().ok()?.checked_mul(unit)?)?;
        rest = after;
    }
    if text.is_empty() { None } else { Some(total) }
}

/// `instant` moved by `nanos`, or `None` outside the years that can be told.
pub(super) fn shifted(instant: Timestamp, nanos: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(instant.as_nanosecond().checked_add(nanos)?).ok()
}

/// The comparison of a field of whole seconds with `instant`, as one with a whole second that comes out the same.
pub(super) fn compare(field: &'static str, op: Compare, instant: Timestamp) -> Option<Expr> {
    let nanos = instant.as_nanosecond();
    let whole = nanos.rem_euclid(NANOS) == 0;
    let op = match op {
        _ if whole => op,
        Compare::Eq | Compare::Ne => return Some(op.never_equal()),
        Compare::Lt | Compare::Le => Compare::Le,
        Compare::Gt | Compare::Ge => Compare::Gt,
    };
    let second = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
    Some(Expr::Time { field, op, second })
}
