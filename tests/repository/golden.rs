//! Turns recorded replies of ten real servers into pages, and compares them. `UPDATE_GOLDEN=1`
//! rewrites the pages.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use crate::{openmetrics, support};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis_namespace_exporter::collector::{ALL, Circumstances, Collector, Replies};
use redis_namespace_exporter::config::{
    ChannelGroup, ChannelName, ClientGroup, ClientMatch, Clients, CollectorOptions, KeyName,
    Pattern,
};
use redis_namespace_exporter::connection::decode;
use redis_namespace_exporter::encode::{self, Format, encode_as};
use redis_namespace_exporter::keyspace::keys::stream::{StreamLimits, StreamReplies};
use redis_namespace_exporter::metric::{Names, Series, Snapshot};
use redis_namespace_exporter::query::{Command, Query};
use redis_namespace_exporter::reply::Reply;

/// Time of the poll, for servers that do not report their own time.
const POLLED_AT: f64 = 1_795_442_100.0;

/// Returns the folders of the recorded servers.
pub fn servers() -> Vec<PathBuf> {
    let folder = support::in_repository("tests/golden");
    let entries = fs::read_dir(folder).expect("the recordings are there");
    let mut servers: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    servers.sort();
    assert_eq!(servers.len(), 10, "there is one folder per server");
    servers
}

/// Returns a recorded reply of a server.
pub fn recording(server: &Path, name: &str) -> Option<Reply> {
    let bytes = fs::read(server.join(format!("{name}.resp"))).ok()?;
    Some(decode(&bytes).expect("a recording is one whole reply"))
}

/// Returns the first INFO reply of these spellings that is not empty.
fn info(server: &Path, spellings: &[&str]) -> Reply {
    spellings
        .iter()
        .filter_map(|name| recording(server, name))
        .find(|reply| !reply.is_empty() && reply.refusal().is_none())
        .expect("a server replies to INFO")
}

/// Returns the reply of a server to a query. `CONFIG GET` of one parameter is taken from the
/// recorded reply with all of them.
fn reply_to(server: &Path, query: &Query) -> Option<Reply> {
    match query.commands.first()? {
        ["CONFIG", "GET", pattern] => parameters(server, pattern),
        // Only the entries were recorded.
        ["COMMANDLOG", "LEN", "slow"] => {
            let entries = recording(server, "commandlog-slow")?.items().len();
            Some(Reply::Integer(
                entries.try_into().expect("it is a short log"),
            ))
        }
        ["ACL", "LOG", _] => recording(server, "acl-log"),
        ["SLOWLOG", "GET", "1"] => {
            let newest = recording(server, "slowlog-get")?.items().first().cloned();
            Some(Reply::List(newest.into_iter().collect()))
        }
        ["CLUSTER", "INFO"] => recording(server, "clustermode-cluster-info"),
        ["CLUSTER", "LINKS"] => recording(server, "clustermode-cluster-links"),
        ["CLUSTER", "SHARDS"] => recording(server, "clustermode-cluster-shards"),
        words => recording(server, &words.join("-").to_lowercase()),
    }
}

/// Returns the recorded parameters with this name, or with this prefix before a `*`.
fn parameters(server: &Path, pattern: &str) -> Option<Reply> {
    let all = recording(server, "config-get")?;
    let fits = |name: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    let pairs = all.items().chunks(2);
    let found = pairs.filter(|pair| {
        let name = pair.first().and_then(Reply::text);
        name.is_some_and(|name| fits(&name))
    });
    Some(Reply::List(found.flatten().cloned().collect()))
}

/// Returns the reply of a server to a query that depends on its other replies.
fn dependent_reply(server: &Path, command: &Command<'_>) -> Option<Reply> {
    let spelled = command.ticket.query.commands.first()?.iter();
    let spelled = spelled.map(|word| word.as_bytes());
    let words: Vec<&[u8]> = spelled
        .chain(command.words.iter().map(|word| &**word))
        .collect();
    match words.as_slice() {
        [b"SLOWLOG", b"GET", _] => recording(server, "slowlog-get"),
        [b"COMMANDLOG", b"GET", _, kind] => {
            let kind = std::str::from_utf8(kind).ok()?;
            recording(server, &format!("commandlog-{kind}"))
        }
        [b"LATENCY", b"HISTOGRAM"] => recording(server, "latency-histogram"),
        [b"PUBSUB", b"CHANNELS"] => recording(server, "pubsub-channels"),
        [b"PUBSUB", b"SHARDCHANNELS"] => recording(server, "pubsub-shardchannels"),
        [b"PUBSUB", b"NUMSUB", ..] => recording(server, "pubsub-numsub"),
        // Not recorded.
        [b"PUBSUB", b"SHARDNUMSUB", ..] => None,
        [b"CLUSTER", b"SLOT-STATS", ..] => recording(server, "clustermode-cluster-slot-stats"),
        [b"SENTINEL", b"SENTINELS", _] => recording(server, "sentinel-sentinels"),
        [b"SENTINEL", b"REPLICAS", _] => recording(server, "sentinel-replicas"),
        [b"CONFIG", b"GET", name] => parameters(server, std::str::from_utf8(name).ok()?),
        words => panic!("no recording is known for {words:?}"),
    }
}

/// Returns the page of a standalone server with the default collectors.
pub fn default_page(server: &Path) -> String {
    let info = info(server, &["info-everything", "info-all", "info-default"]);
    page_of(server, &info, true, |collector| {
        collector.is_on_by_default()
    })
}

/// Returns the page of a recorded mode, for which only INFO and the queries of that mode were
/// recorded.
fn page(server: &Path, info: &Reply) -> String {
    page_of(server, info, false, |collector| {
        !OF_CLIENTS_PAGE.contains(&collector.name)
    })
}

/// Collectors with their own page, which have many samples for each client.
const OF_CLIENTS_PAGE: [&str; 3] = ["client_list", "client_groups", "channels"];

fn clients_page(server: &Path) -> String {
    let info = info(server, &["info-everything", "info-all", "info-default"]);
    page_of(server, &info, true, |collector| {
        OF_CLIENTS_PAGE.contains(&collector.name)
    })
}

/// Returns the groups on the pages of clients and channels.
fn options() -> CollectorOptions {
    let group = |name: &str, pattern: &str, pool_max| ClientGroup {
        name: name.to_owned(),
        matching: ClientMatch {
            name: Some(Pattern::glob(pattern)),
            ..ClientMatch::default()
        },
        pool_max,
    };
    let news = ChannelGroup {
        name: "news".to_owned(),
        pattern: Pattern::glob("*news"),
        expected: ChannelName::new("news").into_iter().collect(),
    };
    let groups = [
        group("sentinel", "sentinel-*", Some(2)),
        group("nobody", "nobody-*", None),
    ];
    CollectorOptions {
        channels: [news].into(),
        clients: Clients {
            port: true,
            groups: groups.into(),
            ..Clients::default()
        },
        ..CollectorOptions::default()
    }
}

fn page_of(
    server: &Path,
    info: &Reply,
    with_other_queries: bool,
    is_on: fn(&Collector) -> bool,
) -> String {
    let text = info.text().expect("INFO is text");
    let circumstances = Circumstances {
        polled_at: POLLED_AT,
        options: Arc::new(options()),
        ..Circumstances::default()
    };
    let mut replies = Replies::new(&text, circumstances);
    let collectors: Vec<&Collector> = ALL
        .iter()
        .copied()
        .filter(|collector| is_on(collector) && (collector.applies)(&replies.server()))
        .collect();
    for query in collectors.iter().flat_map(|collector| collector.queries) {
        let mut modes = ["cluster", "sentinel"].iter();
        let is_of_mode = modes.any(|mode| query.permission.contains(mode));
        let reply_to = reply_to(server, query).filter(|_| with_other_queries || is_of_mode);
        if let Some(reply) = reply_to {
            replies.record(*query, reply);
        }
    }
    for _ in 0..2 {
        let further = collectors
            .iter()
            .flat_map(|collector| (collector.further)(&replies));
        let is_recorded = |command: &Command<'_>| {
            with_other_queries || command.ticket.query.permission != "+latency|histogram"
        };
        let new = further.filter(|command| replies.received(command.ticket).is_none());
        let new = new.filter(is_recorded);
        let new: Vec<_> = new
            .filter_map(|command| Some((command.ticket, dependent_reply(server, &command)?)))
            .collect();
        for (ticket, reply) in new {
            replies.record(ticket, reply);
        }
    }
    let mut snapshot = Snapshot::default();
    for collector in &collectors {
        let _ = collector.read(&replies, &mut snapshot);
    }
    written(snapshot)
}

/// Returns the page of a snapshot as text. Its `OpenMetrics` form must be valid too.
fn written(snapshot: Snapshot) -> String {
    let snapshot = snapshot.finish();
    let labeled = [(None, &snapshot)];
    for (legacy, series) in [(true, Series::Compact), (false, Series::Full)] {
        let names = Names {
            legacy,
            series,
            ..Names::default()
        };
        let mut page = encode_as(&labeled, &names, Format::OpenMetrics);
        encode::openmetrics::end(&mut page);
        openmetrics::assert_valid(&String::from_utf8(page).expect("a page is UTF-8"));
    }
    let page = encode_as(&labeled, &Names::default(), Format::Text);
    String::from_utf8(page).expect("a page is UTF-8")
}

/// A page with the path of its file.
pub type Page = (PathBuf, String);

/// Returns all pages of all recorded servers.
pub fn pages() -> Vec<Page> {
    let clients_page_of = |server: PathBuf| (server.join("clients.prom"), clients_page(&server));
    let clients_pages = servers().into_iter().map(clients_page_of).collect();
    [
        standalone_pages(),
        optional_pages(),
        pages_of_other_modes(),
        stream_pages(),
        clients_pages,
    ]
    .concat()
}

fn standalone_pages() -> Vec<Page> {
    let page_of = |server: PathBuf| (server.join("standalone.prom"), default_page(&server));
    servers().into_iter().map(page_of).collect()
}

/// Returns the pages of collectors that are off by default.
fn optional_pages() -> Vec<Page> {
    let page_of = |server: PathBuf| (server.join("optional.prom"), optional_page(&server));
    servers().into_iter().map(page_of).collect()
}

fn optional_page(server: &Path) -> String {
    let info = info(server, &["info-everything", "info-all", "info-default"]);
    page_of(server, &info, true, |collector| {
        !collector.is_on_by_default() && !OF_CLIENTS_PAGE.contains(&collector.name)
    })
}

fn pages_of_other_modes() -> Vec<Page> {
    let mut pages = Vec::new();
    for server in servers() {
        for (recorded, name) in [
            ("clustermode-info-everything", "cluster.prom"),
            ("replica-info-everything", "replica.prom"),
            ("sentinel-info-everything", "sentinel.prom"),
        ] {
            // Some servers return nothing for this spelling, and no other was recorded.
            let mut info = recording(&server, recorded).expect("every mode was recorded");
            if info.is_empty() && name == "sentinel.prom" {
                info = Reply::Bytes(b"redis_mode:sentinel\r\n"[..].into());
            }
            if !info.is_empty() {
                pages.push((server.join(name), page(&server, &info)));
            }
        }
    }
    pages
}

fn stream_pages() -> Vec<Page> {
    let page_of = |server: PathBuf| (server.join("streams.prom"), stream_page(&server));
    servers().into_iter().map(page_of).collect()
}

fn stream_page(server: &Path) -> String {
    let limits = StreamLimits {
        groups: 100,
        consumers: Some(100),
    };
    let reply = |name| recording(server, name).expect("streams were recorded");
    let mut stream = StreamReplies::new(KeyName {
        database: 0,
        key: b"orders".to_vec(),
    });
    stream.take_stream(&reply("xinfo-stream"));
    stream.take_groups(&reply("xinfo-groups"), limits);
    assert_eq!(stream.queries_consumers().collect::<Vec<_>>(), [0]);
    stream.take_consumers(0, &reply("xinfo-consumers"));
    let mut snapshot = Snapshot::default();
    stream.push(&mut snapshot);
    written(snapshot)
}

#[test]
fn recorded_replies_give_the_golden_pages() {
    for (path, page) in pages() {
        support::assert_golden(&path, &page);
    }
}

#[test]
fn sentinel_quorum_message_matches_the_server() {
    for server in servers() {
        let text = recording(&server, "sentinel-ckquorum").expect("the quorum was recorded");
        let text = text.text().expect("there is a quorum").into_owned();
        let page = fs::read_to_string(server.join("sentinel.prom")).expect("the page is there");
        let message = format!("message=\"{text}\"}} 1");
        assert!(page.contains(&message), "{}: {text}", server.display());
    }
}

#[test]
fn no_recorded_page_shows_a_secret() {
    for server in servers() {
        let page = optional_page(&server);
        for secret in ["requirepass", "masterauth"] {
            let hidden = format!("redis_config_key_value{{key=\"{secret}\",value=\"***\"}} 1");
            assert!(page.contains(&hidden), "{}: {secret}", server.display());
        }
    }
}
