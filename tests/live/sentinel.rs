//! Sentinels: metrics of a primary, loss of the quorum, and secrets.

use crate::support::redis::Client;
use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

const PASSWORD: &str = "hush-nobody-may-see-this";

/// A primary with one replica and a password, and sentinels that have found each other.
struct Watched {
    primary: RedisServer,
    _replica: RedisServer,
    sentinels: Vec<RedisServer>,
}

impl Watched {
    fn start() -> Self {
        let secret = ["--requirepass", PASSWORD, "--masterauth", PASSWORD];
        let primary = RedisServer::start(&secret);
        let port = primary.port.to_string();
        let of = ["--replicaof", "127.0.0.1", &port];
        let prompt = ["--repl-diskless-sync-delay", "0"];
        let replica = RedisServer::start(&[&secret[..], &of, &prompt].concat());
        let lines = format!(
            "sentinel monitor main 127.0.0.1 {port} 2\nsentinel auth-pass main {PASSWORD}\n\
             sentinel down-after-milliseconds main 1000\n\
             sentinel sentinel-pass {PASSWORD}\nrequirepass {PASSWORD}"
        );
        let start = |_| RedisServer::sentinel(&lines);
        let watched = Self {
            primary,
            _replica: replica,
            sentinels: (0..3).map(start).collect(),
        };
        until(LONG, "the sentinels to find each other", || {
            let known = |sentinel: &RedisServer| {
                let info = sentinel.ask_as(PASSWORD, &["INFO", "sentinel"]);
                info.contains("slaves=1,sentinels=3")
            };
            watched.sentinels.iter().all(known).then_some(())
        });
        watched
    }

    /// Returns the labels that all metrics of the primary have.
    fn labels(&self) -> [(&str, String); 2] {
        [
            ("master_name", "main".to_owned()),
            ("master_address", self.primary.address()),
        ]
    }

    fn value(&self, page: &Page, metric: &str) -> Option<f64> {
        let labels = self.labels();
        let labels = labels
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        page.get(&format!("redis_sentinel_master_{metric}"), &labels)
    }

    fn exporter(&self) -> Exporter {
        let url = self.sentinels[0].url();
        Launch::configured(&format!(
            "poll: {{ interval: 300ms }}\ntargets:\n- name: watcher\n  url: '{url}'\n  \
             password: {PASSWORD}\n  \
             collectors: {{ sentinel_peers: true, sentinel_config: true }}\n"
        ))
        .start()
    }

    fn ask(&self, words: &[&str]) -> Result<String, String> {
        let mut client = Client::connect(self.sentinels[0].port).unwrap();
        client.ask(&["AUTH", PASSWORD]);
        client.try_ask(words).unwrap()
    }
}

fn message(page: &Page, status: f64) -> Vec<String> {
    page.label_values("redis_sentinel_master_ckquorum_status", "message", status)
}

fn assert_all_collectors_work(page: &Page) {
    let failed = page.label_values("redis_exporter_collector_success", "collector", 0.0);
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn sentinel_shows_settings_sentinels_and_quorum() {
    let mut watched = Watched::start();
    let exporter = watched.exporter();
    let page = exporter.until("all three and the replica", |page| {
        watched.value(page, "ok_sentinels") == Some(3.0)
            && watched.value(page, "ok_slaves") == Some(1.0)
    });
    let expected = [
        ("setting_ckquorum", 2.0),
        ("setting_failover_timeout", 180_000.0),
        ("setting_parallel_syncs", 1.0),
        ("setting_down_after_milliseconds", 1000.0),
        ("config_epoch", 0.0),
    ];
    for (metric, value) in expected {
        assert_eq!(watched.value(&page, metric), Some(value), "{metric}");
    }
    let since = watched.value(&page, "last_ok_ping_reply_seconds").unwrap();
    assert!((0.0..10.0).contains(&since), "{since}");
    let reply = watched.ask(&["SENTINEL", "CKQUORUM", "main"]).unwrap();
    assert_eq!(message(&page, 1.0), [reply]);
    assert_eq!(page.all("redis_sentinel_peer_info", &[]).len(), 2);
    for sentinel in &watched.sentinels[1..] {
        let port = sentinel.port.to_string();
        let labels = [("port", port.as_str()), ("flags", "sentinel")];
        assert_eq!(page.value("redis_sentinel_peer_info", &labels), 1.0);
    }
    let resolve = [("key", "resolve-hostnames"), ("value", "no")];
    assert_eq!(page.value("redis_sentinel_config_key_value", &resolve), 1.0);
    let port = [("key", "announce-port")];
    assert_eq!(page.value("redis_sentinel_config_value", &port), 0.0);
    assert_all_collectors_work(&page);

    for sentinel in &mut watched.sentinels[1..] {
        sentinel.kill();
    }
    let page = exporter.until("the quorum to be lost", |page| {
        watched.value(page, "ok_sentinels") == Some(1.0) && !message(page, 0.0).is_empty()
    });
    // The two sentinels go down one after the other. The page and the server must report both.
    until(LONG, "the server's message", || {
        let reply = watched.ask(&["SENTINEL", "CKQUORUM", "main"]).unwrap_err();
        (message(&exporter.page(), 0.0) == [reply]).then_some(())
    });
    assert!(message(&page, 1.0).is_empty());
    assert_all_collectors_work(&exporter.page());
    let settings = watched.ask(&["SENTINEL", "CONFIG", "GET", "*"]).unwrap();
    assert!(settings.contains(PASSWORD), "there is nothing to hide");
    assert!(!exporter.page().0.contains(PASSWORD));
    assert!(!exporter.log().contains(PASSWORD));
}

#[test]
fn lost_quorum_adds_no_errors_to_the_sentinel() {
    let primary = RedisServer::start(&[]);
    let sentinel = RedisServer::sentinel(&format!(
        "sentinel monitor lonely 127.0.0.1 {} 2",
        primary.port
    ));
    let exporter = Launch::of(&sentinel.url()).start();
    let page = exporter.until("the quorum", |page| !message(page, 0.0).is_empty());
    assert_eq!(page.value("redis_sentinel_masters", &[]), 1.0);
    let before = sentinel.info("total_error_replies");
    exporter.polls(3);
    assert_eq!(sentinel.info("total_error_replies"), before);
}

#[test]
fn down_primary_has_status_0() {
    let mut primary = RedisServer::start(&[]);
    let sentinel = RedisServer::sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 500",
        primary.port
    ));
    let exporter = Launch::of(&sentinel.url()).start();
    let status = |page: &Page| page.all("redis_sentinel_master_status", &[("master_name", "main")]);
    exporter.until("a primary that is up", |page| status(page) == [1.0]);
    primary.kill();
    exporter.until("a primary that is down", |page| status(page) == [0.0]);
}

#[test]
fn documented_permissions_suffice_for_a_sentinel() {
    let page = include_str!("../../docs/guides/permissions.md");
    let line = page
        .lines()
        .find(|line| line.starts_with("ACL SETUSER watcher "))
        .unwrap();
    let watched = RedisServer::start(&[]);
    let sentinel = RedisServer::sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {} 1",
        watched.port
    ));
    sentinel.ask(&line.split_whitespace().collect::<Vec<_>>());
    let url = format!("redis://watcher:secret@{}", sentinel.address());
    let exporter = Launch::of(&url).start();
    let page = exporter.until("the quorum", |page| !message(page, 1.0).is_empty());
    page.value("redis_sentinel_master_ok_slaves", &[]);
    assert_all_collectors_work(&page);
}

#[test]
fn denied_query_about_many_primaries_costs_one_error() {
    let watched = RedisServer::start(&[]);
    let monitor = |name| format!("sentinel monitor {name} 127.0.0.1 {} 1\n", watched.port);
    let sentinel = RedisServer::sentinel(&["a", "b", "c"].map(monitor).concat());
    let allowed = "+ping +info +client|setname +sentinel|masters +sentinel|replicas";
    let mut words = vec!["ACL", "SETUSER", "watcher", "reset", "on", ">secret"];
    words.extend(allowed.split(' '));
    sentinel.ask(&words);
    let url = format!("redis://watcher:secret@{}", sentinel.address());
    let exporter = Launch::of(&url).start();
    exporter.until("a poll", Page::is_up);
    let page = exporter.polls(3);
    let success = page.value(
        "redis_exporter_collector_success",
        &[("collector", "sentinel_masters")],
    );
    assert_eq!(success, 0.0);
    assert_eq!(page.all("redis_sentinel_master_ok_slaves", &[]).len(), 3);
    let errors: f64 = sentinel
        .info("total_error_replies")
        .unwrap()
        .parse()
        .unwrap();
    // The exporter may retry on a new connection.
    let connects = page.value("redis_exporter_connects_total", &[]);
    assert!(
        (1.0..=connects).contains(&errors),
        "{errors} errors, {connects} connections"
    );
}
