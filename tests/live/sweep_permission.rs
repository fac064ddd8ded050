//! Sweeps by users with restricted permissions.

use std::time::Duration;

use crate::support::keys::{self, FIVE_KINDS};
use crate::support::sweep::{self, FULL_SPEED, NAMESPACES, of, passes};
use crate::support::wait::throughout;
use crate::support::{Exporter, Launch, Page, RedisServer};

fn swept_by(rules: &[&str]) -> (RedisServer, Exporter) {
    swept_with(FULL_SPEED, rules)
}

fn swept_with(settings: &str, rules: &[&str]) -> (RedisServer, Exporter) {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    let mut words = vec!["ACL", "SETUSER", "watcher", "reset", "on", ">secret"];
    words.extend(rules);
    server.ask(&words);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\nsweep: {{ {settings} }}\n{NAMESPACES}\
         targets: [{{ name: cache, url: 'redis://watcher:secret@{}' }}]\n",
        server.address()
    ))
    .start();
    (server, exporter)
}

fn denials(server: &RedisServer) -> f64 {
    sweep::in_record(server, "errorstat_NOPERM", "count")
}

fn success(page: &Page, query: &str) -> Option<f64> {
    let labels = [("question", query)];
    page.get("redis_exporter_sweep_question_success", &labels)
}

fn misses_only(rules: &[&str], missing: &[&str], denied: f64) -> Page {
    let (server, exporter) = swept_by(rules);
    exporter.until("a pass", |page| passes(page) >= 1.0);
    let page = sweep::more_passes(&exporter, 1.0);
    for query in ["scan", "memory", "ttl", "type"] {
        let expected = f64::from(u8::from(!missing.contains(&query)));
        assert_eq!(success(&page, query), Some(expected), "{query}");
    }
    assert!(page.is_up() && sweep::goes_on(&page));
    assert_eq!(of(&page, "keys", "session"), 1_000.0);
    assert_eq!(of(&page, "keys_error", "session"), 0.0);
    assert_eq!(denials(&server), denied, "each query is refused once");
    sweep::more_passes(&exporter, 2.0);
    assert_eq!(denials(&server), denied);
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    exporter.until("another connection", |page| {
        sweep::connections(&server).len() == 1 && page.is_up() && sweep::goes_on(page)
    });
    sweep::more_passes(&exporter, 1.0);
    assert_eq!(denials(&server), 2.0 * denied, "once on each connection");
    page
}

#[test]
fn denied_memory_usage_hides_only_memory() {
    let page = misses_only(&["~*", "+@all", "-memory"], &["memory"], 1.0);
    assert!(page.all("redis_key_namespace_memory_bytes", &[]).is_empty());
    assert_eq!(of(&page, "keys_without_ttl", "websocket"), 1_000.0);
}

#[test]
fn denied_pttl_and_type_hide_only_ttls_and_types() {
    let page = misses_only(&["~*", "+@all", "-pttl", "-type"], &["ttl", "type"], 2.0);
    assert!(
        page.all("redis_key_namespace_keys_without_ttl", &[])
            .is_empty()
    );
    assert!(page.all("redis_key_namespace_type_keys", &[]).is_empty());
    assert!(of(&page, "memory_bytes", "session") > 0.0);
}

#[test]
fn denied_object_idletime_hides_only_idle_times() {
    let samples = |page: &Page| page.get("redis_exporter_idle_samples", &[]);
    let (server, exporter) = swept_by(&["~*", "+@all", "-object"]);
    exporter.until("the refusal", |page| success(page, "idle") == Some(0.0));
    let page = sweep::more_passes(&exporter, 2.0);
    assert_eq!((success(&page, "idle"), samples(&page)), (Some(0.0), None));
    assert_eq!(denials(&server), 1.0, "it is refused once");
    assert!(of(&page, "memory_bytes", "session") > 0.0);
    let (_server, exporter) = swept_by(&["~*", "+@all"]);
    let page = exporter.until("idle times", |page| success(page, "idle").is_some());
    assert_eq!(success(&page, "idle"), Some(1.0));
    assert!(samples(&page).is_some_and(|samples| samples > 0.0));
}

#[test]
fn unsent_query_has_no_success_value() {
    let never = "commands_per_second: 100000, lookups_per_minute: 0, min_pass_interval: 1s";
    let (_server, exporter) = swept_with(never, &["~*", "+@all", "-pttl", "-type"]);
    let page = exporter.until("two passes", |page| passes(page) >= 2.0);
    let shown = ["scan", "memory", "ttl", "type"].map(|query| success(&page, query));
    assert_eq!(shown, [Some(1.0), Some(1.0), None, None]);
    let few = "commands_per_second: 100000, lookups_per_minute: 60, min_pass_interval: 1s";
    let (server, exporter) = swept_with(few, &["~*", "+@all", "-pttl", "-type"]);
    exporter.until("the refusals", |page| {
        success(page, "ttl") == Some(0.0) && success(page, "type") == Some(0.0)
    });
    assert_eq!(denials(&server), 2.0, "each query is refused once");
}

#[test]
fn keys_are_counted_without_key_permissions() {
    misses_only(&["+@all"], &["memory", "ttl", "type"], 3.0);
}

#[test]
fn denied_scan_hides_namespaces_but_server_is_up() {
    let (server, exporter) = swept_by(&["~*", "+@all", "-scan"]);
    let page = exporter.until("the refusal", |page| success(page, "scan") == Some(0.0));
    assert_eq!(page.value("redis_exporter_sweep_success", &[]), 0.0);
    assert_eq!(page.value("redis_exporter_sweep_declared", &[]), 1.0);
    assert!(page.all("redis_key_namespace_keys", &[]).is_empty());
    throughout(Duration::from_secs(2), || assert!(exporter.page().is_up()));
    // Each attempt adds an error to the server, so attempts must be rare.
    assert_eq!(denials(&server), 1.0);
}

#[test]
fn denied_select_costs_one_error_after_the_first_database() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 5_000, FIVE_KINDS);
    keys::write(&server, 3, 5_000, FIVE_KINDS);
    server.ask(&["ACL", "SETUSER", "default", "-select"]);
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    exporter.until("the end of the first database", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
            && page.get("redis_exporter_sweep_coverage_ratio", &[("db", "db0")]) == Some(1.0)
            && of(page, "keys_error", "session") == 0.0
    });
    // Each connection ends with a failure, and only the last one is open.
    let most = sweep::connections_so_far(&exporter) - 1.0;
    assert!((1.0..=most).contains(&denials(&server)), "{most}");
}

/// During a slow pass, the sweep also scans random keys of random databases.
#[test]
fn denied_select_does_not_interrupt_the_pass_over_the_first_database() {
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 10_000, FIVE_KINDS);
    keys::write(&server, 3, 30_000, FIVE_KINDS);
    server.ask(&["ACL", "SETUSER", "default", "-select"]);
    let slow = "commands_per_second: 100000, keys_per_second: 2000";
    let exporter = sweep::launch(&server, slow, NAMESPACES).start();
    let page = exporter.until("the end of the first database", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
    });
    let coverage = page.value("redis_exporter_sweep_coverage_ratio", &[("db", "db0")]);
    assert_eq!(coverage, 1.0);
    assert_eq!(of(&page, "keys_error", "session"), 0.0);
    assert_eq!(denials(&server), 1.0);
}

#[test]
fn unknown_command_is_sent_once() {
    let server = RedisServer::start(&["--rename-command", "MEMORY", ""]);
    keys::write(&server, 0, 2_000, FIVE_KINDS);
    keys::run(
        &server,
        0,
        "for i = 1, 500 do call('SET', '\\255' .. i, 1) end",
    );
    let exporter = sweep::launch(&server, FULL_SPEED, NAMESPACES).start();
    let page = exporter.until("a pass", |page| passes(page) >= 1.0);
    assert_eq!(success(&page, "memory"), Some(0.0));
    assert_eq!(of(&page, "keys", "other"), 900.0);
    assert_eq!(server.info("total_error_replies").unwrap(), "1");
}
