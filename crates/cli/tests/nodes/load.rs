//! Load on both nodes: writers and readers, and what they were told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::check;
use super::world::{Address, World};
use super::writer::Writer;
use crate::harness::rng::Rng;
use crate::harness::{Client, Reply, field, make_vault, poll, secret_in};

/// By way of which nodes each writer writes. One that waits for a node does not write by way of the other one meanwhile.
const WRITERS: [&[usize]; 4] = [&[0], &[1], &[0, 1], &[0, 1]];
pub(crate) const READ: &str = "read by all";

/// What a change came to, for all that its client knows.
pub(crate) enum Told {
    Done(Reply),
    /// It was not done, as the thing had changed before.
    Stale,
    /// No answer, or one that leaves it open.
    Nothing,
}

/// The changes that one node acknowledged.
struct Acknowledged {
    count: u64,
    last: Instant,
    /// The longest time without any.
    pause: Duration,
    /// The longest that a request took, whatever came of it.
    slowest: Duration,
}

pub(crate) struct Load {
    addresses: [Address; 2],
    pub(crate) token: String,
    reader: String,
    /// The id of the secret in which all count.
    pub(crate) counter: String,
    /// The id of the one that is resolved.
    pub(crate) read: String,
    over: AtomicBool,
    acknowledged: [Mutex<Acknowledged>; 2],
    pub(crate) unanswered: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) maybe_resolved: AtomicU64,
}

impl Load {
    fn prepare(world: &World) -> (Self, Vec<Writer>) {
        let mut admin = world.client(0);
        let vault = make_vault(&mut admin, "load");
        let mut counter = secret_in(&vault, "counter", "v");
        counter["metadata"] = json!("0");
        let mut make = |body: &Value| {
            let made = admin.post("/vault_secrets", body).expect_status(201).json();
            field(&made, "id").to_owned()
        };
        let (counter, read) = (make(&counter), make(&secret_in(&vault, "read", READ)));
        let grant = json!({"grants": [{"action": "resolve", "vault": "load"}]});
        let reader = admin.post("/api_keys", &grant).expect_status(201).json();
        let seed = Rng::fresh_seed();
        let writer = |(number, nodes): (usize, &&'static [usize])| {
            let vault = make_vault(&mut admin, &format!("w{number}"));
            Writer::new(&vault, nodes, seed.wrapping_add(number as u64))
        };
        let writers = WRITERS.iter().enumerate().map(writer).collect();
        let load = Self {
            addresses: [0, 1].map(|node| world.nodes[node].address.clone()),
            token: world.token.clone(),
            reader: field(&reader, "token").to_owned(),
            counter,
            read,
            over: AtomicBool::new(false),
            acknowledged: [(); 2].map(|()| {
                let (pause, slowest) = (Duration::ZERO, Duration::ZERO);
                Mutex::new(Acknowledged { count: 0, last: Instant::now(), pause, slowest })
            }),
            unanswered: AtomicU64::new(0),
            resolved: AtomicU64::new(0),
            maybe_resolved: AtomicU64::new(0),
        };
        (load, writers)
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Waits until a node has acknowledged so many more changes.
    pub(crate) fn more(&self, node: usize, count: u64) {
        let acknowledged = || self.acknowledged[node].lock().unwrap().count;
        let before = acknowledged();
        let what = format!("node {node} acknowledges changes");
        poll(&what, || (acknowledged() >= before + count).then_some(()));
    }

    /// The same for both.
    pub(crate) fn more_of_both(&self, count: u64) {
        self.more(0, count);
        self.more(1, count);
    }

    /// Waits until a few more requests were refused or left open.
    pub(crate) fn until_refused(&self) {
        let before = self.unanswered.load(Ordering::Relaxed);
        let refused = || self.unanswered.load(Ordering::Relaxed) >= before + 5;
        poll("requests are refused", || refused().then_some(()));
    }

    fn note(&self, node: usize, begun: Instant, acknowledged: bool) {
        let mut noted = self.acknowledged[node].lock().unwrap();
        noted.slowest = noted.slowest.max(begun.elapsed());
        if acknowledged {
            noted.count += 1;
            noted.pause = noted.pause.max(noted.last.elapsed());
            noted.last = Instant::now();
        } else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self, node: usize) {
        let (mut asker, mut admin) =
            (Asker::new(self, node, &self.reader), Asker::new(self, node, &self.token));
        let body = json!({"secrets": [{"vault": "load", "name": "read"}]});
        while self.goes_on() {
            let begun = Instant::now();
            match asker.ask(&[], "POST", "/strongroom/resolve", Some(&body)) {
                Some(reply) if reply.status == 200 => {
                    assert_eq!(reply.json()["secrets"][0]["value"], READ);
                    self.resolved.fetch_add(1, Ordering::Relaxed);
                    self.note(node, begun, true);
                }
                other => {
                    assert!(other.is_none_or(|reply| reply.status == 503));
                    self.maybe_resolved.fetch_add(1, Ordering::Relaxed);
                    self.note(node, begun, false);
                }
            }
            if let Some(reply) = admin.read("/vault_secrets?limit=20") {
                check::assert_whole(reply.json()["secrets"].as_array().unwrap());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn tell(&self, title: &str, took: Duration) {
        let figures = [0, 1].map(|node| {
            let noted = self.acknowledged[node].lock().unwrap();
            let (pause, slowest) = (noted.pause.as_millis(), noted.slowest.as_millis());
            format!(
                "node {node}: {} acknowledged, longest pause {pause} ms, slowest answer {slowest} ms",
                noted.count
            )
        });
        let unanswered = self.unanswered.load(Ordering::Relaxed);
        eprintln!("{title}: {:.1} s; {}; {unanswered} left open", took.as_secs_f64(), figures.join("; "));
    }
}

/// Ends what goes on until it is over, when a test fails, too.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has faults happen under load; then all must be well. How many changes were left open.
pub(crate) fn bad_day(title: &str, world: &mut World, faults: impl FnOnce(&mut World, &Load)) -> u64 {
    let (load, mut writers) = Load::prepare(world);
    let begun = Instant::now();
    thread::scope(|scope| {
        let ends = Ends(&load.over);
        let load = &load;
        for writer in &mut writers {
            scope.spawn(move || writer.write(load));
        }
        for node in [0, 1] {
            scope.spawn(move || load.read(node));
        }
        load.more_of_both(20);
        faults(world, load);
        load.more_of_both(20);
        drop(ends);
    });
    load.tell(title, begun.elapsed());
    check::all_is_well(world, &load, &writers);
    load.unanswered.load(Ordering::Relaxed)
}

/// Asks one node, on a connection that is kept for as long as it works.
pub(crate) struct Asker<'a> {
    load: &'a Load,
    node: usize,
    token: &'a str,
    client: Option<Client>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(load: &'a Load, node: usize, token: &'a str) -> Self {
        Self { load, node, token, client: None }
    }

    /// The answer, if any came.
    fn ask(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Option<Reply> {
        let address = || self.load.addresses[self.node].get();
        let mut client = self.client.take().unwrap_or_else(|| Client::new(&address(), self.token));
        let reply = client.try_call_with(headers, method, target, body).ok()?;
        self.client = Some(client);
        Some(reply)
    }

    /// What is to be read, unless the node cannot tell now.
    pub(crate) fn read(&mut self, target: &str) -> Option<Reply> {
        let reply = self.ask(&[], "GET", target, None)?;
        match reply.status {
            200 => Some(reply),
            503 => None,
            _ => panic!("{target}: {reply}"),
        }
    }

    /// Makes a change; anything but that it was done, that it was too late, or nothing is a failure.
    pub(crate) fn change(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: Option<&Value>,
        done: u16,
    ) -> Told {
        let begun = Instant::now();
        let reply = self.ask(headers, method, target, body);
        let told = match reply {
            Some(reply) if reply.status == done => Told::Done(reply),
            Some(reply) if reply.status == 412 => Told::Stale,
            Some(reply) if reply.status != 503 => panic!("{method} {target} {headers:?} {body:?}: {reply}"),
            _ => Told::Nothing,
        };
        self.load.note(self.node, begun, !matches!(told, Told::Nothing));
        told
    }
}
