//! A minimal parser of expositions.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    /// Metric names that this thread has looked up. A failing test prints their samples.
    static LOOKED_UP: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Samples that explain most failures: why a poll failed, and the state of the sweep.
const ALWAYS_SHOWN: [&str; 5] = [
    "redis_up",
    "redis_exporter_last_scrape_error",
    "redis_exporter_sweep_passes_total",
    "redis_exporter_sweep_success",
    "redis_exporter_sweep_coverage_ratio",
];

/// Maximum number of printed samples of one metric.
const SAMPLES_MAX: usize = 20;

/// Forgets which metrics were looked up.
pub fn forget_what_was_looked_up() {
    LOOKED_UP.with_borrow_mut(BTreeSet::clear);
}

/// The text of a page.
#[derive(Clone, Debug)]
pub struct Page(pub String);

impl Page {
    /// Returns the values of all samples with this name and these labels.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        LOOKED_UP.with_borrow_mut(|names| names.insert(name.to_owned()));
        let wanted: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{value}\""))
            .collect();
        self.0
            .lines()
            .filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let (labels, value) = rest.rsplit_once(' ')?;
                let inner = match labels {
                    "" => "",
                    labels => labels.strip_prefix('{')?.strip_suffix('}')?,
                };
                let pairs: Vec<&str> = inner.split(',').collect();
                let fits = wanted.iter().all(|pair| pairs.contains(&pair.as_str()));
                fits.then(|| value.parse().unwrap())
            })
            .collect()
    }

    /// Returns the value of the only sample with this name and these labels, if it exists.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let all = self.all(name, labels);
        assert!(all.len() < 2, "{} samples of {name} {labels:?}", all.len());
        all.first().copied()
    }

    /// Returns the value of a sample that must exist.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels)
            .unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.excerpt()))
    }

    /// Returns the samples of the metrics that the test has looked up, for its message.
    pub fn excerpt(&self) -> String {
        let mut names = LOOKED_UP.with_borrow(Clone::clone);
        names.extend(ALWAYS_SHOWN.map(str::to_owned));
        let mut lines = Vec::new();
        for name in names {
            // Each reason for which the last poll did not fail has a sample.
            let is_noise = |line: &str| name.ends_with("_error") && line.ends_with("\"} 0");
            let of_name = |line: &&str| {
                let rest = line.strip_prefix(&name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && !is_noise(line)
            };
            let found: Vec<&str> = self.0.lines().filter(of_name).collect();
            if found.is_empty() {
                lines.push(format!("{name}: no sample"));
            }
            lines.extend(found.iter().take(SAMPLES_MAX).map(ToString::to_string));
            if found.len() > SAMPLES_MAX {
                lines.push(format!("… and {} more", found.len() - SAMPLES_MAX));
            }
        }
        lines.join("\n")
    }

    /// Returns the values of a label over all samples of a name.
    pub fn label_values(&self, name: &str, label: &str, value: f64) -> Vec<String> {
        let start = format!("{name}{{");
        let found = self
            .0
            .lines()
            .filter(|line| line.starts_with(&start))
            .filter_map(|line| {
                let (labels, number) = line.rsplit_once(' ')?;
                let (_, rest) = labels.split_once(&format!("{label}=\""))?;
                let is_it = number
                    .parse::<f64>()
                    .is_ok_and(|number| number.total_cmp(&value).is_eq());
                is_it.then(|| rest.split('"').next().unwrap_or_default().to_owned())
            });
        found.collect()
    }

    /// Returns whether the single target is up.
    pub fn is_up(&self) -> bool {
        self.get("redis_up", &[]).is_some_and(|up| up > 0.5)
    }

    /// Returns why the poll of the single target failed, or `None` if it is up or was not polled.
    pub fn failure(&self) -> Option<String> {
        self.label_values("redis_exporter_last_scrape_error", "err", 1.0)
            .pop()
    }
}
