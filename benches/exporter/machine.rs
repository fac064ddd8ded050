//! Describes the machine.

use crate::child::{REDIS_EXPORTER, system_file, version};

/// Returns the current load averages.
pub fn load_average() -> String {
    let text = system_file("/proc/loadavg");
    let words: Vec<_> = text.split_whitespace().take(3).collect();
    words.join(" ")
}

/// Returns a paragraph with cores, versions and load.
pub fn describe(commands_seen: usize, load_before: &str) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let information = system_file("/proc/cpuinfo");
    let model = information
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or("unknown CPU", |(_, model)| model.trim());
    let redis = version("redis-server");
    let redis = redis
        .split_whitespace()
        .find(|word| word.starts_with("v="))
        .unwrap_or("of unknown version");
    let version_of_theirs = version(REDIS_EXPORTER);
    let version_of_theirs = version_of_theirs
        .split("Metrics Exporter ")
        .nth(1)
        .unwrap_or("unknown");
    let version_of_theirs = version_of_theirs
        .split_whitespace()
        .next()
        .unwrap_or_default();
    format!(
        "Machine: {cores} cores ({model}), loopback, redis-server {redis} that has seen \
         {commands_seen} distinct commands, {REDIS_EXPORTER} {version_of_theirs}. Load average before {load_before}, \
         after {}.",
        load_average()
    )
}
