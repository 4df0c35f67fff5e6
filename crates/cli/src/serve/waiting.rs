//! Waiting at the start for a database that is not there yet, as after a power cut that took everything down.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use strongroom_server::listen::{self, Answers, Limits, Tls};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::signals::Stop;
use crate::failure::{Failure, Kind};
use crate::house::{self, House};
use crate::settings::Settings;

/// From one try to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// From one line in the log that it is still away to the next.
const TOLD: Duration = Duration::from_secs(60);

/// Opens the house. While its database cannot be reached, the listeners tell that the process lives and is not ready. `None` is that the
/// server was stopped meanwhile.
pub(super) async fn open(
    settings: &Settings,
    listeners: &[(&TcpListener, Option<Tls>)],
    stop: &Stop,
) -> Result<Option<House>, Failure> {
    let begun = Instant::now();
    let patience = settings.database.as_ref().map_or(Some(Duration::ZERO), |database| database.wait);
    let may_wait = |failure: &Failure| {
        failure.is(Kind::Unavailable) && patience.is_none_or(|patience| begun.elapsed() < patience)
    };
    let attempt = async || {
        tokio::select! {
            () = stop.asked() => Ok(None),
            opened = house::open(settings) => opened.map(Some),
        }
    };
    let failure = match attempt().await {
        Err(failure) if may_wait(&failure) => failure,
        outcome => return outcome,
    };
    tracing::warn!(%failure, "the database cannot be reached yet; the server waits for it");
    let telling = Telling::start(listeners, settings.connections)?;
    let mut told = Instant::now();
    let outcome = loop {
        tokio::select! {
            () = stop.asked() => break Ok(None),
            () = tokio::time::sleep(PAUSE) => {}
        }
        match attempt().await {
            Err(failure) if may_wait(&failure) => {
                if told.elapsed() >= TOLD {
                    let seconds = begun.elapsed().as_secs();
                    tracing::warn!(%failure, seconds, "the database can still not be reached");
                    told = Instant::now();
                }
            }
            outcome => break outcome,
        }
    };
    telling.end().await;
    outcome
}

/// What is told meanwhile, on listeners that are served by others afterwards.
struct Telling {
    over: watch::Sender<bool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Telling {
    fn start(listeners: &[(&TcpListener, Option<Tls>)], limits: Limits) -> Result<Self, Failure> {
        let over = watch::Sender::new(false);
        let failed = |error| Failure::new("the address cannot be served").because(error);
        let mut tasks = Vec::new();
        for (listener, tls) in listeners {
            let (listener, mut ended) = (another(listener).map_err(failed)?, over.subscribe());
            let ended = async move {
                // The sender goes away only after it has sent.
                let _ = ended.wait_for(|over| *over).await;
            };
            tasks.push(tokio::spawn(listen::serve(listener, tls.clone(), Answers::Waiting, limits, ended)));
        }
        Ok(Self { over, tasks })
    }

    async fn end(self) {
        self.over.send_replace(true);
        for task in self.tasks {
            // It was not aborted, and has nothing to tell.
            let _ = task.await;
        }
    }
}

/// Another hold of the same listening socket, which stays open when this one is closed.
fn another(listener: &TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener.as_fd().try_clone_to_owned()?.into())
}
