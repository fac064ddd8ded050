//! Memory of the machine that runs the server. Off by default, because it is misleading if a
//! container has less memory.

use crate::collector::{Collector, INFO, Read, Replies};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static TOTAL: Family<0> = Family::gauge("redis_total_system_memory_bytes", &[], source("INFO", "total_system_memory"), Unit::Bytes, "Memory of the machine of the server.");
    pub(super) static AVAILABLE: Family<0> = Family::gauge("redis_available_system_memory_bytes", &[], source("INFO", "available_system_memory"), Unit::Bytes, "Available memory of the machine, on KeyDB.");
}

/// Reads the memory of the machine.
pub static COLLECTOR: Collector = Collector {
    name: "system_memory",
    about: "Memory of the machine of the server.",
    queries: &[&INFO],
    families: || vec![rows::TOTAL.descriptor(), rows::AVAILABLE.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for family in [&rows::TOTAL, &rows::AVAILABLE] {
        snapshot.push(family, [], replies.info.number(family.field()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn unavailable_memory_is_absent() {
        let keydb = "total_system_memory:25277927424\r\navailable_system_memory:unavailable\r\n";
        assert_eq!(
            reading::of_info(&COLLECTOR, keydb),
            ["redis_total_system_memory_bytes{} 25277927424"]
        );
    }
}
