//! Startup and startup errors.

use std::net::TcpListener;

use crate::support::{Exporter, Launch, RedisServer};

fn nothing_listens(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[test]
fn all_problems_are_reported_and_no_port_is_opened() {
    let finished = Launch::configured(
        "listn: 0.0.0.0:1\n\
         legacy_names: true\n\
         legacy_names: true\n\
         poll: { interval: 15, timeout: 3 bananas }\n\
         log: { level: loud, format: text }\n\
         targets:\n\
         - { name: a, url: 'redis://h:1', memory_limit: 1 parsec, password_file: /nowhere/secret }\n\
         - { name: a, url: 'gopher://h:1' }\n\
         - { name: b, collectors: { slowlgo: true } }\n\
         - { name: c, url: '${UNSET_VARIABLE}' }\n\
         namespaces: [{ name: n, regex: '(' }]\n",
    )
    .run();
    assert_eq!(finished.code(), 78, "{}", finished.stderr);
    for part in [
        "listn",
        "legacy_names",
        "poll.interval",
        "poll.timeout",
        "log.level",
        "targets[0].memory_limit",
        "targets[0].password_file",
        "targets[1].url",
        "targets[1]: has the name of an earlier target",
        "targets[2]: has no `url`",
        "slowlgo",
        "UNSET_VARIABLE",
        "namespaces[0].regex",
    ] {
        assert!(
            finished.stderr.contains(part),
            "{part} is not in {}",
            finished.stderr
        );
    }
    let position = |line: &str| {
        let (_, place) = line.split_once("config.yaml:")?;
        let mut numbers = place.split(':').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let positions: Vec<_> = finished.stderr.lines().map(position).collect();
    assert!(
        positions.iter().all(Option::is_some) && positions.is_sorted(),
        "not in the order of the file: {}",
        finished.stderr
    );
    for line in finished.stderr.lines() {
        assert!(line.contains("; "), "no remedy: {line}");
    }
    assert!(finished.stdout.is_empty(), "{}", finished.stdout);
    assert!(nothing_listens(finished.port));
}

#[test]
fn unreadable_file_error_is_one_sentence() {
    let finished = Launch::new().flag("--config=/nowhere/config.yaml").run();
    assert_eq!(finished.code(), 78);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("/nowhere/config.yaml"),
        "{}",
        finished.stderr
    );
}

#[test]
fn invalid_variables_are_configuration_errors() {
    let finished = Launch::new()
        .variable("REDIS_EXPORTER_POLL_INTERVAL", "15")
        .variable("REDIS_EXPORTER_LOG_LEVEL", "loud")
        .run();
    assert_eq!(finished.code(), 78);
    for part in ["REDIS_EXPORTER_POLL_INTERVAL", "REDIS_EXPORTER_LOG_LEVEL"] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
}

#[test]
fn invalid_flag_exits_with_64() {
    for flag in [
        "--colour=red",
        "--poll.interval=15",
        "--redis.addr=gopher://h",
        "chekc",
    ] {
        let finished = Launch::new().flag(flag).run();
        assert_eq!(finished.code(), 64, "{flag}");
        assert!(
            finished.stderr.contains(flag.split('=').next().unwrap()),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn port_in_use_error_is_one_sentence() {
    let server = RedisServer::start(&[]);
    let first = Exporter::of(&server);
    let address = format!("127.0.0.1:{}", first.port);
    let finished = Launch::configured(&format!("listen: {address}\n"))
        .without_listen_flag()
        .run();
    assert_eq!(finished.code(), 1);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    for part in [&address, "--web.listen-address"] {
        assert!(finished.stderr.contains(part), "{}", finished.stderr);
    }
    assert!(first.page().is_up());
}

#[test]
fn flags_override_variables_and_both_override_the_file() {
    let servers = [RedisServer::start(&[]), RedisServer::start(&[])];
    let exporter =
        Launch::configured("poll: { interval: 1h }\nlog: { format: text, level: error }\n")
            .variable("REDIS_URL", &servers[0].url())
            .variable("REDIS_EXPORTER_POLL_INTERVAL", "1h")
            .variable("REDIS_EXPORTER_LOG_FORMAT", "json")
            .variable("REDIS_EXPORTER_LOG_LEVEL", "info")
            .flag(&format!("--redis.addr={}", servers[1].url()))
            .flag("--poll.interval=300ms")
            .flag("--target-label")
            .start();
    let page = exporter.polls(3);
    page.value("redis_up", &[("target", &servers[1].address())]);
    assert_eq!(page.all("redis_up", &[]).len(), 1);
    let log = exporter.log();
    assert!(
        log.lines()
            .all(|line| line.starts_with('{') && line.ends_with('}')),
        "{log}"
    );
    assert!(log.contains("the server is up"), "{log}");
}

#[test]
fn help_and_version_are_printed_without_errors() {
    for (flag, part) in [
        ("--help", "--poll.interval"),
        ("--version", env!("CARGO_PKG_VERSION")),
    ] {
        let finished = Launch::new().flag(flag).run();
        assert_eq!(finished.code(), 0);
        assert!(finished.stdout.contains(part) && finished.stderr.is_empty());
    }
}
