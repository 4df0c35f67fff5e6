//! The checker of histories: it finds an order where there is one, and none where there is none.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use strongroom_testbed::linear::register::{Answer, Held, Op, Register};
use strongroom_testbed::linear::{Call, History, Model, Outcome, check};

type OneCall = Call<Op, Answer>;

fn call(op: Op, start: u64, end: u64, answer: Answer) -> OneCall {
    Call { op, start, end, answer: Some(answer) }
}

fn unknown(op: Op, start: u64) -> OneCall {
    Call { op, start, end: start + 1, answer: None }
}

fn is(revision: u64, value: u64) -> Answer {
    Answer::Is(Held { revision, value })
}

fn update(value: u64) -> Op {
    Op::Update { value, expected: None }
}

fn expecting(revision: u64, value: u64) -> Op {
    Op::Update { value, expected: Some(revision) }
}

fn explains(calls: &[OneCall]) -> bool {
    check(&Register::default(), calls).is_ok()
}

#[test]
fn histories_that_hold() {
    assert!(explains(&[]));
    // One after another.
    assert!(explains(&[
        call(Op::Read, 0, 1, Answer::Missing),
        call(Op::Create(7), 2, 3, is(1, 7)),
        call(Op::Create(8), 4, 5, Answer::Exists),
        call(expecting(1, 9), 6, 7, is(2, 9)),
        call(expecting(1, 10), 8, 9, Answer::Stale),
        call(Op::Delete, 10, 11, is(2, 9)),
        call(update(11), 12, 13, Answer::Missing),
        call(Op::Create(12), 14, 15, is(1, 12)),
    ]));
    // What overlaps may happen in either order: these two reads saw before and after.
    let created = call(Op::Create(7), 0, 1, is(1, 7));
    let slow = call(update(8), 2, 10, is(2, 8));
    assert!(explains(&[
        created.clone(),
        slow.clone(),
        call(Op::Read, 3, 4, is(1, 7)),
        call(Op::Read, 5, 6, is(2, 8))
    ]));
    // What was never answered was done, or was not, or will be much later.
    let lost = unknown(update(8), 2);
    assert!(explains(&[created.clone(), lost.clone(), call(Op::Read, 8, 9, is(1, 7))]));
    assert!(explains(&[created.clone(), lost.clone(), call(Op::Read, 8, 9, is(2, 8))]));
    let late = [call(Op::Read, 8, 9, is(1, 7)), call(Op::Read, 50, 51, is(2, 8))];
    assert!(explains(&[&[created, lost][..], &late].concat()));
}

#[test]
fn histories_that_do_not_hold() {
    let created = call(Op::Create(7), 0, 1, is(1, 7));
    let updated = call(update(8), 2, 3, is(2, 8));
    // A read of what was replaced before it was asked for.
    assert!(!explains(&[created.clone(), updated.clone(), call(Op::Read, 4, 5, is(1, 7))]));
    // A change that was acknowledged and is lost.
    assert!(!explains(&[created.clone(), call(Op::Read, 4, 5, Answer::Missing)]));
    // Two changes that were both based on the first revision.
    let both = [call(expecting(1, 8), 2, 9, is(2, 8)), call(expecting(1, 9), 2, 9, is(2, 9))];
    assert!(!explains(&[&[created.clone()][..], &both].concat()));
    // Two of the same name.
    assert!(!explains(&[created.clone(), call(Op::Create(9), 0, 5, is(1, 9))]));
    // New, and then old again, while the change is under way.
    let slow = call(update(8), 2, 10, is(2, 8));
    assert!(!explains(&[
        created.clone(),
        slow,
        call(Op::Read, 3, 4, is(2, 8)),
        call(Op::Read, 5, 6, is(1, 7))
    ]));
    // The same of a change that was never answered: once it was seen, it was done.
    let lost = unknown(update(8), 2);
    let seen = [call(Op::Read, 5, 6, is(2, 8)), call(Op::Read, 7, 8, is(1, 7))];
    assert!(!explains(&[&[created.clone(), lost.clone()][..], &seen].concat()));
    // What was never answered was done once at most, and not before it was asked for.
    assert!(!explains(&[created.clone(), lost.clone(), call(Op::Read, 8, 9, is(3, 8))]));
    assert!(!explains(&[created, call(Op::Read, 2, 3, is(2, 8)), unknown(update(8), 4)]));
}

#[test]
fn a_violation_tells_how_far_one_gets() {
    let calls = [call(Op::Create(7), 0, 1, is(1, 7)), call(Op::Read, 2, 3, Answer::Missing)];
    let told = check(&Register::default(), &calls).unwrap_err().to_string();
    assert!(told.contains("Create(7)") && told.contains("Missing"), "{told}");
}

/// Every order is tried, without a thought.
fn explains_by_force(state: Option<Held>, left: &[OneCall]) -> bool {
    let first_end = left.iter().filter(|call| call.answer.is_some()).map(|call| call.end).min();
    let Some(first_end) = first_end else { return true };
    (0..left.len()).any(|next| {
        let one = &left[next];
        let mut rest = left.to_vec();
        rest.remove(next);
        one.start <= first_end
            && Register::default()
                .step(&state, &one.op, one.answer.as_ref())
                .is_some_and(|after| explains_by_force(after, &rest))
    })
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3u64).prop_map(Op::Create),
        (0..3u64, proptest::option::of(1..3u64)).prop_map(|(value, expected)| Op::Update { value, expected }),
        Just(Op::Read),
        Just(Op::Delete),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => (1..3u64, 0..3u64).prop_map(|(revision, value)| is(revision, value)),
        2 => Just(Answer::Missing),
        1 => Just(Answer::Exists),
        1 => Just(Answer::Stale),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Few values, few moments and answers at random, so that much overlaps and either verdict is common.
    #[test]
    fn it_says_what_trying_every_order_says(
        calls in prop::collection::vec((any_op(), 0..8u64, 0..8u64, prop::option::weighted(0.8, any_answer())), 1..6)
    ) {
        let calls: Vec<OneCall> = calls
            .into_iter()
            .map(|(op, start, long, answer)| Call { op, start, end: start + long, answer })
            .collect();
        prop_assert_eq!(explains(&calls), explains_by_force(None, &calls), "{:?}", calls);
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What clients at once see of a register that does one operation at a time, each at a moment between its call and its answer. Every
/// eighth answer is lost; of those operations every other one was done, maybe late.
fn simulated(seed: u64, clients: u64, rounds: u64) -> (Vec<OneCall>, Option<Held>) {
    let mut numbers = Numbers(seed);
    let mut asked = Vec::new();
    for client in 0..clients {
        let mut now = client;
        for round in 0..rounds {
            let (start, at) = (now + numbers.below(20), numbers.below(40));
            let end = start + at + numbers.below(40);
            let value = client * rounds + round;
            let op = match numbers.below(6) {
                0 => Op::Create(value),
                1 | 2 => update(value),
                3 => expecting(1 + numbers.below(4), value),
                4 => Op::Delete,
                _ => Op::Read,
            };
            let lost = numbers.below(8) == 0;
            let late = if lost { numbers.below(60) } else { 0 };
            asked.push((start + at + late, op, start, end, lost, numbers.below(2) == 0));
            now = end + 1;
        }
    }
    asked.sort_by_key(|(at, ..)| *at);
    let mut state = None;
    let mut calls = Vec::new();
    for (_, op, start, end, lost, done) in asked {
        let all = [Answer::Missing, Answer::Exists, Answer::Stale];
        if lost && !done {
            calls.push(Call { op, start, end, answer: None });
            continue;
        }
        let model = Register::default();
        let after = model.step(&state, &op, None).unwrap();
        let answer = match (op, after.or(state)) {
            (Op::Create(value), Some(held)) if state.is_none() && held.value == value => Answer::Is(held),
            (_, Some(held)) if model.step(&state, &op, Some(&Answer::Is(held))).is_some() => Answer::Is(held),
            _ => *all.iter().find(|answer| model.step(&state, &op, Some(answer)).is_some()).unwrap(),
        };
        state = after;
        calls.push(Call { op, start, end, answer: (!lost).then_some(answer) });
    }
    (calls, state)
}

#[test]
fn a_thousand_histories_of_sixty_operations() {
    let begun = Instant::now();
    let mut stale = 0;
    for seed in 0..1000 {
        let (mut calls, last) = simulated(seed, 6, 10);
        assert_eq!(calls.len(), 60);
        check(&Register::default(), &calls).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));

        // With a read at the end of what cannot be there: a revision that nobody was told and nothing leads to.
        let end = calls.iter().map(|call| call.end).max().unwrap() + 1;
        let never = is(last.map_or(1, |held| held.revision) + 60, 1);
        calls.push(call(Op::Read, end, end + 1, never));
        assert!(!explains(&calls), "seed {seed}");
        calls.pop();

        // With a read of what was replaced, where all was answered in the end.
        let all_known = calls.iter().all(|call| call.answer.is_some() || call.op == Op::Read);
        let replaced = calls.iter().find_map(|call| match call.answer {
            Some(Answer::Is(held)) if Some(held) != last => Some(held),
            _ => None,
        });
        if let Some(replaced) = replaced.filter(|_| all_known) {
            calls.push(call(Op::Read, end, end + 1, Answer::Is(replaced)));
            assert!(!explains(&calls), "seed {seed}");
            stale += 1;
        }
    }
    assert!(stale > 0, "no history had nothing unknown");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn what_threads_do_is_recorded() {
    let history = History::default();
    let register = std::sync::Mutex::new(None::<Held>);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (history, register) = (&history, &register);
            scope.spawn(move || {
                for number in 0..20 {
                    let value = thread * 20 + number;
                    history.record(update(value), |_| {
                        let mut held = register.lock().unwrap();
                        let revision = held.map_or(1, |held| held.revision + 1);
                        *held = Some(Held { revision, value });
                        Outcome::Answered(is(revision, value))
                    });
                    history.record(Op::Read, |_| match *register.lock().unwrap() {
                        Some(held) => Outcome::Answered(Answer::Is(held)),
                        None => Outcome::NotDone,
                    });
                }
            });
        }
    });
    let calls = history.calls();
    assert_eq!(calls.len(), 160);
    // The first change found nothing, which an update would have been told; from then on all is explained.
    let first = Register { first: Some(Held { revision: 0, value: 0 }) };
    check(&first, &calls).unwrap();
}
