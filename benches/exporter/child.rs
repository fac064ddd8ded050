//! The measured processes. Dropping a value ends its process.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Outcome;
use crate::bare_server;
use crate::client::{Client, Encoding};
use crate::running::{Running, free_address};

const EXPORTER: &str = env!("CARGO_BIN_EXE_redis-namespace-exporter");

/// The exporter of the distribution, for comparison.
pub const REDIS_EXPORTER: &str = "prometheus-redis-exporter";

/// Maximum wait until a process responds.
const START_MAX: Duration = Duration::from_secs(10);

/// A `redis-server` with its own folder.
#[derive(Debug)]
pub struct Redis {
    /// Its address.
    pub address: SocketAddr,
    _process: Running,
    _folder: TempDir,
}

impl Redis {
    /// Starts a server and waits until it responds.
    pub fn start() -> Outcome<Self> {
        let (address, folder) = (free_address()?, tempfile::tempdir()?);
        let port = address.port().to_string();
        let process = Running::start(
            Command::new("redis-server")
                .args(["--port", &port, "--bind", "127.0.0.1", "--save", ""])
                .args(["--maxclients", "5000", "--dir"])
                .arg(folder.path()),
        )?;
        let redis = Self {
            address,
            _process: process,
            _folder: folder,
        };
        until("redis-server", || {
            let mut connection = redis.connect()?;
            Ok(redis::cmd("PING").query::<()>(&mut connection)?)
        })?;
        Ok(redis)
    }

    /// Returns a new connection.
    pub fn connect(&self) -> Outcome<redis::Connection> {
        Ok(redis::Client::open(self.url())?.get_connection()?)
    }

    fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

/// A server of `/metrics`.
#[derive(Debug)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    /// The process.
    pub process: Running,
}

impl Server {
    fn start(address: SocketAddr, command: &mut Command) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let process = Running::start(command)?;
        until(&name, || {
            let mut client = Client::connect(address, Encoding::Identity)?;
            client.scrape()?;
            if client.text().contains("redis_up") {
                Ok(())
            } else {
                Err("no target was polled yet".into())
            }
        })?;
        Ok(Self { address, process })
    }

    /// Returns a connection for scrapes.
    pub fn client(&self, encoding: Encoding) -> Outcome<Client> {
        Client::connect(self.address, encoding)
    }
}

/// Starts the exporter with one target.
pub fn exporter(redis: &Redis, interval: &str) -> Outcome<Server> {
    let address = free_address()?;
    let mut command = exporter_command(address);
    command
        .args(["--redis.addr", &redis.url()])
        .args(["--poll.interval", interval]);
    Server::start(address, &mut command)
}

/// Starts the exporter with a configuration file.
pub fn exporter_of(config: &Path) -> Outcome<Server> {
    let address = free_address()?;
    let mut command = exporter_command(address);
    command.arg("--config").arg(config);
    Server::start(address, &mut command)
}

fn exporter_command(address: SocketAddr) -> Command {
    let mut command = Command::new(EXPORTER);
    command
        .env_clear()
        // Like the image and the systemd unit.
        .env("MALLOC_ARENA_MAX", "1")
        .env("MALLOC_MMAP_THRESHOLD_", "131072")
        .args(["--web.listen-address", &address.to_string()]);
    command
}

/// Starts this program as a server of a page.
pub fn bare_server(page: &Path) -> Outcome<Server> {
    let address = free_address()?;
    let page = page.to_string_lossy();
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args([bare_server::ROLE, &page])
        .env(bare_server::ADDRESS, address.to_string());
    Server::start(address, &mut command)
}

/// `redis_exporter` with its default flags.
#[derive(Debug)]
pub struct RedisExporter(pub Server);

impl RedisExporter {
    /// Starts it and waits until it has scraped.
    pub fn start(redis: &Redis) -> Outcome<Self> {
        let address = free_address()?;
        let mut command = Command::new(REDIS_EXPORTER);
        command
            .args(["-redis.addr", &redis.url()])
            .args(["-web.listen-address", &address.to_string()]);
        Server::start(address, &mut command).map(Self)
    }
}

fn until(name: &str, attempt: impl Fn() -> Outcome<()>) -> Outcome<()> {
    let started = Instant::now();
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > START_MAX => {
                return Err(format!("{name} does not respond: {error}").into());
            }
            Err(_) => sleep(Duration::from_millis(20)),
        }
    }
}

/// Returns the version of a program, if it is installed.
pub fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map_or_else(
        |error| error.to_string(),
        |output| {
            let both = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&both).into_owned()
        },
    );
    text.lines().next().unwrap_or_default().to_owned()
}

/// Returns the text of a system file, or nothing if it does not exist.
pub fn system_file(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
