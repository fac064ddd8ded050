//! Writes the notes below the table: how to read it, what is missing and why.

use super::report::{PassEnd, Queried, Report, telling_expiry, telling_idle};
use super::table::NAME_MAX;
use crate::invisible::one_line;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::estimate::Estimate;
use crate::number::to_count;
use crate::quantity;

/// Maximum number of notes on bursts.
const BURSTS_MAX: usize = 3;

/// Returns the notes below the table. `left_out` has the columns that do not fit.
#[must_use]
pub fn all(report: &Report, left_out: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    let rows = || report.rows.iter().map(|row| &row.estimate);
    let is_uncertain = |estimate: Estimate| estimate.error >= 0.5;
    let is_sampled = rows().any(|row| {
        let estimates = [Some(row.keys), row.memory, row.without_ttl];
        estimates.into_iter().flatten().any(is_uncertain)
    });
    if is_sampled {
        notes.push(
            "± is half the width of the 95% confidence interval: keys changed during the pass, or \
             only a sample was queried."
                .to_owned(),
        );
    }
    if rows().any(|row| row.longest_ttl.is_some()) {
        let columns = [
            (
                "TTL MEDIAN",
                "TTL MEDIAN is the histogram bucket that contains the median.",
            ),
            ("TTL MAX", "TTL MAX is the longest one seen."),
        ];
        let shown = columns.iter();
        let shown = shown.filter(|(heading, _)| !left_out.contains(heading));
        let explained: Vec<&str> = shown.map(|(_, note)| *note).collect();
        if !explained.is_empty() {
            notes.push(format!("TTLs are remaining TTLs. {}", explained.join(" ")));
        }
    }
    notes.extend(ages(report, left_out));
    notes.extend(lookups(&report.queried));
    if let Some(share) = report.explained_share() {
        let share = quantity::long_percent(share);
        notes.push(format!(
            "The namespaces use {share} of the memory that the server uses for its data."
        ));
    }
    for seen in &report.databases {
        if report.end != PassEnd::Complete && seen.coverage < 1.0 && seen.keys > 0 {
            let (share, keys) = (
                quantity::long_percent(seen.coverage),
                quantity::whole_count(seen.keys),
            );
            notes.push(format!(
                "Only {share} of the {keys} keys in db{} were seen.",
                seen.database
            ));
        }
    }
    notes.extend(report.refused.iter().map(|query| refusal(*query)));
    if !left_out.is_empty() {
        notes.push(format!(
            "To fit, the table omits {}; --output=json has everything.",
            left_out.join(", ")
        ));
    }
    notes
}

/// Returns the notes on idle and expiring keys, and on evictions. Columns that do not fit need none.
fn ages(report: &Report, left_out: &[&str]) -> Vec<String> {
    let mut notes = Vec::new();
    let seconds = |seconds: f64| quantity::long_duration(to_count(seconds) * 1_000);
    let idle = telling_idle(&report.rows).filter(|_| !left_out.contains(&"IDLE"));
    if let Some(least) = idle.map(seconds) {
        let sampled = quantity::whole_count(report.queried.idle);
        notes.push(format!(
            "IDLE {least} is the share of the memory that was not used for {least}, from {sampled} \
             sampled keys."
        ));
    }
    let expiry = telling_expiry(&report.rows).filter(|_| !left_out.contains(&"EXPIRE"));
    if let Some(within) = expiry {
        let within = seconds(within.into());
        notes.push(format!(
            "EXPIRE {within} is the share of the keys that expires within {within} unless the TTLs \
             are renewed."
        ));
    }
    notes.extend(bursts(report));
    if let Some(horizon) = report.horizon {
        let (time, error) = (seconds(horizon.seconds), seconds(horizon.error.ceil()));
        notes.push(format!(
            "Redis evicts keys that were not used for {time} (± {error})."
        ));
    }
    if !report.evicted.is_empty() && !left_out.contains(&"EVICT/S") {
        notes.push(
            "EVICT/S is the estimated number of keys evicted per second in up to five minutes, from keys \
             that are followed between the passes."
                .to_owned(),
        );
    }
    let evicted = report.removed.evicted_per_second();
    if let Some(evicted) = evicted.filter(|evicted| *evicted >= 0.5) {
        let evicted = quantity::counted(evicted, "key", "keys");
        let missing = if report.evicted.is_empty() {
            " One pass does not show of which namespaces; --watch shows it after a few minutes."
        } else {
            ""
        };
        notes.push(format!("The server evicted {evicted} per second.{missing}"));
    }
    notes
}

/// Returns a note for each of the largest bursts of keys that expire together.
fn bursts(report: &Report) -> Vec<String> {
    let bursts = report.rows.iter().filter_map(|row| {
        let burst = row.expiring.burst?;
        Some((burst.share * row.estimate.keys.value, burst, row))
    });
    let mut bursts: Vec<_> = bursts.collect();
    bursts.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let shown = bursts.into_iter().take(BURSTS_MAX);
    shown
        .map(|(_, burst, row)| {
            let share = quantity::long_percent(burst.share);
            let name = one_line(&row.name, NAME_MAX);
            let wait =
                quantity::long_duration(to_count((burst.at - report.ended).max(0.0)) * 1_000);
            format!("{share} of the keys of {name} expire within ten seconds, {wait} from now.")
        })
        .collect()
}

/// Returns a note on the use of the lookups, and how to change their number.
fn lookups(queried: &Queried) -> Option<String> {
    let lookups = queried.lookups;
    let caused = quantity::whole_counted(lookups, "lookup, which counts", "lookups, which count");
    let note = if queried.ttls > 0 && queried.ttls < queried.keys {
        format!(
            "TTLs are from a sample of {}. The pass caused {caused} in the hit ratio of the server; \
             change the number with --lookups.",
            quantity::whole_counted(queried.ttls, "key", "keys")
        )
    } else if lookups > 0 {
        format!("The pass caused {caused} in the hit ratio of the server.")
    } else {
        return None;
    };
    Some(note)
}

/// Returns what is missing because of a rejected command, and the remedy.
fn refusal(query: SweepQuery) -> String {
    let (command, missing) = match query {
        SweepQuery::Scan => ("SCAN", "keys are"),
        SweepQuery::Memory => ("MEMORY USAGE", "memory is"),
        SweepQuery::Expiry => ("PTTL", "TTLs are"),
        SweepQuery::Type => ("TYPE", "types are"),
        SweepQuery::Idle => ("OBJECT IDLETIME", "idle times are"),
    };
    let permission = query.query().permission;
    format!(
        "The server rejected {command}, so {missing} missing: grant the user {permission} and read \
         access to the keys."
    )
}
