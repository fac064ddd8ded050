//! `ratelimit:{ip}:{endpoint}`: INCR, then EXPIRE 60 when the count is 1.
//!
//! A configured share of the keys never gets its EXPIRE, as if a client crashed between the two
//! commands. Such a key exists forever.

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, cmd};

use crate::popularity;

/// Seconds.
const WINDOW: u64 = 60;
const ENDPOINTS: [&str; 4] = ["login", "search", "upload", "api"];

/// Counts one request of a client.
pub async fn hit(
    connection: &mut MultiplexedConnection,
    random: &mut Rng,
    clients: u64,
    forget_expire: f64,
) -> RedisResult<()> {
    let client = popularity::mild(random, clients);
    let key = key(client, random.u64(..));
    let count: u64 = cmd("INCR").arg(&key).query_async(connection).await?;
    if count == 1 && random.f64() >= forget_expire {
        cmd("EXPIRE")
            .arg(&key)
            .arg(WINDOW)
            .exec_async(connection)
            .await?;
    }
    Ok(())
}

/// Adds the counter of one client and endpoint, with the rest of its minute.
pub fn seed(pipeline: &mut Pipeline, random: &mut Rng, index: u64, forget_expire: f64) {
    let mut command = cmd("SET");
    command.arg(key(index / 4, index)).arg(random.u64(1..100));
    if random.f64() >= forget_expire {
        command.arg("EX").arg(random.u64(1..=WINDOW));
    }
    pipeline.add_command(command).ignore();
}

fn key(client: u64, endpoint: u64) -> String {
    let [.., b, c, d] = client.to_be_bytes();
    let endpoint = usize::try_from(endpoint % 4)
        .ok()
        .and_then(|at| ENDPOINTS.get(at));
    format!("ratelimit:10.{b}.{c}.{d}:{}", endpoint.unwrap_or(&"other"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_address_and_endpoint() {
        assert_eq!(key(0x01_02_03, 1), "ratelimit:10.1.2.3:search");
    }
}
