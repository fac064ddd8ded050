//! A `redis-server` with known keys, and its statistics.

use std::net::SocketAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Outcome;
use crate::running::{Running, free_address};
use crate::wire::Wire;

/// A server with its own folder.
#[derive(Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    _process: Running,
    _folder: TempDir,
}

/// Number of keys that one call writes. A longer call would time out.
const KEYS_PER_CALL: u32 = 200_000;

impl Server {
    /// Starts a server and waits until it responds.
    pub fn start() -> Outcome<Self> {
        let (address, folder) = (free_address()?, tempfile::tempdir()?);
        let port = address.port().to_string();
        let process = Running::start(
            Command::new("redis-server")
                .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
                .args(["--enable-debug-command", "yes"])
                .arg("--dir")
                .arg(folder.path()),
        )?;
        let started = Instant::now();
        while Wire::connect(address)
            .and_then(|mut wire| wire.text(&["PING"]))
            .is_err()
        {
            if started.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not respond".into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(Self {
            address,
            _process: process,
            _folder: folder,
        })
    }

    /// Returns a new connection.
    pub fn connect(&self) -> Outcome<Wire> {
        Wire::connect(self.address)
    }

    /// Runs Lua for every `i` up to `count`.
    pub fn write(&self, count: u32, each: &str) -> Outcome<()> {
        let mut wire = self.connect()?;
        for first in (1..=count).step_by(KEYS_PER_CALL as usize) {
            let last = count.min(first + KEYS_PER_CALL - 1);
            let script = format!("math.randomseed({first}) for i = {first}, {last} do {each} end");
            wire.text(&["EVAL", &script, "0"])?;
        }
        // Waits until the hash table has its final size.
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            let stats = wire.text(&["DEBUG", "HTSTATS", "0"]).unwrap_or_default();
            if !stats.contains("rehashing target") {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Returns the number of keys that match a pattern, and the sum of their MEMORY USAGE.
    pub fn count(&self, pattern: &str) -> Outcome<(f64, f64)> {
        let script = format!(
            "local keys = redis.call('KEYS', '{pattern}') local sum = 0 for _, key in ipairs(keys) \
             do sum = sum + redis.call('MEMORY', 'USAGE', key) end \
             return #keys .. ' ' .. string.format('%.0f', sum)"
        );
        let reply = self.connect()?.text(&["EVAL", &script, "0"])?;
        let (keys, bytes) = reply.split_once(' ').ok_or("no two numbers")?;
        Ok((keys.parse()?, bytes.parse()?))
    }

    /// Returns the CPU time of the server, in seconds.
    pub fn cpu(&self) -> Outcome<f64> {
        let info = self.connect()?.text(&["INFO", "cpu"])?;
        let number = |name: &str| -> Outcome<f64> {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.ok_or("no such field of INFO")?.parse()?)
        };
        Ok(number("used_cpu_user:")? + number("used_cpu_sys:")?)
    }

    /// Returns how often a command was called.
    pub fn calls(&self, command: &str) -> Outcome<f64> {
        let info = self.connect()?.text(&["INFO", "commandstats"])?;
        let start = format!("cmdstat_{command}:calls=");
        let line = info.lines().find_map(|line| line.strip_prefix(&start));
        let number = line.and_then(|line| line.split(',').next());
        Ok(number.map_or(Ok(0.0), str::parse)?)
    }
}
