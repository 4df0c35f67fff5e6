//! The secrets that a benchmark's store starts with: the same ones each time.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::Result;
use crate::process::{Running, command};

/// Seconds of KSUID time, at which the first secret was made; each next one is a second younger.
const FIRST: u64 = 200_000_000;

/// How many ids the `get` case draws from at most: enough to miss caches, few enough for the load generator.
const DRAWN: u64 = 10_000;

/// Fills a new data folder with one vault of `count` secrets.
pub(super) fn fill(strongroom: &Path, data_dir: &Path, count: u64) -> Result {
    let mut command = command(strongroom);
    command.args(["seed", "-", "--data-dir"]).arg(data_dir).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = Running::start(&mut command)?;
    let stdin = running.child().stdin.take().ok_or("the seed program's input is not connected")?;
    let written = write_lines(BufWriter::new(stdin), count);
    // Its own end says more about what went wrong than the broken pipe that came of it.
    let status = running.wait()?;
    if !status.success() {
        return Err(format!("`strongroom seed` ended with {status}").into());
    }
    Ok(written?)
}

fn write_lines(mut lines: impl Write, count: u64) -> std::io::Result<()> {
    writeln!(lines, r#"{{"type":"vault","name":"bench","description":"Filled by the benchmark"}}"#)?;
    for number in 0..count {
        writeln!(
            lines,
            r#"{{"type":"secret","vault_name":"bench","id":"{}","name":"{}","value":"postgres://app:{:016x}@db.internal:5432/app","description":"Connection string of application {number}","metadata":"{{\"environment\":\"bench\",\"number\":{number}}}"}}"#,
            id(number),
            name(number),
            scramble(number),
        )?;
    }
    lines.flush()
}

/// Writes the ids and names that the `get` and `resolve` cases draw from, spread evenly over the whole store.
pub(super) fn write_ids(file: &Path, count: u64) -> Result<PathBuf> {
    let drawn = count.min(DRAWN);
    let numbers = (0..drawn).map(|index| index * count / drawn);
    let lines: String = numbers.map(|number| format!("{} {}\n", id(number), name(number))).collect();
    std::fs::write(file, lines)?;
    Ok(file.to_owned())
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
fn scramble(number: u64) -> u64 {
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
        write_lines(&mut lines, 3)?;
        let text = String::from_utf8_lossy(&lines);
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains(r#""metadata":"{\"environment\":\"bench\",\"number\":2}""#));
        Ok(())
    }
}
