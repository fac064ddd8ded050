//! Rounds of random operations, after each of which the counts from key events are compared with
//! INFO, and those of each namespace with the events of the server. `EVENT_ROUNDS=200 cargo test --test live event_rounds` runs more of them.

use crate::support::key_events::{EVENTS, EventCounts, TrueEvents};
use crate::support::keys;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{LONG, until};
use crate::support::{Exporter, Page, RedisServer};

const ROUNDS: u32 = 4;

/// In one of this many rounds, the memory limit evicts hundreds of thousands of keys. The default
/// number of rounds has none.
const BURST_EVERY: u32 = 25;

/// Number of databases with keys.
const DATABASES: u32 = 3;

/// Keys of a burst, and how many of them are evicted.
const BURST: u32 = 650_000;
const PART: u32 = 50_000;
const BURST_EVICTED: f64 = 400_000.0;

/// Operations that remove, move or replace keys, each on about a hundred of them.
const OPERATIONS: [&str; 7] = [
    "for i = 1, 300 do call('SET', 'session:' .. math.random(1e9), i, 'PX', math.random(30)) end",
    "for i = 1, 300 do call('SET', 'api:cache:' .. math.random(1e9), string.rep('x', 90)) end",
    "call('SWAPDB', 0, 1)",
    "if math.random(3) == 1 then call('FLUSHDB') end",
    "for i = 1, 99 do call('SET', 'websocket:' .. i, i, 'PX', 20) \
     call('RENAME', 'websocket:' .. i, 'session:' .. i) end",
    "for i = 1, 99 do call('SET', 'ratelimit:' .. i, i, 'PX', 1) end \
     for i = 1, 99 do call('GET', 'ratelimit:' .. i) end",
    "for i = 1, 99 do call('DEL', 'session:' .. i) call('PEXPIRE', 'websocket:' .. i, 5) end",
];

fn counters(server: &RedisServer) -> [f64; 2] {
    EVENTS.map(|event| {
        let value = server.info(&format!("{event}_keys"));
        value.unwrap().parse().unwrap()
    })
}

fn sum(page: &Page, metric: &str, labels: &[(&str, &str)]) -> f64 {
    page.all(metric, labels).into_iter().sum()
}

fn missed(page: &Page, event: &str, reason: &str) -> f64 {
    let labels = [("event", event), ("reason", reason)];
    sum(page, "redis_exporter_events_missed_total", &labels)
}

/// Evicts about this share of the keys, or this many if the rest of the memory has no keys.
fn evict(server: &RedisServer, share: f64, most: f64) {
    let before = counters(server)[0];
    let number = |name| -> f64 { server.info(name).unwrap().parse().unwrap() };
    let (used, empty) = (number("used_memory"), number("used_memory_startup"));
    let limit = empty + (used - empty) * (1.0 - share);
    server.ask(&["CONFIG", "SET", "maxmemory", &format!("{limit:.0}")]);
    until(LONG, "the limit", || {
        // Each command evicts for a limited time.
        server.ask(&["PING"]);
        let evicted = counters(server)[0] - before;
        (number("used_memory") <= limit * 1.01 || evicted >= most).then_some(())
    });
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
}

/// Applies random operations in random databases, and evicts keys in some rounds.
fn operate(server: &RedisServer, random: &mut fastrand::Rng, round: u32) {
    // Every round has keys that expire.
    let others = (0..random.u32(3..10)).map(|_| random.usize(..OPERATIONS.len()));
    let others: Vec<usize> = others.collect();
    for operation in others.into_iter().chain([0]) {
        let body = OPERATIONS[operation];
        let body = format!("math.randomseed({}) {body}", random.u32(..1_000_000));
        keys::run(server, random.u32(..DATABASES), &body);
    }
    if round % BURST_EVERY == BURST_EVERY - 1 {
        // The exporter hangs up if a single script takes the server longer than ten seconds.
        for part in 0..BURST / PART {
            let each = format!("call('SET', 'api:cache:burst' .. i + {part} * {PART}, i)");
            keys::write(server, 0, PART, &each);
        }
        let before = counters(server)[0];
        evict(server, 0.7, BURST_EVICTED);
        let evicted = counters(server)[0] - before;
        assert!(evicted >= BURST_EVICTED, "{evicted} keys");
        keys::run(server, 0, "call('FLUSHDB')");
    } else if round.is_multiple_of(2) {
        keys::write(server, 0, 3_000, "call('SET', 'session:kept' .. i, i)");
        evict(server, 0.3, 900.0);
    }
    until(LONG, "the end of all TTLs", || {
        let databases = server.ask(&["INFO", "keyspace"]);
        let mut databases = databases.lines().filter(|line| line.starts_with("db"));
        databases
            .all(|line| line.contains(",expires=0"))
            .then_some(())
    });
}

/// Keys since the start that vanished in one way: those shown, those that the server counted, and those
/// missed during pauses.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    shown: f64,
    counted: f64,
    paused: f64,
}

/// Each of the namespaces is rounded if its count includes an estimate.
const ROUNDED: f64 = 10.0;

impl Totals {
    /// Returns whether exactly the keys of one round were added since `before`. Keys missed during a
    /// pause are estimated, and added later.
    fn follow(&self, before: &Self) -> bool {
        let added = self.counted - before.counted;
        if self.paused > before.paused {
            self.shown <= self.counted + ROUNDED
        } else if before.shown >= before.counted && self.paused == 0.0 {
            self.shown == self.counted
        } else {
            let least = before.shown + added - ROUNDED;
            (least..=self.counted + ROUNDED).contains(&self.shown)
        }
    }
}

/// Returns the namespaces of an event whose count is not that of the server. Keys missed during a pause
/// may count in any namespace: this server evicts from other namespaces in each round, and the panel
/// finds few keys in a second.
fn misplaced(page: &Page, event: &str, truth: &EventCounts, totals: Totals) -> Vec<String> {
    let name = format!("redis_key_namespace_{event}_keys_total");
    let places = truth.iter().filter(|((of, _, _), _)| of == event);
    let differ = places.filter_map(|((_, database, namespace), counted)| {
        let labels = [
            ("db", database.as_str()),
            ("key_namespace", namespace.as_str()),
        ];
        let shown = page.get(&name, &labels).unwrap_or(0.0);
        let tolerance = match totals.paused {
            0.0 => 0.0,
            paused => ROUNDED + paused,
        };
        // Keys missed during a pause are added later.
        let missing = (totals.counted - totals.shown).max(0.0);
        let is_right = (counted - tolerance - missing..=counted + tolerance).contains(&shown);
        (!is_right).then(|| format!("{database} {namespace}: {shown} of {counted}"))
    });
    differ.collect()
}

/// Returns a page on which received and missed events explain the counters of the server.
fn reconciled(server: &RedisServer, exporter: &Exporter, before: [f64; 2]) -> (Page, [f64; 2]) {
    let counted = std::cell::Cell::new([0.0; 2]);
    let page = exporter.until("reconciled counts", |page| {
        let now = counters(server);
        let counts = [now[0] - before[0], now[1] - before[1]];
        counted.set(counts);
        EVENTS.iter().zip(counts).all(|(event, count)| {
            let labels = [("event", *event)];
            let received = sum(page, "redis_exporter_events_total", &labels);
            let missed = sum(page, "redis_exporter_events_missed_total", &labels);
            received + missed == count
        })
    });
    (page, counted.get())
}

#[test]
fn random_operations_are_counted_exactly() {
    let rounds = std::env::var("EVENT_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let flags = ["--notify-keyspace-events", "Exe"];
    let policy = ["--maxmemory-policy", "allkeys-random"];
    let server = RedisServer::start(&[flags, policy].concat());
    keys::write(&server, 0, 2_000, "call('SET', 'session:kept' .. i, i)");
    let settings = format!("{FULL_SPEED}, events: listen");
    let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
    exporter.until("events", |page| {
        EVENTS.iter().all(|event| {
            let labels = [("event", *event), ("source", "events")];
            page.get("redis_exporter_events_source", &labels) == Some(1.0)
        })
    });
    let mut truth = TrueEvents::of(&server, DATABASES);
    let before = counters(&server);
    let mut random = fastrand::Rng::with_seed(9);
    let (mut off, mut paused) = (0, 0);
    let mut last = [Totals::default(); 2];
    for round in 0..rounds {
        operate(&server, &mut random, round);
        let (page, counted) = reconciled(&server, &exporter, before);
        for ((event, counted), last) in EVENTS.into_iter().zip(counted).zip(&mut last) {
            let broken = missed(&page, event, "lost") + missed(&page, event, "disconnected");
            let names = format!("redis_key_namespace_{event}_keys_total");
            let now = Totals {
                shown: sum(&page, &names, &[]),
                counted,
                paused: missed(&page, event, "paused"),
            };
            paused += u32::from(now.paused > last.paused);
            let truth = truth.once(event, counted);
            let misplaced = misplaced(&page, event, &truth, now);
            if broken > 0.0 || !now.follow(last) || !misplaced.is_empty() {
                off += 1;
                println!("round {round}: {event} keys {now:?} after {last:?}, {broken} missed");
                println!("{misplaced:?}");
            }
            *last = now;
        }
    }
    let [evicted, expired] = counters(&server);
    println!(
        "{off} of {rounds} rounds off, {paused} with pauses; {evicted} evicted, {expired} expired"
    );
    assert_eq!(off, 0);
    let rounds = f64::from(rounds);
    assert!(evicted > 300.0 * rounds && expired > 50.0 * rounds);
}
