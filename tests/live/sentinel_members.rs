//! Sentinels and primaries of which one is configured: the servers behind them, and failovers.

use std::collections::BTreeSet;

use crate::support::sweep::{FULL_SPEED, NAMESPACES};
use crate::support::trio::{
    PASSWORD, SENTINEL_PASSWORD, SETTINGS, Trio, name, names, replica_of, role, swept, targets,
};
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

#[test]
fn sentinel_names_primary_and_replicas() {
    let mut trio = Trio::start();
    let exporter = trio.exporter();
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers)
            && role(page, &trio.servers[0], "primary")
            && role(page, &trio.servers[1], "replica")
    });

    trio.servers[0].kill();
    let page = exporter.until("the failover", |page| {
        trio.servers[1..]
            .iter()
            .any(|server| role(page, server, "primary"))
            && targets(page, 1.0).len() == 2
    });
    let listed: BTreeSet<_> = targets(&page, 1.0)
        .union(&targets(&page, 0.0))
        .cloned()
        .collect();
    assert_eq!(listed, names(&trio.servers));

    trio.servers[0].restart(&[]);
    exporter.until("the old primary as a replica", |page| {
        role(page, &trio.servers[0], "replica") && targets(page, 1.0).len() == 3
    });
    // The sentinels may still be changing the roles of the servers.
    let new = until(LONG, "a single primary", || {
        let is_primary = |server: &RedisServer| {
            let info = server.ask_as(PASSWORD, &["INFO", "replication"]);
            info.contains("role:master") && info.contains("connected_slaves:2")
        };
        trio.servers.iter().position(is_primary)
    });
    let added = replica_of(&trio.servers[new]);
    trio.servers.push(added);
    trio.until_known("slaves=3,sentinels=3");
    exporter.until("the added replica", |page| {
        targets(page, 1.0) == names(&trio.servers)
    });
    let log = exporter.log();
    assert!(!log.contains(PASSWORD) && !log.contains(SENTINEL_PASSWORD));
    for server in &trio.servers {
        let info = server.ask_as(PASSWORD, &["INFO", "errorstats"]);
        assert!(!info.contains("WRONGPASS"), "{info}");
    }
}

#[test]
fn unknown_name_gets_a_clear_error() {
    let sentinel = RedisServer::sentinel("");
    let exporter = Launch::configured(&format!(
        "targets: [{{ name: main, url: '{}', discover: {{ kind: sentinel, primary: mian }} }}]\n",
        sentinel.url()
    ))
    .start();
    let log = until(LONG, "the error", || {
        let log = exporter.log();
        log.contains("monitors no primary with the name mian")
            .then_some(log)
    });
    assert!(log.contains("check `discover.primary`"), "{log}");
    // SENTINEL REPLICAS is not sent, which would be an error for the sentinel.
    assert_eq!(sentinel.info("total_error_replies").as_deref(), Some("0"));
}

/// Returns a sentinel that monitors one primary.
fn sentinel_of(port: u16) -> RedisServer {
    RedisServer::sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 500"
    ))
}

#[test]
fn stale_sentinel_does_not_hide_the_others() {
    let server = RedisServer::start(&[]);
    let (stale, healthy) = (sentinel_of(1), sentinel_of(server.port));
    until(LONG, "the stale sentinel to notice", || {
        let fields = stale.ask(&["SENTINEL", "MASTER", "main"]);
        fields.contains("s_down").then_some(())
    });
    for primary in ["primary: main, ", ""] {
        let exporter = Launch::configured(&format!(
            "targets:\n- name: main\n  url: '{}'\n  \
             discover: {{ kind: sentinel, {primary}interval: 1s, seeds: ['{}'] }}\n",
            stale.url(),
            healthy.address()
        ))
        .start();
        let page = exporter.until("the server", |page| targets(page, 1.0).len() == 1);
        assert!(page.0.contains(&server.address()), "{primary}");
        assert!(targets(&page, 0.0).is_empty(), "{primary}");
    }
    // The view of a single sentinel is used in any case.
    let exporter = Launch::configured(&format!(
        "targets: [{{ name: main, url: '{}', discover: {{ kind: sentinel, primary: main }} }}]\n",
        stale.url()
    ))
    .start();
    exporter.until("the primary that is down", |page| {
        targets(page, 0.0).contains("main/127.0.0.1:1")
    });
}

#[test]
fn group_of_one_sentinel_is_followed_when_that_is_down() {
    let mut trio = Trio::start();
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n- name: main\n  url: '{}'\n  \
         password: {PASSWORD}\n  discover: {{ kind: sentinel, primary: main, interval: 1s, \
         password: {SENTINEL_PASSWORD} }}\n",
        trio.sentinels[0].url()
    ))
    .start();
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers) && role(page, &trio.servers[0], "primary")
    });
    trio.sentinels[0].kill();
    trio.fail_over(&exporter);
}

#[test]
fn all_primaries_of_a_sentinel_are_polled() {
    let cache = RedisServer::start(&[]);
    let port = cache.port.to_string();
    let copy = RedisServer::start(&["--replicaof", "127.0.0.1", &port]);
    let (jobs, late) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let lines = format!(
        "sentinel monitor cache 127.0.0.1 {} 1\nsentinel monitor jobs 127.0.0.1 {} 1",
        cache.port, jobs.port
    );
    let sentinel = RedisServer::sentinel(&lines);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n- name: main\n  url: '{}'\n  \
         discover: {{ kind: sentinel, interval: 1s }}\n",
        sentinel.url()
    ))
    .start();
    let member = |page: &Page, server: &RedisServer, group: &str, role: &str| {
        let target = format!("main/{}", server.address());
        let cluster = format!("main/{group}");
        let labels = [
            ("target", target.as_str()),
            ("role", role),
            ("redis_cluster", cluster.as_str()),
            ("shard", "0"),
        ];
        page.get("redis_cluster_member_info", &labels) == Some(1.0)
    };
    exporter.until("both groups", |page| {
        member(page, &cache, "cache", "primary")
            && member(page, &copy, "cache", "replica")
            && member(page, &jobs, "jobs", "primary")
            && targets(page, 1.0).len() == 3
    });
    let port = late.port.to_string();
    sentinel.ask(&["SENTINEL", "MONITOR", "late", "127.0.0.1", &port, "1"]);
    sentinel.ask(&["SENTINEL", "REMOVE", "jobs"]);
    exporter.until("the changed groups", |page| {
        member(page, &late, "late", "primary")
            && !page.0.contains(&jobs.address())
            && targets(page, 1.0).len() == 3
    });
}

/// Starts an exporter of the replication group of one server.
fn group_of(server: &RedisServer) -> Exporter {
    group_with(server, "1s", "enabled: false")
}

/// Does the same with this interval and these settings of the sweep.
fn group_with(server: &RedisServer, interval: &str, sweep: &str) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\nsweep: {{ {sweep} }}\ntargets:\n- name: main\n  \
         url: '{}'\n  password: {PASSWORD}\n  discover: {{ kind: replicas, interval: {interval} }}\n",
        server.url()
    ))
    .start()
}

#[test]
fn primary_names_its_replicas() {
    let primary = RedisServer::start(&SETTINGS);
    let mut servers = vec![primary];
    servers.push(replica_of(&servers[0]));
    // The configured server is a replica.
    let exporter = group_of(&servers[1]);
    exporter.until("both servers", |page| {
        targets(page, 1.0) == names(&servers)
            && role(page, &servers[0], "primary")
            && role(page, &servers[1], "replica")
    });
    servers.push(replica_of(&servers[0]));
    exporter.until("the added replica", |page| {
        targets(page, 1.0) == names(&servers)
    });
    let gone = servers.pop().unwrap();
    gone.ask_as(PASSWORD, &["REPLICAOF", "NO", "ONE"]);
    let name = format!("main/{}", gone.address());
    exporter.until("the replica to vanish", |page| !page.0.contains(&name));
    // A poll may time out on a busy machine.
    exporter.until("the others", |page| targets(page, 1.0) == names(&servers));
}

#[test]
fn replicas_that_the_primary_does_not_list_stay_targets() {
    let mut servers = vec![RedisServer::start(&SETTINGS)];
    for _ in 0..2 {
        servers.push(replica_of(&servers[0]));
    }
    let exporter = group_of(&servers[0]);
    exporter.until("all servers", |page| targets(page, 1.0) == names(&servers));
    // One cannot connect to its primary any more, and one is down.
    servers[1].ask_as(PASSWORD, &["CONFIG", "SET", "masterauth", "wrong"]);
    servers[2].kill();
    until(LONG, "a primary without replicas", || {
        // A connection that still transfers the data set cannot be killed.
        servers[1].ask_as(PASSWORD, &["CLIENT", "KILL", "TYPE", "master"]);
        let info = servers[0].ask_as(PASSWORD, &["INFO", "replication"]);
        info.contains("connected_slaves:0\r\n").then_some(())
    });
    let queries = |page: &Page| {
        page.value(
            "redis_exporter_discovery_last_success_timestamp_seconds",
            &[("discovery", "main")],
        )
    };
    let before = queries(&exporter.page());
    let page = exporter.until("several queries since", |page| queries(page) > before + 5.0);
    let listed = targets(&page, 1.0)
        .union(&targets(&page, 0.0))
        .cloned()
        .collect();
    assert_eq!(names(&servers), listed);
    exporter.until("the state of each", |page| {
        targets(page, 1.0) == names(&servers[..2]) && targets(page, 0.0) == names(&servers[2..])
    });
    servers[2].restart(&[]);
    exporter.until("the replica that is back", |page| {
        targets(page, 1.0) == names(&servers)
    });
    servers[1].ask_as(PASSWORD, &["REPLICAOF", "NO", "ONE"]);
    let left = [&servers[0], &servers[2]].map(name).into();
    exporter.until("the others", |page| targets(page, 1.0) == left);
}

/// Names of the same group. Chance decides which process watches each of their servers.
const SHARED_NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Returns the keys of a group on the pages of two processes.
fn keys_of(pages: &[Page], name: &str, servers: &[RedisServer]) -> f64 {
    let keys = pages.iter().flat_map(|page| {
        servers.iter().flat_map(move |server| {
            let target = format!("{name}/{}", server.address());
            page.all("redis_key_namespace_keys", &[("target", &target)])
        })
    });
    keys.sum()
}

/// The first process has swept another replica before the second one started.
#[test]
fn processes_that_share_a_group_sweep_one_member() {
    let primary = RedisServer::start(&SETTINGS);
    for key in 0..100 {
        primary.ask_as(PASSWORD, &["SET", &format!("session:{key}"), "1"]);
    }
    let replicas = [replica_of(&primary), replica_of(&primary)];
    let mut servers: Vec<RedisServer> = [primary].into_iter().chain(replicas).collect();
    servers[1..].sort_by_key(|server| server.port);
    let groups = SHARED_NAMES.map(|name| {
        format!(
            "- {{ name: {name}, url: '{}', password: {PASSWORD}, discover: {{ kind: replicas, interval: 1s }} }}\n",
            servers[0].url()
        )
    });
    let start = |shard: &str| {
        Launch::configured(&format!(
            "shard: {shard}\npoll: {{ interval: 1s }}\nsweep: {{ {FULL_SPEED} }}\n{NAMESPACES}targets:\n{}",
            groups.concat()
        ))
        .start()
    };
    let has_all = |page: &Page| {
        let found = page.all("redis_exporter_discovery_success", &[]);
        found.len() == SHARED_NAMES.len() && found.iter().all(|success| *success == 1.0)
    };
    let until_in_sync = |replicas: usize| {
        until(LONG, "the replicas", || {
            let info = servers[0].ask_as(PASSWORD, &["INFO", "replication"]);
            let listed = info.contains(&format!("connected_slaves:{replicas}\r\n"));
            (listed && info.matches("state=online").count() == replicas).then_some(())
        });
    };
    servers[1].ask_as(PASSWORD, &["REPLICAOF", "NO", "ONE"]);
    until_in_sync(1);
    let first = start("1/2");
    first.until("one replica", has_all);
    let port = servers[0].port.to_string();
    servers[1].ask_as(PASSWORD, &["REPLICAOF", "127.0.0.1", &port]);
    until_in_sync(2);
    let second = start("2/2");
    until(LONG, "all keys once", || {
        let pages = [first.page(), second.page()];
        let keys = SHARED_NAMES.map(|name| keys_of(&pages, name, &servers));
        keys.iter().all(|keys| *keys == 100.0).then_some(())
    });
}

#[test]
fn replica_of_a_replica_is_polled_only_if_it_is_named() {
    let primary = RedisServer::start(&SETTINGS);
    let replica = replica_of(&primary);
    let last = replica_of(&replica);
    until(LONG, "the chain", || {
        let info = |server: &RedisServer| server.ask_as(PASSWORD, &["INFO", "replication"]);
        let is_online = |server| info(server).contains("state=online");
        (is_online(&primary) && is_online(&replica)).then_some(())
    });
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n\
         - {{ name: main, url: '{}', password: {PASSWORD}, discover: {{ kind: replicas, interval: 1s }} }}\n\
         - {{ name: last, url: '{}', password: {PASSWORD} }}\n",
        replica.url(),
        last.url()
    ))
    .start();
    let expected = BTreeSet::from([name(&primary), name(&replica), "last".to_owned()]);
    exporter.until("all servers", |page| targets(page, 1.0) == expected);
    let page = exporter.polls_of(&name(&primary), 6);
    assert!(!page.0.contains(&name(&last)), "{}", page.excerpt());
}

#[test]
fn swept_member_that_dies_is_replaced_at_once() {
    let primary = RedisServer::start(&SETTINGS);
    primary.ask_as(PASSWORD, &["SET", "session:1", "1"]);
    let mut replicas = [replica_of(&primary), replica_of(&primary)];
    until(LONG, "the replicas", || {
        let info = primary.ask_as(PASSWORD, &["INFO", "replication"]);
        (info.matches("state=online").count() == 2).then_some(())
    });
    // Only the failed poll can lead to a query within the test.
    let exporter = group_with(&primary, "1h", FULL_SPEED);
    let is_swept = |page: &Page, server: &RedisServer| swept(page).contains(&name(server));
    let page = exporter.until("a swept member", |page| swept(page).len() == 1);
    let at = usize::from(is_swept(&page, &replicas[1]));
    assert!(is_swept(&page, &replicas[at]));
    replicas[at].kill();
    exporter.until("another swept member", |page| {
        assert!(swept(page).len() <= 1);
        is_swept(page, &replicas[1 - at])
    });
    // It stays when the other one returns.
    replicas[at].restart(&[]);
    exporter.until("the dead member", |page| targets(page, 1.0).len() == 3);
    let page = exporter.polls_of(&name(&primary), 4);
    assert!(is_swept(&page, &replicas[1 - at]), "{:?}", swept(&page));
}

#[test]
fn lone_primary_does_not_hide_its_successor() {
    let mut servers = vec![RedisServer::start(&SETTINGS)];
    servers.extend([replica_of(&servers[0]), replica_of(&servers[0])]);
    let exporter = group_of(&servers[0]);
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&servers) && role(page, &servers[0], "primary")
    });
    servers[0].kill();
    servers[1].ask_as(PASSWORD, &["REPLICAOF", "NO", "ONE"]);
    let port = servers[1].port.to_string();
    servers[2].ask_as(PASSWORD, &["REPLICAOF", "127.0.0.1", &port]);
    exporter.until("the failover", |page| {
        role(page, &servers[1], "primary") && role(page, &servers[2], "replica")
    });
    // It returns as a primary without replicas.
    servers[0].restart(&[]);
    let removed = |page: &Page| {
        let labels = [("discovery", "main"), ("change", "removed")];
        page.value("redis_exporter_discovery_changes_total", &labels)
    };
    let is_whole = |page: &Page| {
        role(page, &servers[1], "primary")
            && role(page, &servers[2], "replica")
            && targets(page, 1.0) == names(&servers)
    };
    let before = removed(&exporter.until("the former primary", is_whole));
    // A member vanishes after two queries without it.
    let name = format!("main/{}", servers[0].address());
    exporter.polls_of(&name, 10);
    let page = exporter.until("the same servers", is_whole);
    assert_eq!(removed(&page), before);
}

const WATCHER: &str = "username: watcher, password: hush-of-watcher";

#[test]
fn reported_failover_is_followed_at_once() {
    let trio = Trio::start();
    let needs = include_str!("../../docs/guides/permissions.md");
    assert!(needs.contains("`+subscribe &+switch-master`"));
    trio.add_user(
        "+sentinel|get-master-addr-by-name +sentinel|replicas +subscribe &+switch-master",
    );
    // Only a message can lead to a query within the test.
    let exporter = trio.exporter_with("1h", WATCHER);
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers)
    });
    trio.until_subscribed();
    trio.fail_over(&exporter);
    let page = exporter.page();
    let promoted = [("discovery", "main"), ("change", "promoted")];
    let changes = page.value("redis_exporter_discovery_changes_total", &promoted);
    assert!(changes >= 1.0, "{changes}");
}

#[test]
fn subscription_is_renewed_and_ends_with_its_source() {
    let trio = Trio::start();
    let exporter = trio.exporter_with("1h", &format!("password: {SENTINEL_PASSWORD}"));
    let first = trio.until_subscribed();
    for sentinel in &trio.sentinels {
        let kill = ["CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"];
        sentinel.ask_as(SENTINEL_PASSWORD, &kill);
    }
    until(LONG, "another subscription", || {
        (trio.until_subscribed() != first).then_some(())
    });
    exporter.reconfigure("targets: [{ url: 'redis://127.0.0.1:1' }]\n");
    assert_eq!(exporter.reload().status, 200);
    until(LONG, "the end of the subscription", || {
        trio.subscribers().is_empty().then_some(())
    });
}

#[test]
fn denied_subscription_is_logged_once_and_polling_goes_on() {
    let trio = Trio::start();
    trio.add_user("+sentinel|get-master-addr-by-name +sentinel|replicas");
    let exporter = trio.exporter_with("1s", WATCHER);
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers)
    });
    trio.fail_over(&exporter);
    let log = exporter.log();
    let lines = log.matches("no messages about failovers").count();
    assert_eq!(lines, 1, "{log}");
    assert!(log.contains("+subscribe &+switch-master"), "{log}");
    assert!(trio.subscribers().is_empty());
}

#[test]
fn renamed_primary_is_reported_and_its_servers_stay() {
    let trio = Trio::start();
    let exporter = trio.exporter();
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers)
    });
    let monitor = |old: &str, new: &str| {
        let port = trio.servers[0].port.to_string();
        for sentinel in &trio.sentinels {
            let ask = |words: &[&str]| sentinel.ask_as(SENTINEL_PASSWORD, words);
            ask(&["SENTINEL", "REMOVE", old]);
            ask(&["SENTINEL", "MONITOR", new, "127.0.0.1", &port, "2"]);
            ask(&["SENTINEL", "SET", new, "auth-pass", PASSWORD]);
        }
    };
    let success =
        |page: &Page| page.value("redis_exporter_discovery_success", &[("discovery", "main")]);
    monitor("main", "other");
    exporter.until("the failure", |page| success(page) == 0.0);
    // A poll may time out on a busy machine.
    let page = exporter.until("all servers after the failure", |page| {
        targets(page, 1.0) == names(&trio.servers)
    });
    assert_eq!(success(&page), 0.0);
    let log = until(LONG, "its reason", || {
        let log = exporter.log();
        log.contains("monitors no primary with the name main")
            .then_some(log)
    });
    assert!(log.contains("check `discover.primary`"), "{log}");
    monitor("other", "main");
    exporter.until("a success", |page| {
        success(page) == 1.0 && targets(page, 1.0) == names(&trio.servers)
    });
}
