//! Divides a hash table into segments by the cursors of SCAN. Pure.
//!
//! A cursor of SCAN counts in reversed bits: its low bits change last. All cursors with the same
//! low bits therefore form one contiguous part of the sweep, and of the table: a segment. Segments
//! can be swept in any order. A table that grows or shrinks during the sweep keeps its keys in
//! their segments.

use crate::collector::{Flavor, Server};
use crate::number::{length, to_float};

/// Maximum number of segments of one database; each has its own tally.
pub const SEGMENTS_MAX: u32 = 64;

/// Approximate minimum number of keys per segment. Tallies of fewer keys are useless, and a table
/// must have more buckets than segments.
const KEYS_PER_SEGMENT: u64 = 1_000;

/// All buckets of a hash table whose numbers end in the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Number of common low bits.
    bits: u32,
    /// Value of these bits.
    low: u32,
}

impl Segment {
    /// The whole table.
    pub const WHOLE: Self = Self { bits: 0, low: 0 };

    /// Returns the first segment in the order of SCAN of a table with this many keys.
    #[must_use]
    pub fn first(keys: u64) -> Self {
        Self {
            bits: bits(keys),
            low: 0,
        }
    }

    /// Returns the number of segments of its table.
    #[must_use]
    pub const fn of_table(self) -> u32 {
        1 << self.bits
    }

    /// Returns the first cursor of the segment.
    #[must_use]
    pub fn start(self) -> u64 {
        u64::from(self.low)
    }

    /// Returns the number of the segment within its table.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.low
    }

    /// Returns whether a sweep at this cursor is still within the segment. Cursor 0 ends every
    /// sweep.
    #[must_use]
    pub fn has_more(self, cursor: u64) -> bool {
        cursor != 0 && cursor & ((1 << self.bits) - 1) == self.start()
    }

    /// Returns the first cursor of the next segment in the order of SCAN; 0 after the last.
    #[must_use]
    pub fn end(self) -> u64 {
        let step = 1_u64.checked_shl(64 - self.bits).unwrap_or(0);
        let reversed = self.start().reverse_bits();
        reversed.wrapping_add(step).reverse_bits()
    }

    /// Returns whether the call that returned this cursor continued into the next segment. SCAN
    /// stops when it has enough keys, not at the end of a segment.
    #[must_use]
    pub fn is_overrun(self, cursor: u64) -> bool {
        !self.has_more(cursor) && cursor != self.end()
    }
}

/// Returns whether segments can be swept in any order.
///
/// If every slot of a cluster has its own table, the low bits of a cursor are the slot. Servers
/// with unknown cursors are swept in their own order.
#[must_use]
pub fn has_segments(server: &Server) -> bool {
    match server.flavor {
        Flavor::Redis | Flavor::Valkey => !has_table_per_slot(server),
        Flavor::KeyDb | Flavor::Tile38 => false,
    }
}

/// Returns whether a server keeps every slot of its cluster in its own table. SCAN then goes slot
/// by slot, and a part of the sweep is not a sample of all keys.
#[must_use]
pub fn has_table_per_slot(server: &Server) -> bool {
    let since = match server.flavor {
        Flavor::Redis => (7, 4),
        Flavor::Valkey => (8, 0),
        Flavor::KeyDb | Flavor::Tile38 => return false,
    };
    server.is_cluster_node() && server.version >= since
}

/// Number of steps from the start of a sweep that prove the kind of the cursors.
pub const PROOF_STEPS: usize = 3;

/// Tolerance for the number of keys that the cursor of a step implies, as a factor and as a number.
const PROOF_FACTOR: f64 = 3.0;
const PROOF_KEYS: f64 = 50.0;

/// Returns whether the cursors of a hash table scan are those of Redis.
///
/// The reversed bits of a cursor, read as a fraction, are the scanned share of the table. After
/// each of the first steps, about the same share of the keys must have been returned. Servers that
/// imitate Redis return offsets or tokens, and often scan in the order of the keys.
///
/// `steps` has the cursor that each step returned, and its number of keys.
#[must_use]
pub fn proves_redis_cursors(steps: &[(u64, usize)], keys: u64) -> bool {
    let (mut seen, mut scanned) = (0.0, 0.0);
    let is_plausible = |(cursor, found): &(u64, usize)| {
        seen += length(*found);
        let part = to_float(cursor.reverse_bits()) / 2.0_f64.powi(64);
        let expected = part * to_float(keys);
        let grows = part > scanned;
        scanned = part;
        grows
            && seen <= expected * PROOF_FACTOR + PROOF_KEYS
            && expected <= seen * PROOF_FACTOR + PROOF_KEYS
    };
    steps.len() >= PROOF_STEPS && steps.iter().all(is_plausible)
}

/// Returns the segments of a table with this many keys, shuffled by `random`, which returns a
/// number below its argument.
///
/// Without shuffling, the sweep would visit the keys in the order of SCAN. Such a sweep leaves a
/// trail free of expired keys, and the server's own search for these slows down in it.
///
/// `earlier` is the number of segments of a pass whose tallies are in use. It is kept within a
/// factor of four, because tallies of other segments are lost.
#[must_use]
pub fn segments(
    keys: u64,
    earlier: Option<usize>,
    mut random: impl FnMut(usize) -> usize,
) -> Vec<Segment> {
    let wanted = bits(keys);
    let earlier = earlier.and_then(usize::checked_ilog2);
    let bits = earlier
        .filter(|earlier| earlier.abs_diff(wanted) <= BITS_APART)
        .unwrap_or(wanted);
    let mut segments: Vec<_> = (0..1_u32 << bits)
        .map(|low| Segment { bits, low })
        .collect();
    for at in (1..segments.len()).rev() {
        segments.swap(at, random(at + 1));
    }
    segments
}

/// Maximum difference in low bits between the segments of a pass and the ideal ones.
const BITS_APART: u32 = 2;

/// Returns whether a database has become too large for the segments of its pass.
///
/// The pass then starts again with more of them. [`SEGMENTS_MAX`] limits their number, so it starts
/// again at most twice, however the database grows.
#[must_use]
pub fn has_outgrown(keys: u64, segments: usize) -> bool {
    let segments = segments.checked_ilog2().unwrap_or(0);
    bits(keys) > segments + BITS_APART
}

/// Returns the number of low bits that distinguish the segments of a table with this many keys.
fn bits(keys: u64) -> u32 {
    let wanted = (keys / KEYS_PER_SEGMENT).clamp(1, u64::from(SEGMENTS_MAX));
    wanted.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Info;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Returns the next cursor as Redis's dictScan computes it, for a table of `1 << table_bits`
    /// buckets.
    fn next(cursor: u64, table_bits: u32) -> u64 {
        let mask = (1_u64 << table_bits) - 1;
        (cursor | !mask)
            .reverse_bits()
            .wrapping_add(1)
            .reverse_bits()
    }

    fn buckets(segment: Segment, table_bits: u32) -> Vec<u64> {
        let mut visited = vec![segment.start()];
        let mut cursor = next(segment.start(), table_bits);
        while segment.has_more(cursor) {
            visited.push(cursor);
            cursor = next(cursor, table_bits);
        }
        visited
    }

    #[test]
    fn segments_are_kept_during_moderate_growth() {
        let count = |keys, earlier| segments(keys, earlier, |_| 0).len();
        assert_eq!(count(50_000, None), 32);
        assert_eq!(count(70_000, None), 64);
        assert_eq!(count(70_000, Some(32)), 32);
        assert_eq!(count(20_000, Some(64)), 64);
        assert_eq!(count(500_000, Some(8)), 64);
        assert_eq!(count(500, Some(64)), 1);
    }

    #[test]
    fn growth_restarts_a_pass_at_most_twice() {
        let (mut used, mut restarts) = (segments(0, None, |_| 0).len(), 0);
        for keys in (0..2_000_000).step_by(500) {
            if has_outgrown(keys, used) {
                used = segments(keys, Some(used), |_| 0).len();
                restarts += 1;
            }
            assert!(!has_outgrown(keys, used), "{keys} keys, {used} segments");
        }
        let most = SEGMENTS_MAX as usize;
        assert_eq!((restarts, used), (2, most));
        assert!(!has_outgrown(u64::MAX, most) && !has_outgrown(0, most));
    }

    proptest! {
        #[test]
        fn first_segment_is_one_of_its_table(keys in 0_u64..2_000_000) {
            let (first, all) = (Segment::first(keys), segments(keys, None, |_| 0));
            prop_assert!(all.contains(&first) && first.start() == 0);
            prop_assert_eq!(all.len(), first.of_table() as usize);
        }
    }

    proptest! {
        #[test]
        fn segments_cover_every_bucket_once(keys in 0_u64..2_000_000, table_bits in 12_u32..18) {
            let mut visited = Vec::new();
            for segment in segments(keys, None, |below| below / 2) {
                visited.extend(buckets(segment, table_bits));
            }
            let distinct: BTreeSet<u64> = visited.iter().copied().collect();
            prop_assert_eq!(distinct.len(), visited.len());
            prop_assert_eq!(visited.len(), 1 << table_bits);
        }
    }

    proptest! {
        #[test]
        fn cursor_after_the_last_bucket_is_the_end(keys in 0_u64..2_000_000, table_bits in 12_u32..18) {
            for segment in segments(keys, None, |below| below / 2) {
                let last = buckets(segment, table_bits).pop().unwrap();
                let after = next(last, table_bits);
                prop_assert_eq!(after, segment.end());
                prop_assert!(!segment.is_overrun(after));
                if after != 0 {
                    prop_assert!(segment.is_overrun(next(after, table_bits)));
                }
            }
        }
    }

    #[test]
    fn few_steps_prove_redis_cursors() {
        // A table of 2^18 buckets for 200,000 keys, in steps of 131 buckets with 100 keys.
        let mut cursor = 0;
        let mut steps = Vec::new();
        for _ in 0..PROOF_STEPS {
            for _ in 0..131 {
                cursor = next(cursor, 18);
            }
            steps.push((cursor, 100));
        }
        assert!(proves_redis_cursors(&steps, 200_000));
        assert!(!proves_redis_cursors(&steps, 20_000_000));
        assert!(!proves_redis_cursors(&steps[..2], 200_000));
    }

    #[test]
    fn offsets_and_tokens_are_not_redis_cursors() {
        let offsets = [(100, 100), (200, 100), (300, 100)];
        let tokens = [(1, 100), (2, 100), (3, 100)];
        let large = [
            (0xdead_beef_0123_4567, 100),
            (0x0bad_cafe_7654_3210, 100),
            (0x1234_5678_9abc_def0, 100),
        ];
        for steps in [offsets, tokens, large] {
            assert!(!proves_redis_cursors(&steps, 100_000), "{steps:?}");
        }
    }

    #[test]
    fn small_table_is_one_segment_and_large_ones_have_the_most() {
        assert_eq!(segments(0, None, |_| 0), [Segment::WHOLE]);
        assert_eq!(segments(1_999, None, |_| 0).len(), 1);
        assert_eq!(segments(4_000, None, |_| 0).len(), 4);
        assert_eq!(
            segments(100_000_000, None, |_| 0).len(),
            SEGMENTS_MAX as usize
        );
    }

    #[test]
    fn slots_with_their_own_tables_are_swept_in_order() {
        let of = |info: &str| Server::from_info(&Info::parse(info));
        let old = of("redis_version:7.2.0\nredis_mode:cluster\n");
        let new = of("redis_version:7.4.1\nredis_mode:cluster\n");
        let alone = of("redis_version:8.0.6\nredis_mode:standalone\n");
        let valkey = of("redis_version:7.2.4\nvalkey_version:8.1.1\nserver_mode:cluster\n");
        assert_eq!(
            [&old, &new, &alone, &valkey].map(has_segments),
            [true, false, true, false]
        );
        assert!(!has_segments(&of("redis_version:6.3.4\nmvcc_depth:0\n")));
    }
}
