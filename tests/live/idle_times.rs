//! Idle times of keys and the LRU horizon, compared with a workload that knows when it used each key.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::keys;
use crate::support::redis::Client;
use crate::support::server::Server;
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES};
use crate::support::wait::{End, throughout, until};
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Longer than the samples need, even on a busy machine.
const LONG: Duration = Duration::from_secs(5 * 60);

/// Number of samples with which the shares of two namespaces are known.
const ENOUGH: f64 = 150.0;

const HORIZON: &str = "redis_lru_horizon_seconds";

fn samples(page: &Page) -> f64 {
    page.get("redis_exporter_idle_samples", &[]).unwrap_or(0.0)
}

fn start(server: &RedisServer) -> Exporter {
    sweep::launch(server, FULL_SPEED, NAMESPACES).start()
}

/// Returns the memory of a namespace that was idle for at least this many seconds, as a share.
fn idle_share(page: &Page, namespace: &str, least: &str) -> Option<f64> {
    let labels = [("db", "db0"), ("key_namespace", namespace), ("idle", least)];
    let idle = page.get("redis_key_namespace_idle_memory_bytes", &labels)?;
    Some(idle / sweep::of(page, "memory_bytes", namespace))
}

/// Writes keys that seem to have been used some time ago. RESTORE sets that time.
fn write_idle(server: &RedisServer, namespace: &str, count: u32, idle: &str) {
    let body = format!(
        "call('SET', 'model', string.rep('m', 50)) local model = call('DUMP', 'model') \
         call('DEL', 'model') for i = 1, {count} do \
         call('RESTORE', '{namespace}:' .. i, 0, model, 'IDLETIME', {idle}) end"
    );
    keys::run(server, 0, &body);
}

/// Returns the calls of a command.
fn calls(server: &RedisServer, command: &str) -> f64 {
    let name = format!("cmdstat_{command}");
    if server.info(&name).is_none() {
        return 0.0;
    }
    sweep::in_record(server, &name, "calls")
}

#[test]
fn idle_memory_is_that_of_keys_not_used() {
    let mut server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
    write_idle(&server, "session", 3_000, "i % 4 == 0 and 4000 or 700");
    write_idle(&server, "websocket", 3_000, "90000");
    keys::write(&server, 0, 3_000, "call('SET', 'api:cache:' .. i, i)");
    // Idle times are in the file, too.
    server.ask(&["SAVE"]);
    server.restart(&[]);
    let exporter = start(&server);
    let page = exporter.within(LONG, "idle times", |page| samples(page) >= ENOUGH);
    let share = |namespace, least| idle_share(&page, namespace, least);
    assert_eq!(share("session", "600"), Some(1.0));
    let hour = share("session", "3600").unwrap();
    assert!((0.1..0.45).contains(&hour), "{hour}");
    assert_eq!(share("session", "86400"), Some(0.0));
    assert_eq!(share("websocket", "86400"), Some(1.0));
    assert_eq!(share("api-cache", "600"), Some(0.0));
    let count = sweep::of(&page, "idle_seconds_count", "websocket");
    assert_eq!(count, 3_000.0);
    let labels = [("key_namespace", "websocket"), ("le", "3600.0")];
    let bucket = page.all("redis_key_namespace_idle_seconds_bucket", &labels);
    assert!(bucket.iter().all(|keys| *keys < 1.0), "{bucket:?}");
    // Nothing is evicted.
    assert_eq!(page.get(HORIZON, &[]), None);
    // Asking for an idle time is not a use.
    let idle: f64 = server
        .ask(&["OBJECT", "IDLETIME", "websocket:1"])
        .parse()
        .unwrap();
    assert!(idle >= 90_000.0, "{idle}");
}

#[test]
fn queries_of_idle_times_count_as_lookups_of_the_sweep() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, "call('SET', 'session:' .. i, i)");
    let exporter = start(&server);
    let page = exporter.within(LONG, "idle times", |page| samples(page) >= ENOUGH);
    let own = page.value(
        "redis_exporter_sweep_induced_lookups_total",
        &[("result", "hit")],
    );
    assert!(own >= ENOUGH, "{own}");
    assert_eq!(page.value("redis_keyspace_hits_total", &[]), 0.0);
    assert_eq!(page.value("redis_keyspace_misses_total", &[]), 0.0);
}

#[test]
fn frequency_policy_is_never_asked_for_idle_times() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lfu"]);
    keys::write(&server, 0, 5_000, "call('SET', 'session:' .. i, i)");
    let exporter = start(&server);
    let page = sweep::more_passes(&exporter, 4.0);
    assert_eq!(samples(&page), 0.0);
    assert_eq!(calls(&server, "object|idletime"), 0.0);
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let page = exporter.within(LONG, "idle times", |page| samples(page) >= ENOUGH);
    // Keys that were not used since have a time that means something else.
    assert_eq!(idle_share(&page, "session", "3600"), None);
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "volatile-lfu"]);
    exporter.within(LONG, "no idle times", |page| samples(page) == 0.0);
    let asked = calls(&server, "object|idletime");
    sweep::more_passes(&exporter, 4.0);
    assert_eq!(calls(&server, "object|idletime"), asked);
    assert!(sweep::in_record(&server, "errorstat_ERR", "count") <= 1.0);
}

#[test]
fn denied_idle_times_cost_one_error_and_nothing_else() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, "call('SET', 'session:' .. i, i)");
    server.ask(&[
        "ACL", "SETUSER", "watcher", "reset", "on", ">secret", "~*", "+@all", "-object",
    ]);
    let exporter = Launch::configured(&sweep::configuration_of(
        &format!("redis://watcher:secret@{}", server.address()),
        FULL_SPEED,
        NAMESPACES,
    ))
    .start();
    until(LONG, "a denied command", || {
        let denied = server.info("errorstat_NOPERM")?;
        (denied == "count=1").then_some(())
    });
    let page = sweep::more_passes(&exporter, 4.0);
    assert!(sweep::goes_on(&page));
    assert_eq!(samples(&page), 0.0);
    assert_eq!(server.info("errorstat_NOPERM").as_deref(), Some("count=1"));
}

#[test]
fn replica_is_not_asked_for_idle_times() {
    let primary = RedisServer::start(&[]);
    keys::write(&primary, 0, 5_000, "call('SET', 'session:' .. i, i)");
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until(LONG, "a synchronized replica", || {
        (replica.info("master_link_status")? == "up").then_some(())
    });
    let exporter = start(&replica);
    let page = sweep::more_passes(&exporter, 4.0);
    assert_eq!(samples(&page), 0.0);
    assert_eq!(calls(&replica, "object|idletime"), 0.0);
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    exporter.within(LONG, "idle times", |page| samples(page) >= ENOUGH);
}

#[test]
fn keys_of_a_cluster_node_are_sampled() {
    // Each slot has its own table, so the keys of a SCAN are not a sample.
    let server = RedisServer::start_as(Server::NewestValkey, &["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until(LONG, "a healthy cluster", || {
        let info = server.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok").then_some(())
    });
    let write = "#!lua flags=allow-cross-slot-keys\n\
        for i = 1, 5000 do redis.call('SET', 'session:{user}:' .. i, i) \
        redis.call('SET', 'websocket:' .. i, i) end";
    server.ask(&["EVAL", write, "0"]);
    let exporter = start(&server);
    exporter.within(LONG, "idle times of both namespaces", |page| {
        let count = |namespace| {
            let labels = [("key_namespace", namespace)];
            page.get("redis_key_namespace_idle_seconds_count", &labels)
        };
        count("session") == Some(5_000.0) && count("websocket") == Some(5_000.0)
    });
}

#[test]
fn idle_times_of_flushed_keys_are_forgotten() {
    let server = RedisServer::start(&[]);
    let write = "call('SET', 'session:' .. i, i)";
    keys::write(&server, 0, 5_000, write);
    let exporter = start(&server);
    exporter.within(LONG, "idle times", |page| samples(page) >= ENOUGH);
    let refill = format!("call('FLUSHALL') for i = 5001, 10000 do {write} end");
    keys::run(&server, 0, &refill);
    exporter.within(LONG, "no idle times", |page| samples(page) < ENOUGH / 2.0);
    exporter.within(LONG, "new idle times", |page| samples(page) >= ENOUGH);
}

#[test]
fn idle_times_can_be_disabled() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, "call('SET', 'session:' .. i, i)");
    let settings = format!("{FULL_SPEED}, idle: false");
    let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
    sweep::more_passes(&exporter, 4.0);
    assert_eq!(calls(&server, "object|idletime"), 0.0);
}

/// A workload that knows when it used each key, and the idle times of the evicted ones.
#[derive(Default)]
struct Truth {
    used: HashMap<String, Instant>,
    evicted: VecDeque<(Instant, Duration)>,
}

impl Truth {
    /// Returns the median idle time of the keys evicted in the last minute.
    fn median(&mut self) -> f64 {
        self.evicted
            .retain(|(at, _)| at.elapsed() < Duration::from_secs(60));
        let mut idle: Vec<Duration> = self.evicted.iter().map(|(_, idle)| *idle).collect();
        idle.sort();
        idle[idle.len() / 2].as_secs_f64()
    }
}

/// Records the idle times of evicted keys.
fn listen(server: &RedisServer, truth: &Mutex<Truth>, done: &AtomicBool) {
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&["SUBSCRIBE", "__keyevent@0__:evicted"]);
    while !done.load(Ordering::Relaxed) {
        // The test closes the connection at its end.
        let Ok(Ok(message)) = client.reply() else {
            return;
        };
        let key = message.rsplit('\n').next().unwrap();
        let mut truth = truth.lock().unwrap();
        if let Some(used) = truth.used.remove(key) {
            truth.evicted.push_back((Instant::now(), used.elapsed()));
        }
    }
}

/// Reads keys of which some are used more often than others, and writes those that are missing.
fn work(server: &RedisServer, truth: &Mutex<Truth>, done: &AtomicBool) {
    let mut client = Client::connect(server.port).unwrap();
    let script = "for _, key in ipairs(KEYS) do if not redis.call('GET', key) then \
        redis.call('SET', key, string.rep('s', 150)) end end";
    let mut random = fastrand::Rng::with_seed(5);
    let count = 40;
    let number = count.to_string();
    while !done.load(Ordering::Relaxed) {
        let names: Vec<String> = (0..count)
            .map(|_| {
                let rank = 40_000.0 * random.f64().powi(3);
                let name = if random.bool() {
                    "session"
                } else {
                    "websocket"
                };
                format!("{name}:{rank:.0}")
            })
            .collect();
        let mut words = vec!["EVAL", script, &number];
        words.extend(names.iter().map(String::as_str));
        client.ask(&words);
        let now = Instant::now();
        let mut truth = truth.lock().unwrap();
        truth.used.extend(names.into_iter().map(|name| (name, now)));
        drop(truth);
        std::thread::sleep(Duration::from_millis(40));
    }
}

#[test]
fn horizon_is_the_median_idle_time_of_evicted_keys() {
    let server = RedisServer::start(&[
        "--maxmemory-policy",
        "allkeys-lru",
        "--notify-keyspace-events",
        "Ee",
    ]);
    let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
    let most = (used + 2_000_000).to_string();
    server.ask(&["CONFIG", "SET", "maxmemory", &most]);
    let (truth, done) = (Mutex::new(Truth::default()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| listen(&server, &truth, &done));
        scope.spawn(|| work(&server, &truth, &done));
        until(LONG, "steady evictions", || {
            let evicted: f64 = server.info("evicted_keys")?.parse().ok()?;
            (evicted > 6_000.0).then_some(())
        });
        let exporter = start(&server);
        let page = exporter.within(LONG, "a horizon", |page| {
            samples(page) >= 500.0 && page.get(HORIZON, &[]).is_some()
        });
        let (horizon, median) = (page.value(HORIZON, &[]), truth.lock().unwrap().median());
        let error = page.value("redis_lru_horizon_error_seconds", &[]);
        println!("horizon {horizon:.1} ± {error:.1}, truly {median:.1}");
        assert!(
            (0.7..=1.4).contains(&(horizon / median)),
            "{horizon} {median}"
        );
        // Another policy evicts by something else.
        server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        exporter.within(LONG, "no horizon", |page| page.get(HORIZON, &[]).is_none());
        server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        let mut last = exporter.page();
        throughout(Duration::from_secs(5), || last = exporter.page());
        assert_eq!(last.get(HORIZON, &[]), None);
        done.store(true, Ordering::Relaxed);
        // No further event would end the listener.
        server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    });
}

/// Applies the same reads to two servers, and writes the keys that are missing in each.
fn work_on_both(servers: [&RedisServer; 2], done: &AtomicBool) {
    let mut clients = servers.map(|server| Client::connect(server.port).unwrap());
    let script = "for _, key in ipairs(KEYS) do if not redis.call('GET', key) then \
        redis.call('SET', key, string.rep('s', 150)) end end";
    let mut random = fastrand::Rng::with_seed(6);
    while !done.load(Ordering::Relaxed) {
        let names: Vec<String> = (0..40)
            .map(|_| format!("session:{:.0}", 40_000.0 * random.f64().powi(3)))
            .collect();
        let mut words = vec!["EVAL", script, "40"];
        words.extend(names.iter().map(String::as_str));
        for client in &mut clients {
            client.ask(&words);
        }
        std::thread::sleep(Duration::from_millis(40));
    }
}

fn lookups(server: &RedisServer) -> [f64; 2] {
    let number = |name| server.info(name).unwrap().parse().unwrap();
    [number("keyspace_hits"), number("keyspace_misses")]
}

#[test]
fn hit_ratio_of_half_the_memory_is_that_of_a_server_with_half() {
    let start_with = |bytes: u64| {
        let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru"]);
        let used: u64 = server.info("used_memory").unwrap().parse().unwrap();
        server.ask(&["CONFIG", "SET", "maxmemory", &(used + bytes).to_string()]);
        server
    };
    let whole = start_with(3_000_000);
    let startup: u64 = whole.info("used_memory_startup").unwrap().parse().unwrap();
    // Half of the limit includes half of what an empty server uses.
    let half = start_with((3_000_000 - startup) / 2);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _end = End(&done);
        scope.spawn(|| work_on_both([&whole, &half], &done));
        until(LONG, "steady evictions", || {
            let evicted: f64 = whole.info("evicted_keys")?.parse().ok()?;
            (evicted > 6_000.0).then_some(())
        });
        let exporter = start(&whole);
        let before = lookups(&half);
        let label = [("memory", "0.5")];
        let page = exporter.within(LONG, "a hit ratio", |page| {
            samples(page) >= 1_000.0 && page.get("redis_hit_ratio_estimate", &label).is_some()
        });
        let after = lookups(&half);
        let [hits, misses] = [after[0] - before[0], after[1] - before[1]];
        let truth = hits / (hits + misses);
        let estimate = page.value("redis_hit_ratio_estimate", &label);
        let error = page.value("redis_hit_ratio_estimate_error", &label);
        let now = page.value("redis_hit_ratio_estimate", &[("memory", "1")]);
        println!("{estimate:.3} ± {error:.3}, truly {truth:.3}, now {now:.3}");
        assert!(
            (estimate - truth).abs() < error + 0.06,
            "{estimate} {error} {truth}"
        );
        assert!(now > truth + 0.05, "{now} {truth}");
        // Another policy evicts by something else.
        whole.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        exporter.within(LONG, "no hit ratio", |page| {
            page.get("redis_hit_ratio_estimate", &label).is_none()
        });
        done.store(true, Ordering::Relaxed);
    });
}
