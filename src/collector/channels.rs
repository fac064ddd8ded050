//! PUBSUB: channels and subscribers of the declared groups. Subscribers are not identified.
//!
//! Listing all channels of a server that has many takes milliseconds. The collector therefore
//! checks the counts in INFO first. Above a threshold it lists only channels that match a group's
//! glob.

use std::collections::HashSet;
use std::iter::zip;

use super::{Collector, Command, Query, Read, Replies, Server};
use crate::config::{ChannelGroup, Pattern};
use crate::label::OTHER;
use crate::metric::{Family, Snapshot, Unit, source};
use crate::number::length as float;
use crate::number::signed as subscriptions;
use crate::reply::Reply;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static CHANNELS: Family<1> = Family::gauge("redis_channel_group_channels", &["channel_group"], source("PUBSUB CHANNELS", ""), Unit::One, "Channels of the group with subscribers by name; channels with pattern subscriptions only do not count.");
    pub(super) static SUBSCRIBERS: Family<1> = Family::gauge("redis_channel_group_subscribers", &["channel_group"], source("PUBSUB NUMSUB", ""), Unit::One, "Subscriptions to the channels of the group by name; pattern subscriptions (PSUBSCRIBE) do not count.");
    pub(super) static SILENT: Family<1> = Family::gauge("redis_channel_group_expected_channels_silent", &["channel_group"], source("PUBSUB NUMSUB", ""), Unit::One, "Channels in `expect_subscribers` of the group that have no subscriber by name; pattern subscriptions do not count.");
    pub(super) static DROPPED: Family<0> = Family::gauge("redis_channel_group_dropped_channels", &[], source("PUBSUB CHANNELS", ""), Unit::One, "Channels whose subscribers are not counted because there are too many channels.");
    pub(super) static SHARD_CHANNELS: Family<1> = Family::gauge("redis_channel_group_shard_channels", &["channel_group"], source("PUBSUB SHARDCHANNELS", ""), Unit::One, "Shard channels of the group that have subscribers.");
    pub(super) static SHARD_SUBSCRIBERS: Family<1> = Family::gauge("redis_channel_group_shard_subscribers", &["channel_group"], source("PUBSUB SHARDNUMSUB", ""), Unit::One, "Subscriptions to the shard channels of the group.");
    pub(super) static SHARD_DROPPED: Family<0> = Family::gauge("redis_channel_group_dropped_shard_channels", &[], source("PUBSUB SHARDCHANNELS", ""), Unit::One, "Shard channels whose subscribers are not counted because there are too many shard channels.");
}

/// Maximum number of channels for listing all of them. Takes about 0.6 ms.
const MOST_LISTED: f64 = 10_000.0;

/// Maximum number of channels for listing by group. Takes 3 to 4 ms per 100,000 channels.
const MOST_SEARCHED: f64 = 200_000.0;

/// Maximum number of groups whose channels are listed. All lists of a poll share one pipeline,
/// which blocks other clients.
const MOST_SEARCHES: usize = 3;

/// Maximum number of channels whose subscribers are queried in one poll. Takes 1 to 2 ms.
const MOST_QUERIED: usize = 10_000;

/// Maximum number of channels in one command. Takes about 0.1 ms.
const MOST_IN_COMMAND: usize = 1_000;

/// Ticket of the first command about expected channels. The other counts of a poll have lower ones.
const FIRST_EXPECTED: usize = MOST_QUERIED;

static LIST: Query = Query::new(&[&["PUBSUB", "CHANNELS"]], "+pubsub|channels");
static COUNT: Query = Query::new(&[&["PUBSUB", "NUMSUB"]], "+pubsub|numsub");
// Available since Redis 7.0, but not in `KeyDB`.
static SHARD_LIST: Query = Query::new(&[&["PUBSUB", "SHARDCHANNELS"]], "+pubsub|shardchannels");
static SHARD_COUNT: Query = Query::new(&[&["PUBSUB", "SHARDNUMSUB"]], "+pubsub|shardnumsub");

/// Counts channels and subscribers.
pub static COLLECTOR: Collector = Collector {
    name: "channels",
    about: "Pub/sub channels and their subscribers by group (option `channels`). On if groups are declared.",
    default: |options| !options.channels.is_empty(),
    further_queries: &[&LIST, &COUNT, &SHARD_LIST, &SHARD_COUNT],
    may_send: |query, replies| {
        let is_of_kind = |kind: &ChannelKind| [kind.list, kind.count].contains(&query);
        let kind = KINDS.iter().find(|kind| is_of_kind(kind));
        kind.is_some_and(|kind| replies.info.number(kind.total).is_some())
            || (query == &COUNT && !expected(replies).is_empty())
    },
    further,
    applies: Server::holds_keys,
    families: || {
        let by_group = [
            &rows::CHANNELS,
            &rows::SUBSCRIBERS,
            &rows::SHARD_CHANNELS,
            &rows::SHARD_SUBSCRIBERS,
            &rows::SILENT,
        ];
        let by_group = by_group.map(Family::descriptor);
        let plain = [&rows::DROPPED, &rows::SHARD_DROPPED].map(Family::descriptor);
        by_group.into_iter().chain(plain).collect()
    },
    read: Read::Samples(read),
    ..Collector::ON
};

/// A kind of channel. All kinds have the same queries.
struct ChannelKind {
    /// The INFO field with the number of channels. Servers without this kind lack it.
    total: &'static str,
    list: &'static Query,
    count: &'static Query,
    channels: &'static Family<1>,
    subscribers: &'static Family<1>,
    dropped: &'static Family<0>,
}

static KINDS: [ChannelKind; 2] = [
    ChannelKind {
        total: "pubsub_channels",
        list: &LIST,
        count: &COUNT,
        channels: &rows::CHANNELS,
        subscribers: &rows::SUBSCRIBERS,
        dropped: &rows::DROPPED,
    },
    ChannelKind {
        total: "pubsubshard_channels",
        list: &SHARD_LIST,
        count: &SHARD_COUNT,
        channels: &rows::SHARD_CHANNELS,
        subscribers: &rows::SHARD_SUBSCRIBERS,
        dropped: &rows::SHARD_DROPPED,
    },
];

/// The channels of each group, `other` last; `None` for groups that were not listed.
type ListedChannels<'a> = Vec<Option<Vec<&'a [u8]>>>;

fn further(replies: &Replies) -> Vec<Command<'_>> {
    let of_kind = |kind| {
        let queried = queried(&listed(kind, replies));
        let counts = queried.chunks(MOST_IN_COMMAND).enumerate();
        let counts =
            counts.map(|(at, names)| kind.count.with(at, names.iter().map(|(_, name)| *name)));
        let lists = lists(kind, replies).into_iter().map(|(_, list)| list);
        lists.chain(counts).collect::<Vec<_>>()
    };
    let expected = expected(replies);
    let expected = expected.chunks(MOST_IN_COMMAND).enumerate();
    let expected = expected
        .map(|(at, names)| COUNT.with(FIRST_EXPECTED + at, names.iter().map(|(_, name)| *name)));
    KINDS.iter().flat_map(of_kind).chain(expected).collect()
}

/// Returns the channels that must have a subscriber, with the index of their group.
fn expected(replies: &Replies) -> Vec<(usize, &[u8])> {
    let mut expected = Vec::new();
    for (place, group) in groups(replies).iter().enumerate() {
        expected.extend(
            group
                .expected
                .iter()
                .map(|name| (place, name.as_str().as_bytes())),
        );
    }
    expected
}

/// Publishes how many of the expected channels have no subscriber. Groups without a complete reply
/// are left out.
fn push_silent(replies: &Replies, snapshot: &mut Snapshot) {
    let groups = groups(replies);
    let mut silent: Vec<Option<usize>> = groups
        .iter()
        .map(|group| (!group.expected.is_empty()).then_some(0))
        .collect();
    for (at, names) in expected(replies).chunks(MOST_IN_COMMAND).enumerate() {
        let reply = replies.reply(COUNT.ticket(FIRST_EXPECTED + at));
        let pairs = reply.map(Reply::items).unwrap_or_default().chunks_exact(2);
        let counts = pairs.map(Some).chain(std::iter::repeat(None));
        for ((place, name), pair) in zip(names, counts) {
            let count = match pair {
                Some([found, number]) if found.bytes() == Some(name) => number.integer(),
                _ => None,
            };
            if let Some(silent) = silent.get_mut(*place) {
                *silent = silent
                    .zip(count)
                    .map(|(silent, count)| silent + usize::from(count == 0));
            }
        }
    }
    for (group, silent) in zip(groups, silent) {
        if let Some(silent) = silent {
            snapshot.push(&rows::SILENT, [group.name.as_str()], float(silent));
        }
    }
}

fn groups(replies: &Replies) -> &[ChannelGroup] {
    &replies.circumstances.options.channels
}

/// Returns the queries for channel names: one for all of them, or one for each group.
fn lists<'a>(kind: &ChannelKind, replies: &'a Replies) -> Vec<(Option<usize>, Command<'a>)> {
    let Some(total) = replies.info.number(kind.total) else {
        return Vec::new();
    };
    if total <= MOST_LISTED {
        return vec![(None, kind.list.into())];
    }
    if total > MOST_SEARCHED {
        return Vec::new();
    }
    let groups = groups(replies).iter().enumerate();
    let searches = groups.filter_map(|(place, group)| {
        let glob = group.pattern.as_glob()?;
        Some((Some(place), kind.list.with(place + 1, [glob.as_bytes()])))
    });
    searches.take(MOST_SEARCHES).collect()
}

/// Sorts the listed channels into groups.
fn listed<'a>(kind: &ChannelKind, replies: &'a Replies) -> ListedChannels<'a> {
    let groups = groups(replies);
    let mut listed: ListedChannels<'a> = vec![None; groups.len() + 1];
    let mut names = HashSet::new();
    for (place, list) in lists(kind, replies) {
        let Some(reply) = replies.reply(list.ticket) else {
            continue;
        };
        let known = match place {
            Some(place) => listed.get_mut(place..=place),
            None => Some(&mut *listed),
        };
        known.unwrap_or_default().fill(Some(Vec::new()));
        names.extend(reply.items().iter().filter_map(Reply::bytes));
    }
    // Sorted, so that the order is stable within a poll.
    let mut names: Vec<&[u8]> = names.into_iter().collect();
    names.sort_unstable();
    for name in names {
        if let Some(Some(group)) = listed.get_mut(group_of(groups, name)) {
            group.push(name);
        }
    }
    listed
}

/// Returns the index of the first group that a channel matches, or the index of `other`.
fn group_of(groups: &[ChannelGroup], name: &[u8]) -> usize {
    let matches = |pattern: &Pattern| pattern.matches(name);
    let found = groups.iter().position(|group| matches(&group.pattern));
    found.unwrap_or(groups.len())
}

/// Returns the channels whose subscribers are queried. Covers whole groups only, because the sum of
/// a part would be wrong.
fn queried<'a>(listed: &ListedChannels<'a>) -> Vec<(usize, &'a [u8])> {
    let mut queried = Vec::new();
    for (place, names) in listed.iter().enumerate() {
        let names = names.as_deref().unwrap_or_default();
        if queried.len() + names.len() <= MOST_QUERIED {
            queried.extend(names.iter().map(|name| (place, *name)));
        }
    }
    queried
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for kind in &KINDS {
        if let Some(total) = replies.info.number(kind.total) {
            read_kind(kind, total, replies, snapshot);
        }
    }
    push_silent(replies, snapshot);
}

fn read_kind(kind: &ChannelKind, total: f64, replies: &Replies, snapshot: &mut Snapshot) {
    let listed = listed(kind, replies);
    let queried = queried(&listed);
    let subscribers = subscribers(kind, &listed, &queried, replies);
    let names = groups(replies).iter().map(|group| group.name.as_str());
    for ((name, channels), subscribers) in zip(zip(names.chain([OTHER]), &listed), subscribers) {
        if let Some(channels) = channels {
            snapshot.push(kind.channels, [name], float(channels.len()));
        }
        if let Some(subscribers) = subscribers {
            snapshot.push(kind.subscribers, [name], subscribers);
        }
    }
    let has_reply = |(_, list): &(_, Command<'_>)| replies.reply(list.ticket).is_some();
    if lists(kind, replies).iter().all(has_reply) {
        push_rest(kind, total, &listed, queried.len(), snapshot);
    }
}

/// Publishes the number of channels that were not listed, from INFO.
fn push_rest(
    kind: &ChannelKind,
    total: f64,
    listed: &ListedChannels<'_>,
    queried: usize,
    snapshot: &mut Snapshot,
) {
    let found = float(listed.iter().flatten().map(Vec::len).sum());
    let (other, declared) = match listed.split_last() {
        Some((other, declared)) => (other.is_some(), declared.iter().all(Option::is_some)),
        None => return,
    };
    if declared && !other {
        snapshot.push(kind.channels, [OTHER], (total - found).max(0.0));
    }
    // If all channels are listed, the count in INFO may be slightly older.
    let there = if other { found } else { total };
    snapshot.push(kind.dropped, [], (there - float(queried)).max(0.0));
}

/// Returns the subscribers of each group; `None` if they are unknown.
fn subscribers(
    kind: &ChannelKind,
    listed: &ListedChannels<'_>,
    queried: &[(usize, &[u8])],
    replies: &Replies,
) -> Vec<Option<f64>> {
    let mut counted = vec![0; listed.len()];
    let mut sums = vec![0.0; listed.len()];
    for (at, names) in queried.chunks(MOST_IN_COMMAND).enumerate() {
        let reply = replies.reply(kind.count.ticket(at));
        let pairs = reply.map(Reply::items).unwrap_or_default().chunks_exact(2);
        for ((place, name), pair) in zip(names, pairs) {
            let [found, number] = pair else { continue };
            let slots = (counted.get_mut(*place), sums.get_mut(*place));
            if let (Some(number), (Some(counted), Some(sum))) = (number.integer(), slots)
                && found.bytes() == Some(name)
            {
                *counted += 1;
                *sum += subscriptions(number);
            }
        }
    }
    let is_counted = |(channels, counted): (&Option<Vec<_>>, _)| {
        channels
            .as_ref()
            .is_some_and(|channels| channels.len() == counted)
    };
    let is_counted = zip(listed, counted).map(is_counted);
    zip(sums, is_counted)
        .map(|(sum, is_counted)| is_counted.then_some(sum))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::collector::{Circumstances, reading};
    use crate::config::{ChannelName, CollectorOptions};

    fn declared(groups: &[(&str, Pattern)]) -> Circumstances {
        let channels = groups.iter().map(|(name, pattern)| ChannelGroup {
            name: (*name).to_owned(),
            pattern: pattern.clone(),
            expected: Vec::new(),
        });
        let options = CollectorOptions {
            channels: channels.collect(),
            ..CollectorOptions::default()
        };
        Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        }
    }

    fn prism() -> Circumstances {
        declared(&[
            ("admin", Pattern::glob("prism:admin")),
            ("prism", Pattern::glob("prism:*")),
        ])
    }

    /// Returns the queries sent to a server with these channels, each with two subscribers, and the
    /// published samples.
    fn sent_and_seen(
        circumstances: Circumstances,
        info: &str,
        channels: &[String],
    ) -> (Vec<String>, Vec<String>) {
        let (sent, all_sent) = std::sync::mpsc::channel();
        let reply_to = |command: &Command<'_>| {
            let words = reading::words(command);
            sent.send(words[..words.len().min(3)].join(" ")).unwrap();
            let glob = Pattern::glob(words.get(2).map_or("*", String::as_str));
            let matching = channels.iter().filter(|name| glob.matches(name.as_bytes()));
            Some(match &*words[1] {
                "CHANNELS" => Reply::List(matching.map(|name| reading::bytes(name)).collect()),
                "NUMSUB" => {
                    let counts = words[2..].iter();
                    let pairs = counts.flat_map(|name| [reading::bytes(name), Reply::Integer(2)]);
                    Reply::List(pairs.collect())
                }
                _ => Reply::List(Vec::new()),
            })
        };
        let seen = reading::of_further(&COLLECTOR, info, circumstances, &[], &reply_to);
        (all_sent.try_iter().collect(), seen)
    }

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("prism:{number}")).collect()
    }

    #[test]
    fn first_match_wins_and_empty_groups_publish_0() {
        let channels = named(&["prism:1", "prism:2", "news"]);
        let (sent, seen) = sent_and_seen(prism(), "pubsub_channels:3\r\n", &channels);
        assert_eq!(sent, ["PUBSUB CHANNELS", "PUBSUB NUMSUB prism:1"]);
        let expected = [
            "redis_channel_group_channels{admin} 0",
            "redis_channel_group_channels{other} 1",
            "redis_channel_group_channels{prism} 2",
            "redis_channel_group_dropped_channels{} 0",
            "redis_channel_group_subscribers{admin} 0",
            "redis_channel_group_subscribers{other} 2",
            "redis_channel_group_subscribers{prism} 4",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn shard_channels_are_queried_if_the_server_has_them() {
        let info = "pubsub_channels:0\r\npubsubshard_channels:0\r\n";
        let (sent, seen) = sent_and_seen(prism(), info, &[]);
        assert_eq!(sent, ["PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS"]);
        assert!(seen.contains(&"redis_channel_group_shard_subscribers{prism} 0".to_owned()));
    }

    #[test]
    fn many_channels_are_listed_by_glob_only() {
        let regex = Pattern::regex("^room").unwrap();
        let circumstances = declared(&[("room", regex), ("prism", Pattern::glob("prism:*"))]);
        let channels = named(&["prism:1", "prism:2", "room:1", "news"]);
        let (sent, seen) = sent_and_seen(circumstances, "pubsub_channels:10001\r\n", &channels);
        assert_eq!(sent, ["PUBSUB CHANNELS prism:*", "PUBSUB NUMSUB prism:1"]);
        let expected = [
            "redis_channel_group_channels{prism} 2",
            "redis_channel_group_dropped_channels{} 9999",
            "redis_channel_group_subscribers{prism} 4",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn too_many_channels_are_not_listed() {
        let (sent, seen) = sent_and_seen(prism(), "pubsub_channels:200001\r\n", &[]);
        assert!(sent.is_empty());
        assert_eq!(seen, ["redis_channel_group_dropped_channels{} 200001"]);
    }

    #[test]
    fn subscribers_are_queried_in_batches_of_whole_groups() {
        let circumstances = prism();
        let info = "pubsub_channels:20000\r\n";
        let (sent, _) = sent_and_seen(circumstances.clone(), info, &numbered(2_001));
        assert_eq!(sent.len(), 2 + 3);
        let (sent, seen) = sent_and_seen(circumstances, info, &numbered(MOST_QUERIED + 1));
        assert_eq!(sent.len(), 2);
        let expected = [
            "redis_channel_group_channels{admin} 0",
            "redis_channel_group_channels{other} 9999",
            "redis_channel_group_channels{prism} 10001",
            "redis_channel_group_dropped_channels{} 20000",
            "redis_channel_group_subscribers{admin} 0",
        ];
        assert_eq!(seen, expected);
    }

    /// Returns the samples of a group that expects the channels `a` and `b`, if the server replies
    /// with this to PUBSUB NUMSUB.
    fn silent(numsub: &Reply) -> Vec<String> {
        let expected = ["a", "b"].map(|name| ChannelName::new(name).unwrap());
        let group = ChannelGroup {
            name: "letters".to_owned(),
            pattern: Pattern::glob("?"),
            expected: expected.to_vec(),
        };
        let undeclared = ChannelGroup {
            name: "undeclared".to_owned(),
            pattern: Pattern::glob("*"),
            expected: Vec::new(),
        };
        let options = CollectorOptions {
            channels: [group, undeclared].into(),
            ..CollectorOptions::default()
        };
        let circumstances = Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        };
        let reply_to = |command: &Command<'_>| {
            let words = reading::words(command);
            (words[1..] == ["NUMSUB", "a", "b"]).then(|| numsub.clone())
        };
        let seen = reading::of_further(&COLLECTOR, "", circumstances, &[], &reply_to);
        let is_silent = |sample: &String| sample.contains("_silent");
        seen.into_iter().filter(is_silent).collect()
    }

    #[test]
    fn expected_channels_without_subscriber_are_counted() {
        let counts = |a, b| {
            let items = [("a", a), ("b", b)];
            let items = items.map(|(name, count)| [reading::bytes(name), Reply::Integer(count)]);
            Reply::List(items.into_iter().flatten().collect())
        };
        for (a, b, number) in [(0, 0, 2), (3, 0, 1), (1, 2, 0)] {
            let sample =
                format!("redis_channel_group_expected_channels_silent{{letters}} {number}");
            assert_eq!(silent(&counts(a, b)), [sample]);
        }
    }

    #[test]
    fn incomplete_counts_of_expected_channels_publish_nothing() {
        let (a, b) = (reading::bytes("a"), reading::bytes("b"));
        let zero = || Reply::Integer(0);
        for items in [
            vec![],
            vec![a.clone(), zero()],
            vec![b.clone(), zero(), a.clone(), zero()],
            vec![a, zero(), b],
        ] {
            assert_eq!(silent(&Reply::List(items)), [""; 0]);
        }
    }

    #[test]
    fn refused_queries_publish_nothing() {
        let refuse = |command: &Command<'_>| {
            let refusal = crate::reply::Refusal {
                code: "NOPERM".to_owned(),
                message: String::new(),
            };
            Some(match &*reading::words(command)[1] {
                "CHANNELS" => Reply::List(vec![reading::bytes("prism:1")]),
                _ => Reply::Error(refusal),
            })
        };
        let info = "pubsub_channels:1\r\npubsubshard_channels:1\r\n";
        let seen = reading::of_further(&COLLECTOR, info, prism(), &[], &refuse);
        let expected = [
            "redis_channel_group_channels{admin} 0",
            "redis_channel_group_channels{other} 0",
            "redis_channel_group_channels{prism} 1",
            "redis_channel_group_dropped_channels{} 0",
            "redis_channel_group_subscribers{admin} 0",
            "redis_channel_group_subscribers{other} 0",
        ];
        assert_eq!(seen, expected);
    }
}
