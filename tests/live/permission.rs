//! Users with restricted permissions.

use crate::support::redis::Client;
use crate::support::server::Server;
use crate::support::wait::{LONG, slack};
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// Starts a server with a user who has these ACL rules, and prepares an exporter that logs in as
/// this user.
fn restricted(rules: &[&str], interval: &str) -> (RedisServer, Launch) {
    let server = RedisServer::start(&[]);
    let mut words = vec!["ACL", "SETUSER", "watcher", "reset", "on", ">secret"];
    words.extend(rules);
    server.ask(&words);
    let launch = Launch::new()
        .flag(&format!(
            "--redis.addr=redis://watcher:secret@{}",
            server.address()
        ))
        .flag(&format!("--poll.interval={interval}"));
    (server, launch)
}

/// Returns how often the server has denied a command.
fn denials(server: &RedisServer) -> u32 {
    let line = server
        .info("errorstat_NOPERM")
        .unwrap_or_else(|| "count=0".to_owned());
    line.strip_prefix("count=").unwrap().parse().unwrap()
}

/// Reads counters of a server, over a connection that does not change them.
struct Counts(Client);

impl Counts {
    fn of(server: &RedisServer) -> Self {
        Self(Client::connect(server.port).unwrap())
    }

    /// Returns the number of denials and of connections since the server started.
    fn now(&mut self) -> (u32, u32) {
        let info = self.0.ask(&["INFO", "everything"]);
        let of = |name: &str| {
            let value = info.lines().find_map(|line| line.strip_prefix(name));
            value.map_or(0, |value| value.parse().unwrap())
        };
        (
            of("errorstat_NOPERM:count="),
            of("total_connections_received:"),
        )
    }

    /// Checks that polls over one connection are refused nothing. A busy machine may break one.
    fn assert_no_more(&mut self, exporter: &Exporter, polls: u32) {
        until(LONG, "polls over one connection", || {
            let (denials, connections) = self.now();
            exporter.polls(polls);
            let after = self.now();
            let is_one = after.1 == connections;
            assert!(
                !is_one || after.0 == denials,
                "{denials} denials, {after:?}"
            );
            is_one.then_some(())
        });
    }
}

fn failed_collectors(exporter: &Exporter) -> Vec<String> {
    exporter
        .page()
        .label_values("redis_exporter_collector_success", "collector", 0.0)
}

#[test]
fn denied_commands_fail_only_their_collectors() {
    let rules = ["+@all", "-config", "-slowlog", "-latency"];
    let (server, launch) = restricted(&rules, "300ms");
    let mut counts = Counts::of(&server);
    let exporter = launch.start();
    exporter.until("the server", Page::is_up);
    // The COMMANDLOG collector reads its limits with CONFIG.
    let command_log = Server::selected().has_command_log();
    let expected = [
        "commandlog",
        "config",
        "latency",
        "latency_histogram",
        "slowlog",
    ];
    assert_eq!(
        failed_collectors(&exporter),
        expected[usize::from(!command_log)..]
    );
    let page = exporter.page();
    for absent in [
        "redis_config_maxclients",
        "redis_slowlog_length",
        "redis_slowlog_last_id",
    ] {
        assert!(page.get(absent, &[]).is_none(), "{absent}");
    }
    page.value("redis_connected_clients", &[]);
    let (at_first, connections) = counts.now();
    assert!(at_first > 0);
    counts.assert_no_more(&exporter, 10);
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    exporter.until("another connection", |page| {
        page.value("redis_exporter_connects_total", &[]) > 1.0 && page.is_up()
    });
    exporter.polls(3);
    // One of the connections is the one that ended the first.
    let (denials, connections) = (counts.now().0, counts.now().1 - connections);
    assert!(
        (2 * at_first..=connections * at_first).contains(&denials),
        "each connection sends it once: {denials} denials over {connections} connections"
    );
}

#[test]
fn denied_info_is_logged_once_until_it_is_permitted() {
    let (server, launch) = restricted(&["+@all", "-info"], "300ms");
    let exporter = launch.start();
    let failures = |page: &Page| page.value("redis_exporter_polls_total", &[]);
    let logged = || {
        let log = exporter.log();
        let lines = log.lines().filter(|line| line.contains("permission=+info"));
        let lines = lines.filter(|line| line.contains("the server rejected a query"));
        lines.count()
    };
    exporter.until("failed polls", |page| failures(page) >= 6.0);
    assert_eq!(logged(), 1, "{}", exporter.log());
    server.ask(&["ACL", "SETUSER", "watcher", "+info"]);
    exporter.until("the permission", Page::is_up);
    server.ask(&["ACL", "SETUSER", "watcher", "-info"]);
    exporter.until("the denial", |page| !page.is_up());
    let polls = failures(&exporter.page());
    exporter.until("failed polls", |page| failures(page) >= polls + 4.0);
    assert_eq!(logged(), 2, "{}", exporter.log());
}

#[test]
fn documented_rules_suffice_for_every_collector() {
    // The rules in docs/guides/permissions.md.
    let mut rules = vec![
        "+ping",
        "+info",
        "+client|setname",
        "+config|get",
        "+slowlog|len",
        "+slowlog|get",
        "+latency|latest",
        "+latency|histogram",
        "+cluster|info",
        "+select",
    ];
    if Server::selected().has_command_log() {
        rules.push("+commandlog|len");
    }
    let (server, launch) = restricted(&rules, "500ms");
    let exporter = launch.start();
    exporter.polls(2);
    assert!(exporter.page().is_up());
    assert!(failed_collectors(&exporter).is_empty());
    assert_eq!(denials(&server), 0);
    assert_eq!(server.exporter_connections().len(), 1);
}

#[test]
fn default_settings_do_not_keep_adding_errors() {
    // The sweep is on by default, but these rules only permit polling.
    let rules = ["+@all", "-scan", "-memory", "-pttl", "-type"];
    let (server, _) = restricted(&rules, "300ms");
    server.ask(&["SET", "session:1", "x"]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 300ms }}\nsweep: {{ enabled: true }}\n\
         targets: [{{ url: 'redis://watcher:secret@{}' }}]\n",
        server.address()
    ))
    .start();
    exporter.until("the refusal", |page| {
        page.get("redis_exporter_sweep_success", &[]) == Some(0.0)
    });
    Counts::of(&server).assert_no_more(&exporter, 10);
    exporter.until("the server", Page::is_up);
}

#[test]
fn denied_ping_and_setname_do_not_stop_polls() {
    let (server, launch) = restricted(&["+@all", "-ping", "-client"], "300ms");
    let exporter = launch.start();
    let page = exporter.until("the server", Page::is_up);
    assert!(
        page.get("redis_exporter_last_scrape_ping_time_seconds", &[])
            .is_none()
    );
    assert!(failed_collectors(&exporter).is_empty());
    Counts::of(&server).assert_no_more(&exporter, 5);
}

#[test]
fn freeze_is_detected_within_one_interval_without_ping() {
    let (server, launch) = restricted(&["+@all", "-ping"], "2s");
    let exporter = launch.flag("--poll.timeout=500ms").start();
    exporter.polls(1);
    server.freeze();
    let limit = std::time::Duration::from_secs(2) + slack();
    let page = exporter.within(limit, "the failure", |page| page.failure().is_some());
    assert_eq!(page.failure().as_deref(), Some("timeout"));
}

#[test]
fn denied_info_is_reported_as_denied() {
    let (_server, launch) = restricted(&["+@all", "-info"], "500ms");
    let exporter = launch.start();
    exporter.until_failed("denied");
}

#[test]
fn new_permission_takes_effect_at_next_connect() {
    let (server, launch) = restricted(&["+@all", "-slowlog"], "500ms");
    let exporter = launch.start();
    exporter.until("the server", Page::is_up);
    assert_eq!(failed_collectors(&exporter), ["slowlog"]);
    server.ask(&["ACL", "SETUSER", "watcher", "+slowlog"]);
    server.ask(&["CLIENT", "KILL", "USER", "watcher"]);
    let slowlog = [("collector", "slowlog")];
    exporter.until("the slow log", |page| {
        page.get("redis_exporter_collector_success", &slowlog) == Some(1.0)
    });
}
