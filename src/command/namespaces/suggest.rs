//! Suggests namespaces from a sample of keys, as a start for a configuration. It guesses: a person
//! reads the result before use. Pure.
//!
//! Keys are split at a delimiter. Segments with few values remain as they are. Segments become `*`
//! if they have many values, or look like a number, a hash or an address.

mod lifetime;
mod partition;
mod shape;
mod shared_pattern;
mod ttl;
mod yaml;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::glob::Glob;
use crate::number::length;
#[cfg(test)]
pub use lifetime::TooLong;
pub use lifetime::{KeyUse, MeasuredUse, ShorterTtl};
use shared_pattern::SharedPattern;
pub use ttl::ObservedTtl;
pub use yaml::to_yaml;

/// Maximum length of a suggested name, in characters.
const LONGEST_NAME: usize = 60;

/// A sampled key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampledKey<'a> {
    /// Name of the key.
    pub name: &'a [u8],
    /// Observed time to live.
    pub ttl: ObservedTtl,
}

/// Limits of the input and of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Maximum number of sampled keys. Further keys are ignored.
    pub keys_max: usize,
    /// Maximum number of suggested namespaces. The largest are kept.
    pub namespaces_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys_max: 200_000,
            namespaces_max: 50,
        }
    }
}

/// A namespace that the sample seems to contain.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// Unique lowercase name, valid as a label; never `other`.
    pub name: String,
    /// Glob in the syntax of Redis.
    pub pattern: String,
    /// Sampled keys that match this suggestion and no earlier one.
    pub keys: usize,
    /// Share of these keys in the sample, from 0 to 1.
    pub share: f64,
    /// Those of these keys with a known TTL.
    pub known_ttls: usize,
    /// Those of these keys without a TTL.
    pub keys_without_ttl: usize,
    /// Whether enough TTLs are known and all of these keys have one.
    pub ttl_required: bool,
    /// Longest observed TTL, rounded up, if `ttl_required`.
    pub ttl_max: Option<Duration>,
    /// Longest observed TTL, rounded up, if most keys expire and some do not, as if setting the TTL
    /// failed occasionally.
    pub leaking_ttl_max: Option<Duration>,
    /// A shorter TTL, if the use of the keys shows that the longest observed one is too long.
    pub shorter_ttl: Option<ShorterTtl>,
}

/// Returns the namespaces that a sample seems to contain, the most specific first, so that the
/// first match is the right one. Leaves out keys without a pattern.
#[must_use]
pub fn suggest<'a>(
    sample: impl IntoIterator<Item = SampledKey<'a>>,
    measured: &MeasuredUse<'_>,
    options: &Options,
) -> Vec<Suggestion> {
    let sample: Vec<SampledKey<'_>> = sample.into_iter().take(options.keys_max).collect();
    let mut found = partition::find(&sample);
    found.sort_by(|left, right| {
        let by_length = right.literal_bytes().cmp(&left.literal_bytes());
        by_length.then_with(|| left.pattern().cmp(&right.pattern()))
    });
    found.dedup_by(|left, right| left.pattern() == right.pattern());
    let found = keep_largest(found, &sample, options.namespaces_max);
    // Assigned again, because keys of a dropped pattern may match a more general one.
    let members = assign(&found, ttls(&sample));
    let used = assign(&found, measured.keys.iter().map(|key| (key.name, *key)));
    let mut names = BTreeSet::new();
    let described = found.iter().zip(&members).zip(&used);
    described
        .map(|((found, keys), used)| {
            let mut suggestion = describe(found, keys, sample.len(), &mut names);
            let present = suggestion.ttl_max.or(suggestion.leaking_ttl_max);
            suggestion.shorter_ttl =
                present.and_then(|present| measured.shorter_than(present, used));
            suggestion
        })
        .collect()
}

/// Returns the patterns that match the most keys, in their original order.
fn keep_largest<'a>(
    found: Vec<SharedPattern<'a>>,
    sample: &[SampledKey<'_>],
    max: usize,
) -> Vec<SharedPattern<'a>> {
    let members = assign(&found, ttls(sample));
    let mut by_size: Vec<(usize, SharedPattern<'a>, usize)> = found
        .into_iter()
        .zip(members)
        .enumerate()
        .map(|(place, (found, keys))| (place, found, keys.len()))
        .filter(|(_, _, size)| *size > 0)
        .collect();
    by_size.sort_by_key(|(_, _, size)| Reverse(*size));
    by_size.truncate(max);
    by_size.sort_by_key(|(place, _, _)| *place);
    by_size.into_iter().map(|(_, found, _)| found).collect()
}

/// Returns the names of keys with their TTLs.
fn ttls<'s>(sample: &'s [SampledKey<'_>]) -> impl Iterator<Item = (&'s [u8], ObservedTtl)> {
    sample.iter().map(|key| (key.name, key.ttl))
}

/// Returns what is known about the keys that each pattern is the first to match.
fn assign<'s, T: Clone>(
    found: &[SharedPattern<'_>],
    keys: impl Iterator<Item = (&'s [u8], T)>,
) -> Vec<Vec<T>> {
    let globs: Vec<Glob> = found
        .iter()
        .map(|found| Glob::new(found.pattern()))
        .collect();
    let mut members = vec![Vec::new(); globs.len()];
    for (name, known) in keys {
        let first = globs.iter().position(|glob| glob.matches(name));
        if let Some(members) = first.and_then(|first| members.get_mut(first)) {
            members.push(known);
        }
    }
    members
}

fn describe(
    found: &SharedPattern<'_>,
    keys: &[ObservedTtl],
    sampled: usize,
    names: &mut BTreeSet<String>,
) -> Suggestion {
    let required = ttl::all_expire(keys);
    let without = keys.iter().filter(|ttl| **ttl == ObservedTtl::Never);
    let longest = ttl::round_up(ttl::longest(keys));
    Suggestion {
        name: unique(&found.words(), names),
        pattern: found.pattern(),
        keys: keys.len(),
        share: ratio(keys.len(), sampled),
        known_ttls: ttl::known(keys),
        keys_without_ttl: without.count(),
        ttl_required: required,
        ttl_max: longest.filter(|_| required),
        leaking_ttl_max: longest.filter(|_| ttl::leaks(keys)),
        shorter_ttl: None,
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    length(part) / length(whole.max(1))
}

/// Returns an unused name made of these words.
fn unique(words: &str, names: &mut BTreeSet<String>) -> String {
    let slug = slug(words);
    let base = match slug.as_str() {
        "" => "keys",
        "other" => "other-keys",
        slug => slug,
    };
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let mut candidates = std::iter::once(base.to_owned()).chain(numbered);
    let free = candidates.find(|name| !names.contains(name));
    let name = free.unwrap_or_default();
    names.insert(name.clone());
    name
}

/// Returns letters and digits in lower case, with one `-` for everything between them.
fn slug(words: &str) -> String {
    let letters = words.to_lowercase();
    let parts = letters.split(|letter: char| !letter.is_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let slug: String = parts.join("-").chars().take(LONGEST_NAME).collect();
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
