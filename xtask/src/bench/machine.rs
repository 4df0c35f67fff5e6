//! What machine the figures are from.

use std::fs;

use crate::Result;

/// The machine in one line: processor, cores, memory, kernel.
pub(super) fn describe() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let model = value(&cpu, "model name").unwrap_or("unknown processor");
    let kb: u64 =
        value(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{model}, {cores} cores, {} GiB, Linux {}", kb.div_ceil(1 << 20), kernel.trim()))
}

/// The value of the first `name: value` line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}
