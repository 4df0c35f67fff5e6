//! Copies of a database, taken while it is in use.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::schema::{self, Access, OpenError};

/// Pages copied at a time: 8 MiB.
const STEP_PAGES: i32 = 2048;
/// The rest between steps when the source is busy.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file already where one is to be made.
    #[error("{0} exists already: name a file that does not")]
    Exists(std::path::PathBuf),
    /// The source is not a store.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite found damage.
    #[error("{path} is damaged: {finding}")]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
        /// What SQLite says.
        finding: String,
    },
    /// SQLite refuses.
    #[error("the copy failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The new file could not be made.
    #[error("the copy could not be written")]
    Io(#[from] std::io::Error),
}

/// Copies a store, in use or not, into a file that does not exist yet, and checks the copy. The copy is one consistent
/// moment of the store. `progress` is told pages done and pages in all.
///
/// # Errors
/// [`BackupError`]; then there is no new file.
pub fn copy_store(from: &Path, to: &Path, progress: impl FnMut(u64, u64)) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let source = schema::connect(from, Access::Read)
        .map_err(|source| OpenError::Sqlite { path: from.to_owned(), source })?;
    schema::check_version(&source, from)?;
    // Under another name until it is whole: a crash leaves no file that looks like a backup.
    let part = to.with_added_extension(format!("{}.part", std::process::id()));
    let copied = copy(&source, &part, progress).map_err(BackupError::from).and_then(|()| check(&part));
    let finished = copied.and_then(|()| Ok(finish(&part, to)?));
    if finished.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    finished
}

/// Copies an open database into a new file that is readable by its owner alone.
pub(super) fn copy(from: &Connection, to: &Path, mut progress: impl FnMut(u64, u64)) -> rusqlite::Result<()> {
    schema::make_private(to).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let mut target = schema::connect(to, Access::Write)?;
    {
        // One read transaction for the whole copy: a writer that goes on does not make it start again.
        let snapshot = from.unchecked_transaction()?;
        snapshot.query_row("SELECT sequence FROM audit_head", [], |_| Ok(()))?;
        let backup = Backup::new(&snapshot, &mut target)?;
        loop {
            let step = backup.step(STEP_PAGES)?;
            let state = backup.progress();
            let (done, all) = (state.pagecount - state.remaining, state.pagecount);
            progress(u64::try_from(done).unwrap_or(0), u64::try_from(all).unwrap_or(0));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
    }
    // One file, with no log beside it; `close` would leave the header saying otherwise.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)
}

fn check(path: &Path) -> Result<(), BackupError> {
    let copy = schema::connect(path, Access::Read)?;
    let finding: String = copy.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(BackupError::Damaged { path: path.to_owned(), finding }) }
}

/// Gives a file its name, once it is whole and on disk.
pub(super) fn finish(part: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::File::open(part)?.sync_all()?;
    std::fs::rename(part, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
