//! Server time that a sweep uses, from the statistics of the server.

use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, NAMESPACES, passes};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer};

const COMMANDS: [&str; 4] = ["scan", "memory|usage", "pttl", "type"];

/// Maximum CPU time that the sweep uses, as a ratio to its budget.
const USED_MAX: f64 = 1.5;

/// Minimum CPU time, as the same ratio. A busy machine makes the sweep slower.
const USED_MIN: f64 = 0.3;

/// Returns the calls of each command, as the server counts them.
fn calls(server: &RedisServer) -> [f64; 4] {
    let stats = server.ask(&["INFO", "commandstats"]);
    COMMANDS.map(|command| {
        let name = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&name));
        let calls = calls.and_then(|rest| rest.split(',').next());
        calls.map_or(0.0, |calls| calls.parse().unwrap())
    })
}

/// Returns the CPU time of the thread that executes commands, in seconds. It includes the protocol. On
/// a busy machine, commands take longer than that.
fn cpu_seconds(server: &RedisServer) -> f64 {
    let info = server.ask(&["INFO", "cpu"]);
    let parts = info.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_part = name.starts_with("used_cpu_") && name.ends_with("_main_thread");
        is_part.then(|| value.trim().parse::<f64>().unwrap())
    });
    let parts: Vec<f64> = parts.collect();
    assert_eq!(parts.len(), 2, "{info}");
    parts.iter().sum()
}

fn visited(exporter: &Exporter) -> f64 {
    let page = exporter.page();
    let visited = page.get("redis_exporter_sweep_keys_visited_total", &[]);
    visited.unwrap_or(0.0)
}

/// Two servers with the same keys, one of which is swept. Both are polled. The CPU time of the other is
/// what the sweep does not cause.
struct Pair {
    swept: RedisServer,
    quiet: RedisServer,
}

impl Pair {
    fn start(write: impl Fn(&RedisServer)) -> Self {
        let start = || {
            let server = RedisServer::start(&[]);
            write(&server);
            server
        };
        Self {
            swept: start(),
            quiet: start(),
        }
    }

    /// Checks that the sweep uses much of the share of CPU time that it may use once the first keys are
    /// done, and not more. Returns the number of key names in the reply to one SCAN.
    fn share_is_kept(&self, settings: &str, period: Duration, most: f64) -> f64 {
        let exporter = sweep::launch(&self.swept, settings, NAMESPACES).start();
        let _polled = sweep::launch(&self.quiet, "enabled: false", NAMESPACES).start();
        exporter.until("the first keys", |page| {
            page.get("redis_exporter_sweep_keys_visited_total", &[])
                .is_some_and(|visited| visited > 12_000.0)
        });
        let servers = [&self.swept, &self.quiet];
        let began = Instant::now();
        loop {
            let (started, before) = (Instant::now(), servers.map(cpu_seconds));
            let (scans, keys) = (calls(&self.swept)[0], visited(&exporter));
            std::thread::sleep(period);
            let (keys, scans) = (visited(&exporter) - keys, calls(&self.swept)[0] - scans);
            let after = servers.map(cpu_seconds);
            let seconds = started.elapsed().as_secs_f64();
            let used = (after[0] - before[0]) - (after[1] - before[1]);
            let ratio = used / seconds / most;
            println!("{ratio:.2} of the share {most}, {scans} SCANs, {keys} keys");
            assert!(ratio <= USED_MAX, "{ratio} of the share {most}");
            if ratio >= USED_MIN {
                return keys / scans;
            }
            assert!(began.elapsed() < LONG, "{ratio} of the share {most}");
        }
    }
}

#[test]
fn sweep_stays_within_its_cpu_share() {
    let servers = Pair::start(|server| keys::write(server, 0, 200_000, FIVE_KINDS));
    for (setting, share) in [("1%", 0.01), ("5%", 0.05)] {
        let settings = format!("cpu_share: {setting}, count: 100, min_pass_interval: 1s");
        let keys = servers.share_is_kept(&settings, Duration::from_secs(5), share);
        // COUNT is 100, or 50 where the machine is slow. The page may be a second old.
        assert!((25.0..=160.0).contains(&keys), "{keys} keys in a SCAN");
    }
}

#[test]
fn sweep_of_a_sparse_table_stays_within_its_cpu_share() {
    let servers = Pair::start(|server| {
        keys::write(server, 0, 260_000, "call('SET', 'session:' .. i, 1)");
        // Redis 7.0 does not shrink a table while more than a tenth of its buckets are in use.
        let each = "if i % 4 > 0 then call('DEL', 'session:' .. i) end";
        keys::write(server, 0, 260_000, each);
    });
    let settings = "cpu_share: 2%, min_pass_interval: 1s";
    servers.share_is_kept(settings, Duration::from_secs(4), 0.02);
}

#[test]
fn sweep_stays_within_keys_per_second() {
    const MOST: f64 = 5_000.0;
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    let settings = "cpu_share: 50%, keys_per_second: 4000, first_keys: 0";
    let launched = Instant::now();
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    exporter.until("an estimate", |page| {
        page.0.contains("redis_key_namespace_keys{")
    });
    // Pages are late, above all on a busy machine, so that speeds between two of them may be too high.
    let mut last = (Instant::now(), visited(&exporter));
    loop {
        std::thread::sleep(Duration::from_secs(4));
        let keys = visited(&exporter);
        let seconds = launched.elapsed().as_secs_f64();
        assert!(keys <= MOST * seconds, "{keys} keys in {seconds} s");
        let speed = (keys - last.1) / last.0.elapsed().as_secs_f64();
        // A busy machine makes it slower.
        if seconds > 8.0 && speed >= 2_000.0 {
            return;
        }
        assert!(launched.elapsed() < LONG, "{speed} keys a second");
        last = (Instant::now(), keys);
    }
}

#[test]
fn sweep_adds_no_errors() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 10_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, sweep::FULL_SPEED, "").start();
    sweep::more_passes(&exporter, 3.0);
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
    assert_eq!(server.info("errorstat_ERR"), None);
}

#[test]
fn all_lookups_of_the_sweep_are_counted() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 20_000, FIVE_KINDS);
    for _ in 0..25 {
        server.ask(&["GET", "session:5"]);
        server.ask(&["GET", "nowhere"]);
    }
    let exporter = sweep::launch(
        &server,
        "cpu_share: 100%, min_pass_interval: 1h",
        NAMESPACES,
    )
    .start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    let induced = |result| {
        page.value(
            "redis_exporter_sweep_induced_lookups_total",
            &[("result", result)],
        )
    };
    assert_eq!(number_of(&server, "keyspace_hits") - induced("hit"), 25.0);
    assert_eq!(
        number_of(&server, "keyspace_misses") - induced("miss"),
        25.0
    );
}

#[test]
fn quiet_server_receives_few_commands_by_default() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 100_000, FIVE_KINDS);
    let text = format!(
        "poll: {{ interval: 5s, timeout: 5s }}\nsweep: {{ max_latency: 10s }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    );
    let exporter = Launch::configured(&text).start();
    exporter.until("the first estimate", |page| {
        page.0.contains("redis_key_namespace_memory_bytes{")
    });
    exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited >= 10_000.0)
    });
    let at_the_start: f64 = calls(&server).iter().sum();
    assert!(at_the_start < 4_000.0, "{at_the_start} commands");
    // Writing the keys was traffic.
    let page = exporter.until("the budget of a quiet server", |page| {
        page.get("redis_exporter_sweep_commands_per_second_max", &[]) <= Some(60.0)
    });
    let budget = page.value("redis_exporter_sweep_commands_per_second_max", &[]);
    assert!(budget >= 50.0, "{budget}");
    let processed = || number_of(&server, "total_commands_processed");
    let began = Instant::now();
    loop {
        let (started, before) = (Instant::now(), processed());
        std::thread::sleep(Duration::from_secs(6));
        let rate = (processed() - before) / started.elapsed().as_secs_f64();
        // The poll and the sweep's checks of the server send commands beyond the budget.
        assert!(rate < budget * 1.6, "{rate} commands a second");
        // A busy machine makes it slower.
        if rate > budget * 0.3 {
            break;
        }
        assert!(began.elapsed() < LONG, "{rate} commands a second");
    }
    let limit = [("reason", "commands_per_second")];
    exporter.until("the reason", |page| {
        page.get("redis_exporter_sweep_limited", &limit) == Some(1.0)
    });
}

fn number_of(server: &RedisServer, field: &str) -> f64 {
    server.info(field).unwrap().parse().unwrap()
}
