//! A `redis-server` on a Unix socket in a temporary folder. Dropping the value ends it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use tempfile::TempDir;

pub struct Server {
    process: Child,
    client: Client,
    /// The folder, which is removed after the process has ended.
    _folder: TempDir,
}

impl Server {
    /// Starts the server and waits until it responds.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let socket = folder.path().join("socket");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server cannot be started ({error}): install it"));
        let address: ConnectionInfo = ConnectionAddr::Unix(socket)
            .into_connection_info()
            .expect("a path is an address");
        let client = Client::open(address).expect("a path is an address");
        let server = Self {
            process,
            client,
            _folder: folder,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.client.get_connection().is_err() {
            assert!(Instant::now() < deadline, "redis-server does not reply");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sets all keys.
    pub fn set(&self, keys: &BTreeSet<Vec<u8>>) {
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.cmd("SET").arg(key).arg(1).ignore();
        }
        let mut connection = self
            .client
            .get_connection()
            .expect("the server accepts a connection");
        let () = pipe.query(&mut connection).expect("the keys can be set");
    }

    /// Returns the keys that each pattern matches, in the order of the patterns.
    pub fn matching(&self, patterns: &[Vec<u8>]) -> Vec<BTreeSet<Vec<u8>>> {
        let mut pipe = redis::pipe();
        for pattern in patterns {
            pipe.cmd("KEYS").arg(pattern);
        }
        let mut connection = self
            .client
            .get_connection()
            .expect("the server accepts a connection");
        pipe.query(&mut connection).expect("KEYS has a reply")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
