//! A server whose replies to some commands are provided by the test. To all other commands it
//! replies like Redis.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// INFO of an ordinary server.
const INFO: &str = "# Server\r\nredis_version:7.4.0\r\nredis_mode:standalone\r\nrun_id:abc\r\n\
    # Replication\r\nrole:master\r\n# Keyspace\r\ndb0:keys=1000,expires=0,avg_ttl=0\r\n";

/// A reply: a start, a part that is repeated, and an end.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The start.
    pub head: Vec<u8>,
    /// The repeated part.
    pub unit: Vec<u8>,
    /// Number of repetitions.
    pub times: u64,
    /// The end.
    pub tail: Vec<u8>,
}

impl Payload {
    /// Creates a reply with these bytes.
    pub fn plain(bytes: &[u8]) -> Self {
        Self::repeated(bytes, b"", 0)
    }

    /// Creates a reply with a start and a repeated part.
    pub fn repeated(head: &[u8], unit: &[u8], times: u64) -> Self {
        Self {
            head: head.to_vec(),
            unit: unit.to_vec(),
            times,
            tail: Vec::new(),
        }
    }

    /// Creates an array of this many copies of an element.
    pub fn array(element: &[u8], count: u64) -> Self {
        Self::repeated(format!("*{count}\r\n").as_bytes(), element, count)
    }

    /// Creates a string with a start and a repeated part, of about this many bytes.
    pub fn string(start: &[u8], unit: &[u8], bytes: usize) -> Self {
        let times = bytes / unit.len();
        let length = start.len() + times * unit.len();
        let head = [format!("${length}\r\n").as_bytes(), start].concat();
        let mut payload = Self::repeated(&head, unit, times as u64);
        payload.tail = b"\r\n".to_vec();
        payload
    }

    /// Creates INFO of an ordinary server, followed by a repeated part.
    pub fn info(unit: &[u8], bytes: usize) -> Self {
        Self::string(INFO.as_bytes(), unit, bytes)
    }

    fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(&self.head)?;
        let per_piece = (64 << 10) / self.unit.len().max(1) as u64 + 1;
        let piece = self.unit.repeat(usize::try_from(per_piece).unwrap());
        let mut left = self.times;
        while left > 0 {
            let now = left.min(per_piece);
            stream.write_all(&piece[..usize::try_from(now).unwrap() * self.unit.len()])?;
            left -= now;
        }
        stream.write_all(&self.tail)
    }
}

/// Returns the reply to a command, or `None` for the ordinary reply.
pub type Replies = dyn Fn(&[String]) -> Option<Payload> + Send + Sync;

/// A server. Dropping it ends it.
pub struct Hostile {
    /// Its port on 127.0.0.1.
    pub port: u16,
    is_over: Arc<AtomicBool>,
}

impl Hostile {
    /// Starts a server.
    pub fn start(replies: impl Fn(&[String]) -> Option<Payload> + Send + Sync + 'static) -> Self {
        let replies: Arc<Replies> = Arc::new(replies);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let replies = Arc::clone(&replies);
                // The client ends the connection at some point.
                thread::spawn(move || serve(stream, &*replies));
            }
        });
        Self { port, is_over }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn serve(mut stream: TcpStream, replies: &Replies) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let words = command(&mut reader)?;
        match replies(&words) {
            Some(payload) => payload.send(&mut stream)?,
            None => stream.write_all(&ordinary(&words))?,
        }
    }
}

fn ordinary(words: &[String]) -> Vec<u8> {
    match words[0].as_str() {
        "PING" => b"+PONG\r\n".to_vec(),
        "CLIENT" | "SELECT" => b"+OK\r\n".to_vec(),
        "INFO" => format!("${}\r\n{INFO}\r\n", INFO.len()).into_bytes(),
        "SCAN" => b"*2\r\n$1\r\n0\r\n*0\r\n".to_vec(),
        _ => b"*0\r\n".to_vec(),
    }
}

fn command(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut words = Vec::new();
    for _ in 0..number(reader)? {
        let mut word = vec![0; number(reader)? + 2];
        reader.read_exact(&mut word)?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(words)
}

/// Returns the number in a line such as `*3`.
fn number(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let digits = line.get(1..).unwrap_or_default().trim_end();
    digits
        .parse()
        .map_err(|_| io::ErrorKind::UnexpectedEof.into())
}
