//! Parses the replies about one stream, its groups and their consumers. Pure.
//!
//! Values that are nil, negative or not understood are unknown. Unknown values are absent.

pub mod families;
pub mod find;

use crate::config::KeyName;
use crate::label::label_text;
use crate::metric::{Family, Snapshot};
use crate::number::{to_count, to_float};
use crate::reply::Reply;
use families::{CONSUMERS_OF_GROUP, GROUPS_OF_STREAM, OF_CONSUMER, OF_GROUP, OF_STREAM};

/// Maximum number of groups, or of consumers in one group, in one reply. Beyond it they are not
/// queried: one reply would block other clients for too long.
const QUERIED_MAX: u64 = 1_000;

/// Limits for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Maximum number of exported groups.
    pub groups: usize,
    /// Maximum number of exported consumers, in all groups together; `None` if consumers are not
    /// exported.
    pub consumers: Option<usize>,
}

/// Values, each with its row.
type StreamValues<const LABELS: usize> = Vec<(&'static Family<LABELS>, f64)>;

/// Replies about one stream.
#[derive(Clone, Debug)]
pub struct StreamReplies {
    /// The key.
    pub name: KeyName,
    values: StreamValues<2>,
    groups: Vec<Group>,
    /// Groups beyond the limit.
    pub groups_dropped: u64,
    /// Consumers beyond the limit.
    pub consumers_dropped: u64,
}

#[derive(Clone, Debug)]
struct Group {
    name: Vec<u8>,
    values: StreamValues<3>,
    /// Number of consumers to export.
    room: usize,
    consumers: Vec<Consumer>,
}

#[derive(Clone, Debug)]
struct Consumer {
    name: Vec<u8>,
    values: StreamValues<4>,
}

impl StreamReplies {
    /// Returns a stream without any replies.
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

    /// Returns the name of the group at an index.
    #[must_use]
    pub fn group_name(&self, group: usize) -> &[u8] {
        self.groups.get(group).map_or(&[], |group| &group.name)
    }

    /// Records the reply to XINFO STREAM.
    pub fn take_stream(&mut self, reply: &Reply) {
        self.values = values(&OF_STREAM, reply);
        let groups = value_of(&GROUPS_OF_STREAM, &self.values).unwrap_or(0.0);
        if groups > to_float(QUERIED_MAX) {
            self.groups_dropped = to_count(groups);
        }
    }

    /// Returns whether to query the groups: not if there are none or too many.
    #[must_use]
    pub fn queries_groups(&self) -> bool {
        let groups = value_of(&GROUPS_OF_STREAM, &self.values);
        self.groups_dropped == 0 && groups != Some(0.0)
    }

    /// Records the reply to XINFO GROUPS. The server sorts groups by name, so a limit keeps the
    /// same groups each time.
    pub fn take_groups(&mut self, reply: &Reply, limits: StreamLimits) {
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
            let wanted = if consumers > QUERIED_MAX {
                0
            } else {
                consumers
            };
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

    /// Returns the indexes of the groups whose consumers are queried.
    pub fn queries_consumers(&self) -> impl Iterator<Item = usize> {
        let groups = self.groups.iter().enumerate();
        groups.filter(|(_, group)| group.room > 0).map(|(at, _)| at)
    }

    /// Records the reply to XINFO CONSUMERS of the group at an index.
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

    /// Adds all samples.
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

/// Returns the item after a name in a list of names and values.
fn field<'r>(reply: &'r Reply, name: &str) -> Option<&'r Reply> {
    let pairs = reply.items().chunks_exact(2);
    let mut found = pairs.filter_map(|pair| match pair {
        [Reply::Bytes(key), value] if key.as_slice() == name.as_bytes() => Some(value),
        _ => None,
    });
    found.next()
}

/// Returns the values of these rows in a list of names and values.
fn values<const LABELS: usize>(
    rows: &[&'static Family<LABELS>],
    reply: &Reply,
) -> StreamValues<LABELS> {
    let known = rows.iter().filter_map(|row| {
        let value = field(reply, row.field())?;
        Some((*row, number(value)?))
    });
    known.collect()
}

fn value_of<const LABELS: usize>(
    row: &'static Family<LABELS>,
    values: &StreamValues<LABELS>,
) -> Option<f64> {
    let mut found = values.iter().filter(|(known, _)| std::ptr::eq(*known, row));
    found.next().map(|(_, value)| *value)
}

/// Returns a count, or the milliseconds of an ID or of an entry's ID.
fn number(reply: &Reply) -> Option<f64> {
    match reply {
        Reply::Integer(count) => u64::try_from(*count).ok().map(to_float),
        Reply::Bytes(id) => milliseconds(id),
        Reply::List(entry) => milliseconds(entry.first()?.bytes()?),
        Reply::Nil | Reply::Error(_) => None,
    }
}

/// Returns the first part of an ID such as `1795442318841-3`.
fn milliseconds(id: &[u8]) -> Option<f64> {
    let (milliseconds, _) = std::str::from_utf8(id).ok()?.split_once('-')?;
    milliseconds.parse::<u64>().ok().map(to_float)
}

#[cfg(test)]
mod tests;
