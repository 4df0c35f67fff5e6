//! One webhook's way through the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strongroom_domain::Result;
use strongroom_domain::ids::WebhookId;
use strongroom_domain::store::Lease;
use strongroom_domain::webhook::{Delivery, Settled, Webhook, WebhookUrl};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::{Ended, attempt, failed, later, ours, put_off};
use super::standing::Standing;
use super::{LOOK, PAUSE, PAUSE_MAX, message, recent, told};
use crate::{Shared, leases, metrics};

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
    /// Which change of the webhook was seen last.
    revision: Option<u64>,
    /// When the place was last stored.
    stored: Instant,
    /// What became of attempts and is not on disk yet. Until it is, nothing more is sent: only its commit is tried again.
    unsettled: Option<Unsettled>,
    /// The target that asked to be left alone, and until when.
    quiet: Option<(WebhookUrl, Timestamp)>,
    /// Whether so much waits that nothing new is taken.
    held: bool,
}

/// What became of a batch.
struct Unsettled {
    /// Up to which record all is settled with it.
    place: u64,
    settled: Vec<Settled>,
    /// Whether the webhook was there and active to the end.
    goes_on: bool,
    /// Whether the target said that it is gone for good.
    is_gone: bool,
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
    /// There are too many that wait: the place stays where it is.
    Full,
}

/// Delivers for as long as the webhook is active, whenever this process holds its lease.
pub(super) async fn run(shared: Arc<Shared>, id: WebhookId) {
    loop {
        // Without keys nothing is signed.
        shared.app.unsealed().await;
        // What was known under a lease before is forgotten: it begins at the place that is stored.
        let lane = Lane::new(shared.clone(), id);
        if let Some(Over::Gone) = leases::while_held(&shared, Lease::Delivering(id), lane.deliver_on()).await
        {
            return;
        }
    }
}

/// Why a lane ends by itself.
enum Over {
    /// The webhook is deleted, or not active.
    Gone,
    /// There are no keys.
    Sealed,
}

impl Lane {
    fn new(shared: Arc<Shared>, id: WebhookId) -> Self {
        let (nudges, news) = (shared.deliveries.nudges.subscribe(), shared.deliveries.recent.news());
        let (unsettled, quiet) = (None, None);
        let (seen, revision, stored, held) = (0, None, Instant::now(), false);
        Self { shared, id, nudges, news, seen, revision, stored, unsettled, quiet, held }
    }

    /// Delivers for as long as the webhook is active and there are keys.
    async fn deliver_on(mut self) -> Over {
        let mut pause = PAUSE;
        loop {
            if self.shared.app.is_sealed() {
                return Over::Sealed;
            }
            match self.step().await {
                Ok(Step::Gone) => return Over::Gone,
                Ok(Step::Worked) => pause = PAUSE,
                Ok(Step::Idle { until, follow }) => {
                    pause = PAUSE;
                    self.wait(until, follow).await;
                }
                Err(error) => {
                    told(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Step> {
        // Marked as seen before anything is read, so that what comes after it is not missed.
        self.nudges.mark_unchanged();
        self.news.mark_unchanged();
        if !self.settle().await? {
            return Ok(Step::Gone);
        }
        let Some(webhook) = self.shared.app.webhook_if_active(self.id).await? else { return Ok(Step::Gone) };
        self.seen = self.seen.max(webhook.position);
        self.tell_standing();
        self.store_place_if_changed(&webhook).await?;
        let now = self.shared.app.clock().now();
        if let Some(until) = self.quiet_until(&webhook, now) {
            return Ok(Step::Idle { until: Some(until), follow: false });
        }
        let mut due = self.shared.app.deliveries_next(self.id, BATCH).await?;
        let ready = due.iter().position(|delivery| delivery.due > now).unwrap_or(due.len());
        let next = due.get(ready).map(|delivery| delivery.due);
        due.truncate(ready);
        if !due.is_empty() {
            self.deliver(&webhook, due, webhook.position).await;
            if !self.settle().await? {
                return Ok(Step::Gone);
            }
            if self.quiet.is_none() {
                self.take(&webhook).await?;
            }
            return Ok(Step::Worked);
        }
        Ok(match self.take(&webhook).await? {
            Taken::Some => Step::Worked,
            Taken::None => Step::Idle { until: next, follow: true },
            Taken::Full => Step::Idle { until: next, follow: false },
        })
    }

    /// Stores the place when the webhook was changed, by another process perhaps: what was passed over by the types of before is not
    /// to be told by those of now.
    async fn store_place_if_changed(&mut self, webhook: &Webhook) -> Result<()> {
        if self.revision.is_some_and(|known| known != webhook.revision) && self.seen > webhook.position {
            self.shared.app.deliveries_settle(self.id, self.seen, Vec::new()).await?;
        }
        self.revision = Some(webhook.revision);
        Ok(())
    }

    /// Until when the webhook's target is to be left alone, if it still is; another target did not ask for it.
    fn quiet_until(&mut self, webhook: &Webhook, now: Timestamp) -> Option<Timestamp> {
        self.quiet.take_if(|(url, until)| *url != webhook.url || *until <= now);
        self.quiet.as_ref().map(|(_, until)| *until)
    }

    /// Takes the next records of the log.
    async fn take(&mut self, webhook: &Webhook) -> Result<Taken> {
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
        if !deliveries.is_empty() && !self.has_room().await? {
            return Ok(Taken::Full);
        }
        // It is settled with the next step.
        self.deliver(webhook, deliveries, end).await;
        Ok(Taken::Some)
    }

    /// Whether more deliveries can be kept. Dead ones make room, the oldest first.
    async fn has_room(&mut self) -> Result<bool> {
        let counts = self.shared.app.delivery_counts(self.id).await?;
        let is_full = counts.waiting >= Webhook::DELIVERIES_MAX;
        if is_full && !self.held {
            let waiting = counts.waiting;
            tracing::warn!(webhook = %self.id, waiting, "a webhook is told nothing new until fewer deliveries wait");
        }
        self.held = is_full;
        self.tell_standing();
        let room = Webhook::DELIVERIES_MAX - BATCH as u64;
        let over = (counts.waiting + counts.dead).saturating_sub(room).min(counts.dead);
        if !is_full && over > 0 {
            self.shared.app.deliveries_forget(self.id, over).await?;
        }
        Ok(!is_full)
    }

    /// Tries each delivery once, and notes what is to be kept of that, with the place that is then reached.
    async fn deliver(&mut self, webhook: &Webhook, deliveries: Vec<Delivery>, reached: u64) {
        let (mut waiting, mut attempts) = (deliveries.into_iter(), JoinSet::new());
        let mut under_way = HashMap::new();
        let mut batch = Unsettled { place: reached, settled: Vec::new(), goes_on: true, is_gone: false };
        loop {
            while attempts.len() < ATTEMPTS
                && batch.goes_on
                && self.quiet.is_none()
                && let Some(delivery) = waiting.next()
            {
                let delivery = Arc::new(delivery);
                let task = attempts.spawn(attempt(self.shared.clone(), self.id, delivery.clone()));
                under_way.insert(task.id(), delivery);
            }
            let Some(ended) = attempts.join_next_with_id().await else { break };
            let (task, ended) = ended.unwrap_or_else(|error| {
                tracing::error!(webhook = %self.id, %error, "an attempt to deliver broke off");
                (error.id(), Ended::Failed(ours()))
            });
            if let Some(delivery) = under_way.remove(&task) {
                self.note(webhook, &delivery, ended, &mut batch);
            }
        }
        if batch.goes_on
            && let Some((_, until)) = &self.quiet
        {
            batch.settled.extend(waiting.map(|delivery| Settled::Failed(put_off(delivery, *until))));
        }
        if !batch.goes_on {
            batch.place = webhook.position;
        }
        self.unsettled = Some(batch);
    }

    fn note(&mut self, webhook: &Webhook, delivery: &Delivery, ended: Ended, batch: &mut Unsettled) {
        let failure = match ended {
            Ended::Told => {
                self.shared.metrics.count_delivery(metrics::DELIVERED);
                batch.settled.push(Settled::Delivered(delivery.sequence));
                return;
            }
            Ended::NotMade => {
                batch.goes_on = false;
                return;
            }
            Ended::Failed(failure) => failure,
        };
        if failure.is_gone {
            (batch.goes_on, batch.is_gone) = (false, true);
        }
        if let Some(wait) = failure.retry_after.filter(|wait| !wait.is_zero()) {
            let until = later(self.shared.app.clock().now(), wait);
            let until = self.quiet.as_ref().map_or(until, |(_, known)| until.max(*known));
            self.quiet = Some((webhook.url.clone(), until));
        }
        batch.settled.push(Settled::Failed(failed(&self.shared, webhook, delivery, failure)));
    }

    /// Keeps what became of attempts; says whether the webhook was there and active to the end.
    async fn settle(&mut self) -> Result<bool> {
        let Some(batch) = &self.unsettled else { return Ok(true) };
        if batch.is_gone {
            self.shared.app.webhook_gone(self.id).await?;
        }
        let kept = self.shared.app.deliveries_settle(self.id, batch.place, batch.settled.clone()).await?;
        if batch.is_gone {
            tracing::warn!(webhook = %self.id, "the target of a webhook is gone for good: the webhook was made inactive");
        }
        let goes_on = kept && batch.goes_on;
        (self.seen, self.stored) = (self.seen.max(batch.place), Instant::now());
        self.unsettled = None;
        self.tell_standing();
        Ok(goes_on)
    }

    fn tell_standing(&self) {
        let standing = Standing { seen: self.seen, held: self.held };
        self.shared.deliveries.standings.set(self.id, standing);
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
            () = self.shared.app.sealed() => {}
            () = tokio::time::sleep(wait.min(LOOK)) => {}
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.deliveries.standings.remove(self.id);
    }
}
