//! Measures what the exporter costs, side by side with other programs.
//!
//! `cargo bench --bench exporter` prints a Markdown table. Real processes communicate over
//! loopback. Compared programs take turns, so that noise of the machine affects both equally. It
//! does not measure single functions, and never compares results of different runs.

mod bare_server;
mod child;
mod client;
mod encoding;
mod load;
mod machine;
mod many_targets;
mod poll_cost;
#[path = "../shared/process.rs"]
mod process;
mod quantile;
mod redis_exporter;
#[path = "../shared/running.rs"]
mod running;
mod scrape;
mod table;

use std::error::Error;
use std::process::ExitCode;

use child::{Redis, RedisExporter};
use table::Table;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        // This program is also the server to compare with.
        [bare_server::ROLE, page] => bare_server::run(page),
        words => run(words),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the named parts, or all of them.
fn run(words: &[&str]) -> Outcome<()> {
    let named: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|word| **word == part);
    let mut table = Table::default();
    let before = machine::load_average();
    let redis = Redis::start()?;
    let seen = load::drive(&redis)?;
    if wanted("encoding") {
        encoding::measure(&mut table)?;
    }
    if wanted("scrape") {
        scrape::measure(&redis, &mut table)?;
    }
    if wanted("redis_exporter") {
        compare_to_redis_exporter(&redis, seen, &mut table)?;
    }
    if wanted("targets") {
        many_targets::measure(&mut table)?;
    }
    println!("{table}");
    println!("{}", machine::describe(seen, &before));
    Ok(())
}

/// Measures a typical Redis first, then one that has seen nearly all commands.
fn compare_to_redis_exporter(redis: &Redis, seen: usize, table: &mut Table) -> Outcome<()> {
    let usual = Redis::start()?;
    let seen_by_usual = load::drive_common(&usual)?;
    poll_cost::measure(&usual, &RedisExporter::start(&usual)?, seen_by_usual, table)?;
    let theirs = RedisExporter::start(redis)?;
    let poll = poll_cost::measure(redis, &theirs, seen, table)?;
    redis_exporter::measure(redis, &theirs, &poll, table)
}
