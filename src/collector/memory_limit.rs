//! The memory limit of a server: the value that it reports, else the configured one.
//!
//! Managed services often hide `maxmemory` or leave it 0 despite a limit.

use super::{Collector, INFO, Read, Replies, Server, config};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::number::to_float as in_bytes;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    /// Absent instead of 0, to save a series for targets without this setting.
    pub(super) static EXPECT_FULL: Family<0> = Family::gauge("redis_memory_expect_full", &[], source("INFO", "maxmemory"), Unit::One, "Whether the server is declared as a cache that is meant to be full (1); absent otherwise.");
    pub(super) static LIMIT: Family<0> = Family::gauge("redis_memory_limit_bytes", &[], source("INFO", "maxmemory"), Unit::Bytes, "Memory limit of the server: maxmemory, otherwise the declared limit; absent without a limit.");
}

/// Reads the limit. Needs no permission beyond INFO: it uses the reply to `CONFIG GET maxmemory` if
/// the collector `config` sent that query.
pub static COLLECTOR: Collector = Collector {
    name: "memory_limit",
    about: "Memory limit of the server, or the declared one.",
    queries: &[&INFO],
    applies: Server::holds_keys,
    families: || vec![rows::LIMIT.descriptor(), rows::EXPECT_FULL.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    snapshot.push(&rows::LIMIT, [], limit(replies));
    if replies.circumstances.expect_full {
        snapshot.push(&rows::EXPECT_FULL, [], 1.0);
    }
}

/// Returns the first nonzero limit. 0 means unlimited.
fn limit(replies: &Replies) -> Option<f64> {
    let positive = |limit: &f64| *limit > 0.0;
    let reported = replies.info.number("maxmemory").filter(positive);
    reported
        .or_else(|| config::number(replies, &config::MAXMEMORY).filter(positive))
        .or_else(|| {
            replies
                .circumstances
                .declared_memory_limit
                .map(in_bytes)
                .filter(positive)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    fn seen(info: &str, config: &str, declared: Option<u64>) -> Vec<String> {
        let circumstances = Circumstances {
            declared_memory_limit: declared,
            ..Circumstances::default()
        };
        let replies = [(&config::MAXMEMORY, reading::parameter("maxmemory", config))];
        reading::of(&COLLECTOR, info, circumstances, &replies)
    }

    #[test]
    fn first_source_with_a_limit_wins() {
        let of_256_mib = ["redis_memory_limit_bytes{} 268435456"];
        assert_eq!(seen("maxmemory:268435456\r\n", "1", Some(2)), of_256_mib);
        assert_eq!(seen("maxmemory:0\r\n", "268435456", Some(2)), of_256_mib);
        assert_eq!(
            seen("redis_version:7.0.15\r\n", "0", Some(268_435_456)),
            of_256_mib
        );
    }

    #[test]
    fn declared_full_cache_has_a_sample() {
        let circumstances = Circumstances {
            expect_full: true,
            ..Circumstances::default()
        };
        assert_eq!(
            reading::of(&COLLECTOR, "maxmemory:0\r\n", circumstances, &[]),
            ["redis_memory_expect_full{} 1"]
        );
    }

    #[test]
    fn missing_limit_has_no_sample() {
        assert!(seen("maxmemory:0\r\n", "0", None).is_empty());
        assert!(seen("maxmemory:0\r\n", "0", Some(0)).is_empty());
    }
}
