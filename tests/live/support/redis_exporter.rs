//! Runs the distribution's package of `redis_exporter`, for comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use super::http;
use super::port;
use super::process::Process;
use super::redis::RedisServer;
use super::wait::{LONG, until};

const MISSING: &str = "prometheus-redis-exporter is missing: run scripts/test, or \
                       apt-get install prometheus-redis-exporter";

/// A running `redis_exporter`. Dropping it ends the process.
#[derive(Debug)]
pub struct RedisExporter {
    _process: Process,
    port: u16,
}

impl RedisExporter {
    /// Starts it for a server, and waits until it responds.
    pub fn of(server: &RedisServer, flags: &[&str]) -> Self {
        let port = port::free();
        let mut command = Command::new("prometheus-redis-exporter");
        command
            .env_clear()
            .arg(format!("-web.listen-address=127.0.0.1:{port}"))
            .arg(format!("-redis.addr={}", server.url()))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let redis_exporter = Self {
            _process: Process::start(&mut command).expect(MISSING),
            port,
        };
        until(LONG, "a response of redis_exporter", || {
            http::get(port, "/health").ok()
        });
        redis_exporter
    }

    /// Returns its page.
    pub fn exposition(&self) -> Exposition {
        Exposition::parse(&http::get_unchunked(self.port, "/metrics").unwrap().text())
    }
}

/// A sample without its value: the name, and the labels in any order.
pub type Series = (String, BTreeSet<String>);

/// A page to compare with that of another program. Label values must not contain commas.
#[derive(Debug)]
pub struct Exposition {
    /// The type of each family.
    pub kinds: BTreeMap<String, String>,
    /// The value of each sample.
    pub samples: BTreeMap<Series, f64>,
}

impl Exposition {
    /// Parses a page.
    pub fn parse(text: &str) -> Self {
        let mut kinds = BTreeMap::new();
        let mut samples = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let labels = labels.trim_end_matches('}').split(',');
                let labels = labels.filter(|label| !label.is_empty());
                let series = (name.to_owned(), labels.map(ToOwned::to_owned).collect());
                samples.insert(series, value.parse().unwrap());
            }
        }
        Self { kinds, samples }
    }
}
