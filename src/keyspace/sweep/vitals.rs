//! Reads the vitals of the server: INFO, in as few commands as the server allows.

use std::collections::BTreeMap;

use super::key_reader::KeyReader;
use crate::collector::info::keyspace::Listed;
use crate::collector::{Flavour, Server};
use crate::connection::refused;
use crate::failure::Failure;
use crate::info::Info;
use crate::keyspace::cost::Spent;
use crate::keyspace::history::{Changes, Identity};
use crate::keyspace::traffic::Reading;
use crate::reply::{Refusal, Reply};

/// The sections of INFO that the sweep reads.
const SECTIONS: [&str; 7] = [
    "server",
    "memory",
    "persistence",
    "stats",
    "replication",
    "commandstats",
    "keyspace",
];

/// The state of the server that the sweep reads periodically.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// Keys by database.
    pub keys: BTreeMap<u32, u64>,
    /// Keys with a TTL, by database.
    pub expires: BTreeMap<u32, u64>,
    /// Whether the server is loading its data from disk.
    pub is_loading: bool,
    /// Whether a child process is saving the data to disk.
    pub is_saving: bool,
    /// Memory of the data with all overhead: `used_memory` without that of an empty server, in
    /// bytes.
    pub used_bytes: Option<f64>,
    /// Part of the used memory that is certainly not data: buffers of clients, replicas and the
    /// AOF, in bytes.
    pub buffer_bytes: f64,
    /// Time spent on the commands of a sweep.
    pub spent: Spent,
    /// Commands processed for all clients.
    pub traffic: Reading,
    /// The identity of the data.
    pub identity: Identity,
    /// The counters of key changes.
    pub changes: Changes,
}

impl Vitals {
    /// Parses the sections that the sweep reads.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let is_on = |name: &str| info.number(name).is_some_and(|value| value > 0.0);
        let expires = info.section("Keyspace").filter_map(|field| {
            let database = field.name.strip_prefix("db")?.parse().ok()?;
            Some((database, field.in_record("expires")?.parse().ok()?))
        });
        Self {
            keys: Listed::read(info).keys,
            expires: expires.collect(),
            is_loading: is_on("loading") || is_on("async_loading"),
            is_saving: is_on("rdb_bgsave_in_progress") || is_on("aof_rewrite_in_progress"),
            used_bytes: used_bytes(info),
            buffer_bytes: BUFFERS.iter().filter_map(|name| info.number(name)).sum(),
            spent: Spent::read(info),
            traffic: Reading::read(info),
            identity: Identity::read(info),
            changes: Changes::read(info),
        }
    }
}

/// Fields of INFO memory that do not measure keys.
const BUFFERS: [&str; 5] = [
    "mem_clients_normal",
    "mem_clients_slaves",
    "mem_cluster_links",
    "mem_aof_buffer",
    "mem_replication_backlog",
];

fn used_bytes(info: &Info) -> Option<f64> {
    let used = info.number("used_memory")? - info.number("used_memory_startup")?;
    (used > 0.0).then_some(used)
}

/// How INFO is requested over a connection.
#[derive(Debug)]
pub struct Sections {
    /// Whether one INFO may name several sections: Redis since 7.0, every Valkey.
    together: bool,
    /// Sections that the server refuses when they are requested one by one.
    refused: Vec<&'static str>,
}

impl Sections {
    /// Returns the initial state for a server, without refused sections.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let together = match server.flavour {
            Flavour::Redis => server.version >= (7, 0),
            Flavour::Valkey => true,
            Flavour::KeyDb | Flavour::Tile38 => false,
        };
        Self {
            together,
            refused: Vec::new(),
        }
    }

    fn commands(&self) -> Vec<Vec<&'static str>> {
        if self.together {
            return vec![std::iter::once("INFO").chain(SECTIONS).collect()];
        }
        let asked = SECTIONS.iter().filter(|name| !self.refused.contains(name));
        asked.map(|section| vec!["INFO", *section]).collect()
    }

    /// Records that a command was refused. Returns false if the server refuses every section.
    fn note(&mut self, command: &[&'static str]) -> bool {
        if self.together {
            self.together = false;
            return true;
        }
        self.refused.extend(command.get(1));
        self.refused.len() < SECTIONS.len()
    }
}

impl KeyReader {
    /// Reads the vitals of the server. A section that the server refuses is omitted and not
    /// requested again over this connection.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server refused INFO altogether.
    pub async fn vitals(&mut self) -> Result<Vitals, Failure> {
        loop {
            let commands = self.sections.commands();
            let replies = self.ask(&commands).await?;
            // INFO is slow if a server has much to aggregate, which does not reflect its load.
            self.take_round_trip();
            let mut text = String::new();
            let mut is_complete = true;
            for (command, reply) in commands.iter().zip(&replies) {
                if let Some(refusal) = reply.refusal() {
                    if is_final(refusal) || !self.sections.note(command) {
                        return Err(refused(refusal));
                    }
                    is_complete = false;
                }
                text.push_str(&reply.text().unwrap_or_default());
                text.push('\n');
            }
            if !is_complete {
                continue;
            }
            let info = Info::parse(&text);
            self.note_role(info.get("role")).await?;
            let mut vitals = Vitals::read(&info);
            vitals.changes = vitals.changes.with_ours(self.caused().commands);
            if !Listed::read(&info).reports(self.selected()) {
                vitals.keys.insert(self.selected(), self.size().await?);
                self.take_round_trip();
            }
            return Ok(vitals);
        }
    }
}

/// Returns whether a refusal concerns INFO itself: a missing permission, or a server that cannot
/// reply now.
fn is_final(refusal: &Refusal) -> bool {
    refusal.is_passing() || matches!(refusal.code.as_str(), "NOPERM" | "NOAUTH")
}

/// Returns the text of INFO; a section that the server refuses is empty.
///
/// # Errors
///
/// The server refused INFO itself.
pub fn text(reply: &Reply) -> Result<String, Failure> {
    match reply.refusal() {
        Some(refusal) if is_final(refusal) => Err(refused(refusal)),
        _ => Ok(reply.text().unwrap_or_default().into_owned() + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vitals_are_read_from_the_sections() {
        let info = Info::parse(
            "# Keyspace\r\ndb0:keys=10,expires=1,avg_ttl=0\r\ndb3:keys=2,expires=0,avg_ttl=0\r\n\
             # Persistence\r\nloading:0\r\nrdb_bgsave_in_progress:1\r\n# Memory\r\nused_memory:150\r\nused_memory_startup:51\r\nmem_aof_buffer:7\r\n",
        );
        let vitals = Vitals::read(&info);
        assert_eq!(
            vitals.keys.into_iter().collect::<Vec<_>>(),
            [(0, 10), (3, 2)]
        );
        assert_eq!((vitals.is_loading, vitals.is_saving), (false, true));
        assert_eq!(vitals.used_bytes, Some(99.0));
        assert_eq!(vitals.buffer_bytes.to_string(), "7");
    }

    #[test]
    fn refused_sections_are_omitted_until_none_is_left() {
        let mut sections = Sections {
            together: true,
            refused: Vec::new(),
        };
        assert_eq!(sections.commands().len(), 1);
        let together = sections.commands().remove(0);
        assert!(sections.note(&together));
        assert_eq!(sections.commands().len(), SECTIONS.len());
        assert!(sections.note(&["INFO", "keyspace"]));
        assert!(!sections.commands().contains(&vec!["INFO", "keyspace"]));
        let all_but_last = &SECTIONS[..SECTIONS.len() - 2];
        assert!(
            all_but_last
                .iter()
                .all(|name| sections.note(&["INFO", *name]))
        );
        assert!(!sections.note(&["INFO", "commandstats"]));
    }
}
