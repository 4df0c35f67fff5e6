//! What an answer means, and when a message is tried again.

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::Failure;
use super::client::Answer;

/// The longest that a target may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of a failure's text.
const TEXT_MAX: usize = 200;

/// What an answer means: only 2xx is that the message was taken.
pub(super) fn judge(answer: &Answer, now: Timestamp) -> Result<(), Failure> {
    let status = answer.status;
    let number = status.as_u16();
    let text = match number {
        200..300 => return Ok(()),
        300..400 => {
            format!("the target sends on to another place ({number}), which is not followed: change the URL")
        }
        410 => "the target answered 410: it is gone for good".to_owned(),
        _ => format!("the target answered {number}"),
    };
    let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
    let retry_after = answer.retry_after.as_deref().filter(|_| asks).and_then(|text| seconds(text, now));
    Err(Failure { text, retry_after, is_gone: status == StatusCode::GONE })
}

/// How long a `Retry-After` asks to wait: a number of seconds, or a time (RFC 9110, section 10.2.3).
fn seconds(text: &str, now: Timestamp) -> Option<Duration> {
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

/// The wait after that many failed attempts; `None` after the last one.
pub(super) fn wait(schedule: &[Duration], attempts: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let place = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let wait = (*schedule.get(place)?).max(retry_after.unwrap_or_default());
    // Up to a tenth more, so that not all that failed at once comes back at once. No secret hangs on this randomness.
    let tenth = wait / 10;
    let part = RandomState::new().hash_one(attempts) % 1000;
    Some(wait + tenth * u32::try_from(part).unwrap_or(0) / 1000)
}

/// A failure and what lies behind it, in one line.
pub(super) fn short(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let cause = source.to_string();
        // Some tell their cause themselves.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        next = source.source();
    }
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_attempt_waits_as_the_schedule_says_and_a_little_more() {
        let schedule = [SECOND * 10, SECOND * 100];
        for _ in 0..100 {
            let first = wait(&schedule, 1, None).unwrap();
            assert!((SECOND * 10..=SECOND * 11).contains(&first), "{first:?}");
            let asked = wait(&schedule, 1, Some(SECOND * 50)).unwrap();
            assert!((SECOND * 50..=SECOND * 55).contains(&asked), "{asked:?}");
            assert!(wait(&schedule, 2, Some(SECOND * 50)).unwrap() >= SECOND * 100);
        }
        assert_eq!(wait(&schedule, 3, Some(SECOND)), None);
        assert_eq!(wait(&[], 1, None), None);
    }

    #[test]
    fn a_target_is_left_alone_for_as_long_as_it_asks_within_bounds() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("999999999", Some(24 * 3600)),
            ("Thu, 01 Jan 2026 00:02:00 GMT", Some(120)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(0)),
            ("Fri, 01 Jan 2027 00:00:00 GMT", Some(24 * 3600)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(seconds(text, now), expected.map(Duration::from_secs), "{text}");
        }
        let answer = |status, retry_after: Option<&str>| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(str::to_owned),
        };
        let failure = |status| judge(&answer(status, Some("120")), now).err();
        assert!(judge(&answer(204, None), now).is_ok());
        assert_eq!(failure(503).unwrap().retry_after, Some(SECOND * 120));
        assert_eq!(failure(429).unwrap().retry_after, Some(SECOND * 120));
        assert_eq!(failure(500).unwrap().retry_after, None);
        assert!(failure(410).unwrap().is_gone && !failure(404).unwrap().is_gone);
        assert!(failure(302).unwrap().text.contains("not followed"));
    }
}
