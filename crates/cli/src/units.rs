//! Sizes and times as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use strongroom_domain::cidr::{BadCidr, Cidr};

/// A number of bytes: `65536`, `64KiB`, `1MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20)];
        let (number, unit) = units
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        let bytes = number.trim().parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
        bytes.map(Self).ok_or_else(|| "expected a number of bytes, such as 65536, 64KiB or 1MiB".to_owned())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A span of time: `30s`, `1m 30s`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        parsed
            .filter(|time| !time.is_zero())
            .map(Self)
            .ok_or_else(|| "expected a time above zero, such as 30s or 1m".to_owned())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Spans of time with commas between them: `5s,5m,2h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Times(pub(crate) Vec<Duration>);

impl Times {
    /// How many there are at most.
    const MAX: usize = 50;
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times: Result<Vec<Time>, String> = text.split(',').map(|part| part.trim().parse()).collect();
        match times {
            Ok(times) if times.len() <= Self::MAX => Ok(Self(times.iter().map(|time| time.0).collect())),
            _ => Err(format!("expected 1 to {} times above zero, such as 5s,5m,2h", Self::MAX)),
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |time: &Duration| u32::try_from(time.as_secs()).ok().filter(|_| time.subsec_nanos() == 0);
        let times = self.0.iter().map(|time| whole(time).map_or_else(|| format!("{time:?}"), span));
        f.write_str(&times.collect::<Vec<_>>().join(","))
    }
}

/// Ranges of addresses with commas between them: `10.0.0.0/8,2001:db8::/32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(pub(crate) Vec<Cidr>);

impl FromStr for Ranges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ranges: Result<_, BadCidr> = text.split(',').map(|part| part.trim().parse()).collect();
        ranges.map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(Cidr::as_str).collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            List(Vec<String>),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::List(none) if none.is_empty() => return Ok(Self(Vec::new())),
            Written::List(texts) => texts.join(","),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A longer span of time: `90d`, `2w`, `12h`. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span = text.parse::<jiff::Span>().ok();
        let span = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
        span.and_then(|span| Duration::try_from(span).ok())
            .filter(|span| !span.is_zero())
            .map(Self)
            .ok_or_else(|| "expected a time above zero, such as 90d, 2w or 12h".to_owned())
    }
}

/// Told of what 32 bits of seconds cannot count.
const TOO_LONG: &str = "expected a time of less than 136 years";

impl Age {
    /// How many seconds that is: a begun one counts.
    pub(crate) fn seconds(self) -> Result<u32, &'static str> {
        let begun = u64::from(self.0.subsec_nanos() > 0);
        u32::try_from(self.0.as_secs() + begun).map_err(|_| TOO_LONG)
    }
}

/// A span of time in seconds, which may be none: `0`, or as [`Age`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) u32);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if matches!(text, "0" | "0s") {
            return Ok(Self(0));
        }
        let age: Age = text.parse().map_err(|_| "expected 0, or a time such as 7d, 2w or 12h".to_owned())?;
        age.seconds().map(Self).map_err(str::to_owned)
    }
}

/// A number of seconds as people write it: `90d`, `1d12h`, `30s`.
pub(crate) fn span(seconds: u32) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

macro_rules! deserialize_from_text {
    ($($Type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $Type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Written {
                    Text(String),
                    Number(u64),
                }
                let text = match Written::deserialize(deserializer)? {
                    Written::Text(text) => text,
                    Written::Number(number) => number.to_string(),
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(Bytes, Time, Times, Age, Span);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!("64KiB".parse(), Ok(Bytes(65536)));
        assert_eq!("12".parse(), Ok(Bytes(12)));
        for bad in ["", "-1", "1GB", "x", "99999999999999999999MiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        assert_eq!("1m 30s".parse(), Ok(Time(Duration::from_secs(90))));
        for bad in ["", "0s", "-5s", "5"] {
            assert!(bad.parse::<Time>().is_err(), "{bad}");
        }
        let times = "5s, 5m,2h,250ms".parse::<Times>().unwrap();
        assert_eq!(times.to_string(), "5s,5m,2h,250ms");
        assert_eq!(times.0[1], Duration::from_secs(300));
        for bad in ["", "5s,", "5s,0s", "5", &["5s"; 51].join(",")] {
            assert!(bad.parse::<Times>().is_err(), "{bad}");
        }
        let hours = |hours: u64| Ok(Age(Duration::from_secs(hours * 3600)));
        for (text, age) in
            [("90d", hours(90 * 24)), ("2w", hours(14 * 24)), ("1d 12h", hours(36)), ("12h", hours(12))]
        {
            assert_eq!(text.parse(), age, "{text}");
        }
        for (text, seconds, written) in
            [("90d", 7_776_000, "90d"), ("36h", 129_600, "1d12h"), ("500ms", 1, "1s"), ("61s", 61, "1m1s")]
        {
            assert_eq!(text.parse::<Age>().unwrap().seconds(), Ok(seconds), "{text}");
            assert_eq!(span(seconds), written);
            assert_eq!(written.parse::<Age>().unwrap().seconds(), Ok(seconds), "{text}");
        }
        assert_eq!(span(0), "0s");
        assert_eq!(("0".parse(), "7d".parse()), (Ok(Span(0)), Ok(Span(604_800))));
        for bad in ["", "7", "-1d", "0d", "50000d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!("50000d".parse::<Age>().unwrap().seconds(), Err(TOO_LONG));
        for bad in ["", "0d", "-1d", "90", "1mo", "1y", "99999999999999999999d"] {
            assert!(bad.parse::<Age>().is_err(), "{bad}");
        }
    }
}
