//! CLIENT LIST, one series set per connection. For servers with few clients; groups count many.

use crate::collector::float;
use std::collections::HashMap;

use super::super::{Collector, Memo, Read, Replies};
use super::{Client, LIST, label, oldest};
use crate::metric::{Family, Kind, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static INFO: Family<8> = Family::gauge("redis_connected_client_info", &["id", "name", "flags", "db", "host", "port", "user", "resp"], source("CLIENT LIST", ""), Unit::One, "Text properties of the connection in labels; always 1.");
    pub(super) static CREATED: Family<2> = Family::gauge("redis_connected_client_created_at_timestamp", &["id", "name"], source("CLIENT LIST", "age"), Unit::Seconds, "Time at which the client connected, in seconds since the epoch.");
    pub(super) static IDLE_SINCE: Family<2> = Family::gauge("redis_connected_client_idle_since_timestamp", &["id", "name"], source("CLIENT LIST", "idle"), Unit::Seconds, "Time of the last command of the client, in seconds since the epoch.");
    pub(super) static DROPPED: Family<0> = Family::gauge("redis_connected_client_dropped", &[], source("CLIENT LIST", ""), Unit::One, "Connected clients that are not exported individually because of the limit.");
}

/// Returns the family of a numeric field, named after the field.
const fn number(
    name: &'static str,
    field: &'static str,
    unit: Unit,
    help: &'static str,
) -> Family<2> {
    Family::gauge(
        name,
        &["id", "name"],
        source("CLIENT LIST", field),
        unit,
        help,
    )
}

#[rustfmt::skip]
static NUMBERS: [Family<2>; 10] = [
    number("redis_connected_client_channel_subscriptions", "sub", Unit::One, "Channels that the client is subscribed to.")
        .legacy_instead("redis_connected_client_channel_subscriptions_count", Kind::Gauge),
    number("redis_connected_client_pattern_matching_subscriptions", "psub", Unit::One, "Patterns of channels that the client is subscribed to.")
        .legacy_instead("redis_connected_client_pattern_matching_subscriptions_count", Kind::Gauge),
    number("redis_connected_client_shard_channel_subscriptions", "ssub", Unit::One, "Shard channels that the client is subscribed to.")
        .legacy_instead("redis_connected_client_shard_channel_subscriptions_count", Kind::Gauge),
    number("redis_connected_client_shard_channel_watched_keys", "watch", Unit::One, "Keys that the client watches."),
    number("redis_connected_client_query_buffer_length_bytes", "qbuf", Unit::Bytes, "Bytes in the query buffer of the client."),
    number("redis_connected_client_query_buffer_free_space_bytes", "qbuf-free", Unit::Bytes, "Free bytes in the query buffer of the client."),
    number("redis_connected_client_output_buffer_length_bytes", "obl", Unit::Bytes, "Bytes in the fixed output buffer of the client."),
    number("redis_connected_client_output_list_length", "oll", Unit::One, "Pending replies to the client beyond its fixed output buffer."),
    number("redis_connected_client_output_buffer_memory_usage_bytes", "omem", Unit::Bytes, "Memory of pending replies to the client."),
    number("redis_connected_client_total_memory_consumed_bytes", "tot-mem", Unit::Bytes, "Memory of all buffers of the client."),
];

/// Tolerance between a time found at an earlier poll and the current one, which is in whole
/// seconds.
const TOLERANCE_SECONDS: f64 = 1.0;

/// Publishes individual connections.
pub static COLLECTOR: Collector = Collector {
    name: "client_list",
    about: "Single clients, the oldest connections first, up to `clients.max`.",
    default: |options| options.clients.list,
    queries: &[&LIST],
    families: || {
        let numbers = NUMBERS.iter().map(Family::descriptor);
        let mut families = vec![rows::INFO.descriptor(), rows::DROPPED.descriptor()];
        families.extend([&rows::CREATED, &rows::IDLE_SINCE].map(Family::descriptor));
        families.extend(numbers);
        families
    },
    read: Read::Remembering(read),
    ..Collector::ON
};

/// Time of connecting and time of the last command, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClientTimes {
    created: Option<f64>,
    idle_since: Option<f64>,
}

/// The times of the published clients, by connection id.
pub type KnownClients = HashMap<u64, ClientTimes>;

/// Computes the times of a client. The server reports whole seconds and reads its clock separately,
/// so a computed time may shift by a second between polls. The time of an earlier poll is kept
/// while it is within tolerance.
fn times(client: &Client<'_>, known: Option<&KnownClients>, now: f64) -> ClientTimes {
    let known = known.and_then(|known| known.get(&client.id));
    let known = known.copied().unwrap_or_default();
    let since = |seconds: Option<u64>, known: Option<f64>| {
        let computed = now - float(seconds?);
        let fits = |known: &f64| (known - computed).abs() <= TOLERANCE_SECONDS;
        Some(known.filter(fits).unwrap_or(computed))
    };
    ClientTimes {
        created: since(client.age, known.created),
        idle_since: since(client.idle, known.idle_since),
    }
}

/// Returns the server's time if it reports it, in whole seconds since the epoch.
fn now(replies: &Replies) -> f64 {
    let time = replies.info.number("server_time_usec");
    time.map_or(replies.circumstances.polled_at, |time| time / 1e6)
        .floor()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Option<Memo> {
    let most = replies.circumstances.options.clients.max as usize;
    let (shown, dropped) = oldest(replies, most)?;
    let (before, now) = (replies.circumstances.remembered.get(), now(replies));
    let mut known = KnownClients::new();
    snapshot.push(&rows::DROPPED, [], float(dropped as u64));
    let with_port = replies.circumstances.options.clients.port;
    for client in &shown {
        let id = client.id.to_string();
        let name = label(client.name);
        push_info(client, [&id, &name], with_port, snapshot);
        let times = times(client, before, now);
        known.insert(client.id, times);
        snapshot.push(&rows::CREATED, [&id, &name], times.created);
        snapshot.push(&rows::IDLE_SINCE, [&id, &name], times.idle_since);
        for family in &NUMBERS {
            let number = client.number(family.field());
            snapshot.push(family, [&id, &name], number.map(float));
        }
    }
    Some(Memo::new(known))
}

fn push_info(client: &Client<'_>, [id, name]: [&str; 2], with_port: bool, snapshot: &mut Snapshot) {
    let (host, port) = client.host_and_port();
    let port = if with_port { port } else { b"" };
    let texts = [
        client.flags,
        client.database,
        host,
        port,
        client.user,
        client.protocol,
    ];
    let [flags, database, host, port, user, protocol] = texts.map(label);
    let labels = [id, name, &flags, &database, &host, &port, &user, &protocol];
    snapshot.push(&rows::INFO, labels, 1.0);
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use super::*;
    use crate::collector::{Circumstances, Remembered, reading};
    use crate::config::{Clients, CollectorOptions};

    fn circumstances(clients: Clients, remembered: Remembered, polled_at: f64) -> Circumstances {
        let options = CollectorOptions {
            clients,
            ..CollectorOptions::default()
        };
        Circumstances {
            options: Arc::new(options),
            remembered,
            polled_at,
            ..Circumstances::default()
        }
    }

    fn seen(reply: &str, clients: Clients) -> Vec<String> {
        let circumstances = circumstances(clients, Remembered::default(), 1_000.9);
        reading::of(
            &COLLECTOR,
            "",
            circumstances,
            &[(&LIST, reading::bytes(reply))],
        )
    }

    const ONE: &str = "id=7 addr=10.0.0.1:4000 name=a=b age=100 idle=5 flags=N db=2 sub=1 omem=9 \
        user=app resp=2\n";

    #[test]
    fn unreported_values_of_a_client_are_absent() {
        let expected = [
            "redis_connected_client_channel_subscriptions{7,a=b} 1",
            "redis_connected_client_created_at_timestamp{7,a=b} 900",
            "redis_connected_client_dropped{} 0",
            "redis_connected_client_idle_since_timestamp{7,a=b} 995",
            "redis_connected_client_info{7,a=b,N,2,10.0.0.1,,app,2} 1",
            "redis_connected_client_output_buffer_memory_usage_bytes{7,a=b} 9",
        ];
        assert_eq!(seen(ONE, Clients::default()), expected);
    }

    #[test]
    fn port_is_published_if_configured() {
        let clients = Clients {
            port: true,
            ..Clients::default()
        };
        let info = "redis_connected_client_info{7,a=b,N,2,10.0.0.1,4000,app,2} 1";
        assert!(seen(ONE, clients).iter().any(|line| line == info));
    }

    #[test]
    fn oldest_connections_are_published_and_the_rest_counted() {
        let mut reply = String::new();
        for id in [5, 3, 9, 1] {
            writeln!(reply, "id={id} addr=a:1 name=").unwrap();
        }
        let clients = Clients {
            max: 2,
            ..Clients::default()
        };
        let expected = [
            "redis_connected_client_dropped{} 2",
            "redis_connected_client_info{1,,,,a,,,} 1",
            "redis_connected_client_info{3,,,,a,,,} 1",
        ];
        assert_eq!(seen(&reply, clients), expected);
    }

    /// Returns the connection time and last-command time that each poll publishes.
    fn times_over(polls: &[(&str, f64)]) -> Vec<(f64, f64)> {
        let mut remembered = Remembered::default();
        let mut seen = Vec::new();
        for (reply, polled_at) in polls {
            let reply = reading::bytes(reply);
            let circumstances = circumstances(Clients::default(), remembered.clone(), *polled_at);
            let replies = Replies::new("", circumstances).with(&LIST, &reply);
            remembered.record(read(&replies, &mut Snapshot::default()).unwrap());
            let times = remembered.get::<KnownClients>().unwrap()[&7];
            seen.push((times.created.unwrap(), times.idle_since.unwrap()));
        }
        seen
    }

    #[test]
    fn times_do_not_jitter_between_polls() {
        let polls = [
            ("id=7 age=100 idle=5", 1_000.9),
            ("id=7 age=115 idle=20", 1_016.1),
            ("id=7 age=131 idle=36", 1_030.9),
        ];
        assert_eq!(times_over(&polls), [(900.0, 995.0); 3]);
    }

    #[test]
    fn new_command_or_reused_id_updates_times() {
        let polls = [
            ("id=7 age=100 idle=5", 1_000.0),
            ("id=7 age=115 idle=0", 1_015.0),
            ("id=7 age=2 idle=1", 1_030.0),
        ];
        let expected = [(900.0, 995.0), (900.0, 1_015.0), (1_028.0, 1_029.0)];
        assert_eq!(times_over(&polls), expected);
    }

    #[test]
    fn server_clock_overrides_exporter_clock() {
        let info = "server_time_usec:2000900000\r\n";
        let circumstances = Circumstances::default();
        let replies = [(&LIST, reading::bytes("id=7 age=100"))];
        let seen = reading::of(&COLLECTOR, info, circumstances, &replies);
        let created = "redis_connected_client_created_at_timestamp{7,} 1900";
        assert!(seen.iter().any(|line| line == created), "{seen:?}");
    }
}
