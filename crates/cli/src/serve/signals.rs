//! What tells a server that runs to do something: signals, and files of certificates that change.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use strongroom_server::listen::{Files, Tls};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::prepare;
use crate::failure::Failure;
use crate::settings::Settings;

/// From one look at the files of certificates to the next. In a container without a shell nobody can send SIGHUP.
const LOOK: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Running,
    /// It was asked to stop, and balancers are given time to notice.
    Leaving,
    Stopping,
}

/// How far the server is on its way to the end.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<Phase>);

impl Stop {
    async fn reached(&self, phase: Phase) {
        // The sender goes away only after it has sent the last one.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }

    /// Waits until somebody asked for it.
    pub(super) async fn asked(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Waits until it is to happen.
    pub(super) async fn due(self) {
        self.reached(Phase::Stopping).await;
    }
}

struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let on =
            |kind| signal(kind).map_err(|error| Failure::new("signals cannot be received").because(error));
        Ok(Self {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    async fn asked_to_stop(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}

/// Listens to SIGTERM and SIGINT, which stop the server, and to SIGHUP, which has the certificate read again, as a change of its files
/// has. `stamps` are those of the files that were read.
pub(super) fn follow(tls: Option<Tls>, settings: Arc<Settings>, mut stamps: Stamps) -> Result<Stop, Failure> {
    let mut signals = Signals::new()?;
    let (phase, stop) = watch::channel(Phase::Running);
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                _ = signals.term.recv() => break,
                _ = signals.int.recv() => break,
                _ = signals.hup.recv() => {}
                _ = looks.tick() => if Stamps::of(&settings) == stamps { continue },
            }
            // Taken before the files are read: what changes meanwhile is seen by the next look.
            stamps = Stamps::of(&settings);
            reload(tls.as_ref(), &settings);
        }
        let delay = settings.drain_delay;
        if !delay.is_zero() {
            tracing::info!(seconds = delay.as_secs(), "stopping soon: not ready any more");
            phase.send_replace(Phase::Leaving);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = signals.asked_to_stop() => {}
            }
        }
        tracing::info!("stopping: running requests are finished, new ones refused");
        phase.send_replace(Phase::Stopping);
    });
    Ok(Stop(stop))
}

fn reload(tls: Option<&Tls>, settings: &Settings) {
    let Some(tls) = tls else { return };
    if let Err(failure) = prepare(settings) {
        tracing::error!(%failure, "the self-signed certificate could not be made anew");
    }
    match tls.reload() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => {
            tracing::error!(%error, "the certificate could not be read again; the one before stays in use")
        }
    }
}

/// By what it shows that the files of TLS were changed, or others put in their place. Links are followed: Kubernetes swaps one that
/// leads to a folder.
#[derive(PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

/// Device, inode, length, and the time of the last change in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl Stamps {
    pub(super) fn of(settings: &Settings) -> Self {
        let Some(tls) = &settings.tls else { return Self(Vec::new()) };
        let Files { certificate, key, clients } = &tls.files;
        let authorities = clients.iter().map(|clients| &clients.authorities);
        Self([certificate, key].into_iter().chain(authorities).map(|path| stamp(path)).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some((about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}
