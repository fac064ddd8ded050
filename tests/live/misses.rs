//! Lookups that find no key, by namespace, from watches of key events.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::End;
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Misses of each round of the load, by namespace.
const ROUND: [(&str, u32); 2] = [("session", 6), ("api:cache", 2)];
const MISSES_PER_ROUND: f64 = 8.0;

fn start(server: &RedisServer, further: &str) -> Exporter {
    let settings = format!("{FULL_SPEED}, {further}");
    sweep::launch(server, &settings, NAMESPACES).start()
}

fn flags(server: &RedisServer) -> String {
    let reply = server.ask(&["CONFIG", "GET", "notify-keyspace-events"]);
    reply.split_once('\n').unwrap().1.to_owned()
}

fn is_state(page: &Page, state: &str) -> bool {
    let labels = [("stream", "misses"), ("state", state)];
    page.get("redis_exporter_watch_state", &labels) == Some(1.0)
}

fn watched(page: &Page) -> f64 {
    page.get(
        "redis_exporter_watched_seconds_total",
        &[("stream", "misses")],
    )
    .unwrap_or(0.0)
}

fn total(page: &Page, namespace: &str) -> f64 {
    let labels = [("db", "db0"), ("key_namespace", namespace)];
    page.get("redis_key_namespace_misses_total", &labels)
        .unwrap_or(0.0)
}

/// Looks for keys that do not exist, until `done`. Keys of another namespace exist so shortly that
/// the sweep misses some of them.
fn miss(server: &RedisServer, done: &AtomicBool, rounds: &AtomicU32) {
    let mut client = Client::connect(server.port).unwrap();
    let mut body = "for i = 1, 60 do redis.call('SET', 'websocket:' .. i .. ARGV[1], i, \
        'PX', 1 + i % 30) end "
        .to_owned();
    for (name, misses) in ROUND {
        let each = format!("for i = 1, {misses} do redis.call('GET', '{name}:none' .. i) end ");
        body.push_str(&each);
    }
    while !done.load(Ordering::Relaxed) {
        let round = rounds.fetch_add(1, Ordering::Relaxed).to_string();
        client.ask(&["EVAL", &body, "0", &round]);
        thread::sleep(Duration::from_millis(10));
    }
}

/// The sum of the counts is what INFO has counted, without the lookups of the sweep.
#[test]
fn misses_are_scaled_up_to_those_of_info() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    let exporter = start(&server, "misses: listen");
    let first = exporter.until("a watch", |page| {
        is_state(page, "watching") && watched(page) > 0.0
    });
    assert_eq!(total(&first, "session"), 0.0);
    let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let before = Cell::new(0);
    let page = thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| miss(&server, &done, &rounds));
        exporter.until("a second watch", |page| {
            let is_over = watched(page) > watched(&first);
            if !is_over {
                before.set(rounds.load(Ordering::Relaxed));
            }
            is_over
        })
    });
    let all = f64::from(rounds.load(Ordering::Relaxed)) * MISSES_PER_ROUND;
    let least = f64::from(before.get()) * MISSES_PER_ROUND;
    let [session, cache] = ["session", "api-cache"].map(|name| total(&page, name));
    let sum = session + cache;
    // The second watch ended between two pages of the exporter, which are seconds apart.
    println!("{session} and {cache} of {least} to {all} misses");
    assert!(sum <= all + 2.0, "{sum} of {all}");
    assert!(sum >= least * 0.9, "{sum} of {least}");
    let share = session / sum;
    assert!((0.74..0.76).contains(&share), "{share}");
    // Only the sweep has missed these.
    assert!(page.value("redis_exporter_sweep_keys_vanished_total", &[]) > 0.0);
    assert_eq!(total(&page, "websocket"), 0.0);
    assert_eq!(total(&page, "other"), 0.0);
    assert!((3.8..30.0).contains(&watched(&page)), "{}", watched(&page));
}

#[test]
fn server_without_the_flag_is_left_unchanged() {
    let server = RedisServer::start(&["--notify-keyspace-events", "AKE"]);
    let before = flags(&server);
    let exporter = start(&server, "misses: listen");
    let page = exporter.until("the state", |page| is_state(page, "off"));
    assert_eq!(watched(&page), 0.0);
    let counts = page.all("redis_key_namespace_misses_total", &[]);
    assert!(counts.is_empty());
    assert_eq!(flags(&server), before);
    let sets = sweep::in_record(&server, "cmdstat_config|set", "calls");
    assert_eq!(sets, 0.0);
}

#[test]
fn missing_flag_is_added_if_wanted() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Kg"]);
    let exporter = start(&server, "events: configure, misses: configure");
    exporter.until("a watch", |page| watched(page) > 0.0);
    exporter.until("events", |page| {
        page.get("redis_exporter_events_state", &[("state", "listening")]) == Some(1.0)
    });
    // Each of the two streams keeps the flags of the other.
    exporter.until("all flags", |_| {
        let set = flags(&server);
        "KgExem".chars().all(|flag| set.contains(flag)) && !set.contains('A')
    });
}

#[test]
fn closed_connection_is_replaced() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    let exporter = start(&server, "misses: listen");
    let first = watched(&exporter.until("a watch", |page| watched(page) > 0.0));
    let clients = server.ask(&["CLIENT", "LIST"]);
    let is_ours = |line: &&str| line.contains(" name=redis-namespace-exporter-events ");
    let ours: Vec<_> = clients.lines().filter(is_ours).collect();
    assert_eq!(ours.len(), 1, "{clients}");
    let id = ours[0].split(' ').next().unwrap().trim_start_matches("id=");
    server.ask(&["CLIENT", "KILL", "ID", id]);
    let page = exporter.until("another watch", |page| watched(page) > first);
    let breaks = [("reason", "closed")];
    assert_eq!(
        page.get("redis_exporter_watch_breaks_total", &breaks),
        Some(1.0)
    );
    assert!(is_state(&page, "watching"));
}

#[test]
fn denied_watch_costs_one_error() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    let user = "ACL SETUSER watcher reset on >secret ~* +@all -subscribe";
    server.ask(&user.split(' ').collect::<Vec<_>>());
    let denied = || sweep::in_record(&server, "errorstat_NOPERM", "count");
    let launch = || {
        Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\n\
             sweep: {{ {FULL_SPEED}, misses: listen }}\n{NAMESPACES}\
             targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
            server.address()
        ))
    };
    let check = launch().flag("check").run();
    let line = "misses             denied: grant the user +info +subscribe +unsubscribe \
        &__keyevent@*__:*, or set sweep.misses to off\n";
    assert!(check.stdout.contains(line), "{}", check.stdout);
    server.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = launch().start();
    let page = exporter.until("the state", |page| is_state(page, "denied"));
    assert!(page.all("redis_key_namespace_misses_total", &[]).is_empty());
    sweep::more_passes(&exporter, 2.0);
    assert_eq!(denied(), 1.0);
    let log = exporter.log();
    assert!(
        log.contains("+subscribe +unsubscribe &__keyevent@*__:*"),
        "{log}"
    );
    server.ask(&["ACL", "SETUSER", "watcher", "+subscribe", "allchannels"]);
    let check = launch().flag("check").run();
    assert!(
        check.stdout.contains("misses             works\n"),
        "{}",
        check.stdout
    );
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
    let check = launch().flag("check").run();
    let line = "misses             off: set notify-keyspace-events to AKEm, or set sweep.misses";
    assert!(check.stdout.contains(line), "{}", check.stdout);
}
