//! The exporter's own metrics, kept with the `prometheus` crate. They share no family with
//! snapshots.
//!
//! Each metric is a row too, so that the metric pages lists it.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::encode::{Format, openmetrics, prefixed};
use crate::failure::{Cause, Reason};
use crate::metric::{Descriptor, Family, Names, Snapshot, Source, Summary, Unit, source};
use crate::output;

/// Upper edges for poll durations, in seconds: from a local poll to the longest sensible timeout.
const POLL_SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 10.0];

const SELF: Source = source("the exporter", "");

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, SELF};

    pub(super) static BUILD_INFO: Family<3> = Family::gauge("redis_exporter_build_info", &["version", "commit_sha", "build_date"], SELF, Unit::One, "Version of the exporter; always 1.");
    pub(super) static TARGETS: Family<0> = Family::gauge("redis_exporter_targets", &[], SELF, Unit::One, "Number of configured targets.");
    pub(super) static POLLS: Family<1> = Family::counter("redis_exporter_polls_total", &["target"], SELF, Unit::One, "Finished polls of a target, successful or not.");
    pub(super) static POLL_FAILURES: Family<2> = Family::counter("redis_exporter_poll_failures_total", &["target", "reason"], SELF, Unit::One, "Failed polls, and failed checks between polls, by reason.");
    pub(super) static POLL_DURATION: Family<0> = Family::histogram("redis_exporter_poll_duration_seconds", &[], SELF, Unit::Seconds, "Duration of polls of all targets, in seconds.");
    pub(super) static SCRAPE_DURATION: Family<0> = Family::summary("redis_exporter_scrape_duration_seconds", &[], SELF, Unit::Seconds, "Duration of polls of all targets in seconds, with the name and type of redis_exporter.");
    pub(super) static CONNECTS: Family<1> = Family::counter("redis_exporter_connects_total", &["target"], SELF, Unit::One, "Opened and authenticated connections to a target.");
    pub(super) static RECONNECTS: Family<2> = Family::counter("redis_exporter_reconnects_total", &["target", "cause"], SELF, Unit::One, "Connections to a target that replaced an earlier one without a failed poll, by cause.");
    pub(super) static REPEATED: Family<1> = Family::counter("redis_exporter_repeated_scrapes_total", &["target"], SELF, Unit::One, "Scrapes at a regular interval that returned the same poll of the target as the previous scrape.");
    pub(super) static PANICS: Family<1> = Family::counter("redis_exporter_task_panics_total", &["target"], SELF, Unit::One, "Panics of the task of a target; the task is restarted.");
    pub(super) static SERVICE_PANICS: Family<1> = Family::counter("redis_exporter_service_panics_total", &["task"], SELF, Unit::One, "Panics of tasks that serve all targets; the task is restarted.");
    pub(super) static LOG_LINES_LOST: Family<0> = Family::counter("redis_exporter_log_lines_lost_total", &[], SELF, Unit::One, "Log lines that could not be written to standard error, or not fast enough.");
    // The same families without the target's name, for the page of one target.
    pub(super) static POLLS_ALONE: Family<0> = Family::counter(POLLS.descriptor().name, &[], SELF, Unit::One, POLLS.descriptor().help);
    pub(super) static POLL_FAILURES_ALONE: Family<1> = Family::counter(POLL_FAILURES.descriptor().name, &["reason"], SELF, Unit::One, POLL_FAILURES.descriptor().help);
    pub(super) static CONNECTS_ALONE: Family<0> = Family::counter(CONNECTS.descriptor().name, &[], SELF, Unit::One, CONNECTS.descriptor().help);
    pub(super) static RECONNECTS_ALONE: Family<1> = Family::counter(RECONNECTS.descriptor().name, &["cause"], SELF, Unit::One, RECONNECTS.descriptor().help);
    pub(super) static REPEATED_ALONE: Family<0> = Family::counter(REPEATED.descriptor().name, &[], SELF, Unit::One, REPEATED.descriptor().help);
    pub(super) static PANICS_ALONE: Family<0> = Family::counter(PANICS.descriptor().name, &[], SELF, Unit::One, PANICS.descriptor().help);
    pub(super) static SCRAPES: Family<0> = Family::counter("redis_exporter_scrapes_total", &[], SELF, Unit::One, "Scrapes with a successful response.");
    pub(super) static SCRAPE_REQUEST_ERRORS: Family<0> = Family::counter("redis_target_scrape_request_errors_total", &[], SELF, Unit::One, "Requests for a single target with a missing or unknown target name.");
    pub(super) static UNAUTHORIZED_REQUESTS: Family<0> = Family::counter("redis_exporter_unauthorized_requests_total", &[], SELF, Unit::One, "Requests rejected because of missing or wrong credentials, or because too many passwords were waiting to be verified.");
    pub(super) static RELOAD_SUCCESSFUL: Family<0> = Family::gauge("redis_exporter_config_last_reload_successful", &[], SELF, Unit::One, "Whether the last load of the configuration succeeded (1) or failed (0).");
    pub(super) static RELOAD_TIMESTAMP: Family<0> = Family::gauge("redis_exporter_config_last_reload_success_timestamp_seconds", &[], SELF, Unit::Seconds, "Time of the last successful load of the configuration, in seconds since the epoch.");
    pub(super) static PAGE_DURATION: Family<0> = Family::gauge("redis_exporter_page_duration_seconds", &[], SELF, Unit::Seconds, "Time to write and compress the page of all targets the last time, in seconds.");
}

/// The tasks counted by [`Telemetry::service_panicked`].
const SERVICES: [&str; 4] = ["pages", "files", "reloads", "watch"];

/// Returns the families of the exporter's own metrics, except process metrics.
#[must_use]
pub fn families() -> Vec<&'static Descriptor> {
    vec![
        rows::BUILD_INFO.descriptor(),
        rows::TARGETS.descriptor(),
        rows::POLLS.descriptor(),
        rows::POLL_FAILURES.descriptor(),
        rows::POLL_DURATION.descriptor(),
        rows::SCRAPE_DURATION.descriptor(),
        rows::CONNECTS.descriptor(),
        rows::RECONNECTS.descriptor(),
        rows::REPEATED.descriptor(),
        rows::PANICS.descriptor(),
        rows::SERVICE_PANICS.descriptor(),
        rows::LOG_LINES_LOST.descriptor(),
        rows::SCRAPES.descriptor(),
        rows::SCRAPE_REQUEST_ERRORS.descriptor(),
        rows::UNAUTHORIZED_REQUESTS.descriptor(),
        rows::RELOAD_SUCCESSFUL.descriptor(),
        rows::RELOAD_TIMESTAMP.descriptor(),
        rows::PAGE_DURATION.descriptor(),
    ]
}

/// The exporter's own metrics. Clones share their values.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The current targets. An aborted task may still be in the middle of a poll, and must not
    /// bring the counters of its target back.
    targets_counted: Arc<RwLock<HashSet<String>>>,
    registry: Registry,
    polls: IntCounterVec,
    failures: IntCounterVec,
    durations: Histogram,
    connects: IntCounterVec,
    reconnects: IntCounterVec,
    repeated: IntCounterVec,
    panics: IntCounterVec,
    service_panics: IntCounterVec,
    targets: IntGauge,
    reload_successful: IntGauge,
    reload_timestamp: IntGauge,
    page_duration: Gauge,
    /// Scrapes answered with samples.
    pub scrapes: IntCounter,
    /// Requests for one target that named no target, or one that is not configured.
    pub scrape_request_errors: IntCounter,
    /// Requests without the right user name and password.
    pub unauthorized_requests: IntCounter,
}

impl Telemetry {
    /// Registers all metrics. Without `process_metrics`, the process metrics and the version are
    /// left out.
    ///
    /// # Errors
    ///
    /// Two rows have the same name, or a name is invalid.
    pub fn new(process_metrics: bool) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = IntGaugeVec::new(
            opts(&rows::BUILD_INFO),
            rows::BUILD_INFO.descriptor().labels,
        )?;
        let known = |value: Option<&'static str>| {
            let value = value.filter(|value| !value.is_empty());
            value.unwrap_or("unknown")
        };
        let version = env!("CARGO_PKG_VERSION");
        let commit = known(option_env!("EXPORTER_COMMIT"));
        let date = known(option_env!("EXPORTER_BUILD_DATE"));
        build
            .get_metric_with_label_values(&[version, commit, date])?
            .set(1);
        let telemetry = Self {
            targets_counted: Arc::default(),
            polls: IntCounterVec::new(opts(&rows::POLLS), rows::POLLS.descriptor().labels)?,
            failures: IntCounterVec::new(
                opts(&rows::POLL_FAILURES),
                rows::POLL_FAILURES.descriptor().labels,
            )?,
            durations: Histogram::with_opts(
                HistogramOpts::from(opts(&rows::POLL_DURATION)).buckets(POLL_SECONDS.to_vec()),
            )?,
            connects: IntCounterVec::new(
                opts(&rows::CONNECTS),
                rows::CONNECTS.descriptor().labels,
            )?,
            reconnects: IntCounterVec::new(
                opts(&rows::RECONNECTS),
                rows::RECONNECTS.descriptor().labels,
            )?,
            repeated: IntCounterVec::new(
                opts(&rows::REPEATED),
                rows::REPEATED.descriptor().labels,
            )?,
            panics: IntCounterVec::new(opts(&rows::PANICS), rows::PANICS.descriptor().labels)?,
            service_panics: IntCounterVec::new(
                opts(&rows::SERVICE_PANICS),
                rows::SERVICE_PANICS.descriptor().labels,
            )?,
            targets: IntGauge::with_opts(opts(&rows::TARGETS))?,
            reload_successful: IntGauge::with_opts(opts(&rows::RELOAD_SUCCESSFUL))?,
            reload_timestamp: IntGauge::with_opts(opts(&rows::RELOAD_TIMESTAMP))?,
            page_duration: Gauge::with_opts(opts(&rows::PAGE_DURATION))?,
            scrapes: IntCounter::with_opts(opts(&rows::SCRAPES))?,
            scrape_request_errors: IntCounter::with_opts(opts(&rows::SCRAPE_REQUEST_ERRORS))?,
            unauthorized_requests: IntCounter::with_opts(opts(&rows::UNAUTHORIZED_REQUESTS))?,
            registry,
        };
        let registry = &telemetry.registry;
        if process_metrics {
            registry.register(Box::new(build))?;
            #[cfg(target_os = "linux")]
            registry.register(Box::new(
                prometheus::process_collector::ProcessCollector::for_self(),
            ))?;
        }
        registry.register(Box::new(telemetry.polls.clone()))?;
        registry.register(Box::new(telemetry.failures.clone()))?;
        registry.register(Box::new(telemetry.durations.clone()))?;
        registry.register(Box::new(telemetry.connects.clone()))?;
        registry.register(Box::new(telemetry.reconnects.clone()))?;
        registry.register(Box::new(telemetry.repeated.clone()))?;
        registry.register(Box::new(telemetry.panics.clone()))?;
        registry.register(Box::new(telemetry.service_panics.clone()))?;
        for service in SERVICES {
            telemetry.service_panics.with_label_values(&[service]);
        }
        registry.register(Box::new(telemetry.targets.clone()))?;
        registry.register(Box::new(telemetry.reload_successful.clone()))?;
        registry.register(Box::new(telemetry.reload_timestamp.clone()))?;
        registry.register(Box::new(telemetry.page_duration.clone()))?;
        registry.register(Box::new(telemetry.scrapes.clone()))?;
        registry.register(Box::new(telemetry.scrape_request_errors.clone()))?;
        registry.register(Box::new(telemetry.unauthorized_requests.clone()))?;
        Ok(telemetry)
    }

    /// Starts the counters of a target at 0, so that rates include their first increase.
    pub fn start_target(&self, target: &str) {
        let mut counted = self
            .targets_counted
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        counted.insert(target.to_owned());
        self.polls.with_label_values(&[target]);
        self.connects.with_label_values(&[target]);
        self.repeated.with_label_values(&[target]);
        self.panics.with_label_values(&[target]);
        for reason in Reason::ALL {
            self.failures.with_label_values(&[target, reason.as_str()]);
        }
        for cause in Cause::ALL {
            self.reconnects.with_label_values(&[target, cause.as_str()]);
        }
    }

    /// Removes the counters of a target that is no longer configured.
    pub fn end_target(&self, target: &str) {
        let mut counted = self
            .targets_counted
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        counted.remove(target);
        // An error means that there was nothing to remove.
        let _ = self.polls.remove_label_values(&[target]);
        let _ = self.connects.remove_label_values(&[target]);
        let _ = self.repeated.remove_label_values(&[target]);
        let _ = self.panics.remove_label_values(&[target]);
        for reason in Reason::ALL {
            let _ = self
                .failures
                .remove_label_values(&[target, reason.as_str()]);
        }
        for cause in Cause::ALL {
            let labels = [target, cause.as_str()];
            let _ = self.reconnects.remove_label_values(&labels);
        }
    }

    /// Increments a counter of a target, unless the target has been removed. The lock prevents its
    /// removal in the meantime.
    fn count(&self, target: &str, counter: &IntCounterVec, labels: &[&str]) {
        let targets = self
            .targets_counted
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if targets.contains(target) {
            counter.with_label_values(labels).inc();
        }
    }

    /// Counts a poll and its duration.
    pub fn polled(&self, target: &str, duration: Duration) {
        self.count(target, &self.polls, &[target]);
        self.durations.observe(duration.as_secs_f64());
    }

    /// Counts a failed poll, or a failed check between two polls.
    pub fn failed(&self, target: &str, reason: Reason) {
        self.count(target, &self.failures, &[target, reason.as_str()]);
    }

    /// Counts an opened connection.
    pub fn connected(&self, target: &str) {
        self.count(target, &self.connects, &[target]);
    }

    /// Counts a connection that replaced an earlier one.
    pub fn reconnected(&self, target: &str, cause: Cause) {
        self.count(target, &self.reconnects, &[target, cause.as_str()]);
    }

    /// Counts a scrape that returned the same poll as the previous one.
    pub fn repeated(&self, target: &str) {
        self.count(target, &self.repeated, &[target]);
    }

    /// Counts a panic of a target's task.
    pub fn panicked(&self, target: &str) {
        self.count(target, &self.panics, &[target]);
    }

    /// Counts a panic of a task that serves all targets.
    pub fn service_panicked(&self, service: &str) {
        self.service_panics.with_label_values(&[service]).inc();
    }

    /// Returns the counters of one target without its name; empty if the target has been removed.
    #[must_use]
    pub fn of_target(&self, target: &str) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let targets = self
            .targets_counted
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if targets.contains(target) {
            let counted = |counter: &IntCounterVec, labels: &[&str]| {
                let value = counter.with_label_values(labels).get();
                #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
                let value = value as f64;
                value
            };
            for (family, counter) in [
                (&rows::POLLS_ALONE, &self.polls),
                (&rows::CONNECTS_ALONE, &self.connects),
                (&rows::REPEATED_ALONE, &self.repeated),
                (&rows::PANICS_ALONE, &self.panics),
            ] {
                snapshot.push(family, [], counted(counter, &[target]));
            }
            for reason in Reason::ALL {
                let reason = reason.as_str();
                let failures = counted(&self.failures, &[target, reason]);
                snapshot.push(&rows::POLL_FAILURES_ALONE, [reason], failures);
            }
            for cause in Cause::ALL {
                let cause = cause.as_str();
                let reconnects = counted(&self.reconnects, &[target, cause]);
                snapshot.push(&rows::RECONNECTS_ALONE, [cause], reconnects);
            }
        }
        snapshot.finish()
    }

    /// Returns whether there is at most one target. During a reload there may be more.
    fn counts_one_target(&self) -> bool {
        let targets = self.targets_counted.read();
        targets.unwrap_or_else(PoisonError::into_inner).len() <= 1
    }

    /// Records the number of targets.
    pub fn set_targets(&self, targets: usize) {
        self.targets.set(i64::try_from(targets).unwrap_or(i64::MAX));
    }

    /// Records whether loading the configuration succeeded.
    pub fn loaded(&self, good: bool) {
        self.reload_successful.set(i64::from(good));
        if good {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            self.reload_timestamp
                .set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// Records how long writing the last page took.
    pub fn wrote_page(&self, duration: Duration) {
        self.page_duration.set(duration.as_secs_f64());
    }

    /// Returns the metrics for which the `prometheus` crate has no type.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let summary = Summary {
            percentiles: Vec::new(),
            count: self.durations.get_sample_count(),
            sum: self.durations.get_sample_sum(),
        };
        snapshot.push_summary(&rows::SCRAPE_DURATION, [], summary);
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
        let lost = output::stderr().lost() as f64;
        snapshot.push(&rows::LOG_LINES_LOST, [], lost);
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
}

fn remove_target_label(family: &mut MetricFamily) {
    for metric in family.mut_metric() {
        let mut labels = metric.take_label();
        labels.retain(|label| label.name() != "target");
        metric.set_label(labels);
    }
}

fn opts<const LABELS: usize>(family: &'static Family<LABELS>) -> Opts {
    Opts::new(family.descriptor().name, family.descriptor().help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_a_target_starts_at_zero_and_goes_with_it() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        telemetry.failed("cache", Reason::Timeout);
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
        telemetry.polled("cache", Duration::ZERO);
        telemetry.connected("cache");
        telemetry.failed("cache", Reason::Closed);
        assert!(!page(&telemetry).contains("cache"));
    }

    #[test]
    fn what_is_counted_of_a_target_is_on_its_own_page_without_its_name() {
        let telemetry = Telemetry::new(true).unwrap();
        telemetry.start_target("cache");
        telemetry.start_target("other");
        telemetry.failed("cache", Reason::Timeout);
        telemetry.panicked("cache");
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
    fn target_label_is_left_out_for_a_single_target_only() {
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
    fn names_take_another_prefix_and_the_process_may_be_left_out() {
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
