//! Evictions by namespace in `namespaces --watch`, compared with the events of the server.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::RedisServer;
use crate::support::key_events::TrueEvents;
use crate::support::redis::Client;
use crate::support::sweep::{self, FULL_SPEED};
use crate::support::wait::{End, until};

/// Rates need two points 75 seconds apart.
const LONG: Duration = Duration::from_secs(6 * 60);

/// Maximum error of a share of the evictions.
const ERROR: f64 = 0.08;

/// Each kind of key with the share of the writes.
const NAMESPACES: &str = "namespaces:\n\
    - { name: session, match: 'session:*', on_eviction: harmful }\n\
    - { name: websocket, match: 'websocket:*' }\n";

/// Writes keys without a TTL until the end of the test: twice as many sessions as others.
fn write(server: &RedisServer, done: &AtomicBool) {
    let mut client = Client::connect(server.port).unwrap();
    let script = "for i = 1, 30 do local kind = i % 3 == 0 and 'websocket:' or 'session:' \
        redis.call('SET', kind .. ARGV[1] .. '-' .. i, 'x') end";
    let mut run = 0;
    while !done.load(Ordering::Relaxed) {
        run += 1;
        client.ask(&["EVAL", script, "0", &run.to_string()]);
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the documents of all passes so far. The last one may not be written completely.
fn documents(text: &str) -> Vec<Value> {
    let documents = serde_json::Deserializer::from_str(text).into_iter();
    documents.map_while(Result::ok).collect()
}

/// Returns the evicted keys of a namespace per second.
fn rate(document: &Value, name: &str) -> Option<f64> {
    let namespaces = document["namespaces"].as_array().unwrap();
    let of = namespaces.iter().find(|of| of["name"] == name)?;
    of["evicted_per_second"].as_f64()
}

#[test]
fn watching_shows_evictions_by_namespace() {
    let arguments = [
        "--maxmemory-policy",
        "allkeys-random",
        "--notify-keyspace-events",
        "Ee",
    ];
    let server = RedisServer::start(&arguments);
    let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
    let limit = (used + 3_000_000).to_string();
    server.ask(&["CONFIG", "SET", "maxmemory", &limit]);
    let (mut events, done) = (TrueEvents::of(&server, 1), AtomicBool::new(false));
    let evicted = || -> f64 { server.info("evicted_keys").unwrap().parse().unwrap() };
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| write(&server, &done));
        until(LONG, "steady evictions", || {
            (evicted() > 5_000.0).then_some(())
        });
        let launch = sweep::launch(&server, FULL_SPEED, NAMESPACES)
            .flag("namespaces")
            .flag("--watch")
            .flag("--output=json");
        let (out, err) = (launch.file("stdout"), launch.file("stderr"));
        let mut command = launch.start_without_waiting();
        let before = events.once("evicted", evicted());
        let document = until(LONG, "rates of both namespaces", || {
            assert_eq!(command.process.ended(), None, "{}", command.log());
            let all = documents(&fs::read_to_string(&out).unwrap());
            let last = all.into_iter().next_back()?;
            let is_known = |name| rate(&last, name) > Some(0.0);
            (is_known("session") && is_known("websocket")).then_some(last)
        });
        let after = events.once("evicted", evicted());
        let counted = |name: &str| {
            let place = ("evicted".to_owned(), "db0".to_owned(), name.to_owned());
            after[&place] - before[&place]
        };
        let [session, websocket] = ["session", "websocket"].map(|name| rate(&document, name));
        let (session, websocket) = (session.unwrap(), websocket.unwrap());
        let share = session / (session + websocket);
        let truly = counted("session") / (counted("session") + counted("websocket"));
        println!("{session:.1} + {websocket:.1} evicted per second; {share:.3}, truly {truly:.3}");
        assert!((share - truly).abs() <= ERROR, "{share} {truly}");
        let verdict = document["verdict"].as_array().unwrap();
        let is_named = |line: &Value| {
            let line = line.as_str().unwrap();
            line.starts_with("session must not be evicted, but ") && line.contains(" per second")
        };
        assert!(verdict.iter().any(is_named), "{verdict:?}");
        assert_eq!(fs::read_to_string(&err).unwrap(), "");
        command.process.signal("INT");
        let (status, _) = command.process.wait(LONG);
        assert_eq!(status.code(), Some(0));
    });
}
