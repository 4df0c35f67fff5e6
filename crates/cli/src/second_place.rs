//! The second place of the audit log's checkpoints: a file elsewhere than the store, such as on another disk, or a URL.
//!
//! Somebody who can write the store can put back an earlier copy of it, which is whole in itself. The checkpoint in the
//! second place shows it: a log that does not lead past it is not served.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use strongroom_client::api::{TextAt, origin};
use strongroom_domain::app::App;
use strongroom_domain::audit::Head;
use strongroom_domain::audit::checkpoint::BadCheckpoint;

use crate::failure::Failure;
use crate::folder;

/// Where checkpoints go, and how often, as it is set.
pub(crate) struct Setting {
    pub(crate) to: String,
    pub(crate) every: Duration,
}

impl Setting {
    fn is_url(&self) -> bool {
        ["http://", "https://"].iter().any(|scheme| self.to.starts_with(scheme))
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

/// Where checkpoints go, and how often.
pub(crate) struct SecondPlace {
    to: Target,
    every: Duration,
}

/// Why the checkpoint that is there is not to be passed over.
#[derive(Debug, thiserror::Error)]
enum NotOurs {
    #[error("it cannot be read")]
    Unreadable(#[source] Cause),
    #[error(transparent)]
    Bad(#[from] BadCheckpoint),
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
        Ok(Self { to, every: setting.every })
    }

    /// Refuses a log that does not lead past the last checkpoint, unless that is allowed. Then it writes one of now, so that a
    /// place which cannot be written shows at the start.
    pub(crate) async fn open(&self, app: &App, rolled_back_allowed: bool) -> Result<(), Failure> {
        match self.compare(app).await {
            Err(failure) if rolled_back_allowed => {
                tracing::warn!(%failure, "THE AUDIT LOG IS NOT THE ONE OF THE LAST CHECKPOINT, and is served as allowed");
            }
            compared => compared?,
        }
        let failed = || Failure::new(format!("no checkpoint can be written to {}", self.to));
        self.write(app).await.map(drop).map_err(|error| failed().because(error))
    }

    async fn compare(&self, app: &App) -> Result<(), Failure> {
        let file = &self.to;
        let last = self.last(app).await.map_err(|error| {
            Failure::new(format!("the checkpoint in {file} cannot be used")).because(error).todo(
                "if you know why, start once with --allow-rolled-back-log: it is then replaced by one of the log as it is",
            )
        })?;
        let Some(last) = last else {
            tracing::warn!(%file, "there is no checkpoint yet: what was done to the audit log before cannot show");
            return Ok(());
        };
        let compared = app.audit_leads_past(&last).await;
        let compared = compared.map_err(|error| Failure::new("the store cannot be read").because(error))?;
        compared.map_err(|broken| {
            Failure::new(format!(
                "the audit log is not the one of the checkpoint in {file}: {broken}; the store was rolled back or tampered with"
            ))
            .todo(
                "if you put an earlier copy back yourself, start once with --allow-rolled-back-log, and keep the old checkpoint",
            )
        })
    }

    /// The checkpoint that is there.
    async fn last(&self, app: &App) -> Result<Option<Head>, NotOurs> {
        let to = self.to.clone();
        let read = tokio::task::spawn_blocking(move || to.read()).await;
        let note = read.map_err(|error| NotOurs::Unreadable(Box::new(error)))??;
        Ok(note.map(|note| app.audit_key().open(&note)).transpose()?)
    }

    /// Writes a checkpoint now and then, as long as the log grows.
    pub(crate) async fn keep(&self, app: &App, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        let mut written = None;
        while tokio::time::timeout(self.every, &mut stopped).await.is_err() {
            if !matches!(app.audit_head().await, Ok(head) if written == Some(head)) {
                written = self.write_last(app).await;
            }
        }
    }

    /// Writes a checkpoint of the log as it is, and tells in the server's log if that fails.
    pub(crate) async fn write_last(&self, app: &App) -> Option<Head> {
        self.write(app)
            .await
            .inspect_err(|error| tracing::error!(%error, "no checkpoint of the audit log could be written to its second place"))
            .ok()
    }

    async fn write(&self, app: &App) -> Result<Head, Cause> {
        let (head, note) = app.audit_checkpoint_now().await?;
        let to = self.to.clone();
        tokio::task::spawn_blocking(move || to.write(&note)).await??;
        Ok(head)
    }
}
