//! Wall clocks that are set while the exporter runs: that of the server, and that of the exporter.

use crate::support::sweep;
use crate::support::wait::LONG;
use crate::support::wall_clock::WallClock;
use crate::support::{Exporter, Launch, Page, RedisServer, keys};

/// Few lookups, so that TTLs from before a jump would count for minutes.
const SLOW: &str =
    "cpu_share: 100%, min_pass_interval: 1s, lookup_share: 1%, lookups_per_minute: 1200";

/// Expires together, and never.
const NAMESPACES: &str = "namespaces:\n\
    - { name: batch, match: 'batch:*' }\n\
    - { name: permanent, match: 'permanent:*' }\n";

const KEYS: u32 = 5_000;

/// TTL of the batch, in seconds.
const TTL: i64 = 1_800;

/// Time by which a clock is set, in seconds.
const STEP: i64 = 1_200;

fn write(server: &RedisServer) {
    let batch = format!("call('SET', 'batch:' .. i, i, 'EX', {TTL})");
    keys::write(server, 0, KEYS, &batch);
    keys::write(server, 0, KEYS, "call('SET', 'permanent:' .. i, i)");
}

fn settings(server: &RedisServer) -> String {
    sweep::configuration(server, SLOW, NAMESPACES)
}

fn expiring(page: &Page, within: &str) -> Option<f64> {
    let labels = [
        ("db", "db0"),
        ("key_namespace", "batch"),
        ("within", within),
    ];
    page.get("redis_key_namespace_expiring_keys", &labels)
}

/// Returns the sum of a metric over all namespaces.
fn sum(page: &Page, metric: &str) -> f64 {
    let all = page.all(&format!("redis_key_namespace_{metric}"), &[]);
    all.into_iter().sum()
}

fn is_all(keys: Option<f64>) -> bool {
    keys.is_some_and(|keys| (keys / f64::from(KEYS) - 1.0).abs() < 0.1)
}

/// Waits until all keys of the batch are known to expire within an hour, and keys are followed.
fn until_known(exporter: &Exporter) -> Page {
    let page = exporter.until("a forecast", |page| {
        let followed = [("result", "alive")];
        let followed = page.get("redis_exporter_panel_checks_total", &followed);
        is_all(expiring(page, "3600")) && followed > Some(500.0)
    });
    assert!(expiring(&page, "900").is_none(), "{}", page.excerpt());
    page
}

/// Checks that no page shows lost keys, none of which exist.
fn assert_none_lost(page: &Page) {
    for metric in [
        "vanished_keys_total",
        "evicted_keys_total",
        "expired_keys_total",
        "lost_ttl_seconds_count",
    ] {
        assert!(sum(page, metric) == 0.0, "{metric}\n{}", page.excerpt());
    }
}

#[test]
fn server_clock_set_ahead_moves_the_forecast() {
    let clock = WallClock::new();
    let server = RedisServer::with_clock(&clock);
    write(&server);
    let exporter = Launch::configured(&settings(&server)).start();
    until_known(&exporter);
    clock.set(STEP);
    // The batch expires within ten minutes now. No page has a part of it.
    exporter.until("the forecast", |page| {
        assert_none_lost(page);
        let [soon, later] = ["900", "3600"].map(|within| expiring(page, within));
        for keys in [soon, later] {
            assert!(keys.is_none() || is_all(keys), "{}", page.excerpt());
        }
        is_all(soon) && is_all(later)
    });
}

#[test]
fn server_clock_set_back_moves_the_forecast() {
    let clock = WallClock::new();
    clock.set(STEP);
    let server = RedisServer::with_clock(&clock);
    write(&server);
    let exporter = Launch::configured(&settings(&server)).start();
    until_known(&exporter);
    clock.set(-STEP);
    // The batch expires in more than an hour now.
    exporter.until("the forecast", |page| {
        assert_none_lost(page);
        assert!(expiring(page, "900").is_none(), "{}", page.excerpt());
        let later = expiring(page, "3600");
        let is_none = later == Some(0.0);
        assert!(
            later.is_none() || is_none || is_all(later),
            "{}",
            page.excerpt()
        );
        is_none
    });
}

/// The keys of the batch expire at once, some of which the exporter follows. They had not lived for as
/// long as their TTL, but the server has not evicted them.
#[test]
fn server_clock_set_past_all_ttls_evicts_nothing() {
    let clock = WallClock::new();
    let server = RedisServer::with_clock(&clock);
    write(&server);
    let exporter = Launch::configured(&settings(&server)).start();
    until_known(&exporter);
    clock.set(2 * TTL);
    let polls = |page: &Page| page.value("redis_exporter_polls_total", &[]);
    let expired = exporter.until("the end of the batch", |page| {
        page.get("redis_expired_keys_total", &[]) == Some(f64::from(KEYS))
    });
    // Keys that were drawn before are checked within a minute. The others never expire.
    let passes = sweep::passes(&expired);
    exporter.within(2 * LONG, "many checks", |page| {
        assert_eq!(sum(page, "evicted_keys_total"), 0.0, "{}", page.excerpt());
        let early = page.all(
            "redis_key_namespace_vanished_keys_total",
            &[("when", "before_ttl")],
        );
        assert!(early.iter().all(|keys| *keys < 1.0), "{}", page.excerpt());
        assert_eq!(sum(page, "lost_ttl_seconds_count"), 0.0);
        assert!(sum(page, "expired_keys_total") <= f64::from(KEYS) + 1.0);
        polls(page) >= polls(&expired) + 60.0 && sweep::passes(page) >= passes + 10.0
    });
}

#[test]
fn exporter_clock_that_is_set_moves_no_forecast() {
    let burst = |page: &Page| {
        let name = "redis_key_namespace_expiry_burst_timestamp_seconds";
        page.all(name, &[]).first().copied()
    };
    for step in [STEP, -STEP] {
        let clock = WallClock::new();
        let server = RedisServer::start(&[]);
        write(&server);
        let mut launch = Launch::configured(&settings(&server));
        for (name, value) in clock.variables() {
            launch = launch.variable(name, &value);
        }
        let exporter = launch.start();
        let before = burst(&until_known(&exporter)).unwrap();
        clock.set(step);
        // The batch expires when it did, at another time of this clock.
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let expected = before + step as f64;
        exporter.until("the forecast", |page| {
            assert_none_lost(page);
            assert!(expiring(page, "900").is_none(), "{}", page.excerpt());
            let keys = expiring(page, "3600");
            assert!(keys.is_none() || is_all(keys), "{}", page.excerpt());
            is_all(keys) && burst(page).is_some_and(|at| (at - expected).abs() < 10.0)
        });
    }
}
