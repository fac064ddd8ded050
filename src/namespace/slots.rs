//! Slots of a cluster node: which it has, how to draw some of them, and what these tell of all.
//!
//! Where every slot has a table of its own, SCAN goes slot by slot, and hash tags put related keys
//! into one slot: a stretch of the walk is no sample of the keys. But the size of every slot is
//! known, so that slots can be drawn in proportion to it; each draw is then a fair sample of all
//! keys, and the draws differ by as much as hash tags make them. Pure.

use std::collections::{BTreeMap, VecDeque};

use super::Group;
use super::window::Tallies;

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// How many draws a glimpse has.
pub const DRAWS: u32 = 128;

/// How many keys a draw asks for.
pub const KEYS_PER_DRAW: u32 = 20;

/// How many glimpses count together.
const GLIMPSES_MAX: usize = 4;

/// The slots of the node that replied to CLUSTER NODES: its own, or those of its primary.
#[must_use]
pub fn owned(nodes: &str) -> Vec<u16> {
    let lines = || {
        nodes
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
    };
    let has = |line: &[&str], flag: &str| {
        let flags = line.get(2).copied().unwrap_or_default();
        flags.split(',').any(|word| word == flag)
    };
    let Some(myself) = lines().find(|line| has(line, "myself")) else {
        return Vec::new();
    };
    let primary = myself.get(3).copied().filter(|id| *id != "-");
    let owner = match primary {
        Some(id) => lines().find(|line| line.first() == Some(&id)),
        None => Some(myself),
    };
    let ranges = owner.unwrap_or_default().into_iter().skip(8);
    ranges.filter_map(range).flatten().collect()
}

/// A range of slots, `5-9` or `5`. Slots that move stand in brackets and are in a range as well.
fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (*range.end() < SLOTS).then_some(range)
}

/// The slot of a key: of what stands in braces, if there is any.
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    let open = key.iter().position(|byte| *byte == b'{');
    let tag = open.and_then(|open| {
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC16 as XMODEM has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 {
                shifted
            } else {
                shifted ^ 0x1021
            }
        })
    })
}

/// Draws slots in proportion to their keys, at even distances from a random start between 0 and 1:
/// each slot with how often it was drawn.
#[must_use]
pub fn draw(sizes: &BTreeMap<u16, u64>, random: f64) -> Vec<(u16, u32)> {
    let all: f64 = sizes.values().map(|keys| float(*keys)).sum();
    let step = all / f64::from(DRAWS);
    let (mut drawn, mut below, mut next) = (Vec::new(), 0.0, random * step);
    if step <= 0.0 {
        return drawn;
    }
    for (slot, keys) in sizes {
        below += float(*keys);
        let mut times = 0;
        while next < below && times < DRAWS {
            times += 1;
            next += step;
        }
        if times > 0 {
            drawn.push((*slot, times));
        }
    }
    drawn
}

/// What some draws have shown.
#[derive(Clone, Debug, Default)]
pub struct Glimpse {
    /// Of each draw, the share of each namespace in it.
    draws: Vec<BTreeMap<Group, f64>>,
    /// The keys of all draws together.
    tallies: Tallies,
}

impl Glimpse {
    /// Takes in the keys of one draw.
    pub fn add(&mut self, draw: &Tallies) {
        let keys: u64 = draw.values().map(|tally| tally.keys).sum();
        if keys == 0 {
            return;
        }
        let shares = draw.iter();
        let shares = shares.map(|(group, tally)| (*group, float(tally.keys) / float(keys)));
        self.draws.push(shares.collect());
        for (group, tally) in draw {
            self.tallies.entry(*group).or_default().merge(tally);
        }
    }
}

/// The share of a namespace, and how certain it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The share, from 0 to 1.
    pub share: f64,
    /// How many keys of a simple random sample would tell as much.
    pub effective: f64,
}

/// The latest glimpses of a node.
#[derive(Clone, Debug, Default)]
pub struct Glimpses(VecDeque<Glimpse>);

impl Glimpses {
    /// Adds a glimpse; the oldest goes.
    pub fn push(&mut self, glimpse: Glimpse) {
        if glimpse.draws.is_empty() {
            return;
        }
        self.0.push_back(glimpse);
        while self.0.len() > GLIMPSES_MAX {
            self.0.pop_front();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing was drawn yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys of all draws together.
    #[must_use]
    pub fn totals(&self) -> Tallies {
        let mut totals = Tallies::new();
        for (group, tally) in self.0.iter().flat_map(|glimpse| &glimpse.tallies) {
            totals.entry(*group).or_default().merge(tally);
        }
        totals
    }

    /// The share of the keys that `is_in` takes, from how the draws differ.
    #[must_use]
    pub fn share(&self, is_in: impl Fn(Group) -> bool) -> Share {
        let draws = self.0.iter().flat_map(|glimpse| &glimpse.draws);
        let shares = draws.map(|draw| {
            let shares = draw.iter().filter(|(group, _)| is_in(**group));
            shares.map(|(_, share)| share).sum::<f64>()
        });
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for share in shares {
            count += 1.0;
            sum += share;
            squares += share * share;
        }
        let tallies = self.0.iter().flat_map(|glimpse| glimpse.tallies.values());
        let keys: f64 = tallies.map(|tally| float(tally.keys)).sum();
        let share = sum / f64::max(count, 1.0);
        let spread = (squares / f64::max(count, 1.0) - share * share).max(0.0);
        let variance = spread / f64::max(count - 1.0, 1.0);
        let possible = share * (1.0 - share);
        // No draw tells less than one key, nor more than all its keys. A share that no draw has
        // shown may lie in one slot.
        let effective = if possible > 0.0 {
            (possible / variance.max(f64::MIN_POSITIVE)).clamp(count, keys.max(count))
        } else {
            count
        };
        Share { share, effective }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::tally::Tally;

    #[test]
    fn slots_are_those_that_redis_computes() {
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{}{bar}"), 8_363);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    const NODES: &str = "\
        a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-2 7 [9->-b]\n\
        b 127.0.0.1:3@4 master - 0 0 2 connected 10-11\n";

    #[test]
    fn a_replica_has_the_slots_of_its_primary() {
        assert_eq!(owned(NODES), [0, 1, 2, 7]);
        let replica = "c 127.0.0.1:5@6 myself,slave b 0 0 2 connected\n";
        let nodes = NODES.replace("myself,", "") + replica;
        assert_eq!(owned(&nodes), [10, 11]);
        assert_eq!(owned(""), [] as [u16; 0]);
        assert_eq!(
            owned("a b myself - 0 0 1 connected 5-99999"),
            [] as [u16; 0]
        );
    }

    #[test]
    fn slots_are_drawn_in_proportion_to_their_keys() {
        let sizes = BTreeMap::from([(1, 1_000), (2, 0), (3, 3_000)]);
        assert_eq!(draw(&sizes, 0.5), [(1, 32), (3, 96)]);
        assert_eq!(draw(&BTreeMap::from([(1, 0)]), 0.5), []);
    }

    fn drawn(keys: &[u64]) -> Tallies {
        let tallies = (0..).zip(keys).filter(|(_, keys)| **keys > 0);
        let tally = |keys: u64| Tally {
            keys,
            ..Tally::default()
        };
        tallies
            .map(|(group, keys)| (Group(group), tally(*keys)))
            .collect()
    }

    fn share_of(draws: &[[u64; 2]], group: Group) -> Share {
        let mut glimpse = Glimpse::default();
        for draw in draws {
            glimpse.add(&drawn(draw));
        }
        let mut glimpses = Glimpses::default();
        glimpses.push(glimpse);
        glimpses.share(|own| own == group)
    }

    #[test]
    fn draws_that_hash_tags_make_uniform_count_as_one_key_each() {
        let tagged = [[20, 0], [0, 20], [20, 0], [0, 20]].repeat(8);
        let mixed = [[10, 10], [9, 11], [11, 9], [10, 10]].repeat(8);
        let (tagged, mixed) = (share_of(&tagged, Group(0)), share_of(&mixed, Group(0)));
        assert!((tagged.share - 0.5).abs() < 1e-9 && (mixed.share - 0.5).abs() < 1e-9);
        assert!(
            tagged.effective < 33.0 && mixed.effective > 600.0,
            "{tagged:?} {mixed:?}"
        );
    }

    #[test]
    fn what_no_draw_has_shown_may_lie_in_one_slot() {
        let share = share_of(&[[20, 0]; 32], Group(1));
        assert!(
            share.share.abs() < 1e-9 && share.effective < 33.0,
            "{share:?}"
        );
    }
}
