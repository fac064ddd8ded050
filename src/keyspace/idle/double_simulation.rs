//! Simulates caches to compare the estimated hit ratio with that of a cache of twice the size.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the numbers of a simulation are small"
)]

use fastrand::Rng;

use super::double::{self, DoubleRatio};
use super::half::KeyFlow;
use crate::keyspace::ghosts::Ghosts;
use crate::keyspace::panel::{Lifetime, Region};

/// Number of parts of the table. Each has about a hundred keys.
const PARTS: u32 = 33;

const KEYS: u32 = 12_500;
const RATE: u32 = 300;
const SIZE: usize = 3_300;

/// A cache with the eviction of Redis: the best of five random keys and of a pool of earlier ones.
struct Cache {
    size: usize,
    used: Vec<Option<u32>>,
    expiry: Vec<f64>,
    keys: Vec<u32>,
    at: Vec<usize>,
    pool: Vec<(u32, u32)>,
    hits: f64,
    misses: f64,
    evicted: f64,
    expired: f64,
}

impl Cache {
    fn new(size: usize, universe: usize) -> Self {
        Self {
            size,
            used: vec![None; universe],
            expiry: vec![f64::INFINITY; universe],
            keys: Vec::new(),
            at: vec![0; universe],
            pool: Vec::new(),
            hits: 0.0,
            misses: 0.0,
            evicted: 0.0,
            expired: 0.0,
        }
    }

    fn remove(&mut self, key: u32) {
        let at = self.at[key as usize];
        self.keys.swap_remove(at);
        if let Some(moved) = self.keys.get(at) {
            self.at[*moved as usize] = at;
        }
        self.used[key as usize] = None;
    }

    fn evict(&mut self, random: &mut Rng) {
        for _ in 0..5 {
            let key = self.keys[random.usize(..self.keys.len())];
            let used = self.used[key as usize].unwrap();
            if !self.pool.iter().any(|(_, other)| *other == key) {
                self.pool.push((used, key));
            }
        }
        self.pool.sort_unstable();
        self.pool.truncate(16);
        while !self.pool.is_empty() {
            let (_, key) = self.pool.remove(0);
            if self.used[key as usize].is_some() {
                self.remove(key);
                self.evicted += 1.0;
                return;
            }
        }
    }

    fn read(&mut self, random: &mut Rng, key: u32, now: f64, ttl: Option<f64>) {
        let second = now as u32;
        let is_there = self.used[key as usize].is_some();
        if is_there && self.expiry[key as usize] <= now {
            self.remove(key);
            self.expired += 1.0;
        }
        if self.used[key as usize].is_some() {
            self.hits += 1.0;
            self.used[key as usize] = Some(second);
            return;
        }
        self.misses += 1.0;
        while self.keys.len() >= self.size {
            self.evict(random);
        }
        self.at[key as usize] = self.keys.len();
        self.keys.push(key);
        self.used[key as usize] = Some(second);
        self.expiry[key as usize] = ttl.map_or(f64::INFINITY, |ttl| now + ttl);
    }

    /// Returns the hits, misses, evicted and expired keys so far.
    const fn counts(&self) -> [f64; 4] {
        [self.hits, self.misses, self.evicted, self.expired]
    }

    /// Removes expired keys.
    fn expire(&mut self, now: f64) {
        let expired: Vec<u32> = self
            .keys
            .iter()
            .copied()
            .filter(|key| self.expiry[*key as usize] <= now)
            .collect();
        for key in expired {
            self.remove(key);
            self.expired += 1.0;
        }
    }

    fn names(&self, part: u32, now: f64) -> Vec<(u32, Vec<u8>)> {
        let keys = self.keys.iter().filter(|key| {
            (**key).wrapping_mul(2_654_435_761) % PARTS == part && self.expiry[**key as usize] > now
        });
        keys.map(|key| (*key, key.to_be_bytes().to_vec())).collect()
    }
}

struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=keys).map(|rank| {
            sum += f64::from(rank).powf(-exponent);
            sum
        });
        Self(sums.collect())
    }

    fn next(&self, random: &mut Rng) -> u32 {
        let place = random.f64() * self.0.last().unwrap();
        self.0.partition_point(|sum| *sum < place) as u32
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Zipf,
    DriftAndScan,
    Ttls,
}

const SECONDS: u32 = 360;

/// The estimate at the end of a simulation, and the true hit ratios of the cache and of one of twice
/// the size.
fn simulate(kind: Kind, seed: u64) -> (DoubleRatio, [f64; 2]) {
    let mut random = Rng::with_seed(seed);
    let zipf = Zipf::new(KEYS, 0.9);
    let mut caches = [SIZE, 2 * SIZE].map(|size| Cache::new(size, 2 * KEYS as usize));
    let mut ghosts = Ghosts::default();
    let start = SECONDS / 3;
    let mut begin = [[0.0; 4]; 2];
    let mut looped = 0;
    for second in 0..SECONDS {
        for read in 0..RATE {
            let now = f64::from(second) + f64::from(read) / f64::from(RATE);
            let rank = zipf.next(&mut random);
            let (key, ttl) = match kind {
                Kind::Zipf => (rank, None),
                Kind::DriftAndScan if random.f64() < 0.1 => {
                    looped = (looped + 1) % (KEYS / 6);
                    (KEYS + looped, None)
                }
                Kind::DriftAndScan => ((rank + second * 2) % KEYS, None),
                Kind::Ttls => (rank, Some(30.0 + f64::from(rank.wrapping_mul(40_503) % 60))),
            };
            for cache in &mut caches {
                cache.read(&mut random, key, now, ttl);
            }
        }
        let now = f64::from(second + 1);
        for cache in &mut caches {
            cache.expire(now);
        }
        if second == start {
            begin = caches.each_ref().map(Cache::counts);
        }
        if second <= start {
            continue;
        }
        let evicted = caches[0].evicted - begin[0][2];
        let residence = SIZE as f64 * f64::from(second - start) / evicted.max(1.0);
        tend(&mut ghosts, &caches[0], now, residence, kind, &mut random);
    }
    let seconds = f64::from(SECONDS - start - 1);
    let rates = [0, 1].map(|at: usize| {
        let end = caches[at].counts();
        [0, 1, 2, 3].map(|of| (end[of] - begin[at][of]) / seconds)
    });
    let [hits, misses, evicted, expired] = rates[0];
    let flow = KeyFlow {
        hits,
        misses,
        evicted,
        expired,
        growth: 0.0,
    };
    let keys = caches[0].keys.len() as f64;
    let list = ghosts.all(matches!(kind, Kind::Ttls));
    let turnover = ghosts.turnover(0.0);
    let estimate = double::estimate(&list, turnover, &flow, keys, 2.0 * SIZE as f64 - keys);
    let truth = rates.map(|[hits, misses, ..]| hits / (hits + misses));
    (estimate.unwrap(), truth)
}

/// Lets the ghosts do in one second what the sweep does.
fn tend(
    ghosts: &mut Ghosts,
    cache: &Cache,
    now: f64,
    residence: f64,
    kind: Kind,
    random: &mut Rng,
) {
    ghosts.plan(now, Some(residence), 2.0);
    while let Some(region) = ghosts.due(now) {
        follow(ghosts, cache, region, now, kind);
    }
    if ghosts.wants_part() {
        let region = Region {
            database: 0,
            start: random.u64(..u64::from(PARTS)),
            end: 1,
        };
        let names = cache.names(region.start as u32, now);
        let names: Vec<Vec<u8>> = names.into_iter().map(|(_, name)| name).collect();
        ghosts.add(now, region, &names);
    }
}

fn follow(ghosts: &mut Ghosts, cache: &Cache, region: Region, now: f64, kind: Kind) {
    let found = cache.names(region.start as u32, now);
    let names: Vec<Vec<u8>> = found.iter().map(|(_, name)| name.clone()).collect();
    ghosts.record(now, region, &names);
    if matches!(kind, Kind::Ttls) {
        for at in ghosts.without_ttl(now, region, &names) {
            let (key, name) = &found[at];
            ghosts.learn(
                now,
                region,
                name,
                Lifetime::Until(cache.expiry[*key as usize]),
            );
        }
    }
}

#[test]
fn estimate_is_that_of_a_cache_of_twice_the_size() {
    for kind in [Kind::Zipf, Kind::DriftAndScan, Kind::Ttls] {
        for seed in 1..=2 {
            let (found, [whole, double]) = simulate(kind, seed);
            let DoubleRatio { double: found, .. } = found;
            println!("{kind:?}: {found:.3?}, truly {double:.3}, now {whole:.3}");
            assert!(
                (found.ratio - double).abs() <= found.error,
                "{kind:?} {seed}: {found:?}, truly {double}"
            );
            assert!(found.ratio > whole, "{found:?} {whole}");
        }
    }
}
