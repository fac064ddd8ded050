//! The rows of the exporter's own metrics: one line each.
//!
//! A row is the whole declaration of a metric: registration, output, and documentation derive from
//! it. Code that counts finds its row by name, at compile time.

use crate::failure::{Cause, Reason};
use crate::metric::{Descriptor, Family, Source, Unit, is_same, source};
use crate::output;

const SELF: Source = source("the exporter", "");

/// Every metric, in the order of the metric page.
#[rustfmt::skip] // One metric, one line.
pub(super) static ROWS: &[TelemetryRow] = &[
    gauge("redis_exporter_build_info", &["version", "commit_sha", "build_date"], Unit::One, "Version of the exporter; always 1."),
    gauge("redis_exporter_targets", &[], Unit::One, "Number of targets, those of sources included."),
    counter("redis_exporter_polls_total", &["target"], "Finished polls of a target, successful or not."),
    counter("redis_exporter_poll_failures_total", &["target", "reason"], "Failed polls, and failed checks between polls, by reason.").for_each(reasons),
    durations("redis_exporter_poll_duration_seconds", "Duration of polls of all targets, in seconds."),
    summary("redis_exporter_scrape_duration_seconds", "redis_exporter_poll_duration_seconds", "Duration of polls of all targets in seconds, with the name and type of redis_exporter."),
    counter("redis_exporter_connects_total", &["target"], "Opened and authenticated connections to a target."),
    counter("redis_exporter_reconnects_total", &["target", "cause"], "Connections to a target that replaced an earlier one without a failed poll, by cause.").for_each(causes),
    counter("redis_exporter_repeated_scrapes_total", &["target"], "Scrapes at a regular interval that returned the same poll of the target as the previous scrape."),
    counter("redis_exporter_task_panics_total", &["target"], "Panics of the task of a target; the task is restarted."),
    counter("redis_exporter_service_panics_total", &["task"], "Panics of tasks that serve all targets; the task is restarted.").for_each(services),
    counter("redis_exporter_log_lines_lost_total", &[], "Log lines that could not be written to standard error, or not fast enough.").counted_by(lost_lines),
    counter("redis_exporter_scrapes_total", &[], "Scrapes with a successful response."),
    counter("redis_target_scrape_request_errors_total", &[], "Requests for a single target with a missing or unknown target name."),
    counter("redis_exporter_refused_scrape_requests_total", &["reason"], "Requests for a server that is not a target: it is not allowed, or over a limit of the number of targets.").for_each(refusals),
    counter("redis_exporter_unauthorized_requests_total", &[], "Requests rejected because of missing or wrong credentials, or because too many passwords were waiting to be verified."),
    gauge("redis_exporter_config_last_reload_successful", &[], Unit::One, "Whether the last load of the configuration succeeded (1) or failed (0)."),
    gauge("redis_exporter_config_last_reload_success_timestamp_seconds", &[], Unit::Seconds, "Time of the last successful load of the configuration, in seconds since the epoch."),
    gauge("redis_exporter_discovery_success", &["discovery"], Unit::One, "Whether the last read of a source of targets succeeded (1) or failed (0)."),
    gauge("redis_exporter_discovery_last_success_timestamp_seconds", &["discovery"], Unit::Seconds, "Time of the last successful read of a source of targets, in seconds since the epoch."),
    gauge("redis_exporter_discovery_targets", &["discovery", "state"], Unit::One, "Number of servers that a source of targets names, by state: watched, or the reason why a server is not a target."),
    counter("redis_exporter_discovery_changes_total", &["discovery", "change"], "Changes of the list of a source of targets since its first read: servers added, removed, moved to another address, and promoted to primary."),
    gauge("redis_exporter_page_duration_seconds", &[], Unit::Seconds, "Time to write and compress the page of all targets the last time, in seconds."),
];

fn reasons() -> Vec<&'static str> {
    Reason::ALL.map(Reason::as_str).to_vec()
}

fn causes() -> Vec<&'static str> {
    Cause::ALL.map(Cause::as_str).to_vec()
}

fn services() -> Vec<&'static str> {
    vec!["pages", "files", "reloads", "watch", "discovery"]
}

fn refusals() -> Vec<&'static str> {
    vec!["not_allowed", "over_limit"]
}

fn lost_lines() -> u64 {
    output::stderr().lost()
}

/// A metric about the exporter.
pub(super) struct TelemetryRow {
    pub(super) family: Descriptor,
    /// The family without the `target` label, for the page of one target.
    pub(super) alone: Option<Descriptor>,
    pub(super) kept: Storage,
    /// The values of the last label, if they are known in advance.
    values: Option<fn() -> Vec<&'static str>>,
}

/// How a value is kept.
#[derive(Clone, Copy)]
pub(super) enum Storage {
    /// A counter for each combination of label values.
    Count,
    /// A gauge.
    Number,
    /// A histogram of seconds.
    Durations,
    /// The count and the sum of the histogram with this name.
    Summary(&'static str),
    /// A counter that another module keeps.
    Elsewhere(fn() -> u64),
}

impl TelemetryRow {
    /// Starts a counter for each of these values of the last label at 0.
    const fn for_each(self, values: fn() -> Vec<&'static str>) -> Self {
        Self {
            values: Some(values),
            ..self
        }
    }

    /// Reads the counter from another module.
    const fn counted_by(self, read: fn() -> u64) -> Self {
        Self {
            kept: Storage::Elsewhere(read),
            ..self
        }
    }

    /// Returns the values of the last label that are known in advance; a single empty one if there
    /// are none.
    pub(super) fn last_labels(&self) -> Vec<&'static str> {
        self.values.map_or_else(|| vec![""], |values| values())
    }
}

const fn counter<const LABELS: usize>(
    name: &'static str,
    labels: &'static [&'static str; LABELS],
    help: &'static str,
) -> TelemetryRow {
    let family = Family::counter(name, labels, SELF, Unit::One, help).into_descriptor();
    TelemetryRow {
        alone: without_target(&family),
        ..row(family, Storage::Count)
    }
}

const fn gauge<const LABELS: usize>(
    name: &'static str,
    labels: &'static [&'static str; LABELS],
    unit: Unit,
    help: &'static str,
) -> TelemetryRow {
    let family = Family::gauge(name, labels, SELF, unit, help);
    row(family.into_descriptor(), Storage::Number)
}

const fn durations(name: &'static str, help: &'static str) -> TelemetryRow {
    let family = Family::histogram(name, &[], SELF, Unit::Seconds, help);
    row(family.into_descriptor(), Storage::Durations)
}

const fn summary(name: &'static str, of: &'static str, help: &'static str) -> TelemetryRow {
    let family = Family::summary(name, &[], SELF, Unit::Seconds, help);
    row(family.into_descriptor(), Storage::Summary(of))
}

const fn row(family: Descriptor, kept: Storage) -> TelemetryRow {
    TelemetryRow {
        family,
        alone: None,
        kept,
        values: None,
    }
}

const fn without_target(family: &Descriptor) -> Option<Descriptor> {
    match family.labels.split_first() {
        Some((first, labels)) if is_same(first, "target") => Some(Descriptor {
            name: family.name,
            kind: family.kind,
            unit: family.unit,
            labels,
            help: family.help,
            source: family.source,
            legacy: None,
        }),
        _ => None,
    }
}

/// Returns the index of a row. A name without a row, or with another number of labels, does not
/// compile.
#[expect(
    clippy::indexing_slicing,
    reason = "const code has no iterators; the place is checked"
)]
const fn place(name: &str, labels: usize) -> usize {
    let mut at = 0;
    loop {
        assert!(at < ROWS.len(), "no row has this name");
        if is_same(ROWS[at].family.name, name) {
            assert!(ROWS[at].family.labels.len() == labels, "the labels differ");
            return at;
        }
        at += 1;
    }
}

#[expect(clippy::indexing_slicing, reason = "`place` returns existing places")]
const fn kept(at: usize) -> Storage {
    ROWS[at].kept
}

/// A row of a counter. To be evaluated at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Counter<const LABELS: usize>(pub(super) usize);

impl<const LABELS: usize> Counter<LABELS> {
    /// Finds the counter with this name.
    ///
    /// # Panics
    ///
    /// At compile time, if no row is such a counter.
    #[must_use]
    pub const fn named(name: &str) -> Self {
        let at = place(name, LABELS);
        assert!(matches!(kept(at), Storage::Count), "not a counter");
        Self(at)
    }
}

/// A row of a gauge. To be evaluated at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<const LABELS: usize>(pub(super) usize);

impl<const LABELS: usize> Gauge<LABELS> {
    /// Finds the gauge with this name.
    ///
    /// # Panics
    ///
    /// At compile time, if no row is such a gauge.
    #[must_use]
    pub const fn named(name: &str) -> Self {
        let at = place(name, LABELS);
        assert!(matches!(kept(at), Storage::Number), "not a gauge");
        Self(at)
    }
}

/// A row of a histogram of seconds. To be evaluated at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Durations(pub(super) usize);

impl Durations {
    /// Finds the histogram with this name.
    ///
    /// # Panics
    ///
    /// At compile time, if no row is such a histogram.
    #[must_use]
    pub const fn named(name: &str) -> Self {
        let at = place(name, 0);
        assert!(matches!(kept(at), Storage::Durations), "not a histogram");
        Self(at)
    }
}
