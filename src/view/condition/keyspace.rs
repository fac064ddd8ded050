//! The policies of namespaces, and the expiry of keys. Pure.

use super::super::facts::Seen;
use super::super::highlights::{NAME_MAX, shortened};
use super::{Condition, MEBIBYTE, NONE, Thresholds, info, limits, warning};
use crate::metric::Sample;
use crate::quantity::{bytes, count, duration, noun, percent};

const VIOLATIONS: &str = "redis_key_namespace_policy_violations";
const IDLE: &str = "redis_key_namespace_idle_memory_bytes";

pub(super) const CONDITIONS: &[Condition] = &[
    warning(
        "RedisNamespaceTTLPolicyViolated",
        limits([0.01]),
        |seen, [share_max, ..]| {
            violation(seen, |sample, keys| {
                let all = same(seen, "redis_key_namespace_keys", sample);
                all.is_some_and(|all| keys > share_max * all)
            })
        },
    ),
    info("RedisNamespaceTTLPolicyViolated", NONE, |seen, _| {
        violation(seen, |sample, _| {
            sample.label("policy") == Some("ttl_required")
        })
    }),
    info("RedisNamespaceTTLPolicyViolated", NONE, fewest_violations),
    warning("RedisNamespaceMemoryQuotaExceeded", NONE, |seen, _| {
        let quotas = seen.swept_samples("redis_key_namespace_memory_quota_bytes");
        let above = quotas.into_iter().filter_map(|sample| {
            let quota = sample.number()?;
            let memory = same(seen, "redis_key_namespace_memory_bytes", &sample)?;
            let error = same(seen, "redis_key_namespace_memory_error_bytes", &sample)?;
            let (name, memory_text) = (name(&sample)?, bytes(memory));
            let quota_text = bytes(quota);
            (memory - error > quota).then(|| {
                let text =
                    format!("Namespace {name} uses {memory_text}; its quota is {quota_text}.");
                (memory / quota, text)
            })
        });
        worst(above)
    }),
    warning(
        "RedisExpiryCliff",
        limits([0.20, 900.0, 1_000.0, 0.05]),
        cliff,
    ),
    info(
        "RedisMemoryMostlyIdle",
        limits([86_400.0, 0.5, 64.0 * MEBIBYTE]),
        |seen, [time, share, least, _]| {
            let idle = seen.swept_samples(IDLE);
            let idle = idle.filter(|sample| number_of(sample, "idle") == Some(time));
            let idle: f64 = idle.filter_map(|sample| sample.number()).sum();
            let all = seen.swept_samples("redis_key_namespace_memory_bytes");
            let all: f64 = all.filter_map(|sample| sample.number()).sum();
            let idle_text = bytes(idle);
            (idle > share * all && idle > least)
                .then(|| format!("{idle_text} of memory were not used for a day."))
        },
    ),
    warning(
        "RedisExpiryLagging",
        limits([0.25]),
        |seen, [share_max, ..]| {
            let share = seen.number("redis_expired_stale_ratio")?;
            let share_text = percent(share);
            (share > share_max).then(|| {
                format!(
                    "Redis is behind with expired keys: about {share_text} of those with a TTL."
                )
            })
        },
    ),
];

/// Returns the number of another family of the sweep with the same labels.
fn same(seen: &Seen<'_>, family: &str, sample: &Sample<'_>) -> Option<f64> {
    let place = |sample: &Sample<'_>| {
        Some((
            sample.label("db")?.to_owned(),
            sample.label("key_namespace")?.to_owned(),
        ))
    };
    let wanted = place(sample)?;
    let mut others = seen.swept_samples(family);
    others
        .find(|other| place(other).as_ref() == Some(&wanted))?
        .number()
}

/// Returns a label that is a number, such as a time in seconds.
fn number_of(sample: &Sample<'_>, label: &str) -> Option<f64> {
    sample.label(label)?.parse().ok()
}

/// Returns the name of a namespace for a sentence.
fn name(sample: &Sample<'_>) -> Option<String> {
    Some(shortened(sample.label("key_namespace")?, NAME_MAX))
}

/// Returns the namespace with most violations among those that count.
fn violation(seen: &Seen<'_>, counts: impl Fn(&Sample<'_>, f64) -> bool) -> Option<String> {
    let samples = seen.swept_samples(VIOLATIONS);
    worst(samples.filter_map(|sample| {
        let number = sample.number().filter(|keys| *keys > 0.0)?;
        let (name, keys) = (name(&sample)?, count(number));
        let of = |one, many| noun(&keys, one, many);
        let key = of("key", "keys");
        let text = if sample.label("policy")? == "ttl_required" {
            let expire = of("expires", "expire");
            format!("{keys} {key} of namespace {name} never {expire}.")
        } else {
            let have = of("has", "have");
            format!("{keys} {key} of namespace {name} {have} a TTL that is too long.")
        };
        counts(&sample, number).then_some((number, text))
    }))
}

/// Returns the sentence about the namespace with the largest number, and how many others have the
/// same kind of problem.
fn worst(namespaces: impl Iterator<Item = (f64, String)>) -> Option<String> {
    let all: Vec<(f64, String)> = namespaces.collect();
    let others = all.len().saturating_sub(1);
    let (_, text) = all
        .into_iter()
        .max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(match others {
        0 => text,
        1 => format!("{text} 1 more namespace is affected."),
        more => format!("{text} {more} more namespaces are affected."),
    })
}

/// Uses what INFO reports about keys with a TTL, which is known before the sweep has found keys
/// without one.
fn fewest_violations(seen: &Seen<'_>, _: Thresholds) -> Option<String> {
    let mut samples = seen.swept_samples("redis_key_namespace_policy_violations_min");
    samples.find_map(|sample| {
        let keys = sample.number().filter(|keys| *keys > 0.0)?;
        let (db, keys) = (sample.label("db")?, count(keys));
        let of = |one, many| noun(&keys, one, many);
        let (key, expire) = (of("key", "keys"), of("expires", "expire"));
        let namespaces = of("its namespace requires", "their namespaces require");
        Some(format!(
            "At least {keys} {key} of {db} never {expire}, although {namespaces} a TTL."
        ))
    })
}

fn cliff(seen: &Seen<'_>, [share_max, soon, keys_max, part_max]: Thresholds) -> Option<String> {
    let bursts = seen.swept_samples("redis_key_namespace_expiry_burst_ratio");
    worst(bursts.filter_map(|sample| {
        let share = sample.number().filter(|share| *share > share_max)?;
        let at = same(
            seen,
            "redis_key_namespace_expiry_burst_timestamp_seconds",
            &sample,
        )?;
        let wait = at - seen.now;
        let keys = share * same(seen, "redis_key_namespace_keys", &sample)?;
        let mut databases = seen.samples("redis_db_keys");
        let database = databases.find(|database| database.label("db") == sample.label("db"));
        let all = database?.number()?;
        let is_soon = wait > 0.0 && wait < soon;
        let (name, keys_text, wait_text) = (name(&sample)?, count(keys), duration(wait));
        (is_soon && keys > keys_max && keys > part_max * all).then(|| {
            let text =
                format!("{keys_text} keys of namespace {name} expire together in {wait_text}.");
            (keys, text)
        })
    }))
}
