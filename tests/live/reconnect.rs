//! Idle connections that break cause no outage, neither for the poll nor for the sweep.

use std::time::Duration;

use crate::support::cutter::{Cutter, End};
use crate::support::keys::{self, FIVE_KINDS};
use crate::support::proxy::Proxy;
use crate::support::sweep::{NAMESPACES, of, passes};
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// Enough for dozens of polls on a slow machine.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// Starts an exporter that polls every four seconds, pings between polls, and sweeps once a second.
fn launch(url: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 4s, timeout: 2500ms }}\n\
         sweep: {{ enabled: true, cpu_share: 50%, min_pass_interval: 1s }}\n{NAMESPACES}\
         targets:\n- {{ name: cache, url: '{url}' }}\n"
    ))
    .start()
}

fn failures(page: &Page) -> f64 {
    page.all("redis_exporter_poll_failures_total", &[])
        .iter()
        .sum()
}

fn reconnects(page: &Page, causes: &[&str]) -> f64 {
    let of = |cause: &&str| page.value("redis_exporter_reconnects_total", &[("cause", cause)]);
    causes.iter().map(of).sum()
}

/// Returns the lines of a page that help to explain a failure.
fn samples(page: &Page) -> String {
    let names = [
        "redis_up",
        "redis_exporter_poll",
        "redis_exporter_reconnects",
        "redis_exporter_sweep",
        "redis_key_namespace_keys",
    ];
    let lines = page.0.lines();
    let wanted = lines.filter(|line| names.iter().any(|name| line.starts_with(name)));
    wanted.collect::<Vec<_>>().join("\n")
}

/// Waits for this many reconnects with these causes. No poll may fail in the meantime.
fn stays_up(exporter: &Exporter, causes: &[&str], count: f64) -> Page {
    let page = exporter.until("the server", Page::is_up);
    let before = reconnects(&page, causes);
    let page = until(PATIENCE, "reconnects", || {
        let page = exporter.page();
        let text = samples(&page);
        assert!(page.is_up(), "{text}\n{}", exporter.log());
        assert_eq!(failures(&page), 0.0, "{text}\n{}", exporter.log());
        (reconnects(&page, causes) >= before + count).then_some(page)
    });
    let log = exporter.log();
    assert!(
        !log.contains("broke off") && !log.contains("panicked") && !log.contains("failed"),
        "{log}"
    );
    page
}

/// Checks that nothing fails while idle connections end in this way again and again.
fn survives(end: End, causes: &[&str]) {
    let server = RedisServer::start(&["--databases", "4"]);
    keys::write(&server, 0, 500, FIVE_KINDS);
    // These keys are in another database, so the sweep must select it again on a new connection.
    keys::write(&server, 3, 300, "call('SET', 'other:' .. i, 1)");
    let cutter = Cutter::start(server.port, end, Duration::from_millis(600));
    let exporter = launch(&cutter.url());
    let page = stays_up(&exporter, causes, 12.0);
    assert!(cutter.ended() >= 12, "{}", cutter.ended());
    let passes_before = passes(&page);
    let page = exporter.within(PATIENCE, "passes", |page| {
        passes(page) >= passes_before + 2.0
    });
    let text = samples(&page);
    assert_eq!(failures(&page), 0.0, "{text}");
    assert_eq!(
        page.value("redis_exporter_sweep_success", &[]),
        1.0,
        "{text}"
    );
    assert_eq!(of(&page, "keys", "session"), 100.0, "{text}");
    let other = [("db", "db3"), ("key_namespace", "other")];
    assert_eq!(
        page.value("redis_key_namespace_keys", &other),
        300.0,
        "{text}"
    );
    assert_eq!(server.info("total_error_replies").unwrap(), "0");
}

#[test]
fn closed_idle_connections_cause_no_outage() {
    survives(End::Close, &["closed"]);
}

#[test]
fn reset_idle_connections_cause_no_outage() {
    survives(End::Reset, &["reset", "closed"]);
}

#[test]
fn resets_at_the_next_packet_cause_no_outage() {
    survives(End::ResetLater, &["reset", "closed"]);
}

#[test]
fn dropped_packets_cause_no_outage() {
    survives(End::Vanish, &["unanswered"]);
}

#[test]
fn idle_timeout_of_the_server_causes_no_outage() {
    let server = RedisServer::start(&["--timeout", "1"]);
    keys::write(&server, 0, 500, FIVE_KINDS);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 6s, timeout: 1s }}\n\
         sweep: {{ enabled: true, cpu_share: 50%, min_pass_interval: 1m }}\n{NAMESPACES}\
         targets:\n- {{ name: cache, url: '{}' }}\n",
        server.url()
    ))
    .start();
    let page = stays_up(&exporter, &["closed"], 4.0);
    assert_eq!(of(&page, "keys", "session"), 100.0, "{}", samples(&page));
}

#[test]
fn connections_killed_at_any_moment_cause_no_outage() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 500, FIVE_KINDS);
    let exporter = launch(&server.url());
    exporter.until("the server", Page::is_up);
    for _ in 0..20 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        std::thread::sleep(Duration::from_millis(fastrand::u64(50..700)));
    }
    let page = stays_up(&exporter, &["closed", "reset"], 0.0);
    let count = reconnects(&page, &["closed", "reset"]);
    assert!(count >= 8.0, "{}", samples(&page));
}

#[test]
fn slow_server_keeps_its_connection() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::to(server.port);
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", proxy.url()))
        .flag("--poll.interval=8s")
        .flag("--poll.timeout=8s")
        .start();
    exporter.until("the server", Page::is_up);
    // Opening a new connection takes two round trips, so the current one always replies first.
    proxy.delay(Duration::from_millis(1_500));
    exporter.within(PATIENCE, "slow polls", |page| {
        page.get("redis_exporter_last_scrape_ping_time_seconds", &[]) > Some(1.4)
    });
    let page = exporter.polls(1);
    assert_eq!(failures(&page), 0.0, "{}", samples(&page));
    let all = ["closed", "reset", "unanswered", "moved", "role_changed"];
    assert_eq!(reconnects(&page, &all), 0.0, "{}", samples(&page));
}

#[test]
fn restart_between_polls_causes_no_outage() {
    let mut server = RedisServer::start(&[]);
    let exporter = Launch::new()
        .flag(&format!("--redis.addr={}", server.url()))
        .flag("--poll.interval=8s")
        .flag("--poll.timeout=1s")
        .start();
    exporter.until("the server", Page::is_up);
    server.restart(&[]);
    let page = stays_up(&exporter, &["closed", "reset"], 1.0);
    assert!(
        page.value("redis_uptime_in_seconds", &[]) < 60.0,
        "{}",
        samples(&page)
    );
}

/// Checks that the server rejects this login and that the log contains the expected reason.
fn refused_login(server: &RedisServer, credentials: &str, expected: &str) {
    let exporter = Launch::of(&format!("redis://{credentials}@{}", server.address())).start();
    exporter.until_failed("auth");
    let log = exporter.log();
    assert!(log.contains(expected), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn login_failures_name_the_reason() {
    let open = RedisServer::start(&[]);
    refused_login(&open, ":hunter2", "the server has no password");
    refused_login(
        &open,
        "someone:hunter2",
        "the username or the password is wrong",
    );
    let closed = RedisServer::start(&["--requirepass", "correct"]);
    refused_login(&closed, ":hunter2", "the password is wrong");
}

#[test]
fn maxclients_at_login_is_reported() {
    let server = RedisServer::start(&["--requirepass", "correct"]);
    let mut held = crate::support::redis::Client::connect(server.port).unwrap();
    held.ask(&["AUTH", "correct"]);
    held.ask(&["CONFIG", "SET", "maxclients", "1"]);
    let exporter = Launch::of(&format!("redis://:correct@{}", server.address())).start();
    exporter.until_failed("maxclients");
    let log = exporter.log();
    assert!(log.contains("max number of clients"), "{log}");
}
