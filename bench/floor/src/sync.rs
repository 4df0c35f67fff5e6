//! One `fdatasync` per create: what the disk alone allows to who waits for each.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Result, say};

/// How long the file is, which is as long as SQLite's log grows before it starts again.
const LENGTH: u64 = 16 << 20;

/// Overwrites the file, so many bytes at a time and each made durable, for so long; says how many a second.
pub(crate) fn run(path: &Path, bytes: usize, length: Duration) -> Result {
    let mut file = File::create(path)?;
    // Written and not only reserved: a block that is written for the first time costs a change of the file's map.
    file.write_all(&vec![0; usize::try_from(LENGTH)?])?;
    file.sync_all()?;
    let piece = vec![0xa5; bytes];
    let (mut count, mut place) = (0_u64, 0);
    let started = Instant::now();
    while started.elapsed() < length {
        if place + bytes as u64 > LENGTH {
            place = 0;
        }
        file.write_all_at(&piece, place)?;
        file.sync_data()?;
        place += bytes as u64;
        count += 1;
    }
    say(&format!("per_second={:.1}", count as f64 / started.elapsed().as_secs_f64()));
    Ok(())
}
