//! Runs and scrapes an exporter: ours, or `redis_exporter`.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Outcome;
use crate::running::{Running, free_address};
use crate::server::Server;

const NAMESPACES: &str = "namespaces:\n\
    - { name: session, match: 'session:*' }\n\
    - { name: api-cache, match: 'api:cache:*' }\n\
    - { name: ratelimit, match: 'ratelimit:*' }\n\
    - { name: websocket, match: 'websocket:*' }\n\
    - { name: feature, match: 'feature:*' }\n";

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    /// The process.
    pub process: Running,
    /// The time of the start.
    pub started: Instant,
    address: SocketAddr,
    _folder: TempDir,
}

impl Exporter {
    /// Starts our exporter with these settings of the sweep.
    pub fn ours(server: &Server, sweep: &str) -> Outcome<Self> {
        Self::at(server.address, sweep)
    }

    /// Starts our exporter for the server at this address.
    pub fn at(address: SocketAddr, sweep: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("config.yaml");
        let text = format!(
            "sweep: {{ {sweep} }}\n{NAMESPACES}targets: [{{ name: cache, url: 'redis://{address}' }}]\n"
        );
        fs::write(&path, text)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_redis-namespace-exporter"));
        command.env_clear().arg("--config").arg(path);
        Self::start(command, folder, "--web.listen-address")
    }

    /// Starts `redis_exporter` with these flags.
    pub fn redis_exporter(server: &Server, flags: &[&str]) -> Outcome<Self> {
        let mut command = Command::new("prometheus-redis-exporter");
        let url = format!("redis://{}", server.address);
        command.args(["-redis.addr", &url]).args(flags);
        Self::start(command, tempfile::tempdir()?, "-web.listen-address")
    }

    fn start(mut command: Command, folder: TempDir, listen: &str) -> Outcome<Self> {
        let address = free_address()?;
        command.args([listen, &address.to_string()]);
        Ok(Self {
            started: Instant::now(),
            process: Running::start(&mut command)?,
            address,
            _folder: folder,
        })
    }

    /// Sends a signal to the process, by its name.
    pub fn signal(&self, name: &str) -> Outcome<()> {
        let arguments = [format!("-{name}"), self.process.id().to_string()];
        if Command::new("kill").args(arguments).status()?.success() {
            Ok(())
        } else {
            Err("cannot send a signal".into())
        }
    }

    /// Scrapes once.
    pub fn page(&self) -> Outcome<Page> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2 * 60)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Ok(Page(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Scrapes until a condition is met.
    pub fn until(&self, limit: Duration, holds: impl Fn(&Page) -> bool) -> Outcome<Page> {
        let started = Instant::now();
        loop {
            if let Ok(page) = self.page()
                && holds(&page)
            {
                return Ok(page);
            }
            if started.elapsed() > limit {
                return Err("the page does not come to what it should".into());
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Scrapes until the first pass is complete.
    pub fn pass(&self) -> Outcome<Page> {
        self.until(Duration::from_secs(3 * 60), |page| {
            page.value("redis_exporter_sweep_passes_total", "") >= Some(1.0)
        })
    }

    /// Returns the resident memory, in megabytes of 1,000,000 bytes.
    pub fn resident(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.ok_or("no VmRSS in /proc")?.parse::<f64>()? * 1024.0 / 1e6)
    }
}

/// A page of metrics.
#[derive(Debug)]
pub struct Page(pub String);

impl Page {
    /// Returns the first sample of a name whose line contains this text.
    pub fn value(&self, name: &str, part: &str) -> Option<f64> {
        let line = self.0.lines().find(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && rest.contains(part)
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Returns a metric of one namespace.
    pub fn of(&self, metric: &str, namespace: &str) -> Outcome<f64> {
        let name = format!("redis_key_namespace_{metric}");
        let part = format!("key_namespace=\"{namespace}\"");
        let value = self.value(&name, &part);
        value.ok_or_else(|| format!("no {name} of {namespace}").into())
    }
}
