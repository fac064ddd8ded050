//! Keeps the names of a few keys of a pass: the largest ones, and examples of broken policies. Their
//! number and length are bounded. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::kept_name::KeptName;
use super::layout::Layout;
use super::report::Report;
use super::table::NAME_MAX;
use crate::config::TtlPolicy;
use crate::invisible::one_line;
use crate::keyspace::NamespaceId;
use crate::keyspace::sweep::KeyDetails;
use crate::keyspace::tally::{Expiry, exceeds};
use crate::number::to_float;
use crate::quantity;

/// Maximum number of examples of a broken policy of a namespace in a database.
const EXAMPLES_MAX: usize = 3;

/// Maximum number of namespaces in databases that have examples.
const PLACES_MAX: usize = 1_000;

/// Maximum length of a shown name, in characters.
const SHOWN_MAX: usize = 100;

/// Column of the names of the largest keys.
const NAMES_INDENT: usize = 14;

/// A key that a pass has seen.
#[derive(Clone, Copy, Debug)]
pub struct PassedKey<'a> {
    /// The database.
    pub database: u32,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The policy of the namespace.
    pub policy: TtlPolicy,
    /// The bytes of the name.
    pub name: &'a [u8],
    /// The details.
    pub found: &'a KeyDetails,
}

/// The names of a few keys of a pass.
#[derive(Clone, Debug, Default)]
pub struct KeptNames {
    largest_max: usize,
    keeps_examples: bool,
    largest: BTreeSet<(u64, u32, NamespaceId, KeptName)>,
    examples: BTreeMap<(u32, NamespaceId), PolicyExamples>,
}

/// Names of keys that break a policy.
#[derive(Clone, Debug, Default)]
struct PolicyExamples {
    without_ttl: Vec<KeptName>,
    /// With the TTL in milliseconds.
    beyond_max: Vec<(KeptName, u64)>,
}

/// A key with its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedKey {
    /// The name.
    pub key: KeptName,
    /// The name of the namespace.
    pub namespace: String,
    /// The database.
    pub database: u32,
    /// Memory in bytes.
    pub bytes: u64,
}

/// Examples of the broken policies of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenPolicy {
    /// The name of the namespace.
    pub namespace: String,
    /// The database.
    pub database: u32,
    /// Names of keys without a TTL, if the policy requires one.
    pub without_ttl: Vec<KeptName>,
    /// Names of keys whose TTL is too long, with the TTL in milliseconds.
    pub beyond_max: Vec<(KeptName, u64)>,
}

impl KeptNames {
    /// Keeps up to `largest_max` largest keys, and examples of broken policies if wanted.
    #[must_use]
    pub fn new(largest_max: usize, keeps_examples: bool) -> Self {
        Self {
            largest_max,
            keeps_examples,
            ..Self::default()
        }
    }

    /// Records a key. A key that SCAN returns twice counts once.
    pub fn see(&mut self, key: PassedKey<'_>) {
        if key.found.is_gone {
            return;
        }
        if let Some(bytes) = key.found.details.memory {
            self.see_size(&key, bytes);
        }
        if self.keeps_examples {
            self.see_ttl(&key);
        }
    }

    fn see_size(&mut self, key: &PassedKey<'_>, bytes: u64) {
        let is_full = self.largest.len() >= self.largest_max;
        let least = self.largest.first().map(|(bytes, ..)| *bytes);
        if self.largest_max == 0 || (is_full && least.is_none_or(|least| bytes <= least)) {
            return;
        }
        self.largest
            .retain(|(_, database, _, seen)| *database != key.database || !seen.is(key.name));
        let name = KeptName::of(key.name);
        self.largest
            .insert((bytes, key.database, key.namespace, name));
        if self.largest.len() > self.largest_max {
            self.largest.pop_first();
        }
    }

    fn see_ttl(&mut self, key: &PassedKey<'_>) {
        let place = (key.database, key.namespace);
        let is_new = !self.examples.contains_key(&place);
        if is_new && self.examples.len() >= PLACES_MAX {
            return;
        }
        match key.found.details.expiry {
            Some(Expiry::Never) if key.policy.required => {
                let names = &mut self.examples.entry(place).or_default().without_ttl;
                if names.len() < EXAMPLES_MAX && names.iter().all(|seen| !seen.is(key.name)) {
                    names.push(KeptName::of(key.name));
                }
            }
            Some(Expiry::In(left)) if exceeds(left, key.policy.max) => {
                let names = &mut self.examples.entry(place).or_default().beyond_max;
                if names.len() < EXAMPLES_MAX && names.iter().all(|(seen, _)| !seen.is(key.name)) {
                    names.push((KeptName::of(key.name), left));
                }
            }
            _ => {}
        }
    }

    /// Returns the largest keys, largest first. `name_of` returns the name of a namespace.
    #[must_use]
    pub fn largest(&self, name_of: &dyn Fn(NamespaceId) -> String) -> Vec<SizedKey> {
        let keys = self.largest.iter().rev();
        keys.map(|(bytes, database, namespace, key)| SizedKey {
            key: key.clone(),
            namespace: name_of(*namespace),
            database: *database,
            bytes: *bytes,
        })
        .collect()
    }

    /// Returns the examples, by database. `name_of` returns the name of a namespace.
    #[must_use]
    pub fn broken(&self, name_of: &dyn Fn(NamespaceId) -> String) -> Vec<BrokenPolicy> {
        let all = self.examples.iter();
        all.map(|((database, namespace), examples)| BrokenPolicy {
            namespace: name_of(*namespace),
            database: *database,
            without_ttl: examples.without_ttl.clone(),
            beyond_max: examples.beyond_max.clone(),
        })
        .collect()
    }
}

/// Returns the table of the largest keys.
#[must_use]
pub fn largest_text(largest: &[SizedKey], report: &Report, layout: &Layout) -> String {
    if largest.is_empty() {
        return "\nLargest keys: none with known memory.\n".to_owned();
    }
    let mut text = String::from("\nLargest keys:\n");
    let has_databases = report.databases.len() > 1;
    for key in largest {
        let size = quantity::long_bytes(to_float(key.bytes));
        let namespace = one_line(&key.namespace, NAME_MAX);
        let name = key.key.shown(SHOWN_MAX);
        let database = if has_databases {
            format!("  db{}", key.database)
        } else {
            String::new()
        };
        // Writing to a string cannot fail.
        let line = format!("{size:>12}{database}  {namespace}  {name}");
        let _ = writeln!(text, "{}", layout.wrapped(&line, NAMES_INDENT));
    }
    text
}

/// Returns the examples of broken policies, a line for each.
#[must_use]
pub fn examples_text(broken: &[BrokenPolicy], report: &Report, layout: &Layout) -> String {
    if broken.is_empty() {
        return "\nKeys that break a policy: none among those whose TTLs were queried.\n"
            .to_owned();
    }
    let mut text = String::from("\nKeys that break a policy:\n");
    let has_databases = report.databases.len() > 1;
    let shown = |key: &KeptName| key.shown(SHOWN_MAX);
    for BrokenPolicy {
        namespace,
        database,
        without_ttl,
        beyond_max,
    } in broken
    {
        let mut place = one_line(namespace, NAME_MAX);
        if has_databases {
            let _ = write!(place, " (db{database})");
        }
        if !without_ttl.is_empty() {
            let keys: Vec<String> = without_ttl.iter().map(shown).collect();
            let line = format!("- {place}, no TTL: {}", keys.join(", "));
            let _ = writeln!(text, "{}", layout.wrapped(&line, 2));
        }
        if !beyond_max.is_empty() {
            let keys = beyond_max.iter();
            let keys = keys
                .map(|(key, left)| format!("{} ({})", shown(key), quantity::long_duration(*left)));
            let keys: Vec<String> = keys.collect();
            let line = format!("- {place}, TTL too long: {}", keys.join(", "));
            let _ = writeln!(text, "{}", layout.wrapped(&line, 2));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::tests::report;
    use super::*;
    use crate::keyspace::tally::Details;

    const POLICY: TtlPolicy = TtlPolicy {
        required: true,
        max: Some(Duration::from_secs(60)),
    };

    fn see(names: &mut KeptNames, name: &[u8], memory: u64, expiry: Option<Expiry>) {
        let found = KeyDetails {
            details: Details {
                memory: Some(memory),
                expiry,
                data_type: None,
            },
            ..KeyDetails::default()
        };
        names.see(PassedKey {
            database: 0,
            namespace: NamespaceId::OTHER,
            policy: POLICY,
            name,
            found: &found,
        });
    }

    fn kept() -> KeptNames {
        KeptNames::new(2, true)
    }

    fn name_of(_: NamespaceId) -> String {
        "session".to_owned()
    }

    #[test]
    fn largest_keys_are_kept_once_and_escaped() {
        let mut names = kept();
        for (name, memory) in [
            ("a", 5),
            ("b\u{1b}[2J", 9),
            ("c", 7),
            ("b\u{1b}[2J", 8),
            ("a", 6),
        ] {
            see(&mut names, name.as_bytes(), memory, None);
        }
        see(&mut names, &[b'x'; 9_000], 2_048, None);
        let largest = names.largest(&name_of);
        let found: Vec<_> = largest
            .iter()
            .map(|key| (key.key.length(), key.bytes))
            .collect();
        assert_eq!(found, [(9_000, 2_048), (5, 8)]);
        let text = largest_text(&largest, &report(Vec::new()), &Layout::PLAIN);
        assert!(
            text.contains("         8 B  session  b\\u{1b}[2J\n"),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() < 150),
            "{text}"
        );
    }

    #[test]
    fn long_names_with_the_same_start_are_all_listed() {
        let mut names = kept();
        for number in 0..2 {
            let name = format!("{}{number}", "x".repeat(600));
            see(
                &mut names,
                name.as_bytes(),
                10 + number,
                Some(Expiry::Never),
            );
            // SCAN returned it twice.
            see(
                &mut names,
                name.as_bytes(),
                20 + number,
                Some(Expiry::Never),
            );
        }
        let largest = names.largest(&name_of);
        let sizes: Vec<_> = largest.iter().map(|key| key.bytes).collect();
        assert_eq!(sizes, [21, 20]);
        let text = largest_text(&largest, &report(Vec::new()), &Layout::PLAIN);
        assert_eq!(text.matches("x… (601 bytes)\n").count(), 2, "{text}");
        let broken = names.broken(&name_of);
        assert_eq!(broken[0].without_ttl.len(), 2);
        let text = examples_text(&broken, &report(Vec::new()), &Layout::PLAIN);
        assert_eq!(text.matches("x… (601 bytes)").count(), 2, "{text}");
    }

    #[test]
    fn examples_are_bounded_for_each_policy() {
        let mut names = kept();
        for number in 0..9 {
            see(
                &mut names,
                format!("never:{number}").as_bytes(),
                1,
                Some(Expiry::Never),
            );
            let long = Some(Expiry::In(3_600_000));
            see(&mut names, format!("long:{number}").as_bytes(), 1, long);
            see(
                &mut names,
                format!("good:{number}").as_bytes(),
                1,
                Some(Expiry::In(9)),
            );
        }
        let broken = names.broken(&name_of);
        assert_eq!(broken.len(), 1);
        let names: Vec<_> = broken[0].without_ttl.iter().map(KeptName::text).collect();
        assert_eq!(names, ["never:0", "never:1", "never:2"]);
        let text = examples_text(&broken, &report(Vec::new()), &Layout::PLAIN);
        assert_eq!(
            text,
            "\nKeys that break a policy:\n- session, no TTL: never:0, never:1, never:2\n\
             - session, TTL too long: long:0 (1h), long:1 (1h), long:2 (1h)\n"
        );
    }

    #[test]
    fn nothing_is_kept_by_default() {
        let mut names = KeptNames::default();
        see(&mut names, b"a", 5, Some(Expiry::Never));
        assert!(names.largest(&name_of).is_empty() && names.broken(&name_of).is_empty());
    }
}
