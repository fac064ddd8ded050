//! The ACL permissions that a sweep needs with its settings. Pure.

use super::queries::{
    CONSUMERS, EXPIRY, GROUPS, IDLE, INFO, MEMORY, NO_EVICT, NO_TOUCH, RANDOM_KEY, READ_ONLY, SCAN,
    SELECT, SIZES, STREAM, TYPE, VALUE,
};
use super::segment::has_table_per_slot;
use crate::collector::Server;
use crate::config::{Keys, ShownValues, Sweep};
use crate::query::Query;

/// The type whose size most servers cannot return.
const RARE_TYPE: &[u8] = b"array";

/// Returns the permissions that a sweep of this server needs, such as `+scan`.
#[must_use]
pub fn permissions(server: &Server, sweep: &Sweep, keys: &Keys) -> Vec<&'static str> {
    let checks_keys = !keys.check.is_empty() || !keys.check_single.is_empty();
    let streams = &keys.streams;
    let checks_streams = !streams.patterns.is_empty() || !streams.singles.is_empty();
    let is_cluster_node = server.is_cluster_node();
    let groups: [(bool, &[&Query]); 10] = [
        (true, &[&SCAN, &INFO, &MEMORY, &EXPIRY, &TYPE]),
        (sweep.idle && sweep.from.is_none(), &[&IDLE]),
        (!is_cluster_node, &[&SELECT]),
        (is_cluster_node, &[&READ_ONLY]),
        (has_table_per_slot(server), &[&RANDOM_KEY]),
        (server.knows_no_evict(), &[&NO_EVICT]),
        (server.knows_no_touch(), &[&NO_TOUCH]),
        (checks_keys && keys.values != ShownValues::Off, &[&VALUE]),
        (checks_streams, &[&STREAM, &GROUPS]),
        (checks_streams && streams.consumers, &[&CONSUMERS]),
    ];
    let needed = groups.into_iter().filter(|(is_needed, _)| *is_needed);
    let needed = needed.flat_map(|(_, queries)| queries.iter().map(|query| query.permission));
    let sizes = SIZES.iter().filter(|(name, _)| *name != RARE_TYPE);
    let sizes = sizes.map(|(_, query)| query.permission);
    needed.chain(sizes.filter(|_| checks_keys)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Flavor, Mode};

    fn server(version: (u32, u32), mode: Mode) -> Server {
        Server {
            flavor: Flavor::Redis,
            version,
            mode,
        }
    }

    #[test]
    fn only_commands_that_are_sent_are_listed() {
        let of = |server: &Server, sweep: &Sweep, keys: &Keys| permissions(server, sweep, keys);
        let (mut sweep, mut keys) = (Sweep::default(), Keys::default());
        sweep.idle = false;
        let old = server((6, 2), Mode::Standalone);
        let least = [
            "+scan",
            "+info",
            "+memory|usage",
            "+pttl",
            "+type",
            "+select",
        ];
        assert_eq!(of(&old, &sweep, &keys), least);
        sweep.idle = true;
        let cluster = of(&server((7, 4), Mode::Cluster), &sweep, &keys);
        for needed in [
            "+object|idletime",
            "+readonly",
            "+randomkey",
            "+client|no-evict",
            "+client|no-touch",
        ] {
            assert!(cluster.contains(&needed), "{needed}: {cluster:?}");
        }
        assert!(!cluster.contains(&"+select"), "{cluster:?}");
        keys.check_single = vec![crate::config::KeyName {
            database: 0,
            key: b"a".to_vec(),
        }];
        let checked = of(&old, &sweep, &keys);
        assert!(checked.contains(&"+strlen") && !checked.contains(&"+arcount"));
        assert!(!checked.contains(&"+xinfo|stream"), "{checked:?}");
    }
}
