//! Evicted and expired keys from key events, compared with the truth of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{LONG, until};
use crate::support::{Exporter, Launch, Page, RedisServer};

const EVENTS: [&str; 2] = ["evicted", "expired"];

/// Counts of a page, by event, database and namespace.
type Totals = BTreeMap<(String, String, String), f64>;

fn flags(server: &RedisServer) -> String {
    let reply = server.ask(&["CONFIG", "GET", "notify-keyspace-events"]);
    reply.split_once('\n').unwrap().1.to_owned()
}

fn start_with(server: &RedisServer, further: &str) -> Exporter {
    let settings = format!("{FULL_SPEED}, {further}");
    sweep::launch(server, &settings, NAMESPACES).start()
}

fn is_from(page: &Page, event: &str, source: &str) -> bool {
    let labels = [("event", event), ("source", source)];
    page.get("redis_exporter_events_source", &labels) == Some(1.0)
}

fn is_state(page: &Page, state: &str) -> bool {
    page.get("redis_exporter_events_state", &[("state", state)]) == Some(1.0)
}

fn are_counted(page: &Page) -> bool {
    EVENTS.iter().all(|event| is_from(page, event, "events"))
}

/// Starts an exporter and waits until it counts from events.
fn listen(server: &RedisServer) -> Exporter {
    let exporter = start_with(server, "events: listen");
    exporter.until("events", are_counted);
    exporter
}

fn total(page: &Page, event: &str, database: &str, namespace: &str) -> Option<f64> {
    let name = format!("redis_key_namespace_{event}_keys_total");
    page.get(&name, &[("db", database), ("key_namespace", namespace)])
}

fn sum(page: &Page, event: &str) -> f64 {
    let name = format!("redis_key_namespace_{event}_keys_total");
    page.all(&name, &[]).into_iter().sum()
}

fn missed(page: &Page, event: &str) -> f64 {
    let all = page.all("redis_exporter_events_missed_total", &[("event", event)]);
    all.into_iter().sum()
}

fn received(page: &Page, event: &str) -> f64 {
    page.value("redis_exporter_events_total", &[("event", event)])
}

fn breaks(page: &Page) -> f64 {
    let all = page.all("redis_exporter_events_breaks_total", &[]);
    all.into_iter().sum()
}

fn counted(server: &RedisServer, event: &str) -> f64 {
    server
        .info(&format!("{event}_keys"))
        .unwrap()
        .parse()
        .unwrap()
}

/// Waits until received and missed events explain the counter of the server.
fn until_reconciled(server: &RedisServer, exporter: &Exporter, before: [f64; 2]) -> Page {
    exporter.until("reconciled counts", |page| {
        let explained = |(event, before): (&&str, f64)| {
            let labels = [("event", *event)];
            // Absent after a poll that has failed.
            let received = page.get("redis_exporter_events_total", &labels);
            let explained = received.map(|received| received + missed(page, event));
            explained == Some(counted(server, event) - before)
        };
        EVENTS.iter().zip(before).all(explained)
    })
}

fn counters(server: &RedisServer) -> [f64; 2] {
    EVENTS.map(|event| counted(server, event))
}

/// Starts a server that sends events.
fn server(further: &[&str]) -> RedisServer {
    let mut arguments = vec!["--notify-keyspace-events", "Exe"];
    arguments.extend(further);
    RedisServer::start(&arguments)
}

/// Writes keys that expire at once, in each namespace this many, and waits until they are gone.
fn expire(server: &RedisServer, database: u32, counts: [u32; 3]) {
    let before = counted(server, "expired");
    let kinds = ["session:", "api:cache:", "websocket:"];
    for (kind, count) in kinds.into_iter().zip(counts) {
        let each = format!("call('SET', '{kind}' .. i, i, 'PX', 1)");
        keys::write(server, database, count, &each);
    }
    let all: u32 = counts.iter().sum();
    until(LONG, "expired keys", || {
        (counted(server, "expired") >= before + f64::from(all)).then_some(())
    });
}

#[test]
fn expiries_are_exact_in_every_database() {
    let server = server(&[]);
    keys::write(&server, 0, 100, "call('SET', 'session:kept' .. i, i)");
    let exporter = listen(&server);
    let before = counters(&server);
    let mut truth: Totals = BTreeMap::new();
    let rounds = [
        (0, [300, 40, 5]),
        (3, [7, 0, 60]),
        (0, [1, 2, 3]),
        (15, [10, 10, 0]),
    ];
    for (database, counts) in rounds {
        expire(&server, database, counts);
        for (namespace, count) in ["session", "api-cache", "websocket"]
            .into_iter()
            .zip(counts)
        {
            let place = ("expired".into(), format!("db{database}"), namespace.into());
            *truth.entry(place).or_default() += f64::from(count);
        }
        // None of these expires a key.
        keys::run(
            &server,
            database,
            "call('SET', 'session:a', 1, 'PX', 100000)",
        );
        server.ask(&["RENAME", "session:kept1", "session:kept2"]);
        keys::write(&server, 0, 1, "call('SET', 'session:kept1', 1)");
        server.ask(&["SWAPDB", "3", "4"]);
        server.ask(&["SWAPDB", "4", "3"]);
        keys::run(&server, database, "call('DEL', 'session:a')");
    }
    keys::run(&server, 15, "call('FLUSHDB')");
    let page = until_reconciled(&server, &exporter, before);
    assert_eq!(
        (missed(&page, "expired"), missed(&page, "evicted")),
        (0.0, 0.0)
    );
    for ((event, database, namespace), keys) in &truth {
        let shown = total(&page, event, database, namespace).unwrap_or(0.0);
        assert_eq!(shown, *keys, "{database} {namespace}");
    }
    assert_eq!(sum(&page, "evicted"), 0.0);
}

#[test]
fn evictions_of_a_burst_are_exact() {
    let server = server(&["--maxmemory-policy", "allkeys-random"]);
    keys::write(&server, 0, 9_000, "call('SET', 'session:' .. i, i)");
    keys::write(&server, 0, 6_000, "call('SET', 'api:cache:' .. i, i)");
    keys::write(&server, 2, 3_000, "call('SET', 'websocket:' .. i, i)");
    let exporter = listen(&server);
    let before = counters(&server);
    let left = |server: &RedisServer| {
        let count = |database, pattern| keys::count(server, database, pattern).0;
        [
            count(0, "session:*"),
            count(0, "api:cache:*"),
            count(2, "websocket:*"),
        ]
    };
    let begin = left(&server);
    let used: f64 = server.info("used_memory").unwrap().parse().unwrap();
    let empty: f64 = server.info("used_memory_startup").unwrap().parse().unwrap();
    let limit = empty + (used - empty) * 0.7;
    server.ask(&["CONFIG", "SET", "maxmemory", &format!("{limit:.0}")]);
    until(LONG, "evictions", || {
        server.ask(&["PING"]);
        (counted(&server, "evicted") > before[0] + 3_000.0).then_some(())
    });
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    let end = left(&server);
    let page = until_reconciled(&server, &exporter, before);
    assert_eq!(missed(&page, "evicted"), 0.0);
    let places = [
        ("db0", "session"),
        ("db0", "api-cache"),
        ("db2", "websocket"),
    ];
    for (at, (database, namespace)) in places.into_iter().enumerate() {
        let shown = total(&page, "evicted", database, namespace);
        assert_eq!(shown, Some(begin[at] - end[at]), "{namespace}");
    }
}

#[test]
fn server_without_flags_is_left_unchanged() {
    let server = RedisServer::start(&[]);
    let exporter = start_with(&server, "events: listen");
    let page = exporter.until("the state", |page| is_state(page, "off"));
    assert!(is_from(&page, "evicted", "panel") && is_from(&page, "expired", "panel"));
    assert_eq!(flags(&server), "");
    assert_eq!(
        sweep::in_record(&server, "cmdstat_config|set", "calls"),
        0.0
    );
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "Ex"]);
    exporter.until("expiries", |page| {
        is_from(page, "expired", "events") && is_from(page, "evicted", "panel")
    });
}

#[test]
fn missing_flags_are_added_if_wanted() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Kg"]);
    let exporter = start_with(&server, "events: configure");
    exporter.until("events", are_counted);
    let set = flags(&server);
    assert!("KgExe".chars().all(|flag| set.contains(flag)), "{set}");
    assert!(!set.contains('A'), "{set}");
    let log = exporter.log();
    assert_eq!(
        log.matches("notify-keyspace-events was set").count(),
        1,
        "{log}"
    );
    let before = counters(&server);
    expire(&server, 0, [50, 0, 0]);
    let page = until_reconciled(&server, &exporter, before);
    assert_eq!(total(&page, "expired", "db0", "session"), Some(50.0));
}

#[test]
fn cut_stream_is_counted_as_missed() {
    let server = server(&[]);
    let exporter = listen(&server);
    let before = counters(&server);
    expire(&server, 0, [100, 0, 0]);
    until_reconciled(&server, &exporter, before);
    // The exporter reconnects after half a second at the earliest.
    server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    expire(&server, 0, [0, 200, 0]);
    exporter.until("a new stream", |page| {
        are_counted(page) && breaks(page) == 1.0
    });
    expire(&server, 0, [0, 0, 30]);
    let page = until_reconciled(&server, &exporter, before);
    let of = |namespace| total(&page, "expired", "db0", namespace).unwrap_or(0.0);
    assert_eq!((of("session"), of("websocket")), (100.0, 30.0));
    let labels = [("event", "expired"), ("reason", "disconnected")];
    let missed = page.value("redis_exporter_events_missed_total", &labels);
    assert_eq!(of("api-cache") + missed, 200.0);
}

#[test]
fn stalled_exporter_counts_nothing_twice() {
    let server = server(&[]);
    let exporter = listen(&server);
    let before = counters(&server);
    exporter.process.signal("STOP");
    expire(&server, 0, [500, 0, 0]);
    exporter.process.signal("CONT");
    expire(&server, 0, [0, 20, 0]);
    let page = until_reconciled(&server, &exporter, before);
    let of = |namespace| total(&page, "expired", "db0", namespace).unwrap_or(0.0);
    assert_eq!(
        of("session") + of("api-cache") + missed(&page, "expired"),
        520.0
    );
}

/// A server that executes a slow command sends no reply to INFO, but no events either.
#[test]
fn slow_command_does_not_end_the_stream() {
    let server = server(&["--enable-debug-command", "yes"]);
    let exporter = listen(&server);
    let before = counters(&server);
    expire(&server, 0, [100, 0, 0]);
    server.ask(&["DEBUG", "SLEEP", "3.5"]);
    expire(&server, 0, [0, 30, 0]);
    let page = until_reconciled(&server, &exporter, before);
    assert_eq!((breaks(&page), missed(&page, "expired")), (0.0, 0.0));
    let of = |namespace| total(&page, "expired", "db0", namespace);
    assert_eq!((of("session"), of("api-cache")), (Some(100.0), Some(30.0)));
}

/// The names of the keys exceed the buffers of the sockets, and the limit of the server after them.
#[test]
fn stream_that_is_not_read_is_cut_off() {
    let limit = ["--client-output-buffer-limit", "pubsub 1mb 0 0"];
    let server = server(&limit);
    let exporter = listen(&server);
    let before = counters(&server);
    exporter.process.signal("STOP");
    let each = "call('SET', 'session:' .. string.rep('x', 20000) .. i, i, 'PX', 1)";
    for _ in 0..10 {
        keys::write(&server, 0, 300, each);
        until(LONG, "expired keys", || {
            (keys::count(&server, 0, "*").0 == 0.0).then_some(())
        });
    }
    // Valkey 9 keeps one copy of a message, so there may be no cut.
    let is_valkey = server.info("valkey_version").is_some();
    let is_cut = until(LONG, "the cut", || {
        let streams = server.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        (streams.is_empty() || is_valkey).then_some(streams.is_empty())
    });
    exporter.process.signal("CONT");
    exporter.until("the cut", |page| breaks(page) > 0.0 || !is_cut);
    // Valkey may close the connection later, too.
    let page = until_reconciled(&server, &exporter, before);
    assert!(missed(&page, "expired") > 0.0 || !is_cut);
    exporter.until("a new stream", are_counted);
    expire(&server, 0, [0, 20, 0]);
    let page = until_reconciled(&server, &exporter, before);
    let of = |namespace| total(&page, "expired", "db0", namespace).unwrap_or(0.0);
    assert_eq!(of("api-cache"), 20.0);
    assert!(of("session") + missed(&page, "expired") >= 3_000.0);
    assert!(of("session") <= 3_000.0);
}

/// The panel and events take turns. Neither counts a key of the other.
#[test]
fn both_sources_together_never_count_too_much() {
    let server = server(&["--maxmemory-policy", "allkeys-random"]);
    keys::write(&server, 0, 12_000, "call('SET', 'session:' .. i, i)");
    let exporter = listen(&server);
    let used = server.info("used_memory").unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", &used]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let last = std::cell::Cell::new(0.0);
    std::thread::scope(|scope| {
        let _end = crate::support::wait::End(&done);
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            let body = "for i = 1, 40 do redis.call('SET', 'session:' .. ARGV[1] .. i, i) end";
            let mut run = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                run += 1;
                // Buffers can take the memory for a moment.
                let _ = client.try_ask(&["EVAL", body, "0", &format!("{run}-")]);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        for flags in ["Exe", "", "Exe"] {
            server.ask(&["CONFIG", "SET", "notify-keyspace-events", flags]);
            let source = if flags.is_empty() { "panel" } else { "events" };
            let begin = counted(&server, "evicted");
            exporter.until("the source", |page| {
                let sum = sum(page, "evicted");
                // Absent while the panel does not know them.
                let is_known = !page
                    .all("redis_key_namespace_evicted_keys_total", &[])
                    .is_empty();
                assert!(!is_known || sum >= last.get(), "{sum} after {}", last.get());
                last.set(sum.max(last.get()));
                let evicted = counted(&server, "evicted");
                assert!(sum <= evicted, "{sum} of {evicted}");
                is_from(page, "evicted", source) && evicted > begin + 3_000.0
            });
            server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
    });
    let page = exporter.until("evictions", |page| sum(page, "evicted") > 0.0);
    assert!(missed(&page, "evicted") > 0.0);
}

#[test]
fn reset_and_restart_lose_and_invent_nothing() {
    let mut server = server(&[]);
    let exporter = listen(&server);
    let before = counters(&server);
    expire(&server, 0, [300, 0, 0]);
    until_reconciled(&server, &exporter, before);
    server.ask(&["CONFIG", "RESETSTAT"]);
    expire(&server, 0, [40, 0, 0]);
    let page = exporter.until("expiries after the reset", |page| {
        total(page, "expired", "db0", "session") == Some(340.0)
    });
    assert_eq!(missed(&page, "expired"), 0.0);
    server.restart(&[]);
    let page = exporter.until("a new stream", |page| {
        are_counted(page) && breaks(page) > 0.0
    });
    assert_eq!(total(&page, "expired", "db0", "session"), Some(340.0));
    expire(&server, 0, [7, 0, 0]);
    let page = exporter.until("expiries after the restart", |page| {
        total(page, "expired", "db0", "session") == Some(347.0)
    });
    assert_eq!(missed(&page, "expired"), 0.0);
}

#[test]
fn replica_is_not_listened_to() {
    let (primary, replica) = (server(&[]), server(&[]));
    let address = ["REPLICAOF", "127.0.0.1", &primary.port.to_string()].map(str::to_owned);
    let address: Vec<&str> = address.iter().map(String::as_str).collect();
    let exporter = listen(&replica);
    replica.ask(&address);
    exporter.until("the replica", |page| is_state(page, "replica"));
    assert_eq!(replica.ask(&["PUBSUB", "CHANNELS"]), "");
    expire(&primary, 0, [50, 0, 0]);
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    let page = exporter.until("the promotion", are_counted);
    assert_eq!(sum(&page, "expired"), 0.0);
    let before = counters(&replica);
    let received = received(&page, "expired");
    expire(&replica, 0, [0, 9, 0]);
    let page = exporter.until("expiries", |page| {
        total(page, "expired", "db0", "api-cache") == Some(9.0)
    });
    assert_eq!(counters(&replica)[1] - before[1], 9.0);
    assert_eq!(self::received(&page, "expired") - received, 9.0);
}

#[test]
fn events_count_while_the_sweep_is_denied() {
    let server = server(&[]);
    keys::write(&server, 0, 1_000, "call('SET', 'session:kept' .. i, i)");
    let exporter = listen(&server);
    server.ask(&["ACL", "SETUSER", "default", "-scan"]);
    let page = exporter.until("the denial", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
    });
    let before = sum(&page, "expired");
    let each = "call('SET', 'session:' .. i, i, 'PX', 20)";
    keys::write(&server, 0, 50, each);
    exporter.until("the counts", |page| sum(page, "expired") - before >= 50.0);
}

#[test]
fn denied_subscription_costs_one_error() {
    let server = server(&[]);
    let user = [
        "ACL",
        "SETUSER",
        "watcher",
        "reset",
        "on",
        ">secret",
        "~*",
        "+scan",
        "+info",
        "+client",
        "+hello",
        "+memory|usage",
        "+pttl",
        "+type",
        "+object|idletime",
        "+config|get",
        "+select",
    ];
    server.ask(&user);
    let denied = || sweep::in_record(&server, "errorstat_NOPERM", "count");
    let configured = |events: &str| {
        Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\n\
             sweep: {{ {FULL_SPEED}, events: {events} }}\n{NAMESPACES}\
             targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
            server.address()
        ))
    };
    let without = {
        let exporter = configured("off").start();
        sweep::more_passes(&exporter, 2.0);
        denied()
    };
    server.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = configured("listen").start();
    let page = exporter.until("the state", |page| is_state(page, "denied"));
    assert!(is_from(&page, "expired", "panel"));
    sweep::more_passes(&exporter, 2.0);
    assert_eq!(denied() - without, 1.0);
    assert!(
        exporter
            .log()
            .contains("+subscribe +unsubscribe &__keyevent@*__:*"),
        "{}",
        exporter.log()
    );
    server.ask(&[
        "ACL",
        "SETUSER",
        "watcher",
        "+subscribe",
        "+unsubscribe",
        "&__keyevent@*__:*",
    ]);
    exporter.reconfigure(
        &std::fs::read_to_string(exporter.configuration_path())
            .unwrap()
            .replace("500ms, timeout", "501ms, timeout"),
    );
    exporter.reload();
    exporter.until("events", are_counted);
    let before = counters(&server);
    expire(&server, 0, [5, 0, 0]);
    let page = exporter.until("expiries", |page| {
        total(page, "expired", "db0", "session") == Some(5.0)
    });
    assert_eq!(missed(&page, "expired"), 0.0);
    assert_eq!(counters(&server)[1] - before[1], 5.0);
}

/// Evicts keys faster than the exporter listens to.
#[test]
fn high_rates_are_sampled() {
    let server = server(&["--maxmemory-policy", "allkeys-random"]);
    keys::write(&server, 0, 12_000, "call('SET', 'session:' .. i, i)");
    let exporter = listen(&server);
    let used = server.info("used_memory").unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory", &used]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = crate::support::wait::End(&done);
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            let body = "for i = 1, 1500 do local key = ARGV[1] .. '-' .. i \
                if i % 3 == 0 then redis.call('SET', 'api:cache:' .. key, i) \
                else redis.call('SET', 'session:' .. key, i) end end";
            let mut run = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                run += 1;
                // Valkey rejects a script while it is behind with evictions.
                let result = client.try_ask(&["EVAL", body, "0", &run.to_string()]);
                let error = result.unwrap().err().unwrap_or_default();
                assert!(error.is_empty() || error.starts_with("OOM"), "{error}");
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        exporter.until("a pause", |page| is_state(page, "paused"));
        let begin = exporter.until("sampled counts", |page| {
            is_from(page, "evicted", "sampled_events")
        });
        let page = exporter.until("more of them", |page| {
            sum(page, "evicted") > sum(&begin, "evicted") + 50_000.0
        });
        let since = |namespace: &str| {
            let of = |page: &Page| total(page, "evicted", "db0", namespace).unwrap_or(0.0);
            of(&page) - of(&begin)
        };
        let share = since("api-cache") / (since("api-cache") + since("session"));
        assert!((0.25..0.42).contains(&share), "{share}");
        let paused = [("event", "evicted"), ("reason", "paused")];
        assert!(page.value("redis_exporter_events_missed_total", &paused) > 0.0);
    });
}
