//! Reads the vitals of the server: INFO, in as few commands as the server allows.

use std::collections::BTreeMap;

use super::key_reader::KeyReader;
use crate::collector::info::keyspace::Listed;
use crate::collector::{Flavor, Server};
use crate::connection::refused;
use crate::failure::Failure;
use crate::info::Info;
use crate::keyspace::cost::Spent;
use crate::keyspace::history::flush::CountedChanges;
use crate::keyspace::history::{Changes, DataIdentity};
use crate::keyspace::idle::IdleReading;
use crate::keyspace::panel::RemovalReading as Vanished;
use crate::keyspace::queries::INFO;
use crate::keyspace::traffic::TrafficReading;
use crate::number::to_float;
use crate::reply::{ErrorKind, Refusal, Reply};

/// The sections of INFO that every reading includes.
const SECTIONS: [&str; 6] = [
    "cpu",
    "server",
    "persistence",
    "stats",
    "replication",
    "keyspace",
];

/// The parts of INFO that a reading includes in addition. `commandstats` costs a server more than
/// everything else together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Whether to read the section `memory`.
    pub memory: bool,
    /// Whether to read the section `commandstats`.
    pub commands: bool,
}

impl Scope {
    /// Everything that the sweep uses.
    pub const WHOLE: Self = Self {
        memory: true,
        commands: true,
    };

    /// The sizes of the databases, and the counters that show changes of keys.
    pub const SHORT: Self = Self {
        memory: false,
        commands: false,
    };

    fn sections(self) -> impl Iterator<Item = &'static str> {
        let memory = self.memory.then_some("memory");
        let commands = self.commands.then_some("commandstats");
        SECTIONS.into_iter().chain(memory).chain(commands)
    }
}

/// The state of the server that the sweep reads periodically.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// Keys by database.
    pub keys: BTreeMap<u32, u64>,
    /// Keys with a TTL, by database.
    pub expires: BTreeMap<u32, u64>,
    /// Estimated share of these that have expired and are not yet deleted.
    pub stale: f64,
    /// Whether the server is loading its data from disk.
    pub is_loading: bool,
    /// Whether a child process is saving the data to disk.
    pub is_saving: bool,
    /// The memory in use, if the reading includes it.
    pub memory: Option<Memory>,
    /// Time spent on the commands of a sweep, if the reading includes it.
    pub spent: Option<Spent>,
    /// CPU time that the server has used, in seconds, if it reports that.
    pub cpu_seconds: Option<f64>,
    /// Commands processed for all clients.
    pub traffic: TrafficReading,
    /// The identity of the data.
    pub identity: DataIdentity,
    /// The counters of key changes.
    pub changes: Changes,
    /// The counters of keys that vanished.
    pub vanished: Vanished,
    /// Whether and how keys are evicted by their last use.
    pub idle: IdleReading,
}

/// The memory that a server uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Memory of the data with all overhead: `used_memory` without that of an empty server, in
    /// bytes.
    pub used_bytes: Option<f64>,
    /// Part of the used memory that is certainly not data: buffers of clients, replicas and the
    /// AOF, in bytes.
    pub buffer_bytes: f64,
}

impl Vitals {
    /// Reads the sections of a reading, with the keys of each database.
    #[must_use]
    pub fn read(info: &Info, keys: BTreeMap<u32, u64>, scope: Scope) -> Self {
        let is_on = |name: &str| info.number(name).is_some_and(|value| value > 0.0);
        let expires = info.section("Keyspace").filter_map(|field| {
            let database = field.name.strip_prefix("db")?.parse().ok()?;
            Some((database, field.in_record("expires")?.parse().ok()?))
        });
        Self {
            idle: IdleReading::read(info, keys.values().sum()),
            keys,
            expires: expires.collect(),
            stale: info.number("expired_stale_perc").unwrap_or(0.0) / 100.0,
            is_loading: is_on("loading") || is_on("async_loading"),
            is_saving: is_on("rdb_bgsave_in_progress") || is_on("aof_rewrite_in_progress"),
            memory: scope.memory.then(|| Memory {
                used_bytes: used_bytes(info),
                buffer_bytes: BUFFERS.iter().filter_map(|name| info.number(name)).sum(),
            }),
            spent: scope.commands.then(|| Spent::read(info)),
            cpu_seconds: cpu_seconds(info),
            traffic: TrafficReading::read(info),
            identity: DataIdentity::read(info, scope.commands),
            changes: Changes::read(info),
            vanished: Vanished::read(info),
        }
    }
}

impl Vitals {
    /// Returns how many of the keys in a database have not expired. SCAN returns only these.
    #[must_use]
    pub fn living_keys(&self, database: u32) -> f64 {
        let of = |sizes: &BTreeMap<u32, u64>| to_float(sizes.get(&database).copied().unwrap_or(0));
        (of(&self.keys) - self.stale * of(&self.expires)).max(0.0)
    }

    /// Returns what proves that nothing was flushed.
    #[must_use]
    pub const fn counted(&self) -> CountedChanges<'_> {
        CountedChanges {
            keys: &self.keys,
            changes: &self.changes,
        }
    }
}

/// Returns the CPU time of the thread that runs commands, or of all threads if the server does not
/// report it separately.
fn cpu_seconds(info: &Info) -> Option<f64> {
    let sum = |end: &str| {
        let number = |name| info.number(&format!("used_cpu_{name}{end}"));
        Some(number("user")? + number("sys")?)
    };
    sum("_main_thread").or_else(|| sum(""))
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
pub struct InfoForm {
    /// Whether one INFO may name several sections: Redis since 7.0, every Valkey.
    together: bool,
    /// Sections that the server refuses when they are requested one by one.
    refused: Vec<&'static str>,
}

impl InfoForm {
    /// Returns the initial state for a server, without refused sections.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let together = match server.flavor {
            Flavor::Redis => server.version >= (7, 0),
            Flavor::Valkey => true,
            Flavor::KeyDb | Flavor::Tile38 => false,
        };
        Self {
            together,
            refused: Vec::new(),
        }
    }

    /// Returns the sections to request, by command.
    fn commands(&self, scope: Scope) -> Vec<Vec<&'static str>> {
        if self.together {
            return vec![scope.sections().collect()];
        }
        let open = scope.sections().filter(|name| !self.refused.contains(name));
        open.map(|section| vec![section]).collect()
    }

    /// Records that a command was refused. Returns false if the server refuses every section.
    fn record_refusal(&mut self, sections: &[&'static str]) -> bool {
        if self.together {
            self.together = false;
            return true;
        }
        self.refused.extend(sections);
        SECTIONS.iter().any(|name| !self.refused.contains(name))
    }
}

impl KeyReader {
    /// Reads the vitals of the server, to the given extent. A section that the server refuses is
    /// omitted and not requested again over this connection.
    ///
    /// # Errors
    ///
    /// The connection failed, or the server refused INFO altogether.
    pub async fn vitals(&mut self, scope: Scope) -> Result<Vitals, Failure> {
        loop {
            let commands = self.sections.commands(scope);
            let words = |sections: &Vec<&'static str>| {
                INFO.with(0, sections.iter().map(|name| name.as_bytes()))
            };
            let queries: Vec<_> = commands.iter().map(words).collect();
            let replies = self.request(&queries).await?;
            // INFO is slow if a server has much to aggregate, which does not reflect its load.
            self.take_round_trip();
            let mut text = String::new();
            let mut is_complete = true;
            for (command, reply) in commands.iter().zip(replies) {
                if let Some(refusal) = reply.refusal() {
                    if is_final(refusal) || !self.sections.record_refusal(command) {
                        return Err(refused(refusal));
                    }
                    is_complete = false;
                }
                append(&mut text, reply.into_text().unwrap_or_default());
            }
            if !is_complete {
                continue;
            }
            let info = Info::parse(text);
            self.record_role(info.get("role")).await?;
            let listed = Listed::read(&info);
            let reports_selected = listed.reports(self.selected());
            let mut vitals = Vitals::read(&info, listed.keys, scope);
            let caused = self.caused();
            vitals.changes = vitals.changes.with_ours(caused.commands);
            vitals.idle = vitals.idle.without(caused.hits, caused.misses);
            if !reports_selected {
                vitals.keys.insert(self.selected(), self.size().await?);
                self.take_round_trip();
            }
            return Ok(vitals);
        }
    }
}

/// Appends the text of a further section, usually to an empty text.
fn append(text: &mut String, section: String) {
    if text.is_empty() {
        *text = section;
    } else {
        text.push('\n');
        text.push_str(&section);
    }
}

/// Returns whether a refusal concerns INFO itself: a missing permission, or a server that cannot
/// reply now.
fn is_final(refusal: &Refusal) -> bool {
    matches!(
        refusal.kind(),
        ErrorKind::Passing
            | ErrorKind::Permission
            | ErrorKind::KeyPermission
            | ErrorKind::ChannelPermission
            | ErrorKind::Authentication
    )
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

    fn read(info: &Info, scope: Scope) -> Vitals {
        Vitals::read(info, Listed::read(info).keys, scope)
    }

    #[test]
    fn vitals_are_read_from_the_sections() {
        let info = Info::parse(
            "# Keyspace\r\ndb0:keys=10,expires=1,avg_ttl=0\r\ndb3:keys=2,expires=0,avg_ttl=0\r\n\
             # Persistence\r\nloading:0\r\nrdb_bgsave_in_progress:1\r\n# Memory\r\nused_memory:150\r\nused_memory_startup:51\r\nmem_aof_buffer:7\r\n",
        );
        let vitals = read(&info, Scope::WHOLE);
        assert_eq!(
            vitals.keys.into_iter().collect::<Vec<_>>(),
            [(0, 10), (3, 2)]
        );
        assert_eq!((vitals.is_loading, vitals.is_saving), (false, true));
        let memory = vitals.memory.unwrap();
        assert_eq!(memory.used_bytes, Some(99.0));
        assert_eq!(memory.buffer_bytes.to_string(), "7");
    }

    #[test]
    fn keys_that_have_expired_do_not_live() {
        let info = Info::parse(
            "# Stats\r\nexpired_stale_perc:20.00\r\n# Keyspace\r\ndb0:keys=10,expires=5,avg_ttl=0\r\n\
             db3:keys=2,expires=0,avg_ttl=0\r\n",
        );
        let vitals = read(&info, Scope::SHORT);
        let living = [0, 3, 4].map(|database| vitals.living_keys(database).to_string());
        assert_eq!(living, ["9", "2", "0"]);
    }

    #[test]
    fn cpu_time_is_that_of_the_main_thread_if_reported() {
        let all = "used_cpu_sys:3\nused_cpu_user:2\nused_cpu_sys_children:9\n";
        let main = "used_cpu_sys_main_thread:1.5\nused_cpu_user_main_thread:0.25\n";
        let seconds = |text: &str| cpu_seconds(&Info::parse(text));
        assert_eq!(seconds(all), Some(5.0));
        assert_eq!(seconds(&[all, main].concat()), Some(1.75));
        assert_eq!(seconds("used_cpu_sys:3\n"), None);
    }

    #[test]
    fn short_reading_includes_neither_memory_nor_commands() {
        let scope = Scope::SHORT;
        let vitals = read(&Info::parse("used_memory:150\n"), scope);
        assert_eq!((vitals.memory, vitals.spent), (None, None));
        let short: Vec<_> = scope.sections().collect();
        let whole: Vec<_> = Scope::WHOLE.sections().collect();
        assert_eq!(
            whole.strip_prefix(&short[..]),
            Some(&["memory", "commandstats"][..])
        );
    }

    #[test]
    fn refused_sections_are_omitted_until_none_is_left() {
        let mut sections = InfoForm {
            together: true,
            refused: Vec::new(),
        };
        let commands = |sections: &InfoForm| sections.commands(Scope::WHOLE);
        assert_eq!(commands(&sections).len(), 1);
        let together = commands(&sections).remove(0);
        assert!(sections.record_refusal(&together));
        assert_eq!(commands(&sections).len(), SECTIONS.len() + 2);
        assert!(sections.record_refusal(&["keyspace"]));
        assert!(!commands(&sections).contains(&vec!["keyspace"]));
        for name in ["memory", "commandstats"]
            .iter()
            .chain(&SECTIONS[..SECTIONS.len() - 2])
        {
            assert!(sections.record_refusal(&[*name]));
        }
        assert!(!sections.record_refusal(&["replication"]));
    }
}
