//! `websocket:{connection_id}`: a hash for each open connection, kept alive by heartbeats.
//!
//! The TTL depends on the client's heartbeat interval. A connection ends with DEL, or with its TTL
//! if the client has vanished.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, cmd, pipe};

/// Seconds without a heartbeat after which a connection is considered gone.
const TTLS: [u64; 4] = [180, 300, 600, 900];
const REGIONS: [&str; 3] = ["eu", "us", "ap"];

/// An open connection.
#[derive(Debug)]
pub struct Open {
    id: u64,
    ttl: u64,
}

/// Runs one event of a connection.
///
/// If fewer than `wanted` are open, it is a connect. Otherwise, the connection that has waited
/// longest sends a heartbeat or, sometimes, ends.
pub async fn event(
    connection: &mut MultiplexedConnection,
    random: &mut Rng,
    open: &mut VecDeque<Open>,
    wanted: usize,
) -> RedisResult<()> {
    if open.len() < wanted {
        return connect(connection, random, open).await;
    }
    let Some(oldest) = open.pop_front() else {
        return Ok(());
    };
    match random.u8(0..100) {
        0..8 => cmd("DEL").arg(key(oldest.id)).exec_async(connection).await,
        // The client has vanished. Only the TTL ends the connection.
        8..10 => Ok(()),
        _ => heartbeat(connection, open, oldest).await,
    }
}

async fn connect(
    connection: &mut MultiplexedConnection,
    random: &mut Rng,
    open: &mut VecDeque<Open>,
) -> RedisResult<()> {
    let new = Open {
        id: random.u64(..),
        ttl: ttl(random),
    };
    let mut transaction = pipe();
    transaction.atomic();
    write(&mut transaction, random, &new, new.ttl);
    transaction.exec_async(connection).await?;
    open.push_back(new);
    Ok(())
}

/// Refreshes the TTL first: a hash that has expired must not come back without one.
async fn heartbeat(
    connection: &mut MultiplexedConnection,
    open: &mut VecDeque<Open>,
    alive: Open,
) -> RedisResult<()> {
    let key = key(alive.id);
    let found: bool = cmd("EXPIRE")
        .arg(&key)
        .arg(alive.ttl)
        .query_async(connection)
        .await?;
    if found {
        cmd("HSET")
            .arg(&key)
            .arg("last_seen")
            .arg(now())
            .exec_async(connection)
            .await?;
        open.push_back(alive);
    }
    Ok(())
}

/// Adds a connection whose last heartbeat was some time ago.
pub fn seed(pipeline: &mut Pipeline, random: &mut Rng) {
    let open = Open {
        id: random.u64(..),
        ttl: ttl(random),
    };
    let remaining = random.u64(1..=open.ttl);
    write(pipeline, random, &open, remaining);
}

fn write(pipeline: &mut Pipeline, random: &mut Rng, open: &Open, ttl: u64) {
    let key = key(open.id);
    let region = random.choice(REGIONS).unwrap_or_default();
    let mut hash = cmd("HSET");
    hash.arg(&key)
        .arg("user_id")
        .arg(random.u32(0..100_000))
        .arg("region")
        .arg(region);
    hash.arg("connected_at")
        .arg(now())
        .arg("last_seen")
        .arg(now());
    let mut expire = cmd("EXPIRE");
    expire.arg(&key).arg(ttl);
    pipeline
        .add_command(hash)
        .ignore()
        .add_command(expire)
        .ignore();
}

fn key(id: u64) -> String {
    format!("websocket:{id:016x}")
}

fn ttl(random: &mut Rng) -> u64 {
    random.choice(TTLS).unwrap_or(300)
}

/// Returns the seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
