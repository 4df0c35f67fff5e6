//! One thing with a value and a revision, as a secret is: made, changed, read, removed.

use super::Model;

/// A value, with the number of the change that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Held {
    /// 1 when it is made, and one more with each change.
    pub revision: u64,
    /// What it is. Operations that write ought to write different ones.
    pub value: u64,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Make it with this value, where there is none.
    Create(u64),
    /// Give it this value; where a revision is named, only if it is that one.
    Update {
        /// The new value.
        value: u64,
        /// The revision that it is to have now.
        expected: Option<u64>,
    },
    /// Say what it is.
    Read,
    /// Remove it.
    Delete,
}

/// What is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It was done, or read, and this is what there is now; for a deletion, what there was.
    Is(Held),
    /// There is none.
    Missing,
    /// There is one already.
    Exists,
    /// It has another revision than was expected.
    Stale,
}

/// The thing itself. A deletion forgets its revision: what is made after it is another thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Register {
    /// What there is before the first operation.
    pub first: Option<Held>,
}

impl Register {
    fn apply(state: Option<Held>, op: Op) -> (Option<Held>, Answer) {
        match (op, state) {
            (Op::Create(value), None) => {
                let made = Held { revision: 1, value };
                (Some(made), Answer::Is(made))
            }
            (Op::Create(_), Some(_)) => (state, Answer::Exists),
            (_, None) => (None, Answer::Missing),
            (Op::Read, Some(held)) => (state, Answer::Is(held)),
            (Op::Delete, Some(held)) => (None, Answer::Is(held)),
            (Op::Update { expected: Some(expected), .. }, Some(held)) if expected != held.revision => {
                (state, Answer::Stale)
            }
            (Op::Update { value, .. }, Some(held)) => {
                let changed = Held { revision: held.revision + 1, value };
                (Some(changed), Answer::Is(changed))
            }
        }
    }
}

impl Model for Register {
    type State = Option<Held>;
    type Op = Op;
    type Answer = Answer;

    fn start(&self) -> Self::State {
        self.first
    }

    fn step(&self, state: &Self::State, op: &Op, answer: Option<&Answer>) -> Option<Self::State> {
        let (after, would) = Self::apply(*state, *op);
        answer.is_none_or(|answer| *answer == would).then_some(after)
    }

    fn only_reads(&self, op: &Op, answer: &Answer) -> bool {
        *op == Op::Read || !matches!(answer, Answer::Is(_))
    }
}
