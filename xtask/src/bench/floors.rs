//! The floors that are no servers: rows straight into SQLite, and syncs of a file.

use std::path::{Path, PathBuf};

use super::results::Figures;
use crate::Result;
use crate::process::{command, output};

/// What stands beside durable creates.
pub(super) struct Floors<'a> {
    pub(super) program: &'a Path,
    /// A copy of a seeded store, which the rows go into.
    pub(super) store: PathBuf,
    /// The file that is synced.
    pub(super) file: PathBuf,
    /// What a create's commit writes to the log.
    pub(super) commit_bytes: u64,
}

impl<'a> Floors<'a> {
    /// Copies a store that no server has open, and measures how much a commit of one row writes.
    pub(super) fn beside(program: &'a Path, store: &Path, folder: &Path) -> Result<Self> {
        let copy = folder.join("rows.db");
        std::fs::copy(store, &copy)?;
        let mut floors = Self { program, store: copy, file: folder.join("synced"), commit_bytes: 0 };
        let printed = floors.rows_run(1, 1)?;
        floors.commit_bytes = figure(&printed, "bytes")?;
        if floors.commit_bytes == 0 {
            return Err("a commit wrote nothing to SQLite's log".into());
        }
        Ok(floors)
    }

    /// Rows a second in transactions of so many.
    pub(super) fn rows(&self, batch: u32, seconds: u32) -> Result<Figures> {
        Ok(Figures::rate(figure(&self.rows_run(batch, seconds)?, "per_second")?))
    }

    fn rows_run(&self, batch: u32, seconds: u32) -> Result<String> {
        let mut rows = command(self.program);
        output(rows.arg("rows").arg(&self.store).args([batch.to_string(), seconds.to_string()]))
    }

    /// Commits' worth of bytes that are synced in a second, one after the other.
    pub(super) fn syncs(&self, seconds: u32) -> Result<Figures> {
        let mut sync = command(self.program);
        sync.arg("sync").arg(&self.file).args([self.commit_bytes.to_string(), seconds.to_string()]);
        Ok(Figures::rate(figure(&output(&mut sync)?, "per_second")?))
    }
}

fn figure<T: std::str::FromStr>(printed: &str, name: &str) -> Result<T> {
    let value = printed.split_whitespace().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("no `{name}` in: {printed}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_printed() {
        let printed = "per_second=12.5 bytes=32992\n";
        assert_eq!(figure::<f64>(printed, "per_second").unwrap(), 12.5);
        assert_eq!(figure::<u64>(printed, "bytes").unwrap(), 32_992);
        assert!(figure::<u64>(printed, "else").is_err());
    }
}
