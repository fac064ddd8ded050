//! Databases in which all keys are replaced by as many other keys between two checks.

use std::time::Duration;

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::{Exporter, Page, RedisServer};

/// After its pass, the sweep is idle for longer than any test takes.
const RESTING: &str = "cpu_share: 100%, min_pass_interval: 10m";

/// Longer than detection takes, but far shorter than the idle time.
const SOON: Duration = Duration::from_secs(40);

const KEYS: u32 = 20_000;

const SESSIONS: &str = "call('SET', 'session:' .. i, i)";

const SOCKETS: &str = "call('SET', 'websocket:' .. i, i)";

/// Returns the numbers of sessions and sockets on a page, each with its error.
fn found(page: &Page) -> Option<[(f64, f64); 2]> {
    page.0.contains("redis_key_namespace_keys{").then(|| {
        ["session", "websocket"].map(|name| (of(page, "keys", name), of(page, "keys_error", name)))
    })
}

fn wait_for(exporter: &Exporter, sessions: u32, sockets: u32) {
    let exact = [sessions, sockets].map(|keys| (f64::from(keys), 0.0));
    let last = std::cell::Cell::new(None);
    exporter.within(SOON, "exact numbers of sessions and sockets", |page| {
        let seen = found(page);
        if last.replace(seen) != seen {
            println!("sessions and sockets: {seen:?}");
        }
        seen == Some(exact)
    });
}

fn swept(server: &RedisServer) -> Exporter {
    let exporter = sweep::launch(server, RESTING, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    wait_for(&exporter, KEYS, 0);
    exporter
}

/// Atomically removes all keys and writes as many others.
fn replace(server: &RedisServer, remove: &str) {
    let body = format!("{remove} for i = 1, {KEYS} do {SOCKETS} end");
    keys::run(server, 0, &body);
}

#[test]
fn atomic_refill_is_detected_between_passes() {
    for remove in ["call('FLUSHALL')", "call('FLUSHDB', 'ASYNC')"] {
        let server = RedisServer::start(&[]);
        keys::write(&server, 0, KEYS, SESSIONS);
        let exporter = swept(&server);
        replace(&server, remove);
        wait_for(&exporter, 0, KEYS);
        assert!(sweep::goes_on(&exporter.page()));
    }
}

#[test]
fn database_swap_is_detected_between_passes() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, SESSIONS);
    keys::write(&server, 1, KEYS, SOCKETS);
    let exporter = swept(&server);
    server.ask(&["SWAPDB", "0", "1"]);
    wait_for(&exporter, 0, KEYS);
}

#[test]
fn flushdb_keeps_namespaces_of_other_databases() {
    const FEW: u32 = 4_000;
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, SESSIONS);
    keys::write(&server, 1, FEW, SESSIONS);
    let exporter = sweep::launch(&server, RESTING, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let keys_of = |page: &Page, db: &str, name: &str| {
        page.get(
            "redis_key_namespace_keys",
            &[("db", db), ("key_namespace", name)],
        )
    };
    // The change is published as soon as it is detected: first without the old keys, then with the
    // new ones.
    let body = format!("call('FLUSHDB') for i = 1, {FEW} do {SOCKETS} end");
    keys::run(&server, 1, &body);
    exporter.within(SOON, "the new keys of the flushed database", |page| {
        let kept = keys_of(page, "db0", "session");
        assert_eq!(
            kept,
            Some(f64::from(KEYS)),
            "the other database was discarded"
        );
        keys_of(page, "db1", "websocket") == Some(f64::from(FEW))
            && keys_of(page, "db1", "session") == Some(0.0)
    });
}

#[test]
fn atomic_refill_is_detected_during_a_pass() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 100_000, SESSIONS);
    let slow = "cpu_share: 10%, first_keys: 0, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, slow, NAMESPACES).start();
    exporter.until("a part of a pass", |page| {
        assert_eq!(passes(page), 0.0, "the pass is too short for this test");
        page.get("redis_exporter_sweep_coverage_ratio", &[])
            .is_some_and(|coverage| coverage > 0.05)
    });
    replace(&server, "call('FLUSHALL')");
    wait_for(&exporter, 0, KEYS);
}

#[test]
fn atomic_refill_is_detected_during_a_long_pause() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, SESSIONS);
    // The sweep pauses for about 100 s after each SCAN except the first ones.
    let paused = "keys_per_second: 1, first_keys: 500, min_pass_interval: 1s";
    let exporter = sweep::launch(&server, paused, NAMESPACES).start();
    exporter.until("an estimate", |page| {
        found(page).is_some_and(|[sessions, sockets]| sessions.0 > sockets.0)
    });
    replace(&server, "call('FLUSHALL')");
    exporter.within(SOON, "an estimate of the new keys", |page| {
        found(page).is_some_and(|[sessions, sockets]| sessions.0 < sockets.0)
    });
    assert_eq!(passes(&exporter.page()), 0.0);
}

#[test]
fn replica_of_a_new_primary_forgets_the_old_keys() {
    let primaries = [RedisServer::start(&[]), RedisServer::start(&[])];
    keys::write(&primaries[0], 0, KEYS, SESSIONS);
    keys::write(&primaries[1], 0, KEYS, SOCKETS);
    let replica = RedisServer::start(&["--repl-diskless-load", "swapdb"]);
    let follow =
        |primary: &RedisServer| replica.ask(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
    follow(&primaries[0]);
    let exporter = swept(&replica);
    follow(&primaries[1]);
    wait_for(&exporter, 0, KEYS);
}

#[test]
fn restart_with_other_keys_starts_a_new_sweep() {
    let mut server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, SESSIONS);
    let exporter = swept(&server);
    server.restart(&[]);
    replace(&server, "");
    wait_for(&exporter, 0, KEYS);
}

#[test]
fn failed_swap_keeps_the_estimates() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, SESSIONS);
    let exporter = swept(&server);
    let mut client = Client::connect(server.port).unwrap();
    for _ in 0..3 {
        assert!(client.try_ask(&["SWAPDB", "0", "999"]).unwrap().is_err());
    }
    let visited = |page: &Page| page.value("redis_exporter_sweep_keys_visited_total", &[]);
    let before = visited(&exporter.page());
    crate::support::wait::throughout(Duration::from_secs(3), || {
        let page = exporter.page();
        assert_eq!((found(&page).is_some(), visited(&page)), (true, before));
    });
}
