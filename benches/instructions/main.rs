//! How many instructions a poll and its page take, on recorded replies.
//!
//! `cargo bench --bench instructions` prints one table, and fails if a limit is exceeded. It counts
//! with callgrind, so its results hardly depend on what else the machine does: repeats differ by less
//! than 1%. It includes neither the network nor the runtime.

mod replay;

use std::error::Error;
use std::process::{Command, ExitCode};

use replay::Recording;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The first argument of the process that callgrind counts.
const REPLAY: &str = "replay";

/// Polls of the shorter and of the longer run. The difference leaves out what happens once.
const POLLS: [u32; 2] = [2, 12];

/// A step of a poll, and the most instructions that it may take per poll, in millions. The limits are
/// generous: they find work that is done twice, not work that is slightly slower.
struct Limit {
    step: &'static str,
    commands: usize,
    most: f64,
}

const LIMITS: [Limit; 4] = [
    limit("read", 44, 2.4),
    limit("page", 44, 5.5),
    limit("read", 168, 5.0),
    limit("page", 168, 10.0),
];

const fn limit(step: &'static str, commands: usize, most: f64) -> Limit {
    Limit {
        step,
        commands,
        most,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [REPLAY, step, commands, polls] => replay(step, commands, polls).map(|()| true),
        _ => count_all(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(step: &str, commands: &str, polls: &str) -> Outcome<()> {
    let recording = Recording::read(commands.parse()?)?;
    for _ in 0..polls.parse()? {
        match step {
            "read" => drop(recording.snapshot()?),
            _ => drop(recording.page()?),
        }
    }
    Ok(())
}

/// Prints the table. Returns whether no limit is exceeded.
fn count_all() -> Outcome<bool> {
    println!("| million instructions per poll | commands seen | here | limit |");
    println!("| --- | ---: | ---: | ---: |");
    let mut all_hold = true;
    for Limit {
        step,
        commands,
        most,
    } in LIMITS
    {
        let [short, long] = POLLS;
        let more = count(step, commands, long)? - count(step, commands, short)?;
        let each = more / f64::from(long - short) / 1e6;
        let holds = each <= most;
        all_hold &= holds;
        let remark = if holds { "" } else { ", exceeded" };
        let name = if step == "read" {
            "decode and read the replies"
        } else {
            "the same, write and compress the page"
        };
        println!("| {name} | {commands} | {each:.2} | {most}{remark} |");
    }
    Ok(all_hold)
}

/// Returns the instructions of a process that reads a recording this many times.
fn count(step: &str, commands: usize, polls: u32) -> Outcome<f64> {
    let program = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([REPLAY, step, &commands.to_string(), &polls.to_string()])
        .output()
        .map_err(|error| format!("cannot start valgrind: {error}; install it"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    let total = report
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .ok_or_else(|| format!("callgrind reports no instructions: {report}"))?;
    Ok(total.1.trim().parse()?)
}
