//! The Keyspace section of INFO: one record per database, `db0:keys=1,expires=0,avg_ttl=0`.
//!
//! Values are read by name, because compatible servers and later versions have other values in
//! fourth position. Poll and sweep share [`Listed`] to read the number of keys.

use std::collections::{BTreeMap, BTreeSet};

use super::numbered;
use crate::collector::{Collector, Command, INFO, Query, Read, Replies, Server, config};
use crate::info::{Field, Info};
use crate::metric::{Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Maximum number of databases that get a 0 although INFO does not list them.
const DATABASES_MAX: u32 = 1_024;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static KEYS: Family<1> = Family::gauge("redis_db_keys", &["db"], source("INFO", "db<n>:keys"), Unit::One, "Keys in the database.");
    pub(super) static EXPIRING: Family<1> = Family::gauge("redis_db_keys_expiring", &["db"], source("INFO", "db<n>:expires"), Unit::One, "Keys in the database with a TTL.");
    pub(super) static AVERAGE_TTL: Family<1> = Family::gauge("redis_db_avg_ttl_seconds", &["db"], source("INFO", "db<n>:avg_ttl"), Unit::Milliseconds, "Average remaining TTL in seconds, estimated by the server; 0 if it has no estimate.");
    pub(super) static CACHED: Family<1> = Family::gauge("redis_db_keys_cached", &["db"], source("INFO", "db<n>:cached_keys"), Unit::One, "Keys of the database that KeyDB keeps in memory.");
    pub(super) static WITH_EXPIRING_ITEMS: Family<1> = Family::gauge("redis_db_keys_with_expiring_items", &["db"], source("INFO", "db<n>:subexpiry"), Unit::One, "Keys of the database with elements that have a TTL, such as fields of a hash.");
}

/// Families, each with the names of its value in a record. The later names are of compatible
/// servers.
static VALUES: &[(&Family<1>, &[&str])] = &[
    (&rows::KEYS, &["keys"]),
    (&rows::EXPIRING, &["expires"]),
    (&rows::AVERAGE_TTL, &["avg_ttl"]),
    (&rows::CACHED, &["cached_keys"]),
    (
        &rows::WITH_EXPIRING_ITEMS,
        &["subexpiry", "keys_with_volatile_items"],
    ),
];

/// Counts the keys of the selected database.
static SIZE: Query = Query::new(&[&["DBSIZE"]], "+dbsize");

/// Reads the databases. Uses the reply to `CONFIG GET databases` if the collector `config` sent
/// that query. Sends DBSIZE only if INFO does not report the selected database.
pub static COLLECTOR: Collector = Collector {
    name: "keyspace",
    about: "Keys of each database.",
    queries: &[&INFO],
    further_queries: &[&SIZE],
    may_send: |_, replies| is_unreported(replies),
    further,
    applies: Server::holds_keys,
    families: || {
        VALUES
            .iter()
            .map(|(family, _)| family.descriptor())
            .collect()
    },
    read: Read::Samples(read),
    ..Collector::ON
};

/// The databases in INFO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Number of keys by database, for readable records.
    pub keys: BTreeMap<u32, u64>,
    /// Databases with an unreadable number of keys.
    unreadable: BTreeSet<u32>,
    /// Whether unlisted databases are empty.
    is_complete: bool,
}

impl Listed {
    /// Parses the databases in INFO. The list is complete if a Keyspace section exists and contains
    /// only records of databases.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let mut listed = Self::default();
        for (number, field) in info.numbered("db") {
            let Ok(database) = number.parse() else {
                continue;
            };
            match field.in_record("keys").and_then(|keys| keys.parse().ok()) {
                Some(keys) => {
                    listed.keys.insert(database, keys);
                }
                None => {
                    listed.unreadable.insert(database);
                }
            }
        }
        let mut fields = info.section("Keyspace");
        listed.is_complete = info.has_section("Keyspace")
            && !info.is_unreadable_in("Keyspace")
            && fields.all(|field| is_database(field.name));
        listed
    }

    /// Returns whether INFO reports the number of keys of a database.
    #[must_use]
    pub fn reports(&self, database: u32) -> bool {
        self.keys.contains_key(&database) || self.is_empty(database)
    }

    /// Returns whether a database is known to be empty.
    fn is_empty(&self, database: u32) -> bool {
        let is_listed = self.keys.contains_key(&database) || self.unreadable.contains(&database);
        self.is_complete && !is_listed
    }
}

fn is_database(name: &str) -> bool {
    numbered(name, "db").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Queries the number of keys of the selected database if INFO does not report it.
fn further(replies: &Replies) -> Vec<Command<'_>> {
    Vec::from_iter(is_unreported(replies).then(|| Command::from(&SIZE)))
}

/// Returns whether INFO is readable, but does not report the selected database.
fn is_unreported(replies: &Replies) -> bool {
    let info = &replies.info;
    !info.is_empty() && !Listed::read(info).reports(replies.circumstances.database)
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for (_, field) in replies.info.numbered("db") {
        read_database(field, snapshot);
    }
    if let Some(size) = replies.reply(&SIZE).and_then(Reply::number) {
        let name = format!("db{}", replies.circumstances.database);
        snapshot.push(&rows::KEYS, [&name], size);
    }
    if !replies.circumstances.options.empty_databases {
        return;
    }
    let listed = Listed::read(&replies.info);
    for database in (0..databases(replies)).filter(|database| listed.is_empty(*database)) {
        let name = format!("db{database}");
        snapshot.push(&rows::KEYS, [&name], 0.0);
        snapshot.push(&rows::EXPIRING, [&name], 0.0);
    }
}

fn read_database(field: Field<'_>, snapshot: &mut Snapshot) {
    for (family, names) in VALUES {
        let value = names.iter().find_map(|name| field.number_in_record(name));
        // Some servers report -1 for unknown values.
        snapshot.push(family, [field.name], value.filter(|value| *value >= 0.0));
    }
}

/// Returns the known number of databases. A cluster node has one, regardless of `databases`.
fn databases(replies: &Replies) -> u32 {
    if replies.server().is_cluster_node() {
        return 1;
    }
    let configured = replies
        .parameter(&config::DATABASES)
        .and_then(|count| count.parse().ok());
    configured.unwrap_or(1).min(DATABASES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    fn seen(info: &str, databases: &str) -> Vec<String> {
        let replies = [(
            &config::DATABASES,
            reading::parameter("databases", databases),
        )];
        reading::of(&COLLECTOR, info, Circumstances::default(), &replies)
    }

    #[test]
    fn fourth_value_is_read_by_name() {
        let redis = "# Keyspace\r\ndb0:keys=4480,expires=2174,avg_ttl=3599142,subexpiry=7\r\n";
        let expected = [
            "redis_db_avg_ttl_seconds{db0} 3599142",
            "redis_db_keys{db0} 4480",
            "redis_db_keys_expiring{db0} 2174",
            "redis_db_keys_with_expiring_items{db0} 7",
        ];
        assert_eq!(seen(redis, "1"), expected);
        let valkey = redis.replace("subexpiry", "keys_with_volatile_items");
        assert_eq!(seen(&valkey, "1"), expected);
        let keydb = redis.replace("subexpiry", "cached_keys");
        assert!(seen(&keydb, "1").contains(&"redis_db_keys_cached{db0} 7".to_owned()));
        assert!(
            !seen(&keydb, "1")
                .iter()
                .any(|line| line.contains("expiring_items"))
        );
    }

    #[test]
    fn empty_databases_have_no_keys() {
        let info = "# Keyspace\r\ndb0:keys=4466,expires=2160,avg_ttl=1\r\n\
                    db3:keys=50,expires=0,avg_ttl=0\r\n";
        let keys: Vec<_> = seen(info, "5")
            .into_iter()
            .filter(|line| line.contains("_keys{"))
            .collect();
        let expected = [
            "redis_db_keys{db0} 4466",
            "redis_db_keys{db1} 0",
            "redis_db_keys{db2} 0",
            "redis_db_keys{db3} 50",
            "redis_db_keys{db4} 0",
        ];
        assert_eq!(keys, expected);
        assert_eq!(seen(info, "100000").len(), 2 + 2 * DATABASES_MAX as usize);
    }

    #[test]
    fn only_db0_is_known_in_a_cluster_or_without_config() {
        let empty = ["redis_db_keys{db0} 0", "redis_db_keys_expiring{db0} 0"];
        let keyspace = "# Keyspace\r\n";
        let node = format!("redis_mode:cluster\r\ncluster_enabled:1\r\n{keyspace}");
        assert_eq!(seen(&node, "16"), empty);
        assert_eq!(reading::of_info(&COLLECTOR, keyspace), empty);
    }

    #[test]
    fn unreadable_keyspace_has_unknown_databases() {
        for info in [
            "redis_version:6.2.6\r\n",
            "# Keyspace\r\ndb0 Strings_keys=120, expires=4\r\n",
            "# Keyspace\r\nsequence:7\r\n",
        ] {
            assert!(seen(info, "16").is_empty(), "{info}");
        }
    }

    #[test]
    fn unreadable_databases_are_absent() {
        let info = "# Keyspace\r\ndb0: keys=10, expires=2, avg_ttl=-1\r\ndb1:keys=,expires=\r\n\
                    db2:\r\n";
        let expected = [
            "redis_db_keys{db0} 10",
            "redis_db_keys{db3} 0",
            "redis_db_keys_expiring{db0} 2",
            "redis_db_keys_expiring{db3} 0",
        ];
        assert_eq!(seen(info, "4"), expected);
    }

    /// Returns whether DBSIZE is sent to a server with database 3 selected, and the samples if it
    /// returns 7.
    fn counted(info: &str) -> (bool, Vec<String>) {
        let circumstances = Circumstances {
            database: 3,
            ..Circumstances::default()
        };
        let is_sent = !further(&Replies::new(info, circumstances.clone())).is_empty();
        let size = |_: &Command<'_>| Some(Reply::Integer(7));
        let seen = reading::of_further(&COLLECTOR, info, circumstances, &[], &size);
        (is_sent, seen)
    }

    #[test]
    fn dbsize_replaces_a_missing_keyspace() {
        for info in [
            "redis_version:6.2.6\r\n",
            "# Keyspace\r\ndb3:x\r\n# Stats\r\n",
        ] {
            let (is_sent, seen) = counted(info);
            assert!(is_sent, "{info}");
            assert!(
                seen.contains(&"redis_db_keys{db3} 7".to_owned()),
                "{seen:?}"
            );
        }
        let known = [
            "# Keyspace\r\n",
            "# Keyspace\r\ndb3:keys=1,expires=0\r\n",
            "",
        ];
        for info in known {
            assert!(!counted(info).0, "{info}");
        }
    }

    #[test]
    fn key_sizes_are_not_a_database() {
        let info = "# Keysizes\r\ndb3_distrib_strings_sizes:keys=50\r\n";
        assert!(!seen(info, "1").iter().any(|line| line.contains("50")));
    }

    #[test]
    fn sentinel_has_no_databases() {
        let sentinel = Info::parse("redis_mode:sentinel\r\n");
        assert!(!(COLLECTOR.applies)(&Server::from_info(&sentinel)));
    }
}
