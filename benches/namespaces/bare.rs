//! A client that sends the commands of a sweep and discards the replies.

use std::time::Instant;

use crate::Outcome;
use crate::server::Server;
use crate::wire::Reply;

/// Scans all keys once. Returns the number of keys per second.
pub fn scan(server: &Server) -> Outcome<f64> {
    let mut wire = server.connect()?;
    let (started, mut seen, mut cursor) = (Instant::now(), 0_u32, "0".to_owned());
    loop {
        let Reply::List(parts) = wire.ask(&["SCAN", &cursor, "COUNT", "100"])? else {
            return Err("SCAN gave no list".into());
        };
        let mut parts = parts.into_iter();
        if let (Some(Reply::Text(next)), Some(Reply::List(keys))) = (parts.next(), parts.next()) {
            cursor = String::from_utf8(next)?;
            let mut queries = 0;
            for key in &keys {
                if let Reply::Text(key) = key {
                    wire.add(&[b"MEMORY", b"USAGE", key]);
                    wire.add(&[b"PTTL", key]);
                    wire.add(&[b"TYPE", key]);
                    queries += 3;
                    seen += 1;
                }
            }
            wire.flush()?;
            for _ in 0..queries {
                wire.reply()?;
            }
        }
        if cursor == "0" {
            return Ok(f64::from(seen) / started.elapsed().as_secs_f64());
        }
    }
}
