//! MEMORY STATS: the overhead of each database. INFO reports the rest of the reply.

use super::{Collector, Query, Read, Replies, Server};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::reply::Reply;

/// Queries memory usage. Costs about as much as the Memory section of INFO.
pub static STATS: Query = Query::new(&[&["MEMORY", "STATS"]], "+memory|stats");

/// Maximum number of databases read.
const DATABASES_MAX: usize = 64;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static MAIN: Family<1> = Family::gauge("redis_db_overhead_main_bytes", &["db"], source("MEMORY STATS", "overhead.hashtable.main"), Unit::Bytes, "Memory of the main hash table of the database.");
    pub(super) static EXPIRES: Family<1> = Family::gauge("redis_db_overhead_expires_bytes", &["db"], source("MEMORY STATS", "overhead.hashtable.expires"), Unit::Bytes, "Memory of the table of expiry times of the database.");
    pub(super) static LOOKUP_TABLES: Family<0> = Family::gauge("redis_memory_overhead_lookup_tables_bytes", &[], source("MEMORY STATS", "overhead.db.hashtable.lut"), Unit::Bytes, "Memory of the buckets of all tables of databases.");
    pub(super) static PER_KEY: Family<0> = Family::gauge("redis_memory_bytes_per_key", &[], source("MEMORY STATS", "keys.bytes-per-key"), Unit::Bytes, "Memory allocated since startup, per key.");
}

static NUMBERS: &[&Family<0>] = &[&rows::LOOKUP_TABLES, &rows::PER_KEY];

static OF_DATABASE: &[&Family<1>] = &[&rows::MAIN, &rows::EXPIRES];

/// Reads the reply.
pub static COLLECTOR: Collector = Collector {
    name: "memory_stats",
    about: "Memory overhead of each database, and memory per key. A poll takes 4 µs of server time on Redis 7.0.",
    queries: &[&STATS],
    applies: Server::holds_keys,
    families,
    read: Read::Samples(read),
    ..Collector::OFF
};

fn families() -> Vec<&'static Descriptor> {
    let numbers = NUMBERS.iter().map(|family| family.descriptor());
    let of_database = OF_DATABASE.iter().map(|family| family.descriptor());
    numbers.chain(of_database).collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let Some(stats) = replies.reply(&STATS) else {
        return;
    };
    for family in NUMBERS {
        snapshot.push(family, [], bytes(stats, family.descriptor()));
    }
    let databases = stats.items().chunks_exact(2).filter_map(|pair| {
        let [name, overhead] = pair else { return None };
        let name = name.text()?;
        let number = name.strip_prefix("db.")?.parse::<u32>().ok()?;
        Some((format!("db{number}"), overhead))
    });
    for (database, overhead) in databases.take(DATABASES_MAX) {
        for family in OF_DATABASE {
            snapshot.push(family, [&database], bytes(overhead, family.descriptor()));
        }
    }
}

/// Parses a size. Returns `None` for a negative number, which is a server bug.
fn bytes(pairs: &Reply, row: &Descriptor) -> Option<f64> {
    let value = pairs.value_of(row.source.field)?.number()?;
    (value >= 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading::bytes as text;
    use crate::collector::{Circumstances, reading};

    fn pairs(of: Vec<(&str, Reply)>) -> Reply {
        let pairs = of.into_iter();
        Reply::List(
            pairs
                .flat_map(|(name, value)| [text(name), value])
                .collect(),
        )
    }

    #[test]
    fn database_overhead_is_published() {
        let database = |main, expires| {
            pairs(vec![
                ("overhead.hashtable.main", Reply::Integer(main)),
                ("overhead.hashtable.expires", Reply::Integer(expires)),
                ("overhead.hashtable.slot-to-keys", Reply::Integer(1)),
            ])
        };
        let stats = pairs(vec![
            ("db.0", database(212_088, 68_072)),
            ("db.dict.rehashing.count", Reply::Integer(0)),
            ("db.3", database(4_824, -1)),
            ("overhead.db.hashtable.lut", Reply::Integer(98_816)),
            ("keys.bytes-per-key", Reply::Integer(-90)),
        ]);
        let expected = [
            "redis_db_overhead_expires_bytes{db0} 68072",
            "redis_db_overhead_main_bytes{db0} 212088",
            "redis_db_overhead_main_bytes{db3} 4824",
            "redis_memory_overhead_lookup_tables_bytes{} 98816",
        ];
        let replies = [(&STATS, stats)];
        assert_eq!(
            reading::of(&COLLECTOR, "", Circumstances::default(), &replies),
            expected
        );
    }
}
