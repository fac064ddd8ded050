//! CLIENT LIST, counted by declared group, library, last command, and user. Never one series per
//! connection.

use std::collections::{BTreeMap, HashMap};

use super::super::{Collector, Memo, Read, Replies};
use super::by_name::most_frequent;
use super::{Client, ConnectionTotals, LIST, clients, label};
use crate::collector::float;
use crate::config::{ClientGroup, ClientMatch, Pattern};
use crate::label::OTHER;
use crate::metric::{Edge, Family, Histogram, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source, total};

    pub(super) static CONNECTIONS: Family<1> = Family::gauge("redis_client_group_connections", &["client_group"], source("CLIENT LIST", ""), Unit::One, "Connections of the clients of a group.");
    pub(super) static POOL_MAX: Family<1> = Family::gauge("redis_client_group_pool_max", &["client_group"], source("config", "pool_max"), Unit::One, "Declared maximum number of connections of all pools of the group.");
    pub(super) static IN_STATE: Family<2> = Family::gauge("redis_client_group_state_connections", &["client_group", "state"], source("CLIENT LIST", "flags"), Unit::One, "Connections that wait in a blocking command (blocked), are subscribed to channels (pubsub), or are in a transaction (multi).");
    pub(super) static IDLE: Family<1> = Family::histogram("redis_client_group_idle_seconds", &["client_group"], source("CLIENT LIST", "idle"), Unit::Seconds, "Time since the last command of each connection in seconds; shows the current state, so rate() does not apply.");
    pub(super) static MEMORY: Family<1> = Family::gauge("redis_client_group_memory_bytes", &["client_group"], source("CLIENT LIST", "tot-mem"), Unit::Bytes, "Memory of all buffers of the connections.");
    pub(super) static OUTPUT_MEMORY: Family<1> = Family::gauge("redis_client_group_output_buffer_memory_bytes", &["client_group"], source("CLIENT LIST", "omem"), Unit::Bytes, "Memory of pending replies to the clients.");
    pub(super) static RECEIVED: Family<1> = total("redis_client_group_network_received_bytes_total", "tot-net-in", Unit::Bytes, "Bytes that the server received from the clients of a group since the exporter first saw them.");
    pub(super) static SENT: Family<1> = total("redis_client_group_network_sent_bytes_total", "tot-net-out", Unit::Bytes, "Bytes that the server sent to the clients of a group since the exporter first saw them.");
    pub(super) static COMMANDS: Family<1> = total("redis_client_group_commands_total", "tot-cmds", Unit::One, "Commands of the clients of a group since the exporter first saw them.");
    pub(super) static BY_LIBRARY: Family<2> = Family::gauge("redis_clients_by_library", &["lib_name", "lib_ver"], source("CLIENT LIST", "lib-name"), Unit::One, "Connections by the library that the client named; other is the sum of values beyond the limit.");
    pub(super) static BY_COMMAND: Family<1> = Family::gauge("redis_clients_by_last_command", &["cmd"], source("CLIENT LIST", "cmd"), Unit::One, "Connections by their last command; other is the sum of values beyond the limit.");
    pub(super) static BY_USER: Family<1> = Family::gauge("redis_clients_by_user", &["user"], source("CLIENT LIST", "user"), Unit::One, "Connections by ACL user; other is the sum of values beyond the limit.");
}

/// Returns the family of a group's total.
const fn total(
    name: &'static str,
    field: &'static str,
    unit: Unit,
    help: &'static str,
) -> Family<1> {
    let source = source("CLIENT LIST", field);
    Family::counter(name, &["client_group"], source, unit, help)
}

/// Upper edges of the histogram of idle times, in seconds.
static IDLE_EDGES: [Edge; 8] = [
    Edge::new(1, "1", "1"),
    Edge::new(10, "10", "10"),
    Edge::new(60, "60", "60"),
    Edge::new(300, "300", "300"),
    Edge::new(900, "900", "900"),
    Edge::new(3_600, "3600", "3600"),
    Edge::new(21_600, "21600", "21600"),
    Edge::new(86_400, "86400", "86400"),
];

/// Maximum number of distinct libraries with versions, of commands, and of users.
const MOST_NAMES: usize = 50;

/// Counts connections.
pub static COLLECTOR: Collector = Collector {
    name: "client_groups",
    about: "Connected clients by group (`clients.groups`), library, last command and user. On if groups are declared.",
    default: |options| !options.clients.groups.is_empty(),
    queries: &[&LIST],
    families: || {
        let mut families: Vec<_> = [
            &rows::CONNECTIONS,
            &rows::POOL_MAX,
            &rows::IDLE,
            &rows::MEMORY,
            &rows::OUTPUT_MEMORY,
        ]
        .map(Family::descriptor)
        .into();
        families.extend([&rows::IN_STATE, &rows::BY_LIBRARY].map(Family::descriptor));
        families.extend([&rows::BY_COMMAND, &rows::BY_USER].map(Family::descriptor));
        families.extend([&rows::RECEIVED, &rows::SENT, &rows::COMMANDS].map(Family::descriptor));
        families
    },
    read: Read::Remembering(read),
    ..Collector::ON
};

/// The counts of one group.
#[derive(Debug, Default)]
struct GroupTally {
    connections: u64,
    blocked: u64,
    subscribed: u64,
    in_transaction: u64,
    memory: u64,
    output_memory: u64,
    idle: Vec<u64>,
}

impl GroupTally {
    fn add(&mut self, client: &Client<'_>) {
        let has = |flag| u64::from(client.flags.contains(&flag));
        self.connections += 1;
        self.blocked += has(b'b');
        self.subscribed += has(b'P');
        self.in_transaction += has(b'x');
        let sum = |sum: u64, more: Option<u64>| sum.saturating_add(more.unwrap_or_default());
        self.memory = sum(self.memory, client.memory);
        self.output_memory = sum(self.output_memory, client.output_memory);
        self.idle.extend(client.idle);
    }

    fn idle_times(&self) -> Histogram {
        let up_to = |edge: &Edge| self.idle.iter().filter(|idle| **idle <= edge.at).count() as u64;
        Histogram {
            edges: &IDLE_EDGES,
            counts: IDLE_EDGES.iter().map(up_to).collect(),
            count: self.idle.len() as u64,
            sum: self.idle.iter().map(|idle| float(*idle)).sum(),
            only_full: false,
        }
    }
}

/// Tolerance between the reported age of a connection, in whole seconds, and the time between
/// polls.
const TOLERANCE_SECONDS: f64 = 2.0;

/// Maximum number of connections whose totals are kept between polls.
const CONNECTIONS_MAX: usize = 50_000;

/// Totals of groups over all polls. The server reports totals per connection, which vanish with it.
/// Each poll therefore adds the increase since the last one. The increase between the last poll and
/// the end of a connection is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientTotals {
    /// Time of the last poll that read clients, in seconds since the epoch.
    seen_at: Option<f64>,
    by_connection: HashMap<u64, ConnectionTotals>,
    by_group: BTreeMap<String, ConnectionTotals>,
}

impl ClientTotals {
    /// Adds the increase of one connection since the last poll.
    fn add(&mut self, group: &str, client: &Client<'_>, before: &Self, polled_at: f64) {
        let Some(now) = client.totals else { return };
        if self.by_connection.len() < CONNECTIONS_MAX {
            self.by_connection.insert(client.id, now);
        }
        let age = client.age.map_or(f64::INFINITY, float);
        let is_new = before
            .seen_at
            .is_some_and(|seen_at| age <= polled_at - seen_at + TOLERANCE_SECONDS);
        let known = before.by_connection.get(&client.id).copied();
        // A lower count means that another server reused the connection id.
        let known = known.filter(|known| known.commands <= now.commands);
        // Activity of an old connection before its first poll does not count.
        let start = known
            .or(is_new.then(ConnectionTotals::default))
            .unwrap_or(now);
        let sum = self.by_group.entry(group.to_owned()).or_default();
        let add = |sum: &mut u64, now: u64, start: u64| {
            *sum = sum.saturating_add(now.saturating_sub(start));
        };
        add(&mut sum.received, now.received, start.received);
        add(&mut sum.sent, now.sent, start.sent);
        add(&mut sum.commands, now.commands, start.commands);
    }
}

/// Returns the totals of earlier polls plus the increase in this one.
fn totals(clients: &[Client<'_>], replies: &Replies) -> ClientTotals {
    let first = ClientTotals::default();
    let before = replies.circumstances.remembered.get().unwrap_or(&first);
    let polled_at = replies.circumstances.polled_at;
    let mut totals = ClientTotals {
        seen_at: Some(polled_at),
        by_group: before.by_group.clone(),
        ..ClientTotals::default()
    };
    let groups = &replies.circumstances.options.clients.groups;
    for client in clients {
        let group = groups.iter().find(|group| is_in(group, client));
        let name = group.map_or(OTHER, |group| &group.name);
        totals.add(name, client, before, polled_at);
    }
    totals
}

fn push_totals(totals: &ClientTotals, groups: &[ClientGroup], snapshot: &mut Snapshot) {
    if totals.by_connection.is_empty() && totals.by_group.is_empty() {
        return;
    }
    let names = groups.iter().map(|group| group.name.as_str());
    for name in names.chain([OTHER]) {
        let of_group = totals.by_group.get(name).copied().unwrap_or_default();
        snapshot.push(&rows::RECEIVED, [name], float(of_group.received));
        snapshot.push(&rows::SENT, [name], float(of_group.sent));
        snapshot.push(&rows::COMMANDS, [name], float(of_group.commands));
    }
}

fn is_in(group: &ClientGroup, client: &Client<'_>) -> bool {
    let ClientMatch {
        name,
        user,
        library,
        address,
        command,
    } = &group.matching;
    let fits = |pattern: &Option<Pattern>, text| {
        let pattern = pattern.as_ref();
        pattern.is_none_or(|pattern| pattern.matches(text))
    };
    fits(name, client.name)
        && fits(user, client.user)
        && fits(library, client.library.unwrap_or_default().0)
        && fits(address, client.host_and_port().0)
        && fits(command, client.command)
}

fn read(replies: &Replies, snapshot: &mut Snapshot) -> Option<Memo> {
    let clients = clients(replies)?;
    let groups = &replies.circumstances.options.clients.groups;
    push_groups(groups, &clients, snapshot);
    push_names(&clients, snapshot);
    let totals = totals(&clients, replies);
    push_totals(&totals, groups, snapshot);
    Some(Memo::new(totals))
}

fn push_groups(groups: &[ClientGroup], clients: &[Client<'_>], snapshot: &mut Snapshot) {
    let names = groups.iter().map(|group| group.name.as_str());
    let mut tallies: Vec<(&str, GroupTally)> = names
        .chain([OTHER])
        .map(|name| (name, GroupTally::default()))
        .collect();
    for client in clients {
        let found = groups.iter().position(|group| is_in(group, client));
        if let Some((_, tally)) = tallies.get_mut(found.unwrap_or(groups.len())) {
            tally.add(client);
        }
    }
    let says_memory = clients.iter().any(|client| client.memory.is_some());
    for (name, tally) in &tallies {
        push_tally(name, tally, says_memory, snapshot);
    }
    for group in groups {
        let most = group.pool_max.map(f64::from);
        snapshot.push(&rows::POOL_MAX, [&group.name], most);
    }
}

fn push_tally(name: &str, tally: &GroupTally, says_memory: bool, snapshot: &mut Snapshot) {
    snapshot.push(&rows::CONNECTIONS, [name], float(tally.connections));
    for (state, count) in [
        ("blocked", tally.blocked),
        ("pubsub", tally.subscribed),
        ("multi", tally.in_transaction),
    ] {
        snapshot.push(&rows::IN_STATE, [name, state], float(count));
    }
    snapshot.push_histogram(&rows::IDLE, [name], tally.idle_times());
    if says_memory {
        snapshot.push(&rows::MEMORY, [name], float(tally.memory));
    }
    snapshot.push(&rows::OUTPUT_MEMORY, [name], float(tally.output_memory));
}

fn push_names(clients: &[Client<'_>], snapshot: &mut Snapshot) {
    let libraries = clients.iter().filter_map(|client| client.library);
    let (libraries, mut rest) = most_frequent(libraries, MOST_NAMES);
    for ((name, version), count) in libraries {
        if name == OTHER.as_bytes() {
            rest += count;
            continue;
        }
        let labels = [&*label(name), &label(version)];
        snapshot.push(&rows::BY_LIBRARY, labels, float(count));
    }
    if rest > 0 {
        snapshot.push(&rows::BY_LIBRARY, [OTHER, ""], float(rest));
    }
    let commands = clients.iter().map(|client| client.command);
    push_by_name(&rows::BY_COMMAND, commands, snapshot);
    let users = clients.iter().map(|client| client.user);
    push_by_name(&rows::BY_USER, users, snapshot);
}

/// Adds the counts of the most frequent names. Names that the server does not report are empty.
fn push_by_name<'a>(
    family: &'static Family<1>,
    names: impl Iterator<Item = &'a [u8]>,
    snapshot: &mut Snapshot,
) {
    let (counts, mut rest) = most_frequent(names.filter(|name| !name.is_empty()), MOST_NAMES);
    for (name, count) in counts {
        if name == OTHER.as_bytes() {
            rest += count;
        } else {
            snapshot.push(family, [&label(name)], float(count));
        }
    }
    if rest > 0 {
        snapshot.push(family, [OTHER], float(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Circumstances;
    use super::*;
    use crate::reply::Reply;

    /// Returns the totals after a poll at this time with these connections: id, age, and commands.
    fn polled(at: f64, before: ClientTotals, connections: &[(u64, u64, u64)]) -> ClientTotals {
        let line = |(id, age, commands): &(u64, u64, u64)| {
            let traffic = commands * 10;
            format!("id={id} age={age} tot-net-in={traffic} tot-net-out=1 tot-cmds={commands}\n")
        };
        let text: String = connections.iter().map(line).collect();
        let reply = Reply::Bytes(text.into_bytes().into());
        let circumstances = Circumstances {
            polled_at: at,
            remembered: [Memo::new(before)].into_iter().collect(),
            ..Circumstances::default()
        };
        let replies = Replies::new("", circumstances).with(&LIST, &reply);
        totals(&clients(&replies).unwrap(), &replies)
    }

    fn commands(totals: &ClientTotals) -> u64 {
        totals.by_group.get(OTHER).map_or(0, |sum| sum.commands)
    }

    #[test]
    fn connection_totals_add_up_over_polls() {
        let first = polled(100.0, ClientTotals::default(), &[(1, 900, 50), (2, 5, 7)]);
        assert_eq!(commands(&first), 0);
        // The second connection closed, the third opened.
        let second = polled(110.0, first, &[(1, 910, 60), (3, 4, 5)]);
        assert_eq!(commands(&second), 15);
        assert_eq!(second.by_group.get(OTHER).unwrap().received, 150);
        let third = polled(120.0, second, &[(1, 920, 60)]);
        assert_eq!(commands(&third), 15);
    }

    #[test]
    fn connections_of_another_server_start_at_0() {
        let first = polled(100.0, ClientTotals::default(), &[(1, 900, 50)]);
        let other = polled(110.0, first, &[(1, 900, 20), (9, 800, 70)]);
        assert_eq!(commands(&other), 0);
    }

    #[test]
    fn server_without_totals_publishes_none() {
        let reply = Reply::Bytes(b"id=1 age=3 cmd=get\n"[..].into());
        let replies = Replies::new("", Circumstances::default()).with(&LIST, &reply);
        let totals = totals(&clients(&replies).unwrap(), &replies);
        let mut snapshot = Snapshot::default();
        push_totals(&totals, &[], &mut snapshot);
        assert!(snapshot.is_empty());
    }
}
