//! The secrets that a benchmark's store starts with: the same ones each time.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::Stdio;

use crate::Result;
use crate::process::{Running, command};

/// Seconds of KSUID time, at which the first secret was made; each next one is a second younger.
const FIRST: u64 = 200_000_000;

/// The number of the first secret that is there to be deleted; no ordinary secret has one so great.
pub(super) const DOOMED: u64 = 50_000_000;

/// Fills a new data folder with one vault of `count` secrets.
pub(super) fn fill(strongroom: &Path, data_dir: &Path, count: u64) -> Result {
    fill_with(strongroom, data_dir, &[], count)
}

/// The same, where these arguments say where the store is.
pub(super) fn fill_with(strongroom: &Path, data_dir: &Path, place: &[&str], count: u64) -> Result {
    let vault = "{\"type\":\"vault\",\"name\":\"bench\",\"description\":\"Filled by the benchmark\"}\n";
    run(strongroom, data_dir, place, vault, 0..count)
}

/// Adds secrets that are there to be deleted.
pub(super) fn add_doomed(strongroom: &Path, data_dir: &Path, count: u64) -> Result {
    run(strongroom, data_dir, &[], "", DOOMED..DOOMED + count)
}

fn run(strongroom: &Path, data_dir: &Path, place: &[&str], head: &str, numbers: Range<u64>) -> Result {
    let mut command = command(strongroom);
    command
        .args(["seed", "-", "--data-dir"])
        .arg(data_dir)
        .args(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut running = Running::start(&mut command)?;
    let stdin = running.child().stdin.take().ok_or("the seed program's input is not connected")?;
    let written = write_lines(BufWriter::new(stdin), head, numbers);
    // Its own end says more about what went wrong than the broken pipe that came of it.
    let status = running.wait()?;
    if !status.success() {
        return Err(format!("`strongroom seed` ended with {status}").into());
    }
    Ok(written?)
}

fn write_lines(mut lines: impl Write, head: &str, numbers: Range<u64>) -> std::io::Result<()> {
    lines.write_all(head.as_bytes())?;
    for number in numbers {
        let (value, description, metadata) = contents(number);
        writeln!(
            lines,
            r#"{{"type":"secret","vault_name":"bench","id":"{}","name":"{}","value":"{value}","description":"{description}","metadata":"{metadata}"}}"#,
            id(number),
            name(number),
        )?;
    }
    lines.flush()
}

/// Value, description and metadata of a seeded secret, each as it stands in JSON.
pub(super) fn contents(number: u64) -> (String, String, String) {
    (
        format!("postgres://app:{:016x}@db.internal:5432/app", scramble(number)),
        format!("Connection string of application {number}"),
        format!(r#"{{\"environment\":\"bench\",\"number\":{number}}}"#),
    )
}

/// The name of a seeded secret.
pub(super) fn name(number: u64) -> String {
    format!("app-{number:07}/database-url")
}

/// The id of a seeded secret: `secret_` and a KSUID, which is 4 bytes of time and 16 that look random, in base 62.
pub(super) fn id(number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const LENGTH: usize = 27;
    // The 20 bytes as five 32-bit places, the greatest first.
    let (high, low) = (scramble(2 * number), scramble(2 * number + 1));
    let mut places = [FIRST + number, high >> 32, high & 0xffff_ffff, low >> 32, low & 0xffff_ffff];
    let mut text = [0; LENGTH];
    for digit in text.iter_mut().rev() {
        let mut rest = 0;
        for place in &mut places {
            let value = (rest << 32) | *place;
            (*place, rest) = (value / 62, value % 62);
        }
        *digit = DIGITS[rest as usize];
    }
    let ksuid: String = text.iter().map(|byte| char::from(*byte)).collect();
    format!("secret_{ksuid}")
}

/// SplitMix64's output function: an even spread, the same on every machine.
pub(super) fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ksuids_that_grow_with_time() {
        let ids: Vec<_> = [0, 1, 999, 1_000_000].map(id).to_vec();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.len() == "secret_".len() + 27));
    }

    #[test]
    fn every_line_is_written() -> std::io::Result<()> {
        let mut lines = Vec::new();
        write_lines(&mut lines, "a vault\n", 0..3)?;
        let text = String::from_utf8_lossy(&lines);
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains(r#""metadata":"{\"environment\":\"bench\",\"number\":2}""#));
        Ok(())
    }
}
