//! Contents and formats of the log.

use std::time::Duration;

use crate::support::{Exporter, Launch, Page, RedisServer, until, wait::LONG};

const EVERY_PASS: &str = "sweep: { min_pass_interval: 200ms }\n";

/// Waits for this many log lines with this text and returns them.
fn lines(exporter: &Exporter, text: &str, least: usize) -> Vec<String> {
    let found = || -> Vec<String> {
        let log = exporter.log();
        let lines = log.lines().filter(|line| line.contains(text));
        lines.map(ToOwned::to_owned).collect()
    };
    until(LONG, text, || (found().len() >= least).then_some(()));
    found()
}

fn configured(server: &RedisServer, more: &str) -> Launch {
    let url = server.url();
    Launch::configured(&format!(
        "poll: {{ interval: 300ms }}\ntargets: [{{ name: 'é cache', url: '{url}' }}]\n{more}"
    ))
}

#[test]
fn text_log_is_logfmt_in_ascii() {
    let server = RedisServer::start(&[]);
    let exporter = configured(&server, EVERY_PASS)
        .flag("--log-level=debug")
        .start();
    lines(&exporter, "msg=\"poll finished\"", 2);
    let log = exporter.log();
    for line in log.lines() {
        assert!(line.starts_with("ts=2"), "{line}");
        assert!(line.contains(" level=") && line.contains(" msg="), "{line}");
        assert!(line.is_ascii(), "{line}");
    }
    assert!(log.contains(" name=\"\\u00e9 cache\" "), "{log}");
}

#[test]
fn debug_log_has_a_line_for_each_poll() {
    let server = RedisServer::start(&[]);
    let exporter = configured(&server, "").flag("--log-level=debug").start();
    exporter.polls(4);
    let logged = lines(&exporter, "level=debug msg=\"poll finished\"", 5);
    assert!(
        logged[0].contains(" seconds=") && logged[0].contains(" samples="),
        "{logged:?}"
    );
}

#[test]
fn outage_end_is_logged_with_its_duration() {
    let mut server = RedisServer::start(&[]);
    let exporter = configured(&server, "").start();
    server.kill();
    exporter.until("an outage", |page| page.get("redis_up", &[]) == Some(0.0));
    std::thread::sleep(Duration::from_millis(1200));
    server.restart(&[]);
    exporter.until("the end of the outage", Page::is_up);
    let ended = lines(&exporter, "msg=\"the server is up again\"", 1);
    lines(&exporter, "msg=\"the poll failed\"", 1);
    assert_eq!(ended.len(), 1, "{ended:?}");
    let (_, seconds) = ended[0].split_once("outage_seconds=").unwrap();
    let seconds: f64 = seconds.split(' ').next().unwrap().parse().unwrap();
    assert!(seconds > 1.2, "{ended:?}");
    assert!(ended[0].contains("failed_polls="), "{ended:?}");
}

#[test]
fn configuration_is_read_from_standard_input_once() {
    let server = RedisServer::start(&[]);
    let text = format!(
        "sweep: {{ enabled: false }}\ntargets: [{{ name: piped, url: '{}' }}]\n",
        server.url()
    );
    let exporter = Launch::new().input(&text).flag("--config=-").start();
    let up = |page: &Page| page.get("redis_up", &[("target", "piped")]) == Some(1.0);
    assert!(up(&exporter.page()), "{}", exporter.log());
    let response = exporter.reload();
    assert_eq!(response.status, 500);
    assert!(
        response.text().contains("standard input"),
        "{}",
        response.text()
    );
    assert!(up(&exporter.page()));
    let finished = Launch::new().input("listn: 1\n").flag("--config=-").run();
    assert_eq!(finished.code(), 78);
    assert!(
        finished.stderr.starts_with("standard input:1:1: "),
        "{}",
        finished.stderr
    );
}

#[test]
fn check_warns_about_suspicious_namespaces() {
    let server = RedisServer::start(&[]);
    let text = format!(
        "targets: [{{ url: '{}' }}]\nnamespaces:\n- {{ name: api, match: 'api:*' }}\n\
         - {{ name: api-cache, match: 'api:cache:*' }}\n- {{ name: session, match: 'session:' }}\n",
        server.url()
    );
    let finished = Launch::configured(&text).flag("check").run();
    assert_eq!(finished.code(), 0, "{}", finished.stdout);
    for expected in [
        "warning: namespace `api-cache` stays empty",
        "warning: namespace `session` matches one name only",
    ] {
        assert!(finished.stdout.contains(expected), "{}", finished.stdout);
    }
}

#[test]
fn only_the_first_pass_is_logged_by_default() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "session:1", "x"]);
    let exporter = configured(&server, EVERY_PASS).start();
    exporter.until("three passes", |page| {
        page.get("redis_exporter_sweep_passes_total", &[]) >= Some(3.0)
    });
    let passes = lines(&exporter, "pass finished", 1);
    assert_eq!(passes.len(), 1, "{passes:?}");
    assert!(
        passes[0].contains("level=info msg=\"first pass finished\""),
        "{passes:?}"
    );
    assert!(passes[0].contains(" keys=1 seconds="), "{passes:?}");
    assert!(!exporter.log().contains("poll finished"));
}

#[test]
fn debug_log_has_a_line_for_each_pass() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "session:1", "x"]);
    let exporter = configured(&server, EVERY_PASS)
        .flag("--log-level=debug")
        .start();
    lines(&exporter, "level=debug msg=\"pass finished\"", 2);
    assert_eq!(lines(&exporter, "msg=\"first pass finished\"", 1).len(), 1);
}
