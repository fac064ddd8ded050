//! Words what is notable in a report. Pure, and used by the table and the JSON document.

use std::fmt::Write as _;

use super::report::{Report, Total, idle_share};
use super::table::NAME_MAX;
use crate::config::OnEviction;
use crate::invisible::one_line;
use crate::keyspace::estimate::Estimate;
use crate::keyspace::sweep::census::Finding;
use crate::label::OTHER;
use crate::number::to_float;
use crate::quantity;

/// Share of the memory of all namespaces above which one of them is notable.
const LARGE_SHARE: f64 = 0.5;

/// Share of keys without a TTL up to which they look forgotten rather than meant.
const FORGOTTEN_SHARE: f64 = 0.1;

/// Share of the memory of a namespace from which idle memory is notable.
const IDLE_SHARE: f64 = 0.5;

/// Idle time that is notable, in seconds.
const LONG_IDLE: f64 = 3_600.0;

/// Evictions per second from which the server counts as evicting.
const EVICTING: f64 = 0.5;

/// Share of keys without a TTL from which none is taken to expire, if no TTL was seen. A small sample of
/// a few hundred keys shows no more.
const LASTING_SHARE: f64 = 0.8;

/// Maximum number of sentences on namespaces without TTLs.
const LASTING_MAX: usize = 10;

/// Returns a sentence for everything that is notable, in the order of the rows.
///
/// An estimate is notable only if its whole 95 % interval is.
#[must_use]
pub fn sentences(report: &Report) -> Vec<String> {
    let total = report.total();
    let is_evicting = report.removed.evicted_per_second() >= Some(EVICTING);
    let has_databases = report.databases.len() > 1;
    let mut sentences = Vec::new();
    let mut lasting = 0_usize;
    for row in &report.rows {
        let mut name = one_line(&row.name, NAME_MAX);
        if has_databases {
            // Writing to a string cannot fail.
            let _ = write!(name, " (db{})", row.database);
        }
        if let Some(keys) = never_expiring(row) {
            lasting += 1;
            if lasting <= LASTING_MAX {
                sentences.push(format!("{name}: {keys}."));
            }
        }
        let found = [
            large(row, &total, report.rows.len()),
            above_quota(row),
            without_ttl(row),
            beyond_longest_ttl(row),
            idle(row),
            evicted(row, report.eviction_rate(row), is_evicting),
        ];
        let found = found.into_iter().flatten();
        sentences.extend(found.map(|what| format!("{name} {what}.")));
    }
    let more = lasting.saturating_sub(LASTING_MAX);
    if more > 0 {
        let more =
            quantity::whole_counted(more as u64, "more namespace has", "more namespaces have");
        sentences.push(format!("{more} only keys that never expire."));
    }
    sentences
}

fn least(estimate: Estimate) -> f64 {
    (estimate.value - estimate.error).max(0.0)
}

fn large(row: &Finding, total: &Total, namespaces: usize) -> Option<String> {
    let (all, _) = total.memory.filter(|(all, _)| *all > 0.0)?;
    let memory = row.estimate.memory?;
    let is_large = namespaces > 1 && row.name != OTHER && least(memory) > LARGE_SHARE * all;
    is_large.then(|| {
        let share = quantity::long_percent(memory.value / all);
        format!("uses {share} of the memory of all namespaces")
    })
}

fn above_quota(row: &Finding) -> Option<String> {
    let (memory, quota) = (row.estimate.memory?, to_float(row.memory_quota?));
    (least(memory) > quota).then(|| {
        let (memory, quota) = (
            quantity::long_bytes(memory.value),
            quantity::long_bytes(quota),
        );
        format!("uses {memory}, more than its quota of {quota}")
    })
}

/// Returns the number of keys of a namespace none of whose keys expires. A policy that requires a TTL
/// has its own sentence.
fn never_expiring(row: &Finding) -> Option<String> {
    let (without, all) = (row.estimate.without_ttl?, row.estimate.keys.value);
    let is_lasting = least(without) >= (LASTING_SHARE * all).max(1.0);
    (is_lasting && row.estimate.longest_ttl.is_none() && !row.ttl.required).then(|| {
        let keys = quantity::estimated(without.value, without.error);
        let expire = quantity::noun(&keys, "key never expires", "keys never expire");
        format!("{keys} {expire}")
    })
}

/// Keys that must have a TTL, or that look forgotten, because nearly all others have one.
fn without_ttl(row: &Finding) -> Option<String> {
    let without = row.estimate.without_ttl?;
    if least(without) < 1.0 {
        return None;
    }
    let keys = quantity::estimated(without.value, without.error);
    let of = |one, many| quantity::noun(&keys, one, many);
    let share = without.value / row.estimate.keys.value.max(1.0);
    if row.ttl.required {
        let key = of("key", "keys");
        Some(format!(
            "has {keys} {key} without a TTL, which its policy requires"
        ))
    } else if share <= FORGOTTEN_SHARE {
        let others = quantity::long_percent(1.0 - share);
        let that = of("key that never expires", "keys that never expire");
        Some(format!("has {keys} {that}, and {others} that do"))
    } else {
        None
    }
}

fn beyond_longest_ttl(row: &Finding) -> Option<String> {
    let (broken, longest) = (row.estimate.max_broken?, row.ttl.max?);
    (least(broken) >= 1.0).then(|| {
        let keys = quantity::estimated(broken.value, broken.error);
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let longest = quantity::long_duration(longest);
        let with = quantity::noun(&keys, "key with a longer TTL", "keys with longer TTLs");
        format!("has {keys} {with} than its policy allows, which is {longest}")
    })
}

fn idle(row: &Finding) -> Option<String> {
    let share = idle_share(row, LONG_IDLE).filter(|share| *share >= IDLE_SHARE)?;
    let share = quantity::long_percent(share);
    Some(format!("has not used {share} of its memory for an hour"))
}

/// `rate` has the evicted keys of the namespace per second, if they are known.
fn evicted(row: &Finding, rate: Option<f64>, is_evicting: bool) -> Option<String> {
    let is_harmful = row.on_eviction == Some(OnEviction::Harmful);
    let what = match rate {
        None if is_evicting => "the server evicts keys".to_owned(),
        Some(rate) if rate >= EVICTING => {
            let keys = quantity::counted(rate, "key is", "keys are");
            format!("{keys} evicted per second")
        }
        _ => return None,
    };
    (is_harmful && row.estimate.keys.value > 0.0)
        .then(|| format!("must not be evicted, but {what}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::report::tests::{aging, report, row};
    use super::*;
    use crate::keyspace::panel::RemovalRates;

    fn sentences_about(change: impl FnOnce(&mut Finding)) -> Vec<String> {
        let mut first = row("session", 0, 1_000, 512_000.0);
        first.estimate.without_ttl = None;
        let mut second = first.clone();
        second.name = "cache".to_owned();
        change(&mut first);
        sentences(&report(vec![first, second]))
    }

    #[test]
    fn harmful_evictions_are_notable_if_the_namespace_may_have_them() {
        let of = |rate: Option<f64>| {
            let mut session = row("session", 0, 1_000, 512_000.0);
            session.on_eviction = Some(OnEviction::Harmful);
            let mut report = report(vec![session]);
            report.removed = RemovalRates::of_evictions(100.0);
            report.evicted = rate
                .map(|rate| ((0, "session".to_owned()), rate))
                .into_iter()
                .collect();
            let sentences = sentences(&report).into_iter();
            let about = sentences.filter(|sentence| sentence.contains("evicted"));
            about.collect::<Vec<_>>().concat()
        };
        assert_eq!(
            of(None),
            "session must not be evicted, but the server evicts keys."
        );
        assert_eq!(
            of(Some(31.0)),
            "session must not be evicted, but 31 keys are evicted per second."
        );
        assert_eq!(of(Some(0.0)), "");
    }

    fn estimate(value: f64, error: f64) -> Estimate {
        let keys = row("a", 0, 1, 1.0).estimate.keys;
        Estimate {
            value,
            error,
            ..keys
        }
    }

    #[test]
    fn nothing_is_notable_in_equal_namespaces() {
        assert!(sentences_about(|_| {}).is_empty());
    }

    #[test]
    fn notable_facts_are_worded() {
        let about = |change: fn(&mut Finding)| sentences_about(change).join("\n");
        assert_eq!(
            about(|row| row.estimate.memory = Some(estimate(2_048_000.0, 0.0))),
            "session uses 80.0% of the memory of all namespaces."
        );
        assert_eq!(
            about(|row| row.memory_quota = Some(256_000)),
            "session uses 500.0 KiB, more than its quota of 250.0 KiB."
        );
        assert_eq!(
            about(|row| row.estimate.without_ttl = Some(estimate(20.0, 5.0))),
            "session has 20 ± 5 keys that never expire, and 98.0% that do."
        );
        assert_eq!(
            about(|row| {
                row.estimate.without_ttl = Some(estimate(900.0, 0.0));
                row.ttl.required = true;
            }),
            "session has 900 keys without a TTL, which its policy requires."
        );
        assert_eq!(
            about(|row| {
                row.estimate.max_broken = Some(estimate(9.0, 0.0));
                row.ttl.max = Some(Duration::from_secs(60));
            }),
            "session has 9 keys with longer TTLs than its policy allows, which is 1m."
        );
    }

    #[test]
    fn interval_that_reaches_the_limit_is_not_notable() {
        for change in [
            (|row| row.estimate.memory = Some(estimate(600_000.0, 100_000.0))) as fn(&mut Finding),
            |row| {
                row.estimate.memory = Some(estimate(512_000.0, 300_000.0));
                row.memory_quota = Some(256_000);
            },
            |row| row.estimate.without_ttl = Some(estimate(20.0, 20.0)),
            // Half of the keys without a TTL are meant to be.
            |row| row.estimate.without_ttl = Some(estimate(500.0, 0.0)),
        ] {
            assert_eq!(sentences_about(change), Vec::<String>::new());
        }
    }

    /// Changes a namespace to one with this many keys, none of which expires.
    fn last(row: &mut Finding, keys: f64) {
        row.estimate.keys = estimate(keys, 0.0);
        row.estimate.without_ttl = Some(estimate(keys, 0.0));
        (row.estimate.ttl, row.estimate.longest_ttl) = (None, None);
    }

    #[test]
    fn namespace_without_any_ttl_is_named() {
        let about = |change: fn(&mut Finding)| sentences_about(change).join("\n");
        assert_eq!(
            about(|row| last(row, 292.0)),
            "session: 292 keys never expire."
        );
        assert_eq!(about(|row| last(row, 1.0)), "session: 1 key never expires.");
        // A pass with the default number of lookups knows the TTLs of some keys.
        let sampled = about(|row| {
            last(row, 292.0);
            row.estimate.without_ttl = Some(estimate(292.0, 36.0));
        });
        assert_eq!(sampled, "session: 292 ± 36 keys never expire.");
        let required = about(|row| {
            last(row, 292.0);
            row.ttl.required = true;
        });
        assert_eq!(
            required,
            "session has 292 keys without a TTL, which its policy requires."
        );
        // A sample of a few keys proves nothing about the others.
        let few = about(|row| {
            last(row, 1_000.0);
            row.estimate.without_ttl = Some(estimate(1_000.0, 300.0));
        });
        assert_eq!(few, "");
        assert_eq!(about(|row| last(row, 0.0)), "");
    }

    #[test]
    fn many_namespaces_without_ttls_are_counted() {
        let rows = (0..13).map(|at| {
            let mut row = row(&format!("n{at}"), 7, 9, 9.0);
            last(&mut row, 9.0);
            row
        });
        let mut report = report(rows.collect());
        let other = report.databases[0];
        report.databases.push(other);
        let found = sentences(&report);
        assert_eq!(found.len(), LASTING_MAX + 1, "{found:?}");
        assert_eq!(found[9], "n9 (db7): 9 keys never expire.");
        assert_eq!(
            found[10],
            "3 more namespaces have only keys that never expire."
        );
    }

    #[test]
    fn idle_memory_is_notable() {
        let mut row = aging("cache", &[(600.0, 1.0), (3_600.0, 0.75)], [0.0, 0.0]);
        row.estimate.without_ttl = None;
        assert_eq!(
            sentences(&report(vec![row])),
            ["cache has not used 75.0% of its memory for an hour."]
        );
    }
}
