//! Runs the real binary: starts it, sends requests and signals, or runs it to completion.

use std::fs;
use std::io::PipeWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::http::{self, Response};
use super::page::{self, Page};
use super::port;
use super::process::Process;
use super::redis::RedisServer;
use super::wait::{LONG, until};

/// The sweep has its own connection and pace. Tests of polls disable it.
const WITHOUT_SWEEP: &str = "sweep: { enabled: false }\n";

/// Disables the sweep in a configuration that does not mention it.
fn completed(text: &str) -> String {
    if text.lines().any(|line| line.starts_with("sweep:")) {
        return text.to_owned();
    }
    WITHOUT_SWEEP.to_owned() + text
}

/// The file of host names.
const HOSTS: &str = "hosts";

/// Settings for starting an exporter.
#[derive(Debug)]
pub struct Launch {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
    stderr: Option<Stderr>,
    /// The name of the file in `/etc` that is replaced by one in its folder.
    own_file: Option<&'static str>,
    program: PathBuf,
}

/// Redirection of standard error, if not to an ordinary file.
#[derive(Debug)]
pub enum Stderr {
    /// A file by its path, such as `/dev/full`.
    File(&'static str),
    /// A closed descriptor.
    Closed,
    /// The writing end of a pipe.
    Pipe(PipeWriter),
}

impl Launch {
    /// Creates a launch without flags except the port, and without the sweep.
    pub fn new() -> Self {
        let port = port::free();
        let launch = Self {
            arguments: vec![format!("--web.listen-address=127.0.0.1:{port}")],
            environment: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            port,
            stderr: None,
            own_file: None,
            program: PathBuf::from(env!("CARGO_BIN_EXE_redis-namespace-exporter")),
        };
        let path = launch.file("without-sweep.yaml");
        fs::write(&path, WITHOUT_SWEEP).unwrap();
        launch.variable("REDIS_EXPORTER_CONFIG", path.to_str().unwrap())
    }

    /// Creates a launch that polls one address often, with a long timeout.
    pub fn of(url: &str) -> Self {
        Self::new()
            .flag(&format!("--redis.addr={url}"))
            .flag("--poll.interval=500ms")
            .flag("--poll.timeout=500ms")
    }

    /// Creates a launch with this configuration file.
    pub fn configured(text: &str) -> Self {
        let launch = Self::new();
        let path = launch.configuration_path();
        fs::write(&path, completed(text)).unwrap();
        launch.flag(&format!("--config={}", path.display()))
    }

    /// Adds a flag or a command. A later one does not replace an earlier one.
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Provides a text on standard input.
    pub fn input(self, text: &str) -> Self {
        fs::write(self.file("stdin"), text).unwrap();
        self
    }

    /// Runs this copy of the program.
    pub fn program(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// Leaves the port to the configuration.
    pub fn without_listen_flag(mut self) -> Self {
        self.arguments
            .retain(|flag| !flag.starts_with("--web.listen-address"));
        self
    }

    /// Returns its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Adds an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Redirects standard error.
    pub fn with_stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// Replaces the text of `/etc/resolv.conf`. Requires permission to mount.
    pub fn with_resolver(self, text: &str) -> Self {
        self.with_own_file("resolv.conf", text)
    }

    /// Replaces the text of `/etc/hosts`. Requires permission to mount.
    pub fn with_hosts(self, text: &str) -> Self {
        self.with_own_file(HOSTS, text)
    }

    fn with_own_file(mut self, name: &'static str, text: &str) -> Self {
        fs::write(self.file(name), text).unwrap();
        self.own_file = Some(name);
        self
    }

    /// Returns the path of a file in the exporter's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration_path(&self) -> PathBuf {
        self.file("config.yaml")
    }

    fn command(&self) -> Command {
        const MOUNT: &str = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
        let mut command = match (&self.stderr, &self.own_file) {
            // Only a shell can start a program with a closed descriptor.
            (Some(Stderr::Closed), _) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "exec \"$0\" \"$@\" 2>&-"]);
                command.arg(&self.program);
                command
            }
            (_, Some(name)) => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "/bin/sh", "-c", MOUNT]);
                command.arg(self.file(name)).arg(format!("/etc/{name}"));
                command.arg(&self.program);
                command
            }
            _ => Command::new(&self.program),
        };
        // The environment must not influence tests.
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let input = fs::File::open(self.file("stdin")).map_or_else(|_| Stdio::null(), Stdio::from);
        command.args(&self.arguments).stdin(input);
        command
    }

    /// Starts the daemon and waits until every target has been polled.
    pub fn start(self) -> Exporter {
        let mut exporter = self.start_without_waiting();
        until(LONG, "a ready exporter", || {
            if let Some(status) = exporter.process.ended() {
                panic!("the exporter ended with {status}: {}", exporter.log());
            }
            let ready = http::get(exporter.port, "/-/ready").ok()?;
            (ready.status == 200).then_some(())
        });
        exporter
    }

    /// Starts the daemon.
    pub fn start_without_waiting(self) -> Exporter {
        let log = |name| fs::File::create(self.file(name)).unwrap();
        let mut command = self.command();
        command.stdout(log("stdout"));
        match &self.stderr {
            None | Some(Stderr::Closed) => command.stderr(log("stderr")),
            Some(Stderr::File(path)) => {
                command.stderr(fs::File::options().write(true).open(path).unwrap())
            }
            Some(Stderr::Pipe(pipe)) => command.stderr(pipe.try_clone().unwrap()),
        };
        let process = Process::start(&mut command).unwrap();
        Exporter {
            process,
            port: self.port,
            launch: self,
        }
    }

    /// Runs it until it exits, which must be soon.
    pub fn run(self) -> Finished {
        let port = self.port;
        let mut exporter = self.start_without_waiting();
        let (status, _) = exporter.process.wait(LONG);
        let read = |name| fs::read_to_string(exporter.launch.file(name)).unwrap_or_default();
        Finished {
            status,
            stdout: read("stdout"),
            stderr: read("stderr"),
            port,
        }
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The port at which it would have listened.
    pub port: u16,
}

impl Finished {
    /// Returns the exit code.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap()
    }
}

/// A running exporter. Dropping it ends the process.
#[derive(Debug)]
pub struct Exporter {
    /// The daemon.
    pub process: Process,
    /// Its port on 127.0.0.1.
    pub port: u16,
    launch: Launch,
}

impl Exporter {
    /// Starts an exporter that polls one server without a password.
    pub fn of(server: &RedisServer) -> Self {
        Launch::of(&server.url()).start()
    }

    /// Sends a GET request. The response may have any status.
    pub fn get(&self, path: &str) -> Response {
        http::get(self.port, path).unwrap()
    }

    /// Returns the current page of all targets.
    pub fn page(&self) -> Page {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200);
        Page(response.text())
    }

    /// Waits for a page that meets a condition, and returns it.
    pub fn until(&self, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
        self.within(LONG, what, holds)
    }

    /// Does the same with a time limit that is part of the test.
    pub fn within(&self, limit: Duration, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
        page::forget_what_was_looked_up();
        let mut last = self.page();
        let started = std::time::Instant::now();
        loop {
            if holds(&last) {
                return last;
            }
            assert!(
                started.elapsed() < limit,
                "waited {limit:?} for: {what}\n{}\nlog:\n{}",
                last.excerpt(),
                self.log()
            );
            sleep(Duration::from_millis(10));
            last = self.page();
        }
    }

    /// Waits until the only target fails with this reason.
    pub fn until_failed(&self, reason: &str) -> Page {
        let page = self.until(reason, |page| page.failure().as_deref() == Some(reason));
        assert_eq!(page.value("redis_up", &[]), 0.0);
        page
    }

    /// Waits until the only target was polled this many more times.
    pub fn polls(&self, more: u32) -> Page {
        self.polls_with(&[], more)
    }

    /// Waits until a target was polled this many more times.
    pub fn polls_of(&self, target: &str, more: u32) -> Page {
        self.polls_with(&[("target", target)], more)
    }

    fn polls_with(&self, labels: &[(&str, &str)], more: u32) -> Page {
        let count = |page: &Page| page.value("redis_exporter_polls_total", labels);
        let wanted = count(&self.page()) + f64::from(more);
        self.until("polls", |page| count(page) >= wanted)
    }

    /// Returns everything that it wrote to standard output and standard error.
    ///
    /// Lines are written in the background. Therefore this waits, at most a second, until no more
    /// arrive.
    pub fn log(&self) -> String {
        let mut before = self.written();
        for _ in 0..20 {
            sleep(Duration::from_millis(50));
            let now = self.written();
            if now == before {
                break;
            }
            before = now;
        }
        before
    }

    fn written(&self) -> String {
        let read = |name| fs::read_to_string(self.launch.file(name)).unwrap_or_default();
        read("stdout") + &read("stderr")
    }

    /// Returns the path of the configuration file.
    pub fn configuration_path(&self) -> PathBuf {
        self.launch.configuration_path()
    }

    /// Changes its file of host names.
    pub fn set_hosts(&self, text: &str) {
        fs::write(self.launch.file(HOSTS), text).unwrap();
    }

    /// Writes another configuration, which the next reload reads.
    pub fn reconfigure(&self, text: &str) {
        let path = self.launch.configuration_path();
        fs::write(path, completed(text)).unwrap();
    }

    /// Ends the process, and returns how to start it again at the same port.
    pub fn stop(mut self) -> Launch {
        self.process.kill();
        self.launch
    }

    /// Requests a reload over HTTP.
    pub fn reload(&self) -> Response {
        http::send(self.port, "POST", "/-/reload", "").unwrap()
    }
}
