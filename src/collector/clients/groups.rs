//! CLIENT LIST, counted by declared group, by library, by last command and by user. Never a series
//! for each connection.

use super::super::{Answers, Collector, always};
use super::by_name::{OTHER, most_frequent};
use super::{Client, LIST, clients, label};
use crate::collector::float;
use crate::config::{ClientGroup, ClientMatch, Pattern};
use crate::metric::{Edge, Family, Histogram, Snapshot, Unit, source};

static CONNECTIONS: Family<1> = Family::gauge(
    "redis_client_group_connections",
    &["client_group"],
    source("CLIENT LIST", ""),
    Unit::One,
    "Connections of the clients of a group.",
);

static POOL_MAX: Family<1> = Family::gauge(
    "redis_client_group_pool_max",
    &["client_group"],
    source("config", "pool_max"),
    Unit::One,
    "Most connections that the pools of the group may have together, as declared.",
);

static IN_STATE: Family<2> = Family::gauge(
    "redis_client_group_state_connections",
    &["client_group", "state"],
    source("CLIENT LIST", "flags"),
    Unit::One,
    "Connections that wait in a blocking command (blocked), are subscribed to channels (pubsub), or are in a transaction (multi).",
);

static IDLE: Family<1> = Family::histogram(
    "redis_client_group_idle_seconds",
    &["client_group"],
    source("CLIENT LIST", "idle"),
    Unit::Seconds,
    "How long ago each connection sent its last command, as it is now: not a rate.",
);

static MEMORY: Family<1> = Family::gauge(
    "redis_client_group_memory_bytes",
    &["client_group"],
    source("CLIENT LIST", "tot-mem"),
    Unit::Bytes,
    "Memory of all buffers of the connections.",
);

static OUTPUT_MEMORY: Family<1> = Family::gauge(
    "redis_client_group_output_buffer_memory_bytes",
    &["client_group"],
    source("CLIENT LIST", "omem"),
    Unit::Bytes,
    "Memory of the replies that wait for the clients.",
);

static BY_LIBRARY: Family<2> = Family::gauge(
    "redis_clients_by_library",
    &["lib_name", "lib_ver"],
    source("CLIENT LIST", "lib-name"),
    Unit::One,
    "Connections by the library that the client named; other is the sum of those that have no room.",
);

static BY_COMMAND: Family<1> = Family::gauge(
    "redis_clients_by_last_command",
    &["cmd"],
    source("CLIENT LIST", "cmd"),
    Unit::One,
    "Connections by their last command; other is the sum of those that have no room.",
);

static BY_USER: Family<1> = Family::gauge(
    "redis_clients_by_user",
    &["user"],
    source("CLIENT LIST", "user"),
    Unit::One,
    "Connections by ACL user; other is the sum of those that have no room.",
);

/// Upper edges of the histogram of idle times, in seconds.
static IDLE_EDGES: [Edge; 8] = [
    edge(1, "1"),
    edge(10, "10"),
    edge(60, "60"),
    edge(300, "300"),
    edge(900, "900"),
    edge(3_600, "3600"),
    edge(21_600, "21600"),
    edge(86_400, "86400"),
];

const fn edge(at: u64, text: &'static str) -> Edge {
    Edge {
        at,
        as_replied: text,
        in_base_unit: text,
    }
}

/// The most libraries with their versions, commands and users that are told apart, each.
const MOST_NAMES: usize = 50;

/// Counts connections.
pub static COLLECTOR: Collector = Collector {
    name: "client_groups",
    about: "Connected clients by group (`clients.groups`), library, last command and user; on where groups are declared.",
    on_by_default: false,
    questions: &[&LIST],
    follow_ups: None,
    applies: always,
    families: || {
        let mut families: Vec<_> = [&CONNECTIONS, &POOL_MAX, &IDLE, &MEMORY, &OUTPUT_MEMORY]
            .map(Family::descriptor)
            .into();
        families.extend([&IN_STATE, &BY_LIBRARY].map(Family::descriptor));
        families.extend([&BY_COMMAND, &BY_USER].map(Family::descriptor));
        families
    },
    read,
};

/// What is counted of a group.
#[derive(Debug, Default)]
struct Tally {
    connections: u64,
    blocked: u64,
    subscribed: u64,
    in_transaction: u64,
    memory: u64,
    output_memory: u64,
    idle: Vec<u64>,
}

impl Tally {
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
        }
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

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    let Some(clients) = clients(answers) else {
        return;
    };
    push_groups(
        &answers.circumstances.options.clients.groups,
        &clients,
        snapshot,
    );
    push_names(&clients, snapshot);
}

fn push_groups(groups: &[ClientGroup], clients: &[Client<'_>], snapshot: &mut Snapshot) {
    let names = groups.iter().map(|group| group.name.as_str());
    let mut tallies: Vec<(&str, Tally)> = names
        .chain([OTHER])
        .map(|name| (name, Tally::default()))
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
        if let Some(most) = group.pool_max {
            snapshot.push(&POOL_MAX, [&group.name], f64::from(most));
        }
    }
}

fn push_tally(name: &str, tally: &Tally, says_memory: bool, snapshot: &mut Snapshot) {
    snapshot.push(&CONNECTIONS, [name], float(tally.connections));
    for (state, count) in [
        ("blocked", tally.blocked),
        ("pubsub", tally.subscribed),
        ("multi", tally.in_transaction),
    ] {
        snapshot.push(&IN_STATE, [name, state], float(count));
    }
    snapshot.push_histogram(&IDLE, [name], tally.idle_times());
    if says_memory {
        snapshot.push(&MEMORY, [name], float(tally.memory));
    }
    snapshot.push(&OUTPUT_MEMORY, [name], float(tally.output_memory));
}

fn push_names(clients: &[Client<'_>], snapshot: &mut Snapshot) {
    let libraries = clients.iter().filter_map(|client| client.library);
    let (libraries, mut rest) = most_frequent(libraries, MOST_NAMES);
    for ((name, version), count) in libraries {
        if name == OTHER.as_bytes() {
            rest += count;
            continue;
        }
        snapshot.push(&BY_LIBRARY, [&label(name), &label(version)], float(count));
    }
    if rest > 0 {
        snapshot.push(&BY_LIBRARY, [OTHER, ""], float(rest));
    }
    let commands = clients.iter().map(|client| client.command);
    push_by_name(&BY_COMMAND, commands, snapshot);
    let users = clients.iter().map(|client| client.user);
    push_by_name(&BY_USER, users, snapshot);
}

/// An empty name is one that the server does not say.
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
