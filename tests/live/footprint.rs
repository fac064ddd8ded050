//! Traces of the exporter on a server: commands, connections, errors, lookups.

use std::collections::BTreeSet;

use crate::support::redis::Client;
use crate::support::server::Server;
use crate::support::{Exporter, Launch, Page, RedisServer};

fn often(server: &RedisServer, user: &str) -> Launch {
    Launch::new()
        .flag(&format!("--redis.addr=redis://{user}{}", server.address()))
        .flag("--poll.interval=300ms")
}

fn error_replies(server: &RedisServer) -> String {
    server.info("total_error_replies").unwrap()
}

#[test]
fn ten_polls_add_no_errors_lookups_or_keys() {
    let server = RedisServer::start(&[]);
    let fields = [
        "total_error_replies",
        "keyspace_hits",
        "keyspace_misses",
        "unexpected_error_replies",
    ];
    let before = fields.map(|field| server.info(field).unwrap());
    assert_eq!(before[0], "0");
    let exporter = often(&server, "").start();
    exporter.polls(10);
    assert_eq!(fields.map(|field| server.info(field).unwrap()), before);
    assert_eq!(server.info("errorstat_ERR"), None);
    assert_eq!(server.ask(&["DBSIZE"]), "0");
}

#[test]
fn restricted_user_adds_no_errors_after_the_first_poll() {
    let server = RedisServer::start(&[]);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">secret", "+ping", "+info",
    ]);
    let exporter = often(&server, "watcher:secret@").start();
    exporter.until("the server", Page::is_up);
    let after_first = error_replies(&server);
    assert_ne!(after_first, "0");
    exporter.polls(10);
    assert_eq!(error_replies(&server), after_first);
}

#[test]
fn ten_polls_send_ten_times_the_expected_commands() {
    let server = RedisServer::start(&[]);
    // Valkey itself has called some commands already.
    let configs = calls(&server, "config|get");
    let mut monitor = Client::connect(server.port).unwrap();
    monitor.ask(&["MONITOR"]);
    let exporter = often(&server, "").start();
    exporter.polls(9);
    drop(exporter);
    server.ask(&["SET", "the", "end"]);
    let mut lines = Vec::new();
    loop {
        let line = monitor.reply().unwrap().unwrap();
        if line.contains("\"the\" \"end\"") {
            break;
        }
        lines.push(line);
    }
    let of = |line: &String| {
        let (source, command) = line.split_once("] ").unwrap();
        (
            source.rsplit(' ').next().unwrap().to_owned(),
            command.replace('"', ""),
        )
    };
    let (sources, commands): (BTreeSet<String>, Vec<String>) = lines.iter().map(of).unzip();
    assert_eq!(sources.len(), 1, "one connection: {lines:?}");
    assert_eq!(commands[0], "CLIENT SETNAME redis-namespace-exporter");
    let count = |wanted: &str| commands.iter().filter(|command| *command == wanted).count();
    let most_of_info = "INFO default modules commandstats tls cluster_info scriptingengines";
    // Percentiles are queried once a minute, and after commands that are new to the server.
    let whole = count("INFO everything");
    assert!((1..=3).contains(&whole), "{whole} whole INFOs");
    let polls = whole + count(most_of_info);
    assert!((10..=12).contains(&polls), "{polls} polls");
    let expected = [
        ("CLIENT SETNAME redis-namespace-exporter", 1..=1),
        ("PING", polls..=2 * polls),
        ("INFO everything", whole..=whole),
        (most_of_info, polls - whole..=polls - whole),
    ];
    for (command, times) in &expected {
        assert!(
            times.contains(&count(command)),
            "{command}: {} in {polls}",
            count(command)
        );
    }
    let known: BTreeSet<&str> = expected.iter().map(|(command, _)| *command).collect();
    let strange: Vec<_> = commands
        .iter()
        .filter(|one| !known.contains(one.as_str()))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
    // MONITOR does not show administrative commands.
    let command_log = Server::selected().has_command_log();
    for (command, each_poll) in [
        ("config|get", if command_log { 2 } else { 1 }),
        ("slowlog|len", 1),
        ("slowlog|get", 1),
        ("latency|latest", 1),
        ("latency|histogram", 1),
    ] {
        let own = if command == "config|get" { configs } else { 0 };
        let calls = calls(&server, command) - own;
        let times = each_poll * (polls - 1)..=each_poll * polls;
        assert!(
            times.contains(&calls),
            "{command}: {calls} in {polls} polls"
        );
    }
}

fn calls(server: &RedisServer, command: &str) -> usize {
    let Some(line) = server.info(&format!("cmdstat_{command}")) else {
        return 0;
    };
    let calls = line.strip_prefix("calls=").unwrap();
    calls.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn scrapes_send_nothing_to_the_server() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=1h")
        .start();
    exporter.until("the server", Page::is_up);
    let commands = || {
        server
            .info("total_commands_processed")
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let before = commands();
    for path in [
        "/metrics",
        "/",
        "/health",
        "/-/ready",
        "/probe?target=",
        "/scrape?target=",
    ] {
        for _ in 0..20 {
            let path = if path.ends_with('=') {
                format!("{path}{}", server.address())
            } else {
                path.to_owned()
            };
            assert_eq!(exporter.get(&path).status, 200);
        }
    }
    assert_eq!(commands(), before + 1, "INFO itself is the only command");
}

#[test]
fn targets_on_one_server_have_separate_connections() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\ntargets:\n- {{ name: a, url: '{0}' }}\n- {{ name: b, url: '{0}' }}\n",
        server.url()
    ))
    .start();
    exporter.polls_of("a", 3);
    assert_eq!(server.exporter_connections().len(), 2);
}

#[test]
fn repeated_reconnects_leave_one_connection() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    for number in 2..6 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        exporter.until("another connection", |page| {
            page.value("redis_exporter_connects_total", &[]) >= f64::from(number) && page.is_up()
        });
        assert_eq!(server.exporter_connections().len(), 1);
    }
}

#[test]
fn loading_server_counts_one_error_per_connection() {
    let mut server = RedisServer::start(&["--enable-debug-command", "yes"]);
    // They take 10 s to load.
    server.ask(&["DEBUG", "POPULATE", "10000", "key", "100"]);
    server.ask(&["SAVE"]);
    let slowly = [
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    server.restart(&slowly);
    let mut witness = Client::connect(server.port).unwrap();
    let errors = |witness: &mut Client| {
        let info = witness.ask(&["INFO", "errorstats"]);
        let count = info
            .lines()
            .find_map(|line| line.strip_prefix("errorstat_LOADING:count="));
        count.map_or(0, |count| count.parse::<u32>().unwrap())
    };
    let before = errors(&mut witness);
    let exporter = often(&server, "").start();
    exporter.polls(5);
    // On a busy machine, a poll may have timed out.
    let page = exporter.until("a poll", |page| {
        page.get("redis_loading_dump_file", &[]).is_some()
    });
    assert_eq!(
        page.value("redis_loading_dump_file", &[]),
        1.0,
        "the server loaded too fast"
    );
    assert!(
        page.get("redis_exporter_last_scrape_ping_time_seconds", &[])
            .is_none()
    );
    // On a busy machine, a connection may have timed out.
    let one_for_each = |page: &Page, errors: u32| {
        let connects = page.value("redis_exporter_connects_total", &[]);
        assert_eq!(
            f64::from(errors - before),
            connects,
            "errors and connections"
        );
    };
    one_for_each(&page, errors(&mut witness));
    let page = exporter.until("a PING", |page| {
        page.get("redis_exporter_last_scrape_ping_time_seconds", &[])
            .is_some()
    });
    one_for_each(&page, errors(&mut witness));
}

#[test]
fn stale_replica_counts_one_error_per_connection() {
    let port = crate::support::port::free().to_string();
    let replica = RedisServer::start(&[
        "--replicaof",
        "127.0.0.1",
        &port,
        "--replica-serve-stale-data",
        "no",
    ]);
    let exporter = often(&replica, "").start();
    let page = exporter.until("the replica", Page::is_up);
    assert_eq!(page.value("redis_master_link_up", &[]), 0.0);
    let before = error_replies(&replica);
    exporter.polls(5);
    assert_eq!(error_replies(&replica), before);
    let failed = exporter
        .page()
        .label_values("redis_exporter_collector_success", "collector", 0.0);
    assert!(failed.is_empty(), "{failed:?}");
    replica.ask(&["REPLICAOF", "NO", "ONE"]);
    exporter.until("a PING", |page| {
        page.get("redis_exporter_last_scrape_ping_time_seconds", &[])
            .is_some()
    });
}

#[test]
fn renamed_command_is_sent_once_per_connection() {
    let server = RedisServer::start(&[
        "--rename-command",
        "CONFIG",
        "",
        "--rename-command",
        "SLOWLOG",
        "",
    ]);
    let exporter = often(&server, "").start();
    let page = exporter.until("the server", Page::is_up);
    let failed = page.label_values("redis_exporter_collector_success", "collector", 0.0);
    // The COMMANDLOG collector reads its limits with CONFIG.
    let command_log = Server::selected().has_command_log();
    let expected = ["commandlog", "config", "slowlog"];
    assert_eq!(failed, expected[usize::from(!command_log)..]);
    let before = error_replies(&server);
    exporter.polls(5);
    assert_eq!(error_replies(&server), before);
}
