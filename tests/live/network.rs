//! The network between exporter and server: round trips that take long, connections that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, configuration_of};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, Proxy, RedisServer, until};

#[test]
fn the_proxy_delays_and_cuts() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port);
    let mut client = Client::connect(proxy.port).unwrap();
    assert_eq!(client.ask(&["PING"]), "PONG");
    let delay = Duration::from_millis(60);
    proxy.delay(delay);
    let started = Instant::now();
    assert_eq!(client.ask(&["PING"]), "PONG");
    assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    proxy.cut();
    assert!(client.try_ask(&["PING"]).is_err());
    proxy.refuse(true);
    assert!(
        Client::connect(proxy.port)
            .and_then(|mut client| client.try_ask(&["PING"]))
            .is_err()
    );
    assert_eq!(proxy.accepted(), 2);
    assert!(proxy.url().ends_with(&proxy.port.to_string()));
}

/// Keys per second that the sweeps of two exporters visit at the same time.
fn speeds(exporters: [&Exporter; 2]) -> [f64; 2] {
    let visited = |exporter: &Exporter| {
        let page = exporter.page();
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .unwrap_or(0.0)
    };
    for exporter in exporters {
        until(LONG, "the sweep", || {
            (visited(exporter) > 1_000.0).then_some(())
        });
    }
    let (started, before) = (Instant::now(), exporters.map(visited));
    std::thread::sleep(Duration::from_secs(6));
    let seconds = started.elapsed().as_secs_f64();
    let after = exporters.map(visited);
    [0, 1].map(|at| (after[at] - before[at]) / seconds)
}

#[test]
fn a_sweep_is_as_fast_over_a_real_network() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    for server in &servers {
        keys::write(server, 0, 200_000, FIVE_KINDS);
    }
    let proxy = Proxy::to(servers[1].port);
    proxy.delay(Duration::from_millis(20));
    let settings = "first_keys: 0, cpu_share: 1%, min_pass_interval: 1s";
    let launch = |url: &str| Launch::configured(&configuration_of(url, settings, NAMESPACES));
    let near = launch(&servers[0].url()).start();
    let far = launch(&proxy.url()).start();
    // Pipelines take a while to grow, and the two share a machine that may be busy.
    let started = Instant::now();
    loop {
        let [near_speed, far_speed] = speeds([&near, &far]);
        if far_speed >= near_speed * 0.6 {
            break;
        }
        let page = far.page();
        let is_of_sweep = |line: &&str| line.contains("_sweep_") && !line.starts_with('#');
        let samples: Vec<&str> = page.0.lines().filter(is_of_sweep).collect();
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{far_speed} keys a second instead of {near_speed}: {samples:#?}"
        );
    }
}

#[test]
fn long_round_trips_alone_do_not_slow_a_sweep_down() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, FIVE_KINDS);
    let proxy = Proxy::to(server.port);
    let patience = Duration::from_millis(100);
    let (usual, long) = (patience * 3 / 2, patience * 3);
    proxy.delay(usual);
    let settings = "cpu_share: 5%, first_keys: 0, max_latency: 100ms";
    let text = configuration_of(&proxy.url(), settings, NAMESPACES);
    let exporter = Launch::configured(&text.replace("500ms", "3s")).start();
    let slowdown = |page: &Page| page.get("redis_exporter_sweep_slowdown_ratio", &[]);
    let page = exporter.until("some keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited > 2_000.0)
    });
    assert!(slowdown(&page) < Some(16.0), "{:?}", slowdown(&page));
    let least = page.value("redis_exporter_sweep_round_trip_min_seconds", &[]);
    assert!(least >= usual.as_secs_f64(), "{least}");
    proxy.delay(long);
    let limit = [("reason", "max_latency")];
    exporter.until("the sweep to yield", |page| {
        slowdown(page) > Some(1.0) && page.get("redis_exporter_sweep_limited", &limit) == Some(1.0)
    });
    proxy.delay(usual);
    exporter.until("the sweep to come back", |page| slowdown(page) == Some(1.0));
}

#[test]
fn the_scans_of_another_client_do_not_slow_a_sweep_down() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    for server in &servers {
        keys::write(server, 0, 200_000, FIVE_KINDS);
    }
    let settings = "first_keys: 0, cpu_share: 1%, min_pass_interval: 1s";
    let launch = |server: &RedisServer| sweep::launch(server, settings, NAMESPACES);
    let scanned = launch(&servers[0]).start();
    let quiet = launch(&servers[1]).start();
    let is_over = Arc::new(AtomicBool::new(false));
    let port = servers[0].port;
    let other_client = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let mut client = Client::connect(port).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                client.ask(&["SCAN", "0", "COUNT", "20000"]);
                std::thread::sleep(Duration::from_millis(500));
            }
        }
    });
    // Costs are corrected a few times.
    speeds([&scanned, &quiet]);
    let [with, without] = speeds([&scanned, &quiet]);
    is_over.store(true, Ordering::Relaxed);
    other_client.join().unwrap();
    assert!(
        with >= without * 0.5,
        "{with} keys a second instead of {without}"
    );
}
