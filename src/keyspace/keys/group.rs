//! Groups keys by what regular expressions capture, and estimates their number and memory. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::config::TtlPolicy;
use crate::keyspace::NamespaceId;
use crate::keyspace::estimate::{Database, Estimate, estimate};
use crate::keyspace::matcher::largest;
use crate::keyspace::tally::Details;
use crate::keyspace::window::{Tallies, Windows};
use crate::label::label_text;
use crate::number::to_float as float;
use crate::pattern::Expression;

/// The group of keys that match no expression.
const UNCLASSIFIED: NamespaceId = NamespaceId(1);

/// Names of the two groups that are not captured, the same as in `redis_exporter`.
const UNCLASSIFIED_NAME: &str = "unclassified";
const OVERFLOW_NAME: &str = "overflow";

/// Number of tracked groups for each exported group: the largest are known only after many keys.
/// Each has a tally in every segment.
const CANDIDATES_PER_GROUP: usize = 4;

/// Maximum length of a captured name, in bytes. A capture can be as long as a key.
const LONGEST_NAME: usize = 128;

/// The groups and their counts. Clients that write keys choose the names, so their number is
/// capped, and the standard library's seeded hashing is used.
#[derive(Debug)]
pub struct Groups {
    expressions: Vec<Expression>,
    max: usize,
    numbers: HashMap<Box<[u8]>, NamespaceId>,
    names: BTreeMap<NamespaceId, String>,
    next: u32,
    /// The counts, by database.
    pub windows: Windows,
}

/// Estimates for one group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupEstimate {
    /// Captured text as label text, or `unclassified` or `overflow`.
    pub name: String,
    /// Number of keys.
    pub keys: Estimate,
    /// Memory in bytes; `None` if no key was measured.
    pub memory: Option<Estimate>,
}

/// The groups of one database.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabaseGroups {
    /// Number of tracked groups with keys.
    pub distinct: usize,
    /// Keys in `overflow` because there is no room for another group.
    pub without_place: u64,
    /// The largest groups, and the rest as `overflow`.
    pub shown: Vec<GroupEstimate>,
}

impl Groups {
    /// Returns the groups before any key was seen.
    #[must_use]
    pub fn new(expressions: &[Expression], max: usize) -> Self {
        Self {
            expressions: expressions.to_vec(),
            max,
            numbers: HashMap::new(),
            names: BTreeMap::new(),
            next: UNCLASSIFIED.0 + 1,
            windows: Windows::default(),
        }
    }

    /// Counts a key, and its memory if that is known.
    pub fn see(&mut self, database: u32, key: &[u8], memory: Option<u64>) {
        let (group, has_place) = self.classify(key);
        let details = Details {
            memory,
            ..Details::default()
        };
        if let Some(tally) = self.windows.window(database, 1).tally(group) {
            tally.see(details, TtlPolicy::default());
            if !has_place {
                tally.fold();
            }
        }
    }

    /// Returns the group of a key, and whether there was room for its name.
    fn classify(&mut self, key: &[u8]) -> (NamespaceId, bool) {
        let Some(name) = self.captured(key) else {
            return (UNCLASSIFIED, true);
        };
        if name == UNCLASSIFIED_NAME.as_bytes() {
            return (UNCLASSIFIED, true);
        }
        if name == OVERFLOW_NAME.as_bytes() {
            return (NamespaceId::OTHER, true);
        }
        if let Some(group) = self.numbers.get(name.as_slice()) {
            return (*group, true);
        }
        match self.admit(name) {
            Some(group) => (group, true),
            None => (NamespaceId::OTHER, false),
        }
    }

    /// Returns the concatenated captures of the first expression that matches.
    fn captured(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut expressions = self.expressions.iter();
        expressions.find_map(|expression| expression.captured(key))
    }

    const fn candidates_max(&self) -> usize {
        self.max.saturating_mul(CANDIDATES_PER_GROUP)
    }

    fn admit(&mut self, name: Vec<u8>) -> Option<NamespaceId> {
        let after = self.next.checked_add(1)?;
        if self.numbers.len() >= self.candidates_max() || name.len() > LONGEST_NAME {
            return None;
        }
        let group = NamespaceId(self.next);
        self.next = after;
        self.names.insert(group, label_text(&name));
        self.numbers.insert(name.into(), group);
        Some(group)
    }

    /// Ends a pass. Forgets groups without keys and, if there is no room for another group, the
    /// smaller half. A new group then gets a place in the next pass.
    pub fn end_pass(&mut self) {
        let mut weights: BTreeMap<NamespaceId, f64> = BTreeMap::new();
        for (_, window) in self.windows.iter() {
            for (group, tally) in window.totals() {
                *weights.entry(group).or_default() += float(tally.keys);
            }
        }
        let known: Vec<(NamespaceId, f64)> = self
            .names
            .keys()
            .map(|group| (*group, weights.get(group).copied().unwrap_or(0.0)))
            .collect();
        let is_full = known.len() >= self.candidates_max();
        let room = if is_full {
            known.len() / 2
        } else {
            known.len()
        };
        let kept = largest(&known, room);
        self.names.retain(|group, _| kept.contains(group));
        let names = &self.names;
        self.numbers.retain(|_, group| names.contains_key(group));
    }

    /// Returns the groups of a database; `None` until an estimate is possible.
    #[must_use]
    pub fn estimate(&self, database: u32, about: Database) -> Option<DatabaseGroups> {
        let (_, window) = self
            .windows
            .iter()
            .find(|(number, _)| *number == database)?;
        let totals = window.totals();
        let (distinct, shown) = self.shown(&totals);
        let estimates = estimate(window, about, &shown);
        if estimates.is_empty() && !shown.is_empty() {
            return None;
        }
        let overflow = estimates
            .iter()
            .find(|estimate| estimate.namespace == NamespaceId::OTHER);
        let without_place = overflow.map_or(0, |_| without_place(&totals, about.keys));
        let shown = estimates.into_iter().map(|estimate| GroupEstimate {
            name: self.name(estimate.namespace).to_owned(),
            keys: estimate.keys,
            memory: estimate.memory,
        });
        Some(DatabaseGroups {
            distinct,
            without_place,
            shown: shown.collect(),
        })
    }

    /// Returns the number of groups with keys, and the exported ones: the largest by memory, then
    /// by keys, then by name.
    fn shown(&self, totals: &Tallies) -> (usize, Vec<NamespaceId>) {
        let known = totals.iter().filter(|(group, tally)| {
            let is_named = **group == UNCLASSIFIED || self.names.contains_key(group);
            is_named && tally.keys > 0
        });
        let mut known: Vec<_> = known
            .map(|(group, tally)| {
                // Memory is measured for a share of the keys, so the mean is scaled to all keys.
                let sizes = &tally.memory;
                let memory = (sizes.sum * u128::from(tally.keys))
                    .checked_div(u128::from(sizes.count))
                    .unwrap_or(0);
                (
                    std::cmp::Reverse((memory, tally.keys)),
                    self.name(*group),
                    *group,
                )
            })
            .collect();
        known.sort_unstable();
        let distinct = known.len();
        let shown = known.into_iter().take(self.max).map(|(_, _, group)| group);
        (distinct, shown.collect())
    }

    fn name(&self, group: NamespaceId) -> &str {
        match group {
            NamespaceId::OTHER => OVERFLOW_NAME,
            UNCLASSIFIED => UNCLASSIFIED_NAME,
            group => self.names.get(&group).map_or(OVERFLOW_NAME, String::as_str),
        }
    }
}

/// Returns the number of keys in `overflow` for lack of room, scaled to all keys of the database.
fn without_place(totals: &Tallies, population: u64) -> u64 {
    let seen: u128 = totals.values().map(|tally| u128::from(tally.keys)).sum();
    let folded: u128 = totals.values().map(|tally| u128::from(tally.folded)).sum();
    let scaled = (folded * u128::from(population)).checked_div(seen);
    u64::try_from(scaled.unwrap_or(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(expressions: &[&str], max: usize, keys: &[(&str, u64)]) -> Groups {
        let expressions = expressions
            .iter()
            .map(|text| Expression::new(text).unwrap());
        let expressions: Vec<_> = expressions.collect();
        let mut groups = Groups::new(&expressions, max);
        scan(&mut groups, keys);
        groups
    }

    fn scan(groups: &mut Groups, keys: &[(&str, u64)]) {
        groups.windows.window(0, 1).open(0, 0.0);
        for (key, bytes) in keys {
            groups.see(0, key.as_bytes(), Some(*bytes));
        }
        groups.windows.window(0, 1).close(0.0);
    }

    fn found(groups: &Groups, keys: u64) -> (usize, u64, Vec<(String, u64, u64)>) {
        let about = Database {
            keys,
            sweep_is_uniform: true,
        };
        let found = groups.estimate(0, about).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let whole = |estimate: Estimate| estimate.value as u64;
        let mut shown: Vec<_> = found
            .shown
            .into_iter()
            .map(|group| (group.name, whole(group.keys), group.memory.map_or(0, whole)))
            .collect();
        shown.sort();
        (found.distinct, found.without_place, shown)
    }

    fn owned(groups: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        groups
            .iter()
            .map(|(name, keys, bytes)| ((*name).to_owned(), *keys, *bytes))
            .collect()
    }

    #[test]
    fn captures_of_the_first_match_name_the_key_group() {
        let groups = scanned(
            &["^(user|cart):\\d+(:x)?", "^(u)", "^()empty"],
            100,
            &[
                ("user:1", 10),
                ("user:2:x", 20),
                ("cart:1", 30),
                ("up", 40),
                ("nothing", 50),
                ("empty", 5),
            ],
        );
        let expected = owned(&[
            ("", 1, 5),
            ("cart", 1, 30),
            ("u", 1, 40),
            ("unclassified", 1, 50),
            ("user", 1, 10),
            ("user:x", 1, 20),
        ]);
        assert_eq!(found(&groups, 6), (6, 0, expected));
    }

    #[test]
    fn largest_by_memory_are_exported_and_the_rest_overflows() {
        let keys = [("a:1", 1), ("a:2", 1), ("b:1", 50), ("c:1", 9), ("-", 70)];
        let groups = scanned(&["^([a-z]):"], 2, &keys);
        let expected = owned(&[("b", 1, 50), ("overflow", 3, 11), ("unclassified", 1, 70)]);
        assert_eq!(found(&groups, 5), (4, 0, expected));
    }

    #[test]
    fn keys_without_room_for_their_group_are_counted() {
        let keys = ["a:", "b:", "c:", "d:", "e:", "f:"].map(|key| (key, 10));
        let mut groups = scanned(&["^(.):"], 1, &keys);
        let (distinct, without_place, shown) = found(&groups, 6);
        assert_eq!((distinct, without_place), (4, 2));
        assert_eq!(shown, owned(&[("a", 1, 10), ("overflow", 5, 50)]));
        groups.end_pass();
        scan(&mut groups, &[("e:", 90), ("e:", 90), ("a:", 1)]);
        assert_eq!(
            found(&groups, 3),
            (2, 0, owned(&[("e", 2, 180), ("overflow", 1, 1)]))
        );
    }

    #[test]
    fn captured_reserved_names_join_the_reserved_groups() {
        let groups = scanned(
            &["^(.*):"],
            9,
            &[("unclassified:", 1), ("overflow:", 2), ("-", 4)],
        );
        let expected = owned(&[("overflow", 1, 2), ("unclassified", 2, 5)]);
        assert_eq!(found(&groups, 3), (1, 0, expected));
    }

    #[test]
    fn too_long_name_overflows() {
        let long = format!("{}:", "x".repeat(129));
        let groups = scanned(&["^(.*):"], 9, &[(&long, 1)]);
        assert_eq!(found(&groups, 1), (0, 1, owned(&[("overflow", 1, 1)])));
    }

    #[test]
    fn any_bytes_give_a_valid_label() {
        let mut groups = scanned(&["(?s-u)^(.*):"], 9, &[]);
        groups.windows.window(0, 1).open(0, 0.0);
        groups.see(0, b"\xff:1", Some(1));
        groups.windows.window(0, 1).close(0.0);
        assert_eq!(found(&groups, 1), (1, 0, owned(&[("\\xff", 1, 1)])));
    }
}
