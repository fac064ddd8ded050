//! Assigns keys to namespaces: the first declared one that matches or, if none is declared, the
//! prefix before the first delimiter. Its only counter is that of folded keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::NamespaceId;
use crate::config::Namespace;
use crate::label::{OTHER, label_text};
use crate::pattern::Pattern;

/// Number of tracked namespaces for each exported one: the largest are known only after many keys.
const CANDIDATES_PER_GROUP: usize = 10;

/// Maximum length of a prefix, in bytes. Keys can have 512 MB.
const LONGEST_PREFIX: usize = 128;

/// How keys are assigned to namespaces if none is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Delimiter after the name of a namespace. If it is empty, all keys are in `other`.
    pub delimiter: Vec<u8>,
    /// Maximum number of exported namespaces besides `other`. Ten times as many are tracked.
    pub namespaces_max: usize,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            delimiter: b":".to_vec(),
            namespaces_max: 100,
        }
    }
}

/// Assigns keys to namespaces.
#[derive(Debug)]
pub struct Matcher(Classifier);

#[derive(Debug)]
enum Classifier {
    Declared(Rules),
    Prefixes(Prefixes),
}

/// The declared namespaces, in their order.
#[derive(Debug)]
struct Rules {
    all: Vec<Rule>,
    /// Indexes of the rules that can match a key with this first byte. Most patterns start with a
    /// word, so most keys are compared with very few rules.
    by_first_byte: BTreeMap<u8, Vec<usize>>,
    /// Indexes of the rules that can match a key with any other first byte.
    for_other_bytes: Vec<usize>,
}

impl Rules {
    fn new(all: Vec<Rule>) -> Self {
        let places = |byte: Option<u8>| -> Vec<usize> {
            let possible = all.iter().enumerate().filter(|(_, rule)| {
                let first = rule.pattern.first_byte();
                first.is_none() || first == byte
            });
            possible.map(|(place, _)| place).collect()
        };
        let first_bytes = all.iter().filter_map(|rule| rule.pattern.first_byte());
        let first_bytes: BTreeSet<u8> = first_bytes.collect();
        let by_first_byte = first_bytes
            .into_iter()
            .map(|byte| (byte, places(Some(byte))));
        Self {
            by_first_byte: by_first_byte.collect(),
            for_other_bytes: places(None),
            all,
        }
    }

    fn classify(&self, database: u32, key: &[u8]) -> NamespaceId {
        let matches = |rule: &&Rule| {
            rule.database.is_none_or(|only| only == database) && rule.pattern.matches(key)
        };
        let found = match key.first() {
            Some(first) => {
                let places = self.by_first_byte.get(first);
                let places = places.unwrap_or(&self.for_other_bytes).iter();
                places
                    .filter_map(|place| self.all.get(*place))
                    .find(matches)
            }
            None => self.all.iter().find(matches),
        };
        found.map_or(NamespaceId::OTHER, |rule| rule.namespace)
    }
}

#[derive(Debug)]
struct Rule {
    name: String,
    database: Option<u32>,
    pattern: Pattern,
    namespace: NamespaceId,
}

/// The prefixes seen. Clients that write keys choose them, so their number is capped, and the
/// standard library's seeded hashing is used.
#[derive(Debug)]
struct Prefixes {
    delimiter: Vec<u8>,
    candidates_max: usize,
    namespaces: HashMap<Box<[u8]>, NamespaceId>,
    names: BTreeMap<NamespaceId, String>,
    /// The number of the next namespace.
    next: u32,
    folded_keys: u64,
}

impl Prefixes {
    fn new(grouping: Grouping) -> Self {
        Self {
            delimiter: grouping.delimiter,
            candidates_max: grouping.namespaces_max.saturating_mul(CANDIDATES_PER_GROUP),
            namespaces: HashMap::new(),
            names: BTreeMap::new(),
            next: NamespaceId::OTHER.0 + 1,
            folded_keys: 0,
        }
    }

    fn classify(&mut self, key: &[u8]) -> NamespaceId {
        match prefix(key, &self.delimiter) {
            Prefix::None => return NamespaceId::OTHER,
            Prefix::TooLong => {}
            Prefix::Name(name) => {
                if let Some(namespace) = self.namespaces.get(name) {
                    return *namespace;
                }
                if let Some(namespace) = self.admit(name) {
                    return namespace;
                }
            }
        }
        self.folded_keys += 1;
        NamespaceId::OTHER
    }

    fn known(&self, key: &[u8]) -> NamespaceId {
        let known = match prefix(key, &self.delimiter) {
            Prefix::None | Prefix::TooLong => None,
            Prefix::Name(name) => self.namespaces.get(name),
        };
        known.copied().unwrap_or(NamespaceId::OTHER)
    }

    /// Adds a namespace if there is room for it.
    fn admit(&mut self, name: &[u8]) -> Option<NamespaceId> {
        let after = self.next.checked_add(1)?;
        if self.namespaces.len() >= self.candidates_max {
            return None;
        }
        let namespace = NamespaceId(self.next);
        self.next = after;
        self.namespaces.insert(name.into(), namespace);
        self.names.insert(namespace, label_text(name));
        Some(namespace)
    }

    fn forget(&mut self, namespaces: &[NamespaceId]) {
        for namespace in namespaces {
            self.names.remove(namespace);
        }
        let names = &self.names;
        self.namespaces
            .retain(|_, namespace| names.contains_key(namespace));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Prefix<'a> {
    None,
    TooLong,
    Name(&'a [u8]),
}

/// Returns the prefix before the delimiter. An empty prefix would be a missing label, and `other`
/// is the name for the remaining keys, so neither is a namespace of its own.
fn prefix<'a>(key: &'a [u8], delimiter: &[u8]) -> Prefix<'a> {
    if delimiter.is_empty() {
        return Prefix::None;
    }
    let at = if let [byte] = delimiter {
        key.iter().position(|letter| letter == byte)
    } else {
        key.windows(delimiter.len())
            .position(|window| window == delimiter)
    };
    let name = at.and_then(|at| key.get(..at)).unwrap_or_default();
    match name.len() {
        _ if name.is_empty() || name == OTHER.as_bytes() => Prefix::None,
        length if length > LONGEST_PREFIX => Prefix::TooLong,
        _ => Prefix::Name(name),
    }
}

/// Returns the beginning of a key up to its first delimiter, if it names a namespace.
#[must_use]
pub fn stem<'a>(key: &'a [u8], delimiter: &[u8]) -> Option<&'a [u8]> {
    match prefix(key, delimiter) {
        Prefix::None | Prefix::TooLong => None,
        Prefix::Name(name) => key.get(..name.len() + delimiter.len()),
    }
}

impl Matcher {
    /// Returns a matcher for the declared namespaces, in their order. If there are none, `grouping`
    /// applies.
    #[must_use]
    pub fn new(namespaces: &[Namespace], grouping: Grouping) -> Self {
        if namespaces.is_empty() {
            return Self(Classifier::Prefixes(Prefixes::new(grouping)));
        }
        let rules = namespaces.iter().zip(NamespaceId::OTHER.0 + 1..);
        let rules = rules.map(|(namespace, number)| Rule {
            name: namespace.name.clone(),
            database: namespace.database,
            pattern: namespace.pattern.clone(),
            namespace: NamespaceId(number),
        });
        Self(Classifier::Declared(Rules::new(rules.collect())))
    }

    /// Returns the namespace of a key. The first declared namespace that matches wins.
    ///
    /// Without declared namespaces, the namespace is the prefix before the first delimiter. Keys
    /// without a delimiter, keys that start with it, and keys with the prefix `other` are in
    /// `other`. Keys whose prefix exceeds 128 bytes, or was new when there was no room, are folded
    /// into `other`.
    pub fn classify(&mut self, database: u32, key: &[u8]) -> NamespaceId {
        match &mut self.0 {
            Classifier::Declared(rules) => rules.classify(database, key),
            Classifier::Prefixes(prefixes) => prefixes.classify(key),
        }
    }

    /// Returns the namespace of a name that may not be that of a key. Unlike [`Self::classify`], it
    /// adds no namespace: a name with a new prefix is in `other`.
    #[must_use]
    pub fn known(&self, database: u32, key: &[u8]) -> NamespaceId {
        match &self.0 {
            Classifier::Declared(rules) => rules.classify(database, key),
            Classifier::Prefixes(prefixes) => prefixes.known(key),
        }
    }

    /// Returns the name of a namespace, valid as a label. No two namespaces share a name. An
    /// unknown namespace, such as a forgotten one, is `other`.
    #[must_use]
    pub fn name(&self, namespace: NamespaceId) -> &str {
        let name = match &self.0 {
            Classifier::Declared(rules) => rules
                .all
                .iter()
                .find(|rule| rule.namespace == namespace)
                .map(|rule| &rule.name),
            Classifier::Prefixes(prefixes) => prefixes.names.get(&namespace),
        };
        name.map_or(OTHER, String::as_str)
    }

    /// Returns all known namespaces: `other`, then the rest in the order in which they were
    /// declared or seen.
    pub fn namespaces(&self) -> impl Iterator<Item = NamespaceId> {
        let (rules, prefixes) = match &self.0 {
            Classifier::Declared(rules) => (Some(&rules.all), None),
            Classifier::Prefixes(prefixes) => (None, Some(prefixes)),
        };
        let declared = rules.into_iter().flatten().map(|rule| rule.namespace);
        let seen = prefixes
            .into_iter()
            .flat_map(|prefixes| prefixes.names.keys().copied());
        std::iter::once(NamespaceId::OTHER)
            .chain(declared)
            .chain(seen)
    }

    /// Returns how many classified keys with a prefix are in `other`, because there was no room or
    /// the prefix was too long. The number only increases.
    #[must_use]
    pub fn folded_keys(&self) -> u64 {
        match &self.0 {
            Classifier::Declared(_) => 0,
            Classifier::Prefixes(prefixes) => prefixes.folded_keys,
        }
    }

    /// Forgets namespaces without keys and, if there is no room for another namespace, the smaller
    /// half. Call it after each pass, so that a new namespace gets a place in the next pass.
    /// Declared namespaces are never forgotten.
    ///
    /// Returns the forgotten namespaces. Their counts now belong to `other`.
    pub fn forget_small(&mut self, weight: &dyn Fn(NamespaceId) -> f64) -> Vec<NamespaceId> {
        let Classifier::Prefixes(prefixes) = &mut self.0 else {
            return Vec::new();
        };
        let known = prefixes.names.keys();
        let weights: Vec<(NamespaceId, f64)> = known
            .map(|namespace| (*namespace, weight(*namespace)))
            .collect();
        let full = weights.len() >= prefixes.candidates_max;
        let room = if full {
            weights.len() / 2
        } else {
            weights.len()
        };
        let kept: BTreeSet<NamespaceId> = largest(&weights, room).into_iter().collect();
        let forgotten: Vec<NamespaceId> = weights
            .iter()
            .map(|(namespace, _)| *namespace)
            .filter(|namespace| !kept.contains(namespace))
            .collect();
        prefixes.forget(&forgotten);
        forgotten
    }
}

/// Returns up to `max` namespaces with the largest weights, largest first. The one known first wins
/// a tie. Omits `other` and weights that are not above zero.
#[must_use]
pub fn largest(weights: &[(NamespaceId, f64)], max: usize) -> Vec<NamespaceId> {
    let mut sorted: Vec<(NamespaceId, f64)> = weights
        .iter()
        .copied()
        .filter(|(namespace, weight)| *namespace != NamespaceId::OTHER && *weight > 0.0)
        .collect();
    sorted.sort_by(|(namespace, weight), (other, other_weight)| {
        other_weight.total_cmp(weight).then(namespace.cmp(other))
    });
    sorted
        .into_iter()
        .take(max)
        .map(|(namespace, _)| namespace)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::TtlPolicy;

    fn namespace(name: &str, pattern: Pattern, database: Option<u32>) -> Namespace {
        Namespace {
            name: name.to_owned(),
            pattern,
            database,
            ttl: TtlPolicy::default(),
            memory_quota: None,
            on_eviction: None,
        }
    }

    fn glob(name: &str, pattern: &str) -> Namespace {
        namespace(name, Pattern::glob(pattern), None)
    }

    fn declared(namespaces: &[Namespace]) -> Matcher {
        Matcher::new(namespaces, Grouping::default())
    }

    fn by_prefix(namespaces_max: usize) -> Matcher {
        let grouping = Grouping {
            namespaces_max,
            ..Grouping::default()
        };
        Matcher::new(&[], grouping)
    }

    fn name_of(matcher: &mut Matcher, key: &[u8]) -> String {
        let namespace = matcher.classify(0, key);
        matcher.name(namespace).to_owned()
    }

    #[test]
    fn the_first_match_wins() {
        let mut matcher = declared(&[
            glob("admins", "session:admin:*"),
            glob("session", "session:*"),
        ]);
        assert_eq!(name_of(&mut matcher, b"session:admin:1"), "admins");
        assert_eq!(name_of(&mut matcher, b"session:1"), "session");
        assert_eq!(matcher.classify(0, b"cache:1"), NamespaceId::OTHER);
        let mut turned = declared(&[
            glob("session", "session:*"),
            glob("admins", "session:admin:*"),
        ]);
        assert_eq!(name_of(&mut turned, b"session:admin:1"), "session");
    }

    #[test]
    fn known_prefixes_are_found_and_new_ones_are_not_added() {
        let mut matcher = by_prefix(1);
        let session = matcher.classify(0, b"session:1");
        assert_eq!(matcher.known(0, b"session:2"), session);
        for number in 0..20 {
            let key = format!("{number}:1");
            assert_eq!(matcher.known(0, key.as_bytes()), NamespaceId::OTHER);
        }
        assert_eq!(matcher.namespaces().count(), 2);
        assert_eq!(name_of(&mut matcher, b"cache:1"), "cache");
        assert_eq!(matcher.folded_keys(), 0);
        let only = namespace("only", Pattern::glob("a:*"), Some(3));
        let matcher = declared(&[only]);
        assert_eq!(matcher.name(matcher.known(3, b"a:1")), "only");
        assert_eq!(matcher.name(matcher.known(0, b"a:1")), OTHER);
    }

    #[test]
    fn order_applies_across_first_bytes() {
        let regex = Pattern::regex("^b:9").unwrap();
        let mut matcher = declared(&[
            glob("a", "a:*"),
            namespace("nine", regex, None),
            glob("tail", "*:tail"),
            glob("b", "b:*"),
            glob("all", "*"),
        ]);
        for (key, name) in [
            ("a:tail", "a"),
            ("b:9:tail", "nine"),
            ("b:tail", "tail"),
            ("b:1", "b"),
            ("", "all"),
            ("c", "all"),
        ] {
            assert_eq!(name_of(&mut matcher, key.as_bytes()), name, "{key}");
        }
    }

    #[test]
    fn namespace_can_be_limited_to_a_database() {
        let only = Pattern::glob("a:*");
        let mut matcher = declared(&[namespace("two", only, Some(2)), glob("any", "a:*")]);
        let names = [0, 2, 3].map(|database| {
            let namespace = matcher.classify(database, b"a:1");
            matcher.name(namespace).to_owned()
        });
        assert_eq!(names, ["any", "two", "any"]);
    }

    #[test]
    fn regex_matches_anywhere_and_any_bytes() {
        let pattern = Pattern::regex("[0-9]+:(?-u:\\xff)").unwrap();
        let mut matcher = declared(&[namespace("numbers", pattern, None)]);
        assert_eq!(name_of(&mut matcher, b"a\xfe12:\xff"), "numbers");
        assert_eq!(name_of(&mut matcher, b"a12:b"), "other");
    }

    #[test]
    fn declared_namespaces_exist_before_any_key() {
        let mut matcher = declared(&[glob("a", "a:*"), glob("b", "b:*")]);
        let names: Vec<&str> = matcher
            .namespaces()
            .map(|namespace| matcher.name(namespace))
            .collect();
        assert_eq!(names, ["other", "a", "b"]);
        assert_eq!(matcher.forget_small(&|_| 0.0), []);
        assert_eq!(matcher.namespaces().count(), 3);
        assert_eq!(matcher.folded_keys(), 0);
    }

    #[test]
    fn prefix_is_the_namespace_if_none_is_declared() {
        let mut matcher = by_prefix(10);
        assert_eq!(name_of(&mut matcher, b"session:1:2"), "session");
        assert_eq!(name_of(&mut matcher, b"session:2"), "session");
        assert_eq!(name_of(&mut matcher, b"a\xff\\:2"), "a\\xff\\x5c");
        assert_eq!(matcher.namespaces().count(), 3);
        assert_eq!(
            matcher.classify(0, b"session:1"),
            matcher.classify(7, b"session:9")
        );
    }

    #[test]
    fn keys_without_a_prefix_are_in_other_but_not_folded() {
        let mut matcher = by_prefix(10);
        for key in [&b""[..], b"session", b":session", b"other:1", b"other"] {
            assert_eq!(matcher.classify(0, key), NamespaceId::OTHER, "{key:?}");
        }
        assert_eq!(matcher.folded_keys(), 0);
        assert_eq!(matcher.namespaces().count(), 1);
    }

    #[test]
    fn delimiter_can_be_long_or_empty() {
        let with = |delimiter: &[u8]| {
            let grouping = Grouping {
                delimiter: delimiter.to_vec(),
                namespaces_max: 10,
            };
            Matcher::new(&[], grouping)
        };
        assert_eq!(name_of(&mut with(b"::"), b"a:b::c"), "a:b");
        assert_eq!(name_of(&mut with(b"::"), b"a:b"), "other");
        assert_eq!(name_of(&mut with(b""), b"a:b"), "other");
    }

    #[test]
    fn excess_and_too_long_prefixes_are_folded() {
        let mut matcher = by_prefix(2);
        for number in 0..25 {
            matcher.classify(0, format!("{number}:x").as_bytes());
        }
        assert_eq!(matcher.namespaces().count(), 1 + 20);
        assert_eq!(matcher.folded_keys(), 5);
        assert_eq!(name_of(&mut matcher, b"19:y"), "19");
        assert_eq!(name_of(&mut matcher, b"20:y"), "other");

        let mut matcher = by_prefix(2);
        let longest = [b'a'; LONGEST_PREFIX];
        assert_ne!(
            matcher.classify(0, &[&longest[..], b":"].concat()),
            NamespaceId::OTHER
        );
        assert_eq!(
            matcher.classify(0, &[&longest[..], b"a:"].concat()),
            NamespaceId::OTHER
        );
        assert_eq!(matcher.folded_keys(), 1);
    }

    #[test]
    fn late_namespace_replaces_a_small_one() {
        let mut matcher = by_prefix(1);
        let early: Vec<NamespaceId> = (0..10)
            .map(|number| matcher.classify(0, format!("{number}:x").as_bytes()))
            .collect();
        assert_eq!(name_of(&mut matcher, b"late:x"), "other");
        let forgotten = matcher.forget_small(&|namespace| f64::from(namespace.0));
        assert_eq!(forgotten, early[..5]);
        assert_eq!(matcher.name(early[0]), "other");
        assert_eq!(matcher.name(early[9]), "9");
        let late = matcher.classify(0, b"late:x");
        assert_eq!(matcher.name(late), "late");
        assert!(!early.contains(&late), "a number was reused");
        assert_ne!(matcher.classify(0, b"0:x"), early[0]);
    }

    #[test]
    fn with_room_only_empty_namespaces_are_forgotten() {
        let mut matcher = by_prefix(10);
        let kept = matcher.classify(0, b"a:1");
        let empty = matcher.classify(0, b"b:1");
        let unknown = matcher.classify(0, b"c:1");
        let weight = |namespace| match namespace {
            namespace if namespace == kept => 0.5,
            namespace if namespace == unknown => f64::NAN,
            _ => 0.0,
        };
        assert_eq!(matcher.forget_small(&weight), [empty, unknown]);
        assert_eq!(
            matcher.namespaces().collect::<Vec<_>>(),
            [NamespaceId::OTHER, kept]
        );
    }

    #[test]
    fn largest_excludes_other() {
        let weights = [
            (NamespaceId::OTHER, 9.0),
            (NamespaceId(1), 1.0),
            (NamespaceId(2), 3.0),
            (NamespaceId(3), 1.0),
            (NamespaceId(4), 0.0),
            (NamespaceId(5), f64::NAN),
        ];
        assert_eq!(largest(&weights, 2), [NamespaceId(2), NamespaceId(1)]);
        assert_eq!(
            largest(&weights, 9),
            [NamespaceId(2), NamespaceId(1), NamespaceId(3)]
        );
        assert_eq!(largest(&weights, 0), []);
    }

    proptest! {
        #[test]
        fn any_keys_give_few_namespaces_with_unique_names(
            keys in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![any::<u8>(), Just(b':')], 0..6),
                0..200,
            ),
        ) {
            let mut matcher = by_prefix(5);
            for key in &keys {
                let namespace = matcher.classify(0, key);
                prop_assert!(matcher.namespaces().any(|known| known == namespace));
            }
            let namespaces: Vec<NamespaceId> = matcher.namespaces().collect();
            let names: BTreeSet<&str> = namespaces.iter().map(|namespace| matcher.name(*namespace)).collect();
            prop_assert_eq!(names.len(), namespaces.len());
            prop_assert!(namespaces.len() <= 51);
            prop_assert!(!names.contains(""));
        }
    }
}
