//! The server's counters, in OpenMetrics text.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use strongroom_domain::store::{Connections, Counts};
use strongroom_domain::webhook::DeliveryCounts;

use crate::delivery::Deliveries;

/// The content type of the counters as text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency buckets, in seconds: from what a cached read takes to what a client gives up at.
const BUCKETS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

/// What tells one series of requests from another. No value that a client chose is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
}

/// The counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Labels, Histogram, fn() -> Histogram>,
    /// Open connections.
    pub connections: Gauge,
    /// Those who wait for changes.
    pub(crate) feed_watchers: Gauge,
    /// Changes that were sent to them, each counted for each.
    pub(crate) feed_changes: Counter,
    /// Records of the log that were read for all of them together.
    pub(crate) feed_records: Counter,
    deliveries: Family<Outcome, Counter>,
    restricted: Family<Outcome, Counter>,
    /// Values that rotations of keys are done with.
    pub(crate) rotated_values: Counter,
    /// Rotations that failed and are tried again.
    pub(crate) failed_rotations: Counter,
}

/// An enforced restriction kept a request out.
pub(crate) const REFUSED: &str = "refused";
/// One that is not enforced would have.
pub(crate) const WARNED: &str = "warned";

/// An attempt to deliver to a webhook was taken.
pub(crate) const DELIVERED: &str = "delivered";
/// One was not, and is made again.
pub(crate) const FAILED: &str = "failed";
/// One was not, and was the last.
pub(crate) const DEAD: &str = "dead";

/// What tells one series of attempts to deliver to webhooks, or of requests from restricted addresses, from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let connections = Gauge::default();
        let mut registry = Registry::with_prefix("strongroom");
        let help = "Time from a request's head to its answer, by route and status";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, requests.clone());
        registry.register("http_connections", "Open connections", connections.clone());
        let feed_watchers = Gauge::default();
        registry.register("feed_watchers", "Those who wait for changes", feed_watchers.clone());
        let (feed_changes, feed_records) = (Counter::default(), Counter::default());
        registry.register(
            "feed_changes",
            "Changes sent, counted for each who got them",
            feed_changes.clone(),
        );
        let help = "Records of the log read for all who wait together";
        registry.register("feed_records", help, feed_records.clone());
        let deliveries = Family::<Outcome, Counter>::default();
        let help = "Attempts to deliver to webhooks, by how they ended";
        registry.register("webhook_deliveries", help, deliveries.clone());
        for outcome in [DELIVERED, FAILED, DEAD] {
            // So that each is there from the start: what is not there cannot be seen to rise.
            drop(deliveries.get_or_create(&Outcome { outcome }));
        }
        let restricted = Family::<Outcome, Counter>::default();
        let help = "Requests from addresses that an IP restriction does not allow";
        registry.register("ip_restricted_requests", help, restricted.clone());
        for outcome in [REFUSED, WARNED] {
            drop(restricted.get_or_create(&Outcome { outcome }));
        }
        let (rotated_values, failed_rotations) = (Counter::default(), Counter::default());
        let help = "Values in rotations of keys that came to their end";
        registry.register("key_rotation_values", help, rotated_values.clone());
        let help = "Rotations of keys that failed, and are tried again";
        registry.register("key_rotation_failures", help, failed_rotations.clone());
        Self {
            registry,
            requests,
            connections,
            feed_watchers,
            feed_changes,
            feed_records,
            deliveries,
            restricted,
            rotated_values,
            failed_rotations,
        }
    }
}

/// What is counted by reading the store.
pub(crate) struct Stored {
    pub(crate) counts: Counts,
    pub(crate) deliveries: DeliveryCounts,
    /// Rotations of keys that are under way.
    pub(crate) rotations: u64,
}

impl Metrics {
    pub(crate) fn observe(&self, labels: &Labels, took: Duration) {
        self.requests.get_or_create(labels).observe(took.as_secs_f64());
    }

    /// Counts an attempt to deliver to a webhook by how it ended.
    pub(crate) fn count_delivery(&self, outcome: &'static str) {
        self.deliveries.get_or_create(&Outcome { outcome }).inc();
    }

    /// Counts a request from an address that a restriction does not allow.
    pub(crate) fn count_restricted(&self, outcome: &'static str) {
        self.restricted.get_or_create(&Outcome { outcome }).inc();
    }

    /// All of it as text, with what the store holds, if that could be read.
    ///
    /// # Errors
    /// Only when a text cannot be written to memory.
    pub(crate) fn view(
        &self,
        stored: Option<&Stored>,
        deliveries: &Deliveries,
    ) -> Result<String, std::fmt::Error> {
        let mut out = String::with_capacity(16 << 10);
        text::encode_registry(&mut out, &self.registry)?;
        let own = [
            ("store_up", "gauge", "Whether the store could be read just now", u64::from(stored.is_some())),
            ("webhook_held", "gauge", "Webhooks told nothing new, as too much waits", deliveries.held()),
            (
                "webhook_lag",
                "gauge",
                "Records that the slowest webhook is behind the last change",
                deliveries.lag(),
            ),
        ];
        view_numbers(&mut out, &own)?;
        if let Some(stored) = stored {
            view_stored(&mut out, stored)?;
        }
        text::encode_eof(&mut out)?;
        Ok(out)
    }
}

fn view_stored(out: &mut String, stored: &Stored) -> std::fmt::Result {
    let Stored { counts, deliveries, rotations } = stored;
    let mut numbers = vec![
        ("store_vaults", "gauge", "Vaults", counts.vaults),
        ("store_secrets", "gauge", "Secrets", counts.secrets),
        ("store_api_keys", "gauge", "API keys", counts.api_keys),
        ("store_audit_events", "counter", "Audit events ever written", counts.events),
        ("store_commits", "counter", "Commits since the start", counts.commits),
        ("store_changes", "counter", "Changes in those commits", counts.changes),
        ("webhook_waiting", "gauge", "Deliveries to webhooks that are tried again", deliveries.waiting),
        ("key_rotations", "gauge", "Rotations of keys that are under way", *rotations),
        ("webhook_dead", "gauge", "Deliveries to webhooks that were given up", deliveries.dead),
    ];
    // Not every database tells its size.
    numbers.extend(counts.bytes.map(|bytes| ("store_bytes", "gauge", "Size of the store on disk", bytes)));
    view_numbers(out, &numbers)?;
    if let Some(connections) = counts.connections {
        view_connections(out, connections)?;
    }
    view_batches(out, counts)
}

/// Numbers by their names, with type and help.
fn view_numbers(out: &mut String, numbers: &[(&str, &str, &str, u64)]) -> std::fmt::Result {
    for (name, kind, help, value) in numbers {
        let suffix = if *kind == "counter" { "_total" } else { "" };
        writeln!(out, "# HELP strongroom_{name} {help}.\n# TYPE strongroom_{name} {kind}")?;
        writeln!(out, "strongroom_{name}{suffix} {value}")?;
    }
    Ok(())
}

fn view_connections(out: &mut String, Connections { open, idle, waiting }: Connections) -> std::fmt::Result {
    let gauges = [
        ("connections", "Open connections to the database", open),
        ("connections_idle", "Those of them that nobody uses", idle),
        ("connections_waiting", "Requests that wait for a connection to the database", waiting),
    ];
    for (name, help, value) in gauges {
        writeln!(out, "# HELP strongroom_database_{name} {help}.\n# TYPE strongroom_database_{name} gauge")?;
        writeln!(out, "strongroom_database_{name} {value}")?;
    }
    Ok(())
}

fn view_batches(out: &mut String, counts: &Counts) -> std::fmt::Result {
    const NAME: &str = "strongroom_store_batch_changes";
    writeln!(out, "# HELP {NAME} Changes in a commit.\n# TYPE {NAME} histogram")?;
    let mut below = 0;
    for (power, commits) in counts.batch_sizes.iter().enumerate() {
        below += commits;
        writeln!(out, "{NAME}_bucket{{le=\"{}.0\"}} {below}", 1u64 << power)?;
    }
    writeln!(out, "{NAME}_bucket{{le=\"+Inf\"}} {below}")?;
    writeln!(out, "{NAME}_sum {}\n{NAME}_count {below}", counts.changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Settings;

    #[tokio::test]
    async fn the_size_of_a_store_is_told_where_it_is_known() {
        let told = |bytes| {
            let counts = Counts { bytes, ..Counts::default() };
            let deliveries = Deliveries::new(Settings::default());
            let stored = Stored { counts, deliveries: DeliveryCounts::default(), rotations: 0 };
            Metrics::default().view(Some(&stored), &deliveries).unwrap()
        };
        assert!(told(Some(7)).contains("\nstrongroom_store_bytes 7\n"));
        assert!(!told(None).contains("store_bytes"));
    }
}
