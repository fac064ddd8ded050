//! Lookups that find no key, by namespace, from watches of key events.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, LONG, until};
use crate::support::watched::{self, MISSES};
use crate::support::{Exporter, RedisServer};

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

/// Looks for keys that do not exist, until `done`. Keys of another namespace exist so shortly that
/// the sweep misses some of them.
fn miss(server: &RedisServer, done: &AtomicBool, rounds: &AtomicU32) {
    let mut body = "for i = 1, 60 do redis.call('SET', 'websocket:' .. i .. ARGV[1], i, \
        'PX', 1 + i % 30) end "
        .to_owned();
    for (name, misses) in ROUND {
        let each = format!("for i = 1, {misses} do redis.call('GET', '{name}:none' .. i) end ");
        body.push_str(&each);
    }
    watched::run_until(server, &body, done, rounds);
}

/// The sum of the counts is what INFO has counted, without the lookups of the sweep.
#[test]
fn misses_are_scaled_up_to_those_of_info() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    let exporter = start(&server, "misses: listen");
    let first = exporter.until("a watch", |page| {
        MISSES.is_state(page, "watching") && MISSES.seconds(page) > 0.0
    });
    assert_eq!(MISSES.total(&first, "session"), 0.0);
    let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let before = Cell::new(0);
    let page = thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| miss(&server, &done, &rounds));
        exporter.until("a second watch", |page| {
            let is_over = MISSES.seconds(page) > MISSES.seconds(&first);
            if !is_over {
                before.set(rounds.load(Ordering::Relaxed));
            }
            is_over
        })
    });
    let all = f64::from(rounds.load(Ordering::Relaxed)) * MISSES_PER_ROUND;
    let least = f64::from(before.get()) * MISSES_PER_ROUND;
    let [session, cache] = ["session", "api-cache"].map(|name| MISSES.total(&page, name));
    let sum = session + cache;
    // The second watch ended between two pages of the exporter, which are seconds apart.
    println!("{session} and {cache} of {least} to {all} misses");
    assert!(sum <= all + 2.0, "{sum} of {all}");
    assert!(sum >= least * 0.9, "{sum} of {least}");
    let share = session / sum;
    assert!((0.74..0.76).contains(&share), "{share}");
    // Only the sweep has missed these.
    assert!(page.value("redis_exporter_sweep_keys_vanished_total", &[]) > 0.0);
    assert_eq!(MISSES.total(&page, "websocket"), 0.0);
    assert_eq!(MISSES.total(&page, "other"), 0.0);
    assert!(
        (3.8..30.0).contains(&MISSES.seconds(&page)),
        "{}",
        MISSES.seconds(&page)
    );
}

#[test]
fn server_without_the_flag_is_left_unchanged() {
    let server = RedisServer::start(&["--notify-keyspace-events", "AKE"]);
    let before = flags(&server);
    let exporter = start(&server, "misses: listen");
    let page = exporter.until("the state", |page| MISSES.is_state(page, "off"));
    assert_eq!(MISSES.seconds(&page), 0.0);
    assert_eq!(MISSES.counts(&page), Vec::<f64>::new());
    assert_eq!(flags(&server), before);
    let sets = sweep::in_record(&server, "cmdstat_config|set", "calls");
    assert_eq!(sets, 0.0);
}

fn has_flags(server: &RedisServer, wanted: &str) -> bool {
    let set = flags(server);
    wanted.chars().all(|flag| set.contains(flag)) && !set.contains('A')
}

/// Each of the two streams sets the flags of both.
#[test]
fn missing_flags_of_both_streams_are_set_at_once() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Kg"]);
    let exporter = start(&server, "events: configure, misses: configure");
    exporter.until("a watch", |page| MISSES.seconds(page) > 0.0);
    exporter.until("events", |page| {
        page.get("redis_exporter_events_state", &[("state", "listening")]) == Some(1.0)
    });
    assert!(has_flags(&server, "KgExem"), "{}", flags(&server));
    let sets = || sweep::in_record(&server, "cmdstat_config|set", "calls");
    assert_eq!(sets(), 1.0, "{}", exporter.log());
    // Somebody else removes flags of both.
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "KglEx"]);
    until(LONG, "all flags", || {
        has_flags(&server, "KglExem").then_some(())
    });
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", ""]);
    until(LONG, "all flags again", || {
        has_flags(&server, "Exem").then_some(())
    });
    assert_eq!(sets(), 5.0, "{}", exporter.log());
}

#[test]
fn check_names_the_flags_of_all_streams() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Kg"]);
    let further = "events: listen, misses: listen";
    let settings = format!("{FULL_SPEED}, {further}");
    let check = sweep::launch(&server, &settings, NAMESPACES)
        .flag("check")
        .run();
    for stream in ["events", "misses"] {
        // Redis reports the flags in an order of its own.
        let line = format!(
            "{stream:<19}off: set notify-keyspace-events to {}Eexm, or set sweep.{stream} to off\n",
            flags(&server)
        );
        assert!(check.stdout.contains(&line), "{}", check.stdout);
    }
}

#[test]
fn closed_connection_is_replaced() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    let exporter = start(&server, "misses: listen");
    let first = MISSES.seconds(&exporter.until("a watch", |page| MISSES.seconds(page) > 0.0));
    let clients = server.ask(&["CLIENT", "LIST"]);
    let is_ours = |line: &&str| line.contains(" name=redis-namespace-exporter-events ");
    let ours: Vec<_> = clients.lines().filter(is_ours).collect();
    assert_eq!(ours.len(), 1, "{clients}");
    let id = ours[0].split(' ').next().unwrap().trim_start_matches("id=");
    server.ask(&["CLIENT", "KILL", "ID", id]);
    let page = exporter.until("another watch", |page| MISSES.seconds(page) > first);
    let breaks = [("stream", "misses"), ("reason", "closed")];
    assert_eq!(
        page.get("redis_exporter_watch_breaks_total", &breaks),
        Some(1.0)
    );
    assert!(MISSES.is_state(&page, "watching"));
}

#[test]
fn denied_watch_costs_one_error() {
    let server = RedisServer::start(&["--notify-keyspace-events", "Em"]);
    MISSES.is_denied(&server, "~* +@all -subscribe", "+subscribe allchannels");
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
    let check = watched::launch(&server, MISSES.setting).flag("check").run();
    let line = "misses             off: set notify-keyspace-events to AKEm, or set sweep.misses";
    assert!(check.stdout.contains(line), "{}", check.stdout);
}
