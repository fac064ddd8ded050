//! Unusual INFO replies, read by all collectors that need INFO alone.

use std::collections::HashMap;

use crate::collector::{ALL, INFO, Server, reading};
use crate::info::Info;

/// Returns all samples of a poll with INFO alone, keyed by the text before the value.
fn samples(info: &str) -> HashMap<String, f64> {
    let server = Server::from_info(&Info::parse(info));
    let readers = ALL.iter().filter(|collector| {
        let reads_info_alone = collector.queries.iter().all(|query| *query == &INFO);
        reads_info_alone && (collector.applies)(&server)
    });
    let lines = readers.flat_map(|collector| reading::of_info(collector, info));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

fn assert_values(info: &str, expected: &[(&str, f64)]) {
    let samples = samples(info);
    for (name, value) in expected {
        assert_eq!(samples.get(*name), Some(value), "{name} of {samples:?}");
    }
}

fn assert_absent(info: &str, name: &str) {
    let samples = samples(info);
    let found = samples.keys().find(|sample| sample.starts_with(name));
    assert_eq!(found, None);
}

#[test]
fn names_of_commands_and_codes_may_contain_colons() {
    let expected = [
        ("redis_commands_total{host:}", 4.0),
        ("redis_commands_duration_seconds_total{host:}", 40.0),
        ("redis_commands_total{get}", 7.0),
        ("redis_errors_total{@user_script:}", 3.0),
    ];
    let info = include_str!("../../../tests/cases/colon-in-field-name.info");
    assert_values(info, &expected);
}

#[test]
fn unsigned_underflow_is_negative_or_absent() {
    let info = include_str!("../../../tests/cases/unsigned-underflow.info");
    let expected = [
        ("redis_mem_fragmentation_bytes{}", -100_000_000.0),
        ("redis_allocator_frag_bytes{}", -8_192.0),
        ("redis_allocator_rss_bytes{}", -135_168.0),
        ("redis_rss_overhead_bytes{}", -32_768.0),
        ("redis_memory_used_overhead_bytes{}", 1_500_000.0),
    ];
    assert_values(info, &expected);
    assert_absent(info, "redis_memory_used_dataset");
}

#[test]
fn replicas_with_missing_parts_are_published() {
    let info = include_str!("../../../tests/cases/slaves-ipv6-hostname-noport.info");
    let expected = [
        (
            "redis_connected_slave_lag_bytes{2001:db8:0:1::12,6379,online}",
            10.0,
        ),
        (
            "redis_connected_slave_lag_bytes{replica-2.cache.svc.cluster.local,6379,online}",
            5.0,
        ),
        ("redis_connected_slave_lag_bytes{10.0.0.7,,online}", 20.0),
        ("redis_connected_slave_offset_bytes{,6381,wait_bgsave}", 0.0),
        ("redis_connected_slave_lag_seconds{,6381,wait_bgsave}", 0.0),
    ];
    assert_values(info, &expected);
}

#[test]
fn replicas_at_one_address_publish_the_worst_values() {
    let info = include_str!("../../../tests/cases/slaves-same-address.info");
    let expected = [
        (
            "redis_connected_slave_lag_seconds{127.0.0.1,6379,online}",
            30.0,
        ),
        (
            "redis_connected_slave_offset_bytes{127.0.0.1,6379,online}",
            10.0,
        ),
        (
            "redis_connected_slave_lag_bytes{127.0.0.1,6379,online}",
            90.0,
        ),
    ];
    assert_values(info, &expected);
}

#[test]
fn blanks_and_byte_order_mark_are_skipped() {
    let info = include_str!("../../../tests/cases/cr-only-and-spaces.info");
    let expected = [
        ("redis_memory_used_bytes{}", 1_000_000.0),
        ("redis_db_keys{db0}", 10.0),
        ("redis_db_keys_expiring{db0}", 2.0),
        ("redis_db_avg_ttl_seconds{db0}", 100.0),
    ];
    assert_values(info, &expected);
    assert_values(&info.replace('\n', "\r"), &expected);
}

#[test]
fn keyspace_with_comments_and_other_fields_is_read() {
    let info = include_str!("../../../tests/cases/kvrocks-keyspace.info");
    let expected = [
        ("redis_db_keys{db0}", 41.0),
        ("redis_db_keys_expiring{db0}", 6.0),
    ];
    assert_values(info, &expected);
}

#[test]
fn unreadable_database_is_absent() {
    let info = include_str!("../../../tests/cases/unreadable-db-with-config.info");
    assert_values(info, &[("redis_db_keys{db0}", 10.0)]);
    for database in ["db1", "db2", "db3"] {
        assert_absent(info, &format!("redis_db_keys{{{database}}}"));
    }
}

#[test]
fn unreadable_keyspace_yields_no_empty_databases() {
    for info in [
        include_str!("../../../tests/cases/pika-keyspace.info"),
        include_str!("../../../tests/cases/upstash-like.info"),
    ] {
        assert_absent(info, "redis_db_keys");
    }
}
