//! Fuzz targets of replies: the decoder, INFO, the collectors, and the members of clusters.

use std::sync::{Arc, LazyLock};

use super::exposition::check_page;
use super::settings::parsed;
use crate::collector::{ALL, Circumstances, Remembered, Replies};
use crate::config::CollectorOptions;
use crate::connection::resp::{Decoder, NotTheProtocol, ReplyLimits};
use crate::info::Info;
use crate::metric::Snapshot;
use crate::query::Query;
use crate::reply::{Refusal, Reply};
use crate::topology::monitored::{MonitoredGroups, ReportedGroup};
use crate::topology::{
    AddressMap, HostPort, MEMBERS_MAX, TopologyMember, cluster, preferred, replication,
    sentinel as watched,
};

/// Decodes replies at once and in parts. The first two bytes select the limits and the parts.
pub fn reply(data: &[u8]) {
    let Some((&[limit, step], bytes)) = data.split_first_chunk() else {
        return;
    };
    let limits = ReplyLimits {
        reply_bytes: 64 << (limit & 15),
        string_bytes: 16 << (limit >> 4),
        wire_limit: 1 << 20,
    };
    let pushes = step & 128 != 0;
    let whole = decoded(limits, pushes, bytes, usize::MAX);
    let parts = decoded(limits, pushes, bytes, usize::from(step & 127) + 1);
    assert_eq!(whole, parts, "in parts of {}", step & 127);
    let _ = crate::connection::decode(bytes);
}

/// Decodes replies from parts of this size. Returns those before the first error, and whether there
/// was none.
fn decoded(limits: ReplyLimits, pushes: bool, bytes: &[u8], size: usize) -> (Vec<Reply>, bool) {
    let mut decoder = Decoder::new(limits);
    if pushes {
        decoder.accept_pushes();
    }
    let mut replies = Vec::new();
    for mut part in bytes.chunks(size.min(bytes.len().max(1))) {
        while !part.is_empty() {
            match decoder.decode(&mut part) {
                Err(NotTheProtocol) => return (replies, false),
                Ok(None) => assert!(part.is_empty(), "bytes were left"),
                Ok(Some(reply)) => {
                    let most = limits.reply_bytes.max(REPLACEMENT_BYTES);
                    assert!(kept(&reply) <= most, "{} of {most} bytes", kept(&reply));
                    replies.push(reply);
                }
            }
            assert!(decoder.spent() <= limits.reply_bytes);
        }
    }
    (replies, true)
}

/// More than the size of the error that replaces a reply that is too large.
const REPLACEMENT_BYTES: usize = 256;

/// Returns the memory of a reply, besides that of its first level.
fn kept(reply: &Reply) -> usize {
    match reply {
        Reply::Nil | Reply::Integer(_) => 0,
        Reply::Bytes(bytes) => bytes.len(),
        Reply::Error(Refusal { code, message }) => code.len() + message.len(),
        Reply::List(items) => items.iter().map(|one| size_of::<Reply>() + kept(one)).sum(),
    }
}

const WIDE: ReplyLimits = ReplyLimits {
    reply_bytes: 1 << 20,
    string_bytes: 1 << 16,
    wire_limit: 1 << 20,
};

/// Parses INFO, reads it with all collectors, and writes the page.
pub fn info(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let info = Info::parse(&*text);
    for field in info.plain() {
        assert!(info.get(field.name).is_some(), "{:?}", field.name);
    }
    for title in info.titles() {
        assert!(info.has_section(title), "{title:?}");
    }
    let mut remembered = Remembered::default();
    for polled_at in [1e9, 1e9 + 15.0] {
        let circumstances = Circumstances {
            polled_at,
            remembered,
            ..circumstances()
        };
        remembered = published(&Replies::new(&text, circumstances), data.len());
    }
}

/// Reads any replies with all collectors. The first byte selects the kind of server.
pub fn collectors(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let (replies, _) = decoded(WIDE, false, bytes, usize::MAX);
    let mut next = replies.iter().cycle().cloned();
    let info = SERVERS.get(usize::from(*kind) % SERVERS.len());
    let mut read = Replies::new(info.copied().unwrap_or_default(), circumstances());
    let queries = ALL.iter().flat_map(|collector| collector.queries);
    for (query, reply) in queries.zip(&mut next) {
        read.record(*query, reply);
    }
    let further = ALL.iter().flat_map(|collector| (collector.further)(&read));
    let further: Vec<_> = further.map(|command| command.ticket).collect();
    for (ticket, reply) in further.into_iter().zip(next) {
        read.record(ticket, reply);
    }
    published(&read, data.len());
}

/// INFO of servers on which different collectors apply.
const SERVERS: &[&str] = &[
    "redis_version:8.6.3\r\nredis_mode:standalone\r\nrole:master\r\nmaxmemory_policy:allkeys-lru\r\n",
    "redis_version:8.6.3\r\nredis_mode:cluster\r\ncluster_enabled:1\r\nrole:slave\r\n",
    "redis_version:8.6.3\r\nredis_mode:sentinel\r\n",
    "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nserver_mode:standalone\r\n",
    "",
];

/// Reads two replies to CLIENT LIST. A zero byte separates them.
pub fn client_list(data: &[u8]) {
    let mut remembered = Remembered::default();
    for text in data.splitn(2, |byte| *byte == 0) {
        let circumstances = Circumstances {
            remembered,
            ..circumstances()
        };
        let mut replies = Replies::new(SERVERS.first().copied().unwrap_or_default(), circumstances);
        let reply = Reply::Bytes(text.into());
        replies.record(query(&["CLIENT", "LIST"]), reply);
        remembered = published(&replies, data.len());
    }
}

/// Reads two replies to CLUSTER NODES. A zero byte separates them.
pub fn cluster_nodes(data: &[u8]) {
    let dialed = dialed();
    let mut known = cluster::KnownShards::new();
    for text in data.splitn(2, |byte| *byte == 0) {
        let lossy = String::from_utf8_lossy(text);
        let mut preferred = preferred::PreferredHosts::new();
        let map = AddressMap::new();
        check_members(&cluster::members(
            &lossy, &preferred, &dialed, &map, &mut known,
        ));
        cluster::prefer_hostnames(&lossy, &mut preferred);
        check_members(&cluster::members(
            &lossy, &preferred, &dialed, &map, &mut known,
        ));
        assert!(known.len() <= MEMBERS_MAX);
        let _ = cluster::Authority::from_info(&lossy);
    }
}

/// Reads replies of a sentinel, and what a primary and a cluster node report about their members.
pub fn sentinel(data: &[u8]) {
    let (replies, _) = decoded(WIDE, false, data, usize::MAX);
    let primary = dialed();
    let map = AddressMap::from([(primary.clone(), primary.clone())]);
    for reply in &replies {
        let groups = watched::primaries(reply);
        assert!(groups.len() <= MEMBERS_MAX);
        let groups = groups.iter().zip(replies.iter().cycle());
        let report = |name: &str, authority, members| ReportedGroup {
            name: name.to_owned(),
            authority,
            members,
        };
        let groups = groups.map(|(group, replicas)| {
            let members = watched::members(&group.name, &group.at, replicas, &map);
            report(&group.name, group.authority, members)
        });
        let mut groups: Vec<_> = groups.take(8).collect();
        let at = watched::primary(reply).unwrap_or_else(|| primary.clone());
        let members = watched::members("0", &at, reply, &map);
        groups.push(report("0", watched::authority(reply), members));
        for group in &groups {
            check_members(&group.members);
        }
        let mut known = MonitoredGroups::default();
        known.take(vec![(String::new(), groups)]);
        check_members(&known.members());
        for preferred in [preferred::from_shards(reply), preferred::from_slots(reply)] {
            let text = reply.text().unwrap_or_default();
            let mut known = cluster::KnownShards::new();
            check_members(&cluster::members(
                &text, &preferred, &primary, &map, &mut known,
            ));
        }
        let members = reply
            .text()
            .and_then(|text| replication::read(&text, &primary, &map));
        if let Some(replication::Replication::Members(members)) = members {
            check_members(&members);
        }
    }
    collectors(&[&[2], data].concat());
}

fn dialed() -> HostPort {
    HostPort {
        host: "10.0.0.1".to_owned(),
        port: 6379,
    }
}

/// Members have different addresses, and their addresses are text that can be parsed again.
fn check_members(members: &[TopologyMember]) {
    let addresses: std::collections::BTreeSet<_> = members.iter().map(|one| &one.at).collect();
    assert_eq!(addresses.len(), members.len(), "{members:?}");
    for TopologyMember { at, .. } in members {
        assert_eq!(HostPort::parse(&at.to_string()).as_ref(), Some(at));
    }
}

/// Returns the query that sends this command.
fn query(command: &[&str]) -> &'static Query {
    static NEVER: Query = Query::new(&[], "");
    let mut queries = ALL.iter().flat_map(|collector| collector.queries);
    let found = queries.find(|query| query.commands.first().is_some_and(|sent| *sent == command));
    assert!(found.is_some(), "no collector sends {command:?}");
    found.unwrap_or(&&NEVER)
}

/// Options under which every collector has something to publish.
static OPTIONS: LazyLock<Arc<CollectorOptions>> = LazyLock::new(|| {
    let text = "targets: [{name: a, url: h}]\n\
        clients:\n  list: true\n  groups:\n  - {name: web, match: {name: 'w*'}, pool_max: 3}\n  \
        - {name: all, match: {address: '*'}}\n\
        channels: [{name: all, match: '*', expect_subscribers: [news]}]\n\
        slots: {top: 3}\nscripts: [{name: a, file: /a.lua}]\n";
    let config = parsed(text);
    let target = config
        .as_ref()
        .ok()
        .and_then(|config| config.targets.first());
    assert!(target.is_some(), "{config:?}");
    target
        .map(|target| Arc::clone(&target.options))
        .unwrap_or_default()
});

fn circumstances() -> Circumstances {
    Circumstances {
        options: Arc::clone(&OPTIONS),
        ..Circumstances::default()
    }
}

/// Reads replies with all collectors and checks the page in one form. Returns what they remember.
fn published(replies: &Replies, form: usize) -> Remembered {
    let mut snapshot = Snapshot::default();
    let memos = ALL
        .iter()
        .filter_map(|collector| collector.read(replies, &mut snapshot));
    let remembered = memos.collect();
    check_page(&snapshot.finish(), form);
    remembered
}
