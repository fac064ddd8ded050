//! Compares the panel with a server whose evictions and expiries are known.
//!
//! The random numbers and the hashes of names have fixed seeds, so each run gives the same result.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the numbers are small"
)]

use std::collections::HashMap;

use fastrand::Rng;

use super::*;
use crate::info::Info;
use crate::keyspace::tally::Expiry;

/// A namespace: keys born per second, and their TTL.
#[derive(Clone, Copy, Debug)]
struct Kind {
    births: f64,
    ttl: Option<f64>,
}

/// How the server chooses keys to evict.
#[derive(Clone, Copy, Debug)]
enum Eviction {
    /// All keys at about this age, like a policy by last use.
    AtAge(f64),
    /// Any key, with this mean age.
    Random(f64),
}

const KINDS: [Kind; 4] = [
    Kind {
        births: 130.0,
        ttl: Some(3_600.0),
    },
    Kind {
        births: 200.0,
        ttl: Some(45.0),
    },
    Kind {
        births: 75.0,
        ttl: None,
    },
    Kind {
        births: 60.0,
        ttl: Some(8.0),
    },
];

/// Duration of a run, and the time before it in which the server fills, in seconds.
const DURATION: u32 = 200;
const BEFORE: u32 = 120;

/// SCANs of the panel, and TTL lookups of the sweep, per second.
const SCANS: f64 = 3.0;
const LOOKUPS: u32 = 4;

/// Number of runs.
const RUNS: u64 = 5;

#[derive(Clone, Debug)]
struct Key {
    kind: usize,
    expiry: f64,
    evicted: f64,
}

impl Key {
    fn death(&self) -> f64 {
        self.expiry.min(self.evicted)
    }
}

#[derive(Debug)]
struct Server {
    random: Rng,
    keys: Vec<Key>,
    living: Vec<usize>,
    eviction: Eviction,
    /// The drawn keys, by the hash of their name.
    drawn: HashMap<u32, usize>,
    /// Evicted and expired keys of each kind.
    evicted: [f64; KINDS.len()],
    expired: [f64; KINDS.len()],
}

impl Server {
    fn bear(&mut self, second: f64) {
        for (kind, Kind { births, ttl }) in KINDS.into_iter().enumerate() {
            for _ in 0..births as u32 {
                let born = second + self.random.f64();
                let age = match self.eviction {
                    Eviction::AtAge(age) => age * (0.8 + 0.4 * self.random.f64()),
                    Eviction::Random(mean) => -mean * (1.0 - self.random.f64()).ln(),
                };
                self.living.push(self.keys.len());
                self.keys.push(Key {
                    kind,
                    expiry: born + ttl.unwrap_or(f64::INFINITY),
                    evicted: born + age,
                });
            }
        }
    }

    fn bury(&mut self, now: f64) {
        let keys = &self.keys;
        let (evicted, expired) = (&mut self.evicted, &mut self.expired);
        self.living.retain(|key| {
            let key = &keys[*key];
            if key.death() > now {
                return true;
            }
            let counts = if key.evicted < key.expiry {
                &mut *evicted
            } else {
                &mut *expired
            };
            counts[key.kind] += 1.0;
            false
        });
    }

    fn reading(&self) -> RemovalReading {
        let sum = |counts: &[f64]| counts.iter().sum::<f64>();
        let (evicted, expired) = (sum(&self.evicted), sum(&self.expired));
        RemovalReading::read(&Info::parse(format!(
            "# Replication\r\nrole:master\r\n# Stats\r\nexpired_keys:{expired}\r\n\
             evicted_keys:{evicted}\r\n# Commandstats\r\ncmdstat_get:calls=1,usec=1\r\n"
        )))
    }

    fn any(&mut self) -> usize {
        self.living[self.random.usize(..self.living.len())]
    }

    fn place(&self, key: usize) -> NamespacePlace {
        (0, NamespaceId(self.keys[key].kind as u32 + 1))
    }

    /// Returns the name of a key, padded so that names differ.
    fn name(key: usize) -> [u8; 8] {
        (key as u64).to_be_bytes()
    }
}

/// Lets a panel do in one second what the sweep does.
fn tend(server: &mut Server, panel: &mut Panel, now: f64) {
    panel.observe(now, server.reading());
    while let Some(run) = panel.take_due(now) {
        panel.record_scan();
        let keys = run.members.iter().map(|member| server.drawn[&member.id]);
        let living = keys.filter(|key| server.keys[*key].death() > now);
        let names: Vec<_> = living.map(|key| Server::name(key).to_vec()).collect();
        panel.record_checked(now, &run, &names);
    }
    let keys = server.living.len() as u64;
    let mut runs = Vec::new();
    for _ in 0..panel.wanted(now, keys, SCANS, 1) {
        panel.record_scan();
        let drawn: Vec<usize> = (0..100).map(|_| server.any()).collect();
        for key in &drawn {
            let id = panel.hasher.short(&Server::name(*key)[..]);
            server.drawn.insert(id, *key);
        }
        runs.push(
            drawn
                .into_iter()
                .map(|key| (Server::name(key), server.place(key).1))
                .collect::<Vec<_>>(),
        );
    }
    let region = Region {
        database: 0,
        start: 0,
        end: 0,
    };
    let mut lookups = LOOKUPS;
    let runs: Vec<_> = runs
        .iter()
        .map(|run| {
            let keys = run.iter().map(|(name, namespace)| {
                let known = lookups > 0;
                lookups = lookups.saturating_sub(1);
                let left = server.keys[u64::from_be_bytes(*name) as usize].expiry - now;
                let expiry = if left.is_finite() {
                    Expiry::In((left * 1e3) as u64)
                } else {
                    Expiry::Never
                };
                let lifetime = if known {
                    panel.learn((0, *namespace), expiry);
                    Lifetime::of(expiry, now)
                } else {
                    Lifetime::Unknown
                };
                (&name[..], *namespace, lifetime)
            });
            Drawn {
                at: now,
                region,
                keys: keys.collect(),
            }
        })
        .collect();
    panel.draw(now, keys as f64, &runs);
}

/// An estimate and the truth.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    estimate: f64,
    truth: f64,
}

impl Score {
    fn error(self) -> f64 {
        self.estimate / self.truth - 1.0
    }
}

/// Returns the evictions, expiries and vanished keys of each kind so far.
fn scores(server: &Server, panel: &Panel) -> [[Score; 3]; KINDS.len()] {
    std::array::from_fn(|kind| {
        let place = (0, NamespaceId(kind as u32 + 1));
        let totals = panel.totals.get(&place).cloned().unwrap_or_default();
        let (evicted, expired) = (server.evicted[kind], server.expired[kind]);
        let score = |estimate: f64, truth| Score { estimate, truth };
        let known = |at: usize| {
            let is_known = totals.are_known()[at];
            if is_known {
                totals.attributed()[at]
            } else {
                f64::NAN
            }
        };
        [
            score(known(0), evicted),
            score(known(1), expired),
            score(totals.vanished().iter().sum(), evicted + expired),
        ]
    })
}

/// Returns what one run counted after its first minutes.
fn run(seed: u64, eviction: Eviction) -> [[Score; 3]; KINDS.len()] {
    let mut server = Server {
        random: Rng::with_seed(seed),
        keys: Vec::new(),
        living: Vec::new(),
        eviction,
        drawn: HashMap::new(),
        evicted: [0.0; KINDS.len()],
        expired: [0.0; KINDS.len()],
    };
    let mut panel = Panel::default();
    let mut before = scores(&server, &panel);
    for second in 0..2 * BEFORE + DURATION {
        server.bear(f64::from(second));
        server.bury(f64::from(second + 1));
        if second == 2 * BEFORE {
            before = scores(&server, &panel);
        }
        if second >= BEFORE {
            tend(&mut server, &mut panel, f64::from(second + 1));
        }
    }
    let mut counted = scores(&server, &panel);
    for (kind, before) in counted.iter_mut().zip(before) {
        for (score, before) in kind.iter_mut().zip(before) {
            score.estimate -= before.estimate;
            score.truth -= before.truth;
        }
    }
    counted
}

/// Asserts that no estimate is farther from the truth than `most`, nor on average than `usual`.
fn assert_close(what: &str, scores: &[Score], usual: f64, most: f64) {
    let errors: Vec<f64> = scores.iter().map(|score| score.error()).collect();
    let squares: f64 = errors.iter().map(|error| error * error).sum();
    let mean = (squares / errors.len() as f64).sqrt();
    println!("{what}: {mean:.3} {errors:.3?}");
    assert!(mean <= usual, "{what}: {mean}");
    assert!(
        errors.iter().all(|error| error.abs() <= most),
        "{what}: {errors:?}"
    );
}

fn runs(eviction: Eviction) -> Vec<[[Score; 3]; KINDS.len()]> {
    (1..=RUNS).map(|seed| run(seed, eviction)).collect()
}

/// Returns the evictions, expiries or vanished keys of some kinds in all runs.
fn of(runs: &[[[Score; 3]; KINDS.len()]], kinds: &[usize], count: usize) -> Vec<Score> {
    let kinds = runs
        .iter()
        .flat_map(|run| kinds.iter().map(|kind| run[*kind][count]));
    kinds.collect()
}

#[test]
fn counts_by_last_use_are_close() {
    let runs = runs(Eviction::AtAge(28.0));
    // The last kind is never evicted.
    assert_close("evicted", &of(&runs, &[0, 1, 2], 0), 0.09, 0.25);
    assert_close("vanished", &of(&runs, &[0, 1, 2, 3], 2), 0.12, 0.35);
}

#[test]
fn counts_are_close_if_the_same_keys_expire_and_are_evicted() {
    let runs = runs(Eviction::Random(40.0));
    assert_close("evicted", &of(&runs, &[0, 1, 2], 0), 0.1, 0.3);
    assert_close("expired", &of(&runs, &[1], 1), 0.35, 0.7);
    assert_close("vanished", &of(&runs, &[0, 1, 2, 3], 2), 0.12, 0.35);
}

#[test]
fn keys_that_only_expire_take_no_evictions() {
    let runs = runs(Eviction::AtAge(60.0));
    // Most keys of the second kind would be evicted if they did not expire before.
    assert_close("evicted", &of(&runs, &[0, 2], 0), 0.09, 0.25);
    assert_close("expired", &of(&runs, &[1], 1), 0.09, 0.25);
    let evicted = of(&runs, &[0, 2], 0)
        .iter()
        .map(|score| score.truth)
        .sum::<f64>();
    let wrong = of(&runs, &[1], 0)
        .iter()
        .map(|score| score.estimate)
        .sum::<f64>();
    assert!(wrong / evicted < 0.05, "{wrong} of {evicted}");
}
