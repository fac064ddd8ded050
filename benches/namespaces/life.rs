//! Measures how exactly evictions are assigned to namespaces in a small cache, and what that costs.
//!
//! A client looks up keys and writes those that are missing, about 3,000 commands per second. Key
//! events give the true number of evictions of each namespace; the exporter does not receive them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::{scope, sleep, spawn};
use std::time::{Duration, Instant};

use crate::bystander::{Pings, during};
use crate::page::{Exporter, Page};
use crate::process::{cpu, memory};
use crate::server::Server;
use crate::wire::{Reply, Wire};
use crate::{Outcome, median, row};

/// The namespaces with their share of the keys in twentieths, and the TTL of their keys in seconds.
const KINDS: [(&str, &str, usize, &str); 4] = [
    ("session", "session:", 10, "900"),
    ("api-cache", "api:cache:", 5, "3600"),
    ("ratelimit", "ratelimit:", 3, "120"),
    ("websocket", "websocket:", 2, "7200"),
];

/// Keys that the client may look up. About a fifth of them fits into the memory.
const KEYS: usize = 200_000;

/// Lookups in each hundredth of a second.
const LOOKUPS: usize = 20;

const TICK: Duration = Duration::from_millis(10);

/// Evictions until the server is in a steady state.
const EVICTED_FIRST: f64 = 20_000.0;

/// Maximum time until the evictions of namespaces with many keys are known, which takes TTLs of each.
const SHOWN_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Time until the TTLs of nearly all keys of the panel are known. The server counts each query of a
/// TTL as a lookup, so the exporter sends few of them.
const SETTLED_AFTER: Duration = Duration::from_secs(2 * 60);

/// Share of the keys, in twentieths, from which a namespace must be known.
const MANY_KEYS: usize = 3;

/// Time for which evictions are counted.
const COUNTED_FOR: Duration = Duration::from_secs(5 * 60);

/// Number of such times.
const WINDOWS: u32 = 3;

const PAGE_EVERY: Duration = Duration::from_secs(5);

/// Minimum share of the evictions for a namespace to be compared.
const SHARE_MIN: f64 = 0.1;

/// Time after the start of two exporters in which both sample more than later.
const STEADY_AFTER: Duration = Duration::from_secs(100);

/// Length and number of the windows in which the costs of both are compared.
const COST_WINDOW: Duration = Duration::from_secs(10);
const COST_WINDOWS: u32 = 15;

/// The settings to compare with: the sweep alone.
const WITHOUT: &str = "panel: false, idle: false";

/// The true number of evictions of each namespace.
type Evictions = Arc<[AtomicU64; KINDS.len()]>;

/// The cumulated weights of the keys: the popularity of a key is inverse to its rank.
static WEIGHTS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let ranks = (1..=KEYS).scan(0.0, |sum, rank| {
        *sum += 1.0 / to_float(rank);
        Some(*sum)
    });
    ranks.collect()
});

/// Prints how exact the evictions of each namespace are.
pub fn accuracy_rows() -> Outcome<()> {
    let server = Server::start()?;
    let mut wire = server.connect()?;
    limit_memory(&mut wire)?;
    wire.text(&["CONFIG", "SET", "notify-keyspace-events", "Ee"])?;
    let evictions = Evictions::default();
    count_evictions(server.connect()?, Arc::clone(&evictions))?;
    loaded(&[&server], || {
        until_evicting(&server)?;
        accuracy(&server, &evictions)
    })
}

/// Prints what that costs.
pub fn cost_rows() -> Outcome<()> {
    let servers = [Server::start()?, Server::start()?];
    for server in &servers {
        limit_memory(&mut server.connect()?)?;
    }
    let [one, other] = &servers;
    loaded(&[one, other], || {
        until_evicting(one)?;
        until_evicting(other)?;
        cost(one, other)
    })
}

fn limit_memory(wire: &mut Wire) -> Outcome<()> {
    for (name, value) in [("maxmemory", "16mb"), ("maxmemory-policy", "allkeys-lru")] {
        wire.text(&["CONFIG", "SET", name, value])?;
    }
    Ok(())
}

/// Measures something while a client uses these servers. Each server gets the same lookups.
fn loaded(servers: &[&Server], measure: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let wires = servers.iter().map(|server| server.connect());
    let wires = wires.collect::<Outcome<Vec<Wire>>>()?;
    let done = AtomicBool::new(false);
    scope(|scope| {
        let load = scope.spawn(|| {
            // An error of this program cannot be sent to another thread.
            load(wires, &done).map_err(|error| error.to_string())
        });
        let measured = measure();
        done.store(true, Ordering::Relaxed);
        let loaded = load.join().map_err(|_| "the load panicked")?;
        measured.and(loaded.map_err(Into::into))
    })
}

/// Waits until the server is in a steady state.
fn until_evicting(server: &Server) -> Outcome<()> {
    let (mut wire, started) = (server.connect()?, Instant::now());
    while evicted_keys(&mut wire)? < EVICTED_FIRST {
        if started.elapsed() > Duration::from_secs(5 * 60) {
            return Err("the server evicts nothing".into());
        }
        sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn evicted_keys(wire: &mut Wire) -> Outcome<f64> {
    let info = wire.text(&["INFO", "stats"])?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("evicted_keys:"));
    Ok(line.ok_or("no evicted_keys in INFO")?.parse()?)
}

fn to_float(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Returns the number of the namespace of a key.
fn kind_of(rank: usize) -> usize {
    let mut rest = rank % 20;
    KINDS
        .iter()
        .position(|(_, _, share, _)| {
            let is_it = rest < *share;
            rest = rest.saturating_sub(*share);
            is_it
        })
        .unwrap_or_default()
}

/// Looks up keys, and writes those that are missing, until `done`.
fn load(mut wires: Vec<Wire>, done: &AtomicBool) -> Outcome<()> {
    let mut due = Instant::now();
    while !done.load(Ordering::Relaxed) {
        let drawn = (0..LOOKUPS).map(|_| {
            let weight = fastrand::f64() * WEIGHTS.last().copied().unwrap_or_default();
            let rank = WEIGHTS.partition_point(|sum| *sum < weight);
            let kind = KINDS.get(kind_of(rank)).unwrap_or(&KINDS[0]);
            (format!("{}{rank}", kind.1), kind.3)
        });
        let drawn: Vec<_> = drawn.collect();
        for wire in &mut wires {
            look_up(wire, &drawn)?;
        }
        due += TICK;
        sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Looks up keys, and writes those that are missing with their TTL.
fn look_up(wire: &mut Wire, drawn: &[(String, &str)]) -> Outcome<()> {
    for (key, _) in drawn {
        wire.add(&[b"GET", key.as_bytes()]);
    }
    wire.flush()?;
    let mut missing = Vec::new();
    for (key, ttl) in drawn {
        if matches!(wire.reply()?, Reply::Text(text) if text.is_empty()) {
            missing.push((key, ttl));
        }
    }
    let value = [b'x'; 400];
    for (key, ttl) in &missing {
        let size = fastrand::usize(100..value.len());
        let value = value.get(..size).unwrap_or_default();
        wire.add(&[b"SET", key.as_bytes(), value, b"EX", ttl.as_bytes()]);
    }
    wire.flush()?;
    for _ in &missing {
        wire.reply()?;
    }
    Ok(())
}

/// Counts the events of evicted keys until the server closes the connection.
fn count_evictions(mut wire: Wire, evictions: Evictions) -> Outcome<()> {
    wire.ask(&["SUBSCRIBE", "__keyevent@0__:evicted"])?;
    spawn(move || {
        while let Ok(reply) = wire.reply() {
            let Reply::List(items) = reply else { continue };
            let Some(Reply::Text(key)) = items.last() else {
                continue;
            };
            let mut kinds = KINDS.iter().zip(evictions.iter());
            let found = kinds.find(|((_, start, ..), _)| key.starts_with(start.as_bytes()));
            if let Some((_, count)) = found {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Ok(())
}

/// Returns the evictions of each namespace on the page, as far as they are known.
fn shown(page: &Page) -> [Option<f64>; KINDS.len()] {
    KINDS.map(|(name, ..)| page.of("evicted_keys_total", name).ok())
}

/// Returns whether the evictions of all namespaces with many keys are known.
fn is_shown(page: &Page) -> bool {
    let mut kinds = KINDS.iter().zip(shown(page));
    kinds.all(|((_, _, share, _), shown)| *share < MANY_KEYS || shown.is_some())
}

/// Compares the evictions on the page with those that the server reports.
fn accuracy(server: &Server, evictions: &Evictions) -> Outcome<()> {
    let exporter = Exporter::ours(server, "")?;
    let started = Instant::now();
    exporter.until(SHOWN_WITHIN, is_shown)?;
    let what = "until evictions of all namespaces are known, from the start";
    row(
        what,
        &format!("{:.0} s", started.elapsed().as_secs_f64()),
        "",
    );
    sleep(SETTLED_AFTER);
    for _ in 0..WINDOWS {
        window(&exporter, evictions)?;
    }
    let memory = memory(exporter.process.id())?;
    let measured = format!(
        "{:.1} MB, {:.1} MB anonymous",
        memory.resident, memory.anonymous
    );
    row("resident memory of this exporter", &measured, "");
    Ok(())
}

fn counted(evictions: &Evictions) -> Vec<f64> {
    evictions.iter().map(load_as_float).collect()
}

/// Compares the evictions of five minutes.
fn window(exporter: &Exporter, evictions: &Evictions) -> Outcome<()> {
    let (before, counted_before) = (shown(&exporter.page()?), counted(evictions));
    let (started, mut pages, mut unknown) = (Instant::now(), 0, 0);
    while started.elapsed() < COUNTED_FOR {
        sleep(PAGE_EVERY);
        pages += 1;
        unknown += u32::from(!is_shown(&exporter.page()?));
    }
    let (after, counted_after) = (shown(&exporter.page()?), counted(evictions));
    let counted = counted_after.iter().zip(&counted_before);
    let counted: Vec<f64> = counted.map(|(after, before)| after - before).collect();
    let all: f64 = counted.iter().sum();
    let mut worst = 0.0_f64;
    let mut texts = Vec::new();
    let shown = after.into_iter().zip(before);
    for ((kind, shown), counted) in KINDS.iter().zip(shown).zip(counted) {
        let is_compared = counted >= all * SHARE_MIN;
        let (Some(after), Some(before)) = shown else {
            texts.push(format!("{} unknown of {counted:.0}", kind.0));
            worst = if is_compared { f64::INFINITY } else { worst };
            continue;
        };
        let shown = after - before;
        texts.push(format!("{} {shown:.0} of {counted:.0}", kind.0));
        if is_compared {
            worst = worst.max((shown / counted - 1.0).abs());
        }
    }
    let measured = format!(
        "worst {:.1} %: {}; some unknown on {unknown} of {pages} pages",
        worst * 100.0,
        texts.join(", ")
    );
    row(
        "evictions by namespace within 5 minutes",
        &measured,
        "± 10 %",
    );
    Ok(())
}

fn load_as_float(count: &AtomicU64) -> f64 {
    let count = u32::try_from(count.load(Ordering::Relaxed));
    count.map_or(f64::INFINITY, f64::from)
}

/// The costs of one exporter.
#[derive(Debug, Default)]
struct Costs {
    /// CPU time of Redis and of the exporter in each window, in shares of a core.
    redis: Vec<f64>,
    exporter: Vec<f64>,
    pings: Pings,
}

/// Compares an exporter with default settings with one that only sweeps. Each has its own server,
/// with the same load at the same time. Then they change places, because the servers may differ.
fn cost(one: &Server, other: &Server) -> Outcome<()> {
    let (mut redis, mut here, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pings_without, mut pings_with) = <(Pings, Pings)>::default();
    for (left, right) in [(one, other), (other, one)] {
        let (without, with) = (Exporter::ours(left, WITHOUT)?, Exporter::ours(right, "")?);
        sleep(STEADY_AFTER);
        let (before, after) = costs_of_both((left, &without), (right, &with))?;
        redis.push(median_difference(&before.redis, &after.redis));
        here.push(median_difference(&before.exporter, &after.exporter));
        ratios.push(after.pings.quantile(0.99) / before.pings.quantile(0.99));
        pings_without.add(before.pings);
        pings_with.add(after.pings);
    }
    let percent = |[one, other]: [f64; 2]| {
        format!(
            "{:.3} % of a core ({:.3} % and {:.3} %)",
            (one + other) * 50.0,
            one * 100.0,
            other * 100.0
        )
    };
    let both = |shares: Vec<f64>| shares.try_into().map_err(|_| "no two measurements");
    let what = "Redis CPU of panel, idle times and forecasts beside the sweep";
    row(what, &percent(both(redis)?), "≤ 0.1 %");
    let what = "CPU of the exporter for them";
    row(what, &percent(both(here)?), "≤ 0.3 %");
    // The servers differ, so each half compares both, and their geometric mean has no part of that.
    let [one, other] = both(ratios)?;
    let measured = format!(
        "{}, without them {}: p99 × {:.2} (× {one:.2} and × {other:.2})",
        pings_with.describe(),
        pings_without.describe(),
        (one * other).sqrt()
    );
    row("PING of another client", &measured, "p99 × ≤ 1.05");
    Ok(())
}

/// Returns the median of the differences between what two exporters cost in the same windows.
fn median_difference(before: &[f64], after: &[f64]) -> f64 {
    let pairs = before.iter().zip(after);
    median(pairs.map(|(before, after)| after - before).collect())
}

/// Measures what two exporters cost their servers at the same time.
fn costs_of_both(
    one: (&Server, &Exporter),
    other: (&Server, &Exporter),
) -> Outcome<(Costs, Costs)> {
    let windows = || {
        let mut both = <(Costs, Costs)>::default();
        for _ in 0..COST_WINDOWS {
            let (before, before_other) = (used(one)?, used(other)?);
            sleep(COST_WINDOW);
            let (after, after_other) = (used(one)?, used(other)?);
            both.0.record(before, after);
            both.1.record(before_other, after_other);
        }
        Ok(both)
    };
    let ((mut both, pings_other), pings) = during(one.0, || during(other.0, windows))?;
    both.0.pings = pings;
    both.1.pings = pings_other;
    Ok(both)
}

/// Returns the time, and the CPU times of a server and its exporter until then.
fn used((server, exporter): (&Server, &Exporter)) -> Outcome<(Instant, f64, f64)> {
    let here = cpu(exporter.process.id())?.as_secs_f64();
    Ok((Instant::now(), server.cpu()?, here))
}

impl Costs {
    fn record(&mut self, before: (Instant, f64, f64), after: (Instant, f64, f64)) {
        let seconds = after.0.duration_since(before.0).as_secs_f64();
        self.redis.push((after.1 - before.1) / seconds);
        self.exporter.push((after.2 - before.2) / seconds);
    }
}
