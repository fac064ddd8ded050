//! Counts occurrences of names, and keeps the most frequent names only. Independent of clients.

use std::collections::HashMap;
use std::hash::Hash;

/// Returns counts by name, most frequent first and then by name, and the count of all other names.
/// Uses the seeded hasher of the standard library, because the names are untrusted.
pub fn most_frequent<Name: Eq + Hash + Ord>(
    names: impl Iterator<Item = Name>,
    most: usize,
) -> (Vec<(Name, u64)>, u64) {
    let mut counts: HashMap<Name, u64> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(Name, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(name, count), (other, other_count)| {
        other_count.cmp(count).then_with(|| name.cmp(other))
    });
    let rest = counts.iter().skip(most).map(|(_, count)| count).sum();
    counts.truncate(most);
    (counts, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_frequent_names_are_kept() {
        let names = ["b", "c", "a", "b", "d", "c", "b"];
        let (counts, rest) = most_frequent(names.into_iter(), 3);
        assert_eq!(counts, [("b", 3), ("c", 2), ("a", 1)]);
        assert_eq!(rest, 1);
    }
}
