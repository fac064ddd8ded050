//! What a walk takes of the server's time, by the server's own account.

use std::time::{Duration, Instant};

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, NAMESPACES, in_record, passes};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, RedisServer};

const COMMANDS: [&str; 4] = ["scan", "memory|usage", "pttl", "type"];

/// Seconds that the server has spent on the commands of a walk.
fn spent(server: &RedisServer) -> f64 {
    let microseconds = |command: &&str| in_record(server, &format!("cmdstat_{command}"), "usec");
    COMMANDS.iter().map(microseconds).sum::<f64>() / 1e6
}

/// The share of a second that the server spends on the walk once the first keys are done, and how
/// long it takes for a SCAN, in microseconds.
fn spent_over(server: &RedisServer, exporter: &Exporter, stretch: Duration) -> (f64, f64) {
    exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited > 12_000.0)
    });
    let scan = |name| in_record(server, "cmdstat_scan", name);
    let (started, before) = (Instant::now(), spent(server));
    let (calls, microseconds) = (scan("calls"), scan("usec"));
    std::thread::sleep(stretch);
    let share = (spent(server) - before) / started.elapsed().as_secs_f64();
    (
        share,
        (scan("usec") - microseconds) / (scan("calls") - calls),
    )
}

/// Waits until the sweep uses much of the share that it may use. It never uses more. Returns how
/// long the fastest of the SCANs took, in microseconds: a busy machine makes all of them slower.
fn share_is_kept(server: &RedisServer, exporter: &Exporter, stretch: Duration, most: f64) -> f64 {
    let mut fastest = f64::MAX;
    let started = Instant::now();
    loop {
        let (share, scan) = spent_over(server, exporter, stretch);
        let ratio = share / most;
        fastest = fastest.min(scan);
        assert!(ratio <= 1.5, "{ratio} of the share {most}");
        if ratio >= 0.3 {
            return fastest;
        }
        assert!(started.elapsed() < LONG, "{ratio} of the share {most}");
    }
}

#[test]
fn the_share_of_a_core_is_kept() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 200_000, FIVE_KINDS);
    for (setting, wanted) in [("1%", 0.01), ("5%", 0.05)] {
        let settings = format!("cpu_share: {setting}, count: 100, min_pass_interval: 1s");
        let exporter = sweep::launch(&server, &settings, NAMESPACES).start();
        let scan = share_is_kept(&server, &exporter, Duration::from_secs(3), wanted);
        // COUNT 1000 would take some 500 µs; 100 takes about 60 where nothing else runs.
        assert!(scan < 200.0, "a SCAN takes {scan} µs");
    }
}

#[test]
fn a_sparse_table_is_walked_within_the_share_too() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 260_000, "call('SET', 'session:' .. i, 1)");
    // Above a tenth of the buckets Redis 7.0 keeps a table as large as it was.
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
fn the_most_keys_in_a_second_are_kept() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 50_000, FIVE_KINDS);
    let settings = "cpu_share: 50%, keys_per_second: 4000, first_keys: 0";
    let exporter = sweep::launch(&server, settings, NAMESPACES).start();
    let visited = || {
        exporter
            .page()
            .value("redis_exporter_sweep_keys_visited_total", &[])
    };
    exporter.until("an estimate", |page| {
        page.0.contains("redis_key_namespace_keys{")
    });
    let (started, before) = (Instant::now(), visited());
    std::thread::sleep(Duration::from_secs(4));
    let speed = (visited() - before) / started.elapsed().as_secs_f64();
    assert!(
        (2_000.0..=5_000.0).contains(&speed),
        "{speed} keys a second"
    );
}

#[test]
fn a_walk_adds_no_errors() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 10_000, FIVE_KINDS);
    let exporter = sweep::launch(&server, sweep::FULL_SPEED, "").start();
    sweep::more_passes(&exporter, 3.0);
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
    assert_eq!(server.info("errorstat_ERR"), None);
}

#[test]
fn the_lookups_that_a_walk_causes_are_all_counted() {
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
fn a_quiet_server_is_sent_few_commands_by_default() {
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
    let page = exporter.until("the first keys", |page| {
        page.get("redis_exporter_sweep_keys_visited_total", &[])
            .is_some_and(|visited| visited >= 10_000.0)
    });
    let at_the_start = page.value("redis_exporter_sweep_server_seconds_total", &[]);
    assert!(at_the_start < 0.1, "{at_the_start} s of the server");
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
    // The poll, and what the sweep asks about the server, come on top.
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
