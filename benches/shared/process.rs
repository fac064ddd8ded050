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

/// The resident memory of a process, in megabytes of 1,000,000 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All of it.
    pub resident: f64,
    /// The part that is not from files.
    pub anonymous: f64,
    /// The maximum so far.
    pub peak: f64,
}

/// Returns the resident memory.
pub fn memory(process: u32) -> Outcome<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let megabytes = |name: &str| -> Outcome<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        let kibibytes: f64 = number
            .ok_or_else(|| format!("no {name} in /proc"))?
            .parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    };
    Ok(Memory {
        resident: megabytes("VmRSS:")?,
        anonymous: megabytes("RssAnon:")?,
        peak: megabytes("VmHWM:")?,
    })
}

/// Returns the resident memory, in megabytes.
pub fn resident_megabytes(process: u32) -> Outcome<f64> {
    Ok(memory(process)?.resident)
}
