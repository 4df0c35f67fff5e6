#![doc = include_str!("../README.md")]

mod client_address;
pub mod delivery;
pub mod error;
mod feed;
pub mod front;
pub mod leases;
pub mod listen;
pub mod metrics;
mod openapi;
pub mod origin;
pub mod parse;
mod rate;
mod rendered;
pub mod root_key;
pub mod rotator;
pub mod routes;
mod sealing;
mod session;
pub mod sweeper;
pub mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_domain::app::App;
use strongroom_domain::cidr::Cidr;

pub use front::Front;
pub use openapi::openapi;
pub use root_key::Opener;
pub use routes::ROUTES;
pub use sealing::{Condition, Refusal, services};

use delivery::Deliveries;
use feed::Feed;
use leases::Leases;
use metrics::Metrics;
use origin::Origin;
use rate::Rate;
use rendered::Rendered;
use root_key::RootRotator;
use rotator::Rotator;
use sealing::Sealing;

/// What the server is told beside the house it serves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients reach the server; otherwise each request tells.
    pub external_url: Option<Origin>,
    /// Ignore body fields and query parameters that are unknown, instead of refusing them.
    pub lenient: bool,
    /// Stay ready while the store cannot be reached, as metadata is answered from memory then.
    pub ready_without_store: bool,
    /// Time for a request's body.
    pub body_timeout: std::time::Duration,
    /// Requests a minute and account; `None` is no limit.
    pub requests_per_minute: Option<std::num::NonZeroU32>,
    /// Those who may wait for changes at a time: each keeps a connection, or a part of one, from others.
    pub watchers: usize,
    /// The proxies that are believed about whom they ask for.
    pub trusted_proxies: Vec<Cidr>,
    /// How webhooks are delivered to.
    pub webhooks: delivery::Settings,
    /// The services that keep keys of key slots.
    pub slots: strongroom_slots::Config,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            external_url: None,
            lenient: false,
            ready_without_store: false,
            body_timeout: std::time::Duration::from_secs(30),
            requests_per_minute: None,
            watchers: 5000,
            trusted_proxies: Vec::new(),
            webhooks: delivery::Settings::default(),
            slots: strongroom_slots::Config::default(),
        }
    }
}

/// What every request shares.
pub struct Shared {
    pub(crate) app: App,
    pub(crate) settings: Settings,
    pub(crate) rate: Option<Rate>,
    pub(crate) rendered: Rendered,
    pub(crate) feed: Feed,
    pub(crate) deliveries: Deliveries,
    pub(crate) leases: Leases,
    pub(crate) rotator: Rotator,
    pub(crate) root_rotator: RootRotator,
    pub(crate) sealing: Sealing,
    leaving: AtomicBool,
    /// The server's counters.
    pub metrics: Metrics,
}

impl Shared {
    /// The house that is served.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Says that the server stops soon: it is not ready any more, and answers as before.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Ends what only waits for something to happen: the server stops.
    pub fn stop_waiting(&self) {
        self.feed.stop();
    }

    /// Says what must hold before callers are let in that wait for the server to be unsealed.
    pub fn let_in_if(&self, condition: Condition) {
        self.sealing.set_condition(condition);
    }

    /// Says what opens the root key that another process put in the place of the one in memory.
    pub fn open_again_by(&self, opener: Opener) {
        self.root_rotator.set_opener(opener);
    }

    /// Puts a server together.
    #[must_use]
    pub fn new(app: App, settings: Settings) -> Arc<Self> {
        let rate = settings.requests_per_minute.map(Rate::per_minute);
        let deliveries = Deliveries::new(settings.webhooks.clone());
        let (rendered, feed, metrics) =
            (Rendered::default(), Feed::new(settings.watchers), Metrics::default());
        let (rotator, root_rotator, sealing) =
            (Rotator::default(), RootRotator::default(), Sealing::default());
        Arc::new(Self {
            app,
            settings,
            rate,
            rendered,
            feed,
            deliveries,
            leases: Leases::default(),
            rotator,
            root_rotator,
            sealing,
            leaving: AtomicBool::new(false),
            metrics,
        })
    }
}
