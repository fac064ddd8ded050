//! `api:cache:{endpoint}:{params_hash}`: cached JSON responses of 0.2 to 20 KB, TTL 300 to 3600 s.
//!
//! Popular requests are repeated (Zipf's law) and nearly always hit. One-off requests never do.
//! Their shares result in a hit rate near 80 %, once the popular responses are cached and unless
//! the server evicts them.

use fastrand::Rng;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, cmd};

use crate::counts::Counts;
use crate::{json, popularity};

/// Share of lookups for responses that nobody requested before.
const ONE_OFF_SHARE: f64 = 0.19;
const SHORTEST: f64 = 200.0;
const LONGEST: f64 = 20_000.0;
const ENDPOINTS: [&str; 10] = [
    "products", "search", "users", "orders", "prices", "reviews", "stock", "feed", "teams", "geo",
];

/// Looks up a response. If it is missing, computes and stores it.
pub async fn look_up(
    connection: &mut MultiplexedConnection,
    random: &mut Rng,
    popular: u64,
    counts: &Counts,
) -> RedisResult<()> {
    let request = if random.f64() < ONE_OFF_SHARE {
        one_off(random)
    } else {
        popularity::zipf(random, popular)
    };
    let found: Option<Vec<u8>> = cmd("GET").arg(key(request)).query_async(connection).await?;
    if found.is_some() {
        counts.cache_hits.add(1);
        return Ok(());
    }
    counts.cache_misses.add(1);
    let ttl = ttl(random);
    write(request, ttl, length(request), random)
        .exec_async(connection)
        .await
}

/// Adds response `index`: the popular ones first, then one-off requests of the last hour.
pub fn seed(pipeline: &mut Pipeline, random: &mut Rng, index: u64, popular: u64) {
    let request = if index < popular {
        index
    } else {
        one_off(random)
    };
    let whole = ttl(random);
    let remaining = random.u64(1..=whole);
    pipeline
        .add_command(write(request, remaining, length(request), random))
        .ignore();
}

/// Adds a response of the maximum length that nobody requests again.
pub fn seed_largest(pipeline: &mut Pipeline, random: &mut Rng) -> usize {
    let request = one_off(random);
    let ttl = ttl(random);
    let length = whole_number(LONGEST);
    pipeline
        .add_command(write(request, ttl, length, random))
        .ignore();
    length
}

/// Returns the number of a request that is not popular.
fn one_off(random: &mut Rng) -> u64 {
    random.u64(1 << 40..)
}

fn ttl(random: &mut Rng) -> u64 {
    random.u64(300..=3600)
}

fn key(request: u64) -> String {
    let hash = mixed(request);
    let endpoint = usize::try_from(hash % 10)
        .ok()
        .and_then(|at| ENDPOINTS.get(at));
    format!("api:cache:{}:{hash:016x}", endpoint.unwrap_or(&"other"))
}

/// Returns the length of a response. It is always the same for a request, and short responses are
/// more frequent.
fn length(request: u64) -> usize {
    let position = Rng::with_seed(request).f64();
    whole_number(SHORTEST * (LONGEST / SHORTEST).powf(position * position))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "lengths lie between SHORTEST and LONGEST"
)]
fn whole_number(length: f64) -> usize {
    length as usize
}

fn write(request: u64, ttl: u64, length: usize, random: &mut Rng) -> Cmd {
    let head = format!("{{\"request\":{request},\"status\":200");
    let mut command = cmd("SETEX");
    command
        .arg(key(request))
        .arg(ttl)
        .arg(json::padded(head, length, random));
    command
}

/// Maps numbers one-to-one to all 64-bit numbers (the finalizer of `SplitMix64`).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_span_the_range_and_most_are_short() {
        let mut lengths: Vec<usize> = (0..10_000).map(length).collect();
        lengths.sort_unstable();
        assert!(lengths[0] >= 200 && lengths[0] < 210, "{}", lengths[0]);
        assert!(
            lengths[9_999] > 19_000 && lengths[9_999] <= 20_000,
            "{}",
            lengths[9_999]
        );
        assert!(lengths[5_000] < 1_000, "{}", lengths[5_000]);
    }

    #[test]
    fn a_key_names_endpoint_and_hash() {
        let key = key(1);
        let parts: Vec<&str> = key.split(':').collect();
        assert_eq!(parts[..2], ["api", "cache"]);
        assert!(ENDPOINTS.contains(&parts[2]));
        assert_eq!(parts[3].len(), 16);
    }
}
