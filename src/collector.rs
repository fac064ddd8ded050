//! Collectors: each is a set of queries to Redis and the code that reads their replies. Pure.
//!
//! A collector does no I/O, reads no clock, and keeps no state. It is a function from the replies
//! of one poll to samples. To add a collector, write its file and add it to [`ALL`].

mod acl_log;
mod by_name;
mod channels;
mod clients;
mod cluster;
mod cluster_nodes;
mod command_log;
mod commandlog;
mod config;
mod config_values;
pub(crate) mod function_stats;
mod hotkeys;
pub mod info;
mod latency;
mod latency_histogram;
mod memory_limit;
mod memory_stats;
pub(crate) mod rdb_file_size;
#[cfg(test)]
mod reading;
mod remembered;
mod replies;
mod scripts;
mod search_indexes;
mod sentinel;
mod server;
mod slot_stats;
mod slowlog;
mod tile38;

use std::path::PathBuf;

use crate::config::CollectorOptions;
use crate::metric::{Descriptor, Snapshot};
use crate::number::{signed, to_float as float};
use crate::query::{Command, Query};

pub use remembered::{Memo, Remembered};
pub use replies::{Circumstances, Replies};
pub use server::{Flavor, Mode, Server};

/// A set of queries to Redis and the code that reads their replies. The rest of the program
/// accesses a collector only through this row.
#[derive(Debug)]
pub struct Collector {
    /// Name in the configuration and in the `collector` label.
    pub name: &'static str,
    /// Description in one sentence.
    pub about: &'static str,
    /// Returns whether it is on unless the configuration switches it by name.
    pub default: fn(&CollectorOptions) -> bool,
    /// The queries that it needs. It may also read replies to queries of other collectors, but must
    /// work without them.
    pub queries: &'static [&'static Query],
    /// The queries that `further` can return.
    pub further_queries: &'static [&'static Query],
    /// Returns whether it can send one of `further_queries` at some time, to the server of these
    /// replies and with their configuration.
    pub may_send: fn(&Query, &Replies) -> bool,
    /// Returns additional queries that depend on replies, on the configuration, or on earlier
    /// polls. Called twice: after the replies to `queries`, and after the replies to its first
    /// result. Queries that already have a reply are not sent again.
    pub further: fn(&Replies) -> Vec<Command<'_>>,
    /// Returns the file whose size the poller provides before `read`.
    pub file: fn(&Replies) -> Option<PathBuf>,
    /// Returns whether a server of this kind supports the queries.
    pub applies: fn(&Server) -> bool,
    /// Returns all families that it can produce.
    pub families: fn() -> Vec<&'static Descriptor>,
    /// Reads the replies. Unknown values are skipped.
    pub read: Read,
}

/// The signatures of `read`.
#[derive(Debug)]
pub enum Read {
    /// Adds samples.
    Samples(fn(&Replies, &mut Snapshot)),
    /// Adds samples, and returns what to remember until the next poll.
    Remembering(fn(&Replies, &mut Snapshot) -> Option<Memo>),
}

impl Collector {
    /// Defaults of a row that is on.
    const ON: Self = Self {
        name: "",
        about: "",
        default: |_| true,
        queries: &[],
        further_queries: &[],
        may_send: |_, _| true,
        further: |_| Vec::new(),
        file: |_| None,
        applies: |_| true,
        families: Vec::new,
        read: Read::Samples(|_, _| ()),
    };

    /// Defaults of a row that is off.
    const OFF: Self = Self {
        default: |_| false,
        ..Self::ON
    };

    /// Returns whether it is on with this configuration unless switched by name.
    #[must_use]
    pub fn is_on_by_default(&self) -> bool {
        (self.default)(&CollectorOptions::default())
    }

    /// Returns the ACL permissions that it needs, such as `+slowlog|len`.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        let mut permissions = Vec::new();
        for query in self.queries.iter().chain(self.further_queries) {
            // Tile38 has no ACL.
            if !query.permission.is_empty() && !permissions.contains(&query.permission) {
                permissions.push(query.permission);
            }
        }
        permissions
    }

    /// Reads the replies. Returns what to remember until the next poll.
    pub fn read(&self, replies: &Replies, snapshot: &mut Snapshot) -> Option<Memo> {
        match self.read {
            Read::Samples(read) => {
                read(replies, snapshot);
                None
            }
            Read::Remembering(read) => read(replies, snapshot),
        }
    }
}

/// All collectors, in the order in which they read.
pub static ALL: &[&Collector] = &[
    &info::COLLECTOR,
    &info::instance::COLLECTOR,
    &info::keyspace::COLLECTOR,
    &info::commandstats::COLLECTOR,
    &info::errorstats::COLLECTOR,
    &info::latencystats::COLLECTOR,
    &info::replication::COLLECTOR,
    &info::sentinel::COLLECTOR,
    &sentinel::masters::COLLECTOR,
    &sentinel::peers::COLLECTOR,
    &sentinel::config::COLLECTOR,
    &info::threads::COLLECTOR,
    &info::scripting_engines::COLLECTOR,
    &info::keysizes::COLLECTOR,
    &info::certificates::COLLECTOR,
    &info::module_list::COLLECTOR,
    &info::system_memory::COLLECTOR,
    &memory_limit::COLLECTOR,
    &memory_stats::COLLECTOR,
    &cluster::COLLECTOR,
    &slot_stats::COLLECTOR,
    &cluster_nodes::COLLECTOR,
    &config::COLLECTOR,
    &slowlog::COLLECTOR,
    &latency::COLLECTOR,
    &latency_histogram::COLLECTOR,
    &hotkeys::COLLECTOR,
    &commandlog::COLLECTOR,
    &config_values::COLLECTOR,
    &acl_log::COLLECTOR,
    &scripts::COLLECTOR,
    &search_indexes::COLLECTOR,
    &rdb_file_size::COLLECTOR,
    &tile38::COLLECTOR,
    &clients::list::COLLECTOR,
    &clients::groups::COLLECTOR,
    &channels::COLLECTOR,
];

/// Returns the names of all collectors, for the configuration.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|collector| collector.name).collect()
}

/// The first query on every connection. All others depend on its reply.
pub static INFO: Query = Query::new(
    &[&["INFO", "everything"], &["INFO", "all"], &["INFO"]],
    "+info",
);

/// INFO without latency percentiles, for servers that accept several sections. The last three are
/// Valkey sections that are not among the default ones.
pub static INFO_WITHOUT_PERCENTILES: Query = Query::new(
    &[&[
        "INFO",
        "default",
        "modules",
        "commandstats",
        "tls",
        "cluster_info",
        "scriptingengines",
    ]],
    "+info",
)
.retried();

#[cfg(test)]
mod tests {
    use super::reading::bytes;
    use super::*;
    use crate::config::{CollectorOptions, Commands, Script};
    use crate::glob::Glob;
    use crate::reply::{Refusal, Reply};
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::sync::Arc;

    /// Words of real replies, so that generated replies pass the first checks.
    const WORDS: &str = "(calls|histogram_usec|command|get|count|reason|num_docs|requirepass|dir|/|config\\|get|[0-9]{1,20}|-1|nan|normal 1 2 3|\\PC{0,8})";

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Integer),
            (0_i64..3_000_000).prop_map(Reply::Integer),
            proptest::collection::vec(any::<u8>(), 0..32)
                .prop_map(|bytes| Reply::Bytes(bytes.into())),
            WORDS.prop_map(|word| Reply::Bytes(word.into_bytes().into())),
            Just(Reply::Error(Refusal {
                code: "ERR".to_owned(),
                message: String::new()
            })),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..8).prop_map(Reply::List);
            let histogram = (inner.clone(), inner).prop_map(|(calls, buckets)| {
                let body = vec![bytes("calls"), calls, bytes("histogram_usec"), buckets];
                Reply::List(vec![bytes("get"), Reply::List(body)])
            });
            prop_oneof![4 => list, 1 => histogram]
        })
    }

    /// Lines of INFO; each `?` is a value that may be invalid.
    const LINES: &[&str] = &[
        "# Keyspace",
        "redis_version:?",
        "redis_mode:cluster",
        "redis_mode:?",
        "role:?",
        "run_id:?",
        "uptime_in_seconds:?",
        "server_time_usec:?",
        "maxmemory:?",
        "total_error_replies:?",
        "errorstat_?:count=?",
        "cmdstat_get:calls=?,usec=?,rejected_calls=?,failed_calls=?",
        "cmdstat_?:calls=?,usec=?",
        "latency_percentiles_usec_get:p50=?,p?=?,p99.9=?",
        "db0:keys=?,expires=?,avg_ttl=?,subexpiry=?",
        "db?:?",
        "slave0:ip=?,port=?,state=?,offset=?,lag=?",
        "slave?:?",
        "master_host:?",
        "master_port:?",
        "master_link_status:?",
        "master_last_io_seconds_ago:?",
        "master_1_host:?",
        "master_?:?",
        "slave_repl_offset:?",
        "sentinel_tilt_since_seconds:?",
        "master0:name=?,status=?,address=?,slaves=?,sentinels=?",
        "thread_?_clients:?",
        "# Keysizes",
        "db0_distrib_strings_sizes:?=?,?=?",
        "# Modules",
        "module:name=?,ver=?",
        "tls_server_cert_serial:?",
        "tls_server_cert_expires_in_seconds:?",
        "paused_actions:?",
        "io_thread_0:clients=?,reads=?,writes=?",
        "used_active_time_io_thread_1:?",
        "engine_0:name=?,used_memory=?,memory_overhead=?",
        "?",
    ];

    fn any_info() -> impl Strategy<Value = String> {
        let value = "([0-9]{1,20}|-1|nan|1e999|up|\\PC{0,4}|[=,:#]{1,3})";
        let line = (
            proptest::sample::select(LINES),
            proptest::collection::vec(value, 5),
        );
        let line = line.prop_map(|(line, values)| {
            values
                .iter()
                .fold(line.to_owned(), |line, value| line.replacen('?', value, 1))
        });
        proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\r\n"))
    }

    proptest! {
        #[test]
        fn arbitrary_replies_do_not_panic(
            info in any_info(),
            replies in proptest::collection::vec(any_reply(), 1..16),
            polled_at in any::<f64>(),
        ) {
            let scripts = vec![Script { name: "a".to_owned(), text: Vec::new(), read_only: true }];
            let options = CollectorOptions { scripts, ..CollectorOptions::default() };
            let options = Arc::new(options);
            let circumstances = Circumstances { polled_at, options, ..Circumstances::default() };
            let mut read = Replies::new(&info, circumstances);
            let mut replies = replies.iter().cycle();
            for query in ALL.iter().flat_map(|collector| collector.queries) {
                read = read.with(*query, replies.next().unwrap());
            }
            let further = ALL.iter().flat_map(|collector| (collector.further)(&read));
            let further: Vec<_> = further.map(|command| command.ticket).collect();
            for ticket in further {
                read.record(ticket, replies.next().unwrap().clone());
            }
            let mut snapshot = Snapshot::default();
            for collector in ALL {
                let _ = collector.read(&read, &mut snapshot);
            }
            let declared: HashSet<&str> = ALL
                .iter()
                .flat_map(|collector| (collector.families)())
                .map(|family| family.name)
                .collect();
            for sample in snapshot.finish().samples() {
                prop_assert!(declared.contains(sample.family.name), "{}", sample.family.name);
            }
        }
    }

    #[test]
    fn excluded_commands_are_neither_published_nor_dropped() {
        let info = "cmdstat_get:calls=2,usec=4,rejected_calls=0,failed_calls=0\r\n\
            cmdstat_config|get:calls=1,usec=9,rejected_calls=0,failed_calls=0\r\n\
            latency_percentiles_usec_get:p50=1.0\r\n\
            latency_percentiles_usec_config|get:p50=9.0\r\n";
        let histogram = |name| {
            let counts = Reply::List(vec![Reply::Integer(16), Reply::Integer(1)]);
            let body = vec![
                bytes("calls"),
                Reply::Integer(1),
                bytes("histogram_usec"),
                counts,
            ];
            [bytes(name), Reply::List(body)]
        };
        let histograms = ["get", "config|get"].map(histogram).concat();
        let options = CollectorOptions {
            commands: Commands::new(None, vec![Glob::new("config|*")]),
            ..CollectorOptions::default()
        };
        let circumstances = Circumstances {
            options: Arc::new(options),
            ..Circumstances::default()
        };
        let histograms = Reply::List(histograms);
        let replies = Replies::new(info, circumstances);
        let replies = replies.with(&latency_histogram::HISTOGRAM, &histograms);
        let mut snapshot = Snapshot::default();
        for collector in ALL {
            let _ = collector.read(&replies, &mut snapshot);
        }
        let snapshot = snapshot.finish();
        assert_eq!(snapshot.dropped(), 0);
        let of = |command| {
            let samples = snapshot.samples();
            samples
                .filter(|sample| sample.label_values().any(|value| value == command))
                .count()
        };
        // Four of `commandstats`, one summary, one histogram.
        assert_eq!((of("get"), of("config|get")), (6, 0));
    }

    #[test]
    fn collectors_and_families_have_unique_names() {
        let collectors: HashSet<&str> = names().into_iter().collect();
        assert_eq!(collectors.len(), ALL.len());
        let families: Vec<&str> = ALL
            .iter()
            .flat_map(|collector| (collector.families)())
            .map(|family| family.name)
            .collect();
        let distinct: HashSet<&str> = families.iter().copied().collect();
        assert_eq!(distinct.len(), families.len());
    }
}
