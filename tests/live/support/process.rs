//! A child process that never outlives its test. It is addressed by its own id alone.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::wait::until;

/// A running child; killed and reaped when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program; none where it is not installed.
    pub fn start(command: &mut Command) -> Option<Self> {
        command.spawn().ok().map(Self)
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal, as `STOP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.0.id().to_string())
            .status()
            .unwrap();
        assert!(status.success(), "SIG{name} was not sent");
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits for the end; returns the status and the time that it took.
    pub fn wait(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let status = until(limit, "the end of the process", || self.ended());
        (status, started.elapsed())
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
