//! CLUSTER SLOT-STATS: the slots of a node with the most keys, CPU time, network traffic, and
//! memory. Not all slots, because a node can have thousands.

use super::signed;
use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Collector, Command, Flavor, Query, Read, Replies, Server};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries whether the node counts CPU time and network traffic per slot.
pub static ENABLED: Query = Query::new(
    &[&["CONFIG", "GET", "cluster-slot-stats-enabled"]],
    "+config|get",
);

/// Queries the top slots by one statistic.
static TOP: Query = Query::new(
    &[&["CLUSTER", "SLOT-STATS", "ORDERBY"]],
    "+cluster|slot-stats",
);

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static KEYS: Family<1> = Family::gauge("redis_cluster_slot_keys", &["slot"], source("CLUSTER SLOT-STATS", "key-count"), Unit::One, "Keys in the slot.");
    pub(super) static CPU: Family<1> = Family::counter("redis_cluster_slot_cpu_seconds_total", &["slot"], source("CLUSTER SLOT-STATS", "cpu-usec"), Unit::Microseconds, "CPU time of commands on the slot in seconds, if the node tracks it.");
    pub(super) static RECEIVED: Family<1> = Family::counter("redis_cluster_slot_network_received_bytes_total", &["slot"], source("CLUSTER SLOT-STATS", "network-bytes-in"), Unit::Bytes, "Bytes received by commands on the slot, if the node tracks them.");
    pub(super) static SENT: Family<1> = Family::counter("redis_cluster_slot_network_sent_bytes_total", &["slot"], source("CLUSTER SLOT-STATS", "network-bytes-out"), Unit::Bytes, "Bytes sent by commands on the slot, if the node tracks them.");
    pub(super) static MEMORY: Family<1> = Family::gauge("redis_cluster_slot_memory_bytes", &["slot"], source("CLUSTER SLOT-STATS", "memory-bytes"), Unit::Bytes, "Memory of the keys in the slot, if the node tracks it (Redis 8.4 and later).");
}

/// Statistics, each with the values of `cluster-slot-stats-enabled` that enable it. Keys are always
/// counted. Ordering by a statistic that is not counted would cause an error at every poll.
static STATISTICS: &[(&Family<1>, &[&str])] = &[
    (&rows::KEYS, &[]),
    (&rows::CPU, &["yes", "cpu"]),
    (&rows::RECEIVED, &["yes", "net"]),
    (&rows::SENT, &["yes", "net"]),
];

/// Reads the statistics of the top slots.
pub static COLLECTOR: Collector = Collector {
    name: "slot_stats",
    about: "Slots of a cluster node with the most keys, CPU time, network traffic and memory.",
    queries: &[&ENABLED],
    further_queries: &[&TOP],
    further,
    applies,
    families: || rows().map(Family::descriptor).collect(),
    read: Read::Samples(read),
    ..Collector::OFF
};

fn rows() -> impl Iterator<Item = &'static Family<1>> {
    let counted = STATISTICS.iter().map(|(family, _)| *family);
    counted.chain([&rows::MEMORY])
}

/// Returns whether the node has CLUSTER SLOT-STATS: since Valkey 8.0 and Redis 8.2.
fn applies(server: &Server) -> bool {
    let is_known = match server.flavor {
        Flavor::Redis => server.version >= (8, 2),
        Flavor::Valkey => server.version >= (8, 0),
        Flavor::KeyDb | Flavor::Tile38 => false,
    };
    is_known && server.is_cluster_node()
}

/// Queries the top slots by each statistic. Queries them by memory only after a reply shows that
/// the node counts it: that cannot be enabled at runtime, regardless of the parameter.
fn further(replies: &Replies) -> Vec<Command<'_>> {
    let enabled = replies.parameter(&ENABLED).unwrap_or_default();
    let enabled: Vec<&str> = enabled.split_ascii_whitespace().collect();
    let counted = STATISTICS.iter().enumerate();
    let counted = counted.filter(|(_, (_, words))| {
        words.is_empty() || enabled.iter().any(|word| words.contains(word))
    });
    let mut queries: Vec<Command<'_>> = counted
        .map(|(at, (family, _))| top_slots(replies, at, family))
        .collect();
    let counts_memory = |slot: &Reply| {
        let statistics = slot.items().get(1);
        let memory = rows::MEMORY.field();
        statistics.is_some_and(|all| all.value_of(memory).is_some())
    };
    if slots(replies).any(counts_memory) {
        queries.push(top_slots(replies, STATISTICS.len(), &rows::MEMORY));
    }
    queries
}

fn top_slots(replies: &Replies, at: usize, family: &Family<1>) -> Command<'static> {
    let top = replies.circumstances.options.slots.top.to_string();
    let metric = family.field().as_bytes();
    let words = [
        metric.into(),
        b"LIMIT".into(),
        top.into_bytes().into(),
        b"DESC".into(),
    ];
    TOP.with::<Cow<'_, [u8]>>(at, words)
}

/// Returns the slots of all replies. A slot can be in several replies.
fn slots(replies: &Replies) -> impl Iterator<Item = &Reply> {
    let received = (0..=STATISTICS.len()).filter_map(|at| replies.reply(TOP.ticket(at)));
    received.flat_map(Reply::items)
}

/// Reads all statistics of every slot in the replies.
fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let mut slots: BTreeMap<i64, &[Reply]> = BTreeMap::new();
    for slot in self::slots(replies) {
        if let [number, statistics, ..] = slot.items()
            && let Some(number) = number.integer()
        {
            slots.insert(number, statistics.items());
        }
    }
    for (slot, statistics) in slots {
        read_slot(&slot.to_string(), statistics, snapshot);
    }
}

fn read_slot(slot: &str, statistics: &[Reply], snapshot: &mut Snapshot) {
    for pair in statistics.chunks_exact(2) {
        let [name, value] = pair else { continue };
        let named = |family: &&'static Family<1>| name.bytes() == Some(family.field().as_bytes());
        if let (Some(family), Some(value)) = (rows().find(named), value.integer()) {
            snapshot.push(family, [slot], signed(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::info::Info;
    use crate::reply::Refusal;

    fn slot(number: i64, statistics: &[(&str, i64)]) -> Reply {
        let pairs = statistics.iter();
        let words = pairs.flat_map(|(name, value)| [reading::bytes(name), Reply::Integer(*value)]);
        Reply::List(vec![Reply::Integer(number), Reply::List(words.collect())])
    }

    /// Returns the queries sent to a node, and the samples for this reply.
    fn after_reply(enabled: &str, reply: &Reply) -> (Vec<String>, Vec<String>) {
        let parameter = reading::parameter("cluster-slot-stats-enabled", enabled);
        let circumstances = Circumstances::default();
        let received = Replies::new("", circumstances.clone()).with(&ENABLED, &parameter);
        let sent = further(&received);
        let sent = sent
            .iter()
            .map(|command| reading::words(command).join(" "))
            .collect();
        let replies = [(&ENABLED, parameter)];
        let reply_to = |_: &Command<'_>| Some(reply.clone());
        let shown = reading::of_further(&COLLECTOR, "", circumstances, &replies, &reply_to);
        (sent, shown)
    }

    #[test]
    fn only_key_counts_are_queried_without_other_statistics() {
        let reply = Reply::List(vec![
            slot(28, &[("key-count", 7)]),
            slot(3, &[("key-count", 1)]),
        ]);
        let by_keys = "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 10 DESC".to_owned();
        for enabled in ["no", ""] {
            let (sent, shown) = after_reply(enabled, &reply);
            assert_eq!(sent, [by_keys.as_str()]);
            let expected = [
                "redis_cluster_slot_keys{28} 7",
                "redis_cluster_slot_keys{3} 1",
            ];
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn top_slots_by_memory_are_queried_if_counted() {
        let parameter = reading::parameter("cluster-slot-stats-enabled", "yes");
        let mut replies = Replies::new("", Circumstances::default()).with(&ENABLED, &parameter);
        let first: Vec<_> = further(&replies)
            .iter()
            .map(|command| command.ticket)
            .collect();
        let reply = Reply::List(vec![slot(28, &[("key-count", 7), ("memory-bytes", 900)])]);
        for ticket in &first {
            replies.record(*ticket, reply.clone());
        }
        let second = further(&replies);
        assert_eq!(second.len(), first.len() + 1);
        let words = reading::words(second.last().unwrap()).join(" ");
        assert!(words.contains("ORDERBY memory-bytes"));
        let (_, shown) = after_reply("yes", &reply);
        let expected = [
            "redis_cluster_slot_keys{28} 7",
            "redis_cluster_slot_memory_bytes{28} 900",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn top_slots_of_each_counted_statistic_are_queried() {
        let all = [
            ("key-count", 7),
            ("cpu-usec", 1500),
            ("network-bytes-in", 20),
            ("network-bytes-out", 30),
            ("of-another-day", 1),
        ];
        let (sent, shown) = after_reply("yes", &Reply::List(vec![slot(28, &all)]));
        assert_eq!(sent.len(), 4);
        assert!(sent[3].ends_with("ORDERBY network-bytes-out LIMIT 10 DESC"));
        let expected = [
            "redis_cluster_slot_cpu_seconds_total{28} 1500",
            "redis_cluster_slot_keys{28} 7",
            "redis_cluster_slot_network_received_bytes_total{28} 20",
            "redis_cluster_slot_network_sent_bytes_total{28} 30",
        ];
        assert_eq!(shown, expected);
        assert_eq!(after_reply("cpu", &Reply::Nil).0.len(), 2);
    }

    #[test]
    fn refused_query_publishes_nothing() {
        let refusal = Reply::Error(Refusal {
            code: "ERR".to_owned(),
            message: "unknown subcommand 'SLOT-STATS'".to_owned(),
        });
        assert!(after_reply("yes", &refusal).1.is_empty());
    }

    #[test]
    fn only_supporting_nodes_are_queried() {
        let of = |info: &str| applies(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_mode:cluster\r\nredis_version:8.2.0\r\n"));
        assert!(of("server_mode:cluster\r\nvalkey_version:8.0.1\r\n"));
        assert!(!of("redis_mode:cluster\r\nredis_version:8.0.6\r\n"));
        assert!(!of("redis_mode:cluster\r\nvalkey_version:7.2.7\r\n"));
        assert!(!of("redis_mode:standalone\r\nredis_version:8.6.3\r\n"));
    }
}
