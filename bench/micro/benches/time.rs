//! The time that each piece takes.

#![allow(missing_docs, reason = "the macro makes the items")]

use bench_micro::{CASES, piece};
use criterion::{Criterion, criterion_group, criterion_main};

fn pieces(criterion: &mut Criterion) {
    for case in CASES {
        let mut run = piece(case.name).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        criterion.bench_function(case.name, |bencher| bencher.iter(&mut run));
    }
}

criterion_group!(benches, pieces);
criterion_main!(benches);
