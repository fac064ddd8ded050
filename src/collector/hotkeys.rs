//! HOTKEYS GET: the keys with the most CPU time and network traffic, from a running tracking
//! session. Never starts a session; operators decide that.

use super::signed;
use super::{Collector, Flavor, Query, Read, Replies};
use crate::label::label_text;
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries the results of the session. The reply is nil if there is no session.
pub static HOTKEYS: Query = Query::new(&[&["HOTKEYS", "GET"]], "+hotkeys|get");

/// Maximum number of published keys per list. Equals the maximum of a session.
const MOST_KEYS: usize = 64;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static SAMPLE_RATIO: Family<0> = Family::gauge("redis_hotkeys_sample_ratio", &[], source("HOTKEYS GET", "sample-ratio"), Unit::One, "Sampling ratio of the running session: it samples one of this many commands.");
    pub(super) static DURATION: Family<0> = Family::gauge("redis_hotkeys_tracking_seconds", &[], source("HOTKEYS GET", "collection-duration-ms"), Unit::Milliseconds, "Duration of the running session, in seconds.");
    pub(super) static ALL_CPU: Family<0> = Family::gauge("redis_hotkeys_commands_cpu_seconds", &[], source("HOTKEYS GET", "all-commands-all-slots-us"), Unit::Microseconds, "CPU time of all commands since the start of the running session, in seconds.");
    pub(super) static ALL_NETWORK: Family<0> = Family::gauge("redis_hotkeys_commands_network_bytes", &[], source("HOTKEYS GET", "net-bytes-all-commands-all-slots"), Unit::Bytes, "Network traffic of all commands since the start of the running session, in bytes.");
    pub(super) static CPU: Family<1> = Family::gauge("redis_hotkey_cpu_seconds", &["key"], source("HOTKEYS GET", "by-cpu-time-us"), Unit::Microseconds, "CPU time of commands on the key since the start of the running session, in seconds.");
    pub(super) static NETWORK: Family<1> = Family::gauge("redis_hotkey_network_bytes", &["key"], source("HOTKEYS GET", "by-net-bytes"), Unit::Bytes, "Network traffic of commands on the key since the start of the running session, in bytes.");
}

/// Returns the family of a session value.
const fn of_session(
    name: &'static str,
    field: &'static str,
    unit: Unit,
    help: &'static str,
) -> Family<0> {
    Family::gauge(name, &[], source("HOTKEYS GET", field), unit, help)
}

#[rustfmt::skip] // One metric, one line.
static TOTALS: &[Family<0>] = &[
    of_session("redis_hotkeys_start_timestamp_seconds", "collection-start-time-unix-ms", Unit::Milliseconds, "Start time of the running session, in seconds since the epoch."),
    of_session("redis_hotkeys_process_cpu_user_seconds", "total-cpu-time-user-ms", Unit::Milliseconds, "CPU time of the server in user mode since the start of the running session, in seconds."),
    of_session("redis_hotkeys_process_cpu_system_seconds", "total-cpu-time-sys-ms", Unit::Milliseconds, "CPU time of the server in the kernel since the start of the running session, in seconds."),
    of_session("redis_hotkeys_network_bytes", "total-net-bytes", Unit::Bytes, "Network traffic of all keys that the running session has sampled, in bytes."),
    of_session("redis_hotkeys_selected_slots_cpu_seconds", "all-commands-selected-slots-us", Unit::Microseconds, "CPU time of all commands on the slots of the running session; absent if it covers all slots."),
    of_session("redis_hotkeys_selected_slots_sampled_cpu_seconds", "sampled-commands-selected-slots-us", Unit::Microseconds, "CPU time of the sampled commands on the slots of the running session; absent if it samples all commands."),
    of_session("redis_hotkeys_selected_slots_network_bytes", "net-bytes-all-commands-selected-slots", Unit::Bytes, "Network traffic of all commands on the slots of the running session; absent if it covers all slots."),
    of_session("redis_hotkeys_selected_slots_sampled_network_bytes", "net-bytes-sampled-commands-selected-slots", Unit::Bytes, "Network traffic of the sampled commands on the slots of the running session; absent if it samples all commands."),
];

static FIELDS: &[&Family<0>] = &[
    &rows::SAMPLE_RATIO,
    &rows::DURATION,
    &rows::ALL_CPU,
    &rows::ALL_NETWORK,
];

static LISTS: &[&Family<1>] = &[&rows::CPU, &rows::NETWORK];

/// Reads the results of a running session. Off by default, because key names can be private.
pub static COLLECTOR: Collector = Collector {
    name: "hotkeys",
    about: "Hottest keys by name, and totals of the session, while a HOTKEYS session is running (Redis 8.6 and later).",
    queries: &[&HOTKEYS],
    applies: |server| {
        server.flavor == Flavor::Redis && server.version >= (8, 6) && server.holds_keys()
    },
    families,
    read: Read::Samples(read),
    ..Collector::OFF
};

fn families() -> Vec<&'static Descriptor> {
    let lists = LISTS.iter().map(|family| family.descriptor());
    numbers().map(Family::descriptor).chain(lists).collect()
}

fn numbers() -> impl Iterator<Item = &'static Family<0>> {
    FIELDS.iter().copied().chain(TOTALS)
}

/// Publishes a running session only. The server keeps the results of an ended session until it is
/// reset; INFO reports that it has ended.
fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let Some(session) = replies.reply(&HOTKEYS).map(fields) else {
        return;
    };
    let is_active = value_of(session, "tracking-active").and_then(Reply::integer);
    if is_active != Some(1) {
        return;
    }
    for family in numbers() {
        snapshot.push(family, [], integer(session, family));
    }
    for family in LISTS {
        let list = field(session, family.descriptor()).map(Reply::items);
        read_keys(family, list.unwrap_or_default(), snapshot);
    }
}

fn read_keys(family: &'static Family<1>, list: &[Reply], snapshot: &mut Snapshot) {
    for pair in list.chunks_exact(2).take(MOST_KEYS) {
        let [key, value] = pair else { continue };
        if let (Some(key), Some(value)) = (key.bytes(), value.integer()) {
            snapshot.push(family, [&label_text(key)], signed(value));
        }
    }
}

/// Returns alternating names and values. Some versions wrap them in a list.
fn fields(reply: &Reply) -> &[Reply] {
    match reply.items() {
        [Reply::List(fields), ..] => fields,
        fields => fields,
    }
}

fn value_of<'a>(session: &'a [Reply], name: &str) -> Option<&'a Reply> {
    let is_it = |pair: &&[Reply]| pair.first().and_then(Reply::bytes) == Some(name.as_bytes());
    session.chunks_exact(2).find(is_it)?.get(1)
}

fn field<'a>(session: &'a [Reply], family: &Descriptor) -> Option<&'a Reply> {
    value_of(session, family.source.field)
}

fn integer(session: &[Reply], family: &Family<0>) -> Option<f64> {
    field(session, family.descriptor())?.integer().map(signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, Server, reading};
    use crate::info::Info;

    fn pairs(of: Vec<(&str, Reply)>) -> Reply {
        let words = of.into_iter();
        Reply::List(
            words
                .flat_map(|(name, value)| [reading::bytes(name), value])
                .collect(),
        )
    }

    fn session(active: i64) -> Reply {
        let keys = vec![
            reading::bytes("user:1"),
            Reply::Integer(104),
            Reply::Bytes([0xff, b'a'][..].into()),
            Reply::Integer(98),
        ];
        pairs(vec![
            ("tracking-active", Reply::Integer(active)),
            ("sample-ratio", Reply::Integer(2)),
            ("selected-slots", Reply::List(Vec::new())),
            ("all-commands-all-slots-us", Reply::Integer(220)),
            ("net-bytes-all-commands-all-slots", Reply::Integer(200)),
            (
                "collection-start-time-unix-ms",
                Reply::Integer(1_769_420_604_522),
            ),
            ("collection-duration-ms", Reply::Integer(6408)),
            ("total-cpu-time-user-ms", Reply::Integer(3)),
            ("total-cpu-time-sys-ms", Reply::Integer(11)),
            ("by-cpu-time-us", Reply::List(keys)),
        ])
    }

    fn shown(reply: Reply) -> Vec<String> {
        reading::of(
            &COLLECTOR,
            "",
            Circumstances::default(),
            &[(&HOTKEYS, reply)],
        )
    }

    #[test]
    fn running_session_publishes_its_keys() {
        let expected = [
            "redis_hotkey_cpu_seconds{\\xffa} 98",
            "redis_hotkey_cpu_seconds{user:1} 104",
            "redis_hotkeys_commands_cpu_seconds{} 220",
            "redis_hotkeys_commands_network_bytes{} 200",
            "redis_hotkeys_process_cpu_system_seconds{} 11",
            "redis_hotkeys_process_cpu_user_seconds{} 3",
            "redis_hotkeys_sample_ratio{} 2",
            "redis_hotkeys_start_timestamp_seconds{} 1769420604522",
            "redis_hotkeys_tracking_seconds{} 6408",
        ];
        assert_eq!(shown(session(1)), expected);
        assert_eq!(shown(Reply::List(vec![session(1)])), expected);
    }

    #[test]
    fn ended_session_publishes_nothing() {
        assert!(shown(session(0)).is_empty());
    }

    #[test]
    fn missing_session_publishes_nothing() {
        assert!(shown(Reply::Nil).is_empty());
    }

    #[test]
    fn long_list_is_truncated() {
        let key = |number| [reading::bytes(&format!("k{number}")), Reply::Integer(1)];
        let keys = (0..500).flat_map(key).collect();
        let long = pairs(vec![
            ("tracking-active", Reply::Integer(1)),
            ("by-net-bytes", Reply::List(keys)),
        ]);
        assert_eq!(shown(long).len(), MOST_KEYS);
    }

    #[test]
    fn only_redis_8_6_and_later_is_queried() {
        let of = |info: &str| (COLLECTOR.applies)(&Server::from_info(&Info::parse(info)));
        assert!(of("redis_version:8.6.3\r\n"));
        assert!(!of("redis_version:8.0.6\r\n") && !of("valkey_version:9.1.2\r\n"));
    }
}
