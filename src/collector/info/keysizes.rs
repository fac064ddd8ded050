//! INFO keysizes of Redis 8: distribution of keys by size, database, and type, such as
//! `db0_distrib_strings_sizes:0=7,1=258,16K=1`.
//!
//! The number before an equals sign is the lower end of a range that doubles: 16K means 16,384 to
//! 32,767. The server does not report a sum, so the histograms have none.

use super::numbered;
use crate::collector::{Collector, INFO, Read, Replies};
use crate::info::Field;
use crate::metric::{Edge, Family, Histogram, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static SIZES: Family<2> = Family::histogram("redis_db_key_size_bytes", &["db", "type"], source("INFO", "db<n>_distrib_<type>_sizes"), Unit::Bytes, "Keys by size: length of strings, memory of other types; shows the current state, so rate() does not apply, and there is no sum.");
    pub(super) static ITEMS: Family<2> = Family::histogram("redis_db_key_items", &["db", "type"], source("INFO", "db<n>_distrib_<type>_items"), Unit::One, "Keys by number of elements; shows the current state, so rate() does not apply, and there is no sum.");
}

/// Names of types in INFO and in TYPE.
const TYPES: &[(&str, &str)] = &[
    ("strings", "string"),
    ("lists", "list"),
    ("sets", "set"),
    ("zsets", "zset"),
    ("hashes", "hash"),
    ("streams", "stream"),
];

/// Every second upper end of the server's ranges; all of them would double the series. By default
/// every second one of these is published.
static EDGES: &[Edge] = &[
    Edge::only_full(0, "0", "0"),
    Edge::new(1, "1", "1"),
    Edge::only_full(3, "3", "3"),
    Edge::new(15, "15", "15"),
    Edge::only_full(63, "63", "63"),
    Edge::new(255, "255", "255"),
    Edge::only_full(1023, "1023", "1023"),
    Edge::new(4095, "4095", "4095"),
    Edge::only_full(16383, "16383", "16383"),
    Edge::new(65535, "65535", "65535"),
    Edge::only_full(262_143, "262143", "262143"),
    Edge::new(1_048_575, "1048575", "1048575"),
    Edge::only_full(4_194_303, "4194303", "4194303"),
    Edge::new(16_777_215, "16777215", "16777215"),
    Edge::only_full(67_108_863, "67108863", "67108863"),
    Edge::new(268_435_455, "268435455", "268435455"),
];

/// Reads the distribution of keys by size.
pub static COLLECTOR: Collector = Collector {
    name: "keysizes",
    about: "Distribution of key sizes and numbers of elements, on Redis 8.",
    queries: &[&INFO],
    families: || vec![rows::SIZES.descriptor(), rows::ITEMS.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    for field in replies.info.section("Keysizes") {
        let Some((db, kind, family)) = meaning(field.name) else {
            continue;
        };
        if let Some(histogram) = histogram(field) {
            snapshot.push_histogram(family, [db, kind], histogram);
        }
    }
}

/// Splits a name such as `db0_distrib_zsets_items` into database, type, and family.
fn meaning(name: &str) -> Option<(&str, &'static str, &'static Family<2>)> {
    let (db, rest) = name.split_once("_distrib_")?;
    numbered(db, "db")?;
    let (types, what) = rest.rsplit_once('_')?;
    let (_, kind) = TYPES.iter().find(|(plural, _)| *plural == types)?;
    let family = match what {
        "sizes" => &rows::SIZES,
        "items" => &rows::ITEMS,
        _ => return None,
    };
    Some((db, kind, family))
}

/// Parses a histogram; `None` if any part is invalid, because then the whole line is unreliable.
/// Redis 8.0 can count below 0, which is printed as a huge number, and can lose a comma.
fn histogram(field: Field<'_>) -> Option<Histogram> {
    let mut counts = vec![0_u64; EDGES.len()];
    let mut count = 0_u64;
    for part in field.value.split(',') {
        let (from, keys) = part.split_once('=')?;
        let from = lower_end(from)?;
        // A table cannot hold more keys.
        let keys = keys.parse::<u32>().ok()?;
        count += u64::from(keys);
        for (edge, below) in EDGES.iter().zip(&mut counts) {
            if from <= edge.at {
                *below += u64::from(keys);
            }
        }
    }
    Some(Histogram {
        edges: EDGES,
        counts: counts.into(),
        count,
        sum: f64::NAN,
        only_full: false,
    })
}

/// Parses `0`, `512`, `16K`, `1M`. Ranges start at 0 or at powers of two.
fn lower_end(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_uppercase());
    let shift = match text.get(digits.len()..)? {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    let number = digits.parse::<u16>().ok()?;
    (number == 0 || number.is_power_of_two()).then(|| u64::from(number) << shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Info;

    /// Returns the counts at all edges, and the count of all keys.
    fn counted(line: &str) -> Option<(Vec<u64>, u64)> {
        let info = Info::parse(line);
        let histogram = histogram(info.fields().next()?)?;
        Some((histogram.counts.to_vec(), histogram.count))
    }

    #[test]
    fn counts_are_cumulative_at_every_edge() {
        let (counts, count) = counted("db0_distrib_strings_sizes:0=7,1=2,2=3,4=4,16K=5,1G=6")
            .expect("the line is whole");
        let expected = [7, 9, 12, 16, 16, 16, 16, 16, 16, 21, 21, 21, 21, 21, 21, 21];
        assert_eq!(counts, expected);
        assert_eq!(count, 27);
    }

    #[test]
    fn range_is_below_its_upper_edge() {
        for pair in EDGES.windows(2) {
            let from = pair[0].at + 1;
            let (counts, _) = counted(&format!("db0_distrib_sets_items:{}", one_key(from)))
                .expect("the line is whole");
            let below = EDGES.iter().map(|edge| u64::from(edge.at >= from));
            assert_eq!(counts, below.collect::<Vec<_>>(), "{from}");
        }
    }

    /// Returns the INFO text for one key in the range from a power of two.
    fn one_key(from: u64) -> String {
        match from.ilog2() {
            0..10 => format!("{from}=1"),
            10..20 => format!("{}K=1", from >> 10),
            _ => format!("{}M=1", from >> 20),
        }
    }

    #[test]
    fn line_with_an_invalid_part_is_skipped() {
        for line in [
            "db0_distrib_zsets_items:0=18446744073709551615,1=1256=1",
            "db0_distrib_zsets_items:0=18446744073709551615,1=12",
            "db0_distrib_zsets_items:3=1",
            "db0_distrib_zsets_items:1X=1",
            "db0_distrib_zsets_items:",
        ] {
            assert_eq!(counted(line), None, "{line}");
        }
    }

    #[test]
    fn only_known_types_and_measures_are_read() {
        let labels = |name| meaning(name).map(|(db, kind, _)| (db, kind));
        assert_eq!(labels("db12_distrib_hashes_items"), Some(("db12", "hash")));
        assert_eq!(labels("db0_distrib_lists_sizes"), Some(("db0", "list")));
        for name in [
            "db0_distrib_prefix:x_sizes",
            "db0_distrib_lists_weights",
            "dbx_distrib_lists_sizes",
            "db0_keys",
        ] {
            assert_eq!(labels(name), None, "{name}");
        }
    }

    #[test]
    fn edge_texts_match_edges() {
        for edge in EDGES {
            assert_eq!(edge.in_base_unit, edge.at.to_string());
            assert_eq!(edge.as_replied, edge.in_base_unit);
        }
        assert!(EDGES.is_sorted_by_key(|edge| edge.at));
    }
}
