//! The pub/sub canary against real servers.

use std::net::Ipv4Addr;

use crate::support::cutter::Cutter;
use crate::support::port;
use crate::support::redis::Client;
use crate::support::wait::{LONG, until};
use crate::support::{Exporter, Launch, Page, RedisServer, sweep};

const SENT: &str = "redis_pubsub_canary_sent_total";
const RECEIVED: &str = "redis_pubsub_canary_received_total";
const COUNT: &str = "redis_pubsub_canary_latency_seconds_count";
const BUCKET: &str = "redis_pubsub_canary_latency_seconds_bucket";

fn launch(targets: &str) -> Launch {
    Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\n\
         sweep: {{ enabled: false }}\n\
         canary: {{ enabled: true, interval: 1s }}\n\
         targets: [{targets}]\n"
    ))
}

fn watch(server: &RedisServer) -> Exporter {
    launch(&format!("{{ name: cache, url: '{}' }}", server.url())).start()
}

fn is_state(page: &Page, state: &str) -> bool {
    page.get("redis_exporter_canary_state", &[("state", state)]) == Some(1.0)
}

fn received(page: &Page) -> f64 {
    page.get(RECEIVED, &[]).unwrap_or(0.0)
}

fn lost(page: &Page) -> f64 {
    page.get(SENT, &[]).unwrap_or(0.0) - received(page)
}

fn until_received(exporter: &Exporter, least: f64) -> Page {
    exporter.until("messages", |page| received(page) >= least)
}

/// Returns the channels of canaries on a server.
fn channels(server: &RedisServer) -> Vec<String> {
    let channels = server.ask(&["PUBSUB", "CHANNELS", "redis-namespace-exporter:*"]);
    channels.lines().map(ToOwned::to_owned).collect()
}

fn publish_calls(server: &RedisServer) -> f64 {
    sweep::in_record(server, "cmdstat_publish", "calls")
}

#[test]
fn each_target_has_messages_of_its_own() {
    let server = RedisServer::start(&[]);
    let mut witness = Client::connect(server.port).unwrap();
    witness.ask(&["PSUBSCRIBE", "*"]);
    let (url, off) = (server.url(), "canary: { enabled: false }");
    let exporter = launch(&format!(
        "{{ name: a, url: '{url}' }}, {{ name: b, url: '{url}' }}, \
         {{ name: c, url: '{url}', {off} }}"
    ))
    .start();
    let of = |page: &Page, name: &str, target: &str| page.get(name, &[("target", target)]);
    let page = exporter.until("messages of both", |page| {
        let mut both = ["a", "b"].into_iter();
        both.all(|target| of(page, RECEIVED, target) >= Some(3.0))
    });
    let mut sent = 0.0;
    for target in ["a", "b"] {
        let [sent_here, received, count] =
            [SENT, RECEIVED, COUNT].map(|name| of(&page, name, target).unwrap());
        assert!(
            received <= count && count <= sent_here,
            "{received} {count}"
        );
        let labels = [("target", target), ("le", "+Inf")];
        assert_eq!(page.get(BUCKET, &labels), Some(count));
        let labels = [("target", target), ("le", "1")];
        assert_eq!(page.get(BUCKET, &labels), Some(received));
        sent += sent_here;
    }
    assert_eq!(of(&page, SENT, "c"), None);
    let states = page.all("redis_exporter_canary_state", &[("target", "c")]);
    assert!(states.is_empty());
    assert!(publish_calls(&server) >= sent);
    let mut names = channels(&server);
    names.sort_by_key(|name| name.rsplit(':').next().map(ToOwned::to_owned));
    let ends: Vec<_> = names.iter().map(|name| &name[name.len() - 2..]).collect();
    assert_eq!(ends, [":a", ":b"], "{names:?}");
    // The witness has the numbers of each channel in order.
    let mut last = [0, 0];
    while last.iter().any(|number| *number < 3) {
        let message = witness.reply().unwrap().unwrap();
        let words: Vec<_> = message.lines().collect();
        let place = names.iter().position(|name| name == words[2]).unwrap();
        assert_eq!(words[3].parse(), Ok(last[place] + 1), "{message}");
        last[place] += 1;
    }
}

#[test]
fn messages_during_a_stall_are_late() {
    let server = RedisServer::start(&["--enable-debug-command", "yes"]);
    let exporter = launch(&format!(
        "{{ url: '{}', poll: {{ interval: 9s, timeout: 9s }} }}",
        server.url()
    ));
    let exporter = exporter.start();
    let page = until(LONG, "a late message", || {
        server.ask(&["DEBUG", "SLEEP", "2.2"]);
        let page = exporter.page();
        let late = page.get(COUNT, &[])? - page.get(BUCKET, &[("le", "1")])?;
        (late >= 1.0).then_some(page)
    });
    assert!(lost(&page) >= 1.0);
    let before = received(&page);
    until_received(&exporter, before + 2.0);
}

#[test]
fn frozen_server_loses_messages() {
    let server = RedisServer::start(&[]);
    let exporter = watch(&server);
    let page = until_received(&exporter, 2.0);
    let lost_before = lost(&page);
    server.freeze();
    until(LONG, "the end of the connection", || {
        exporter.log().contains("no canary").then_some(())
    });
    server.thaw();
    let page = exporter.until("a new connection", |page| {
        is_state(page, "connected") && received(page) >= 3.0
    });
    assert!(lost(&page) > lost_before, "{}", exporter.log());
    assert_eq!(channels(&server).len(), 1);
}

#[test]
fn killed_connection_is_replaced() {
    let server = RedisServer::start(&[]);
    let exporter = watch(&server);
    let before = received(&until_received(&exporter, 2.0));
    let clients = server.ask(&["CLIENT", "LIST"]);
    assert_eq!(
        clients
            .matches("name=redis-namespace-exporter-canary")
            .count(),
        1
    );
    assert_eq!(server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    until(LONG, "the end of the connection", || {
        exporter.log().contains("no canary").then_some(())
    });
    let page = until_received(&exporter, before + 2.0);
    assert!(is_state(&page, "connected"));
    // At most the message that was under way.
    assert_eq!(exporter.log().matches("the canary is connected").count(), 2);
    assert_eq!(channels(&server).len(), 1);
}

/// Behind a virtual address, open connections stay with the old primary.
#[test]
fn canary_follows_a_role_change() {
    let (first, second) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let address = Ipv4Addr::new(127, 0, 0, 8);
    let port = port::free();
    let virtual_address = Cutter::at(address, port, first.port);
    let exporter = launch(&format!(
        "{{ name: cache, url: 'redis://{address}:{port}' }}"
    ))
    .start();
    until_received(&exporter, 2.0);
    virtual_address.lead_to(second.port);
    first.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    until(LONG, "the second server", || {
        (channels(&second).len() == 1 && channels(&first).is_empty()).then_some(())
    });
    let before = received(&exporter.page());
    let page = until_received(&exporter, before + 2.0);
    assert!(is_state(&page, "connected"));
    // The role is the same from now on.
    exporter.polls(30);
    let log = exporter.log();
    assert!(
        log.matches("the canary connects again").count() <= 1,
        "{log}"
    );
}

#[test]
fn denied_command_makes_the_canary_absent() {
    for missing in [
        &["-publish", "allchannels"][..],
        &["-subscribe", "allchannels"],
        &["resetchannels"],
    ] {
        let server = RedisServer::start(&[]);
        let user = [
            "ACL", "SETUSER", "watcher", "reset", "on", ">secret", "~*", "+@all",
        ];
        server.ask(&[&user, missing].concat());
        let denied = || sweep::in_record(&server, "errorstat_NOPERM", "count");
        let url = format!("redis://watcher:secret@{}", server.address());
        let target = format!("{{ name: cache, url: '{url}' }}");
        let check = launch(&target).flag("check").run();
        assert_eq!(check.code(), 1, "{}", check.stdout);
        let line = "canary             denied: grant the user +subscribe +publish \
            &redis-namespace-exporter:*, or set canary.enabled to false\n";
        assert!(check.stdout.contains(line), "{}", check.stdout);
        server.ask(&["CONFIG", "RESETSTAT"]);
        let exporter = launch(&target).start();
        let page = exporter.until("the state", |page| is_state(page, "denied"));
        assert_eq!(page.get(SENT, &[]), None);
        assert_eq!(page.get(COUNT, &[]), None);
        let collector = [("collector", "canary")];
        assert_eq!(
            page.get("redis_exporter_collector_success", &collector),
            Some(0.0)
        );
        exporter.polls(3);
        assert_eq!(denied(), 1.0);
        assert!(
            exporter.log().contains("+subscribe +publish"),
            "{}",
            exporter.log()
        );
        let user = "ACL SETUSER watcher +publish +subscribe resetchannels \
            &redis-namespace-exporter:*";
        server.ask(&user.split(' ').collect::<Vec<_>>());
        let text = std::fs::read_to_string(exporter.configuration_path()).unwrap();
        exporter.reconfigure(&text.replace("interval: 1s", "interval: 1001ms"));
        exporter.reload();
        let page = until_received(&exporter, 1.0);
        assert_eq!(
            page.get("redis_exporter_collector_success", &collector),
            Some(1.0)
        );
        let check = launch(&target).flag("check").run();
        assert_eq!(check.code(), 0, "{}", check.stdout);
        assert!(check.stdout.contains("canary             works: "));
    }
}

/// HELLO without a name is what makes a server one of before Redis 6.
#[test]
fn server_without_resp3_is_reported() {
    let server = RedisServer::start(&["--rename-command", "HELLO", ""]);
    let exporter = watch(&server);
    let page = exporter.until("the state", |page| is_state(page, "unsupported"));
    assert_eq!(page.get(SENT, &[]), None);
    assert!(
        exporter
            .log()
            .contains("no canary: the server does not support RESP3"),
        "{}",
        exporter.log()
    );
    let target = format!("{{ name: cache, url: '{}' }}", server.url());
    let check = launch(&target).flag("check").run();
    assert_eq!(check.code(), 1);
    let line = "the server does not support RESP3; or set canary.enabled to false";
    assert!(check.stdout.contains(line), "{}", check.stdout);
}

#[test]
fn canary_is_off_by_default() {
    let server = RedisServer::start(&[]);
    let text = format!("targets: [{{ url: '{}' }}]\n", server.url());
    let exporter = Launch::configured(&text).start();
    exporter.until("a poll", Page::is_up);
    exporter.polls(2);
    assert_eq!(channels(&server), Vec::<String>::new());
    let states = exporter.page().all("redis_exporter_canary_state", &[]);
    assert!(states.is_empty());
}
