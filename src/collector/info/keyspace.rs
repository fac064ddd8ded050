//! The Keyspace section of INFO: one record per database, `db0:keys=1,expires=0,avg_ttl=0`.
//!
//! Records are read by name: relatives and later versions put other values in the fourth place.

use super::numbered;
use crate::collector::{Answers, Collector, INFO, Server, config};
use crate::info::Field;
use crate::metric::{Family, Snapshot, Unit, source};

/// Most databases that get a 0 although INFO does not list them.
const DATABASES_MAX: u32 = 1_024;

static KEYS: Family<1> = Family::gauge(
    "redis_db_keys",
    &["db"],
    source("INFO", "db<n>:keys"),
    Unit::One,
    "Keys in the database.",
);

static EXPIRING: Family<1> = Family::gauge(
    "redis_db_keys_expiring",
    &["db"],
    source("INFO", "db<n>:expires"),
    Unit::One,
    "Keys in the database that have a TTL.",
);

static AVERAGE_TTL: Family<1> = Family::gauge(
    "redis_db_avg_ttl_seconds",
    &["db"],
    source("INFO", "db<n>:avg_ttl"),
    Unit::Milliseconds,
    "Average remaining TTL as the server estimates it; 0 where it has no estimate.",
);

static CACHED: Family<1> = Family::gauge(
    "redis_db_keys_cached",
    &["db"],
    source("INFO", "db<n>:cached_keys"),
    Unit::One,
    "Keys of the database that KeyDB holds in memory.",
);

static WITH_EXPIRING_ITEMS: Family<1> = Family::gauge(
    "redis_db_keys_with_expiring_items",
    &["db"],
    source("INFO", "db<n>:subexpiry"),
    Unit::One,
    "Keys of the database of which single items, such as the fields of a hash, have a TTL.",
);

/// Each family with the names that its value has in a record: the later ones are of relatives.
static VALUES: &[(&Family<1>, &[&str])] = &[
    (&KEYS, &["keys"]),
    (&EXPIRING, &["expires"]),
    (&AVERAGE_TTL, &["avg_ttl"]),
    (&CACHED, &["cached_keys"]),
    (
        &WITH_EXPIRING_ITEMS,
        &["subexpiry", "keys_with_volatile_items"],
    ),
];

/// Reads the databases. It asks for no permission beyond INFO: the reply to `CONFIG GET databases`
/// is read where the collector `config` has asked for it.
pub static COLLECTOR: Collector = Collector {
    name: "keyspace",
    about: "Keys per database.",
    on_by_default: true,
    questions: &[&INFO],
    follow_ups: None,
    applies: Server::holds_keys,
    families: || {
        VALUES
            .iter()
            .map(|(family, _)| family.descriptor())
            .collect()
    },
    read,
};

fn read(answers: &Answers<'_>, snapshot: &mut Snapshot) {
    let fields = answers.info.fields();
    if fields.is_empty() {
        return;
    }
    for field in fields
        .iter()
        .filter(|field| numbered(field.name, "db").is_some())
    {
        read_database(field, snapshot);
    }
    if !answers.circumstances.options.empty_databases {
        return;
    }
    // INFO lists no empty database. Of two samples the first stays, so these fill the gaps.
    for database in 0..databases(answers) {
        let name = format!("db{database}");
        snapshot.push(&KEYS, [&name], 0.0);
        snapshot.push(&EXPIRING, [&name], 0.0);
    }
}

fn read_database(field: &Field<'_>, snapshot: &mut Snapshot) {
    for (family, names) in VALUES {
        if let Some(value) = names.iter().find_map(|name| field.number_in_record(name)) {
            snapshot.push(family, [field.name], value);
        }
    }
}

/// How many databases there are for certain. A node of a cluster has one, whatever `databases`
/// says.
fn databases(answers: &Answers<'_>) -> u32 {
    if Server::from_info(&answers.info).is_cluster_node() {
        return 1;
    }
    let configured = answers
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
    fn the_fourth_value_is_read_by_its_name() {
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
    fn only_db0_is_certain_in_a_cluster_or_without_config() {
        let empty = ["redis_db_keys{db0} 0", "redis_db_keys_expiring{db0} 0"];
        assert_eq!(
            seen("redis_mode:cluster\r\ncluster_enabled:1\r\n", "16"),
            empty
        );
        assert_eq!(
            reading::of_info(&COLLECTOR, "redis_version:7.0.15\r\n"),
            empty
        );
    }

    #[test]
    fn sizes_of_keys_are_no_database() {
        let info = "# Keysizes\r\ndb3_distrib_strings_sizes:keys=50\r\n";
        assert!(!seen(info, "1").iter().any(|line| line.contains("50")));
    }

    #[test]
    fn a_sentinel_has_no_databases() {
        let sentinel = crate::info::Info::parse("redis_mode:sentinel\r\n");
        assert!(!(COLLECTOR.applies)(&Server::from_info(&sentinel)));
    }
}
