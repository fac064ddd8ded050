//! `check`: the facts about a server, the ACL rule that it prints, and its verdict.

use vt100::Color;

use crate::support::cluster::Cluster;
use crate::support::terminal::Terminal;
use crate::support::wait::LONG;
use crate::support::{Launch, RedisServer, keys, until};

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
    assert_rule_suffices_for(options, "")
}

/// Does so with options of the target.
fn assert_rule_suffices_for(options: &str, of_target: &str) -> String {
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
        format!(
            "{options}targets: [{{ name: cache, url: 'redis://{login}{address}'{of_target} }}]\n"
        )
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

/// Returns whether a rule has a permission.
fn grants(rule: &str, permission: &str) -> bool {
    rule.split(' ').any(|word| word == permission)
}

#[test]
fn printed_rule_has_only_queries_of_the_configuration() {
    const NO_CONFIG: &str = "sweep: { enabled: false }\ncollectors: { config: false, \
                             rdb_file_size: true }\n";
    for (options, of_target, needed, unneeded) in [
        (
            "sweep: { enabled: true, idle: false }\nkeys: { check: ['session:*'] }\n",
            "",
            ["+strlen", "+pttl"],
            ["+object|idletime", "+getrange"],
        ),
        (
            "sweep: { enabled: true }\nkeys: { streams: ['stream:*'], stream_consumers: false }\n",
            "",
            ["+xinfo|stream", "+xinfo|groups"],
            ["+xinfo|consumers", "+strlen"],
        ),
        (
            "sweep: { enabled: false }\ncollectors: { slowlog: false, latency: false }\n",
            "",
            ["+config|get", "+latency|histogram"],
            ["+slowlog|get", "+latency|latest"],
        ),
        (
            NO_CONFIG,
            "",
            ["+config|get", "+slowlog|len"],
            ["+dbsize", "+eval"],
        ),
        (
            NO_CONFIG,
            ", rdb_file: /tmp/dump.rdb",
            ["+slowlog|len", "+slowlog|get"],
            ["+config|get", "+config|set"],
        ),
    ] {
        let rule = assert_rule_suffices_for(options, of_target);
        for permission in needed {
            assert!(grants(&rule, permission), "{permission}: {rule}");
        }
        for permission in unneeded {
            assert!(!grants(&rule, permission), "{permission}: {rule}");
        }
    }
}

#[test]
fn every_permission_of_the_printed_rule_is_used() {
    let server = RedisServer::start(&[]);
    for database in [0, 3] {
        keys::write(
            &server,
            database,
            50,
            "call('SET', 'session:' .. i, 'x', 'EX', 900)",
        );
    }
    let at = |login: &str| {
        let address = server.address();
        format!(
            "poll: {{ interval: 500ms }}\nsweep: {{ enabled: true, min_pass_interval: 1s, cpu_share: 50%, lookups_per_minute: 100000 }}\n\
             targets: [{{ name: cache, url: 'redis://{login}{address}' }}]\n"
        )
    };
    let rule = rule(&at(""));
    assert_eq!(server.ask(&rule.split(' ').collect::<Vec<_>>()), "OK");
    // Only sent while a function keeps the server busy.
    let rare = ["+function|stats"];
    let granted = rule.split(' ').filter_map(|word| word.strip_prefix('+'));
    let granted: Vec<&str> = granted
        .filter(|word| !rare.contains(&&*format!("+{word}")))
        .collect();
    server.ask(&["CONFIG", "RESETSTAT"]);
    let exporter = Launch::configured(&at("exporter:PASSWORD@")).start();
    // A client of the test only sends INFO, which the exporter must send, too.
    let unused = || {
        let called = server.ask(&["INFO", "commandstats"]);
        let is_called = |command: &&str| called.contains(&format!("cmdstat_{command}:"));
        let unused = granted.iter().copied().filter(|one| !is_called(one));
        unused.collect::<Vec<_>>()
    };
    until(LONG, "every command of the rule", || {
        exporter.page();
        unused().is_empty().then_some(())
    });
    assert_eq!(denials(&server), "", "{rule}");
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
fn denied_info_gets_a_command_and_one_reason() {
    let server = RedisServer::start(&[]);
    server.ask(&["ACL", "SETUSER", "w", "on", ">hunter2", "+ping"]);
    let text = format!(
        "targets: [{{ name: cache, url: 'redis://w:hunter2@{}' }}]\n",
        server.address()
    );
    let (code, report) = check(&text);
    assert_eq!(code, 1, "{report}");
    assert_eq!(report.matches("NOPERM").count(), 1, "{report}");
    assert!(report.contains("\n- cache does not work.\n"), "{report}");
    let command = report.lines().map(str::trim);
    let command = command.filter(|line| line.starts_with("ACL SETUSER"));
    let command: Vec<&str> = command.collect();
    assert_eq!(command, ["ACL SETUSER w +ping +info"], "{report}");
    let exporter = Launch::configured(&text).start();
    until(LONG, "the command on the page", || {
        let page = exporter.get("/targets/cache").text();
        page.contains(command[0]).then_some(())
    });
    let words: Vec<&str> = command[0].split(' ').collect();
    assert_eq!(server.ask(&words), "OK");
    let (_, report) = check(&text);
    assert!(
        report.contains("\n  info               works\n"),
        "{report}"
    );
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
    // One line for all nodes.
    let rules: Vec<&str> = lines.filter(|line| line.starts_with(RULE)).collect();
    assert_eq!(rules.len(), 1, "{report}");
    assert!(
        report.contains("Do not use it for a user that applications share."),
        "{report}"
    );
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

#[test]
fn terminal_shows_faults_warnings_and_success_in_colors() {
    const RED: Color = Color::Idx(1);
    const GREEN: Color = Color::Idx(2);
    const YELLOW: Color = Color::Idx(3);
    let server = RedisServer::start(&[]);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">hunter2", "~*", "&*", "+@all", "-slowlog",
    ]);
    let url = format!("redis://watcher:hunter2@{}", server.address());
    let run = |variables: &[(&str, &str)]| {
        let variables = [&[("REDIS_URL", &*url)][..], variables].concat();
        let mut terminal = Terminal::start(&["check"], &variables, (200, 60));
        assert_eq!(terminal.ended().code(), Some(1));
        terminal.see("verdict: faults at 1 of 1 target");
        terminal
    };
    let terminal = run(&[]);
    for (text, color) in [
        ("denied: grant the user +slowlog", RED),
        ("slowlog does not work.", RED),
        ("faults at 1 of 1 target", RED),
        ("works", GREEN),
        ("has no memory limit.", YELLOW),
        ("round trip", Color::Default),
        ("ACL SETUSER", Color::Default),
    ] {
        assert_eq!(terminal.color_of(text), color, "{text}");
    }
    let colored = terminal.text();
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let terminal = run(&[variables]);
        assert!(!terminal.is_colored(), "{variables:?}");
        // The same text, except for measured times and memory.
        let is_measured = |line: &&str| line.contains(" ms") || line.contains("iB ");
        let same = |text: &str| {
            let lines = text.lines().filter(|line| !is_measured(line));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(same(&terminal.text()), same(&colored), "{variables:?}");
    }
}
