//! How many things have each name, with room for the most frequent names only. It knows nothing
//! of clients.

use std::collections::HashMap;
use std::hash::Hash;

/// Counts by name, the most frequent first and then by name; how many have other names is the
/// second. Names come from outside, so the hashing is the seeded one of the standard library.
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
    fn the_most_frequent_names_have_room() {
        let names = ["b", "c", "a", "b", "d", "c", "b"];
        let (counts, rest) = most_frequent(names.into_iter(), 3);
        assert_eq!(counts, [("b", 3), ("c", 2), ("a", 1)]);
        assert_eq!(rest, 1);
    }
}
