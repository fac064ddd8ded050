//! A server that speaks the protocol with replies that the test provides. It is used instead of
//! relatives of Redis that cannot be installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Returns the reply to the words of a command, in wire format.
pub type Replies = dyn Fn(&[String]) -> String + Send + Sync;

/// A server. Dropping it ends it.
pub struct FakeServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    done: Arc<AtomicBool>,
}

impl FakeServer {
    /// Starts a server.
    pub fn start(replies: impl Fn(&[String]) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let done = Arc::new(AtomicBool::new(false));
        let (ends, replies) = (Arc::clone(&done), Arc::new(replies));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let replies = Arc::clone(&replies);
                std::thread::spawn(move || serve(stream, &*replies));
            }
        });
        Self { port, done }
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// Returns a reply with this text.
pub fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// Returns a reply to SCAN.
pub fn scanned(cursor: &str, keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| bulk(key)).collect();
    format!("*2\r\n{}*{}\r\n{}", bulk(cursor), keys.len(), keys.concat())
}

fn serve(stream: TcpStream, replies: &Replies) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(words) = command(&mut reader) {
        if writer.write_all(replies(&words).as_bytes()).is_err() {
            return;
        }
    }
}

fn command(reader: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = number(reader, '*')?;
    (0..count)
        .map(|_| {
            let length = number(reader, '$')?;
            let mut bytes = vec![0; length + 2];
            reader.read_exact(&mut bytes).ok()?;
            bytes.truncate(length);
            String::from_utf8(bytes).ok()
        })
        .collect()
}

fn number(reader: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.strip_prefix(sign)?.trim().parse().ok()
}
