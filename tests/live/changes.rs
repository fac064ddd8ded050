//! Changes of keys, by namespace, from watches of messages for client-side caching.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, LONG, until};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Changes of each round of the load. The key of `websocket` changes twice in one turn.
const ROUND: &str = "for i = 1, 6 do redis.call('SET', 'session:' .. i .. '-' .. ARGV[1] % 99, 1) end \
    for i = 1, 3 do redis.call('SET', 'api:cache:' .. i, ARGV[1]) end \
    redis.call('INCR', 'websocket:1') redis.call('EXPIRE', 'websocket:1', 1000)";
const CHANGES_PER_ROUND: f64 = 10.0;

fn start(server: &RedisServer) -> Exporter {
    let settings = format!("{FULL_SPEED}, changes: true");
    sweep::launch(server, &settings, NAMESPACES).start()
}

fn is_state(page: &Page, state: &str) -> bool {
    let labels = [("stream", "changes"), ("state", state)];
    page.get("redis_exporter_watch_state", &labels) == Some(1.0)
}

fn watched(page: &Page) -> f64 {
    let labels = [("stream", "changes")];
    let seconds = page.get("redis_exporter_watched_seconds_total", &labels);
    seconds.unwrap_or(0.0)
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
    let total = |page: &Page, namespace: &str| {
        let labels = [("db", "db0"), ("key_namespace", namespace)];
        let total = page.get("redis_key_namespace_changes_total", &labels);
        total.unwrap_or(0.0)
    };
    let first = exporter.until("a watch", |page| {
        is_state(page, "watching") && watched(page) > 0.0
    });
    assert_eq!(total(&first, "session"), 0.0);
    let (done, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let before = Cell::new(0);
    let page = thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| change(&server, 0, &done, &rounds));
        exporter.until("a second watch", |page| {
            let is_over = watched(page) > watched(&first);
            if !is_over {
                before.set(rounds.load(Ordering::Relaxed));
            }
            is_over
        })
    });
    let all = f64::from(rounds.load(Ordering::Relaxed)) * CHANGES_PER_ROUND;
    let least = f64::from(before.get()) * CHANGES_PER_ROUND;
    let found = ["session", "api-cache", "websocket"].map(|name| total(&page, name));
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
    let user = "ACL SETUSER watcher reset on >secret ~* allchannels +@all -client|tracking";
    server.ask(&user.split(' ').collect::<Vec<_>>());
    let denied = || sweep::in_record(&server, "errorstat_NOPERM", "count");
    let launch = || {
        Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\n\
             sweep: {{ {FULL_SPEED}, changes: true }}\n{NAMESPACES}\
             targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
            server.address()
        ))
    };
    let check = launch().flag("check").run();
    let line = "changes            denied: grant the user +info +client|tracking +subscribe \
        +unsubscribe &redis-namespace-exporter:*, or set sweep.changes to false\n";
    assert!(check.stdout.contains(line), "{}", check.stdout);
    server.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = launch().start();
    let page = exporter.until("the state", |page| is_state(page, "denied"));
    let counts = page.all("redis_key_namespace_changes_total", &[]);
    assert!(counts.is_empty());
    sweep::more_passes(&exporter, 2.0);
    assert_eq!(denied(), 1.0);
    assert!(
        exporter.log().contains("+client|tracking"),
        "{}",
        exporter.log()
    );
    server.ask(&["ACL", "SETUSER", "watcher", "+client|tracking"]);
    let check = launch().flag("check").run();
    assert!(
        check.stdout.contains("changes            works\n"),
        "{}",
        check.stdout
    );
}
