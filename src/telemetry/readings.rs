//! Reads values of the exporter's own metrics.

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;

use super::{Gauge, Telemetry, Values};

impl Telemetry {
    /// Returns the values of a gauge, each with its labels in the order of their names.
    #[must_use]
    pub fn numbers<const LABELS: usize>(&self, gauge: Gauge<LABELS>) -> Vec<(Vec<String>, f64)> {
        let Some(Values::Numbers(numbers)) = self.values.get(gauge.0) else {
            return Vec::new();
        };
        let families = numbers.collect();
        let metrics = families.iter().flat_map(MetricFamily::get_metric);
        let metrics = metrics.map(|metric| {
            let labels = metric.get_label().iter();
            let labels = labels.map(|label| label.value().to_owned());
            (labels.collect(), metric.get_gauge().get_value())
        });
        metrics.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUCCESS: Gauge<1> = Gauge::named("redis_exporter_discovery_success");

    #[test]
    fn gauge_is_read_with_its_labels() {
        let telemetry = Telemetry::new(false).unwrap();
        assert_eq!(telemetry.numbers(SUCCESS), []);
        telemetry.set(SUCCESS, ["dns:a"], 1.0);
        telemetry.set(SUCCESS, ["file"], 0.0);
        let mut found = telemetry.numbers(SUCCESS);
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let of = |name: &str, number| (vec![name.to_owned()], number);
        assert_eq!(found, [of("dns:a", 1.0), of("file", 0.0)]);
    }
}
