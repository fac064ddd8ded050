//! Metrics of the exporter's process, from `/proc`: the names and texts of Prometheus's client
//! libraries. Other systems than Linux have none.
//!
//! The `prometheus` crate has them too, but parses all limits of the process for each page, and
//! reports whole seconds of CPU time.

use std::fmt::{Display, Write as _};
use std::fs;

/// Clock ticks per second in `/proc`. The kernel's interface fixes it on every architecture that
/// Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process of the exporter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    /// Its start, in seconds since the epoch.
    started: Option<f64>,
}

impl Process {
    /// Reads what stays the same.
    pub(super) fn new() -> Self {
        Self { started: started() }
    }

    /// Appends the metrics as exposition text. Values that cannot be read are left out.
    pub(super) fn write(self, text: &mut String) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let max_fds = rlimit::Resource::NOFILE.get_soft().ok();
        let max_fds = max_fds.filter(|limit| *limit != rlimit::INFINITY);
        let (name, help) = (
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
        );
        write(text, name, "counter", help, cpu_seconds());
        let mut gauge = |name, help, value| write(text, name, "gauge", help, value);
        let help = "Maximum number of open file descriptors.";
        gauge("process_max_fds", help, max_fds);
        let help = "Number of open file descriptors.";
        gauge("process_open_fds", help, open_files());
        let help = "Resident memory size in bytes.";
        let resident = kilobytes(&status, "VmRSS:");
        gauge("process_resident_memory_bytes", help, resident);
        let help = "Number of OS threads in the process.";
        let threads = number(&status, "Threads:");
        gauge("process_threads", help, threads);
        let help = "Virtual memory size in bytes.";
        let size = kilobytes(&status, "VmSize:");
        gauge("process_virtual_memory_bytes", help, size);
        let (name, help) = (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
        );
        write(text, name, "gauge", help, self.started);
    }
}

fn write(text: &mut String, name: &str, kind: &str, help: &str, value: Option<impl Display>) {
    if let Some(value) = value {
        // Writing to memory cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    }
}

/// Returns the number after a title in `/proc/self/status`.
fn number(status: &str, title: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(title))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

fn kilobytes(status: &str, title: &str) -> Option<u64> {
    number(status, title).map(|kilobytes| kilobytes.saturating_mul(1024))
}

/// Returns a field of `/proc/self/stat` by its number in proc(5).
fn field(stat: &str, number: usize) -> Option<f64> {
    // The second field is the name of the program in parentheses, and may contain anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let field = fields.split(' ').nth(number.checked_sub(3)?)?;
    field.parse().ok()
}

fn stat() -> Option<String> {
    fs::read_to_string("/proc/self/stat").ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = stat()?;
    Some((field(&stat, 14)? + field(&stat, 15)?) / TICKS_PER_SECOND)
}

/// Returns the number of open files, except the one that this takes.
fn open_files() -> Option<u64> {
    let files = fs::read_dir("/proc/self/fd").ok()?;
    (files.count() as u64).checked_sub(1)
}

fn started() -> Option<f64> {
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted = number(&system, "btime")?;
    let after = field(&stat()?, 22)? / TICKS_PER_SECOND;
    Some((crate::number::to_float(booted) + after).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn process_metrics_are_plausible() {
        let mut text = String::new();
        Process::new().write(&mut text);
        let of = |name: &str| {
            let name = format!("process_{name} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name));
            value.unwrap().parse::<f64>().unwrap()
        };
        let resident = of("resident_memory_bytes");
        assert!(resident > 1e6 && resident < of("virtual_memory_bytes"));
        assert!(of("threads") >= 1.0 && of("open_fds") >= 3.0);
        assert!(of("max_fds") > of("open_fds"));
        assert!(of("cpu_seconds_total") >= 0.0);
        let age = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
            - of("start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "{age}");
    }

    #[test]
    fn program_name_with_blanks_does_not_shift_fields() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194304 102 0 0 0 250 50 0 0 20 0 1 0 287342 3133440";
        assert_eq!(field(stat, 14), Some(250.0));
        assert_eq!(field(stat, 22), Some(287_342.0));
        assert_eq!(field("", 14), None);
    }

    #[test]
    fn unreadable_values_are_left_out() {
        let mut text = String::new();
        write(&mut text, "process_x", "gauge", "X.", None::<f64>);
        assert_eq!(text, "");
        assert_eq!(number("Threads:\tmany\n", "Threads:"), None);
        assert_eq!(kilobytes("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12_288));
    }
}
