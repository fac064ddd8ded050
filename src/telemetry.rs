//! The exporter's own metrics, kept with the `prometheus` crate. They share no family with
//! snapshots.
//!
//! Each metric is a row. To add one, add its row and count events at their source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounterVec, Opts, Registry, TextEncoder};

mod panics;
mod process;
mod readings;
mod rows;

pub use panics::PanickedTask;
pub use rows::{Counter, Durations, Gauge};

use crate::encode::{Format, Labeled, PageWriter, openmetrics, prefixed};
use crate::metric::{Descriptor, Names, Percentiles, Snapshot, Summary, Value};
use crate::number::to_float;

use panics::LastPanics;
use process::Process;
use rows::{ROWS, Storage, TelemetryRow};

/// Upper edges for poll durations, in seconds: from a local poll to the longest sensible timeout.
const POLL_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 10.0];

const BUILD_INFO: Gauge<3> = Gauge::named("redis_exporter_build_info");

/// Returns the families of the exporter's own metrics, except process metrics.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    ROWS.iter().map(|row| &row.family).collect()
}

/// The exporter's own metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The current targets. An aborted task may still be in the middle of a poll, and must not
    /// bring the counters of its target back.
    targets: Arc<RwLock<BTreeMap<String, TargetCounts>>>,
    /// Number of counters of each target.
    of_target: usize,
    /// `None` without process metrics.
    process: Option<Process>,
    registry: Registry,
    panics: LastPanics,
    /// The values of each row, in the order of the rows.
    values: Arc<[Values]>,
}

/// The counters of one target: those of each row with a `target` label, one for each known value of
/// its last label.
#[derive(Debug)]
struct TargetCounts {
    counts: Box<[AtomicU64]>,
    /// Whether they are on the page of all targets.
    is_listed: bool,
}

#[derive(Debug)]
enum Values {
    /// The counters are in [`TargetCounts`], from this index on.
    ByTarget(usize, Vec<&'static str>),
    Counts(IntCounterVec),
    Numbers(GaugeVec),
    Durations(Histogram),
    /// The value is kept by another row or module.
    None,
}

impl Values {
    /// `first` is the number of counters of a target in earlier rows.
    fn of(row: &TelemetryRow, first: usize) -> prometheus::Result<Self> {
        let Descriptor {
            name, labels, help, ..
        } = row.family;
        Ok(match row.kept {
            Storage::Count if row.alone.is_some() => Self::ByTarget(first, row.last_labels()),
            Storage::Count => Self::Counts(IntCounterVec::new(Opts::new(name, help), labels)?),
            Storage::Number => Self::Numbers(GaugeVec::new(Opts::new(name, help), labels)?),
            Storage::Durations => Self::Durations(Histogram::with_opts(
                HistogramOpts::new(name, help).buckets(POLL_SECONDS.to_vec()),
            )?),
            Storage::Summary(_) | Storage::Elsewhere(_) => Self::None,
        })
    }

    /// Registers the values on the page. Those with known labels start at once.
    fn register(&self, row: &TelemetryRow, registry: &Registry) -> prometheus::Result<()> {
        match self {
            Self::Counts(counts) => {
                for label in row.last_labels() {
                    let labels: Vec<_> = Some(label)
                        .filter(|label| !label.is_empty())
                        .into_iter()
                        .collect();
                    if labels.len() == row.family.labels.len() {
                        counts.get_metric_with_label_values(&labels)?;
                    }
                }
                registry.register(Box::new(counts.clone()))
            }
            Self::Numbers(numbers) => {
                if row.family.labels.is_empty() {
                    numbers.get_metric_with_label_values::<&str>(&[])?;
                }
                registry.register(Box::new(numbers.clone()))
            }
            Self::Durations(durations) => registry.register(Box::new(durations.clone())),
            Self::ByTarget(..) | Self::None => Ok(()),
        }
    }
}

impl Telemetry {
    /// Registers all metrics. Without `process_metrics`, the process metrics and the version are
    /// left out.
    ///
    /// # Errors
    ///
    /// Two rows have the same name, or a name is invalid.
    pub fn new(process_metrics: bool) -> prometheus::Result<Self> {
        let mut values = Vec::with_capacity(ROWS.len());
        let mut of_target = 0;
        for row in ROWS {
            let of_row = Values::of(row, of_target)?;
            if let Values::ByTarget(_, labels) = &of_row {
                of_target += labels.len();
            }
            values.push(of_row);
        }
        let registry = Registry::new();
        for (at, (row, values)) in ROWS.iter().zip(values.iter()).enumerate() {
            if process_metrics || at != BUILD_INFO.0 {
                values.register(row, &registry)?;
            }
        }
        let telemetry = Self {
            targets: Arc::default(),
            of_target,
            process: process_metrics.then(Process::new),
            registry,
            panics: LastPanics::default(),
            values: values.into(),
        };
        let known = |value: Option<&'static str>| {
            let value = value.filter(|value| !value.is_empty());
            value.unwrap_or("unknown")
        };
        let version = env!("CARGO_PKG_VERSION");
        let commit = known(option_env!("EXPORTER_COMMIT"));
        let date = known(option_env!("EXPORTER_BUILD_DATE"));
        telemetry.set(BUILD_INFO, [version, commit, date], 1.0);
        Ok(telemetry)
    }

    /// Starts the counters of a target at 0, so that rates include their first increase.
    pub fn start_target(&self, target: &str) {
        self.start(target, true);
    }

    /// Does the same for a target that is not on the page of all targets.
    pub fn start_unlisted_target(&self, target: &str) {
        self.start(target, false);
    }

    fn start(&self, target: &str, is_listed: bool) {
        let counts = || TargetCounts {
            counts: (0..self.of_target).map(|_| AtomicU64::new(0)).collect(),
            is_listed,
        };
        let mut targets = self.targets_to_change();
        let counts = targets.entry(target.to_owned()).or_insert_with(counts);
        counts.is_listed = is_listed;
    }

    /// Removes the counters of a target that is no longer configured.
    pub fn end_target(&self, target: &str) {
        self.targets_to_change().remove(target);
    }

    /// Increments a counter. Does nothing for a target that has been removed.
    pub fn count<const LABELS: usize>(&self, counter: Counter<LABELS>, labels: [&str; LABELS]) {
        self.add(counter, labels, 1);
    }

    /// Adds to a counter. Adding 0 starts it, so that rates include its first increase. Does nothing
    /// for a target that has been removed.
    pub fn add<const LABELS: usize>(
        &self,
        counter: Counter<LABELS>,
        labels: [&str; LABELS],
        number: u64,
    ) {
        match self.values.get(counter.0) {
            Some(Values::Counts(counts)) => counts.with_label_values(&labels).inc_by(number),
            Some(Values::ByTarget(first, known)) => {
                let targets = self.targets();
                if let Some(count) = of_labels(&targets, *first, known, &labels) {
                    count.fetch_add(number, Ordering::Relaxed);
                }
            }
            _ => {}
        }
    }

    /// Removes a counter that belongs to no target.
    pub fn forget<const LABELS: usize>(&self, counter: Counter<LABELS>, labels: [&str; LABELS]) {
        if let Some(Values::Counts(counts)) = self.values.get(counter.0) {
            // There may be none.
            let _ = counts.remove_label_values(&labels);
        }
    }

    /// Returns the value of a counter.
    #[cfg(test)]
    #[must_use]
    pub fn counted<const LABELS: usize>(
        &self,
        counter: Counter<LABELS>,
        labels: [&str; LABELS],
    ) -> u64 {
        match self.values.get(counter.0) {
            Some(Values::Counts(counts)) => counts.with_label_values(&labels).get(),
            Some(Values::ByTarget(first, known)) => {
                let targets = self.targets();
                let count = of_labels(&targets, *first, known, &labels);
                count.map_or(0, |count| count.load(Ordering::Relaxed))
            }
            _ => 0,
        }
    }

    /// Sets a gauge.
    pub fn set<const LABELS: usize>(
        &self,
        gauge: Gauge<LABELS>,
        labels: [&str; LABELS],
        number: f64,
    ) {
        if let Some(Values::Numbers(numbers)) = self.values.get(gauge.0) {
            numbers.with_label_values(&labels).set(number);
        }
    }

    /// Removes a gauge.
    pub fn unset<const LABELS: usize>(&self, gauge: Gauge<LABELS>, labels: [&str; LABELS]) {
        if let Some(Values::Numbers(numbers)) = self.values.get(gauge.0) {
            // There may be none.
            let _ = numbers.remove_label_values(&labels);
        }
    }

    /// Adds a duration to a histogram.
    pub fn observe(&self, durations: Durations, duration: Duration) {
        if let Some(Values::Durations(durations)) = self.values.get(durations.0) {
            durations.observe(duration.as_secs_f64());
        }
    }

    /// Returns the counters of one target without its name; empty if the target has been removed.
    #[must_use]
    pub fn of_target(&self, target: &str) -> Snapshot {
        let targets = self.targets();
        targets
            .get(target)
            .map_or_else(Snapshot::default, |counts| self.counts(counts))
    }

    /// Returns the counters of each listed target without its name, by name.
    fn by_target(&self) -> Vec<(String, Snapshot)> {
        let targets = self.targets();
        let counted = targets.iter().filter(|(_, counts)| counts.is_listed);
        counted
            .map(|(target, counts)| (target.clone(), self.counts(counts)))
            .collect()
    }

    fn counts(&self, counts: &TargetCounts) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (row, values) in ROWS.iter().zip(self.values.iter()) {
            let (Some(alone), Values::ByTarget(first, labels)) = (&row.alone, values) else {
                continue;
            };
            for (label, count) in labels.iter().zip(counts.counts.iter().skip(*first)) {
                let count = to_float(count.load(Ordering::Relaxed));
                let labels = [*label];
                let labels = labels.get(..alone.labels.len()).unwrap_or_default();
                snapshot.store(alone, labels, Value::Number(count));
            }
        }
        snapshot.finish()
    }

    /// Returns the metrics for which the `prometheus` crate has no type, or that are kept
    /// elsewhere.
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for row in ROWS {
            let value = match row.kept {
                Storage::Summary(of) => self.summary(of),
                Storage::Elsewhere(read) => Some(Value::Number(to_float(read()))),
                Storage::Count | Storage::Number | Storage::Durations => None,
            };
            if let Some(value) = value {
                snapshot.store(&row.family, &[], value);
            }
        }
        snapshot.finish()
    }

    /// Adds all metrics about the exporter to a page.
    pub fn write(&self, page: &mut PageWriter, names: &Names, format: Format) {
        page.add(&[(None, &self.snapshot())], names);
        let counted = self.by_target();
        let counted: Vec<Labeled<'_>> = counted
            .iter()
            .map(|(target, counts)| (Some(target.as_str()), counts))
            .collect();
        // During a reload, there may be more targets than on the page.
        if counted.len() > 1 {
            let names = Names {
                target_label: true,
                ..names.clone()
            };
            page.add(&counted, &names);
        } else {
            page.add(&counted, names);
        }
        self.write_registered(page.text(), names, format);
    }

    /// Appends the metrics of the process, and those that the `prometheus` crate keeps.
    fn write_registered(&self, text: &mut Vec<u8>, names: &Names, format: Format) {
        let mut own = String::new();
        if let Some(process) = self.process {
            process.write(&mut own);
        }
        let mut families = self.registry.gather();
        let prefix = names.prefix.as_deref();
        if prefix.is_some() {
            for family in &mut families {
                let name = prefixed(family.name(), prefix).into_owned();
                family.set_name(name);
            }
        }
        match TextEncoder::new().encode_utf8(&families, &mut own) {
            Ok(()) if format == Format::OpenMetrics => openmetrics::append(text, &own),
            Ok(()) => text.extend_from_slice(own.as_bytes()),
            Err(error) => tracing::error!(%error, "the exporter's own metrics were not written"),
        }
    }

    fn summary(&self, of: &str) -> Option<Value> {
        let mut rows = ROWS.iter().zip(self.values.iter());
        let (_, values) = rows.find(|(row, _)| row.family.name == of)?;
        let Values::Durations(durations) = values else {
            return None;
        };
        Some(Value::Summary(Summary {
            percentiles: Percentiles::default(),
            count: durations.get_sample_count(),
            sum: durations.get_sample_sum(),
        }))
    }

    fn targets(&self) -> RwLockReadGuard<'_, BTreeMap<String, TargetCounts>> {
        let targets = self.targets.read();
        targets.unwrap_or_else(PoisonError::into_inner)
    }

    fn targets_to_change(&self) -> RwLockWriteGuard<'_, BTreeMap<String, TargetCounts>> {
        let targets = self.targets.write();
        targets.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the counter for a target and, if the row has two labels, for a value of the second.
fn of_labels<'a>(
    targets: &'a BTreeMap<String, TargetCounts>,
    first: usize,
    known: &[&str],
    labels: &[&str],
) -> Option<&'a AtomicU64> {
    let (target, rest) = labels.split_first()?;
    let label = rest.first().copied().unwrap_or_default();
    let at = known.iter().position(|known| *known == label)?;
    targets.get(*target)?.counts.get(first + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Form;
    use crate::failure::Reason;

    const POLLS: Counter<1> = Counter::named("redis_exporter_polls_total");
    const FAILURES: Counter<2> = Counter::named("redis_exporter_poll_failures_total");
    const PANICS: Counter<1> = Counter::named("redis_exporter_task_panics_total");

    fn page(telemetry: &Telemetry, names: &Names) -> String {
        let form = Form::default();
        let mut page = PageWriter::new(form);
        telemetry.write(&mut page, names, form.format);
        String::from_utf8(page.finish().body.to_vec()).unwrap()
    }

    #[test]
    fn reasons_start_at_0_and_end_with_the_target() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        telemetry.count(FAILURES, ["cache", "timeout"]);
        let page = |telemetry: &Telemetry| page(telemetry, &Names::default());
        let text = page(&telemetry);
        for reason in Reason::ALL {
            let count = u8::from(reason == Reason::Timeout);
            let name = reason.as_str();
            let line = format!(
                "redis_exporter_poll_failures_total{{target=\"cache\",reason=\"{name}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line} is not in {text}");
        }
        telemetry.end_target("cache");
        telemetry.count(POLLS, ["cache"]);
        telemetry.count(FAILURES, ["cache", "closed"]);
        assert!(!page(&telemetry).contains("cache"));
    }

    #[test]
    fn page_of_a_target_has_its_counters_without_its_name() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        telemetry.start_target("other");
        telemetry.count(FAILURES, ["cache", "timeout"]);
        telemetry.count(PANICS, ["cache"]);
        let page = |target| {
            let snapshot = telemetry.of_target(target);
            let text = crate::encode::encode(&[(None, &snapshot)], &Names::default());
            String::from_utf8(text).unwrap()
        };
        let text = page("cache");
        for line in [
            "redis_exporter_polls_total 0\n",
            "redis_exporter_poll_failures_total{reason=\"timeout\"} 1\n",
            "redis_exporter_poll_failures_total{reason=\"closed\"} 0\n",
            "redis_exporter_connects_total 0\n",
            "redis_exporter_task_panics_total 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        telemetry.end_target("cache");
        assert_eq!(page("cache"), "");
        assert!(!page("other").is_empty());
    }

    #[test]
    fn restarted_target_is_listed_if_the_last_start_says_so() {
        let telemetry = Telemetry::new(true).unwrap();
        let has_target = || page(&telemetry, &Names::default()).contains("\"scrape/h:1\"");
        telemetry.start_unlisted_target("scrape/h:1");
        assert!(!has_target());
        telemetry.start_target("scrape/h:1");
        assert!(has_target());
        telemetry.start_unlisted_target("scrape/h:1");
        assert!(!has_target());
    }

    #[test]
    fn target_label_is_omitted_for_a_single_target_only() {
        let telemetry = Telemetry::new(true).unwrap();
        let names = Names {
            target_label: false,
            ..Names::default()
        };
        let page = || page(&telemetry, &names);
        telemetry.start_target("cache");
        let text = page();
        assert!(
            !text.contains("cache") && !text.contains("target="),
            "{text}"
        );
        for line in [
            "\nredis_exporter_polls_total 0\n",
            "\nredis_exporter_poll_failures_total{reason=\"timeout\"} 0\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
        telemetry.start_target("other");
        assert!(page().contains("redis_exporter_polls_total{target=\"other\"} 0\n"));
    }

    #[test]
    fn prefix_applies_and_process_metrics_can_be_omitted() {
        let text = |process_metrics: bool, prefix: Option<&str>| {
            let names = Names {
                prefix: prefix.map(ToOwned::to_owned),
                ..Names::default()
            };
            page(&Telemetry::new(process_metrics).unwrap(), &names)
        };
        assert!(text(true, None).contains("\nredis_exporter_build_info{"));
        let other = text(true, Some("kv"));
        assert!(other.contains("# TYPE kv_exporter_build_info gauge\nkv_exporter_build_info{"));
        assert!(!other.contains("\nredis_"));
        assert!(other.contains("\nprocess_"));
        let bare = text(false, None);
        assert!(!bare.contains("process_") && !bare.contains("build_info"));
        assert!(bare.contains("\nredis_exporter_scrapes_total "));
    }

    #[test]
    fn every_row_is_on_the_page() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        // Values of sources exist while there are sources.
        for (at, row) in ROWS.iter().enumerate() {
            match (row.kept, row.family.labels.len()) {
                (Storage::Number, 1) => telemetry.set(Gauge::<1>(at), ["s"], 1.0),
                (Storage::Number, 2) => telemetry.set(Gauge::<2>(at), ["s", "watched"], 1.0),
                (Storage::Count, 2) if row.alone.is_none() => {
                    telemetry.add(Counter::<2>(at), ["s", "added"], 0);
                }
                _ => {}
            }
        }
        let text = page(&telemetry, &Names::default());
        for family in families() {
            let header = format!("# TYPE {} {}\n", family.name, family.kind.as_str());
            assert!(text.contains(&header), "{header} is not in {text}");
        }
    }
}
