//! Counts the keys of one namespace in one database, in a size that does not depend on the data.
//! Pure.
//!
//! A tally does not know the total number of keys; `estimate` extrapolates.

use std::time::Duration;

use crate::config::TtlPolicy;
use crate::metric::Edge;

/// Number of the largest sizes that a tally keeps individually.
pub const LARGEST_MAX: usize = 16;

/// Minimum size of a large aggregate, in bytes. MEMORY USAGE may have sampled its elements.
pub const LARGE_AGGREGATE: u64 = 16_384;

/// Tolerance for remaining TTLs above the maximum, because clocks differ and a command takes time.
const GRACE_MILLISECONDS: u128 = 1_000;

/// Upper edges of the histogram of remaining TTLs, in milliseconds. Only a minute, an hour, a day
/// and a week are written unless all series are enabled.
pub static TTL_EDGES: [Edge; 10] = [
    Edge::only_full(1_000, "1000", "1"),
    Edge::only_full(10_000, "10000", "10"),
    Edge::new(60_000, "60000", "60"),
    Edge::only_full(300_000, "300000", "300"),
    Edge::only_full(900_000, "900000", "900"),
    Edge::new(3_600_000, "3600000", "3600"),
    Edge::only_full(21_600_000, "21600000", "21600"),
    Edge::new(86_400_000, "86400000", "86400"),
    Edge::new(604_800_000, "604800000", "604800"),
    Edge::only_full(2_592_000_000, "2592000000", "2592000"),
];

/// Upper edges of the histogram of memory per key, in bytes. Only every second one from 256 bytes
/// to 1 MiB is written unless all series are enabled.
pub static SIZE_EDGES: [Edge; 11] = [
    Edge::only_full(64, "64", "64"),
    Edge::new(256, "256", "256"),
    Edge::only_full(1_024, "1024", "1024"),
    Edge::new(4_096, "4096", "4096"),
    Edge::only_full(16_384, "16384", "16384"),
    Edge::new(65_536, "65536", "65536"),
    Edge::only_full(262_144, "262144", "262144"),
    Edge::new(1_048_576, "1048576", "1048576"),
    Edge::only_full(4_194_304, "4194304", "4194304"),
    Edge::only_full(16_777_216, "16777216", "16777216"),
    Edge::only_full(67_108_864, "67108864", "67108864"),
];

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It has no TTL.
    Never,
    /// In this many milliseconds.
    In(u64),
}

/// The data type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A module type or an unknown one.
    Other,
}

impl DataType {
    /// All types, in the order in which [`Tally`] counts them.
    pub const ALL: [Self; 7] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::SortedSet,
        Self::Hash,
        Self::Stream,
        Self::Other,
    ];

    /// Parses the reply to TYPE.
    #[must_use]
    pub fn from_reply(name: &[u8]) -> Self {
        Self::ALL
            .into_iter()
            .find(|data_type| data_type.as_str().as_bytes() == name)
            .unwrap_or(Self::Other)
    }

    /// Returns the type as TYPE reports it; `other` for the rest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
            Self::Other => "other",
        }
    }
}

/// The details of a key. One is `None` if it was not queried or the query failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Memory in bytes, from MEMORY USAGE.
    pub memory: Option<u64>,
    /// Expiry, from PTTL.
    pub expiry: Option<Expiry>,
    /// Data type, from TYPE.
    pub data_type: Option<DataType>,
}

/// Counts of the keys of one namespace in one database. There is one for each segment that was visited,
/// so the counts of parts are small. They stop at four billion keys, the maximum of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys whose names were seen.
    pub keys: u64,
    /// Keys among them that were gone when their details were queried.
    pub vanished: u64,
    /// Keys among them that would form namespaces of their own if there were not too many.
    pub folded: u64,
    /// Known memory of the keys.
    pub memory: KnownMemory,
    /// Known TTLs of the keys.
    pub expiry: Expiries,
    /// Number of keys of each type, in the order of [`DataType::ALL`].
    pub types: [u32; DataType::ALL.len()],
}

/// Memory of the keys with known memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownMemory {
    /// Number of these keys.
    pub count: u64,
    /// Sum of their bytes. An integer, so that neither order nor rounding has an effect.
    pub sum: u128,
    /// Sum of the squares of their bytes.
    pub squares: u128,
    /// Number of keys in each bucket of [`SIZE_EDGES`], not cumulative, without larger keys.
    pub buckets: [u32; SIZE_EDGES.len()],
    largest: Vec<u64>,
}

/// TTLs of the keys with known expiry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiries {
    /// Number of these keys.
    pub count: u64,
    /// Number of keys without a TTL.
    pub without_ttl: u64,
    /// Sum of the remaining TTLs of the others, in milliseconds.
    pub sum: u128,
    /// Longest of these TTLs, in milliseconds.
    pub longest: Option<u64>,
    /// Number of keys in each bucket of [`TTL_EDGES`], not cumulative, without longer TTLs.
    pub buckets: [u32; TTL_EDGES.len()],
    /// Keys whose remaining TTL exceeds the maximum of their policy.
    pub max_broken: u64,
}

impl Tally {
    /// Counts a key with its details.
    pub fn see(&mut self, details: Details, policy: TtlPolicy) {
        self.keys = self.keys.saturating_add(1);
        self.learn(details, policy);
    }

    /// Adds the details of a key that [`Tally::see`] counted without them.
    pub fn learn(&mut self, details: Details, policy: TtlPolicy) {
        if let Some(bytes) = details.memory {
            self.memory.add(bytes);
        }
        if let Some(expiry) = details.expiry {
            self.expiry.add(expiry, policy);
        }
        if let Some(data_type) = details.data_type {
            let place = DataType::ALL.iter().position(|known| *known == data_type);
            raise(&mut self.types, place);
        }
    }

    /// Counts a key that was gone when its details were queried.
    pub fn see_vanished(&mut self) {
        self.see(Details::default(), TtlPolicy::default());
        self.lose();
    }

    /// Records that a key counted by [`Tally::see`] was gone when its details were queried.
    pub fn lose(&mut self) {
        self.vanished = self.vanished.saturating_add(1);
    }

    /// Records that a key counted by [`Tally::see`] is here only because there are too many
    /// namespaces.
    pub fn fold(&mut self) {
        self.folded = self.folded.saturating_add(1);
    }

    /// Adds the counts of another tally. The order of additions does not matter.
    pub fn merge(&mut self, other: &Self) {
        self.keys = self.keys.saturating_add(other.keys);
        self.vanished = self.vanished.saturating_add(other.vanished);
        self.folded = self.folded.saturating_add(other.folded);
        self.memory.merge(&other.memory);
        self.expiry.merge(&other.expiry);
        add_each(&mut self.types, &other.types);
    }

    /// Returns the number of keys with a known type.
    #[must_use]
    pub fn typed(&self) -> u64 {
        self.types
            .iter()
            .fold(0, |sum, count| sum + u64::from(*count))
    }
}

impl KnownMemory {
    fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(bytes));
        let square = u128::from(bytes).saturating_mul(u128::from(bytes));
        self.squares = self.squares.saturating_add(square);
        raise(&mut self.buckets, bucket(&SIZE_EDGES, bytes));
        self.keep(bytes);
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
        self.squares = self.squares.saturating_add(other.squares);
        add_each(&mut self.buckets, &other.buckets);
        for bytes in &other.largest {
            self.keep(*bytes);
        }
    }

    fn keep(&mut self, bytes: u64) {
        let full = self.largest.len() >= LARGEST_MAX;
        if full && self.largest.last().is_some_and(|least| bytes <= *least) {
            return;
        }
        if full {
            // Before the insertion, so that the list never grows beyond the maximum.
            self.largest.pop();
        }
        let place = self.largest.partition_point(|kept| *kept >= bytes);
        self.largest.insert(place, bytes);
    }

    /// Returns the largest sizes, largest first, at most [`LARGEST_MAX`].
    #[must_use]
    pub fn largest(&self) -> &[u64] {
        &self.largest
    }
}

impl Expiries {
    /// Adds the expiry of a key.
    ///
    /// A key violates at most one policy, so that violations add up to keys. Without a TTL, it
    /// violates only a policy that requires one. If only a maximum is configured, keys that never
    /// expire are allowed, because their owner did not require a TTL.
    fn add(&mut self, expiry: Expiry, policy: TtlPolicy) {
        self.count = self.count.saturating_add(1);
        match expiry {
            Expiry::Never => {
                self.without_ttl = self.without_ttl.saturating_add(1);
            }
            Expiry::In(milliseconds) => {
                self.sum = self.sum.saturating_add(u128::from(milliseconds));
                self.longest = self.longest.max(Some(milliseconds));
                raise(&mut self.buckets, bucket(&TTL_EDGES, milliseconds));
                let broken = u64::from(exceeds(milliseconds, policy.max));
                self.max_broken = self.max_broken.saturating_add(broken);
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.without_ttl = self.without_ttl.saturating_add(other.without_ttl);
        self.sum = self.sum.saturating_add(other.sum);
        self.longest = self.longest.max(other.longest);
        self.max_broken = self.max_broken.saturating_add(other.max_broken);
        add_each(&mut self.buckets, &other.buckets);
    }
}

/// Returns whether a TTL is longer than allowed.
#[must_use]
pub fn exceeds(milliseconds: u64, max: Option<Duration>) -> bool {
    max.is_some_and(|max| u128::from(milliseconds) > max.as_millis() + GRACE_MILLISECONDS)
}

fn bucket(edges: &[Edge], value: u64) -> Option<usize> {
    edges.iter().position(|edge| value <= edge.at)
}

fn raise(counts: &mut [u32], place: Option<usize>) {
    if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
        *count = count.saturating_add(1);
    }
}

fn add_each(counts: &mut [u32], others: &[u32]) {
    for (count, other) in counts.iter_mut().zip(others) {
        *count = count.saturating_add(*other);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sized(bytes: u64) -> Details {
        Details {
            memory: Some(bytes),
            ..Details::default()
        }
    }

    fn expiring(expiry: Expiry) -> Details {
        Details {
            expiry: Some(expiry),
            ..Details::default()
        }
    }

    fn policy(required: bool, max: Option<u64>) -> TtlPolicy {
        TtlPolicy {
            required,
            max: max.map(Duration::from_secs),
        }
    }

    fn too_long(expiry: Expiry, policy: TtlPolicy) -> u64 {
        let mut tally = Tally::default();
        tally.see(expiring(expiry), policy);
        tally.expiry.max_broken
    }

    #[test]
    fn key_without_details_counts_by_its_name_only() {
        let mut tally = Tally::default();
        tally.see(Details::default(), policy(true, Some(1)));
        let expected = Tally {
            keys: 1,
            ..Tally::default()
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn vanished_key_counts_as_a_name_without_details() {
        let mut tally = Tally::default();
        tally.see_vanished();
        assert_eq!((tally.keys, tally.vanished), (1, 1));
        assert_eq!(
            (tally.memory.count, tally.expiry.count, tally.typed()),
            (0, 0, 0)
        );
    }

    #[test]
    fn longest_ttl_is_kept() {
        let mut tally = Tally::default();
        tally.see(expiring(Expiry::Never), policy(false, None));
        assert_eq!(tally.expiry.longest, None);
        for left in [5, 7_000, 6] {
            tally.see(expiring(Expiry::In(left)), policy(false, None));
        }
        assert_eq!(tally.expiry.longest, Some(7_000));
    }

    #[test]
    fn ttl_may_exceed_the_maximum_by_a_second() {
        let hour = policy(false, Some(3_600));
        assert_eq!(too_long(Expiry::In(3_601_000), hour), 0);
        assert_eq!(too_long(Expiry::In(3_601_001), hour), 1);
    }

    #[test]
    fn key_without_ttl_does_not_exceed_the_maximum() {
        assert_eq!(too_long(Expiry::Never, policy(true, Some(60))), 0);
        assert_eq!(too_long(Expiry::Never, policy(false, Some(60))), 0);
    }

    #[test]
    fn values_on_an_edge_fall_below_it() {
        let mut tally = Tally::default();
        for bytes in [64, 65, 67_108_864, 67_108_865] {
            tally.see(sized(bytes), policy(false, None));
        }
        tally.see(expiring(Expiry::In(1_000)), policy(false, None));
        tally.see(expiring(Expiry::In(2_592_000_001)), policy(false, None));
        assert_eq!(tally.memory.buckets, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(tally.expiry.buckets, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((tally.memory.count, tally.expiry.count), (4, 2));
    }

    #[test]
    fn edges_increase_and_their_texts_match_in_base_units() {
        for edges in [&TTL_EDGES[..], &SIZE_EDGES[..]] {
            assert!(edges.windows(2).all(|pair| pair[0].at < pair[1].at));
            assert!(
                edges
                    .iter()
                    .all(|edge| edge.as_replied == edge.at.to_string())
            );
        }
        assert!(
            TTL_EDGES
                .iter()
                .all(|edge| edge.in_base_unit == (edge.at / 1_000).to_string())
        );
        assert!(
            SIZE_EDGES
                .iter()
                .all(|edge| edge.in_base_unit == edge.at.to_string())
        );
    }

    #[test]
    fn only_the_largest_sizes_are_kept() {
        let mut tally = Tally::default();
        for bytes in (0..1_000).chain(0..1_000) {
            tally.see(sized(bytes), policy(false, None));
        }
        let expected: Vec<u64> = (992..1_000)
            .rev()
            .flat_map(|bytes| [bytes, bytes])
            .collect();
        assert_eq!(tally.memory.largest(), expected);
        assert!(size_of::<Tally>() <= 512, "{}", size_of::<Tally>());
        assert!(tally.memory.largest.capacity() <= LARGEST_MAX);
    }

    #[test]
    fn types_have_the_names_that_redis_uses() {
        for data_type in DataType::ALL {
            assert_eq!(
                DataType::from_reply(data_type.as_str().as_bytes()),
                data_type
            );
        }
        assert_eq!(DataType::from_reply(b"ReJSON-RL"), DataType::Other);
        assert_eq!(DataType::from_reply(b"\xff"), DataType::Other);
    }

    /// Generates details that no server may have returned.
    pub(in crate::keyspace) fn any_details() -> impl Strategy<Value = Details> {
        let expiry = prop_oneof![Just(Expiry::Never), any::<u64>().prop_map(Expiry::In)];
        let types = proptest::sample::select(DataType::ALL.to_vec());
        let optional = (
            proptest::option::of(any::<u64>()),
            proptest::option::of(expiry),
            proptest::option::of(types),
        );
        optional.prop_map(|(memory, expiry, data_type)| Details {
            memory,
            expiry,
            data_type,
        })
    }

    proptest! {
        #[test]
        fn merging_in_any_order_equals_counting_at_once(
            keys in proptest::collection::vec((any_details(), 0_usize..4), 0..200),
            order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        ) {
            let policy = policy(true, Some(60));
            let mut at_once = Tally::default();
            let mut parts: [Tally; 4] = Default::default();
            for (details, part) in keys {
                at_once.see(details, policy);
                parts[part].see(details, policy);
            }
            let mut merged = Tally::default();
            for part in order {
                merged.merge(&parts[part]);
            }
            prop_assert_eq!(merged, at_once);
        }
    }
}
