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
use crate::{Outcome, median, row, turn};

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
const SHOWN_WITHIN: Duration = Duration::from_mins(10);

/// Time until the TTLs of nearly all keys of the panel are known. The server counts each query of a
/// TTL as a lookup, so the exporter sends few of them.
const SETTLED_AFTER: Duration = Duration::from_mins(2);

/// Share of the keys, in twentieths, from which a namespace must be known.
const MANY_KEYS: usize = 3;

/// Time for which evictions are counted.
const COUNTED_FOR: Duration = Duration::from_mins(5);

/// Number of such times.
const WINDOWS: u32 = 3;

const PAGE_EVERY: Duration = Duration::from_secs(5);

/// Minimum share of the evictions for a namespace to be compared.
const SHARE_MIN: f64 = 0.1;

/// Turns of each side.
const TURNS: u32 = 40;

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

/// Prints all rows.
pub fn rows() -> Outcome<()> {
    let server = Server::start()?;
    let mut wire = server.connect()?;
    for (name, value) in [
        ("maxmemory", "16mb"),
        ("maxmemory-policy", "allkeys-lru"),
        ("notify-keyspace-events", "Ee"),
    ] {
        wire.text(&["CONFIG", "SET", name, value])?;
    }
    let evictions = Evictions::default();
    count_evictions(server.connect()?, Arc::clone(&evictions))?;
    let done = AtomicBool::new(false);
    scope(|scope| {
        let load = scope.spawn(|| {
            let loaded = server.connect().and_then(|wire| load(wire, &done));
            // An error of this program cannot be sent to another thread.
            loaded.map_err(|error| error.to_string())
        });
        let measured = accuracy(&server, &evictions).and_then(|()| cost(&server));
        done.store(true, Ordering::Relaxed);
        let loaded = load.join().map_err(|_| "the load panicked")?;
        measured.and(loaded.map_err(Into::into))
    })
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
fn load(mut wire: Wire, done: &AtomicBool) -> Outcome<()> {
    let mut due = Instant::now();
    let value = [b'x'; 400];
    while !done.load(Ordering::Relaxed) {
        let drawn = (0..LOOKUPS).map(|_| {
            let weight = fastrand::f64() * WEIGHTS.last().copied().unwrap_or_default();
            let rank = WEIGHTS.partition_point(|sum| *sum < weight);
            let kind = KINDS.get(kind_of(rank)).unwrap_or(&KINDS[0]);
            (format!("{}{rank}", kind.1), kind.3)
        });
        let drawn: Vec<_> = drawn.collect();
        for (key, _) in &drawn {
            wire.add(&[b"GET", key.as_bytes()]);
        }
        wire.flush()?;
        let mut missing = Vec::new();
        for (key, ttl) in drawn {
            if matches!(wire.reply()?, Reply::Text(text) if text.is_empty()) {
                missing.push((key, ttl));
            }
        }
        for (key, ttl) in &missing {
            let size = fastrand::usize(100..value.len());
            let value = value.get(..size).unwrap_or_default();
            wire.add(&[b"SET", key.as_bytes(), value, b"EX", ttl.as_bytes()]);
        }
        wire.flush()?;
        for _ in &missing {
            wire.reply()?;
        }
        due += TICK;
        sleep(due.saturating_duration_since(Instant::now()));
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
    let started = Instant::now();
    while counted(evictions).iter().sum::<f64>() < EVICTED_FIRST {
        if started.elapsed() > Duration::from_mins(5) {
            return Err("the server evicts nothing".into());
        }
        sleep(Duration::from_secs(1));
    }
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

/// CPU times of one turn, in shares of a core.
#[derive(Clone, Copy)]
struct TurnCost {
    redis: f64,
    exporter: f64,
}

/// Compares an exporter with default settings with one that only sweeps.
fn cost(server: &Server) -> Outcome<()> {
    let exporters = [WITHOUT, ""].map(|sweep| -> Outcome<Exporter> {
        let exporter = Exporter::ours(server, sweep)?;
        exporter.pass()?;
        // The panel and the idle times are complete by then.
        sleep(Duration::from_secs(30));
        exporter.signal("STOP")?;
        Ok(exporter)
    });
    let [without, with] = exporters;
    let (without, with) = (without?, with?);
    let (mut redis, mut here) = (Vec::new(), Vec::new());
    let (mut pings_without, mut pings_with) = <(Pings, Pings)>::default();
    for _ in 0..TURNS {
        let (before, pings) = turn(&without, || cost_of_turn(server, &without))?;
        pings_without.add(pings);
        let (after, pings) = turn(&with, || cost_of_turn(server, &with))?;
        pings_with.add(pings);
        redis.push(after.redis - before.redis);
        here.push(after.exporter - before.exporter);
    }
    let percent = |shares| format!("{:.3} % of a core", median(shares) * 100.0);
    let what = "Redis CPU of panel, idle times and forecasts beside the sweep";
    row(what, &percent(redis), "≤ 0.1 %");
    row("CPU of the exporter for them", &percent(here), "≤ 0.3 %");
    let ratio = pings_with.quantile(0.99) / pings_without.quantile(0.99);
    let measured = format!(
        "{}, without them {}: p99 × {ratio:.2}",
        pings_with.describe(),
        pings_without.describe()
    );
    row("PING of another client", &measured, "p99 × ≤ 1.05");
    Ok(())
}

fn cost_of_turn(server: &Server, exporter: &Exporter) -> Outcome<(TurnCost, Pings)> {
    let process = exporter.process.id();
    let (started, redis, here) = (Instant::now(), server.cpu()?, cpu(process)?);
    let rest = || {
        sleep(Duration::from_secs(3));
        Ok(())
    };
    let ((), pings) = during(server, rest)?;
    let elapsed = started.elapsed().as_secs_f64();
    let cost = TurnCost {
        redis: (server.cpu()? - redis) / elapsed,
        exporter: cpu(process)?.saturating_sub(here).as_secs_f64() / elapsed,
    };
    Ok((cost, pings))
}
