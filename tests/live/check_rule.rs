//! `check`: the facts about a server, the ACL rule that it prints, and its verdict.

use std::collections::BTreeSet;

use crate::support::cluster::Cluster;
use crate::support::keys;
use crate::support::{Launch, RedisServer};

const RULE: &str = "ACL SETUSER exporter on >PASSWORD ";

/// Runs `check`, and returns its exit status and output.
fn check(text: &str) -> (i32, String) {
    let finished = Launch::configured(text).flag("check").run();
    assert_eq!(finished.stderr, "");
    (finished.code(), finished.stdout)
}

/// Returns the rule that `check` prints.
fn rule(text: &str) -> String {
    let (_, report) = check(text);
    let lines = report.lines().map(str::trim);
    let rules: Vec<&str> = lines.filter(|line| line.starts_with(RULE)).collect();
    assert_eq!(rules.len(), 1, "{report}");
    rules.concat()
}

fn denials(server: &RedisServer) -> String {
    let count = server.info("errorstat_NOPERM");
    count.unwrap_or_default()
}

/// Checks that a user with exactly the printed rule is refused nothing.
fn assert_rule_suffices(options: &str) -> String {
    let server = RedisServer::start(&["--notify-keyspace-events", "Exem"]);
    keys::write(
        &server,
        0,
        50,
        "call('SET', 'session:' .. i, 'x', 'EX', 900)",
    );
    keys::write(&server, 0, 5, "call('XADD', 'stream:' .. i, '*', 'a', 'b')");
    let at = |login: &str| {
        let address = server.address();
        format!("{options}targets: [{{ name: cache, url: 'redis://{login}{address}' }}]\n")
    };
    let rule = rule(&at(""));
    let reply = server.ask(&rule.split(' ').collect::<Vec<_>>());
    assert_eq!(reply, "OK", "{rule}");
    let (code, report) = check(&at("exporter:PASSWORD@"));
    assert_eq!(code, 0, "{rule}\n{report}");
    assert!(!report.contains("denied"), "{report}");
    let verdict = "\nverdict: everything that is enabled works\n";
    assert!(report.ends_with(verdict), "{report}");
    // No command was refused that `check` does not report.
    assert_eq!(denials(&server), "", "{rule}\n{report}");
    // The exporter itself, with its sweep, sends no others.
    let exporter = Launch::configured(&at("exporter:PASSWORD@")).start();
    exporter.polls(2);
    assert_eq!(denials(&server), "", "{rule}");
    rule
}

#[test]
fn printed_rule_suffices_by_default() {
    let rule = assert_rule_suffices("sweep: { enabled: true }\n");
    for needed in ["+scan", "+pttl", "+slowlog|get", "+config|get", "+select"] {
        assert!(rule.contains(needed), "{needed}: {rule}");
    }
    for unneeded in ["subscribe", "eval", "config|set", "client|list", " ~*"] {
        let is_old = unneeded == " ~*" && rule.contains(" ~*");
        assert!(!rule.contains(unneeded) || is_old, "{unneeded}: {rule}");
    }
}

#[test]
fn printed_rule_without_a_sweep_reads_no_keys() {
    let rule = assert_rule_suffices("sweep: { enabled: false }\n");
    for unneeded in ["~", "+scan", "+pttl", "+memory"] {
        assert!(!rule.contains(unneeded), "{unneeded}: {rule}");
    }
}

#[test]
fn printed_rule_suffices_for_optional_features() {
    let rule = assert_rule_suffices(
        "sweep: { enabled: true, events: listen, misses: listen, changes: true }\n\
         canary: { enabled: true, interval: 1s }\nclients: { list: true }\n\
         collectors: { memory_stats: true, acl_log: true }\n\
         keys: { check: ['session:*'], streams: ['stream:*'], values: text }\n\
         channels: [{ name: all, match: '*' }]\n",
    );
    for needed in [
        "&__keyevent@*__:*",
        "&redis-namespace-exporter:*",
        "+client|list",
        "+client|tracking",
        "+publish",
        "+strlen",
        "+xinfo|stream",
    ] {
        assert!(rule.contains(needed), "{needed}: {rule}");
    }
}

#[test]
fn printed_rule_has_no_command_that_the_server_lacks() {
    let server = RedisServer::start(&[]);
    let text = format!(
        "collectors: {{ search_indexes: true }}\ntargets: [{{ url: '{}' }}]\n",
        server.url()
    );
    let rule = rule(&text);
    assert!(!rule.contains("ft."), "{rule}");
    assert_eq!(server.ask(&rule.split(' ').collect::<Vec<_>>()), "OK");
}

#[test]
fn facts_and_verdict_are_worded() {
    let server = RedisServer::start(&["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
    keys::write(
        &server,
        0,
        300,
        "call('SET', 'session:' .. i, 'x', 'EX', 900)",
    );
    keys::write(&server, 3, 20, "call('SET', 'queue:' .. i, 'x')");
    let text = format!(
        "sweep: {{ enabled: true }}\ntargets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    );
    let (code, report) = check(&text);
    assert_eq!(code, 0, "{report}");
    for part in [
        ", primary, 320 keys in 2 databases, ",
        " of 1.0 GiB (0.",
        "policy allkeys-lru",
        "\n  round trip         ",
        "a pass over 320 keys takes about ",
        "\nNotable:\n- cache has 20 keys that never expire, 6.2% of all.\n",
        "\nverdict: everything that is enabled works\n",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">hunter2", "~*", "&*", "+@all", "-slowlog",
    ]);
    let login = text.replace("redis://", "redis://watcher:hunter2@");
    let (code, report) = check(&login);
    assert_eq!(code, 1, "{report}");
    let verdict = "\nNotable:\n- cache: slowlog does not work.\n";
    assert!(report.contains(verdict), "{report}");
    assert!(
        report.ends_with("\nverdict: faults at 1 of 1 target\n"),
        "{report}"
    );
    assert!(!report.contains("hunter2"), "{report}");
}

#[test]
fn printed_rules_suffice_for_a_discovered_cluster() {
    let cluster = Cluster::start();
    cluster.fill("session", 100);
    let at = |login: &str| {
        format!(
            "sweep: {{ enabled: true }}\ntargets:\n- name: shop\n  \
             url: 'redis://{login}{}'\n  discover: {{ kind: cluster }}\n",
            cluster.nodes[0].address()
        )
    };
    let (code, report) = check(&at(""));
    assert_eq!(code, 0, "{report}");
    let lines = report.lines().map(str::trim);
    let rules: BTreeSet<&str> = lines.filter(|line| line.starts_with(RULE)).collect();
    assert_eq!(rules.len(), 1, "{report}");
    for node in &cluster.nodes {
        for rule in &rules {
            assert_eq!(
                node.ask(&rule.split(' ').collect::<Vec<_>>()),
                "OK",
                "{rule}"
            );
        }
    }
    let (code, report) = check(&at("exporter:PASSWORD@"));
    assert_eq!(code, 0, "{report}");
    for node in &cluster.nodes {
        assert_eq!(denials(node), "", "{rules:?}\n{report}");
    }
}
