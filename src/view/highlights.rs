//! What happens to the namespaces of a target, in a few lines of text. Pure.
//!
//! It reads a few families of the last snapshot of the sweep, and finds them by their names.

use std::collections::HashMap;

use crate::metric::{SampleValue, Snapshot};
use crate::quantity::counted;

/// Maximum number of namespaces per line.
const NAMESPACES_MAX: usize = 3;

/// Maximum length of the name of a namespace, in characters.
pub(super) const NAME_MAX: usize = 40;

/// Minimum share of a namespace that is worth a mention.
const SHARE_MIN: f64 = 0.05;

/// The same for keys that expire within a few seconds.
const BURST_MIN: f64 = 0.2;

const EVICTED: &str = "redis_key_namespace_evicted_keys_total";
const KEYS: &str = "redis_key_namespace_keys";
const MEMORY: &str = "redis_key_namespace_memory_bytes";
const IDLE: &str = "redis_key_namespace_idle_memory_bytes";
const EXPIRING: &str = "redis_key_namespace_expiring_keys";
const BURST: &str = "redis_key_namespace_expiry_burst_ratio";
const BURST_TIME: &str = "redis_key_namespace_expiry_burst_timestamp_seconds";

/// The database and the name of a namespace.
type InDatabase<'a> = [&'a str; 2];

/// A share of a namespace, with the value of the third label of its sample.
#[derive(Clone, Copy)]
struct PartOf<'a> {
    place: InDatabase<'a>,
    seconds: u32,
    share: f64,
}

/// Returns one line each for the namespaces that lose most keys, are idle most, and expire soonest.
/// It is not escaped. `now` is in seconds since the epoch.
pub(super) fn lines(snapshot: &Snapshot, now: f64) -> Vec<String> {
    let lines = [
        evicted(snapshot),
        idle(snapshot),
        expiring(snapshot),
        burst(snapshot, now),
    ];
    lines.into_iter().flatten().collect()
}

fn evicted(snapshot: &Snapshot) -> Option<String> {
    let keys: Vec<(InDatabase<'_>, &str, f64)> = samples(snapshot, EVICTED).collect();
    let all: f64 = keys.iter().map(|(_, _, keys)| keys).sum();
    let parts = keys.iter().map(|(place, _, keys)| PartOf {
        place: *place,
        seconds: 0,
        share: keys / all.max(1.0),
    });
    let parts = parts.filter(|part| part.share >= SHARE_MIN).collect();
    let all = counted(all, "key", "keys");
    joined(parts).map(|parts| format!("Evicted most: {parts} of {all}"))
}

/// Uses the longest time for which a namespace has idle memory.
fn idle(snapshot: &Snapshot) -> Option<String> {
    let parts = parts_of(snapshot, IDLE, MEMORY);
    let longest = parts.iter().map(|part| part.seconds).max()?;
    let parts = parts.into_iter().filter(|part| part.seconds == longest);
    let time = duration(longest.into());
    joined(parts.collect()).map(|parts| format!("Idle most: {parts} not used for {time}"))
}

/// Uses the shortest time in which keys of a namespace expire.
fn expiring(snapshot: &Snapshot) -> Option<String> {
    let parts = parts_of(snapshot, EXPIRING, KEYS);
    let shortest = parts.iter().map(|part| part.seconds).min()?;
    let parts = parts.into_iter().filter(|part| part.seconds == shortest);
    let time = duration(shortest.into());
    joined(parts.collect()).map(|parts| format!("Expiring soonest: {parts} within {time}"))
}

fn burst(snapshot: &Snapshot, now: f64) -> Option<String> {
    let shares: HashMap<InDatabase<'_>, f64> = samples(snapshot, BURST)
        .map(|(place, _, share)| (place, share))
        .collect();
    let times = samples(snapshot, BURST_TIME).filter(|(_, _, time)| *time > now);
    let bursts = times.filter_map(|(place, _, time)| {
        let share = *shares.get(&place)?;
        (share >= BURST_MIN).then_some((place, time - now, share))
    });
    let (place, wait, share) = bursts.min_by(|one, other| one.1.total_cmp(&other.1))?;
    let (name, share) = (name(place), percent(share));
    let wait = duration(wait);
    Some(format!("Expiring together: {share} of {name} in {wait}"))
}

/// Yields the labels and the value of each sample of a family: the place, the third label or nothing,
/// and the number.
fn samples<'a>(
    snapshot: &'a Snapshot,
    family: &str,
) -> impl Iterator<Item = (InDatabase<'a>, &'a str, f64)> {
    let run = snapshot.family(family).into_iter();
    run.flat_map(|run| run.samples()).filter_map(|sample| {
        let SampleValue::Number(number) = sample.value else {
            return None;
        };
        let mut labels = sample.label_values();
        let place = [labels.next()?, labels.next()?];
        Some((place, labels.next().unwrap_or(""), number))
    })
}

/// Returns the significant parts of namespaces, whose third label is a time in seconds.
fn parts_of<'a>(snapshot: &'a Snapshot, part: &str, whole: &str) -> Vec<PartOf<'a>> {
    let wholes = samples(snapshot, whole).map(|(place, _, number)| (place, number));
    let wholes: HashMap<InDatabase<'_>, f64> = wholes.collect();
    let parts = samples(snapshot, part).filter_map(|(place, seconds, number)| {
        Some(PartOf {
            place,
            seconds: seconds.parse().ok()?,
            share: number / wholes.get(&place)?.max(1.0),
        })
    });
    parts.filter(|part| part.share >= SHARE_MIN).collect()
}

/// Lists the largest parts; `None` if there are none.
fn joined(parts: Vec<PartOf<'_>>) -> Option<String> {
    let mut parts = parts;
    parts.sort_by(|one, other| other.share.total_cmp(&one.share));
    parts.truncate(NAMESPACES_MAX);
    let texts = parts.iter();
    let texts = texts.map(|part| format!("{} {}", name(part.place), percent(part.share)));
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Returns the beginning of a long name.
pub(super) fn shortened(name: &str, characters: usize) -> String {
    let mut shown: String = name.chars().take(characters).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

fn name([database, name]: InDatabase<'_>) -> String {
    let shown = shortened(name, NAME_MAX);
    if database == "db0" {
        shown
    } else {
        format!("{shown} ({database})")
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share.min(1.0) * 100.0)
}

/// Formats a time in its largest unit, truncated.
fn duration(seconds: f64) -> String {
    let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")];
    let unit = units.into_iter().find(|(size, _)| seconds >= *size);
    let (size, unit) = unit.unwrap_or((1.0, "s"));
    format!("{:.0} {unit}", (seconds / size).floor())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metric::{Family, Unit, source};

    type Pair = Family<2>;
    type Triple = Family<3>;

    const LABELS: &[&str; 2] = &["db", "key_namespace"];
    const IDLE_LABELS: &[&str; 3] = &["db", "key_namespace", "idle"];
    const EXPIRING_LABELS: &[&str; 3] = &["db", "key_namespace", "within"];

    static KEYS_ROW: Pair = Family::gauge(KEYS, LABELS, source("", ""), Unit::One, "");
    static MEMORY_ROW: Pair = Family::gauge(MEMORY, LABELS, source("", ""), Unit::Bytes, "");
    static EVICTED_ROW: Pair = Family::counter(EVICTED, LABELS, source("", ""), Unit::One, "");
    static IDLE_ROW: Triple = Family::gauge(IDLE, IDLE_LABELS, source("", ""), Unit::Bytes, "");
    static EXPIRING_ROW: Triple =
        Family::gauge(EXPIRING, EXPIRING_LABELS, source("", ""), Unit::One, "");
    static BURST_ROW: Pair = Family::gauge(BURST, LABELS, source("", ""), Unit::One, "");
    static TIME_ROW: Pair = Family::gauge(BURST_TIME, LABELS, source("", ""), Unit::Seconds, "");

    /// Returns a snapshot of these namespaces of a database. Each later one has more of everything.
    pub(in super::super) fn snapshot(database: &str, names: &[&str]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (place, name) in (1_u32..).zip(names) {
            let (labels, place) = ([database, name], f64::from(place));
            snapshot.push(&KEYS_ROW, labels, 1_000.0);
            snapshot.push(&MEMORY_ROW, labels, 1_000.0);
            snapshot.push(&EVICTED_ROW, labels, 10_000.0 * place);
            for (idle, part) in [("60", 200.0), ("3600", 100.0), ("86400", 1.0)] {
                snapshot.push(&IDLE_ROW, [database, name, idle], part * place);
            }
            for (within, part) in [("60", 1.0), ("300", 60.0), ("900", 200.0)] {
                snapshot.push(&EXPIRING_ROW, [database, name, within], part * place);
            }
            snapshot.push(&BURST_ROW, labels, 0.15 * place);
            snapshot.push(&TIME_ROW, labels, 1_000.0 + 100.0 * place);
        }
        snapshot.finish()
    }

    #[test]
    fn largest_shares_come_first() {
        let snapshot = snapshot("db0", &["a", "b", "c", "d"]);
        let expected = [
            "Evicted most: d 40%, c 30%, b 20% of 100,000 keys",
            "Idle most: d 40%, c 30%, b 20% not used for 1 h",
            "Expiring soonest: d 24%, c 18%, b 12% within 5 min",
            "Expiring together: 30% of b in 3 min",
        ];
        assert_eq!(lines(&snapshot, 1_000.0), expected);
    }

    #[test]
    fn past_bursts_and_small_parts_are_left_out() {
        let snapshot = snapshot("db3", &["a"]);
        let lines = lines(&snapshot, 5_000.0);
        let expected = [
            "Evicted most: a (db3) 100% of 10,000 keys",
            "Idle most: a (db3) 10% not used for 1 h",
            "Expiring soonest: a (db3) 6% within 5 min",
        ];
        assert_eq!(lines, expected);
        assert!(super::lines(&Snapshot::default(), 0.0).is_empty());
    }

    #[test]
    fn lines_are_short_with_many_long_names() {
        let names: Vec<String> = (0..100)
            .map(|at| format!("{at}{}", "ö".repeat(200)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let lines = lines(&snapshot("db0", &names), 1_000.0);
        assert!(lines.len() <= 4);
        assert!(
            lines.iter().all(|line| line.chars().count() < 200),
            "{lines:?}"
        );
    }
}
