//! Fills the server to its memory limit and keeps it full, so that it evicts keys.
//!
//! It is fast below the limit and slow at it, so that the server evicts continuously but is not
//! fully busy with it. The rate of the other operations is not affected.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Client, Pipeline, RedisResult, cmd};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::counts::Counts;
use crate::stop::Stop;
use crate::{api_cache, connect};

/// A tenth of a second.
const STEP: Duration = Duration::from_millis(100);
/// Values of 20 KB for each step below the limit: 20 MB per second.
const FAST: u32 = 100;
/// Values for each step at the limit: 400 KB per second, so that keys in use are kept.
const SLOW: u32 = 2;
const PAUSE: Duration = Duration::from_secs(1);

/// Fills the server until the program is stopped. Reconnects if the connection is lost.
pub async fn keep_full(client: Client, mut random: Rng, counts: Arc<Counts>, stop: Stop) {
    let filling = async {
        loop {
            if let Err(Problem::NoLimit) = fill(&client, &mut random, &counts).await {
                eprintln!(
                    "workload: --pressure has no effect, the server has no memory limit; \
                     set one with CONFIG SET maxmemory"
                );
                stop.wait().await;
            }
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = filling => {}
        () = stop.wait() => {}
    }
}

#[derive(Debug)]
enum Problem {
    NoLimit,
    Redis,
}

async fn fill(client: &Client, random: &mut Rng, counts: &Counts) -> Result<(), Problem> {
    let mut connection = connect::dial(client).await.map_err(|_| Problem::Redis)?;
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        let values = match room(&mut connection).await.map_err(|_| Problem::Redis)? {
            Room::NoLimit => return Err(Problem::NoLimit),
            Room::Left => FAST,
            Room::None => SLOW,
        };
        let mut pipeline = Pipeline::new();
        let sizes = (0..values).map(|_| api_cache::seed_largest(&mut pipeline, random));
        let bytes = sizes.sum::<usize>();
        pipeline
            .exec_async(&mut connection)
            .await
            .map_err(|_| Problem::Redis)?;
        counts.pressure_bytes.add(u64::try_from(bytes).unwrap_or(0));
    }
}

#[derive(Debug, PartialEq)]
enum Room {
    NoLimit,
    Left,
    None,
}

async fn room(connection: &mut MultiplexedConnection) -> RedisResult<Room> {
    let info: String = cmd("INFO").arg("memory").query_async(connection).await?;
    Ok(room_of(
        field(&info, "used_memory"),
        field(&info, "maxmemory"),
    ))
}

/// Returns the distance to the limit.
///
/// At 98 %, the next values reach the limit. A higher speed would cause a burst of evictions.
fn room_of(used: Option<u64>, limit: Option<u64>) -> Room {
    match (used, limit) {
        (Some(used), Some(limit)) if limit > 0 => {
            if used / 98 < limit / 100 {
                Room::Left
            } else {
                Room::None
            }
        }
        _ => Room::NoLimit,
    }
}

fn field(info: &str, name: &str) -> Option<u64> {
    let mut fields = info.lines().filter_map(|line| line.split_once(':'));
    fields
        .find(|(field, _)| *field == name)?
        .1
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_limit_cannot_be_filled() {
        assert_eq!(room_of(Some(1), Some(0)), Room::NoLimit);
        assert_eq!(room_of(Some(1), None), Room::NoLimit);
    }

    #[test]
    fn filling_slows_down_just_below_the_limit() {
        let limit = Some(256 << 20);
        assert_eq!(room_of(Some(200 << 20), limit), Room::Left);
        assert_eq!(room_of(Some(255 << 20), limit), Room::None);
        assert_eq!(room_of(Some(260 << 20), limit), Room::None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_peak:9\r\nused_memory:7\r\n";
        assert_eq!(field(info, "used_memory"), Some(7));
    }
}
