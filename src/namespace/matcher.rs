//! Which group a key belongs to: the first declared namespace that matches, or, where none is
//! declared, what stands before the first delimiter. It counts nothing but what it folded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Group;
use crate::config::Namespace;
use crate::label::label_text;
use crate::pattern::Pattern;

/// The name of the group of all keys that have no group of their own.
const OTHER: &str = "other";

/// How many groups are told apart for each one that is shown: the largest are not known before
/// many keys were seen.
const CANDIDATES_PER_GROUP: usize = 10;

/// In bytes. Keys, and so their prefixes, can have 512 MB.
const LONGEST_PREFIX: usize = 128;

/// How keys are grouped where no namespace is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// What ends the name of a group. Where it is empty, all keys are in `other`.
    pub delimiter: Vec<u8>,
    /// How many groups are shown besides `other`. Ten times as many are told apart.
    pub groups_max: usize,
}

impl Default for Grouping {
    fn default() -> Self {
        Self {
            delimiter: b":".to_vec(),
            groups_max: 100,
        }
    }
}

/// Sorts keys into groups.
#[derive(Debug)]
pub struct Matcher(Kind);

#[derive(Debug)]
enum Kind {
    Declared(Rules),
    Prefixes(Prefixes),
}

/// The declared namespaces, in their order.
#[derive(Debug)]
struct Rules {
    all: Vec<Rule>,
    /// For each first byte of a key the places of those rules that can match such a key. Most
    /// patterns start with a word, and so most keys are tried against very few of them.
    by_first_byte: Vec<Vec<usize>>,
}

impl Rules {
    fn new(all: Vec<Rule>) -> Self {
        let places = |byte: u8| {
            let possible = all
                .iter()
                .enumerate()
                .filter(|(_, rule)| rule.pattern.first_byte().is_none_or(|first| first == byte));
            possible.map(|(place, _)| place).collect()
        };
        let by_first_byte = (0..=u8::MAX).map(places).collect();
        Self { all, by_first_byte }
    }

    fn classify(&self, database: u32, key: &[u8]) -> Group {
        let matches = |rule: &&Rule| {
            rule.database.is_none_or(|only| only == database) && rule.pattern.matches(key)
        };
        let places = key
            .first()
            .and_then(|first| self.by_first_byte.get(usize::from(*first)));
        let found = match places {
            Some(places) => places
                .iter()
                .filter_map(|place| self.all.get(*place))
                .find(matches),
            None => self.all.iter().find(matches),
        };
        found.map_or(Group::OTHER, |rule| rule.group)
    }
}

#[derive(Debug)]
struct Rule {
    name: String,
    database: Option<u32>,
    pattern: Pattern,
    group: Group,
}

/// The prefixes that were seen. Whoever writes keys chooses them, so their number is capped, and
/// the hashing is the seeded one of the standard library.
#[derive(Debug)]
struct Prefixes {
    delimiter: Vec<u8>,
    candidates_max: usize,
    groups: HashMap<Box<[u8]>, Group>,
    names: BTreeMap<Group, String>,
    /// The number of the next group.
    next: u32,
    folded_keys: u64,
}

impl Prefixes {
    fn new(grouping: Grouping) -> Self {
        Self {
            delimiter: grouping.delimiter,
            candidates_max: grouping.groups_max.saturating_mul(CANDIDATES_PER_GROUP),
            groups: HashMap::new(),
            names: BTreeMap::new(),
            next: Group::OTHER.0 + 1,
            folded_keys: 0,
        }
    }

    fn classify(&mut self, key: &[u8]) -> Group {
        match prefix(key, &self.delimiter) {
            Prefix::None => return Group::OTHER,
            Prefix::TooLong => {}
            Prefix::Name(name) => {
                if let Some(group) = self.groups.get(name) {
                    return *group;
                }
                if let Some(group) = self.admit(name) {
                    return group;
                }
            }
        }
        self.folded_keys += 1;
        Group::OTHER
    }

    /// A new group, if there is room for one.
    fn admit(&mut self, name: &[u8]) -> Option<Group> {
        let after = self.next.checked_add(1)?;
        if self.groups.len() >= self.candidates_max {
            return None;
        }
        let group = Group(self.next);
        self.next = after;
        self.groups.insert(name.into(), group);
        self.names.insert(group, label_text(name));
        Some(group)
    }

    fn forget(&mut self, groups: &[Group]) {
        for group in groups {
            self.names.remove(group);
        }
        let names = &self.names;
        self.groups.retain(|_, group| names.contains_key(group));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Prefix<'a> {
    None,
    TooLong,
    Name(&'a [u8]),
}

/// What stands before the delimiter. An empty name would be a label that is not there, and
/// `other` that of the rest, so neither is a group of its own.
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

impl Matcher {
    /// A matcher for the declared namespaces, in their order. Where there are none, `grouping`
    /// says how keys are grouped.
    #[must_use]
    pub fn new(namespaces: &[Namespace], grouping: Grouping) -> Self {
        if namespaces.is_empty() {
            return Self(Kind::Prefixes(Prefixes::new(grouping)));
        }
        let rules = namespaces.iter().zip(Group::OTHER.0 + 1..);
        let rules = rules.map(|(namespace, number)| Rule {
            name: namespace.name.clone(),
            database: namespace.database,
            pattern: namespace.pattern.clone(),
            group: Group(number),
        });
        Self(Kind::Declared(Rules::new(rules.collect())))
    }

    /// The group of a key. The first namespace that matches wins.
    ///
    /// Without declared namespaces the group is what stands before the first delimiter. In
    /// `other` are keys without a delimiter, keys that start with it, and those whose prefix is
    /// the word `other` itself; also, counted as folded, those whose prefix is longer than 128
    /// bytes or came when too many groups were known.
    pub fn classify(&mut self, database: u32, key: &[u8]) -> Group {
        match &mut self.0 {
            Kind::Declared(rules) => rules.classify(database, key),
            Kind::Prefixes(prefixes) => prefixes.classify(key),
        }
    }

    /// The name of a group, fit for a label. No two groups have one name. What is not known, as
    /// a group that was forgotten, is `other`.
    #[must_use]
    pub fn name(&self, group: Group) -> &str {
        let name = match &self.0 {
            Kind::Declared(rules) => rules
                .all
                .iter()
                .find(|rule| rule.group == group)
                .map(|rule| &rule.name),
            Kind::Prefixes(prefixes) => prefixes.names.get(&group),
        };
        name.map_or(OTHER, String::as_str)
    }

    /// All groups that are known now, `other` first, then in the order in which they were
    /// declared or seen.
    pub fn groups(&self) -> impl Iterator<Item = Group> {
        let (rules, prefixes) = match &self.0 {
            Kind::Declared(rules) => (Some(&rules.all), None),
            Kind::Prefixes(prefixes) => (None, Some(prefixes)),
        };
        let declared = rules.into_iter().flatten().map(|rule| rule.group);
        let seen = prefixes
            .into_iter()
            .flat_map(|prefixes| prefixes.names.keys().copied());
        std::iter::once(Group::OTHER).chain(declared).chain(seen)
    }

    /// How many classified keys went into `other` although they have a prefix: because too many
    /// groups were known, or because the prefix was too long. It only grows.
    #[must_use]
    pub fn folded_keys(&self) -> u64 {
        match &self.0 {
            Kind::Declared(_) => 0,
            Kind::Prefixes(prefixes) => prefixes.folded_keys,
        }
    }

    /// Forgets groups that no key was seen of, and, when no further group would find room, all
    /// but the larger half. To be called after each pass, so that a group that came late gets a
    /// place in the next. Declared namespaces are never forgotten.
    ///
    /// Returned are the forgotten groups: what was counted for them belongs to `other` now.
    pub fn forget_small(&mut self, weight: &dyn Fn(Group) -> f64) -> Vec<Group> {
        let Kind::Prefixes(prefixes) = &mut self.0 else {
            return Vec::new();
        };
        let known = prefixes.names.keys();
        let weights: Vec<(Group, f64)> = known.map(|group| (*group, weight(*group))).collect();
        let full = weights.len() >= prefixes.candidates_max;
        let room = if full {
            weights.len() / 2
        } else {
            weights.len()
        };
        let kept: BTreeSet<Group> = largest(&weights, room).into_iter().collect();
        let forgotten: Vec<Group> = weights
            .iter()
            .map(|(group, _)| *group)
            .filter(|group| !kept.contains(group))
            .collect();
        prefixes.forget(&forgotten);
        forgotten
    }
}

/// The groups with the largest weights, at most `max` of them, largest first; among equals the
/// one that was known first. Not `other`, and none whose weight is not above zero.
#[must_use]
pub fn largest(weights: &[(Group, f64)], max: usize) -> Vec<Group> {
    let mut sorted: Vec<(Group, f64)> = weights
        .iter()
        .copied()
        .filter(|(group, weight)| *group != Group::OTHER && *weight > 0.0)
        .collect();
    sorted.sort_by(|(group, weight), (other, other_weight)| {
        other_weight.total_cmp(weight).then(group.cmp(other))
    });
    sorted
        .into_iter()
        .take(max)
        .map(|(group, _)| group)
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
        }
    }

    fn glob(name: &str, pattern: &str) -> Namespace {
        namespace(name, Pattern::glob(pattern), None)
    }

    fn declared(namespaces: &[Namespace]) -> Matcher {
        Matcher::new(namespaces, Grouping::default())
    }

    fn by_prefix(groups_max: usize) -> Matcher {
        let grouping = Grouping {
            groups_max,
            ..Grouping::default()
        };
        Matcher::new(&[], grouping)
    }

    fn name_of(matcher: &mut Matcher, key: &[u8]) -> String {
        let group = matcher.classify(0, key);
        matcher.name(group).to_owned()
    }

    #[test]
    fn the_first_match_wins() {
        let mut matcher = declared(&[
            glob("admins", "session:admin:*"),
            glob("session", "session:*"),
        ]);
        assert_eq!(name_of(&mut matcher, b"session:admin:1"), "admins");
        assert_eq!(name_of(&mut matcher, b"session:1"), "session");
        assert_eq!(matcher.classify(0, b"cache:1"), Group::OTHER);
        let mut turned = declared(&[
            glob("session", "session:*"),
            glob("admins", "session:admin:*"),
        ]);
        assert_eq!(name_of(&mut turned, b"session:admin:1"), "session");
    }

    #[test]
    fn the_order_holds_whatever_the_first_byte() {
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
    fn a_database_limits_a_namespace() {
        let only = Pattern::glob("a:*");
        let mut matcher = declared(&[namespace("two", only, Some(2)), glob("any", "a:*")]);
        let names = [0, 2, 3].map(|database| {
            let group = matcher.classify(database, b"a:1");
            matcher.name(group).to_owned()
        });
        assert_eq!(names, ["any", "two", "any"]);
    }

    #[test]
    fn a_regular_expression_may_match_anywhere_and_over_bytes() {
        let pattern = Pattern::regex("[0-9]+:(?-u:\\xff)").unwrap();
        let mut matcher = declared(&[namespace("numbers", pattern, None)]);
        assert_eq!(name_of(&mut matcher, b"a\xfe12:\xff"), "numbers");
        assert_eq!(name_of(&mut matcher, b"a12:b"), "other");
    }

    #[test]
    fn declared_namespaces_are_known_before_any_key() {
        let mut matcher = declared(&[glob("a", "a:*"), glob("b", "b:*")]);
        let names: Vec<&str> = matcher.groups().map(|group| matcher.name(group)).collect();
        assert_eq!(names, ["other", "a", "b"]);
        assert_eq!(matcher.forget_small(&|_| 0.0), []);
        assert_eq!(matcher.groups().count(), 3);
        assert_eq!(matcher.folded_keys(), 0);
    }

    #[test]
    fn without_a_list_the_prefix_is_the_group() {
        let mut matcher = by_prefix(10);
        assert_eq!(name_of(&mut matcher, b"session:1:2"), "session");
        assert_eq!(name_of(&mut matcher, b"session:2"), "session");
        assert_eq!(name_of(&mut matcher, b"a\xff\\:2"), "a\\xff\\x5c");
        assert_eq!(matcher.groups().count(), 3);
        assert_eq!(
            matcher.classify(0, b"session:1"),
            matcher.classify(7, b"session:9")
        );
    }

    #[test]
    fn keys_without_a_prefix_are_in_other_and_not_folded() {
        let mut matcher = by_prefix(10);
        for key in [&b""[..], b"session", b":session", b"other:1", b"other"] {
            assert_eq!(matcher.classify(0, key), Group::OTHER, "{key:?}");
        }
        assert_eq!(matcher.folded_keys(), 0);
        assert_eq!(matcher.groups().count(), 1);
    }

    #[test]
    fn a_delimiter_may_have_many_bytes_or_none() {
        let with = |delimiter: &[u8]| {
            let grouping = Grouping {
                delimiter: delimiter.to_vec(),
                groups_max: 10,
            };
            Matcher::new(&[], grouping)
        };
        assert_eq!(name_of(&mut with(b"::"), b"a:b::c"), "a:b");
        assert_eq!(name_of(&mut with(b"::"), b"a:b"), "other");
        assert_eq!(name_of(&mut with(b""), b"a:b"), "other");
    }

    #[test]
    fn what_is_too_many_or_too_long_is_folded() {
        let mut matcher = by_prefix(2);
        for number in 0..25 {
            matcher.classify(0, format!("{number}:x").as_bytes());
        }
        assert_eq!(matcher.groups().count(), 1 + 20);
        assert_eq!(matcher.folded_keys(), 5);
        assert_eq!(name_of(&mut matcher, b"19:y"), "19");
        assert_eq!(name_of(&mut matcher, b"20:y"), "other");

        let mut matcher = by_prefix(2);
        let longest = [b'a'; LONGEST_PREFIX];
        assert_ne!(
            matcher.classify(0, &[&longest[..], b":"].concat()),
            Group::OTHER
        );
        assert_eq!(
            matcher.classify(0, &[&longest[..], b"a:"].concat()),
            Group::OTHER
        );
        assert_eq!(matcher.folded_keys(), 1);
    }

    #[test]
    fn a_group_that_came_late_gets_the_place_of_a_small_one() {
        let mut matcher = by_prefix(1);
        let early: Vec<Group> = (0..10)
            .map(|number| matcher.classify(0, format!("{number}:x").as_bytes()))
            .collect();
        assert_eq!(name_of(&mut matcher, b"late:x"), "other");
        let forgotten = matcher.forget_small(&|group| f64::from(group.0));
        assert_eq!(forgotten, early[..5]);
        assert_eq!(matcher.name(early[0]), "other");
        assert_eq!(matcher.name(early[9]), "9");
        let late = matcher.classify(0, b"late:x");
        assert_eq!(matcher.name(late), "late");
        assert!(!early.contains(&late), "a number was used again");
        assert_ne!(matcher.classify(0, b"0:x"), early[0]);
    }

    #[test]
    fn while_there_is_room_only_empty_groups_are_forgotten() {
        let mut matcher = by_prefix(10);
        let kept = matcher.classify(0, b"a:1");
        let empty = matcher.classify(0, b"b:1");
        let unknown = matcher.classify(0, b"c:1");
        let weight = |group| match group {
            group if group == kept => 0.5,
            group if group == unknown => f64::NAN,
            _ => 0.0,
        };
        assert_eq!(matcher.forget_small(&weight), [empty, unknown]);
        assert_eq!(matcher.groups().collect::<Vec<_>>(), [Group::OTHER, kept]);
    }

    #[test]
    fn the_largest_are_chosen_without_other() {
        let weights = [
            (Group::OTHER, 9.0),
            (Group(1), 1.0),
            (Group(2), 3.0),
            (Group(3), 1.0),
            (Group(4), 0.0),
            (Group(5), f64::NAN),
        ];
        assert_eq!(largest(&weights, 2), [Group(2), Group(1)]);
        assert_eq!(largest(&weights, 9), [Group(2), Group(1), Group(3)]);
        assert_eq!(largest(&weights, 0), []);
    }

    proptest! {
        #[test]
        fn any_keys_give_few_groups_with_names_of_their_own(
            keys in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![any::<u8>(), Just(b':')], 0..6),
                0..200,
            ),
        ) {
            let mut matcher = by_prefix(5);
            for key in &keys {
                let group = matcher.classify(0, key);
                prop_assert!(matcher.groups().any(|known| known == group));
            }
            let groups: Vec<Group> = matcher.groups().collect();
            let names: BTreeSet<&str> = groups.iter().map(|group| matcher.name(*group)).collect();
            prop_assert_eq!(names.len(), groups.len());
            prop_assert!(groups.len() <= 51);
            prop_assert!(!names.contains(""));
        }
    }
}
