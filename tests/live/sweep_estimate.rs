//! Compares the published values of namespaces with the server's own counts.

use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES, of, passes};
use crate::support::wait::{LONG, slack};
use crate::support::{Launch, Page, Proxy, RedisServer, http};

const KINDS: [(&str, &str); 5] = [
    ("session", "session:*"),
    ("api-cache", "api:cache:*"),
    ("ratelimit", "ratelimit:*"),
    ("websocket", "websocket:*"),
    ("other", "job*"),
];

fn assert_exact(page: &Page, server: &RedisServer) {
    for (namespace, pattern) in KINDS {
        let (keys, bytes) = keys::count(server, 0, pattern);
        assert_eq!(of(page, "keys_error", namespace), 0.0, "{namespace}");
        assert_eq!(of(page, "keys", namespace), keys, "{namespace}");
        let memory = of(page, "memory_bytes", namespace);
        assert!(
            (memory / bytes - 1.0).abs() < 0.01,
            "{memory} is not {bytes}"
        );
    }
}

#[test]
fn first_estimate_appears_within_a_second() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 200_000, FIVE_KINDS);
    let first_estimate = || {
        let started = Instant::now();
        let launch = sweep::launch(&server, "cpu_share: 1%", NAMESPACES);
        let exporter = launch.start_without_waiting();
        // The duration of the first poll depends on the machine.
        let mut up = None;
        loop {
            let page = http::get(exporter.port, "/metrics").map(|page| Page(page.text()));
            if let Ok(page) = page {
                if page.is_up() {
                    up.get_or_insert(started.elapsed());
                }
                if let Some(up) = up
                    && page.0.contains("redis_key_namespace_keys{")
                {
                    return (started.elapsed().saturating_sub(2 * up), page, exporter);
                }
            }
            assert!(started.elapsed() < LONG, "{}", exporter.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    // Repeated because the machine may be busy.
    let (took, page, exporter) = (0..3)
        .map(|_| first_estimate())
        .min_by_key(|(took, ..)| *took)
        .unwrap();
    assert!(took < Duration::from_secs(1) + slack(), "{took:?}");
    let mut sum = 0.0;
    for (namespace, _) in KINDS {
        let (keys, error) = (
            of(&page, "keys", namespace),
            of(&page, "keys_error", namespace),
        );
        sum += keys;
        assert!(
            (keys - 40_000.0).abs() < 2.5 * error,
            "{namespace}: {keys} ± {error}"
        );
    }
    assert_eq!(sum, 200_000.0);
    // The number of keys in the first estimate depends on the machine, too.
    let page = exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited >= 10_000.0)
    });
    for (namespace, _) in KINDS {
        let error = of(&page, "keys_error", namespace);
        assert!(error < 4_000.0, "{namespace}: ± {error}");
    }
}

#[test]
fn complete_pass_is_exact() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 100_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_exact(&page, &server);
    for (namespace, kind) in [
        ("session", "string"),
        ("websocket", "hash"),
        ("other", "list"),
    ] {
        let labels = [("key_namespace", namespace), ("type", kind)];
        assert_eq!(
            page.value("redis_key_namespace_type_keys", &labels),
            20_000.0
        );
    }
    assert_eq!(of(&page, "keys_without_ttl", "session"), 0.0);
    assert_eq!(of(&page, "keys_without_ttl", "websocket"), 20_000.0);
    assert_eq!(page.value("redis_exporter_sweep_coverage_ratio", &[]), 1.0);
}

#[test]
fn memory_is_accurate_for_heavy_tailed_sizes() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 60_000, FIVE_KINDS);
    let pareto = "local size = math.floor(50 * (1 - math.random()) ^ (-1 / 1.3)) \
        call('SET', 'session:big' .. i, string.rep('x', math.min(size, 20000000)))";
    keys::write(&server, 0, 20_000, pareto);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_exact(&page, &server);
    let body = "local most = 0 for _, key in ipairs(call('KEYS', 'session:*')) do \
        most = math.max(most, call('MEMORY', 'USAGE', key)) end return tostring(most)";
    let largest: f64 = keys::run(&server, 0, body).parse().unwrap();
    assert_eq!(of(&page, "largest_key_bytes", "session"), largest);
}

/// Each SCAN requests as many keys as suit the round trip, and may go beyond the end of its part of
/// the table. The next SCAN finds which keys these were. Here, each of 64 parts has 1,100 keys, and a
/// SCAN returns 500 or 100 of them.
#[test]
fn no_key_counts_twice_if_the_round_trip_gets_shorter() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 70_000, FIVE_KINDS);
    let first_pass = |before: Duration| {
        let proxy = Proxy::to(server.port);
        proxy.delay(Duration::from_millis(20));
        let configuration = sweep::configuration_of(&proxy.url(), FULL_SPEED, NAMESPACES);
        let exporter = Launch::configured(&configuration).start();
        std::thread::sleep(before);
        proxy.delay(Duration::ZERO);
        let page = exporter.until("a pass", |page| passes(page) >= 1.0);
        assert_exact(&page, &server);
    };
    // It matters only between two SCANs, which some of them hit.
    std::thread::scope(|scope| {
        for number in 0..10 {
            scope.spawn(move || first_pass(Duration::from_millis(300 + 71 * number)));
        }
    });
}

#[test]
fn second_pass_is_exact() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 30_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("a pass", |page| passes(page) >= 1.0);
    keys::write(&server, 0, 7_000, "call('SET', 'session:new' .. i, i)");
    let page = sweep::more_passes(&exporter, 2.0);
    assert_exact(&page, &server);
}

#[test]
fn empty_server_has_no_namespaces_until_it_has_keys() {
    let server = RedisServer::start(&[]);
    let exporter = sweep::launch(&server, "cpu_share: 50%", NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert!(page.all("redis_key_namespace_keys", &[]).is_empty());
    assert!(sweep::goes_on(&page));
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    // Well before the next scheduled pass, which is due after a minute.
    let page = exporter.within(Duration::from_secs(30) + slack(), "the keys", |page| {
        page.0.contains("redis_key_namespace_keys{")
            && page.get("redis_exporter_sweep_coverage_ratio", &[]) >= Some(1.0)
    });
    assert_exact(&page, &server);
}
