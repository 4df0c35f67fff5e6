//! Telling webhooks of changes.
//!
//! The queue is the audit log: each webhook has a place in it, which goes on when what was before it has been told or is kept
//! as a delivery that failed, both in one commit. So nothing is lost between the two, and a crash repeats a message at worst.
//! Each webhook has a task of its own, so that a target that hangs holds up no other; of several processes one at a time has it.

mod attempt;
mod client;
mod lane;
mod message;
mod names;
mod recent;
mod schedule;
mod standing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::app::App;
use strongroom_domain::ids::WebhookId;
use strongroom_domain::webhook::Webhook;
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::Shared;
use client::Client;
use message::Message;
use recent::Recent;
use standing::Standings;

/// Attempts at a time to all targets together: as many as all webhooks can have, so that none waits for another.
const ATTEMPTS: usize = lane::ATTEMPTS * Webhook::MAX as usize;
/// Files that may be open for deliveries: a connection for each attempt, and one for each look-up of a name.
pub const FILES: usize = ATTEMPTS + names::LOOK_UPS;
/// From one look at which webhooks there are, and at one of them, to the next, when nobody tells of a change of them: another
/// process may have changed them.
const LOOK: Duration = Duration::from_secs(10);
/// The rest between two looks at the log: what comes meanwhile is read at once.
const REST: Duration = Duration::from_millis(20);
/// The wait after the store did not answer, or a task ended that should not have; a lane doubles it, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How webhooks are delivered to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Deliver to addresses that are not on the public internet too, and to those over http.
    pub allow_private: bool,
    /// Time for an attempt, from the look-up of the name to the answer.
    pub timeout: Duration,
    /// The wait after each failed attempt; after the last one the delivery is dead.
    pub retry_after: Vec<Duration>,
}

impl Default for Settings {
    /// The schedule that Standard Webhooks advises.
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds =
            [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        let retry_after = seconds.map(Duration::from_secs).to_vec();
        Self { allow_private: false, timeout: Duration::from_secs(15), retry_after }
    }
}

/// What all deliveries share.
pub(crate) struct Deliveries {
    settings: Settings,
    client: Client,
    attempts: Semaphore,
    /// Tells of changes of webhooks, and of deliveries that are to be tried now.
    nudges: watch::Sender<()>,
    recent: Recent,
    standings: Standings,
    /// Whether there is any webhook to be told.
    needed: watch::Sender<bool>,
}

impl Deliveries {
    pub(crate) fn new(settings: Settings) -> Self {
        let client = Client::new(settings.allow_private, settings.timeout);
        Self {
            settings,
            client,
            attempts: Semaphore::new(ATTEMPTS),
            nudges: watch::Sender::default(),
            recent: Recent::default(),
            standings: Standings::default(),
            needed: watch::Sender::default(),
        }
    }

    /// Whether private targets are delivered to.
    pub(crate) fn allow_private(&self) -> bool {
        self.settings.allow_private
    }

    /// Has those who deliver look at webhooks and deliveries anew.
    pub(crate) fn nudge(&self) {
        self.nudges.send_replace(());
    }

    /// Stores how far the log was looked through for a webhook, before it is to be told of other types: what was passed over
    /// until then is not told later.
    pub(crate) async fn store_place(&self, app: &App, id: WebhookId) -> strongroom_domain::Result<()> {
        match self.standings.seen(id) {
            Some(seen) => app.deliveries_settle(id, seen, Vec::new()).await.map(drop),
            None => Ok(()),
        }
    }

    /// Webhooks that are told nothing new, as too much waits for them.
    pub(crate) fn held(&self) -> u64 {
        self.standings.held()
    }

    /// How many records the slowest webhook is behind the last one that was of a change.
    pub(crate) fn lag(&self) -> u64 {
        self.standings.behind(*self.recent.news().borrow())
    }

    /// Sends a test message once; says why it was not taken.
    pub(crate) async fn test(
        &self,
        app: &App,
        webhook: &Webhook,
    ) -> strongroom_domain::Result<Option<String>> {
        let (id, at) = app.message_id()?;
        let message = Message::test(webhook, id, at)?;
        let told = self.attempt(app, webhook, &message).await?;
        Ok(told.err().map(|failure| failure.text))
    }

    /// Sends a message once.
    async fn attempt(
        &self,
        app: &App,
        webhook: &Webhook,
        message: &Message,
    ) -> strongroom_domain::Result<Result<(), Failure>> {
        // It is closed by nobody.
        let _permit = self.attempts.acquire().await;
        let at = app.clock().now();
        let id = message.id.to_string();
        let signature = app.webhook_sign(webhook, &id, at, message.body.as_bytes()).await?;
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", at.as_second().to_string()),
            ("webhook-signature", signature),
        ];
        let answer = self.client.post(&webhook.url, headers, message.body.clone()).await;
        Ok(match answer {
            Ok(answer) => schedule::judge(&answer, at),
            Err(error) => Err(Failure { text: schedule::short(&error), retry_after: None, is_gone: false }),
        })
    }
}

/// Why a message was not taken.
struct Failure {
    /// In words. Nothing of an answer's body is in it, nor of the URL but its host.
    text: String,
    /// How long the target asks to be left alone.
    retry_after: Option<Duration>,
    /// Whether the target says that it is gone for good.
    is_gone: bool,
}

/// Delivers until it is dropped.
pub async fn run(shared: Arc<Shared>) {
    tokio::join!(follow(&shared), supervise(&shared));
}

/// Follows the log for as long as there is a webhook; without one, a commit costs nothing more.
async fn follow(shared: &Shared) {
    let mut needed = shared.deliveries.needed.subscribe();
    loop {
        // The sender is in what is shared, and does not go away before this does.
        let _ = needed.wait_for(|needed| *needed).await;
        let read = shared.deliveries.recent.read_on(&shared.app).await;
        let rest = match read {
            Ok(()) => REST,
            Err(error) => {
                told(&error);
                PAUSE
            }
        };
        tokio::time::sleep(rest).await;
    }
}

/// Sees to it that each active webhook has its lane.
async fn supervise(shared: &Arc<Shared>) {
    let mut nudges = shared.deliveries.nudges.subscribe();
    let (mut lanes, mut running) = (JoinSet::new(), HashMap::<Id, WebhookId>::new());
    loop {
        // Marked as seen before the look, so that what comes after it is not missed.
        nudges.mark_unchanged();
        match shared.app.webhooks_active().await {
            Ok(active) => {
                for id in active {
                    if !running.values().any(|known| *known == id) {
                        let lane = lanes.spawn(lane::run(shared.clone(), id));
                        running.insert(lane.id(), id);
                    }
                }
            }
            Err(error) => told(&error),
        }
        shared.deliveries.needed.send_replace(!running.is_empty());
        tokio::select! {
            // The sender is in what is shared, and does not go away before this does.
            _ = nudges.changed() => {}
            Some(ended) = lanes.join_next_with_id() => end(ended, &mut running).await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn end(ended: Result<(Id, ()), JoinError>, running: &mut HashMap<Id, WebhookId>) {
    match ended {
        Ok((task, ())) => drop(running.remove(&task)),
        Err(error) => {
            let webhook = running.remove(&error.id());
            tracing::error!(
                webhook = webhook.map(tracing::field::display),
                "delivering to a webhook broke off; it begins again"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn told(error: &strongroom_domain::Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "webhooks cannot be delivered to at the moment; it is tried again in a few seconds");
}
