//! What the replies about one stream say: of itself, of its groups, of their consumers. Pure.
//!
//! What is nil, negative or not understood is unknown, and unknown is absent.

pub mod families;
pub mod find;

use crate::config::KeyName;
use crate::label::label_text;
use crate::metric::{Family, Snapshot};
use crate::number::to_float;
use crate::reply::Reply;
use families::{CONSUMERS_OF_GROUP, GROUPS_OF_STREAM, OF_CONSUMER, OF_GROUP, OF_STREAM};

/// Where there are more groups, or more consumers in one group, they are not asked for: one reply
/// would keep the server from its other clients for too long.
const ASKED_MOST: u64 = 1_000;

/// How much of one stream is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups at most.
    pub groups: usize,
    /// Consumers at most, of all groups together; none where they are not shown at all.
    pub consumers: Option<usize>,
}

/// Some values, each with its row.
type Values<const LABELS: usize> = Vec<(&'static Family<LABELS>, f64)>;

/// What is known of one stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its key.
    pub name: KeyName,
    values: Values<2>,
    groups: Vec<Group>,
    /// Groups that are not shown as there are too many.
    pub groups_dropped: u64,
    /// Consumers that are not shown as there are too many.
    pub consumers_dropped: u64,
}

/// What is known of one group.
#[derive(Clone, Debug)]
struct Group {
    name: Vec<u8>,
    values: Values<3>,
    /// How many of its consumers are shown.
    room: usize,
    consumers: Vec<Consumer>,
}

/// What is known of one consumer.
#[derive(Clone, Debug)]
struct Consumer {
    name: Vec<u8>,
    values: Values<4>,
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub const fn new(name: KeyName) -> Self {
        Self {
            name,
            values: Vec::new(),
            groups: Vec::new(),
            groups_dropped: 0,
            consumers_dropped: 0,
        }
    }

    /// Returns the name of the group in this place.
    #[must_use]
    pub fn group_name(&self, group: usize) -> &[u8] {
        self.groups.get(group).map_or(&[], |group| &group.name)
    }

    /// Takes in the reply to XINFO STREAM.
    pub fn take_stream(&mut self, reply: &Reply) {
        self.values = values(&OF_STREAM, reply);
        let groups = value_of(&GROUPS_OF_STREAM, &self.values).unwrap_or(0.0);
        if groups > to_float(ASKED_MOST) {
            self.groups_dropped = to_count(groups);
        }
    }

    /// Whether to ask for its groups: not where there is none, or far too many.
    #[must_use]
    pub fn asks_for_groups(&self) -> bool {
        let groups = value_of(&GROUPS_OF_STREAM, &self.values);
        self.groups_dropped == 0 && groups != Some(0.0)
    }

    /// Takes in the reply to XINFO GROUPS. The server sorts groups by name, so the ones that are
    /// shown of too many are the same each time.
    pub fn take_groups(&mut self, reply: &Reply, limits: Limits) {
        let mut room = limits.consumers.unwrap_or(0);
        for (at, item) in reply.items().iter().enumerate() {
            let values = values(&OF_GROUP, item);
            let consumers = match limits.consumers {
                Some(_) => to_count(value_of(&CONSUMERS_OF_GROUP, &values).unwrap_or(0.0)),
                None => 0,
            };
            let name = field(item, "name").and_then(Reply::bytes);
            let Some(name) = name.filter(|_| at < limits.groups) else {
                self.groups_dropped += 1;
                self.consumers_dropped += consumers;
                continue;
            };
            let wanted = if consumers > ASKED_MOST { 0 } else { consumers };
            let shown = room.min(usize::try_from(wanted).unwrap_or(usize::MAX));
            room -= shown;
            self.consumers_dropped += consumers - shown as u64;
            self.groups.push(Group {
                name: name.to_vec(),
                values,
                room: shown,
                consumers: Vec::new(),
            });
        }
    }

    /// The places of the groups whose consumers are to be asked for.
    pub fn asks_for_consumers(&self) -> impl Iterator<Item = usize> {
        let groups = self.groups.iter().enumerate();
        groups.filter(|(_, group)| group.room > 0).map(|(at, _)| at)
    }

    /// Takes in the reply to XINFO CONSUMERS of the group in this place.
    pub fn take_consumers(&mut self, at: usize, reply: &Reply) {
        let Some(group) = self.groups.get_mut(at) else {
            return;
        };
        let consumers = reply.items().iter().filter_map(|item| {
            Some(Consumer {
                name: field(item, "name")?.bytes()?.to_vec(),
                values: values(&OF_CONSUMER, item),
            })
        });
        group.consumers = consumers.take(group.room).collect();
    }

    /// Adds all that is known.
    pub fn push(&self, snapshot: &mut Snapshot) {
        let database = format!("db{}", self.name.database);
        let stream = label_text(&self.name.key);
        for (family, value) in &self.values {
            snapshot.push(family, [&database, &stream], *value);
        }
        for group in &self.groups {
            let name = label_text(&group.name);
            for (family, value) in &group.values {
                snapshot.push(family, [&database, &stream, &name], *value);
            }
            for consumer in &group.consumers {
                let consumer_name = label_text(&consumer.name);
                let labels = [database.as_str(), &stream, &name, &consumer_name];
                for (family, value) in &consumer.values {
                    snapshot.push(family, labels, *value);
                }
            }
        }
    }
}

/// The item after this name in a list of names and values.
fn field<'r>(reply: &'r Reply, name: &str) -> Option<&'r Reply> {
    let pairs = reply.items().chunks_exact(2);
    let mut found = pairs.filter_map(|pair| match pair {
        [Reply::Bytes(key), value] if key == name.as_bytes() => Some(value),
        _ => None,
    });
    found.next()
}

/// What a list of names and values says for these rows.
fn values<const LABELS: usize>(rows: &[&'static Family<LABELS>], reply: &Reply) -> Values<LABELS> {
    let known = rows.iter().filter_map(|row| {
        let value = field(reply, row.descriptor().source.field)?;
        Some((*row, number(value)?))
    });
    known.collect()
}

fn value_of<const LABELS: usize>(
    row: &'static Family<LABELS>,
    values: &Values<LABELS>,
) -> Option<f64> {
    let mut found = values.iter().filter(|(known, _)| std::ptr::eq(*known, row));
    found.next().map(|(_, value)| *value)
}

/// A count, the milliseconds of an id, or those of the id of an entry.
fn number(reply: &Reply) -> Option<f64> {
    match reply {
        Reply::Integer(count) => u64::try_from(*count).ok().map(to_float),
        Reply::Bytes(id) => milliseconds(id),
        Reply::List(entry) => milliseconds(entry.first()?.bytes()?),
        Reply::Nil | Reply::Error(_) => None,
    }
}

/// The first part of an id such as `1795442318841-3`.
fn milliseconds(id: &[u8]) -> Option<f64> {
    let (milliseconds, _) = std::str::from_utf8(id).ok()?.split_once('-')?;
    milliseconds.parse::<u64>().ok().map(to_float)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was a count before it was a float"
)]
const fn to_count(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests;
