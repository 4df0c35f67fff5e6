//! Runs one piece so many times, for a program that counts instructions: `bench-micro CASE COUNT`; without words it
//! names the cases.

use bench_micro::{CASES, Result, piece};

#[expect(clippy::print_stdout, reason = "the names of the cases, for whoever started this")]
fn main() -> Result {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        CASES.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    };
    let count: u32 = words.next().ok_or("usage: bench-micro CASE COUNT")?.parse()?;
    let mut piece = piece(&name)?;
    (0..count).try_for_each(|_| piece())
}
