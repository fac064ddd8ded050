//! CPU time and memory of a process in the statistics of Linux.

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// Returns the CPU time of all threads, in user space and in the kernel.
pub fn cpu(process: u32) -> Outcome<Duration> {
    let mut nanoseconds = 0;
    // The scheduler's statistics are exact, while `stat` counts in ticks of 10 ms.
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while the list is read.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            continue;
        };
        let running = text.split_whitespace().next().unwrap_or_default();
        nanoseconds += running.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Returns the resident memory, in megabytes of 1,000,000 bytes.
pub fn resident_megabytes(process: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: f64 = number.ok_or("no VmRSS in /proc")?.parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
