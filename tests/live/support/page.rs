//! An exposition, read as far as tests need it.

/// The text of a page.
#[derive(Clone, Debug)]
pub struct Page(pub String);

impl Page {
    /// The values of all samples of this name that have all these labels.
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
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

    /// The value of the one sample of this name with these labels, if it is there.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let all = self.all(name, labels);
        assert!(all.len() < 2, "{} samples of {name} {labels:?}", all.len());
        all.first().copied()
    }

    /// The value of a sample that must be there.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels)
            .unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.0))
    }

    /// The values of a label over all samples of a name.
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

    /// Whether a single target is up.
    pub fn is_up(&self) -> bool {
        self.get("redis_up", &[]).is_some_and(|up| up > 0.5)
    }

    /// Why the poll of a single target failed; none when it is up or was not polled.
    pub fn failure(&self) -> Option<String> {
        self.label_values("redis_exporter_last_scrape_error", "err", 1.0)
            .pop()
    }
}
