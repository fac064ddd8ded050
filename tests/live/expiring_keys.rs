//! Keys that expire soon, by namespace: forecasts compared with what was written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::keys;
use crate::support::sweep::{self, FULL_SPEED};
use crate::support::{Exporter, Page, RedisServer};

const LONG: Duration = Duration::from_secs(2 * 60);

/// Expires together after ten minutes, evenly within two hours, in two days, and never.
const NAMESPACES: &str = "namespaces:\n\
    - { name: batch, match: 'batch:*' }\n\
    - { name: cache, match: 'cache:*' }\n\
    - { name: session, match: 'session:*' }\n\
    - { name: permanent, match: 'permanent:*' }\n";

const KEYS: u32 = 10_000;

fn expiring(page: &Page, namespace: &str, within: &str) -> Option<f64> {
    let labels = [
        ("db", "db0"),
        ("key_namespace", namespace),
        ("within", within),
    ];
    page.get("redis_key_namespace_expiring_keys", &labels)
}

fn memory(page: &Page, namespace: &str, within: &str) -> Option<f64> {
    let labels = [
        ("db", "db0"),
        ("key_namespace", namespace),
        ("within", within),
    ];
    page.get("redis_key_namespace_expiring_memory_bytes", &labels)
}

fn burst(page: &Page, namespace: &str, what: &str) -> Option<f64> {
    let name = format!("redis_key_namespace_expiry_burst_{what}");
    page.get(&name, &[("db", "db0"), ("key_namespace", namespace)])
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

/// Returns the first page on which all forecasts of a namespace are known.
fn until_known(exporter: &Exporter, namespace: &str) -> Page {
    exporter.within(LONG, "a forecast", |page| {
        expiring(page, namespace, "3600").is_some()
    })
}

#[test]
fn forecasts_are_those_of_the_written_ttls() {
    let server = RedisServer::start(&[]);
    let end = (now() + 600.0).round();
    let batch = format!("call('SET', 'batch:' .. i, i, 'EXAT', {end})");
    keys::write(&server, 0, KEYS, &batch);
    let cache = "call('SET', 'cache:' .. i, i, 'PX', 1000 + i % 7200 * 1000)";
    keys::write(&server, 0, 7_200, cache);
    keys::write(
        &server,
        0,
        KEYS,
        "call('SET', 'session:' .. i, i, 'EX', 172800)",
    );
    keys::write(&server, 0, KEYS, "call('SET', 'permanent:' .. i, i)");
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.within(LONG, "all forecasts", |page| {
        let all = ["batch", "cache", "session", "permanent"];
        all.iter()
            .all(|name| expiring(page, name, "3600").is_some())
            && expiring(page, "cache", "300").is_some()
    });

    let ratio = burst(&page, "batch", "ratio").unwrap();
    assert!(ratio > 0.9, "{ratio}");
    let at = burst(&page, "batch", "timestamp_seconds").unwrap();
    assert!((at - end).abs() < 2.0, "{at} instead of {end}");
    assert_eq!(burst(&page, "cache", "ratio"), None);

    assert_eq!(
        expiring(&page, "batch", "300"),
        None,
        "none in five minutes"
    );
    let expected = f64::from(KEYS);
    for within in ["900", "3600"] {
        let keys = expiring(&page, "batch", within).unwrap();
        assert!((keys / expected - 1.0).abs() < 0.1, "{keys} of {expected}");
    }
    let whole = page.get(
        "redis_key_namespace_memory_bytes",
        &[("db", "db0"), ("key_namespace", "batch")],
    );
    let bytes = memory(&page, "batch", "900").unwrap();
    assert!(
        (bytes / whole.unwrap() - 1.0).abs() < 0.1,
        "{bytes} of {whole:?}"
    );

    let cache = expiring(&page, "cache", "3600").unwrap();
    assert!((cache / 3_600.0 - 1.0).abs() < 0.25, "{cache} of 3600");
    for namespace in ["session", "permanent"] {
        assert_eq!(expiring(&page, namespace, "3600"), Some(0.0), "{namespace}");
        assert_eq!(expiring(&page, namespace, "60"), None, "{namespace}");
    }
}

/// Once the batch has expired, its TTLs are those of keys that no longer exist.
#[test]
fn burst_ends_with_its_keys() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, KEYS, "call('SET', 'batch:' .. i, i, 'EX', 20)");
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.within(LONG, "the burst", |page| {
        burst(page, "batch", "ratio").is_some()
    });
    assert!(burst(&page, "batch", "timestamp_seconds").unwrap() < now() + 21.0);
    let page = exporter.within(LONG, "its end", |page| {
        burst(page, "batch", "ratio").is_none()
    });
    assert!(expiring(&page, "batch", "3600").is_none_or(|keys| keys < 1.0));
}

#[test]
fn forecasts_are_forgotten_with_the_data() {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        KEYS,
        "call('SET', 'session:' .. i, i, 'EX', 300)",
    );
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = until_known(&exporter, "session");
    assert!(expiring(&page, "session", "3600").unwrap() > 9_000.0);
    let refill = "redis.call('FLUSHALL') for i = 1, 5000 do \
                  redis.call('SET', 'session:' .. i, i, 'EX', 172800) end";
    server.ask(&["EVAL", refill, "0"]);
    exporter.within(LONG, "the new data", |page| {
        let forecast = expiring(page, "session", "3600");
        assert!(
            forecast.is_none_or(|keys| !(1.0..=9_000.0).contains(&keys)),
            "{forecast:?}"
        );
        forecast == Some(0.0)
    });
}

#[test]
fn no_ttl_at_all_is_known_without_lookups() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 100, "call('SET', 'permanent:' .. i, i)");
    let exporter = sweep::launch(&server, "lookups_per_minute: 0", NAMESPACES).start();
    let page = until_known(&exporter, "permanent");
    assert_eq!(expiring(&page, "permanent", "3600"), Some(0.0));
}

/// Returns the share of keys whose TTL is renewed, and its error.
fn renewed(page: &Page, namespace: &str) -> Option<(f64, f64)> {
    let of = |what: &str| {
        let name = format!("redis_key_namespace_ttl_renewed_{what}");
        page.get(&name, &[("db", "db0"), ("key_namespace", namespace)])
    };
    Some((of("ratio")?, of("error_ratio")?))
}

/// A third of the sessions is in use, and each use renews the TTL. Nothing renews that of the cache,
/// although it is read.
#[test]
fn renewed_share_is_that_of_the_keys_in_use() {
    let server = RedisServer::start(&[]);
    keys::write(
        &server,
        0,
        3_000,
        "call('SET', 'session:' .. i, i, 'EX', 900)",
    );
    keys::write(
        &server,
        0,
        3_000,
        "call('SET', 'cache:' .. i, i, 'EX', 900)",
    );
    keys::write(&server, 0, 3_000, "call('SET', 'permanent:' .. i, i)");
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = crate::support::wait::End(&done);
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let each = "call('EXPIRE', 'session:' .. 3 * i, 900) call('GET', 'cache:' .. i)";
                keys::write(&server, 0, 1_000, each);
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        let is_certain = |page: &Page, namespace| {
            renewed(page, namespace).is_some_and(|(_, error)| error < 0.15)
        };
        let page = exporter.within(LONG, "renewals", |page| {
            is_certain(page, "session") && is_certain(page, "cache")
        });
        let (ratio, error) = renewed(&page, "session").unwrap();
        println!("{ratio:.3} ± {error:.3} of sessions are renewed");
        assert!((ratio - 1.0 / 3.0).abs() < 2.0 * error, "{ratio} {error}");
        let (ratio, error) = renewed(&page, "cache").unwrap();
        assert!(ratio < 1e-9 && error > 0.0, "{ratio} {error}");
        assert_eq!(renewed(&page, "permanent"), None);
    });
}
