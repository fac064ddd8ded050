//! Writes the keys that an application would have written in the last hour, without a rate limit.

use std::time::Instant;

use fastrand::Rng;
use redis::{Client, Pipeline};

use crate::population::Population;
use crate::stop::Stop;
use crate::{api_cache, connect, rate_limit, session, websocket};

/// Keys per pipeline.
const BATCH: u64 = 500;

/// Writes `keys` keys: of 20, 9 are sessions, 6 API responses, 3 rate limits, 2 connections.
///
/// # Errors
/// The server rejects a write or becomes unavailable.
pub async fn seed(
    client: &Client,
    random: &mut Rng,
    population: &Population,
    keys: u64,
    forget_expire: f64,
    stop: &Stop,
) -> Result<(), String> {
    let Some(mut connection) = connect::dial_patiently(client, stop).await else {
        return Ok(());
    };
    let start = Instant::now();
    let mut next = 0;
    while next < keys && !stop.is_set() {
        let end = (next + BATCH).min(keys);
        let mut pipeline = Pipeline::new();
        for index in next..end {
            add(&mut pipeline, random, population, index, forget_expire);
        }
        let written = pipeline.exec_async(&mut connection).await;
        written.map_err(|error| format!("seeding stopped after {next} keys: {error}"))?;
        next = end;
    }
    println!(
        "seeded {next} keys in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn add(
    pipeline: &mut Pipeline,
    random: &mut Rng,
    population: &Population,
    index: u64,
    forget_expire: f64,
) {
    let (round, place) = (index / 20, index % 20);
    match place {
        0..9 => session::seed(pipeline, random, round * 9 + place),
        9..15 => {
            let response = round * 6 + place - 9;
            api_cache::seed(pipeline, random, response, population.popular_responses);
        }
        15..18 => rate_limit::seed(pipeline, random, round * 3 + place - 15, forget_expire),
        _ => websocket::seed(pipeline, random),
    }
}
