//! SERVER EXT of Tile38: pairs of name and value.

use super::{Collector, Query, Read, Replies, Server};
use crate::info::number;
use crate::metric::Kind::Gauge;
use crate::metric::Unit::{Bytes, One, Seconds};
use crate::metric::{Family, Snapshot, Unit, source};

/// Queries Tile38's own statistics.
pub static SERVER_EXT: Query = Query::new(&[&["SERVER", "EXT"]], "");

const fn gauge(
    field: &'static str,
    unit: Unit,
    name: &'static str,
    help: &'static str,
) -> Family<0> {
    Family::gauge(name, &[], source("SERVER EXT", field), unit, help)
}

#[rustfmt::skip] // One metric, one line.
static ROWS: &[Family<0>] = &[
    gauge("tile38_aof_size", Bytes, "redis_tile38_aof_size_bytes", "Size of the append-only file."),
    gauge("tile38_avg_point_size", Bytes, "redis_tile38_avg_item_size_bytes", "Mean size of a point."),
    gauge("sys_cpus", One, "redis_tile38_cpus", "CPUs of the machine.").legacy("redis_tile38_cpus_total", Gauge),
    gauge("heap_released_bytes", Bytes, "redis_tile38_heap_released_bytes", "Heap returned to the operating system."),
    gauge("heap_alloc_bytes", Bytes, "redis_tile38_heap_size_bytes", "Allocated heap."),
    gauge("tile38_http_transport", One, "redis_tile38_http_transport", "Whether HTTP is served."),
    gauge("tile38_in_memory_size", Bytes, "redis_tile38_in_memory_size_bytes", "Memory of the data."),
    gauge("tile38_max_heap_size", Bytes, "redis_tile38_max_heap_size_bytes", "Maximum heap of the server."),
    gauge("alloc_bytes", Bytes, "redis_tile38_mem_alloc_bytes", "Allocated memory."),
    gauge("tile38_num_collections", One, "redis_tile38_num_collections", "Collections.").legacy("redis_tile38_num_collections_total", Gauge),
    gauge("tile38_num_hooks", One, "redis_tile38_num_hooks", "Webhooks.").legacy("redis_tile38_num_hooks_total", Gauge),
    gauge("tile38_num_objects", One, "redis_tile38_num_objects", "Objects.").legacy("redis_tile38_num_objects_total", Gauge),
    gauge("tile38_num_points", One, "redis_tile38_num_points", "Points.").legacy("redis_tile38_num_points_total", Gauge),
    gauge("tile38_pointer_size", Bytes, "redis_tile38_pointer_size_bytes", "Size of a pointer on the machine."),
    gauge("tile38_read_only", One, "redis_tile38_read_only", "Whether the server is read-only."),
    gauge("go_threads", One, "redis_tile38_threads", "Threads of the server.").legacy("redis_tile38_threads_total", Gauge),
    gauge("go_goroutines", One, "redis_tile38_go_goroutines", "Goroutines of the server.").legacy("redis_tile38_go_goroutines_total", Gauge),
    gauge("last_gc_time_seconds", Seconds, "redis_tile38_last_gc_time_seconds", "Time of the last garbage collection, in seconds since the epoch."),
    gauge("next_gc_bytes", Bytes, "redis_tile38_next_gc_bytes", "Heap size that triggers the next garbage collection."),
];

/// Reads Tile38's own statistics.
pub static COLLECTOR: Collector = Collector {
    name: "tile38",
    about: "Statistics of Tile38.",
    queries: &[&SERVER_EXT],
    applies: Server::is_tile38,
    families: || ROWS.iter().map(Family::descriptor).collect(),
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let Some(reply) = replies.reply(&SERVER_EXT) else {
        return;
    };
    for pair in reply.items().chunks_exact(2) {
        let [name, value] = pair else { continue };
        let (Some(name), Some(value)) = (name.text(), value.text()) else {
            continue;
        };
        let row = ROWS.iter().find(|row| row.field() == name);
        if let (Some(row), Some(value)) = (row, number(&value)) {
            snapshot.push(row, [], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::Circumstances;
    use crate::collector::reading::{self, bytes};
    use crate::info::Info;
    use crate::reply::Reply;

    #[test]
    fn values_are_read_by_name() {
        let pairs = [
            ("alloc_bytes", "3519288"),
            ("gc_cpu_fraction", "0.0001"),
            ("go_goroutines", "19"),
            ("last_gc_time_seconds", "1.795442100123e+09"),
            ("tile38_http_transport", "true"),
            ("tile38_id", "1a2b"),
            ("tile38_num_points", "4"),
            ("tile38_read_only", "false"),
        ];
        let words = pairs.iter().flat_map(|(name, value)| [name, value]);
        let reply = Reply::List(words.map(|word| bytes(word)).collect());
        let expected = [
            "redis_tile38_go_goroutines{} 19",
            "redis_tile38_http_transport{} 1",
            "redis_tile38_last_gc_time_seconds{} 1795442100.123",
            "redis_tile38_mem_alloc_bytes{} 3519288",
            "redis_tile38_num_points{} 4",
            "redis_tile38_read_only{} 0",
        ];
        let seen = reading::of(
            &COLLECTOR,
            "",
            Circumstances::default(),
            &[(&SERVER_EXT, reply)],
        );
        assert_eq!(seen, expected);
    }

    #[test]
    fn only_tile38_is_queried() {
        let of = |info| (COLLECTOR.applies)(&Server::from_info(&Info::parse(info)));
        assert!(of(
            "# Server\r\ntile38_version:1.33.2\r\nredis_version:1.33.2\r\n"
        ));
        assert!(of(
            "# Server\r\nredis_version:1.17.0\r\nuptime_in_seconds:3\r\n"
        ));
        assert!(!of("redis_version:7.0.15\r\nredis_mode:standalone\r\n"));
        assert!(!of(""));
    }
}
