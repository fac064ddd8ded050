//! A sentinel that is cut off during a failover, and reports the old primary when it is reached again.

use std::time::Duration;

use crate::support::sweep::FULL_SPEED;
use crate::support::trio::{PASSWORD, SENTINEL_PASSWORD, Trio, name, names, role, swept, targets};
use crate::support::wait::{LONG, slack};
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// An interval, the time for sentinels that do not reply, and an interval of polls.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

/// The sentinel that is cut off.
const NEAR: usize = 0;

/// Starts an exporter of some of the sentinels, in this order.
fn exporter(trio: &Trio, sentinels: &[usize]) -> Exporter {
    let port = |at: &usize| format!("'127.0.0.1:{}'", trio.sentinels[*at].port);
    let ports: Vec<_> = sentinels.iter().map(port).collect();
    let (first, others) = ports.split_first().unwrap();
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\nsweep: {{ {FULL_SPEED} }}\ntargets:\n- name: main\n  url: {first}\n  \
         password: {PASSWORD}\n  discover: {{ kind: sentinel, primary: main, interval: 1s, \
         seeds: [{}], password: {SENTINEL_PASSWORD} }}\n",
        others.join(", ")
    ))
    .start()
}

/// Returns the member that a page reports as the only primary. Checks that at most one is swept.
///
/// A new role is visible after the next poll, so there may be two for a moment.
fn primary(page: &Page, trio: &Trio) -> Option<usize> {
    assert!(swept(page).len() <= 1, "{:?}", swept(page));
    let servers = trio.servers.iter().enumerate();
    let mut primaries = servers.filter(|(_, server)| role(page, server, "primary"));
    let (first, _) = primaries.next()?;
    primaries.next().is_none().then_some(first)
}

/// Returns the primary that a sentinel reports.
fn reported_by(sentinel: &RedisServer, trio: &Trio) -> usize {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
    let reply = sentinel.ask_as(SENTINEL_PASSWORD, &words);
    let port: u16 = reply.lines().last().unwrap().trim().parse().unwrap();
    let mut servers = trio.servers.iter();
    servers.position(|server| server.port == port).unwrap()
}

fn until_all_are_watched(trio: &Trio, exporter: &Exporter) {
    trio.servers[0].ask_as(PASSWORD, &["SET", "session:1", "1"]);
    exporter.until("all servers", |page| {
        targets(page, 1.0) == names(&trio.servers)
            && primary(page, trio) == Some(0)
            && swept(page).len() == 1
    });
}

/// Waits until the exporter has followed to another primary, and returns it.
fn until_followed(trio: &Trio, exporter: &Exporter) -> usize {
    let new = until(LONG, "the failover", || {
        let reported = reported_by(&trio.sentinels[1], trio);
        (reported != 0).then_some(reported)
    });
    exporter.within(FOLLOWED_WITHIN + 3 * slack(), "the new primary", |page| {
        primary(page, trio) == Some(new)
    });
    new
}

/// Checks each page until both members were polled this many more times.
fn stays(trio: &Trio, exporter: &Exporter, new: usize, polls: f64) {
    let target = name(&trio.servers[new]);
    let count = |page: &Page| page.value("redis_exporter_polls_total", &[("target", &target)]);
    let wanted = count(&exporter.page()) + polls;
    exporter.until("more polls", |page| {
        assert_eq!(primary(page, trio), Some(new), "{}", page.excerpt());
        count(page) >= wanted
    });
}

#[test]
fn stopped_sentinel_does_not_delay_a_failover() {
    let mut trio = Trio::start();
    let exporter = exporter(&trio, &[NEAR, 1, 2]);
    until_all_are_watched(&trio, &exporter);
    trio.sentinels[NEAR].freeze();
    trio.servers[0].kill();
    let new = until_followed(&trio, &exporter);
    trio.sentinels[NEAR].thaw();
    stays(&trio, &exporter, new, 10.0);
    exporter.until("another swept member", |page| {
        assert_eq!(primary(page, &trio), Some(new));
        swept(page).len() == 1
    });
}

/// The users of the sentinels on the servers: `near` of the first sentinel, `far` of the others.
fn give_users(trio: &Trio) {
    for server in &trio.servers {
        for user in ["near", "far"] {
            add_user(server, user);
        }
    }
    for (at, sentinel) in trio.sentinels.iter().enumerate() {
        let user = if at == NEAR { "near" } else { "far" };
        let set = ["SENTINEL", "SET", "main", "auth-user", user];
        sentinel.ask_as(SENTINEL_PASSWORD, &set);
    }
    for (server, kind) in trio
        .servers
        .iter()
        .flat_map(|one| [(one, "normal"), (one, "pubsub")])
    {
        server.ask_as(PASSWORD, &["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]);
    }
}

fn add_user(server: &RedisServer, user: &str) {
    let secret = format!(">{PASSWORD}");
    server.ask_as(
        PASSWORD,
        &["ACL", "SETUSER", user, "on", &secret, "~*", "&*", "+@all"],
    );
}

/// Splits the group: the first sentinel reaches only the old primary, and the others reach all other
/// servers. The exporter reaches all.
fn cut(trio: &Trio) {
    for (at, server) in trio.servers.iter().enumerate() {
        let user = if at == 0 { "far" } else { "near" };
        server.ask_as(PASSWORD, &["ACL", "DELUSER", user]);
    }
    // Sentinels publish their configuration to each other.
    set_publish(trio, "-publish");
}

fn heal(trio: &Trio) {
    for (at, server) in trio.servers.iter().enumerate() {
        add_user(server, if at == 0 { "far" } else { "near" });
    }
    set_publish(trio, "+publish");
}

fn set_publish(trio: &Trio, rule: &str) {
    let words = ["ACL", "SETUSER", "default", rule];
    trio.sentinels[NEAR].ask_as(SENTINEL_PASSWORD, &words);
}

fn follows_when_cut_off(sentinels: &[usize]) {
    let trio = Trio::start();
    give_users(&trio);
    trio.until_known("slaves=2,sentinels=3");
    let running = exporter(&trio, sentinels);
    until_all_are_watched(&trio, &running);
    cut(&trio);
    let new = until_followed(&trio, &running);
    stays(&trio, &running, new, 10.0);
    assert_eq!(reported_by(&trio.sentinels[NEAR], &trio), 0);
    // One that starts now follows the new primary too.
    let late = exporter(&trio, sentinels);
    late.until("the new primary", |page| primary(page, &trio) == Some(new));
    stays(&trio, &late, new, 10.0);
    heal(&trio);
    running.until("the end of the split", |page| {
        assert_eq!(primary(page, &trio), Some(new));
        let is_one = reported_by(&trio.sentinels[NEAR], &trio) == new;
        is_one && role(page, &trio.servers[0], "replica") && targets(page, 1.0).len() == 3
    });
    stays(&trio, &running, new, 4.0);
}

#[test]
fn first_of_three_sentinels_is_cut_off() {
    follows_when_cut_off(&[NEAR, 1, 2]);
}

#[test]
fn only_configured_sentinel_is_cut_off() {
    follows_when_cut_off(&[NEAR]);
}

/// Returns a sentinel of these groups, each with its primary and its configuration epoch.
fn sentinel_of(groups: &[(&str, &RedisServer, u32)]) -> RedisServer {
    let lines = groups.iter().map(|(name, server, epoch)| {
        let port = server.port;
        format!(
            "sentinel monitor {name} 127.0.0.1 {port} 1\nsentinel config-epoch {name} {epoch}\n"
        )
    });
    RedisServer::sentinel(&lines.collect::<String>())
}

#[test]
fn each_group_is_that_of_the_sentinel_with_its_latest_failover() {
    let [old_a, a, old_b, b, c] = [(); 5].map(|()| RedisServer::start(&[]));
    // No server has two of the sentinels, so they do not find each other.
    let first = sentinel_of(&[("a", &a, 5), ("b", &old_b, 1)]);
    let second = sentinel_of(&[("a", &old_a, 3), ("b", &b, 2), ("c", &c, 0)]);
    for (one, other) in [(&first, &second), (&second, &first)] {
        let exporter = Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n- name: main\n  url: '{}'\n  \
             discover: {{ kind: sentinel, interval: 1s, seeds: ['{}'] }}\n",
            one.url(),
            other.address()
        ))
        .start();
        let page = exporter.until("all groups", |page| targets(page, 1.0).len() == 3);
        for (server, group) in [(&a, "main/a"), (&b, "main/b"), (&c, "main/c")] {
            let target = name(server);
            let labels = [("target", target.as_str()), ("redis_cluster", group)];
            assert_eq!(page.get("redis_cluster_member_info", &labels), Some(1.0));
        }
        assert!(targets(&page, 0.0).is_empty());
    }
}

#[test]
fn sentinel_that_rejects_the_credentials_is_rarely_queried() {
    let server = RedisServer::start(&[]);
    let [first, other] = [(); 2].map(|()| sentinel_of(&[("main", &server, 0)]));
    until(LONG, "both sentinels", || {
        let is_known = |one: &RedisServer| one.ask(&["INFO", "sentinel"]).contains("sentinels=2");
        [&first, &other].into_iter().all(is_known).then_some(())
    });
    first.ask(&["ACL", "SETUSER", "watcher", "on", ">hush", "+@all"]);
    let errors = |sentinel: &RedisServer| -> u32 {
        sentinel
            .info("total_error_replies")
            .unwrap()
            .parse()
            .unwrap()
    };
    let before = errors(&other);
    let exporter = Launch::configured(&format!(
        "targets:\n- name: main\n  url: '{}'\n  discover: {{ kind: sentinel, primary: main, \
         interval: 1s, username: watcher, password: hush }}\n",
        first.url()
    ))
    .start();
    let read_at = |page: &Page| {
        let name = "redis_exporter_discovery_last_success_timestamp_seconds";
        page.value(name, &[("discovery", "main")])
    };
    until(LONG, "the first attempt", || {
        (errors(&other) > before).then_some(())
    });
    let started = read_at(&exporter.page());
    exporter.until("further queries", |page| read_at(page) >= started + 6.0);
    let attempts = errors(&other) - before;
    assert!(attempts <= 2, "{attempts}");
}
