//! Changes of keys, by namespace, from watches of messages for client-side caching.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, LONG, until};
use crate::support::watched::CHANGES;
use crate::support::{Exporter, RedisServer};

/// Changes of each round of the load. The key of `websocket` changes twice in one turn.
const ROUND: &str = "for i = 1, 6 do redis.call('SET', 'session:' .. i .. '-' .. ARGV[1] % 99, 1) end \
    for i = 1, 3 do redis.call('SET', 'api:cache:' .. i, ARGV[1]) end \
    redis.call('INCR', 'websocket:1') redis.call('EXPIRE', 'websocket:1', 1000)";
const CHANGES_PER_ROUND: f64 = 10.0;

fn start(server: &RedisServer) -> Exporter {
    let settings = format!("{FULL_SPEED}, {}", CHANGES.setting);
    sweep::launch(server, &settings, NAMESPACES).start()
}

fn change(server: &RedisServer, database: u32, done: &AtomicBool, rounds: &AtomicU32) {
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["SELECT", &database.to_string()]);
    while !done.load(Ordering::Relaxed) {
        let round = rounds.fetch_add(1, Ordering::Relaxed).to_string();
        client.ask(&["EVAL", ROUND, "0", &round]);
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn changes_are_scaled_up_to_all_of_them() {
    let server = RedisServer::start(&[]);
    let exporter = start(&server);
    let first = exporter.until("a watch", |page| {
        CHANGES.is_state(page, "watching") && CHANGES.seconds(page) > 0.0
    });
    assert_eq!(CHANGES.total(&first, "session"), 0.0);
    let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let before = Cell::new(0);
    let page = thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| change(&server, 0, &done, &rounds));
        exporter.until("a second watch", |page| {
            let is_over = CHANGES.seconds(page) > CHANGES.seconds(&first);
            if !is_over {
                before.set(rounds.load(Ordering::Relaxed));
            }
            is_over
        })
    });
    let all = f64::from(rounds.load(Ordering::Relaxed)) * CHANGES_PER_ROUND;
    let least = f64::from(before.get()) * CHANGES_PER_ROUND;
    let found = ["session", "api-cache", "websocket"].map(|name| CHANGES.total(&page, name));
    let sum: f64 = found.iter().sum();
    println!("{found:?} of {least} to {all} changes");
    assert!(sum <= all * 1.1 + 5.0, "{sum} of {all}");
    assert!(sum >= least * 0.85, "{sum} of {least}");
    for (found, expected) in found.into_iter().zip([0.6, 0.3, 0.1]) {
        let share = found / sum;
        assert!((share - expected).abs() < 0.02, "{share} for {expected}");
    }
    until(LONG, "the end of tracking", || {
        let tracked = server.info("tracking_clients");
        (tracked.as_deref() == Some("0")).then_some(())
    });
}

/// The messages do not name the database.
#[test]
fn changes_in_several_databases_have_no_database() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "other", "1"]);
    let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| change(&server, 3, &done, &rounds));
        until(LONG, "changes", || {
            (rounds.load(Ordering::Relaxed) > 2).then_some(())
        });
        let exporter = start(&server);
        let page = exporter.until("changes", |page| {
            let labels = [("key_namespace", "session")];
            let changes = page.all("redis_key_namespace_changes_total", &labels);
            changes.iter().sum::<f64>() > 0.0
        });
        for database in ["db0", "db3"] {
            let labels = [("db", database)];
            let labeled = page.all("redis_key_namespace_changes_total", &labels);
            assert!(labeled.is_empty(), "{database}");
        }
    });
}

#[test]
fn denied_tracking_costs_one_error() {
    let server = RedisServer::start(&[]);
    CHANGES.is_denied(
        &server,
        "~* allchannels +@all -client|tracking",
        "+client|tracking",
    );
}
