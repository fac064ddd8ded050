//! `session:{user_id}`: JSON of 200 to 800 bytes that expires an hour after the last write.

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, cmd};

use crate::counts::Counts;
use crate::{json, popularity};

/// Seconds.
const TTL: u64 = 3600;
/// Percentage of visits that write the session. All others read it.
const WRITES_PERCENT: u8 = 12;

/// Returns the number of sessions among `keys` seeded keys.
pub fn seeded(keys: u64) -> u64 {
    keys * 9 / 20
}

/// Makes one visit of a user: reads or writes the session. A user without a session logs in.
pub async fn visit(
    connection: &mut MultiplexedConnection,
    random: &mut Rng,
    users: u64,
    counts: &Counts,
) -> RedisResult<()> {
    let user = popularity::mild(random, users);
    if random.u8(0..100) >= WRITES_PERCENT {
        let found: Option<Vec<u8>> = cmd("GET").arg(key(user)).query_async(connection).await?;
        if found.is_some() {
            counts.session_hits.add(1);
            return Ok(());
        }
        counts.session_misses.add(1);
    }
    write(user, TTL, random).exec_async(connection).await
}

/// Adds the session of a user who logged in within the last hour.
pub fn seed(pipeline: &mut Pipeline, random: &mut Rng, user: u64) {
    let remaining = random.u64(1..=TTL);
    pipeline
        .add_command(write(user, remaining, random))
        .ignore();
}

fn key(user: u64) -> String {
    format!("session:{user}")
}

fn write(user: u64, ttl: u64, random: &mut Rng) -> Cmd {
    let head = format!("{{\"user_id\":{user},\"csrf\":\"{:016x}\"", random.u64(..));
    let length = random.usize(200..=800);
    let mut command = cmd("SETEX");
    command
        .arg(key(user))
        .arg(ttl)
        .arg(json::padded(head, length, random));
    command
}
