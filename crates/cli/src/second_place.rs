//! The second place of the audit log's checkpoints: a file elsewhere than the store, such as on another disk, or a URL.
//!
//! Somebody who can write the store can put back an earlier copy of it, which is whole in itself. The checkpoint in the
//! second place shows it: a log that does not lead past it is not served.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use strongroom_client::api::{TextAt, origin};
use strongroom_domain::app::App;
use strongroom_domain::audit::checkpoint::BadCheckpoint;
use strongroom_domain::audit::{Broken, Head};

use crate::failure::Failure;
use crate::folder;

/// Where checkpoints go, and how often, as it is set.
pub(crate) struct Setting {
    pub(crate) to: String,
    pub(crate) every: Duration,
}

impl Setting {
    fn is_url(&self) -> bool {
        let is = |scheme: &&str| {
            self.to.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        ["http://", "https://"].iter().any(is)
    }

    /// How it is told. Of a URL, what follows the host may be what opens it.
    pub(crate) fn shown(&self) -> String {
        if self.is_url() { format!("{}/…", origin(&self.to)) } else { self.to.clone() }
    }
}

/// Where checkpoints go.
#[derive(Clone)]
enum Target {
    File(PathBuf),
    Url(Arc<TextAt>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(text) => write!(f, "{}/…", text.origin()),
        }
    }
}

impl Target {
    fn read(&self) -> Result<Option<String>, NotOurs> {
        match self {
            Self::Url(text) => text.read().map_err(|error| NotOurs::Unreadable(Box::new(error))),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(note) => Ok(Some(note)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(NotOurs::Unreadable(Box::new(error))),
            },
        }
    }

    fn write(&self, note: &str) -> Result<(), Cause> {
        match self {
            Self::Url(text) => Ok(text.write(note)?),
            Self::File(path) => Ok(folder::write_private(path, note)?),
        }
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// How long a place may take to answer: a share of another machine may hang for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// The place does not answer.
#[derive(Debug, thiserror::Error)]
#[error("it did not answer within {} seconds", PATIENCE.as_secs())]
struct Late;

/// Does what may hang on a thread of its own, which nobody waits for when the server ends.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Cause> {
    let (done, told) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("second-place".to_owned());
    // Nobody listens any more when it took too long.
    thread.spawn(move || drop(done.send(work())))?;
    Ok(tokio::time::timeout(PATIENCE, told).await.map_err(|_| Late)??)
}

/// Where checkpoints go, and how often.
pub(crate) struct SecondPlace {
    to: Target,
    every: Duration,
    /// What the next checkpoint must lead on from: the last that is known to be there.
    last: Mutex<Option<Head>>,
}

/// Why the checkpoint that is there is not to be passed over.
#[derive(Debug, thiserror::Error)]
enum NotOurs {
    #[error("it cannot be read")]
    Unreadable(#[source] Cause),
    #[error(transparent)]
    Bad(#[from] BadCheckpoint),
}

/// Why none is written.
#[derive(Debug, thiserror::Error)]
enum NotWritten {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Other(#[from] Cause),
}

impl SecondPlace {
    /// Takes a setting, without any use of the network.
    pub(crate) fn new(setting: &Setting) -> Result<Self, Failure> {
        let to = if setting.is_url() {
            let text = TextAt::new(&setting.to);
            let text =
                text.map_err(|error| Failure::new("audit_checkpoint_to cannot be used").because(error))?;
            Target::Url(Arc::new(text))
        } else {
            Target::File(setting.to.clone().into())
        };
        Ok(Self { to, every: setting.every, last: Mutex::default() })
    }

    /// Refuses a log that does not lead on from the last checkpoint, unless that is allowed. Else it writes one of now, so that
    /// a place which cannot be written shows at the start.
    pub(crate) async fn open(&self, app: &App, rolled_back_allowed: bool) -> Result<(), Failure> {
        match self.take_up(app).await {
            Err(failure) if rolled_back_allowed => {
                tracing::warn!(%failure, "THE AUDIT LOG IS NOT THE ONE OF THE LAST CHECKPOINT, and is served as allowed");
                self.remember(None);
                self.write(app).await.map_err(|error| self.not_written(error))
            }
            taken_up => taken_up,
        }
    }

    async fn take_up(&self, app: &App) -> Result<(), Failure> {
        let file = &self.to;
        let last = self.read(app).await.map_err(|error| {
            Failure::new(format!("the checkpoint in {file} cannot be used")).because(error).todo(
                "if you know why, start once with --allow-rolled-back-log: it is then replaced by one of the log as it is",
            )
        })?;
        if last.is_none() {
            tracing::warn!(%file, "there is no checkpoint yet: what was done to the audit log before cannot show");
        }
        self.remember(last);
        self.write(app).await.map_err(|error| self.not_written(error))
    }

    fn not_written(&self, error: NotWritten) -> Failure {
        match error {
            NotWritten::Broken(broken) => Failure::new(format!(
                "the audit log is not the one of the checkpoint in {}: {broken}; the store was rolled back or tampered with",
                self.to
            ))
            .todo(
                "if you put an earlier copy back yourself, start once with --allow-rolled-back-log, and keep the old checkpoint",
            ),
            NotWritten::Other(error) => {
                Failure::new(format!("no checkpoint can be written to {}", self.to)).because(error)
            }
        }
    }

    /// The checkpoint that is there.
    async fn read(&self, app: &App) -> Result<Option<Head>, NotOurs> {
        let to = self.to.clone();
        let note = aside(move || to.read()).await.map_err(NotOurs::Unreadable)??;
        let Some(note) = note else { return Ok(None) };
        let key = app.audit_key().map_err(|error| NotOurs::Unreadable(Box::new(error)))?;
        Ok(Some(key.open(&note)?))
    }

    /// Writes a checkpoint now and then, as long as the log grows.
    pub(crate) async fn keep(&self, app: &App, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        loop {
            let due = async {
                tokio::time::sleep(self.every).await;
                // Without keys nothing is signed.
                app.unsealed().await;
                if !matches!(app.audit_head().await, Ok(head) if self.last() == Some(head)) {
                    self.write_last(app).await;
                }
            };
            tokio::select! {
                () = &mut stopped => return,
                () = due => {}
            }
        }
    }

    /// Writes a checkpoint of the log as it is, and tells in the server's log if that fails.
    pub(crate) async fn write_last(&self, app: &App) {
        match self.write(app).await {
            Ok(()) => {}
            Err(NotWritten::Broken(broken)) => {
                tracing::error!(%broken, "THE AUDIT LOG IS NOT THE ONE OF THE LAST CHECKPOINT, which stays in its second place");
            }
            Err(NotWritten::Other(error)) => {
                tracing::error!(%error, "no checkpoint of the audit log could be written to its second place");
            }
        }
    }

    /// Writes a checkpoint that leads on from the last one.
    async fn write(&self, app: &App) -> Result<(), NotWritten> {
        let last = self.last();
        let signed = app.audit_checkpoint_past(last.as_ref()).await.map_err(Cause::from)?;
        let (head, note) = signed?;
        let to = self.to.clone();
        aside(move || to.write(&note)).await??;
        self.remember(Some(head));
        Ok(())
    }

    /// Up to which event the log may be pruned: what goes lies behind the last checkpoint that is known to be there.
    pub(crate) fn prunable(&self) -> u64 {
        self.last().map_or(0, |head| head.sequence.saturating_sub(1))
    }

    fn last(&self) -> Option<Head> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, head: Option<Head>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}
