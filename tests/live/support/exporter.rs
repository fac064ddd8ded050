//! The real binary: started, asked, signalled, or run to its end.

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

/// The walk over the keyspace has a connection and a pace of its own; tests of polls do without it.
const WITHOUT_SWEEP: &str = "sweep: { enabled: false }\n";

/// A configuration that has no walk where it does not speak of one.
fn completed(text: &str) -> String {
    if text.lines().any(|line| line.starts_with("sweep:")) {
        return text.to_owned();
    }
    WITHOUT_SWEEP.to_owned() + text
}

/// The file of host names.
const HOSTS: &str = "hosts";

/// How an exporter is to be started.
#[derive(Debug)]
pub struct Launch {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
    stderr: Option<Stderr>,
    /// The name of a file in `/etc` that it has its own version of, in its folder.
    own_file: Option<&'static str>,
    program: PathBuf,
}

/// Where standard error leads, if not to a file that takes everything.
#[derive(Debug)]
pub enum Stderr {
    /// A file by its path, such as `/dev/full`.
    File(&'static str),
    /// Nowhere: the descriptor is closed.
    Closed,
    /// The writing end of a pipe.
    Pipe(PipeWriter),
}

impl Launch {
    /// Without any argument but the port, and without the walk over the keyspace.
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

    /// Polls one address often, and gives it ample time.
    pub fn of(url: &str) -> Self {
        Self::new()
            .flag(&format!("--redis.addr={url}"))
            .flag("--poll.interval=500ms")
            .flag("--poll.timeout=500ms")
    }

    /// Reads this configuration from a file.
    pub fn configured(text: &str) -> Self {
        let launch = Self::new();
        let path = launch.configuration_path();
        fs::write(&path, completed(text)).unwrap();
        launch.flag(&format!("--config={}", path.display()))
    }

    /// Adds a flag or a subcommand; a later one does not replace an earlier one.
    pub fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(flag.to_owned());
        self
    }

    /// Gives it a text on standard input.
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

    /// The port on 127.0.0.1 that it is to serve at.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Adds an environment variable.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leads standard error elsewhere.
    pub fn with_stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = Some(stderr);
        self
    }

    /// Runs it where `/etc/resolv.conf` has this text. Needs the right to mount.
    pub fn with_resolver(self, text: &str) -> Self {
        self.with_own_file("resolv.conf", text)
    }

    /// Runs it where `/etc/hosts` has this text. Needs the right to mount.
    pub fn with_hosts(self, text: &str) -> Self {
        self.with_own_file(HOSTS, text)
    }

    fn with_own_file(mut self, name: &'static str, text: &str) -> Self {
        fs::write(self.file(name), text).unwrap();
        self.own_file = Some(name);
        self
    }

    /// A file in the folder of the exporter.
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
        // Nothing of the surroundings may decide what a test sees.
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let input = fs::File::open(self.file("stdin")).map_or_else(|_| Stdio::null(), Stdio::from);
        command.args(&self.arguments).stdin(input);
        command
    }

    /// Starts the daemon and waits until every target was polled once.
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

    /// Runs it to its end, which must come soon.
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

/// What a run left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it logged and complained of.
    pub stderr: String,
    /// Where it would have listened.
    pub port: u16,
}

impl Finished {
    /// The exit status.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap()
    }
}

/// A running exporter; ended with the test.
#[derive(Debug)]
pub struct Exporter {
    /// The daemon.
    pub process: Process,
    /// Where it serves on 127.0.0.1.
    pub port: u16,
    launch: Launch,
}

impl Exporter {
    /// Polls one server that needs no password.
    pub fn of(server: &RedisServer) -> Self {
        Launch::of(&server.url()).start()
    }

    /// GET of a path; any status.
    pub fn get(&self, path: &str) -> Response {
        http::get(self.port, path).unwrap()
    }

    /// The page of all targets as it is now.
    pub fn page(&self) -> Page {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200);
        Page(response.text())
    }

    /// Waits for a page of which something holds, and returns it.
    pub fn until(&self, what: &str, holds: impl Fn(&Page) -> bool) -> Page {
        self.within(LONG, what, holds)
    }

    /// The same within a time that matters.
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

    /// Waits for a failure of the only target, with that reason.
    pub fn until_failed(&self, reason: &str) -> Page {
        let page = self.until(reason, |page| page.failure().as_deref() == Some(reason));
        assert_eq!(page.value("redis_up", &[]), 0.0);
        page
    }

    /// Waits until the only target was polled so many times more.
    pub fn polls(&self, more: u32) -> Page {
        self.polls_with(&[], more)
    }

    /// Waits until a target was polled so many times more.
    pub fn polls_of(&self, target: &str, more: u32) -> Page {
        self.polls_with(&[("target", target)], more)
    }

    fn polls_with(&self, labels: &[(&str, &str)], more: u32) -> Page {
        let count = |page: &Page| page.value("redis_exporter_polls_total", labels);
        let wanted = count(&self.page()) + f64::from(more);
        self.until("polls", |page| count(page) >= wanted)
    }

    /// All that it wrote to standard output and standard error. Lines are written in the
    /// background, so this waits until no more arrive for a moment, or for a second.
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

    /// The file of the configuration.
    pub fn configuration_path(&self) -> PathBuf {
        self.launch.configuration_path()
    }

    /// Changes its file of host names.
    pub fn set_hosts(&self, text: &str) {
        fs::write(self.launch.file(HOSTS), text).unwrap();
    }

    /// Writes another configuration; it is read at the next reload.
    pub fn reconfigure(&self, text: &str) {
        let path = self.launch.configuration_path();
        fs::write(path, completed(text)).unwrap();
    }

    /// Asks for a reload over HTTP.
    pub fn reload(&self) -> Response {
        http::send(self.port, "POST", "/-/reload", "").unwrap()
    }
}
