//! Server time that a sweep uses, from the statistics of the server.

use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, NAMESPACES, passes};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer};

const COMMANDS: [&str; 4] = ["scan", "memory|usage", "pttl", "type"];

/// Number of parts of a period. The cost of a command is measured in each.
const PARTS: u32 = 6;

/// Minimum share of the budget that the commands use. commandstats does not include the protocol,
/// which takes more time than short commands on newer servers and counts for the budget too.
const USED_MIN: f64 = 0.1;

/// Minimum number of calls from which the cost of one is measured.
const CALLS_MIN: f64 = 5.0;

/// Returns the calls of each command and their microseconds, as the server counts them.
fn counted(server: &RedisServer) -> [[f64; 2]; 4] {
    let stats = server.ask(&["INFO", "commandstats"]);
    COMMANDS.map(|command| {
        let name = format!("cmdstat_{command}:");
        let mut lines = stats.lines();
        let record = lines.find_map(|line| line.strip_prefix(&name));
        ["calls=", "usec="].map(|name| {
            let mut pairs = record.unwrap_or_default().split(',');
            let value = pairs.find_map(|pair| pair.strip_prefix(name));
            value.map_or(0.0, |value| value.parse().unwrap())
        })
    })
}

/// Measurements of the sweep at the server.
struct Seen {
    /// Shortest mean time of a call of each command, in microseconds. The server measures elapsed
    /// time, so most calls take longer than they cost on a busy machine.
    costs: [f64; 4],
    /// Key names in the reply to one SCAN.
    keys_per_scan: f64,
}

fn visited(exporter: &Exporter) -> f64 {
    let page = exporter.page();
    let visited = page.get("redis_exporter_sweep_keys_visited_total", &[]);
    visited.unwrap_or(0.0)
}

/// Returns the share of server time that the calls of a period cost.
fn spent_over(server: &RedisServer, exporter: &Exporter, period: Duration, seen: &mut Seen) -> f64 {
    let (started, first, keys) = (Instant::now(), counted(server), visited(exporter));
    let mut last = first;
    for _ in 0..PARTS {
        std::thread::sleep(period / PARTS);
        let now = counted(server);
        for (cost, (now, last)) in seen.costs.iter_mut().zip(now.iter().zip(&last)) {
            let (calls, microseconds) = (now[0] - last[0], now[1] - last[1]);
            if calls >= CALLS_MIN {
                *cost = cost.min(microseconds / calls);
            }
        }
        last = now;
    }
    let seconds = started.elapsed().as_secs_f64();
    let calls = [0, 1, 2, 3].map(|at| last[at][0] - first[at][0]);
    seen.keys_per_scan = (visited(exporter) - keys) / calls[0];
    // Commands with few calls have no cost.
    let costd = calls.iter().zip(&seen.costs);
    let costd = costd.filter(|(_, cost)| cost.is_finite());
    costd.map(|(calls, cost)| calls * cost).sum::<f64>() / 1e6 / seconds
}

/// Waits until the sweep uses much of the share that it may use once the first keys are done. It
/// never uses more.
fn share_is_kept(server: &RedisServer, exporter: &Exporter, period: Duration, most: f64) -> Seen {
    exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited > 12_000.0)
    });
    let mut seen = Seen {
        costs: [f64::INFINITY; 4],
        keys_per_scan: 0.0,
    };
    let started = Instant::now();
    loop {
        let share = spent_over(server, exporter, period, &mut seen);
        let ratio = share / most;
        assert!(ratio <= 1.5, "{ratio} of the share {most}");
        if ratio >= USED_MIN {
            return seen;
        }
        assert!(started.elapsed() < LONG, "{ratio} of the share {most}");
    }
}

#[test]
fn sweep_stays_within_its_cpu_share() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 200_000, FIVE_KINDS);
    for (setting, wanted) in [("1%", 0.01), ("5%", 0.05)] {
        let settings = format!("cpu_share: {setting}, count: 100, min_pass_interval: 1s");
        let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
        let seen = share_is_kept(&server, &exporter, Duration::from_secs(3), wanted);
        // COUNT is 100, or 50 where the machine is slow. The page may be a second old.
        let keys = seen.keys_per_scan;
        assert!((25.0..=160.0).contains(&keys), "{keys} keys in a SCAN");
    }
}

#[test]
fn sweep_of_a_sparse_table_stays_within_its_cpu_share() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 260_000, "call('SET', 'session:' .. i, 1)");
    // Redis 7.0 does not shrink a table while more than a tenth of its buckets are in use.
    keys::write(
        &server,
        0,
        260_000,
        "if i % 4 > 0 then call('DEL', 'session:' .. i) end",
    );
    let exporter =
        sweep::launch(&server, "cpu_share: 2%, min_pass_interval: 1s", NAMESPACES).start();
    share_is_kept(&server, &exporter, Duration::from_secs(2), 0.02);
}

#[test]
fn sweep_stays_within_keys_per_second() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    let settings = "cpu_share: 50%, keys_per_second: 4000, first_keys: 0";
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    exporter.until("an estimate", |page| {
        page.0.contains("redis_key_namespace_keys{")
    });
    let began = Instant::now();
    loop {
        let (started, before) = (Instant::now(), visited(&exporter));
        std::thread::sleep(Duration::from_secs(4));
        let speed = (visited(&exporter) - before) / started.elapsed().as_secs_f64();
        assert!(speed <= 5_000.0, "{speed} keys a second");
        // A busy machine makes it slower.
        if speed >= 2_000.0 {
            return;
        }
        assert!(began.elapsed() < LONG, "{speed} keys a second");
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
    let at_the_start: f64 = counted(&server).iter().map(|[calls, _]| calls).sum();
    assert!(at_the_start < 4_000.0, "{at_the_start} commands");
    // Writing the keys was traffic.
    let page = exporter.until("the budget of a quiet server", |page| {
        page.get("redis_exporter_sweep_commands_per_second_max", &[]) <= Some(60.0)
    });
    let budget = page.value("redis_exporter_sweep_commands_per_second_max", &[]);
    assert!(budget >= 50.0, "{budget}");
    let processed = || number_of(&server, "total_commands_processed");
    let (started, before) = (Instant::now(), processed());
    std::thread::sleep(Duration::from_secs(6));
    let rate = (processed() - before) / started.elapsed().as_secs_f64();
    // The poll and the sweep's checks of the server send commands beyond the budget.
    assert!(rate < budget * 1.6, "{rate} commands a second");
    assert!(rate > budget * 0.3, "{rate} commands a second");
    let limit = [("reason", "commands_per_second")];
    exporter.until("the reason", |page| {
        page.get("redis_exporter_sweep_limited", &limit) == Some(1.0)
    });
}

fn number_of(server: &RedisServer, field: &str) -> f64 {
    server.info(field).unwrap().parse().unwrap()
}
