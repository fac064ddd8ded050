//! Processes of benchmarks, and free addresses.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use crate::Outcome;

/// A process that is killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program without output.
    pub fn start(command: &mut Command) -> Outcome<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = quiet
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}; install it, it is needed"))?;
        Ok(Self(child))
    }

    /// Returns the process ID.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails if the process has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns an address that nobody listens on.
pub fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
