//! Looking through a process's own memory for bytes that it was told masked, so that the question is not the answer.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

const MASK: u8 = 0x5a;
const CHUNK: usize = 1 << 20;

/// Bytes as they are told, in hexadecimal.
pub(crate) fn masked(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{:02x}", byte ^ MASK)).collect()
}

/// A mapping of the process's memory that can be read.
struct Mapping {
    start: u64,
    end: u64,
    kind: String,
}

/// Every mapping, and whether it is locked: `/proc/self/smaps` begins each with a line as of `/proc/self/maps`.
fn mappings() -> Vec<Mapping> {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut found: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if flags.split_whitespace().any(|flag| flag == "lo") {
                "locked".clone_into(&mut found.last_mut().unwrap().kind);
            }
        } else if let Some((start, end)) = words[0].split_once('-') {
            let number = |text| u64::from_str_radix(text, 16);
            let (Ok(start), Ok(end)) = (number(start), number(end)) else { continue };
            // Device memory and what the kernel keeps for itself cannot be read.
            let readable = words[1].starts_with('r') && !words.last().unwrap().starts_with("[v");
            let kind = if words.len() > 5 { words[5] } else { "anonymous" };
            found.push(Mapping { start, end: if readable { end } else { start }, kind: kind.to_owned() });
        }
    }
    found
}

/// Where bytes are that were told masked: for each place which of them, and the kind of the mapping.
pub(crate) fn find(told: &str) -> Vec<String> {
    let pair = |text: &str, at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let bytes = |text: &str| (0..text.len()).step_by(2).map(|at| pair(text, at)).collect();
    let wanted: Vec<Vec<u8>> = told.split_whitespace().map(bytes).collect();
    let longest = wanted.iter().map(Vec::len).max().unwrap_or(1);
    let memory = File::open("/proc/self/mem").unwrap();
    // Read into one place, which is passed over when its turn comes.
    let mut buffer = vec![0; CHUNK];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + CHUNK as u64;
    let starts = Starts::of(&wanted);
    let mut found = Vec::new();
    for mapping in mappings() {
        let mut at = mapping.start;
        while at < mapping.end {
            if own.contains(&at) {
                at = own.end;
                continue;
            }
            let stop = if at < own.start { mapping.end.min(own.start) } else { mapping.end };
            let length = usize::try_from(stop - at).unwrap().min(CHUNK);
            let Ok(length) = memory.read_at(&mut buffer[..length], at) else { break };
            if length == 0 {
                break;
            }
            let last = length < CHUNK;
            // What begins near the end of a chunk is seen whole in the next one.
            let step = if last { length } else { length - longest };
            for begin in starts.in_bytes(&buffer[..length]).filter(|begin| *begin < step) {
                let rest = &buffer[begin..length];
                let here = wanted.iter().enumerate().filter(|(_, masked)| is_start(rest, masked));
                found.extend(here.map(|(which, _)| format!("{which}:{}", mapping.kind)));
            }
            at += step as u64;
        }
    }
    found
}

/// The first two bytes of what is looked for: nearly every place is passed over by them.
struct Starts(Vec<bool>);

impl Starts {
    fn of(wanted: &[Vec<u8>]) -> Self {
        let mut starts = vec![false; 1 << 16];
        for masked in wanted {
            starts[usize::from(masked[0] ^ MASK) << 8 | usize::from(masked[1] ^ MASK)] = true;
        }
        Self(starts)
    }

    fn in_bytes(&self, bytes: &[u8]) -> impl Iterator<Item = usize> {
        let is = |pair: &[u8]| self.0[usize::from(pair[0]) << 8 | usize::from(pair[1])];
        bytes.windows(2).enumerate().filter(move |(_, pair)| is(pair)).map(|(at, _)| at)
    }
}

fn is_start(bytes: &[u8], masked: &[u8]) -> bool {
    bytes.len() >= masked.len() && bytes.iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked)
}
