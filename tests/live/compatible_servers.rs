//! Servers that speak the Redis protocol but report less than Redis, emulated with a recorded INFO.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::support::Launch;

const KEYS: [&str; 3] = ["session:1", "session:2", "other"];

/// Starts a server with this INFO, and returns its port. It ends with the test process.
fn serve(info: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve_client(stream, info));
        }
    });
    port
}

/// Replies until the client closes the connection.
fn serve_client(stream: TcpStream, info: &str) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(words) = command(&mut reader) {
        let reply = reply(&words, info);
        if writer.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads one command as an array of bulk strings.
fn command(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let count = length(reader)?;
    (0..count).map(|_| bulk(reader)).collect()
}

fn bulk(reader: &mut impl BufRead) -> Option<String> {
    let mut bytes = vec![0; length(reader)? + 2];
    reader.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn length(reader: &mut impl BufRead) -> Option<usize> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    line.get(1..)?.trim_end().parse().ok()
}

fn reply(words: &[String], info: &str) -> String {
    match words[0].to_ascii_uppercase().as_str() {
        "PING" => "+PONG\r\n".to_owned(),
        "INFO" => format!("${}\r\n{info}\r\n", info.len()),
        "DBSIZE" => format!(":{}\r\n", KEYS.len()),
        "SCAN" => {
            let keys = KEYS.map(|key| format!("${}\r\n{key}\r\n", key.len()));
            format!("*2\r\n$1\r\n0\r\n*{}\r\n{}", keys.len(), keys.concat())
        }
        "CLIENT" | "SELECT" => "+OK\r\n".to_owned(),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

#[test]
fn keys_are_counted_without_a_keyspace_section() {
    for info in [
        include_str!("../cases/pika-keyspace.info"),
        include_str!("../cases/upstash-like.info"),
    ] {
        let port = serve(info);
        let exporter = Launch::configured(&format!(
            "poll: {{ interval: 500ms, timeout: 500ms }}\n\
             sweep: {{ min_pass_interval: 1s, max_latency: 10s }}\n\
             targets: [{{ url: 'redis://127.0.0.1:{port}' }}]\n"
        ))
        .start();
        let namespace = |name| [("key_namespace", name)];
        let page = exporter.until("the namespaces", |page| {
            page.get("redis_key_namespace_keys", &namespace("session")) == Some(2.0)
        });
        assert_eq!(page.all("redis_db_keys", &[]), [3.0]);
        assert_eq!(page.value("redis_db_keys", &[("db", "db0")]), 3.0);
    }
}
