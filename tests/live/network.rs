//! The network between exporter and server: long round trips and broken connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::redis::Client;
use crate::support::sweep::{self, NAMESPACES, configuration_of};
use crate::support::{Exporter, Launch, Page, Proxy, RedisServer};

#[test]
fn proxy_delays_and_cuts_connections() {
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

/// Number and length of the windows in which two sweeps are compared. The median counts, because a
/// busy machine may disturb some windows.
const WINDOWS: usize = 7;
const WINDOW: Duration = Duration::from_secs(4);

/// Returns what a server has counted for a sweep: the number of PTTL calls, and the microseconds of
/// all its commands.
fn counted(server: &RedisServer) -> [f64; 2] {
    let stats = server.ask(&["INFO", "commandstats"]);
    let number = |command: &str, name: &str| {
        let line = stats.lines().find_map(|line| line.strip_prefix(command));
        let mut pairs = line.unwrap_or_default().split(',');
        let value = pairs.find_map(|pair| pair.strip_prefix(name));
        value.map_or(0.0, |value| value.parse().unwrap())
    };
    let commands = ["scan:", "memory|usage:", "pttl:", "type:"];
    let microseconds = commands.map(|command| number(&format!("cmdstat_{command}"), "usec="));
    [
        number("cmdstat_pttl:", "calls="),
        microseconds.iter().sum::<f64>(),
    ]
}

/// Measurements of two servers in the same window.
#[derive(Clone, Copy, Debug)]
struct Compared {
    /// Keys that the sweeps visited per second.
    speeds: [f64; 2],
    /// Server time per key, in microseconds.
    microseconds: [f64; 2],
    /// The 99th percentile of another client's wait for PONG, in microseconds.
    waits: [f64; 2],
}

impl Compared {
    fn of(servers: &[RedisServer; 2]) -> Self {
        let mut clients = servers
            .each_ref()
            .map(|server| Client::connect(server.port).unwrap());
        let before = servers.each_ref().map(counted);
        let started = Instant::now();
        let mut waits = [Vec::new(), Vec::new()];
        while started.elapsed() < WINDOW {
            for (client, waits) in clients.iter_mut().zip(&mut waits) {
                let sent = Instant::now();
                assert_eq!(client.ask(&["PING"]), "PONG");
                waits.push(sent.elapsed());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let seconds = started.elapsed().as_secs_f64();
        let after = servers.each_ref().map(counted);
        let grown = |at: usize, what: usize| after[at][what] - before[at][what];
        Self {
            speeds: [0, 1].map(|at| grown(at, 0) / seconds),
            microseconds: [0, 1].map(|at| grown(at, 1) / grown(at, 0)),
            waits: waits.map(|mut waits| {
                waits.sort_unstable();
                waits[waits.len() * 99 / 100].as_secs_f64() * 1e6
            }),
        }
    }
}

/// Returns the median ratio of the second server's value to the first server's.
fn ratio(windows: &[Compared], of: impl Fn(&Compared) -> [f64; 2]) -> f64 {
    median(windows, |window| of(window)[1] / of(window)[0])
}

fn median(windows: &[Compared], of: impl Fn(&Compared) -> f64) -> f64 {
    let mut values: Vec<f64> = windows.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Maximum difference of others' waits, in microseconds. It is about the server time of one batch.
/// Of shorter waits, the ratio is not decisive.
const LONGER_MAX: f64 = 250.0;

/// Compares the sweeps of two exporters after they have visited enough keys to estimate their
/// costs.
fn compare(servers: &[RedisServer; 2], exporters: [&Exporter; 2]) -> Vec<Compared> {
    for exporter in exporters {
        exporter.until("the sweep", |page| {
            page.get("redis_exporter_sweep_keys_visited_total", &[]) > Some(10_000.0)
        });
    }
    (0..WINDOWS).map(|_| Compared::of(servers)).collect()
}

/// A budget so small that round trips of 20 ms still leave half of the time unused.
const BUDGET: &str = "first_keys: 0, cpu_share: 1%, min_pass_interval: 1s";

#[test]
fn sweep_keeps_its_speed_over_a_slow_network() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    for server in &servers {
        keys::write(server, 0, 200_000, FIVE_KINDS);
    }
    let proxy = Proxy::to(servers[1].port);
    proxy.delay(Duration::from_millis(20));
    let launch = |url: &str| Launch::configured(&configuration_of(url, BUDGET, NAMESPACES));
    let near = launch(&servers[0].url()).start();
    let far = launch(&proxy.url()).start();
    let windows = compare(&servers, [&near, &far]);
    println!("{windows:#?}");
    let speed = ratio(&windows, |window| window.speeds);
    let cost = ratio(&windows, |window| window.microseconds);
    let waits = ratio(&windows, |window| window.waits);
    println!("speed {speed:.2}, cost per key {cost:.2}, others' p99 {waits:.2}");
    // The budget limits server time. If keys cost more on the far server because the machine is
    // busy, the speed is lower with the same budget.
    assert!(
        speed * cost.max(1.0) >= 0.8,
        "{speed} at {cost}: {windows:#?}"
    );
    assert!(cost <= 1.5, "{cost}: {windows:#?}");
    let longer = median(&windows, |window| window.waits[1] - window.waits[0]);
    assert!(
        waits <= 1.5 || longer <= LONGER_MAX,
        "{waits}: {windows:#?}"
    );
}

#[test]
fn only_rising_round_trips_slow_the_sweep() {
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
    exporter.until("a slower sweep", |page| {
        slowdown(page) > Some(1.0) && page.get("redis_exporter_sweep_limited", &limit) == Some(1.0)
    });
    proxy.delay(usual);
    exporter.until("a sweep at full speed", |page| slowdown(page) == Some(1.0));
}

#[test]
fn scans_by_another_client_do_not_slow_the_sweep() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    for server in &servers {
        keys::write(server, 0, 200_000, FIVE_KINDS);
    }
    let launch = |server: &RedisServer| sweep::launch(server, BUDGET, NAMESPACES);
    let quiet = launch(&servers[0]).start();
    let scanned = launch(&servers[1]).start();
    let is_over = Arc::new(AtomicBool::new(false));
    let port = servers[1].port;
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
    let windows = compare(&servers, [&quiet, &scanned]);
    is_over.store(true, Ordering::Relaxed);
    other_client.join().unwrap();
    let speed = ratio(&windows, |window| window.speeds);
    println!("speed {speed:.2}: {windows:#?}");
    assert!(speed >= 0.75, "{speed}: {windows:#?}");
}
