//! Histories of changes to one secret by way of both nodes: linearizable, each as if there were one node that does one at a time.
//!
//! What is read is read by a change of nothing, which sees what was changed before it on whichever node; a GET may be up to 100 ms behind.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_testbed::linear::{self, Call, History, Model, Outcome};

use super::check::assert_chain_holds;
use super::load::{Asker, Load};
use super::world::World;
use super::{figures, number_from_env};
use crate::harness::rng::Rng;
use crate::harness::{Reply, field, list_all, poll};

/// Where their secrets are.
pub(crate) const VAULT: &str = "histories";
/// Those who play at once, each group a history of its own: a fault comes in the middle of several.
pub(crate) const GROUPS: [u64; 3] = [0, 1, 2];
/// Of each history; each goes by one node.
const CLIENTS: u64 = 4;
const OPERATIONS: u64 = 8;

/// A secret by one name: which one it is, by the mark it was made with, and the mark that it has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Held {
    made: u64,
    mark: u64,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Create {
        mark: u64,
    },
    /// With an expected mark, only if it has that one.
    Update {
        made: u64,
        mark: u64,
        expected: Option<u64>,
    },
    Read {
        made: u64,
    },
    Delete {
        made: u64,
    },
}

impl Op {
    fn reads(self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

/// An operation, and the node that was asked for it.
#[derive(Debug, Clone, Copy)]
struct Asked {
    node: usize,
    op: Op,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Has(u64),
    Deleted,
    Missing,
    Exists,
    Stale,
}

struct Named;

impl Named {
    fn apply(state: Option<Held>, op: Op) -> (Option<Held>, Answer) {
        let found = |of: u64| state.filter(|held| held.made == of);
        match op {
            Op::Create { mark } if state.is_none() => (Some(Held { made: mark, mark }), Answer::Has(mark)),
            Op::Create { .. } => (state, Answer::Exists),
            Op::Update { made, mark, expected } => match found(made) {
                None => (state, Answer::Missing),
                Some(held) if expected.is_some_and(|expected| expected != held.mark) => {
                    (state, Answer::Stale)
                }
                Some(_) => (Some(Held { made, mark }), Answer::Has(mark)),
            },
            Op::Read { made } => (state, found(made).map_or(Answer::Missing, |held| Answer::Has(held.mark))),
            Op::Delete { made } if found(made).is_some() => (None, Answer::Deleted),
            Op::Delete { .. } => (state, Answer::Missing),
        }
    }
}

impl Model for Named {
    type State = Option<Held>;
    type Op = Asked;
    type Answer = Answer;

    fn start(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, asked: &Asked, answer: Option<&Answer>) -> Option<Self::State> {
        let (after, would) = Self::apply(*state, asked.op);
        answer.is_none_or(|answer| *answer == would).then_some(after)
    }

    fn only_reads(&self, asked: &Asked, answer: &Answer) -> bool {
        asked.op.reads() || !matches!(answer, Answer::Has(_) | Answer::Deleted)
    }
}

/// What the clients of a history have heard of.
#[derive(Default)]
struct Heard {
    /// Ids by the mark something was made with, and the tags of marks.
    ids: HashMap<u64, String>,
    tags: HashMap<u64, String>,
    /// What was heard last of what was made last, unless it is gone.
    last: Option<Held>,
}

/// A history, and what was heard in it.
pub(crate) struct Played {
    name: String,
    history: History<Asked, Answer>,
    heard: Mutex<Heard>,
}

/// One client of a history.
struct Player<'a, 'load> {
    asker: &'a mut Asker<'load>,
    node: usize,
    played: &'a Played,
    marks: Range<u64>,
    rng: Rng,
}

impl Player<'_, '_> {
    fn play(mut self) {
        for _ in 0..OPERATIONS {
            let op = self.choose();
            let mut answered = false;
            self.played.history.record(Asked { node: self.node, op }, |asked| {
                let outcome = self.act(asked.op);
                answered = matches!(outcome, Outcome::Answered(_));
                outcome
            });
            // Nobody hammers at what is away, and a core is left for the nodes and the database.
            thread::sleep(Duration::from_millis(if answered { 1 } else { 20 }));
        }
    }

    fn choose(&mut self) -> Op {
        let mark = self.marks.next().unwrap();
        let heard = self.played.heard.lock().unwrap();
        let Some(Held { made, mark: last }) = heard.last else { return Op::Create { mark } };
        match self.rng.below(20) {
            0..=1 => Op::Create { mark },
            2..=6 => Op::Update { made, mark, expected: None },
            7..=13 => Op::Update { made, mark, expected: Some(last) },
            14..=18 => Op::Read { made },
            _ => Op::Delete { made },
        }
    }

    fn act(&mut self, op: Op) -> Outcome<Answer> {
        let body = |mark: u64| json!({"metadata": mark.to_string(), "value": mark.to_string()});
        let heard = &self.played.heard;
        let target = |made: u64| format!("/vault_secrets/{}", heard.lock().unwrap().ids[&made]);
        let tag = |mark: u64| heard.lock().unwrap().tags[&mark].clone();
        let (headers, method, target, body) = match op {
            Op::Create { mark } => {
                let mut body = body(mark);
                (body["name"], body["vault_name"]) = (json!(self.played.name), json!(VAULT));
                (None, "POST", "/vault_secrets".to_owned(), Some(body))
            }
            Op::Update { made, mark, expected } => {
                (expected.map(tag), "PATCH", target(made), Some(body(mark)))
            }
            Op::Read { made } => (None, "PATCH", target(made), Some(json!({}))),
            Op::Delete { made } => (None, "DELETE", target(made), None),
        };
        let headers: Vec<_> = headers.iter().map(|tag| ("if-match", tag.as_str())).collect();
        match self.asker.ask(&headers, method, &target, body.as_ref()) {
            Ok(reply) if reply.status == 503 => Outcome::Unknown,
            Ok(reply) => Outcome::Answered(self.hear(op, &reply)),
            // Nobody listened, so that nothing was sent.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Outcome::NotDone,
            Err(_) => Outcome::Unknown,
        }
    }

    fn hear(&self, op: Op, reply: &Reply) -> Answer {
        let mut heard = self.played.heard.lock().unwrap();
        let of_last = match op {
            Op::Create { .. } => true,
            Op::Update { made, .. } | Op::Read { made } | Op::Delete { made } => {
                heard.last.is_some_and(|last| last.made == made)
            }
        };
        let (answer, last) = match reply.status {
            200 | 201 => {
                let mark = field(&reply.json(), "metadata").parse().unwrap();
                heard.tags.insert(mark, reply.header("etag").expect("an ETag").to_owned());
                let made = match op {
                    Op::Create { .. } => {
                        heard.ids.insert(mark, field(&reply.json(), "id").to_owned());
                        mark
                    }
                    Op::Update { made, .. } | Op::Read { made } | Op::Delete { made } => made,
                };
                (Answer::Has(mark), Some(Held { made, mark }))
            }
            204 => (Answer::Deleted, None),
            404 => (Answer::Missing, None),
            412 => (Answer::Stale, heard.last),
            400 if reply.json()["error_code"] == "ERR_NGROK_24005" => (Answer::Exists, heard.last),
            _ => panic!("{op:?}: {reply}"),
        };
        if of_last {
            heard.last = last;
        }
        answer
    }
}

/// Has one group play a history after the other for as long as the load goes on, and at least until there are enough.
pub(crate) fn play(load: &Load, group: u64) -> Vec<Played> {
    let mut rng = Rng::new(load.seed ^ ((group + 1) << 32));
    let mut askers: Vec<_> =
        (0..CLIENTS).map(|client| Asker::new(load, client as usize % 2, &load.token)).collect();
    let mut all = Vec::new();
    while load.goes_on() {
        let name = format!("s{group}-{}", all.len());
        let played = Played { name, history: History::default(), heard: Mutex::default() };
        thread::scope(|scope| {
            for (client, asker) in askers.iter_mut().enumerate() {
                let first = client as u64 * OPERATIONS;
                let (marks, rng) = (first..first + OPERATIONS, Rng::new(rng.next()));
                let player = Player { asker, node: client % 2, played: &played, marks, rng };
                scope.spawn(move || player.play());
            }
        });
        all.push(played);
        load.played.fetch_add(1, Ordering::Relaxed);
    }
    all
}

/// Waits until so many histories were played as are to be checked.
pub(crate) fn until_enough(load: &Load) {
    let played = || load.played.load(Ordering::Relaxed);
    while played() < number_from_env("STRONGROOM_NODE_HISTORIES", 80) {
        let before = played();
        poll("a history comes to its end", || (played() > before).then_some(()));
    }
}

/// What was checked.
pub(crate) struct Checked {
    histories: u64,
    operations: u64,
    /// Operations without an answer.
    pub(crate) open: u64,
    /// Histories with such.
    cut: u64,
    /// Operations that met a change by way of the other node.
    met: u64,
    /// Changes that were made as nothing had changed since, by their `If-Match`, and those that came too late.
    in_time: u64,
    late: u64,
}

/// Fails unless each history is linearizable, with what is there now that all is over.
pub(crate) fn check(title: &str, load: &Load, all: Vec<Played>) -> Checked {
    let mut askers = [0, 1].map(|node| Asker::new(load, node, &load.token));
    let mut checked = Checked { histories: 0, operations: 0, open: 0, cut: 0, met: 0, in_time: 0, late: 0 };
    let begun = Instant::now();
    for (number, played) in all.into_iter().enumerate() {
        let made: Vec<u64> = played.heard.lock().unwrap().ids.keys().copied().collect();
        for made in made {
            let node = number % 2;
            let (asker, rng) = (&mut askers[node], Rng::new(0));
            let mut player = Player { asker, node, played: &played, marks: 0..0, rng };
            let op = Op::Read { made };
            played.history.record(Asked { node, op }, |asked| {
                let outcome = player.act(asked.op);
                assert!(matches!(outcome, Outcome::Answered(_)), "all is over, and {node} does not answer");
                outcome
            });
        }
        let (name, calls) = (played.name, played.history.calls());
        checked.add(&calls);
        linear::check(&Named, &calls).unwrap_or_else(|violation| {
            panic!("{title}, history {name}, STRONGROOM_SEED={}: {violation}", load.seed)
        });
    }
    checked.tell(title, begun.elapsed());
    // Else they would show little: that a node does one thing after the other by itself.
    assert!(checked.met > checked.histories * 4, "the clients of two nodes hardly met");
    assert!(checked.in_time > checked.histories / 2, "hardly any If-Match was in time");
    assert!(checked.late > checked.histories / 2, "hardly any If-Match was late");
    checked
}

impl Checked {
    fn add(&mut self, calls: &[Call<Asked, Answer>]) {
        let count = |which: &dyn Fn(&Call<Asked, Answer>) -> bool| {
            calls.iter().filter(|call| which(call)).count() as u64
        };
        let has_changed = |call: &Call<Asked, Answer>| {
            !call.op.op.reads() && matches!(call.answer, Some(Answer::Has(_) | Answer::Deleted))
        };
        let meets = |call: &Call<Asked, Answer>| {
            calls.iter().any(|other| {
                has_changed(other)
                    && other.op.node != call.op.node
                    && other.start < call.end
                    && call.start < other.end
            })
        };
        let expects = |call: &Call<Asked, Answer>| matches!(call.op.op, Op::Update { expected: Some(_), .. });
        let open = count(&|call| call.answer.is_none());
        self.histories += 1;
        self.operations += calls.len() as u64;
        self.open += open;
        self.cut += u64::from(open > 0);
        self.met += count(&|call| call.answer.is_some() && meets(call));
        self.in_time += count(&|call| expects(call) && has_changed(call));
        self.late += count(&|call| call.answer == Some(Answer::Stale));
    }

    fn tell(&self, title: &str, took: Duration) {
        let Self { histories, operations, open, cut, met, in_time, late } = self;
        figures::tell(&format!(
            "{title}: {histories} histories of {operations} operations, all linearizable; {open} operations of {cut} histories were \
             left open; {met} met a change by way of the other node; {in_time} If-Match in time, {late} late; checked in {} ms",
            took.as_millis()
        ));
    }
}

#[test]
fn changes_by_way_of_two_nodes_are_linearizable() {
    let world = World::start();
    let (load, _) = Load::prepare(&world);
    let begun = Instant::now();
    let played: Vec<Played> = thread::scope(|scope| {
        let load = &load;
        let playing = GROUPS.map(|group| scope.spawn(move || play(load, group)));
        let ends = load.ends();
        until_enough(load);
        drop(ends);
        playing.into_iter().flat_map(|playing| playing.join().unwrap()).collect()
    });
    let title = format!("two nodes without faults for {:.1} s", begun.elapsed().as_secs_f64());
    let checked = check(&title, &load, played);
    assert_eq!(checked.open, 0, "left open without a fault");
    let events = list_all(&mut world.client(0), "/strongroom/audit_events", "audit_events");
    assert_chain_holds(&world, events.len());
}

/// What the checker is to find in them.
#[test]
fn a_history_with_a_change_that_is_lost_or_done_twice_is_none() {
    let call = |op, start, answer| Call { op: Asked { node: 0, op }, start, end: start + 1, answer };
    let update = |mark, expected| Op::Update { made: 0, mark, expected };
    let begun = [
        call(Op::Create { mark: 0 }, 0, Some(Answer::Has(0))),
        call(update(1, Some(0)), 2, Some(Answer::Has(1))),
    ];
    let with = |more: &[Call<Asked, Answer>]| linear::check(&Named, &[&begun, more].concat()).is_ok();
    let reads = |mark, at| call(Op::Read { made: 0 }, at, Some(Answer::Has(mark)));
    assert!(with(&[reads(1, 4)]));
    assert!(!with(&[reads(0, 4)]), "lost");
    assert!(!with(&[call(update(2, Some(0)), 4, Some(Answer::Has(2)))]), "over what was not expected");
    // Without an answer it may be done, once, at any time; or never.
    let open = call(update(2, None), 4, None);
    assert!(with(&[open.clone(), reads(2, 6)]) && with(&[open.clone(), reads(1, 6), reads(2, 8)]));
    assert!(!with(&[open.clone(), reads(2, 6), reads(1, 8)]), "undone");
    let over = call(update(3, None), 8, Some(Answer::Has(3)));
    assert!(!with(&[open, reads(2, 6), over, reads(2, 10)]), "done twice");
}
