//! Cluster nodes with a separate hash table for each slot.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::server::Server;
use crate::support::sweep::{self, NAMESPACES, of, passes};
use crate::support::{Launch, Page, Proxy, RedisServer, until, wait};

/// A pass takes far longer than drawing some random keys.
const SLOW: &str = "cpu_share: 1%, min_pass_interval: 1s";

/// Maximum time until the first estimate, with round trips of 20 ms.
const PROMISED: Duration = Duration::from_secs(1);
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Numbers of keys by namespace. All keys of a tenant are in one slot.
const KEYS: [(&str, f64); 4] = [
    ("session", 60_000.0),
    ("api-cache", 60_000.0),
    ("websocket", 180_000.0),
    ("ratelimit", 0.0),
];

/// Writes keys of different slots in one script. The server must own all slots.
const WRITE: &str = "#!lua flags=allow-cross-slot-keys\n\
    for i = 1, 60000 do redis.call('SET', 'session:' .. i, 'value') \
    redis.call('SET', 'api:cache:{tenant' .. (i % 20) .. '}:' .. i, 'value') end \
    for i = 1, 180000 do redis.call('SET', 'websocket:' .. i, 'value') end";

fn node(server: Server) -> RedisServer {
    let server = RedisServer::start_as(server, &["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until(wait::LONG, "a healthy cluster", || {
        let info = server.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok").then_some(())
    });
    server.ask(&["EVAL", WRITE, "0"]);
    server
}

/// Sends this many commands in large pipelines, such as a bulk load.
fn load(server: &RedisServer, commands: usize) {
    const AT_ONCE: usize = 1_000;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    let request = "PING\r\n".repeat(AT_ONCE);
    let mut replies = vec![0; "+PONG\r\n".len() * AT_ONCE];
    for _ in 0..commands / AT_ONCE {
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut replies).unwrap();
    }
}

fn processed(server: &RedisServer) -> f64 {
    let processed = server.info("total_commands_processed").unwrap();
    processed.parse().unwrap()
}

/// All rates that the server reports just after a load include it.
#[test]
fn a_load_that_has_ended_is_not_the_usual_traffic() {
    let server = node(Server::NewestValkey);
    let settings = format!(
        "poll: {{ interval: 2s, timeout: 2s }}\nsweep: {{ max_latency: 10s }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    );
    load(&server, 400_000);
    let exporter = Launch::configured(&settings).start();
    let log = until(wait::LONG, "the announcement", || {
        let log = exporter.log();
        log.contains("sweeping the keyspace").then_some(log)
    });
    assert!(log.contains("cost=\"about 50 commands/s"), "{log}");
    exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited >= 10_000.0)
    });
    let (started, before) = (Instant::now(), processed(&server));
    thread::sleep(Duration::from_secs(3));
    let rate = (processed(&server) - before) / started.elapsed().as_secs_f64();
    assert!(rate < 100.0, "{rate} commands a second: {log}");
}

/// Returns how many intervals on a page cover the true value, and all estimates with their errors.
fn held(page: &Page) -> (usize, Vec<(f64, f64)>) {
    let found = KEYS.map(|(name, _)| (of(page, "keys", name), of(page, "keys_error", name)));
    let held = found.iter().zip(KEYS);
    let held = held.filter(|((keys, error), (_, truth))| (keys - truth).abs() <= *error);
    (held.count(), found.to_vec())
}

/// Starts an exporter of this URL. Returns the page with the first estimate, and the time until
/// then.
fn first_estimate(url: &str) -> (Page, Duration) {
    let settings = sweep::configuration_of(url, SLOW, NAMESPACES).replace("500ms", "10s");
    let started = Instant::now();
    let exporter = Launch::configured(&settings).start();
    let page = exporter.until("an estimate", |page| {
        page.0.contains("redis_key_namespace_keys{")
    });
    (page, started.elapsed())
}

/// Number of exporters that start one after another.
const STARTS: usize = 10;

fn assert_early_and_accurate(program: Server) {
    let server = node(program);
    let proxy = Proxy::to(server.port);
    proxy.delay(ROUND_TRIP);
    let (mut all, mut good) = (0, 0);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (page, took) = first_estimate(&proxy.url());
        assert_eq!(passes(&page), 0.0, "the pass is too short for this test");
        let (held, found) = held(&page);
        println!("{took:?}: {found:?}");
        times.push(took);
        all += KEYS.len();
        good += held;
        // The intervals must also be narrow: a tenth of the largest namespace, and a hundredth of
        // all keys for an absent one.
        assert!(found[2].1 < 18_000.0 && found[3].1 < 3_000.0, "{found:?}");
        let memory = of(&page, "memory_bytes", "websocket");
        assert!(memory > 0.0);
    }
    // Of 40 intervals of 95%, fewer than 32 cover the truth less than once in 10,000 times.
    assert!(
        good * 100 >= all * 80,
        "{good} of {all} intervals covered the truth"
    );
    times.sort_unstable();
    let most = PROMISED + wait::slack();
    assert!(times[STARTS / 2] < most, "{times:?}, {most:?} are allowed");
}

/// Adds a delay that is much longer than anything else, so that the duration shows the number of
/// round trips.
#[test]
fn first_estimate_needs_few_round_trips_and_bytes() {
    const LONG_TRIP: Duration = Duration::from_millis(300);
    let server = node(Server::NewestValkey);
    let proxy = Proxy::to(server.port);
    let (_, without) = first_estimate(&proxy.url());
    let before = proxy.bytes();
    proxy.delay(LONG_TRIP);
    let (_, with) = first_estimate(&proxy.url());
    let bytes = proxy.bytes() - before;
    let trips = with.saturating_sub(without).as_secs_f64() / LONG_TRIP.as_secs_f64();
    println!("{trips:.1} round trips, {bytes} bytes, {without:?} without a delay");
    assert!(trips <= 20.0, "{trips} round trips");
    assert!(bytes <= 500_000, "{bytes} bytes");
}

#[test]
fn valkey_node_has_accurate_estimates_before_a_pass() {
    assert_early_and_accurate(Server::NewestValkey);
}

#[test]
fn redis_node_has_accurate_estimates_before_a_pass() {
    assert_early_and_accurate(Server::NewestRedis);
}

#[test]
fn denied_randomkey_costs_one_error_per_connection() {
    let server = node(Server::NewestValkey);
    server.ask(&["ACL", "SETUSER", "default", "-randomkey"]);
    server.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = sweep::launch(&server, SLOW, NAMESPACES)
        .flag("--log-level=debug")
        .start();
    exporter.until("keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited > 2_000.0)
    });
    exporter.polls(3);
    let rejected = sweep::in_record(&server, "cmdstat_randomkey", "rejected_calls");
    let connections = sweep::connections_so_far(&exporter);
    assert!(
        (1.0..=connections).contains(&rejected),
        "{rejected} over {connections} connections: {}",
        exporter.log()
    );
    let page = exporter.page();
    assert!(!page.0.contains("redis_key_namespace_keys{"), "{}", page.0);
}

/// Keys come and go, but the sweep is too slow to detect it. An early estimate must not be
/// presented as current.
#[test]
fn interval_of_random_keys_widens_with_age() {
    let server = node(Server::NewestValkey);
    // After a timeout, the new connection would draw random keys again.
    let settings = sweep::configuration(&server, SLOW, NAMESPACES).replace("500ms", "5s");
    let exporter = Launch::configured(&settings).start();
    // The script may keep the server from replying to a poll.
    let error = |page: &Page| page.is_up().then(|| of(page, "keys_error", "websocket"));
    let page = exporter.until("an estimate", |page| {
        page.0.contains("redis_key_namespace_keys{")
    });
    let before = error(&page).unwrap();
    // A fifth of the database is replaced, by keys of one namespace.
    for part in 0..12 {
        let (first, last) = (part * 5_000 + 1, (part + 1) * 5_000);
        let script = format!(
            "#!lua flags=allow-cross-slot-keys\n\
             for i = {first}, {last} do \
             redis.call('DEL', (i % 2 == 0 and 'websocket:' or 'session:') .. i) \
             redis.call('SET', 'session:new:' .. i, 'value') end"
        );
        server.ask(&["EVAL", &script, "0"]);
    }
    let is_wider = |page: &Page| error(page).is_some_and(|error| error > before * 2.0);
    let page = exporter.until("a wider interval", is_wider);
    assert_eq!(passes(&page), 0.0, "the pass is too short for this test");
    let found = of(&page, "keys", "websocket");
    let width = of(&page, "keys_error", "websocket");
    println!("± {before} became {found} ± {width}");
    assert!((found - 150_000.0).abs() <= width, "{found} ± {width}");
}

#[test]
fn pass_over_slots_is_exact() {
    let server = node(Server::NewestValkey);
    let settings = sweep::configuration(&server, sweep::FULL_SPEED, NAMESPACES);
    let exporter = Launch::configured(&settings.replace("500ms", "3s")).start();
    exporter.until("exact numbers", |page| {
        page.0.contains("redis_key_namespace_keys{")
            && KEYS.iter().all(|(name, truth)| {
                of(page, "keys", name) == *truth && of(page, "keys_error", name) == 0.0
            })
    });
}
