use proptest::prelude::*;

use super::*;
use crate::metric::SampleValue;

fn text(text: &str) -> Reply {
    Reply::Bytes(text.as_bytes().into())
}

fn map(pairs: &[(&str, Reply)]) -> Reply {
    let pairs = pairs.iter();
    Reply::List(
        pairs
            .flat_map(|(name, value)| [text(name), value.clone()])
            .collect(),
    )
}

fn stream() -> StreamReplies {
    StreamReplies::new(KeyName {
        database: 2,
        key: b"orders".to_vec(),
    })
}

const LIMITS: StreamLimits = StreamLimits {
    groups: 100,
    consumers: Some(100),
};

/// Returns all samples in the form `name{labels} value`.
fn shown(stream: &StreamReplies) -> Vec<String> {
    let mut snapshot = Snapshot::default();
    stream.push(&mut snapshot);
    let snapshot = snapshot.finish();
    snapshot
        .samples()
        .map(|sample| {
            let labels: Vec<_> = sample.label_values().collect();
            let SampleValue::Number(value) = sample.value else {
                unreachable!("streams have numbers only")
            };
            let name = sample.family.name.trim_start_matches("redis_stream_");
            format!("{name} {} {value}", labels.join(" "))
        })
        .collect()
}

fn group(name: &str, consumers: i64) -> Reply {
    map(&[
        ("name", text(name)),
        ("consumers", Reply::Integer(consumers)),
    ])
}

fn consumers(count: usize) -> Reply {
    let names = (0..count).map(|number| text(&format!("c{number:04}")));
    let one = |name| map(&[("name", name), ("pending", Reply::Integer(1))]);
    Reply::List(names.map(one).collect())
}

/// Returns the number of consumers that each group exports if its reply is complete.
fn shown_consumers(stream: &mut StreamReplies, counts: &[usize]) -> Vec<usize> {
    let queried: Vec<usize> = stream.queries_consumers().collect();
    for at in queried {
        stream.take_consumers(at, &consumers(counts[at]));
    }
    let groups = stream.groups.iter();
    groups.map(|group| group.consumers.len()).collect()
}

#[test]
fn ids_are_exported_as_milliseconds() {
    let mut stream = stream();
    stream.take_stream(&map(&[
        ("length", Reply::Integer(2)),
        ("last-generated-id", text("1795442318841-3")),
        ("max-deleted-entry-id", text("0-0")),
        (
            "first-entry",
            Reply::List(vec![text("17-1"), Reply::List(vec![])]),
        ),
        (
            "last-entry",
            Reply::List(vec![text("18-0"), Reply::List(vec![])]),
        ),
        ("a-field-of-tomorrow", Reply::Integer(7)),
    ]));
    assert_eq!(
        shown(&stream),
        [
            "first_entry_id db2 orders 17",
            "last_entry_id db2 orders 18",
            "last_generated_id db2 orders 1795442318841",
            "length db2 orders 2",
            "max_deleted_entry_id db2 orders 0",
        ]
    );
}

#[test]
fn empty_stream_has_no_first_or_last_entry() {
    let mut stream = stream();
    stream.take_stream(&map(&[
        ("length", Reply::Integer(0)),
        ("first-entry", Reply::Nil),
        ("last-entry", Reply::Nil),
    ]));
    assert_eq!(shown(&stream), ["length db2 orders 0"]);
}

#[test]
fn unknown_lag_and_entries_read_are_absent() {
    let mut stream = stream();
    let of = |name, lag: Reply, read| {
        map(&[
            ("name", text(name)),
            ("pending", Reply::Integer(0)),
            ("entries-read", read),
            ("lag", lag),
        ])
    };
    let groups = [
        of("known", Reply::Integer(0), Reply::Integer(5)),
        of("unknown", Reply::Nil, Reply::Nil),
    ];
    stream.take_groups(&Reply::List(groups.to_vec()), LIMITS);
    assert_eq!(
        shown(&stream),
        [
            "group_entries_read db2 orders known 5",
            "group_lag db2 orders known 0",
            "group_messages_pending db2 orders known 0",
            "group_messages_pending db2 orders unknown 0",
        ]
    );
}

#[test]
fn consumer_without_messages_has_no_inactive_time() {
    let mut stream = stream();
    stream.take_groups(&Reply::List(vec![group("g", 1)]), LIMITS);
    let consumer = map(&[
        ("name", Reply::Bytes(b"c\xff"[..].into())),
        ("idle", Reply::Integer(1500)),
        ("inactive", Reply::Integer(-1)),
    ]);
    stream.take_consumers(0, &Reply::List(vec![consumer]));
    assert_eq!(
        shown(&stream),
        [
            "group_consumer_idle_seconds db2 orders g c\\xff 1500",
            "group_consumers db2 orders g 1"
        ]
    );
}

#[test]
fn groups_beyond_the_limit_are_counted() {
    let mut stream = stream();
    let groups = ["a", "b", "c"].map(|name| group(name, 2));
    let limits = StreamLimits {
        groups: 2,
        ..LIMITS
    };
    stream.take_groups(&Reply::List(groups.to_vec()), limits);
    assert_eq!(stream.groups.len(), 2);
    assert_eq!((stream.groups_dropped, stream.consumers_dropped), (1, 2));
}

#[test]
fn consumers_beyond_the_limit_are_counted() {
    let mut stream = stream();
    let counts = [3, 4, 1, 0];
    let groups = counts.map(|count| group("g", count));
    let limits = StreamLimits {
        consumers: Some(5),
        ..LIMITS
    };
    stream.take_groups(&Reply::List(groups.to_vec()), limits);
    assert_eq!(shown_consumers(&mut stream, &[3, 4, 1, 0]), [3, 2, 0, 0]);
    assert_eq!(stream.consumers_dropped, 3);
}

#[test]
fn disabled_consumers_are_neither_queried_nor_dropped() {
    let mut stream = stream();
    let limits = StreamLimits {
        consumers: None,
        ..LIMITS
    };
    stream.take_groups(&Reply::List(vec![group("g", 5)]), limits);
    assert_eq!(stream.queries_consumers().count(), 0);
    assert_eq!(stream.consumers_dropped, 0);
    assert_eq!(shown(&stream), ["group_consumers db2 orders g 5"]);
}

#[test]
fn huge_replies_are_not_requested() {
    let mut stream = stream();
    stream.take_groups(&Reply::List(vec![group("g", 1001), group("h", 1)]), LIMITS);
    let queried: Vec<_> = stream.queries_consumers().collect();
    assert_eq!((queried, stream.consumers_dropped), (vec![1], 1001));
    for (groups, is_queried, dropped) in [(0, false, 0), (1000, true, 0), (1001, false, 1001)] {
        stream.take_stream(&map(&[("groups", Reply::Integer(groups))]));
        assert_eq!(stream.queries_groups(), is_queried, "{groups}");
        assert_eq!(stream.groups_dropped, dropped);
    }
}

#[test]
fn groups_are_queried_without_a_stream_reply() {
    assert!(stream().queries_groups());
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let word = prop_oneof![
        Just(b"name".to_vec()),
        Just(b"consumers".to_vec()),
        Just(b"groups".to_vec()),
        Just(b"first-entry".to_vec()),
        Just(b"1-".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    let leaf = prop_oneof![
        word.prop_map(|bytes| Reply::Bytes(bytes.into())),
        any::<i64>().prop_map(Reply::Integer),
        Just(Reply::Nil),
    ];
    leaf.prop_recursive(3, 40, 8, |inner| {
        proptest::collection::vec(inner, 0..8).prop_map(Reply::List)
    })
}

proptest! {
    #[test]
    fn any_replies_are_parsed_without_panic(
        of_stream in any_reply(),
        of_groups in any_reply(),
        of_consumers in any_reply(),
        groups in 0_usize..3,
        consumers in 0_usize..3,
    ) {
        let mut stream = stream();
        stream.take_stream(&of_stream);
        stream.take_groups(&of_groups, StreamLimits { groups, consumers: Some(consumers) });
        for at in 0..3 {
            stream.take_consumers(at, &of_consumers);
        }
        prop_assert!(stream.groups.len() <= groups);
        let shown: usize = stream.groups.iter().map(|group| group.consumers.len()).sum();
        prop_assert!(shown <= consumers);
        stream.push(&mut Snapshot::default());
    }
}
