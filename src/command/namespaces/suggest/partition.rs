//! Divides sampled keys into subsets by their segments. A subset becomes a pattern. The caller
//! chooses its name and counts its keys.
//!
//! It builds no tree: it divides the sample repeatedly, and only subsets with a sufficient part of
//! it are divided further. Its size therefore bounds the work.

use std::collections::HashMap;

use super::shape::{is_number, is_uuid, is_value};
use super::shared_pattern::{Part, SharedPattern, Tail};
use super::ttl::{self, ObservedTtl};
use super::{SampledKey, ratio};

/// Candidate delimiters. The first is used if most keys contain it, otherwise the most frequent.
const DELIMITERS: &[u8] = b":/.|-_#";

/// Maximum number of segments per key. The last one is the rest of the key.
const MOST_SEGMENTS: usize = 12;

/// Maximum length of a word, in bytes.
const LONGEST_WORD: usize = 64;

/// Minimum number of keys for a pattern.
const FEWEST_KEYS: usize = 3;

/// Minimum share of the sample for a first segment to be a word, and for a later one.
const LEAST_FIRST_SHARE: f64 = 0.002;
const LEAST_SHARE: f64 = 0.005;

/// Minimum share of its subset for a segment to be a word.
const LEAST_SHARE_OF_SUBSET: f64 = 0.02;

/// Words with this share of their subset are all of its words.
const MOST_OF_SUBSET: f64 = 0.8;

/// Otherwise, only a word with this share of the subset counts: a few busy users must not look like
/// words.
const PLAIN_SHARE_OF_SUBSET: f64 = 0.1;

/// From this share on, a single word is part of the prefix.
const WHOLE_SUBSET: f64 = 0.995;

/// Maximum number of words that distinguish subsets, in addition to those that all keys share:
/// `api:cache`.
const MOST_WORDS: usize = 2;

/// Minimum share of the sample for keys that start with a value.
const LEAST_NAMELESS: f64 = 0.01;

/// Returns all patterns of a sample, in any order.
pub(super) fn find<'a>(sample: &[SampledKey<'a>]) -> Vec<SharedPattern<'a>> {
    let mut found = Vec::new();
    let mut rest: Vec<SampledKey<'a>> = sample.to_vec();
    while let Some(delimiter) = choose_delimiter(&rest) {
        let (cut, uncut): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|key| separates(delimiter, key.name));
        let keys: Vec<Key<'a>> = cut.iter().map(|key| Key::new(key, delimiter)).collect();
        let mut division = Division {
            sampled: sample.len(),
            delimiter,
            found,
        };
        division.divide(&keys.iter().collect::<Vec<_>>(), &mut Vec::new(), 0);
        found = division.found;
        rest = uncut;
    }
    find_undelimited(&rest, sample.len(), &mut found);
    found
}

/// Returns the most frequent delimiter; `None` if it would give no pattern.
fn choose_delimiter(keys: &[SampledKey<'_>]) -> Option<u8> {
    let count = |delimiter: u8| {
        let keys = keys.iter().filter(|key| separates(delimiter, key.name));
        keys.count()
    };
    let counts: Vec<(u8, usize)> = DELIMITERS
        .iter()
        .map(|byte| (*byte, count(*byte)))
        .collect();
    let usual = counts.first().filter(|(_, count)| *count * 2 >= keys.len());
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    let (delimiter, count) = *usual.or(most)?;
    (count >= FEWEST_KEYS).then_some(delimiter)
}

/// Returns whether the delimiter separates segments of the key. The hyphens of a UUID and the dots of
/// an address are parts of a value.
fn separates(delimiter: u8, key: &[u8]) -> bool {
    key.contains(&delimiter) && !is_number(key)
}

/// Finds keys such as `user123`, and UUIDs.
fn find_undelimited<'a>(
    keys: &[SampledKey<'a>],
    sampled: usize,
    found: &mut Vec<SharedPattern<'a>>,
) {
    let mut words: HashMap<&[u8], usize> = HashMap::new();
    let mut uuids = 0;
    for key in keys {
        if is_uuid(key.name) {
            uuids += 1;
        }
        let digit = key.name.iter().position(u8::is_ascii_digit);
        let word = digit
            .and_then(|digit| key.name.get(..digit))
            .unwrap_or_default();
        if word.len() >= 2 && word.len() <= LONGEST_WORD && !is_value(key.name) {
            *words.entry(word).or_default() += 1;
        }
    }
    let mut add = |parts, tail| {
        found.push(SharedPattern {
            parts,
            delimiter: 0,
            tail,
        });
    };
    if is_fair(uuids, sampled, LEAST_NAMELESS) {
        add(Vec::new(), Tail::Uuid);
    }
    for (word, count) in words {
        if is_fair(count, sampled, LEAST_FIRST_SHARE) {
            add(vec![Part::Word(word)], Tail::Digits);
        }
    }
}

fn is_fair(part: usize, whole: usize, least: f64) -> bool {
    part >= FEWEST_KEYS && ratio(part, whole) >= least
}

struct Key<'a> {
    segments: Vec<&'a [u8]>,
    ttl: ObservedTtl,
}

impl<'a> Key<'a> {
    fn new(key: &SampledKey<'a>, delimiter: u8) -> Self {
        let segments = key.name.splitn(MOST_SEGMENTS, |byte| *byte == delimiter);
        Self {
            segments: segments.collect(),
            ttl: key.ttl,
        }
    }
}

/// The keys with the same word in the next segment.
struct Branch<'k, 'a> {
    word: &'a [u8],
    keys: Vec<&'k Key<'a>>,
}

impl Branch<'_, '_> {
    fn ttls(&self) -> Vec<ObservedTtl> {
        self.keys.iter().map(|key| key.ttl).collect()
    }
}

/// A subset divided by the next segment.
struct Branches<'k, 'a> {
    /// Sorted by word.
    words: Vec<Branch<'k, 'a>>,
    /// Keys whose next segment is a value or rare.
    values: Vec<&'k Key<'a>>,
    /// Number of keys without a next segment.
    ended: usize,
}

struct Division<'a> {
    sampled: usize,
    delimiter: u8,
    found: Vec<SharedPattern<'a>>,
}

impl<'a> Division<'a> {
    /// Divides keys that share `parts`. `distinct` is the number of parts that distinguish subsets.
    fn divide(&mut self, keys: &[&Key<'a>], parts: &mut Vec<Part<'a>>, distinct: usize) {
        let branches = self.branches(keys, parts);
        if parts.contains(&Part::Value) && branches.ended >= FEWEST_KEYS {
            self.add(parts, Tail::Nothing);
        }
        let alone = branches
            .words
            .first()
            .filter(|branch| ratio(branch.keys.len(), keys.len()) >= WHOLE_SUBSET);
        if let Some(branch) = alone {
            self.follow(branch, parts, if distinct > 0 { distinct + 1 } else { 0 });
            return;
        }
        let nameless = !parts.iter().any(|part| matches!(part, Part::Word(_)));
        let may_distinguish = nameless || (distinct < MOST_WORDS && !parts.contains(&Part::Value));
        if may_distinguish {
            for branch in &branches.words {
                self.follow(branch, parts, distinct + 1);
            }
        } else if parts.last() == Some(&Part::Value) && ttls_differ(&branches.words) {
            for branch in &branches.words {
                self.follow(branch, parts, MOST_WORDS);
            }
        }
        if nameless {
            self.pass_values(&branches.values, parts);
        } else if keys.len() > branches.ended {
            self.add(parts, Tail::Segments);
            if branches.words.is_empty() && !parts.contains(&Part::Value) {
                self.divide_after_value(&branches.values, parts);
            }
        }
    }

    fn follow(&mut self, branch: &Branch<'_, 'a>, parts: &mut Vec<Part<'a>>, distinct: usize) {
        parts.push(Part::Word(branch.word));
        self.divide(&branch.keys, parts, distinct);
        parts.pop();
    }

    /// Handles keys that start with a value, such as `{id}:profile`: their words follow it.
    fn pass_values(&mut self, keys: &[&Key<'a>], parts: &mut Vec<Part<'a>>) {
        if parts.len() < 2 && is_fair(keys.len(), self.sampled, LEAST_NAMELESS) {
            parts.push(Part::Value);
            self.divide(keys, parts, 0);
            parts.pop();
        }
    }

    /// Splits by words after a value, such as in `user:{id}:cart`, only if their keys have
    /// different TTLs.
    fn divide_after_value(&mut self, keys: &[&Key<'a>], parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Value);
        let branches = self.branches(keys, parts);
        if ttls_differ(&branches.words) {
            for branch in &branches.words {
                self.follow(branch, parts, MOST_WORDS);
            }
        }
        parts.pop();
    }

    fn add(&mut self, parts: &[Part<'a>], tail: Tail) {
        if parts.iter().any(|part| matches!(part, Part::Word(_))) {
            self.found.push(SharedPattern {
                parts: parts.to_vec(),
                delimiter: self.delimiter,
                tail,
            });
        }
    }

    fn branches<'k>(&self, keys: &[&'k Key<'a>], parts: &[Part<'a>]) -> Branches<'k, 'a> {
        let mut by_word: HashMap<&'a [u8], Vec<&'k Key<'a>>> = HashMap::new();
        let mut values = Vec::new();
        let mut ended = 0;
        for key in keys {
            match key.segments.get(parts.len()) {
                None => ended += 1,
                Some(segment) if segment.len() > LONGEST_WORD || is_value(segment) => {
                    values.push(*key);
                }
                Some(segment) => by_word.entry(segment).or_default().push(key),
            }
        }
        let least = if parts.is_empty() {
            LEAST_FIRST_SHARE
        } else {
            LEAST_SHARE
        };
        let (mut words, mut rare): (Vec<_>, Vec<_>) = by_word
            .into_iter()
            .map(|(word, keys)| Branch { word, keys })
            .partition(|branch| {
                is_fair(branch.keys.len(), self.sampled, least)
                    && (parts.is_empty()
                        || is_fair(branch.keys.len(), keys.len(), LEAST_SHARE_OF_SUBSET))
            });
        let in_words: usize = words.iter().map(|branch| branch.keys.len()).sum();
        if !parts.is_empty() && ratio(in_words, keys.len()) < MOST_OF_SUBSET {
            let plain = |branch: &Branch<'_, '_>| {
                ratio(branch.keys.len(), keys.len()) >= PLAIN_SHARE_OF_SUBSET
            };
            let (more, fewer) = words.into_iter().partition(plain);
            words = more;
            rare.extend::<Vec<_>>(fewer);
        }
        values.extend(rare.into_iter().flat_map(|branch| branch.keys));
        words.sort_by(|left, right| left.word.cmp(right.word));
        Branches {
            words,
            values,
            ended,
        }
    }
}

fn ttls_differ(branches: &[Branch<'_, '_>]) -> bool {
    let ttls: Vec<Vec<ObservedTtl>> = branches.iter().map(Branch::ttls).collect();
    let mut pairs = ttls.iter().zip(ttls.iter().skip(1));
    pairs.any(|(left, right)| ttl::differ(left, right))
}
