//! Keyspaces that change during a pass.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::wait::{End, LONG, throughout};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Minimum duration of the first pass, in seconds: long enough to see a part of it, even on a busy
/// machine.
const PASS_SECONDS: u32 = 4;

/// Writes this many keys, starts an exporter, and waits until its first pass is under way but far from
/// complete.
fn in_mid_pass(server: &RedisServer, keys: u32) -> Exporter {
    keys::write(server, 0, keys, FIVE_KINDS);
    let speed = keys / PASS_SECONDS;
    let slow =
        format!("cpu_share: 10%, keys_per_second: {speed}, first_keys: 0, min_pass_interval: 1s");
    let exporter = sweep::launch(server, &slow, NAMESPACES).start();
    exporter.until("a part of a pass", |page| {
        assert_eq!(passes(page), 0.0, "the pass is too short for this test");
        page.get("redis_exporter_sweep_coverage_ratio", &[])
            .is_some_and(|coverage| coverage > 0.05)
    });
    exporter
}

fn total(page: &Page) -> f64 {
    page.all("redis_key_namespace_keys", &[]).iter().sum()
}

fn is_exact(page: &Page, expected: &[(&str, f64)]) -> bool {
    let keys = |namespace| {
        let labels = [("key_namespace", namespace)];
        let get = |name| page.get(name, &labels);
        (
            get("redis_key_namespace_keys"),
            get("redis_key_namespace_keys_error"),
        )
    };
    expected
        .iter()
        .all(|(namespace, count)| keys(namespace) == (Some(*count), Some(0.0)))
}

#[test]
fn flushall_during_a_pass_discards_the_old_keys() {
    let server = RedisServer::start(&[]);
    let exporter = in_mid_pass(&server, 150_000);
    server.ask(&["FLUSHALL"]);
    exporter.until("no keys", |page| {
        page.is_up() && page.all("redis_key_namespace_keys", &[]).is_empty()
    });
    keys::write(&server, 0, 20_000, "call('SET', 'session:' .. i, 1)");
    exporter.until("the new keys", |page| {
        if !page.all("redis_key_namespace_keys", &[]).is_empty() {
            assert!(total(page) <= 20_000.0);
            // A partial pass must not be published as a complete one.
            let keys = of(page, "keys", "session");
            assert_eq!(keys, 20_000.0);
        }
        is_exact(
            page,
            &[("session", 20_000.0), ("api-cache", 0.0), ("other", 0.0)],
        )
    });
    assert!(sweep::goes_on(&exporter.page()));
}

#[test]
fn refill_after_flushall_makes_a_pass_incomplete() {
    let server = RedisServer::start(&[]);
    let exporter = in_mid_pass(&server, 150_000);
    server.ask(&["FLUSHALL"]);
    exporter.until("no keys", |page| {
        page.is_up() && page.all("redis_key_namespace_keys", &[]).is_empty()
    });
    keys::write(&server, 0, 150_000, FIVE_KINDS);
    exporter.until("exact numbers", |page| {
        let coverage = page.get("redis_exporter_sweep_coverage_ratio", &[]);
        if page
            .get("redis_key_namespace_keys", &[("key_namespace", "session")])
            .is_some()
        {
            assert!(coverage < Some(0.9) || passes(page) > 0.0, "{coverage:?}");
        }
        is_exact(page, &[("session", 30_000.0), ("other", 30_000.0)])
    });
}

#[test]
fn counts_become_exact_after_tenfold_growth() {
    let server = RedisServer::start(&[]);
    let exporter = in_mid_pass(&server, 30_000);
    for part in 0..27 {
        let each = format!("i = i + 30000 + {part} * 10000 {FIVE_KINDS}");
        keys::write(&server, 0, 10_000, &each);
        let page = exporter.page();
        for keys in page.all("redis_key_namespace_keys", &[]) {
            assert!((0.0..=300_000.0).contains(&keys));
        }
    }
    let exact = [
        ("session", 60_000.0),
        ("websocket", 60_000.0),
        ("other", 60_000.0),
    ];
    // At the speed of a pass over a tenth of the keys.
    exporter.within(3 * LONG, "exact numbers", |page| {
        assert!(total(page) <= 300_000.0);
        is_exact(page, &exact)
    });
    exporter.until("a sweep in random order", |page| {
        page.get("redis_exporter_sweep_random_order", &[]) == Some(1.0)
    });
}

#[test]
fn shrinking_keyspace_is_never_overestimated() {
    let server = RedisServer::start(&[]);
    let exporter = in_mid_pass(&server, 100_000);
    // Deletes all but a few sessions, in steps.
    for part in 0..10 {
        let each = format!(
            "i = i + {part} * 10000 call('DEL', 'api:cache:' .. i, 'ratelimit:' .. i, \
             'websocket:' .. i, 'job' .. i) if i > 1000 then call('DEL', 'session:' .. i) end"
        );
        keys::write(&server, 0, 10_000, &each);
    }
    exporter.until("exact numbers", |page| {
        let size: f64 = 100_000.0;
        assert!(total(page) <= size);
        is_exact(
            page,
            &[("session", 200.0), ("other", 0.0), ("websocket", 0.0)],
        )
    });
}

#[test]
fn keys_deleted_before_their_queries_are_counted() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, FIVE_KINDS);
    // On a busy machine, a step of the sweep may have to wait.
    let settings = sweep::configuration(&server, sweep::FULL_SPEED, NAMESPACES);
    let exporter = Launch::configured(&settings.replace("500ms", "3s")).start();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| {
            let mut client = Client::connect(server.port).unwrap();
            let script = "for i = 1, 20 do redis.call('DEL', redis.call('RANDOMKEY')) \
                redis.call('SET', 'session:' .. math.random(1000000000), 'x') end";
            while !done.load(Ordering::Relaxed) {
                client.ask(&["EVAL", script, "0"]);
            }
        });
        exporter.until("vanished keys", |page| {
            page.get("redis_exporter_sweep_keys_vanished_total", &[])
                .is_some_and(|vanished| vanished > 10.0)
        });
        throughout(Duration::from_secs(2), || {
            let page = exporter.page();
            assert!(sweep::goes_on(&page));
            assert!(total(&page) <= 20_000.0 + 100.0);
        });
    });
    let page = exporter.page();
    assert!(
        page.value(
            "redis_exporter_sweep_induced_lookups_total",
            &[("result", "miss")]
        ) > 0.0
    );
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}
