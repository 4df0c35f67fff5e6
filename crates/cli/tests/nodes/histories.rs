//! Histories of changes to one secret by way of both nodes: linearizable, each as if there were one node that does one at a time.
//!
//! What is read is read by a change of nothing, which sees what was changed before it on whichever node; a GET may be up to 100 ms behind.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use serde_json::json;
use strongroom_testbed::linear::{self, History, Model, Outcome};

use super::check::assert_chain_holds;
use super::number_from_env;
use super::world::World;
use crate::harness::rng::Rng;
use crate::harness::{Client, Reply, field, list_all, make_vault};

/// Of each history; each goes by one node.
const CLIENTS: usize = 4;
const OPERATIONS: usize = 8;

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
    type Op = Op;
    type Answer = Answer;

    fn start(&self) -> Self::State {
        None
    }

    fn step(&self, state: &Self::State, op: &Op, answer: Option<&Answer>) -> Option<Self::State> {
        let (after, would) = Self::apply(*state, *op);
        answer.is_none_or(|answer| *answer == would).then_some(after)
    }

    fn only_reads(&self, op: &Op, answer: &Answer) -> bool {
        matches!(op, Op::Read { .. }) || !matches!(answer, Answer::Has(_) | Answer::Deleted)
    }
}

/// What the clients of a history have heard of: ids by the mark something was made with, and the tags of marks.
#[derive(Default)]
struct Heard {
    ids: HashMap<u64, String>,
    newest: Option<u64>,
    tags: HashMap<u64, String>,
}

struct Player<'a> {
    client: &'a mut Client,
    name: String,
    heard: &'a Mutex<Heard>,
    marks: std::ops::Range<u64>,
    rng: Rng,
}

impl Player<'_> {
    fn play(mut self, history: &History<Op, Answer>) {
        for _ in 0..OPERATIONS {
            let op = self.choose();
            history.record(op, |op| Outcome::Answered(self.act(*op)));
        }
    }

    fn choose(&mut self) -> Op {
        let mark = self.marks.next().unwrap();
        let heard = self.heard.lock().unwrap();
        let Some(made) = heard.newest else { return Op::Create { mark } };
        let tagged = heard.tags.keys().max().copied();
        match self.rng.below(20) {
            0..=1 => Op::Create { mark },
            2..=7 => Op::Update { made, mark, expected: None },
            8..=12 => Op::Update { made, mark, expected: tagged },
            13..=17 => Op::Read { made },
            _ => Op::Delete { made },
        }
    }

    fn act(&mut self, op: Op) -> Answer {
        let body = |mark: u64| json!({"metadata": mark.to_string(), "value": mark.to_string()});
        let target = |made: u64| format!("/vault_secrets/{}", self.heard.lock().unwrap().ids[&made]);
        let tag = |mark: u64| self.heard.lock().unwrap().tags[&mark].clone();
        let (headers, method, target, body) = match op {
            Op::Create { mark } => {
                let mut body = body(mark);
                body["name"] = json!(self.name);
                body["vault_name"] = json!("histories");
                (None, "POST", "/vault_secrets".to_owned(), Some(body))
            }
            Op::Update { made, mark, expected } => {
                (expected.map(tag), "PATCH", target(made), Some(body(mark)))
            }
            Op::Read { made } => (None, "PATCH", target(made), Some(json!({}))),
            Op::Delete { made } => (None, "DELETE", target(made), None),
        };
        let headers: Vec<_> = headers.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let reply = self.client.try_call_with(&headers, method, &target, body.as_ref()).unwrap();
        self.hear(op, &reply)
    }

    fn hear(&self, op: Op, reply: &Reply) -> Answer {
        let mark = match reply.status {
            200 | 201 => field(&reply.json(), "metadata").parse().unwrap(),
            204 => return Answer::Deleted,
            404 => return Answer::Missing,
            412 => return Answer::Stale,
            400 if reply.json()["error_code"] == "ERR_NGROK_24005" => return Answer::Exists,
            _ => panic!("{op:?}: {reply}"),
        };
        let mut heard = self.heard.lock().unwrap();
        heard.tags.insert(mark, reply.header("etag").expect("an ETag").to_owned());
        if matches!(op, Op::Create { .. }) {
            heard.ids.insert(mark, field(&reply.json(), "id").to_owned());
            heard.newest = Some(mark);
        }
        Answer::Has(mark)
    }
}

#[test]
fn changes_by_way_of_two_nodes_are_linearizable() {
    let histories = number_from_env("STRONGROOM_NODE_HISTORIES", 60);
    let seed = number_from_env("STRONGROOM_SEED", Rng::fresh_seed());
    let mut rng = Rng::new(seed);
    let world = World::start();
    make_vault(&mut world.client(0), "histories");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|number| world.client(number % 2)).collect();
    let (begun, mut calls, mut lost) = (Instant::now(), 0, 0);
    for number in 0..histories {
        let (history, heard) = (History::default(), Mutex::default());
        thread::scope(|scope| {
            for (client, first) in clients.iter_mut().zip((0..).step_by(OPERATIONS)) {
                let marks = first..first + OPERATIONS as u64;
                let rng = Rng::new(rng.next());
                let player = Player { client, name: format!("s{number}"), heard: &heard, marks, rng };
                let history = &history;
                scope.spawn(move || player.play(history));
            }
        });
        let history = history.calls();
        calls += history.len();
        lost += history
            .iter()
            .filter(|call| matches!(call.answer, Some(Answer::Stale | Answer::Missing)))
            .count();
        linear::check(&Named, &history)
            .unwrap_or_else(|violation| panic!("history {number}, STRONGROOM_SEED={seed}: {violation}"));
    }
    let took = begun.elapsed();
    eprintln!(
        "{histories} histories of {calls} operations in {took:?}: all linearizable; {lost} operations came too late"
    );
    assert!(lost as u64 > histories, "the clients hardly met");
    let events = list_all(&mut world.client(0), "/strongroom/audit_events", "audit_events");
    assert_chain_holds(&world, events.len());
}
