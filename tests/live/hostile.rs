//! Servers that send far too much use limited memory and do not affect other targets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::hostile::{Hostile, Payload};
use crate::support::keys;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// Maximum memory that one hostile server may use, in KiB.
const MEMORY_MAX: u64 = 64 << 10;

/// Allowed extra duration of a scrape, compared with an exporter that has no hostile server.
const DELAY_MAX: Duration = Duration::from_millis(50);

/// A busy machine delays scrapes of both exporters, but not equally. A scrape counts as delayed if
/// it takes longer than the other exporter's slowest scrape by this factor.
const UNEQUAL: u32 = 3;

/// Maximum number of delayed scrapes, less than the number of polls.
const DELAYED_MAX: usize = 2;

/// Enough for some polls on a slow machine.
const PATIENCE: Duration = LONG;

const COLLECTORS: &str = "clients: { list: true }\n\
    collectors: { client_list: true, config_values: true, acl_log: true, modules: true }\n";

/// The healthy server has a longer timeout, so that a busy machine does not make it appear down.
fn launch(hostile: &Hostile, healthy: &RedisServer, sweep: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\nsweep: {{ {sweep} }}\n{COLLECTORS}targets:\n\
         - {{ name: hostile, url: '{}' }}\n\
         - {{ name: healthy, url: '{}', poll: {{ interval: 3s, timeout: 3s }} }}\n",
        hostile.url(),
        healthy.url()
    ))
    .start()
}

/// Returns the lines of a page that help to explain a failure.
fn samples(page: &Page) -> String {
    let names = [
        "redis_up",
        "redis_exporter_poll",
        "redis_exporter_last_scrape_error",
    ];
    let lines = page.0.lines();
    let wanted = lines.filter(|line| names.iter().any(|name| line.starts_with(name)));
    wanted.collect::<Vec<_>>().join("\n")
}

/// Returns the peak memory of an exporter, in KiB.
fn peak(exporter: &Exporter) -> u64 {
    memory(exporter, "VmHWM:")
}

fn memory(exporter: &Exporter, kind: &str) -> u64 {
    let path = format!("/proc/{}/status", exporter.process.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(kind));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

/// Observations of an exporter with a hostile and a healthy target.
struct Seen {
    peak: u64,
    /// Durations of scrapes, shortest first.
    scrapes: Vec<Duration>,
    /// Durations of scrapes of an exporter without a hostile server.
    others: Vec<Duration>,
    page: Page,
    log: String,
}

impl Seen {
    /// Checks that the median scrape is not delayed, and that at most a few scrapes are.
    fn assert_prompt(&self, name: &str) {
        let middle = |times: &[Duration]| times[times.len() / 2];
        let (median, other) = (middle(&self.scrapes), middle(&self.others));
        let slowest = *self.others.last().unwrap();
        let limit = UNEQUAL * slowest + DELAY_MAX;
        let delayed = self.scrapes.iter().filter(|time| **time > limit).count();
        println!("{name}: scrapes {median:?} ({other:?}), {delayed} over {limit:?}");
        assert!(
            median < UNEQUAL * other + DELAY_MAX && delayed <= DELAYED_MAX,
            "{name}: {:?}, without {:?}",
            self.scrapes,
            self.others
        );
    }
}

/// Scrapes, and returns the duration and the page.
fn timed(exporter: &Exporter) -> (Duration, Page) {
    let started = Instant::now();
    let page = exporter.page();
    (started.elapsed(), page)
}

/// Observes some polls of a hostile server and compares with an exporter without one. The healthy
/// server must stay up.
fn watch(healthy: &RedisServer, hostile: &Hostile, sweep: &str, other: &Exporter) -> Seen {
    let exporter = launch(hostile, healthy, sweep);
    let polls = |page: &Page| page.value("redis_exporter_polls_total", &[("target", "hostile")]);
    let wanted = polls(&exporter.page()) + 4.0;
    let started = Instant::now();
    let (mut scrapes, mut others) = (Vec::new(), Vec::new());
    let page = loop {
        others.push(timed(other).0);
        let (took, page) = timed(&exporter);
        scrapes.push(took);
        let up = page.value("redis_up", &[("target", "healthy")]);
        assert_eq!(up, 1.0, "{}\n{}", samples(&page), exporter.log());
        if polls(&page) >= wanted {
            break page;
        }
        assert!(started.elapsed() < PATIENCE, "{}", samples(&page));
        std::thread::sleep(Duration::from_millis(5));
    };
    let failures = page.all(
        "redis_exporter_poll_failures_total",
        &[("target", "healthy")],
    );
    assert_eq!(failures.iter().sum::<f64>(), 0.0, "{}", samples(&page));
    scrapes.sort();
    others.sort();
    Seen {
        peak: peak(&exporter),
        scrapes,
        others,
        page,
        log: exporter.log(),
    }
}

/// Compares each hostile server with an ordinary one. Returns the observations of each.
fn check_each(cases: Vec<(&str, &'static str, Payload)>, sweep: &str) -> Vec<Seen> {
    let healthy = RedisServer::start(&[]);
    let ordinary = Hostile::start(|_| None);
    let other = launch(&ordinary, &healthy, sweep);
    let baseline = watch(&healthy, &ordinary, sweep, &other);
    let compare = |(name, command, payload): (&str, &'static str, Payload)| {
        let hostile = Hostile::start(move |words: &[String]| {
            let is_it = words.join(" ").starts_with(command);
            is_it.then(|| payload.clone())
        });
        let seen = watch(&healthy, &hostile, sweep, &other);
        let grown = seen.peak.saturating_sub(baseline.peak);
        println!("{name}: {grown} KiB");
        assert!(grown < MEMORY_MAX, "{name}: {grown} KiB more\n{}", seen.log);
        seen.assert_prompt(name);
        assert!(!seen.log.contains("panicked"), "{name}: {}", seen.log);
        seen
    };
    cases.into_iter().map(compare).collect()
}

const WITHOUT_SWEEP: &str = "enabled: false";

#[test]
fn info_replies_stay_within_the_memory_limit() {
    let seen = check_each(
        vec![
            ("nulls", "INFO", Payload::array(b"$-1\r\n", 12_000_000)),
            ("lines", "INFO", Payload::info(b"a:\n", 60_000_000)),
            ("short lines", "INFO", Payload::info(b"a:1\n", 2_000_000)),
            (
                "databases",
                "INFO",
                Payload::info(b"db7:keys=1,expires=1\r\n", 2_000_000),
            ),
            ("not UTF-8", "INFO", Payload::info(b"\xff", 2_000_000)),
            (
                "endless string",
                "INFO",
                Payload::repeated(b"$2000000000\r\n", b"x", u64::MAX),
            ),
            (
                "endless error",
                "INFO",
                Payload::repeated(b"-ERR ", b"x", u64::MAX),
            ),
        ],
        WITHOUT_SWEEP,
    );
    for seen in &seen[..2] {
        let up = seen.page.value("redis_up", &[("target", "hostile")]);
        assert_eq!(up, 0.0, "{}", samples(&seen.page));
    }
}

#[test]
fn replies_to_other_queries_stay_within_the_memory_limit() {
    let pair = b"*2\r\n$1\r\na\r\n:1\r\n";
    check_each(
        vec![
            (
                "clients",
                "CLIENT LIST",
                Payload::string(b"", b"id=1\n", 8_000_000),
            ),
            (
                "a client",
                "CLIENT LIST",
                Payload::string(b"id=1 name=", b"a b=", 8_000_000),
            ),
            (
                "parameters",
                "CONFIG GET",
                Payload::array(b"$4\r\nsave\r\n", 80_000),
            ),
            ("slow commands", "SLOWLOG", Payload::array(pair, 30_000)),
            ("events", "LATENCY", Payload::array(pair, 30_000)),
            ("nulls", "LATENCY", Payload::array(b"$-1\r\n", 12_000_000)),
            (
                "endless nulls",
                "SLOWLOG",
                Payload::repeated(b"*2000000000\r\n", b"$-1\r\n", u64::MAX),
            ),
            (
                "endless arrays",
                "CONFIG",
                Payload::repeated(b"", b"*1\r\n", u64::MAX),
            ),
        ],
        WITHOUT_SWEEP,
    );
}

#[test]
fn scan_replies_stay_within_the_memory_limit() {
    let long = Payload::string(b"", b"k", 600_000);
    let name = [&long.head[..], &b"k".repeat(600_000), b"\r\n"].concat();
    let scan = |name: &[u8], count: u64| {
        Payload::repeated(
            format!("*2\r\n$1\r\n7\r\n*{count}\r\n").as_bytes(),
            name,
            count,
        )
    };
    check_each(
        vec![
            ("long names", "SCAN", scan(&name, 100)),
            ("names", "SCAN", scan(b"$1\r\na\r\n", 5_000_000)),
            ("endless string", "SCAN", scan(&name, u64::MAX / 2)),
        ],
        "enabled: true, cpu_share: 100%, min_pass_interval: 1s",
    );
}

#[test]
fn ten_hostile_servers_share_and_release_memory() {
    let healthy = RedisServer::start(&[]);
    let is_hostile = Arc::new(AtomicBool::new(true));
    let hostile: Vec<Hostile> = (0..10)
        .map(|_| {
            let is_hostile = Arc::clone(&is_hostile);
            Hostile::start(move |words: &[String]| {
                let is_it = words[0] == "SLOWLOG" && is_hostile.load(Ordering::Relaxed);
                is_it.then(|| Payload::array(b"*2\r\n$1\r\na\r\n:1\r\n", 30_000))
            })
        })
        .collect();
    let targets: Vec<String> = (0..hostile.len())
        .map(|at| format!("- {{ name: t{at}, url: '{}' }}\n", hostile[at].url()))
        .collect();
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 1s, timeout: 1s }}\ntargets:\n\
         - {{ name: healthy, url: '{}' }}\n{}",
        healthy.url(),
        targets.concat()
    ))
    .start();
    for at in 0..hostile.len() {
        exporter.polls_of(&format!("t{at}"), 3);
    }
    let page = exporter.page();
    let up = page.value("redis_up", &[("target", "healthy")]);
    assert_eq!(up, 1.0, "{}", samples(&page));
    let peak = peak(&exporter);
    is_hostile.store(false, Ordering::Relaxed);
    let rest = until(PATIENCE, "released memory", || {
        let rest = memory(&exporter, "VmRSS:");
        (rest < MEMORY_MAX).then_some(rest)
    });
    println!("ten hostile servers: {peak} KiB, {rest} KiB afterwards");
    assert!(peak < 2 * MEMORY_MAX, "{peak} KiB");
}

#[test]
fn megabyte_key_names_stay_within_the_memory_limit() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 300, "call('SET', 'session:' .. i, 1)");
    let name = "call('SET', 'long:' .. i .. string.rep('x', 1000000), 1)";
    keys::write(&server, 0, 40, name);
    let launch = |url: &str| {
        Launch::configured(&format!(
            "poll: {{ interval: 1s, timeout: 1s }}\n\
             sweep: {{ enabled: true, cpu_share: 100%, min_pass_interval: 1s, max_latency: 10s }}\n\
             namespaces:\n- {{ name: long, match: 'long:*' }}\n\
             - {{ name: session, match: 'session:*' }}\n\
             targets:\n- {{ name: cache, url: '{url}' }}\n"
        ))
        .start()
    };
    let done = |page: &Page| page.get("redis_exporter_sweep_passes_total", &[]) >= Some(3.0);
    let small = RedisServer::start(&[]);
    keys::write(&small, 0, 340, "call('SET', 'session:' .. i, 1)");
    let exporter = launch(&small.url());
    exporter.within(PATIENCE, "passes", done);
    let baseline = peak(&exporter);
    let exporter = launch(&server.url());
    let page = exporter.within(PATIENCE, "passes", done);
    let grown = peak(&exporter).saturating_sub(baseline);
    println!("long names: {grown} KiB");
    assert!(grown < MEMORY_MAX, "{grown} KiB more");
    for (namespace, keys) in [("long", 40.0), ("session", 300.0)] {
        let labels = [("key_namespace", namespace)];
        assert_eq!(
            page.value("redis_key_namespace_keys", &labels),
            keys,
            "{namespace}"
        );
    }
}

#[test]
fn unexpected_replies_are_reported_as_protocol_failure() {
    let healthy = RedisServer::start(&[]);
    let other = launch(&Hostile::start(|_| None), &healthy, WITHOUT_SWEEP);
    for (command, twice) in [
        ("PING", "+PONG\r\n+PONG\r\n"),
        ("SLOWLOG LEN", ":7\r\n:8\r\n"),
        // A length above the limit, without any data.
        ("INFO", "$9999999999999\r\n"),
    ] {
        let hostile = Hostile::start(move |words: &[String]| {
            let is_it = words.join(" ").starts_with(command);
            is_it.then(|| Payload::plain(twice.as_bytes()))
        });
        let seen = watch(&healthy, &hostile, WITHOUT_SWEEP, &other);
        let labels = [("target", "hostile"), ("reason", "protocol")];
        let failures = seen
            .page
            .value("redis_exporter_poll_failures_total", &labels);
        assert!(failures >= 3.0, "{command}: {}", samples(&seen.page));
    }
}
