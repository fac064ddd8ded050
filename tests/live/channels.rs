//! Pub/sub channels and their subscribers.

use crate::support::redis::Client;
use crate::support::{Exporter, Launch, RedisServer};

fn watched(server: &RedisServer) -> Exporter {
    Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\nchannels:\n\
         - {{ name: admin, match: 'prism:admin' }}\n- {{ name: prism, match: 'prism:*' }}\n",
        server.url()
    ))
    .start()
}

fn subscribed(server: &RedisServer, command: &str, channel: &str) -> Client {
    let mut client = Client::connect(server.port).unwrap();
    client.ask(&[command, channel]);
    client
}

#[test]
fn subscribers_are_counted_by_channel_group() {
    let server = RedisServer::start(&[]);
    let _first = subscribed(&server, "SUBSCRIBE", "prism:1");
    let _again = subscribed(&server, "SUBSCRIBE", "prism:1");
    let _second = subscribed(&server, "SUBSCRIBE", "prism:2");
    let _other = subscribed(&server, "SUBSCRIBE", "news");
    let _pattern = subscribed(&server, "PSUBSCRIBE", "prism:*");
    let exporter = watched(&server);
    let page = exporter.until("the channels", |page| {
        page.get(
            "redis_channel_group_channels",
            &[("channel_group", "prism")],
        ) == Some(2.0)
    });
    for (group, channels, subscribers) in [
        ("admin", 0.0, 0.0),
        ("prism", 2.0, 3.0),
        ("other", 1.0, 1.0),
    ] {
        let group = [("channel_group", group)];
        assert_eq!(page.value("redis_channel_group_channels", &group), channels);
        assert_eq!(
            page.value("redis_channel_group_subscribers", &group),
            subscribers
        );
        assert_eq!(
            page.value("redis_channel_group_shard_channels", &group),
            0.0
        );
    }
    assert_eq!(page.value("redis_pubsub_patterns", &[]), 1.0);
    assert_eq!(page.value("redis_channel_group_dropped_channels", &[]), 0.0);
}

#[test]
fn expected_channels_without_subscriber_are_counted() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\nchannels:\n\
         - {{ name: prism, match: 'prism:*', expect_subscribers: ['prism:1', 'prism:2'] }}\n\
         - {{ name: news, match: 'news' }}\n",
        server.url()
    ))
    .start();
    let silent = |group| {
        let group = [("channel_group", group)];
        let family = "redis_channel_group_expected_channels_silent";
        move |page: &crate::support::Page| page.get(family, &group)
    };
    let prism = silent("prism");
    exporter.until("two silent channels", |page| prism(page) == Some(2.0));
    let first = subscribed(&server, "SUBSCRIBE", "prism:1");
    let _pattern = subscribed(&server, "PSUBSCRIBE", "prism:*");
    let page = exporter.until("a subscriber", |page| prism(page) == Some(1.0));
    assert_eq!(silent("news")(&page), None);
    drop(first);
    exporter.until("its end", |page| prism(page) == Some(2.0));
    let _both = [
        subscribed(&server, "SUBSCRIBE", "prism:1"),
        subscribed(&server, "SUBSCRIBE", "prism:2"),
    ];
    exporter.until("both subscribers", |page| prism(page) == Some(0.0));
    server.ask(&["ACL", "SETUSER", "default", "-pubsub|numsub"]);
    exporter.until("the refusal", |page| prism(page).is_none());
    let channels = [("collector", "channels")];
    exporter.until("a failed collector", |page| {
        page.get("redis_exporter_collector_success", &channels) == Some(0.0)
    });
}

#[test]
fn shard_channels_of_a_cluster_node_are_counted() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    crate::support::until(crate::support::wait::LONG, "a working cluster", || {
        let info = server.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok").then_some(())
    });
    let _shard = subscribed(&server, "SSUBSCRIBE", "prism:1");
    let exporter = watched(&server);
    let prism = [("channel_group", "prism")];
    exporter.until("the shard channel", |page| {
        page.get("redis_channel_group_shard_channels", &prism) == Some(1.0)
            && page.get("redis_channel_group_shard_subscribers", &prism) == Some(1.0)
            && page.get("redis_channel_group_subscribers", &prism) == Some(0.0)
    });
}

#[test]
fn only_channels_of_declared_groups_are_queried() {
    let server = RedisServer::start(&[]);
    let mut subscriber = Client::connect(server.port).unwrap();
    for thousand in 0..11 {
        let names: Vec<String> = (0..1_000)
            .map(|number| format!("room:{thousand}:{number}"))
            .collect();
        let mut words = vec!["SUBSCRIBE"];
        words.extend(names.iter().map(String::as_str));
        subscriber.ask(&words);
        for _ in 1..names.len() {
            subscriber.reply().unwrap().unwrap();
        }
    }
    let _prism = subscribed(&server, "SUBSCRIBE", "prism:1");
    let exporter = watched(&server);
    let page = exporter.until("the group", |page| {
        let prism = [("channel_group", "prism")];
        page.get("redis_channel_group_subscribers", &prism) == Some(1.0)
    });
    let other = [("channel_group", "other")];
    assert_eq!(page.value("redis_channel_group_channels", &other), 11_000.0);
    assert_eq!(page.get("redis_channel_group_subscribers", &other), None);
    assert_eq!(
        page.value("redis_channel_group_dropped_channels", &[]),
        11_000.0
    );
}

#[test]
fn channels_are_counted_when_numsub_is_denied() {
    let server = RedisServer::start(&[]);
    server.ask(&["ACL", "SETUSER", "default", "-pubsub|numsub"]);
    let _first = subscribed(&server, "SUBSCRIBE", "prism:1");
    let exporter = watched(&server);
    let collector = [("collector", "channels")];
    let page = exporter.until("the refusal", |page| {
        page.get("redis_exporter_collector_success", &collector) == Some(0.0)
    });
    let prism = [("channel_group", "prism")];
    assert_eq!(page.value("redis_channel_group_channels", &prism), 1.0);
    assert_eq!(page.get("redis_channel_group_subscribers", &prism), None);
}

#[test]
fn no_channels_are_queried_without_declared_groups() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    exporter.polls(2);
    assert_eq!(server.info("cmdstat_pubsub|channels"), None);
    assert_eq!(server.info("cmdstat_client|list"), None);
}
