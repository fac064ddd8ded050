//! Watches of misses and of changes together, and servers that are replaced while they run.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::cutter::Cutter;
use crate::support::keys;
use crate::support::port;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, LONG, until};
use crate::support::watched::{self, CHANGES, MISSES, Watched};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Enough for some DNS lookups, 15 seconds apart, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(3 * 60);

const BOTH: [Watched; 2] = [MISSES, CHANGES];

/// Enough for the next DNS lookup and for the time after which an address is gone.
const UNRESOLVED_FOR: Duration = Duration::from_secs(50);

const NAME: &str = "cache.example";

/// Misses and changes in each round of the load.
const PER_ROUND: f64 = 4.0;

fn server() -> RedisServer {
    RedisServer::start(&["--notify-keyspace-events", "Exem"])
}

/// Returns the connections of an exporter for messages about keys.
fn connections(server: &RedisServer) -> usize {
    let clients = server.ask(&["CLIENT", "LIST"]);
    clients
        .matches(" name=redis-namespace-exporter-events ")
        .count()
}

fn body(kind: &str) -> String {
    format!(
        "for i = 1, 4 do redis.call('GET', '{kind}none' .. i) \
         redis.call('SET', '{kind}' .. i .. '-' .. ARGV[1] % 99, 1) end"
    )
}

/// Looks up and writes keys of one kind until `done`.
fn load(server: &RedisServer, kind: &str, done: &AtomicBool, rounds: &AtomicU32) {
    watched::run_until(server, &body(kind), done, rounds);
}

#[test]
fn denied_stream_does_not_end_the_other() {
    let server = server();
    let settings = format!("{}, {}", MISSES.setting, CHANGES.setting);
    for (denied, other, rules) in [
        (MISSES, CHANGES, "resetchannels &redis-namespace-exporter:*"),
        (CHANGES, MISSES, "allchannels -client|tracking"),
    ] {
        watched::set_user(&server, &format!("reset on >secret ~* +@all {rules}"));
        let exporter = watched::launch(&server, &settings).start();
        let page = exporter.until("one of two streams", |page| {
            denied.is_state(page, "denied") && other.is_state(page, "watching")
        });
        assert!(other.seconds(&page) > 0.0);
        assert_eq!(denied.counts(&page), Vec::<f64>::new());
        let page = exporter.until("another watch", |later| {
            other.seconds(later) > other.seconds(&page)
        });
        assert!(denied.is_state(&page, "denied"));
    }
}

#[test]
fn closed_stream_does_not_end_the_other() {
    let server = server();
    let settings = format!("{FULL_SPEED}, {}, {}", MISSES.setting, CHANGES.setting);
    let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
    exporter.until("both streams", |page| {
        BOTH.iter().all(|stream| stream.is_state(page, "watching"))
    });
    let clients = server.ask(&["CLIENT", "LIST"]);
    let ours = clients
        .lines()
        .find(|line| line.contains(" name=redis-namespace-exporter-events "));
    let id = ours.unwrap().split(' ').next().unwrap();
    server.ask(&["CLIENT", "KILL", "ID", id.trim_start_matches("id=")]);
    // The stream is soon disconnected no more, but its break stays counted.
    let breaks = |page: &Page| {
        let mut breaks = BOTH.map(|stream| stream.breaks(page));
        breaks.sort_by(f64::total_cmp);
        breaks
    };
    exporter.until("the end of one stream", |page| breaks(page) == [0.0, 1.0]);
    exporter.until("both streams again", |page| {
        assert!(breaks(page) == [0.0, 1.0], "{}", page.excerpt());
        BOTH.iter().all(|stream| stream.is_state(page, "watching"))
    });
    until(LONG, "both connections", || {
        (connections(&server) == 2).then_some(())
    });
}

/// Behind a virtual address, open connections stay with the old primary.
#[test]
fn watches_follow_a_role_change() {
    let (first, second) = (server(), server());
    // A difference between the counters of the two servers would show.
    let each = "call('GET', 'websocket:none' .. i) call('SET', 'websocket:' .. i, 1)";
    keys::write(&second, 0, 20_000, each);
    let address = Ipv4Addr::new(127, 0, 0, 5);
    let port = port::free();
    let virtual_address = Cutter::at(address, port, first.port);
    let settings = format!("{FULL_SPEED}, {}, {}", MISSES.setting, CHANGES.setting);
    let text = sweep::configuration_of(&format!("redis://{address}:{port}"), &settings, NAMESPACES);
    let exporter = Launch::configured(&text).start();
    let [at_first, at_second] = [AtomicU32::new(0), AtomicU32::new(0)];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| load(&first, "session:", &done, &at_first));
        exporter.until("counts of the first server", |page| {
            BOTH.iter()
                .all(|stream| stream.total(page, "session") > 0.0)
        });
    });
    let done = AtomicBool::new(false);
    let page = thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| load(&second, "api:cache:", &done, &at_second));
        virtual_address.lead_to(second.port);
        first.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        exporter.until("counts of the second server", |page| {
            BOTH.iter()
                .all(|stream| stream.total(page, "api-cache") > 0.0)
        })
    });
    are_right(&page, &at_first, &at_second);
    until(LONG, "the connections of the second server", || {
        ([connections(&first), connections(&second)] == [0, 2]).then_some(())
    });
}

/// Checks that no namespace has more counts than its load.
fn are_right(page: &Page, at_first: &AtomicU32, at_second: &AtomicU32) {
    for stream in BOTH {
        for (namespace, rounds) in [("session", at_first), ("api-cache", at_second)] {
            let all = f64::from(rounds.load(Ordering::Relaxed)) * PER_ROUND;
            let found = stream.total(page, namespace);
            println!("{} of {namespace}: {found} of {all}", stream.name);
            // Changes of several namespaces are scaled up together.
            assert!(found <= all * 1.1 + 5.0, "{} of {namespace}", stream.name);
        }
        assert_eq!(stream.total(page, "websocket"), 0.0, "{}", stream.name);
    }
}

/// Returns the connections for messages about keys, and those of the canary.
fn streams(server: &RedisServer) -> [usize; 2] {
    let clients = server.ask(&["CLIENT", "LIST"]);
    let canary = clients.matches(" name=redis-namespace-exporter-canary ");
    [connections(server), canary.count()]
}

#[test]
fn all_streams_follow_a_changed_dns_record() {
    let (first, second) = (server(), server());
    let port = port::free();
    let _first = Cutter::at(Ipv4Addr::new(127, 0, 0, 6), port, first.port);
    let _second = Cutter::at(Ipv4Addr::new(127, 0, 0, 7), port, second.port);
    let settings = format!(
        "{FULL_SPEED}, events: listen, {}, {}",
        MISSES.setting, CHANGES.setting
    );
    let text = sweep::configuration_of(&format!("redis://{NAME}:{port}"), &settings, NAMESPACES);
    let exporter = Launch::configured(&format!(
        "canary: {{ enabled: true, interval: 1s }}\n{text}"
    ))
    .with_hosts(&format!("127.0.0.6 {NAME}\n"))
    .start();
    let all_lead_to = |server: &RedisServer| {
        until(PATIENCE, "all streams", || {
            (streams(server) == [3, 1]).then_some(())
        });
    };
    all_lead_to(&first);
    exporter.set_hosts(&format!("127.0.0.7 {NAME}\n"));
    all_lead_to(&second);
    until(LONG, "the end of the old connections", || {
        (streams(&first) == [0, 0]).then_some(())
    });
    works(&exporter);
    // A name that cannot be resolved does not end a working connection.
    exporter.set_hosts("");
    let ends = exporter.log().matches("another address").count();
    let began = Instant::now();
    while began.elapsed() < UNRESOLVED_FOR {
        exporter.polls(5);
    }
    all_lead_to(&second);
    assert_eq!(exporter.log().matches("another address").count(), ends);
}

/// A failover closes all connections. Behind a virtual address, new ones first lead to the old
/// primary, which is a replica by then.
#[test]
fn all_connections_find_a_primary_that_the_address_leads_to_late() {
    let (first, second) = (server(), server());
    let address = Ipv4Addr::new(127, 0, 0, 9);
    let port = port::free();
    let virtual_address = Cutter::at(address, port, first.port);
    let settings = format!(
        "{FULL_SPEED}, events: listen, {}, {}",
        MISSES.setting, CHANGES.setting
    );
    let text = sweep::configuration_of(&format!("redis://{address}:{port}"), &settings, NAMESPACES);
    let exporter = Launch::configured(&format!(
        "canary: {{ enabled: true, interval: 1s }}\n{text}"
    ))
    .start();
    works(&exporter);
    first.ask(&["REPLICAOF", "127.0.0.1", &second.port.to_string()]);
    for kind in ["normal", "pubsub"] {
        first.ask(&["CLIENT", "KILL", "TYPE", kind]);
    }
    until(LONG, "new connections to the old primary", || {
        let all = [sessions(&first), connections(&first), streams(&first)[1]];
        (all == [2, 3, 1]).then_some(())
    });
    exporter.until("the replica", |page| {
        page.get("redis_exporter_events_state", &[("state", "replica")]) == Some(1.0)
    });
    virtual_address.lead_to(second.port);
    until(PATIENCE, "all connections to the new primary", || {
        let all = [&first, &second].map(|server| (sessions(server), streams(server)));
        (all == [(0, [0, 0]), (2, [3, 1])]).then_some(())
    });
    works(&exporter);
}

/// Returns the connections of the poll and of the sweep.
fn sessions(server: &RedisServer) -> usize {
    let clients = server.ask(&["CLIENT", "LIST"]);
    let names = [
        " name=redis-namespace-exporter ",
        " name=redis-namespace-exporter-sweep ",
    ];
    names.map(|name| clients.matches(name).count()).iter().sum()
}

fn works(exporter: &Exporter) {
    exporter.until("all streams", |page| {
        let canary = page.get("redis_exporter_canary_state", &[("state", "connected")]);
        let events = page.get("redis_exporter_events_state", &[("state", "listening")]);
        let watches = BOTH.iter().all(|stream| stream.is_state(page, "watching"));
        canary == Some(1.0) && events == Some(1.0) && watches
    });
}
