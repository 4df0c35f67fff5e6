//! Load on both nodes: writers and readers, and what they were told.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::histories::{self, Played};
use super::world::{Address, World};
use super::writer::Writer;
use super::{check, figures, number_from_env};
use crate::harness::rng::Rng;
use crate::harness::{Client, Reply, field, make_vault, poll, secret_in};

/// By way of which nodes each writer writes. One that waits for a node does not write by way of the other one meanwhile.
const WRITERS: [&[usize]; 4] = [&[0], &[1], &[0, 1], &[0, 1]];
pub(crate) const READ: &str = "read by all";

/// The longest that a node may take to acknowledge changes again once a fault is over.
const RECOVERED: Duration = Duration::from_secs(15);
/// What was done before a fault began is answered by then.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// What a change came to, for all that its client knows.
pub(crate) enum Told {
    Done(Reply),
    /// It was not done, as the thing had changed before.
    Stale,
    /// No answer, or one that leaves it open.
    Nothing,
}

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// A change was acknowledged.
    Written,
    /// Anything else was answered: a value, or that a change came too late.
    Answered,
    Nothing,
}

/// What one node did.
struct Noted {
    written: u64,
    answered: u64,
    last: Instant,
    /// The longest time without an acknowledged change.
    pause: Duration,
    /// The longest that a request took, whatever came of it.
    slowest: Duration,
}

pub(crate) struct Load {
    addresses: [Address; 2],
    pub(crate) token: String,
    /// A key that resolves everything.
    pub(crate) reader: String,
    /// The id of the secret in which all count.
    pub(crate) counter: String,
    /// The id of the one that all read.
    pub(crate) read: String,
    /// Whoever draws numbers draws them from it.
    pub(crate) seed: u64,
    over: AtomicBool,
    noted: [Mutex<Noted>; 2],
    unanswered: AtomicU64,
    /// Histories that came to their end.
    pub(crate) played: AtomicU64,
    pub(crate) resolved: AtomicU64,
    pub(crate) maybe_resolved: AtomicU64,
}

impl Load {
    pub(crate) fn prepare(world: &World) -> (Self, Vec<Writer>) {
        let mut admin = world.client(0);
        let vault = make_vault(&mut admin, "load");
        make_vault(&mut admin, histories::VAULT);
        // The description of each tells its value.
        let mut make = |name: &str, value: &str, metadata: &str| {
            let mut body = secret_in(&vault, name, value);
            (body["description"], body["metadata"]) = (json!(value), json!(metadata));
            let made = admin.post("/vault_secrets", &body).expect_status(201).json();
            field(&made, "id").to_owned()
        };
        let (counter, read) = (make("counter", "none", "0"), make("read", READ, ""));
        let grant = json!({"grants": [{"action": "resolve", "vault": "*"}]});
        let reader = admin.post("/api_keys", &grant).expect_status(201).json();
        let seed = number_from_env("STRONGROOM_SEED", Rng::fresh_seed());
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
            seed,
            over: AtomicBool::new(false),
            noted: [(); 2].map(|()| {
                let (pause, slowest) = (Duration::ZERO, Duration::ZERO);
                Mutex::new(Noted { written: 0, answered: 0, last: Instant::now(), pause, slowest })
            }),
            unanswered: AtomicU64::new(0),
            played: AtomicU64::new(0),
            resolved: AtomicU64::new(0),
            maybe_resolved: AtomicU64::new(0),
        };
        (load, writers)
    }

    pub(crate) fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Ends it when it is dropped.
    pub(crate) fn ends(&self) -> Ends<'_> {
        Ends(&self.over)
    }

    /// Changes that a node acknowledged.
    fn written(&self, node: usize) -> u64 {
        self.noted[node].lock().unwrap().written
    }

    /// Waits until a node has acknowledged so many more changes.
    pub(crate) fn more(&self, node: usize, count: u64) {
        let before = self.written(node);
        let what = format!("node {node} acknowledges changes");
        poll(&what, || (self.written(node) >= before + count).then_some(()));
    }

    /// The same for both.
    pub(crate) fn more_of_both(&self, count: u64) {
        self.more(0, count);
        self.more(1, count);
    }

    /// Fails if one of these nodes acknowledges a change in all of this time.
    pub(crate) fn nothing_of(&self, nodes: &[usize], time: Duration) {
        let written = || -> Vec<u64> { nodes.iter().map(|node| self.written(*node)).collect() };
        thread::sleep(UNDER_WAY);
        let before = written();
        thread::sleep(time);
        assert_eq!(written(), before, "what nodes {nodes:?} acknowledged, though they could not");
    }

    /// Ends a fault, and waits until both nodes acknowledge changes again. How long that took is told, and is bounded.
    pub(crate) fn recovers(&self, fault: &str, end: impl FnOnce()) {
        let begun = Instant::now();
        end();
        self.more_of_both(1);
        let took = begun.elapsed();
        figures::tell(&format!("{fault}: changes of both nodes {} ms after its end", took.as_millis()));
        assert!(took < RECOVERED, "{fault}: it took {took:?}");
        self.more_of_both(20);
    }

    /// Waits until a few more requests were refused or left open.
    pub(crate) fn until_refused(&self) {
        let before = self.unanswered.load(Ordering::Relaxed);
        let refused = || self.unanswered.load(Ordering::Relaxed) >= before + 5;
        poll("requests are refused", || refused().then_some(()));
    }

    fn note(&self, node: usize, begun: Instant, came: Came) {
        let mut noted = self.noted[node].lock().unwrap();
        noted.slowest = noted.slowest.max(begun.elapsed());
        match came {
            Came::Written => {
                noted.written += 1;
                noted.pause = noted.pause.max(noted.last.elapsed());
                noted.last = Instant::now();
            }
            Came::Answered => noted.answered += 1,
            Came::Nothing => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn read(&self, node: usize) {
        let (mut asker, mut admin) =
            (Asker::new(self, node, &self.reader), Asker::new(self, node, &self.token));
        let read = json!({"secrets": [{"vault": "load", "name": "read"}]});
        while self.goes_on() {
            let begun = Instant::now();
            let came = match asker.resolve(&read) {
                Some(reply) if reply.status == 200 => {
                    assert_eq!(reply.json()["secrets"][0]["value"], READ);
                    self.resolved.fetch_add(1, Ordering::Relaxed);
                    Came::Answered
                }
                other => {
                    assert!(other.is_none(), "it is there for all to read");
                    self.maybe_resolved.fetch_add(1, Ordering::Relaxed);
                    Came::Nothing
                }
            };
            self.note(node, begun, came);
            if let Some(reply) = admin.read("/vault_secrets?limit=20") {
                let secrets = reply.json()["secrets"].as_array().unwrap().clone();
                check::assert_whole(&secrets);
                self.read_one(&mut asker, &secrets);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Reads a value that is changed all the time, of one of these secrets: what is read is of one moment.
    fn read_one(&self, asker: &mut Asker<'_>, secrets: &[Value]) {
        let Some(secret) = secrets.iter().find(|secret| check::is_writers(secret)) else { return };
        let (begun, node) = (Instant::now(), asker.node);
        let came = match asker.resolve(&json!({"secrets": [{"id": secret["id"]}]})) {
            Some(reply) if reply.status == 200 => {
                let resolved = &reply.json()["secrets"][0];
                assert_eq!(resolved["value"], resolved["name"], "half applied");
                Came::Answered
            }
            // It is gone by now.
            Some(_) => Came::Answered,
            None => Came::Nothing,
        };
        self.note(node, begun, came);
    }

    fn tell(&self, title: &str, took: Duration) {
        let of_nodes = [0, 1].map(|node| {
            let noted = self.noted[node].lock().unwrap();
            let (pause, slowest) = (noted.pause.as_millis(), noted.slowest.as_millis());
            format!(
                "node {node}: {} changes acknowledged and {} other answers, longest pause between changes {pause} ms, \
                 slowest answer {slowest} ms",
                noted.written, noted.answered
            )
        });
        let open = self.unanswered.load(Ordering::Relaxed);
        figures::tell(&format!(
            "{title}: {:.1} s; {}; {open} left open; STRONGROOM_SEED={}",
            took.as_secs_f64(),
            of_nodes.join("; "),
            self.seed
        ));
    }
}

/// Ends what goes on until it is over, when a test fails, too.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a bad day left open.
pub(crate) struct Day {
    /// Requests of writers and readers.
    pub(crate) requests: u64,
    /// Operations of histories.
    pub(crate) operations: u64,
}

/// Has faults happen under load; then all must be well.
pub(crate) fn bad_day(title: &str, world: &mut World, faults: impl FnOnce(&mut World, &Load)) -> Day {
    let (load, mut writers) = Load::prepare(world);
    eprintln!("{title}: STRONGROOM_SEED={} repeats this, as far as threads do", load.seed);
    let begun = Instant::now();
    let played: Vec<Played> = thread::scope(|scope| {
        let load = &load;
        let ends = load.ends();
        for writer in &mut writers {
            scope.spawn(move || writer.write(load));
        }
        for node in [0, 1] {
            scope.spawn(move || load.read(node));
        }
        let playing = histories::GROUPS.map(|group| scope.spawn(move || histories::play(load, group)));
        load.more_of_both(20);
        faults(world, load);
        load.more_of_both(20);
        histories::until_enough(load);
        drop(ends);
        playing.into_iter().flat_map(|playing| playing.join().unwrap()).collect()
    });
    load.tell(title, begun.elapsed());
    let operations = histories::check(title, &load, played).open;
    check::all_is_well(world, &load, &writers);
    Day { requests: load.unanswered.load(Ordering::Relaxed), operations }
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
    pub(crate) fn ask(
        &mut self,
        headers: &[(&str, &str)],
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> io::Result<Reply> {
        let address = || self.load.addresses[self.node].get();
        let mut client = self.client.take().unwrap_or_else(|| Client::new(&address(), self.token));
        let reply = client.try_call_with(headers, method, target, body)?;
        self.client = Some(client);
        Ok(reply)
    }

    /// What is to be read, unless the node cannot tell now.
    pub(crate) fn read(&mut self, target: &str) -> Option<Reply> {
        let reply = self.ask(&[], "GET", target, None).ok()?;
        match reply.status {
            200 => Some(reply),
            503 => None,
            _ => panic!("{target}: {reply}"),
        }
    }

    /// Values, or that there are none of that name; nothing, if the node cannot tell now.
    fn resolve(&mut self, body: &Value) -> Option<Reply> {
        let reply = self.ask(&[], "POST", "/strongroom/resolve", Some(body)).ok()?;
        match reply.status {
            200 | 404 => Some(reply),
            503 => None,
            _ => panic!("{body}: {reply}"),
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
        let told = match self.ask(headers, method, target, body) {
            Ok(reply) if reply.status == done => Told::Done(reply),
            Ok(reply) if reply.status == 412 => Told::Stale,
            Ok(reply) if reply.status != 503 => panic!("{method} {target} {headers:?} {body:?}: {reply}"),
            _ => Told::Nothing,
        };
        let came = match told {
            Told::Done(_) => Came::Written,
            Told::Stale => Came::Answered,
            Told::Nothing => Came::Nothing,
        };
        self.load.note(self.node, begun, came);
        told
    }
}
