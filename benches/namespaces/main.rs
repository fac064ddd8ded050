//! Measures how exact the namespaces are, how soon, and at what cost to Redis.
//!
//! `cargo bench --bench namespaces` prints a Markdown table for a million keys, with real processes
//! over loopback. `cargo bench --bench namespaces -- cost` only measures what the sweep costs,
//! `-- life` how exact evictions by namespace are and what they cost, `-- life-cost` only what they
//! cost, and `-- large` scans ten million keys. It never compares results of different runs.

mod bare;
mod bystander;
mod cost;
mod life;
mod page;
#[expect(dead_code, reason = "the other benchmark reads more of it")]
#[path = "../shared/process.rs"]
mod process;
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    dead_code,
    reason = "shared with the tests"
)]
#[path = "../../tests/live/support/proxy.rs"]
mod proxy;
#[path = "../shared/running.rs"]
mod running;
mod server;
mod wire;

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bystander::{Pings, during};
use cost::median;
use page::{Exporter, Page};
use server::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEYS: u32 = 1_000_000;
const REPETITIONS: u32 = 100;

/// Namespaces with their share in thousandths.
const SHARES: [(&str, &str, f64); 5] = [
    ("session", "session:*", 450.0),
    ("api-cache", "api:cache:*", 300.0),
    ("ratelimit", "ratelimit:*", 200.0),
    ("websocket", "websocket:*", 45.0),
    ("feature", "feature:*", 5.0),
];

/// The values of `api:cache:*` are Pareto-distributed with 1.3: few of them use most of the memory.
const EACH: &str = "local part, call = i % 1000, redis.call \
    if part < 450 then call('SET', 'session:' .. i, string.rep('s', 60), 'EX', 3000) \
    elseif part < 750 then local size = math.floor(50 * (1 - math.random()) ^ (-1 / 1.3)) \
    call('SET', 'api:cache:' .. i, string.rep('a', math.min(size, 5000000)), 'EX', 3600) \
    elseif part < 950 then call('SET', 'ratelimit:' .. i, i, 'EX', 3500) \
    elseif part < 995 then call('HSET', 'websocket:' .. i, 'node', i % 7) \
    else call('SET', 'feature:' .. i, 1) end";

fn main() -> ExitCode {
    let asked = |wanted| std::env::args().any(|word| word == wanted);
    let result = if asked("large") {
        large()
    } else if asked("cost") {
        costs()
    } else if asked("life") {
        lives(&[life::accuracy_rows, life::cost_rows])
    } else if asked("life-cost") {
        lives(&[life::cost_rows])
    } else {
        all()
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

fn all() -> Outcome<()> {
    let server = Server::start()?;
    server.write(KEYS, EACH)?;
    println!("| {KEYS} keys, five namespaces | measured | aim |\n| --- | --- | --- |");
    first_estimates(&server)?;
    steady(&server)?;
    exactness(&server)?;
    full_speed(&server)?;
    redis_exporter(&server)?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("\nLoad average at the end: {load}");
    Ok(())
}

/// Measures only what the sweep costs.
fn costs() -> Outcome<()> {
    let server = Server::start()?;
    server.write(KEYS, EACH)?;
    let cores = std::thread::available_parallelism()?;
    println!("| {KEYS} keys, {cores} cores | measured | aim |\n| --- | --- | --- |");
    cost::rows(&server)?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("\nLoad average at the end: {load}");
    Ok(())
}

/// Measures only what happens to the keys of a cache that evicts.
fn lives(parts: &[fn() -> Outcome<()>]) -> Outcome<()> {
    let cores = std::thread::available_parallelism()?;
    println!("| 16 MB, `allkeys-lru`, {cores} cores | measured | aim |\n| --- | --- | --- |");
    for rows in parts {
        rows()?;
    }
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("\nLoad average at the end: {load}");
    Ok(())
}

fn row(what: &str, measured: &str, aim: &str) {
    println!("| {what} | {measured} | {aim} |");
}

fn truth(share: f64) -> f64 {
    f64::from(KEYS) / 1000.0 * share
}

fn has_estimate(page: &Page) -> bool {
    page.0.contains("redis_key_namespace_keys{")
}

/// Starts the exporter repeatedly, and compares each first estimate with the true value.
fn first_estimates(server: &Server) -> Outcome<()> {
    let mut taken = Vec::new();
    let mut errors = SHARES.map(|_| Vec::new());
    let mut held = SHARES.map(|_| 0_u32);
    for _ in 0..REPETITIONS {
        let exporter = Exporter::ours(server, "")?;
        let page = exporter.until(Duration::from_secs(10), has_estimate)?;
        taken.push(exporter.started.elapsed().as_secs_f64());
        for (at, (namespace, _, share)) in SHARES.iter().enumerate() {
            let off = (page.of("keys", namespace)? - truth(*share)).abs();
            let is_held = off <= page.of("keys_error", namespace)?;
            if let (Some(errors), Some(held)) = (errors.get_mut(at), held.get_mut(at)) {
                errors.push(off / truth(*share) * 100.0);
                *held += u32::from(is_held);
            }
        }
    }
    taken.sort_by(f64::total_cmp);
    let (middle, last) = (taken.get(taken.len() / 2), taken.last());
    let measured = format!(
        "{:.2} s, worst {:.2} s",
        middle.unwrap_or(&f64::NAN),
        last.unwrap_or(&f64::NAN)
    );
    row("first estimate after the start", &measured, "≤ 1 s");
    for ((namespace, _, share), (errors, held)) in SHARES.iter().zip(errors.iter_mut().zip(held)) {
        errors.sort_by(f64::total_cmp);
        let at = |place: usize| errors.get(place).copied().unwrap_or(f64::NAN);
        let measured = format!(
            "median ± {:.1} %, 95 % of them within ± {:.1} %; interval held {held} of {REPETITIONS}",
            at(errors.len() / 2),
            at(errors.len() * 95 / 100)
        );
        let what = format!("first estimate of {namespace} ({} %)", share / 10.0);
        let aim = if *share >= 50.0 { "± 2 % soon" } else { "" };
        row(
            &what,
            &measured,
            &format!("{aim} ≥ 90 of 100")
                .trim()
                .replace("soon ≥", "soon, ≥"),
        );
    }
    Ok(())
}

/// Measures a minute with default settings, together with other clients.
fn steady(server: &Server) -> Outcome<()> {
    let period = Duration::from_secs(5);
    let rest = || {
        sleep(period);
        Ok(())
    };
    let (mut idle, mut swept) = (Pings::default(), Pings::default());
    let exporter = Exporter::ours(server, "")?;
    exporter.until(Duration::from_secs(10), has_estimate)?;
    let (started, before) = (Instant::now(), server.cpu()?);
    swept.add(
        during(server, || {
            sleep(Duration::from_secs(58));
            Ok(())
        })?
        .1,
    );
    let page = exporter.page()?;
    let (seconds, sweeping) = (started.elapsed().as_secs_f64(), server.cpu()? - before);
    let errors: Vec<String> = SHARES
        .iter()
        .map(|(namespace, _, share)| {
            let off = page.of("keys", namespace)? / truth(*share) - 1.0;
            Ok(format!("{namespace} {:+.2} %", off * 100.0))
        })
        .collect::<Outcome<_>>()?;
    row(
        "error after 60 s at default settings",
        &errors.join(", "),
        "± 2 % from 5 % on",
    );
    let resident = exporter.resident()?;
    row(
        "resident memory after 60 s",
        &format!("{resident:.1} MB"),
        "≤ 20 MB",
    );
    drop(exporter);
    let (before, quiet) = (server.cpu()?, Instant::now());
    idle.add(during(server, rest)?.1);
    let idle_share = (server.cpu()? - before) / quiet.elapsed().as_secs_f64();
    let share = sweeping / seconds - idle_share;
    let measured = format!("{:.2} s, {:.2} % of a core", share * 60.0, share * 100.0);
    row("Redis CPU of the sweep in a minute", &measured, "about 1 %");
    // In turns, so that the noise of the machine hits both.
    swept = Pings::default();
    for _ in 0..4 {
        idle.add(during(server, rest)?.1);
        let exporter = Exporter::ours(server, "first_keys: 0")?;
        exporter.until(Duration::from_secs(10), has_estimate)?;
        swept.add(during(server, rest)?.1);
    }
    row("PING of another client, idle", &idle.describe(), "");
    let ratio = swept.quantile(0.99) / idle.quantile(0.99);
    let measured = format!("{}: p99 × {ratio:.2}", swept.describe());
    row(
        "PING of another client during the sweep",
        &measured,
        "p99 × ≤ 1.1",
    );
    Ok(())
}

/// Compares one pass without limits with the server's own count.
fn exactness(server: &Server) -> Outcome<()> {
    let exporter = Exporter::ours(server, "cpu_share: 100%, min_pass_interval: 1h")?;
    let page = exporter.pass()?;
    let (mut keys_off, mut memory_off) = (0.0_f64, 0.0_f64);
    for (namespace, pattern, _) in SHARES {
        let (keys, bytes) = server.count(pattern)?;
        let error = page.of("keys_error", namespace)?;
        keys_off = keys_off.max((page.of("keys", namespace)? - keys).abs() + error);
        memory_off = memory_off.max((page.of("memory_bytes", namespace)? / bytes - 1.0).abs());
    }
    row("keys after a pass: off by", &format!("{keys_off}"), "0");
    let measured = format!("{:.3} %", memory_off * 100.0);
    row("memory after a pass: off by", &measured, "≤ 1 %");
    Ok(())
}

/// Compares the speed without limits with a client that discards all replies.
fn full_speed(server: &Server) -> Outcome<()> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        bare.push(bare::scan(server)?);
        let exporter = Exporter::ours(server, "cpu_share: 100%, min_pass_interval: 1h")?;
        let page = exporter.pass()?;
        let took = page.value("redis_exporter_sweep_pass_duration_seconds", "");
        ours.push(f64::from(KEYS) / took.ok_or("no duration of the pass")?);
    }
    ours.sort_by(f64::total_cmp);
    bare.sort_by(f64::total_cmp);
    if let (Some(ours), Some(bare)) = (ours.get(1), bare.get(1)) {
        let measured = format!("{ours:.0} against {bare:.0}: × {:.2}", ours / bare);
        row(
            "keys a second without limit, against a bare client",
            &measured,
            "× ≥ 0.8",
        );
    }
    Ok(())
}

/// Runs `redis_exporter` with the same patterns.
fn redis_exporter(server: &Server) -> Outcome<()> {
    let ways: [(&str, &[&str], &str); 2] = [
        (
            "--check-key-groups",
            &["-check-key-groups", "^([^:]+):"],
            "redis_key_group_count",
        ),
        (
            "--count-keys",
            &[
                "-count-keys",
                "session:*,api:cache:*,ratelimit:*,websocket:*,feature:*",
            ],
            "redis_keys_count",
        ),
    ];
    for (name, flags, metric) in ways {
        let exporter = Exporter::redis_exporter(server, flags)?;
        let before = server.cpu()?;
        let (took, pings) = during(server, || {
            let started = Instant::now();
            let page =
                exporter.until(Duration::from_secs(60), |page| page.0.contains("redis_up"))?;
            let found = if page.0.contains(metric) {
                ""
            } else {
                ", without numbers"
            };
            Ok((started.elapsed().as_secs_f64(), found))
        })?;
        let spent = server.cpu()? - before;
        let measured = format!("{:.1} s, at every scrape{}", took.0, took.1);
        row(
            &format!("redis_exporter with {name}: numbers after"),
            &measured,
            "",
        );
        let measured = format!("{:.1} s", spent * 4.0);
        let what = format!("redis_exporter with {name}: Redis CPU in a minute of four scrapes");
        row(&what, &measured, "");
        let what = format!("redis_exporter with {name}: PING of another client during a scrape");
        row(&what, &pings.describe(), "");
    }
    Ok(())
}

/// Scans ten million small keys, to show that memory does not grow with them and how soon estimates
/// exist.
fn large() -> Outcome<()> {
    let server = Server::start()?;
    server.write(10_000_000, "redis.call('SET', 'session:' .. i, 1)")?;
    println!("| 10,000,000 small keys | measured | aim |\n| --- | --- | --- |");
    let exporter = Exporter::ours(&server, "cpu_share: 100%, min_pass_interval: 1h")?;
    exporter.until(Duration::from_secs(10), has_estimate)?;
    let taken = format!("{:.2} s", exporter.started.elapsed().as_secs_f64());
    row("first estimate after the start", &taken, "≤ 1 s");
    let early = exporter.resident()?;
    let page = exporter.pass()?;
    let took = page.value("redis_exporter_sweep_pass_duration_seconds", "");
    row(
        "a pass without limit",
        &format!("{:.0} s", took.unwrap_or(f64::NAN)),
        "",
    );
    let measured = format!(
        "{early:.1} MB at first, {:.1} MB after a pass",
        exporter.resident()?
    );
    row("resident memory", &measured, "≤ 20 MB");
    Ok(())
}
