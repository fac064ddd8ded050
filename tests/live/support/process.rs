//! A child process that does not outlive its test. It is only addressed by its ID.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::wait::until;

/// A running process. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program. Returns `None` if it is not installed.
    pub fn start(command: &mut Command) -> Option<Self> {
        command.spawn().ok().map(Self)
    }

    /// Returns its process ID.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.0.id().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "SIG{name} was not sent");
    }

    /// Returns the exit status, if it has exited.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until it exits. Returns the status and the time that it took.
    pub fn wait(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let status = until(limit, "the end of the process", || self.ended());
        (status, started.elapsed())
    }

    /// Kills it, like `kill -9`.
    pub fn kill(&mut self) {
        // It fails if the process has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
