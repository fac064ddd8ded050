//! Counts the key events of a server by namespace, over a connection of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::redis::RedisServer;
use super::wait::{LONG, until};

/// The events that the exporter counts.
pub const EVENTS: [&str; 2] = ["evicted", "expired"];

/// Numbers of events, by event, database and namespace.
pub type EventCounts = BTreeMap<(String, String, String), f64>;

/// The events so far of the first databases of a server.
#[derive(Debug)]
pub struct TrueEvents {
    /// Bytes that were received and not counted yet. They are only counted on demand: the server cuts
    /// off a subscriber that reads too slowly.
    received: Arc<Mutex<Vec<u8>>>,
    /// The beginning of a message that has not arrived completely.
    rest: Vec<u8>,
    counts: EventCounts,
}

impl TrueEvents {
    /// Subscribes to the events of this many databases, until the server ends.
    pub fn of(server: &RedisServer, databases: u32) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
        let channels = (0..databases)
            .flat_map(|database| EVENTS.map(|event| format!("__keyevent@{database}__:{event}")));
        let channels: Vec<String> = channels.collect();
        let command = format!("SUBSCRIBE {}\r\n", channels.join(" "));
        stream.write_all(command.as_bytes()).unwrap();
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let shared = Arc::clone(&received);
        thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                shared.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        let mut events = Self {
            received,
            rest: Vec::new(),
            counts: EventCounts::new(),
        };
        let mut confirmed = 0;
        until(LONG, "the subscriptions", || {
            confirmed += events.count();
            (confirmed == channels.len()).then_some(())
        });
        events
    }

    /// Returns the counts, once this many events of a kind have arrived. On a busy machine, that takes
    /// a while.
    pub fn once(&mut self, event: &str, number: f64) -> EventCounts {
        until(LONG, "all events", || {
            self.count();
            let counts = self.counts.iter();
            let of_kind = counts.filter(|((of, _, _), _)| of == event);
            (of_kind.map(|(_, keys)| keys).sum::<f64>() >= number).then(|| self.counts.clone())
        })
    }

    /// Counts what has arrived. Returns the number of confirmed subscriptions.
    fn count(&mut self) -> usize {
        let received = std::mem::take(&mut *self.received.lock().unwrap());
        self.rest.extend(received);
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        let (mut lines, mut confirmed) = (text.as_str(), 0);
        loop {
            let parts: Vec<&str> = lines.splitn(8, "\r\n").collect();
            // A message is a list of strings, and a confirmation ends with a number.
            let taken = match parts[..] {
                [_, _, "subscribe", _, _, _, _, ..] => {
                    confirmed += 1;
                    6
                }
                [_, _, "message", _, channel, _, key, _] => {
                    *self.counts.entry(place(channel, key)).or_default() += 1.0;
                    7
                }
                _ => break,
            };
            let length: usize = parts[..taken].iter().map(|part| part.len() + 2).sum();
            lines = &lines[length..];
        }
        self.rest = lines.as_bytes().to_vec();
        confirmed
    }
}

/// Returns the event, the database and the namespace of a message.
fn place(channel: &str, key: &str) -> (String, String, String) {
    let channel = channel.trim_start_matches("__keyevent@");
    let (database, event) = channel.split_once("__:").unwrap();
    let (namespace, _) = key.rsplit_once(':').unwrap();
    (
        event.to_owned(),
        format!("db{database}"),
        namespace.replace(':', "-"),
    )
}
