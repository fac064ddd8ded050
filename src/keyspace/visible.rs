//! Chooses which namespaces have their own series if no namespace is declared. Pure.
//!
//! A prefix may be an ID, such as that of a user. Each pass then finds new ones, and the number of
//! series would grow without limit. A namespace is exported once it has a large share of the keys,
//! or a small share for several passes. It stays exported until it is empty, and the number of
//! names per day is bounded.

use std::collections::{BTreeMap, HashMap};

use super::NamespaceId;

/// A namespace with this share of all keys is exported at once.
pub const LARGE_SHARE: f64 = 0.01;

/// A namespace with this share of all keys is exported after [`PASSES`] passes.
pub const SMALL_SHARE: f64 = 0.001;

/// Minimum number of keys from which a share is significant.
pub const KEYS_MIN: f64 = 10.0;

/// Up to this many namespaces, each with a large share is exported after one pass.
pub const FEW: usize = 20;

/// Consecutive passes in which a small namespace must be seen to be exported, or be empty to be
/// hidden.
pub const PASSES: u32 = 3;

/// Maximum number of names exported in a day, for each namespace that may be exported at a time.
pub const NAMES_PER_NAMESPACE: usize = 2;

/// Seconds for which a name counts.
const DAY: f64 = 86_400.0;

/// The exported namespaces.
#[derive(Debug)]
pub struct Visible {
    most: usize,
    /// Exported namespaces, with the number of consecutive passes in which they were empty.
    shown: BTreeMap<NamespaceId, u32>,
    /// Consecutive passes in which a hidden namespace had a small share.
    seen: BTreeMap<NamespaceId, u32>,
    /// Time when each name was last exported.
    names: HashMap<String, f64>,
    hidden: usize,
}

/// The state when the namespaces are chosen.
pub struct NamespaceSizes<'a> {
    /// Keys of each namespace, including [`NamespaceId::OTHER`].
    pub keys: &'a BTreeMap<NamespaceId, f64>,
    /// Function that returns the name of a namespace.
    pub name: &'a dyn Fn(NamespaceId) -> String,
    /// Current time in seconds.
    pub now: f64,
}

impl NamespaceSizes<'_> {
    fn of(&self, namespace: NamespaceId) -> f64 {
        self.keys.get(&namespace).copied().unwrap_or(0.0)
    }
}

impl Visible {
    /// Returns a selection of at most `most` namespaces at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            shown: BTreeMap::new(),
            seen: BTreeMap::new(),
            names: HashMap::new(),
            hidden: 0,
        }
    }

    /// Returns whether a namespace is exported.
    #[must_use]
    pub fn has(&self, namespace: NamespaceId) -> bool {
        self.shown.contains_key(&namespace)
    }

    /// Returns the exported namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = NamespaceId> {
        self.shown.keys().copied()
    }

    /// Returns how many namespaces with keys are not exported.
    #[must_use]
    pub const fn hidden(&self) -> usize {
        self.hidden
    }

    /// Exports the namespaces with a large share. Call it at any time.
    pub fn update(&mut self, known: &NamespaceSizes<'_>) {
        self.choose(known, |_| false);
    }

    /// Exports namespaces that were seen for several passes, and hides those that were empty for as
    /// many. Call it at the end of a pass.
    pub fn end_pass(&mut self, known: &NamespaceSizes<'_>) {
        self.shown.retain(|namespace, empty| {
            *empty = if known.of(*namespace) > 0.0 {
                0
            } else {
                *empty + 1
            };
            *empty < PASSES
        });
        let total: f64 = known.keys.values().sum();
        let is_seen = |keys: f64| {
            keys >= total * LARGE_SHARE || (keys >= KEYS_MIN && keys >= total * SMALL_SHARE)
        };
        let before = std::mem::take(&mut self.seen);
        let hidden = known
            .keys
            .iter()
            .filter(|(namespace, _)| !self.has(**namespace));
        let seen = hidden.filter(|(_, keys)| **keys > 0.0 && is_seen(**keys));
        let seen: BTreeMap<NamespaceId, u32> = seen
            .map(|(namespace, _)| (*namespace, before.get(namespace).copied().unwrap_or(0) + 1))
            .collect();
        let namespaces = known.keys.iter().filter(|(_, keys)| **keys > 0.0).count();
        let are_few = namespaces <= FEW;
        self.choose(known, |namespace| {
            let passes = seen.get(&namespace).copied().unwrap_or(0);
            passes >= PASSES || (are_few && known.of(namespace) >= total * LARGE_SHARE)
        });
        self.seen = seen;
    }

    fn choose(&mut self, known: &NamespaceSizes<'_>, has_survived: impl Fn(NamespaceId) -> bool) {
        self.names.retain(|_, shown| known.now - *shown < DAY);
        let total: f64 = known.keys.values().sum();
        let is_large = |keys: f64| keys >= KEYS_MIN && keys >= total * LARGE_SHARE;
        let mut candidates: Vec<(NamespaceId, f64)> = known
            .keys
            .iter()
            .map(|(namespace, keys)| (*namespace, *keys))
            .filter(|(namespace, keys)| {
                *namespace != NamespaceId::OTHER && !self.has(*namespace) && *keys > 0.0
            })
            .collect();
        let found = candidates.len();
        candidates.retain(|(namespace, keys)| is_large(*keys) || has_survived(*namespace));
        candidates.sort_by(|(namespace, keys), (other, others)| {
            others.total_cmp(keys).then(namespace.cmp(other))
        });
        let mut added = 0;
        for (namespace, keys) in candidates {
            let name = (known.name)(namespace);
            if self.may_name(&name) && self.has_room(known, keys, total) {
                self.shown.insert(namespace, 0);
                self.names.insert(name, known.now);
                added += 1;
            }
        }
        self.hidden = found - added;
        for namespace in self.shown.keys() {
            self.names.insert((known.name)(*namespace), known.now);
        }
    }

    /// Returns whether a name is within the limit of the day.
    fn may_name(&self, name: &str) -> bool {
        let most = self.most.saturating_mul(NAMES_PER_NAMESPACE);
        self.names.contains_key(name) || self.names.len() < most
    }

    /// Returns whether there is room for a namespace with these keys. A large namespace replaces
    /// the smallest, if the smallest has no large share and less than half as many keys.
    fn has_room(&mut self, known: &NamespaceSizes<'_>, keys: f64, total: f64) -> bool {
        if self.shown.len() < self.most {
            return true;
        }
        let sizes = self
            .shown
            .keys()
            .map(|namespace| (*namespace, known.of(*namespace)));
        let smallest = sizes.min_by(|(_, one), (_, other)| one.total_cmp(other));
        let goes =
            |(_, size): &(NamespaceId, f64)| *size < total * LARGE_SHARE && *size * 2.0 < keys;
        match smallest.filter(goes) {
            Some((namespace, _)) => self.shown.remove(&namespace).is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Duration of one pass, in seconds.
    const PASS: f64 = 60.0;

    /// The exported names of a simulation.
    struct World {
        visible: Visible,
        /// The number of each name so far, and the names in the order of their numbers.
        numbers: HashMap<String, u32>,
        names: Vec<String>,
        now: f64,
        ever: BTreeSet<String>,
        /// Number of times a name appeared or disappeared.
        changes: usize,
    }

    impl World {
        fn new(most: usize) -> Self {
            Self {
                visible: Visible::new(most),
                numbers: HashMap::new(),
                names: Vec::new(),
                now: 0.0,
                ever: BTreeSet::new(),
                changes: 0,
            }
        }

        fn shown(&self) -> BTreeSet<String> {
            let shown = self.visible.namespaces();
            shown
                .map(|namespace| self.names[namespace.0 as usize - 1].clone())
                .collect()
        }

        /// Simulates one pass over keys of these names. Half of it is seen before its end.
        fn pass(&mut self, keys: &[(String, f64)]) {
            let before = self.shown();
            let mut counts = BTreeMap::new();
            for (name, keys) in keys {
                let number = self.numbers.entry(name.clone()).or_insert_with(|| {
                    self.names.push(name.clone());
                    u32::try_from(self.names.len()).unwrap()
                });
                counts.insert(NamespaceId(*number), *keys);
            }
            let names = &self.names;
            let name = |namespace: NamespaceId| names[namespace.0 as usize - 1].clone();
            let half = counts
                .iter()
                .map(|(namespace, keys)| (*namespace, *keys / 2.0));
            let half: BTreeMap<NamespaceId, f64> = half.collect();
            self.now += PASS / 2.0;
            let now = self.now;
            self.visible.update(&NamespaceSizes {
                keys: &half,
                name: &name,
                now,
            });
            self.now += PASS / 2.0;
            let now = self.now;
            self.visible.end_pass(&NamespaceSizes {
                keys: &counts,
                name: &name,
                now,
            });
            let after = self.shown();
            self.changes += before.symmetric_difference(&after).count();
            self.ever.extend(after);
        }
    }

    fn named(keys: &[(&str, f64)]) -> Vec<(String, f64)> {
        keys.iter()
            .map(|(name, keys)| ((*name).to_owned(), *keys))
            .collect()
    }

    #[test]
    fn words_are_exported_at_once_and_ids_never() {
        let mut world = World::new(100);
        let words = named(&[("cache", 3_000.0), ("rare", 30.0), ("job", 200.0)]);
        for pass in 0..6 * 60 {
            // A third of the IDs is new in each pass.
            let ids =
                (0..900).map(|id| (format!("id-{}", id + 300 * pass), 1.0 + f64::from(id % 3)));
            world.pass(&[words.clone(), ids.collect()].concat());
            let expected: &[&str] = if pass < 2 {
                &["cache", "job"]
            } else {
                &["cache", "job", "rare"]
            };
            assert!(world.shown().iter().eq(expected), "{:?}", world.shown());
            assert!(world.visible.hidden() >= 900);
        }
        assert_eq!(world.changes, 3);
    }

    #[test]
    fn shares_below_the_limits_stay_hidden() {
        let mut world = World::new(100);
        let fillers = (0..25).map(|filler| (format!("filler-{filler}"), 4_000.0));
        let fillers: Vec<_> = fillers.collect();
        let shares = [
            ("0.09", 90.0),
            ("0.12", 120.0),
            ("0.9", 900.0),
            ("1.2", 1_200.0),
        ];
        for pass in 1..=6 {
            world.pass(&[fillers.clone(), named(&shares)].concat());
            let has = shares.map(|(name, _)| world.shown().contains(name));
            let is_small_shown = pass >= 3;
            assert_eq!(has, [false, is_small_shown, is_small_shown, true], "{pass}");
        }
    }

    #[test]
    fn few_keys_stay_hidden_despite_their_share() {
        let mut world = World::new(100);
        let keys = named(&[("word", 5_000.0), ("nine", 9.0), ("ten", 10.0)]);
        (0..6).for_each(|_| world.pass(&keys));
        assert!(
            world.shown().iter().eq(["ten", "word"]),
            "{:?}",
            world.shown()
        );
    }

    #[test]
    fn few_permanent_ids_are_exported_without_churn() {
        let mut world = World::new(10);
        for _ in 0..200 {
            let users = (0..40).map(|user| (format!("user-{user}"), 1.0));
            world.pass(&users.collect::<Vec<_>>());
        }
        assert_eq!((world.shown().len(), world.changes), (10, 10));
    }

    #[test]
    fn names_of_a_changing_small_keyspace_are_bounded_per_day() {
        let mut world = World::new(10);
        // Each exists for four passes, so each could be exported.
        for pass in 0..1440 {
            let users = (0..40).map(|user| (format!("user-{}", user + 10 * pass), 1.0));
            world.pass(&users.collect::<Vec<_>>());
        }
        assert!(world.ever.len() <= 2 * 10, "{}", world.ever.len());
    }

    #[test]
    fn noise_hides_nothing_and_adds_only_existing_names() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut world = World::new(100);
        for _ in 0..500 {
            let zipf = (1..=300_u32).map(|rank| {
                let noise = random.f64().mul_add(0.4, 0.8);
                (
                    format!("word-{rank}"),
                    (20_000.0 / f64::from(rank) * noise).round(),
                )
            });
            world.pass(&zipf.collect::<Vec<_>>());
        }
        assert_eq!(world.changes, world.ever.len(), "a name disappeared");
        assert!(world.ever.contains("word-1") && world.ever.contains("word-50"));
    }

    #[test]
    fn renamed_prefix_replaces_the_old_one_at_once() {
        let mut world = World::new(100);
        for _ in 0..20 {
            world.pass(&named(&[("old", 5_000.0), ("cache", 5_000.0)]));
        }
        world.pass(&named(&[("new", 5_000.0), ("cache", 5_000.0)]));
        assert!(world.shown().iter().eq(["cache", "new", "old"]));
        for _ in 0..2 {
            world.pass(&named(&[("new", 5_000.0), ("cache", 5_000.0)]));
        }
        assert!(world.shown().iter().eq(["cache", "new"]));
        assert_eq!(world.changes, 4);
    }

    #[test]
    fn large_namespace_replaces_a_small_one() {
        let mut world = World::new(2);
        let small = [("a", 5_000.0), ("b", 20.0), ("c", 19.0)];
        for _ in 0..5 {
            world.pass(&named(&small));
        }
        assert!(world.shown().iter().eq(["a", "b"]));
        world.pass(&named(&[small[0], small[1], small[2], ("d", 900.0)]));
        assert!(world.shown().iter().eq(["a", "d"]));
    }

    proptest! {
        #[test]
        fn exported_names_are_bounded_at_any_time_and_per_day(
            most in 1_usize..6,
            passes in proptest::collection::vec(
                proptest::collection::vec((0_u32..40, 0_u32..500), 0..12), 1..60),
        ) {
            let mut world = World::new(most);
            for pass in passes {
                let keys: BTreeMap<String, f64> = pass
                    .iter()
                    .map(|(name, keys)| (name.to_string(), f64::from(*keys)))
                    .collect();
                world.pass(&keys.into_iter().collect::<Vec<_>>());
                prop_assert!(world.shown().len() <= most);
                prop_assert!(!world.visible.has(NamespaceId::OTHER));
            }
            prop_assert!(world.ever.len() <= most * NAMES_PER_NAMESPACE);
        }
    }
}
