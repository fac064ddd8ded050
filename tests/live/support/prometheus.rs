//! Runs a real Prometheus with the scrape jobs of a test.

use std::fs;
use std::process::{Command, Stdio};

use serde_yaml::Value;
use tempfile::TempDir;

use super::process::Process;
use super::wait::{LONG, until};
use super::{http, port};

const MISSING: &str = "prometheus is missing: run scripts/test, or apt-get install prometheus";

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    port: u16,
    folder: TempDir,
}

impl Prometheus {
    /// Starts it with these jobs (name, port, path) and this scrape interval.
    pub fn start(interval: &str, jobs: &[(&str, u16, &str)]) -> Self {
        let jobs = jobs.iter().map(|(name, port, path)| {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let parameter = query.split_once('=').map(|(name, value)| {
                format!("    params: {{ {name}: [\"{value}\"] }}\n")
            });
            format!(
                "  - job_name: {name}\n    metrics_path: {path}\n{}    static_configs: [{{ targets: \
                 [\"127.0.0.1:{port}\"] }}]\n",
                parameter.unwrap_or_default()
            )
        });
        Self::configured(interval, &jobs.collect::<String>())
    }

    /// Starts it with these `scrape_configs` and this scrape interval.
    pub fn configured(interval: &str, jobs: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!(
            "global: {{ scrape_interval: {interval}, scrape_timeout: {interval} }}\n\
             scrape_configs:\n{jobs}"
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, configuration).unwrap();
        let port = port::free();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let started = Self {
            _process: Process::start(&mut command).expect(MISSING),
            port,
            folder,
        };
        until(LONG * 3, "a ready Prometheus", || {
            let ready = http::get(started.port, "/-/ready").ok()?;
            (ready.status == 200).then_some(())
        });
        started
    }

    /// Returns the `data` of an API response. JSON is parsed as YAML, of which it is a subset.
    pub fn api(&self, path: &str) -> Value {
        let response = http::get(self.port, &format!("/api/v1/{path}")).unwrap();
        let value: Value = serde_yaml::from_str(&response.text()).unwrap();
        value
            .get("data")
            .cloned()
            .unwrap_or_else(|| panic!("{path}: {value:?}; log: {}", self.log()))
    }

    /// Returns the value of the only sample of an expression, or `None` if there is no sample.
    pub fn query(&self, expression: &str) -> Option<f64> {
        let encoded: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let data = self.api(&format!("query?query={encoded}"));
        let result = data.get("result")?.as_sequence()?;
        assert!(result.len() < 2, "{expression} gives {result:?}");
        let value = result.first()?.get("value")?.get(1)?;
        value.as_str()?.parse().ok()
    }

    /// Returns its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}
