//! Valkey's Scripting Engines section of INFO: one record per engine,
//! `engine_0:name=LUA,module=lua,abi_version=4,used_memory=70656,memory_overhead=56`.

use crate::collector::{Collector, INFO, Read, Replies};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static USED_MEMORY: Family<1> = Family::gauge("redis_scripting_engine_memory_used_bytes", &["engine"], source("INFO", "engine_<n>:used_memory"), Unit::Bytes, "Memory of the scripting engine.");
    pub(super) static OVERHEAD: Family<1> = Family::gauge("redis_scripting_engine_memory_overhead_bytes", &["engine"], source("INFO", "engine_<n>:memory_overhead"), Unit::Bytes, "Memory overhead of the scripting engine.");
}

/// Reads the memory of scripting engines.
pub static COLLECTOR: Collector = Collector {
    name: "scripting_engines",
    about: "Memory of each scripting engine of Valkey.",
    queries: &[&INFO],
    families: || vec![rows::USED_MEMORY.descriptor(), rows::OVERHEAD.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for (_, field) in replies.info.numbered("engine_") {
        let Some(engine) = field.in_record("name") else {
            continue;
        };
        for (family, name) in [
            (&rows::USED_MEMORY, "used_memory"),
            (&rows::OVERHEAD, "memory_overhead"),
        ] {
            snapshot.push(family, [engine], field.number_in_record(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn engines_are_identified_by_name() {
        let valkey = "# Scripting Engines\r\nengines_count:1\r\nengines_total_used_memory:71680\r\n\
            engine_0:name=LUA,module=lua,abi_version=4,used_memory=71680,memory_overhead=56\r\n";
        let expected = [
            "redis_scripting_engine_memory_overhead_bytes{LUA} 56",
            "redis_scripting_engine_memory_used_bytes{LUA} 71680",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, valkey), expected);
    }
}
