//! The exporter's own metrics, kept with the `prometheus` crate. They share no family with
//! snapshots.
//!
//! Each metric is a row. To add one, add its row and count events at their source.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounterVec, Opts, Registry, TextEncoder};

mod rows;

pub use rows::{Counter, Durations, Gauge};

use crate::encode::{Format, openmetrics, prefixed};
use crate::metric::{Descriptor, Names, Snapshot, Summary, Value};
use crate::number::to_float;

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
    targets: Arc<RwLock<HashSet<String>>>,
    registry: Registry,
    /// The values of each row, in the order of the rows.
    values: Arc<[Values]>,
}

#[derive(Debug)]
enum Values {
    Counts(IntCounterVec),
    Numbers(GaugeVec),
    Durations(Histogram),
    /// The value is kept by another row or module.
    None,
}

impl Values {
    fn of(row: &TelemetryRow) -> prometheus::Result<Self> {
        let Descriptor {
            name, labels, help, ..
        } = row.family;
        Ok(match row.kept {
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
                if row.alone.is_none() {
                    for labels in row.known_labels(None) {
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
            Self::None => Ok(()),
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
        let values = ROWS
            .iter()
            .map(Values::of)
            .collect::<Result<Arc<[_]>, _>>()?;
        let registry = Registry::new();
        for (at, (row, values)) in ROWS.iter().zip(values.iter()).enumerate() {
            if process_metrics || at != BUILD_INFO.0 {
                values.register(row, &registry)?;
            }
        }
        #[cfg(target_os = "linux")]
        if process_metrics {
            registry.register(Box::new(
                prometheus::process_collector::ProcessCollector::for_self(),
            ))?;
        }
        let telemetry = Self {
            targets: Arc::default(),
            registry,
            values,
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
        let mut targets = self.targets_to_change();
        targets.insert(target.to_owned());
        for (row, counts) in self.of_targets() {
            for labels in row.known_labels(Some(target)) {
                counts.with_label_values(&labels);
            }
        }
    }

    /// Removes the counters of a target that is no longer configured.
    pub fn end_target(&self, target: &str) {
        let mut targets = self.targets_to_change();
        targets.remove(target);
        for (row, counts) in self.of_targets() {
            for labels in row.known_labels(Some(target)) {
                // An error means that there was nothing to remove.
                let _ = counts.remove_label_values(&labels);
            }
        }
    }

    /// Increments a counter. Does nothing for a target that has been removed.
    pub fn count<const LABELS: usize>(&self, counter: Counter<LABELS>, labels: [&str; LABELS]) {
        let Some(Values::Counts(counts)) = self.values.get(counter.0) else {
            return;
        };
        // The lock prevents the removal of the target in the meantime.
        let targets = self.targets();
        let is_of_target = ROWS.get(counter.0).is_some_and(|row| row.alone.is_some());
        let target = labels.first().filter(|_| is_of_target);
        if target.is_none_or(|target| targets.contains(*target)) {
            counts.with_label_values(&labels).inc();
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

    /// Adds a duration to a histogram.
    pub fn observe(&self, durations: Durations, duration: Duration) {
        if let Some(Values::Durations(durations)) = self.values.get(durations.0) {
            durations.observe(duration.as_secs_f64());
        }
    }

    /// Returns the counters of one target without its name; empty if the target has been removed.
    #[must_use]
    pub fn of_target(&self, target: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let targets = self.targets();
        if targets.contains(target) {
            for (row, counts) in self.of_targets() {
                for labels in row.known_labels(Some(target)) {
                    let count = to_float(counts.with_label_values(&labels).get());
                    if let (Some(alone), [_, labels @ ..]) = (&row.alone, labels.as_slice()) {
                        snapshot.store(alone, labels, Value::Number(count));
                    }
                }
            }
        }
        snapshot.finish()
    }

    /// Returns the metrics for which the `prometheus` crate has no type, or that are kept
    /// elsewhere.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
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

    /// Appends all other metrics as exposition text.
    pub fn write(&self, text: &mut Vec<u8>, names: &Names, format: Format) {
        let mut own = String::new();
        let mut families = self.registry.gather();
        let prefix = names.prefix.as_deref();
        if prefix.is_some() {
            for family in &mut families {
                let name = prefixed(family.name(), prefix).into_owned();
                family.set_name(name);
            }
        }
        if !names.target_label && self.counts_one_target() {
            families.iter_mut().for_each(remove_target_label);
        }
        match TextEncoder::new().encode_utf8(&families, &mut own) {
            Ok(()) if format == Format::OpenMetrics => openmetrics::append(text, &own),
            Ok(()) => text.extend_from_slice(own.as_bytes()),
            Err(error) => tracing::error!(%error, "the exporter's own metrics were not written"),
        }
    }

    /// Yields the rows with a `target` label.
    fn of_targets(&self) -> impl Iterator<Item = (&'static TelemetryRow, &IntCounterVec)> {
        let rows = ROWS.iter().zip(self.values.iter());
        rows.filter_map(|(row, values)| match values {
            Values::Counts(counts) if row.alone.is_some() => Some((row, counts)),
            _ => None,
        })
    }

    fn summary(&self, of: &str) -> Option<Value> {
        let mut rows = ROWS.iter().zip(self.values.iter());
        let (_, values) = rows.find(|(row, _)| row.family.name == of)?;
        let Values::Durations(durations) = values else {
            return None;
        };
        Some(Value::Summary(Box::new(Summary {
            percentiles: Arc::default(),
            count: durations.get_sample_count(),
            sum: durations.get_sample_sum(),
        })))
    }

    fn targets(&self) -> RwLockReadGuard<'_, HashSet<String>> {
        let targets = self.targets.read();
        targets.unwrap_or_else(PoisonError::into_inner)
    }

    fn targets_to_change(&self) -> RwLockWriteGuard<'_, HashSet<String>> {
        let targets = self.targets.write();
        targets.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there is at most one target. During a reload there may be more.
    fn counts_one_target(&self) -> bool {
        self.targets().len() <= 1
    }
}

fn remove_target_label(family: &mut MetricFamily) {
    for metric in family.mut_metric() {
        let mut labels = metric.take_label();
        labels.retain(|label| label.name() != "target");
        metric.set_label(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    const POLLS: Counter<1> = Counter::named("redis_exporter_polls_total");
    const FAILURES: Counter<2> = Counter::named("redis_exporter_poll_failures_total");
    const PANICS: Counter<1> = Counter::named("redis_exporter_task_panics_total");

    #[test]
    fn reasons_start_at_0_and_end_with_the_target() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        telemetry.count(FAILURES, ["cache", "timeout"]);
        let page = |telemetry: &Telemetry| {
            let mut text = Vec::new();
            telemetry.write(&mut text, &Names::default(), Format::Text);
            String::from_utf8(text).unwrap()
        };
        let text = page(&telemetry);
        for reason in Reason::ALL {
            let count = u8::from(reason == Reason::Timeout);
            let name = reason.as_str();
            let line = format!(
                "redis_exporter_poll_failures_total{{reason=\"{name}\",target=\"cache\"}} {count}\n"
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
    fn target_label_is_omitted_for_a_single_target_only() {
        let telemetry = Telemetry::new(true).unwrap();
        let names = Names {
            target_label: false,
            ..Names::default()
        };
        let page = || {
            let mut text = Vec::new();
            telemetry.write(&mut text, &names, Format::Text);
            String::from_utf8(text).unwrap()
        };
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
            let mut text = Vec::new();
            let names = Names {
                prefix: prefix.map(ToOwned::to_owned),
                ..Names::default()
            };
            Telemetry::new(process_metrics)
                .unwrap()
                .write(&mut text, &names, Format::Text);
            String::from_utf8(text).unwrap()
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
        let mut text = crate::encode::encode(&[(None, &telemetry.snapshot())], &Names::default());
        telemetry.write(&mut text, &Names::default(), Format::Text);
        let text = String::from_utf8(text).unwrap();
        for family in families() {
            let header = format!("# TYPE {} {}\n", family.name, family.kind.as_str());
            assert!(text.contains(&header), "{header} is not in {text}");
        }
    }
}
