//! Whether a history is linearizable: whether each operation could have happened at one moment between its call and its answer, so that
//! one thing that does one operation at a time would have given all of these answers (Herlihy and Wing, 1990).
//!
//! The search is that of Wing and Gong, with Lowe's memory of where it has been: a set of operations that are done and the state
//! they led to are not gone on from twice.

mod history;
pub mod register;

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::Hash;

pub use history::{History, Outcome};

/// One thing that does one operation at a time.
pub trait Model {
    /// What it is between two operations.
    type State: Clone + Eq + Hash + Debug;
    /// What is asked of it.
    type Op: Debug;
    /// What it answers.
    type Answer: Debug;

    /// What it is before the first one.
    fn start(&self) -> Self::State;

    /// What it is after an operation that was answered so; `None` where it would have answered otherwise. Where nobody knows the
    /// answer, any will do.
    fn step(&self, state: &Self::State, op: &Self::Op, answer: Option<&Self::Answer>) -> Option<Self::State>;

    /// Whether an operation that was answered so changes no state at all, as one that only reads. The search is shorter for it.
    fn only_reads(&self, op: &Self::Op, answer: &Self::Answer) -> bool {
        let _ = (op, answer);
        false
    }
}

/// An operation as its client saw it. Times count from any moment, in any unit.
#[derive(Debug, Clone)]
pub struct Call<Op, Answer> {
    /// What was asked.
    pub op: Op,
    /// When.
    pub start: u64,
    /// When the answer came.
    pub end: u64,
    /// The answer. `None` where there is none, and nobody knows whether, or when, it was done or will be.
    pub answer: Option<Answer>,
}

/// Why a history is not linearizable.
#[derive(Debug)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Looks for an order of the operations that explains all answers; gives one, by their places in the history. Calls without an answer
/// may be missing in it.
///
/// # Errors
/// [`Violation`] where there is none. It tells how far one got.
pub fn check<M: Model>(model: &M, calls: &[Call<M::Op, M::Answer>]) -> Result<Vec<usize>, Violation> {
    let mut search = Search::new(model, calls);
    if search.run() { Ok(search.order()) } else { Err(search.violation()) }
}

/// Which operations are done.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Vec<u64>);

impl Done {
    fn has(&self, call: usize) -> bool {
        self.0[call / 64] >> (call % 64) & 1 == 1
    }

    fn toggle(&mut self, call: usize) {
        self.0[call / 64] ^= 1 << (call % 64);
    }
}

/// One operation of the order that is tried.
struct Tried<S> {
    call: usize,
    /// The state before it.
    before: S,
    /// The calls, by their start, that were tried in its place already end here.
    place: usize,
}

struct Search<'a, M: Model> {
    model: &'a M,
    calls: &'a [Call<M::Op, M::Answer>],
    /// The calls by their start.
    by_start: Vec<usize>,
    /// All before this place of that are done.
    first: usize,
    done: Done,
    /// How many of the answered ones are not.
    left: usize,
    state: M::State,
    tried: Vec<Tried<M::State>>,
    seen: HashSet<(Done, M::State)>,
    /// The longest order that was tried, and where it led.
    longest: (Vec<usize>, M::State),
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, calls: &'a [Call<M::Op, M::Answer>]) -> Self {
        let mut by_start: Vec<usize> = (0..calls.len()).collect();
        by_start.sort_by_key(|call| calls[*call].start);
        Self {
            model,
            calls,
            by_start,
            first: 0,
            done: Done(vec![0; calls.len().div_ceil(64)]),
            left: calls.iter().filter(|call| call.answer.is_some()).count(),
            state: model.start(),
            tried: Vec::new(),
            seen: HashSet::new(),
            longest: (Vec::new(), model.start()),
        }
    }

    fn run(&mut self) -> bool {
        let mut from = 0;
        while self.left > 0 {
            match self.next(from) {
                Some((place, state)) => {
                    self.advance(place, state);
                    from = 0;
                }
                None => match self.go_back() {
                    Some(place) => from = place,
                    None => return false,
                },
            }
        }
        true
    }

    /// The next call, from a place of the order by start on, that may be the next one to happen.
    fn next(&mut self, from: usize) -> Option<(usize, M::State)> {
        // Nothing can happen after an operation that was answered before it was asked for.
        let mut first_end = u64::MAX;
        for place in self.first..self.by_start.len() {
            let call = self.by_start[place];
            let one = &self.calls[call];
            if one.start > first_end {
                break;
            }
            if self.done.has(call) {
                continue;
            }
            if one.answer.is_some() {
                first_end = first_end.min(one.end);
            }
            if place >= from
                && let Some(state) = self.leads_to_new(call)
            {
                return Some((place, state));
            }
        }
        None
    }

    /// The state after a call, if it may be the next one and nobody was there before.
    fn leads_to_new(&mut self, call: usize) -> Option<M::State> {
        let one = &self.calls[call];
        let state = self.model.step(&self.state, &one.op, one.answer.as_ref())?;
        // What was never answered and changes nothing need not have happened.
        if one.answer.is_none() && state == self.state {
            return None;
        }
        self.done.toggle(call);
        let there = (self.done.clone(), state);
        self.done.toggle(call);
        if self.seen.contains(&there) {
            return None;
        }
        let state = there.1.clone();
        self.seen.insert(there);
        Some(state)
    }

    fn advance(&mut self, place: usize, state: M::State) {
        let call = self.by_start[place];
        self.done.toggle(call);
        self.left -= usize::from(self.calls[call].answer.is_some());
        while self.by_start.get(self.first).is_some_and(|call| self.done.has(*call)) {
            self.first += 1;
        }
        let before = std::mem::replace(&mut self.state, state);
        self.tried.push(Tried { call, before, place });
        if self.tried.len() > self.longest.0.len() {
            self.longest = (self.order(), self.state.clone());
        }
    }

    /// Undoes the last operation that was tried; the place to go on from.
    fn go_back(&mut self) -> Option<usize> {
        loop {
            let last = self.tried.pop()?;
            let Call { op, answer, .. } = &self.calls[last.call];
            self.done.toggle(last.call);
            self.first = self.first.min(last.place);
            self.left += usize::from(answer.is_some());
            self.state = last.before;
            // One that only reads and may happen now may as well: if the rest has no order after it, it has none at all.
            if !answer.as_ref().is_some_and(|answer| self.model.only_reads(op, answer)) {
                return Some(last.place + 1);
            }
        }
    }

    fn order(&self) -> Vec<usize> {
        self.tried.iter().map(|tried| tried.call).collect()
    }

    fn violation(&self) -> Violation {
        let (order, state) = &self.longest;
        let mut text =
            "no order of these operations explains all answers; the longest that explains some:\n".to_owned();
        for call in order {
            text += &format!("  {:?}\n", self.calls[*call]);
        }
        text += &format!("leads to {state:?}, where none of these may be next:\n");
        for call in self.by_start.iter().filter(|call| !order.contains(call)) {
            text += &format!("  {:?}\n", self.calls[*call]);
        }
        Violation(text)
    }
}
