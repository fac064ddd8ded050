//! Collectors: each is one question to Redis and the reading of its reply. Pure.
//!
//! A collector does no I/O, reads no clock and keeps no state: it is a function from the replies
//! of one poll to samples. To add one, write its file and add it to [`ALL`].

mod acl_log;
mod answers;
mod channels;
mod clients;
mod cluster;
mod cluster_nodes;
mod command_log;
mod commandlog;
mod config;
mod config_values;
mod declared;
pub mod function_stats;
mod hotkeys;
pub mod info;
mod latency;
mod latency_histogram;
mod memory_limit;
mod memory_stats;
pub mod rdb_file_size;
#[cfg(test)]
mod reading;
mod scripts;
mod search_indexes;
mod sentinel;
mod server;
mod slot_stats;
mod slowlog;
mod tile38;

use crate::metric::{Descriptor, Snapshot};

pub use answers::{Answers, Circumstances, FollowUp, KnownStart, Remembered};
pub use declared::is_on_by_default;
pub use server::{Flavour, Mode, Server};

/// One question to Redis. Collectors that share a question share its reply.
#[derive(Debug)]
pub struct Question {
    /// The spellings of the command, best first. The next one is tried where a server does not
    /// know one or answers it with nothing.
    pub commands: &'static [&'static [&'static str]],
    /// What an ACL user needs for it, as `+slowlog|len`; empty where the server has no ACL.
    pub permission: &'static str,
}

impl PartialEq for Question {
    /// Questions are told apart by their best spelling.
    fn eq(&self, other: &Self) -> bool {
        self.commands.first() == other.commands.first()
    }
}

impl Eq for Question {}

/// One question to Redis and the reading of its reply.
#[derive(Debug)]
pub struct Collector {
    /// The name in the configuration and in the `collector` label.
    pub name: &'static str,
    /// One plain sentence.
    pub about: &'static str,
    /// Whether it is on where the configuration does not say.
    pub on_by_default: bool,
    /// The questions that it needs. It may also read replies that other collectors asked for, and
    /// does without them where they are missing.
    pub questions: &'static [&'static Question],
    /// What is to be asked once `questions` are answered: questions that hang on those replies,
    /// on the configuration, or on what earlier polls saw. All of them go out in one pipeline; what
    /// follows from their replies, in one more.
    pub follow_ups: Option<fn(&Answers<'_>) -> Vec<FollowUp>>,
    /// Whether a server of this kind understands the questions.
    pub applies: fn(&Server) -> bool,
    /// Every family that it can produce.
    pub families: fn() -> Vec<&'static Descriptor>,
    /// Reads the replies. What is not understood is left out.
    pub read: fn(&Answers<'_>, &mut Snapshot),
}

/// Every collector, in the order in which they read.
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

/// Permissions for what collectors send after their first queries, by the name of the collector.
/// DBSIZE is not among them: only servers without a Keyspace section are sent it.
static PERMISSIONS_LATER: &[(&str, &[&str])] = &[
    ("channels", &channels::PERMISSIONS),
    ("commandlog", &[commandlog::ENTRIES_PERMISSION]),
    ("slot_stats", &["+cluster|slot-stats"]),
];

/// What an ACL user needs for a collector, as `+slowlog|len`; also for what it asks later.
#[must_use]
pub fn permissions(collector: &Collector) -> Vec<&'static str> {
    let questions = collector.questions.iter();
    let mut permissions: Vec<_> = questions.map(|question| question.permission).collect();
    let later = PERMISSIONS_LATER.iter();
    let later = later.filter(|(name, _)| *name == collector.name);
    permissions.extend(later.flat_map(|(_, permissions)| *permissions));
    // Tile38 has no ACL.
    permissions.retain(|permission| !permission.is_empty());
    permissions.dedup();
    permissions
}

/// The names of all collectors, for the configuration.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|collector| collector.name).collect()
}

/// What is asked first on every connection: everything else depends on its reply.
pub static INFO: Question = Question {
    commands: &[&["INFO", "everything"], &["INFO", "all"], &["INFO"]],
    permission: "+info",
};

/// A count as the value of a sample.
#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// A number of a reply as the value of a sample.
#[expect(clippy::cast_precision_loss, reason = "samples are 64-bit floats")]
const fn signed(number: i64) -> f64 {
    number as f64
}

/// Applies to every server.
const fn always(_: &Server) -> bool {
    true
}

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

    /// Words that replies are made of, so that generated ones get past the first look.
    const WORDS: &str = "(calls|histogram_usec|command|get|count|reason|num_docs|requirepass|dir|/|config\\|get|[0-9]{1,20}|-1|nan|normal 1 2 3|\\PC{0,8})";

    fn any_reply() -> impl Strategy<Value = Reply> {
        let leaf = prop_oneof![
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Integer),
            (0_i64..3_000_000).prop_map(Reply::Integer),
            proptest::collection::vec(any::<u8>(), 0..32).prop_map(Reply::Bytes),
            WORDS.prop_map(|word| Reply::Bytes(word.into_bytes())),
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

    /// Lines of INFO; each `?` stands for a value that may be wrong.
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
        fn any_replies_are_read_without_a_panic(
            info in any_info(),
            replies in proptest::collection::vec(any_reply(), 1..16),
            polled_at in any::<f64>(),
        ) {
            let questions = ALL.iter().flat_map(|collector| collector.questions.iter().copied());
            let answered = questions.zip(replies.iter().cycle()).collect();
            let scripts = vec![Script { name: "a".to_owned(), text: Vec::new(), read_only: true }];
            let options = CollectorOptions { scripts, ..CollectorOptions::default() };
            let options = Arc::new(options);
            let circumstances = Circumstances { polled_at, options, ..Circumstances::default() };
            let answers = Answers::new(&info, &circumstances, answered);
            let following: Vec<FollowUp> = ALL
                .iter()
                .filter_map(|collector| collector.follow_ups)
                .flat_map(|follow_ups| follow_ups(&answers))
                .collect();
            let answers = answers.with_follow_ups(following.iter().zip(replies.iter().cycle()));
            let mut snapshot = Snapshot::default();
            for collector in ALL {
                (collector.read)(&answers, &mut snapshot);
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
    fn commands_that_are_not_to_be_shown_are_on_no_line_and_count_as_nothing_dropped() {
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
        let replies = vec![(&latency_histogram::HISTOGRAM, &histograms)];
        let answers = Answers::new(info, &circumstances, replies);
        let mut snapshot = Snapshot::default();
        for collector in ALL {
            (collector.read)(&answers, &mut snapshot);
        }
        let snapshot = snapshot.finish();
        assert_eq!(snapshot.dropped(), 0);
        let of = |command| {
            let samples = snapshot.samples();
            samples
                .filter(|sample| sample.label_values().any(|value| value == command))
                .count()
        };
        // Four of commandstats, one summary, one histogram.
        assert_eq!((of("get"), of("config|get")), (6, 0));
    }

    #[test]
    fn collectors_and_families_have_names_of_their_own() {
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
