//! One webhook's way through the log.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strongroom_domain::Result;
use strongroom_domain::ids::WebhookId;
use strongroom_domain::webhook::{Delivery, DeliveryState, Settled, Webhook};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::message::{self, Message};
use super::{Failure, LOOK, PAUSE, recent, schedule, told};
use crate::{Shared, metrics};

/// Attempts at a time, to one target.
pub(super) const ATTEMPTS: usize = 4;
/// Deliveries that are settled in one commit.
const BATCH: usize = 32;
/// How far the place may go on past records that are not told before it is stored, and for how long.
const UNSTORED: u64 = 4096;
const UNSTORED_FOR: Duration = Duration::from_secs(60 * 60);

/// What delivers to one webhook.
pub(super) struct Lane {
    shared: Arc<Shared>,
    id: WebhookId,
    nudges: watch::Receiver<()>,
    news: watch::Receiver<u64>,
    /// The last record that was looked at: all up to it is settled.
    seen: u64,
    /// When the place was last stored.
    stored: Instant,
}

/// How a step ended.
enum Step {
    /// The webhook is deleted, or not active.
    Gone,
    /// There may be more.
    Worked,
    /// There is nothing to do before a time, or before something happens: with `follow`, also something in the log.
    Idle { until: Option<Timestamp>, follow: bool },
}

/// What there was to take.
enum Taken {
    /// Some records.
    Some,
    /// None: the log ends here.
    None,
    /// There are too many that failed: the place stays where it is.
    Full,
}

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, id: WebhookId) -> Self {
        let (nudges, news) = (shared.deliveries.nudges.subscribe(), shared.deliveries.recent.news());
        Self { shared, id, nudges, news, seen: 0, stored: Instant::now() }
    }

    /// Delivers for as long as the webhook is active.
    pub(super) async fn run(mut self) {
        loop {
            match self.step().await {
                Ok(Step::Gone) => return,
                Ok(Step::Worked) => {}
                Ok(Step::Idle { until, follow }) => self.wait(until, follow).await,
                Err(error) => {
                    told(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step> {
        // Marked as seen before anything is read, so that what comes after it is not missed.
        self.nudges.mark_unchanged();
        self.news.mark_unchanged();
        let Some(webhook) = self.shared.app.webhook_if_active(self.id).await? else { return Ok(Step::Gone) };
        let now = self.shared.app.clock().now();
        let mut due = self.shared.app.deliveries_next(self.id, BATCH).await?;
        let later = due.iter().position(|delivery| delivery.due > now).unwrap_or(due.len());
        let next = due.get(later).map(|delivery| delivery.due);
        due.truncate(later);
        let retried = !due.is_empty();
        if retried && !self.deliver(due, webhook.position, webhook.position).await? {
            return Ok(Step::Gone);
        }
        Ok(match self.take(&webhook).await? {
            Taken::Some => Step::Worked,
            Taken::None | Taken::Full if retried => Step::Worked,
            Taken::None => Step::Idle { until: next, follow: true },
            Taken::Full => Step::Idle { until: next, follow: false },
        })
    }

    /// Takes the next records of the log.
    async fn take(&mut self, webhook: &Webhook) -> Result<Taken> {
        self.seen = self.seen.max(webhook.position);
        let types = &webhook.event_types;
        let found = match self.shared.deliveries.recent.after(self.seen, types, BATCH) {
            Some(found) => found,
            None => recent::stored_after(&self.shared.app, self.seen, types, BATCH).await?,
        };
        let (end, missed) = (found.end, found.missed);
        if missed > 0 {
            tracing::warn!(webhook = %self.id, missed, "records that a webhook was to be told of are not kept any longer");
        }
        if end == self.seen {
            return Ok(Taken::None);
        }
        let deliveries =
            found.changes.iter().map(|change| message::delivery(change)).collect::<Result<Vec<_>>>()?;
        // Most records are of values that were given out: a place past some of these alone need not be stored each time.
        let is_near = end - webhook.position < UNSTORED && self.stored.elapsed() < UNSTORED_FOR;
        if deliveries.is_empty() && is_near {
            self.seen = end;
            return Ok(Taken::Some);
        }
        let failed = self.shared.app.delivery_counts(Some(self.id)).await?;
        if !deliveries.is_empty() && failed.waiting + failed.dead >= Webhook::DELIVERIES_MAX {
            return Ok(Taken::Full);
        }
        if self.deliver(deliveries, webhook.position, end).await? {
            self.seen = end;
            self.stored = Instant::now();
        }
        Ok(Taken::Some)
    }

    /// Tries each delivery once and keeps what became of them, and with it the place that is then reached; says whether the
    /// webhook was there and active to the end. If not, the place stays where it was.
    async fn deliver(&self, deliveries: Vec<Delivery>, place: u64, reached: u64) -> Result<bool> {
        let (mut waiting, mut attempts) = (deliveries.into_iter(), JoinSet::new());
        let (mut settled, mut is_over) = (Vec::new(), false);
        loop {
            while attempts.len() < ATTEMPTS
                && !is_over
                && let Some(delivery) = waiting.next()
            {
                attempts.spawn(attempt(self.shared.clone(), self.id, delivery));
            }
            let Some(done) = attempts.join_next().await else { break };
            // An attempt that panicked is one that was not made: nothing of this is settled, and all is tried again.
            match done.map_err(|error| strongroom_domain::Error::Internal(Box::new(error)))?? {
                Attempt::Settled(one) => settled.push(one),
                Attempt::Gone(one) => {
                    settled.push(one);
                    is_over = true;
                }
                Attempt::NotMade => is_over = true,
            }
        }
        let place = if is_over { place } else { reached };
        Ok(self.shared.app.deliveries_settle(self.id, place, settled).await? && !is_over)
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, until: Option<Timestamp>, follow: bool) {
        let now = self.shared.app.clock().now();
        // The clock may be set meanwhile: it is looked at again now and then.
        let wait =
            until.map_or(LOOK, |until| Duration::try_from(until.duration_since(now)).unwrap_or_default());
        tokio::select! {
            // The senders are in what is shared, and do not go away before this does.
            _ = self.news.changed(), if follow => {}
            _ = self.nudges.changed() => {}
            () = tokio::time::sleep(wait.min(LOOK)) => {}
        }
    }
}

/// What became of an attempt.
enum Attempt {
    Settled(Settled),
    /// The target said that it is gone for good.
    Gone(Settled),
    /// The webhook was deleted or made inactive meanwhile: from then on it is told nothing.
    NotMade,
}

/// Tries a delivery once, to the webhook as it is by now.
async fn attempt(shared: Arc<Shared>, id: WebhookId, delivery: Delivery) -> Result<Attempt> {
    let Some(webhook) = shared.app.webhook_if_active(id).await? else { return Ok(Attempt::NotMade) };
    let message = Message { id: delivery.event, body: delivery.body.clone() };
    let failure = match shared.deliveries.attempt(&shared.app, &webhook, &message).await? {
        Ok(()) => {
            shared.metrics.count_delivery(metrics::DELIVERED);
            return Ok(Attempt::Settled(Settled::Delivered(delivery.sequence)));
        }
        Err(failure) => failure,
    };
    let is_gone = failure.is_gone;
    let failed = failed(&shared, delivery, failure);
    tell(&shared, &webhook, &failed);
    if !is_gone {
        return Ok(Attempt::Settled(Settled::Failed(failed)));
    }
    shared.app.webhook_gone(id).await?;
    tracing::warn!(webhook = %id, "the target of a webhook is gone for good: the webhook was made inactive");
    Ok(Attempt::Gone(Settled::Failed(failed)))
}

/// Tells the metrics and the log of an attempt that failed: of the URL only the host.
fn tell(shared: &Shared, webhook: &Webhook, failed: &Delivery) {
    let (id, host) = (webhook.id, webhook.url.host());
    let Delivery { sequence, attempts, error, .. } = failed;
    if failed.state == DeliveryState::Dead {
        shared.metrics.count_delivery(metrics::DEAD);
        tracing::warn!(webhook = %id, host, sequence, attempts, error, "a delivery was given up");
    } else {
        shared.metrics.count_delivery(metrics::FAILED);
        tracing::info!(webhook = %id, host, sequence, attempts, error, "a delivery failed");
    }
}

/// A delivery after an attempt that failed.
fn failed(shared: &Shared, delivery: Delivery, failure: Failure) -> Delivery {
    let now = shared.app.clock().now();
    let attempts = delivery.attempts + 1;
    let schedule = &shared.deliveries.settings.retry_after;
    let wait = schedule::wait(schedule, attempts, failure.retry_after).filter(|_| !failure.is_gone);
    let (state, due) = match wait {
        Some(wait) => (DeliveryState::Waiting, later(now, wait)),
        None => (DeliveryState::Dead, now),
    };
    Delivery { state, attempts, due, error: failure.text, ..delivery }
}

/// A time that is so long after another one; rounded up, as times are kept in seconds.
fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let seconds = i64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
