use std::sync::Mutex;
use std::time::Instant;

use super::Call;

/// What became of an operation, as far as its client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<Answer> {
    /// It was answered.
    Answered(Answer),
    /// It was refused, or never sent: for sure it was not done, and never will be.
    NotDone,
    /// Nobody knows: the answer was lost, or came too late.
    Unknown,
}

/// What clients on several threads did to one thing.
pub struct History<Op, Answer> {
    begun: Instant,
    calls: Mutex<Vec<Call<Op, Answer>>>,
}

impl<Op, Answer> Default for History<Op, Answer> {
    fn default() -> Self {
        Self { begun: Instant::now(), calls: Mutex::default() }
    }
}

impl<Op, Answer> History<Op, Answer> {
    /// Does an operation, and notes it.
    pub fn record(&self, op: Op, act: impl FnOnce(&Op) -> Outcome<Answer>) {
        let start = self.now();
        let outcome = act(&op);
        let end = self.now();
        let answer = match outcome {
            Outcome::Answered(answer) => Some(answer),
            Outcome::NotDone => return,
            Outcome::Unknown => None,
        };
        self.calls.lock().unwrap().push(Call { op, start, end, answer });
    }

    /// All of them.
    #[must_use]
    pub fn calls(self) -> Vec<Call<Op, Answer>> {
        self.calls.into_inner().unwrap()
    }

    /// Nanoseconds since it was begun.
    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap()
    }
}
