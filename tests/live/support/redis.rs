//! Runs a real Redis or Valkey, with a client that does not add to its statistics.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::port;
use super::process::Process;
use super::server::Server;
use super::wait::{LONG, until};
use super::wall_clock::WallClock;

/// A server with its own folder.
#[derive(Debug)]
pub struct RedisServer {
    program: Server,
    process: Process,
    folder: TempDir,
    arguments: Vec<String>,
    /// Variables of its environment.
    variables: Vec<(&'static str, String)>,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl RedisServer {
    /// Starts the selected server with further arguments, and waits until it responds.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_as(Server::selected(), arguments)
    }

    /// Starts this server with further arguments, and waits until it responds.
    pub fn start_as(program: Server, arguments: &[&str]) -> Self {
        Self::start_with(program, arguments, Vec::new())
    }

    /// Starts a server with this clock, and waits until it responds. That of the distribution cannot
    /// have one: its allocator reads the clock before libfaketime is ready.
    pub fn with_clock(clock: &WallClock) -> Self {
        let program = match Server::selected() {
            Server::Distribution => Server::NewestRedis,
            newest => newest,
        };
        Self::start_with(program, &[], clock.variables().into())
    }

    fn start_with(
        program: Server,
        arguments: &[&str],
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port::free();
        let mut all = words(&format!("--port {port} --bind 127.0.0.1 --dir"));
        all.push(folder.path().to_str().unwrap().to_owned());
        all.extend(["--save".to_owned(), String::new()]);
        all.extend(arguments.iter().map(ToString::to_string));
        Self::run(program, folder, port, all, variables)
    }

    /// Starts a sentinel with these lines in its configuration.
    pub fn sentinel(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port::free();
        let file = folder.path().join("sentinel.conf");
        let place = folder.path().display();
        let text = format!("port {port}\nbind 127.0.0.1\ndir {place}\n{lines}\n");
        fs::write(&file, text).unwrap();
        let arguments = vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        Self::run(Server::selected(), folder, port, arguments, Vec::new())
    }

    fn run(
        program: Server,
        folder: TempDir,
        port: u16,
        arguments: Vec<String>,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let process = spawn(program, &folder, &arguments, &variables);
        let mut server = Self {
            program,
            process,
            folder,
            arguments,
            variables,
            port,
        };
        server.wait_until_it_responds();
        server
    }

    /// Waits for any reply, including an error while it is loading or without a password.
    fn wait_until_it_responds(&mut self) {
        until(LONG, "a response of redis-server", || {
            if let Some(status) = self.process.ended() {
                panic!("redis-server ended with {status}: {}", self.log());
            }
            let mut client = Client::connect(self.port).ok()?;
            client.try_ask(&["PING"]).ok().map(drop)
        });
    }

    /// Returns its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Returns the path of a file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns its address, such as `127.0.0.1:6379`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns its URL without credentials.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Sends a command over a new connection.
    pub fn ask(&self, words: &[&str]) -> String {
        Client::connect(self.port).unwrap().ask(words)
    }

    /// Sends a command over a new connection, with this password.
    pub fn ask_as(&self, password: &str, words: &[&str]) -> String {
        let mut client = Client::connect(self.port).unwrap();
        client.ask(&["AUTH", password]);
        client.ask(words)
    }

    /// Returns the value of a field of INFO, or `None` if there is no such field.
    pub fn info(&self, field: &str) -> Option<String> {
        let info = self.ask(&["INFO", "everything"]);
        let value = info
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.map(ToOwned::to_owned)
    }

    /// Returns the lines of CLIENT LIST that are connections of an exporter.
    pub fn exporter_connections(&self) -> Vec<String> {
        let clients = self.ask(&["CLIENT", "LIST"]);
        let is_ours = |line: &&str| line.contains(" name=redis-namespace-exporter ");
        clients
            .lines()
            .filter(is_ours)
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Stops the process. Connections stay open.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Resumes the process.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// Kills it, like `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Restarts it on another port with the same data, and waits until it responds.
    pub fn restart_elsewhere(&mut self) {
        self.kill();
        self.port = port::free();
        self.restart(&["--port", &self.port.to_string()]);
    }

    /// Restarts it on the same port, and waits until it responds.
    pub fn restart(&mut self, further: &[&str]) {
        self.kill();
        self.arguments
            .extend(further.iter().map(ToString::to_string));
        let arguments = &self.arguments;
        self.process = spawn(self.program, &self.folder, arguments, &self.variables);
        self.wait_until_it_responds();
    }
}

fn spawn(
    program: Server,
    folder: &TempDir,
    arguments: &[String],
    variables: &[(&'static str, String)],
) -> Process {
    let output = fs::File::create(folder.path().join("output")).unwrap();
    let mut command = Command::new(program.program());
    command
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null());
    Process::start(&mut command).unwrap_or_else(|| panic!("{}", program.missing()))
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(ToOwned::to_owned).collect()
}

/// A connection that only sends the commands of the test.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects. The server may not have accepted the connection yet.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(LONG))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command. An error reply fails the test.
    pub fn ask(&mut self, words: &[&str]) -> String {
        let reply = self.try_ask(words).unwrap();
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Sends a command. Lists are returned as lines, errors as `Err`.
    pub fn try_ask(&mut self, words: &[&str]) -> io::Result<Result<String, String>> {
        let mut request = vec![format!("*{}\r\n", words.len())];
        request.extend(
            words
                .iter()
                .map(|word| format!("${}\r\n{word}\r\n", word.len())),
        );
        self.0.get_mut().write_all(request.concat().as_bytes())?;
        self.reply()
    }

    /// Returns the next reply of any kind.
    pub fn reply(&mut self) -> io::Result<Result<String, String>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let rest = line[1..].trim_end().to_owned();
        match line.as_bytes()[0] {
            b'-' => Ok(Err(rest)),
            b'$' if rest.starts_with('-') => Ok(Ok(String::new())),
            b'$' => {
                let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
            }
            b'*' => {
                let mut items = Vec::new();
                for _ in 0..rest.parse::<usize>().unwrap_or(0) {
                    items.push(self.reply()?.unwrap_or_else(|error| error));
                }
                Ok(Ok(items.join("\n")))
            }
            _ => Ok(Ok(rest)),
        }
    }
}
