//! Simulates databases that are small when a pass begins and are loaded, emptied or rewritten
//! during it, and databases with long segments.
//!
//! The sweep runs at the speed of the default budget. The random numbers have a fixed seed.

use fastrand::Rng;

use super::super::*;
use super::living_simulation::{Score, binomial, poisson};
use crate::keyspace::segment::{has_outgrown, segments};

const NAMESPACES: usize = 3;

/// Parts of the hash table, each visited in a single step.
const CELLS: usize = 4_096;

/// Seconds between two steps of the sweep, and steps between two readings of the size.
const STEP: f64 = 0.2;
const STEPS_PER_OBSERVATION: u32 = 5;

/// Comparisons of an estimate with the truth, per second.
const COMPARISONS: f64 = 0.12;

/// Default budget of commands on a server without traffic.
const COMMANDS_PER_SECOND: f64 = 50.0;

/// Rest between two passes, in seconds.
const REST: f64 = 10.0;

/// Share of each namespace's keys removed per second, and keys of each added per second.
type Rates = ([f64; NAMESPACES], [f64; NAMESPACES]);

/// A simulated workload.
struct Scenario {
    name: &'static str,
    /// Keys at the start, before the first pass.
    keys: [f64; NAMESPACES],
    /// The rates at a time in seconds, for these numbers of keys.
    rates: fn(f64, [f64; NAMESPACES]) -> Rates,
    seconds: f64,
    /// Maximum half-width of an interval in the last third of the time, averaged over all
    /// namespaces, as a percentage of all keys.
    width: f64,
}

const STILL: Rates = ([0.0; NAMESPACES], [0.0; NAMESPACES]);

/// Loads keys of a namespace evenly from one time to another.
fn load(time: f64, (namespace, keys): (usize, f64), (from, to): (f64, f64)) -> Rates {
    let mut rates = STILL;
    if (from..to).contains(&time) {
        rates.1[namespace] = keys / (to - from);
    }
    rates
}

fn sum(rates: &[Rates]) -> Rates {
    let mut all = STILL;
    for (deaths, births) in rates {
        for (sum, rate) in all.0.iter_mut().zip(deaths) {
            *sum += rate;
        }
        for (sum, rate) in all.1.iter_mut().zip(births) {
            *sum += rate;
        }
    }
    all
}

const SMALL: [Scenario; 7] = [
    Scenario {
        name: "two loads after a start with 1,100 keys",
        keys: [0.0, 1_000.0, 100.0],
        rates: |time, _| {
            sum(&[
                load(time, (1, 99_000.0), (5.3, 8.3)),
                load(time, (2, 60_000.0), (14.7, 17.7)),
            ])
        },
        seconds: 80.0,
        width: 0.8,
    },
    Scenario {
        name: "loads that begin slowly in an empty database",
        keys: [0.0; NAMESPACES],
        rates: |time, _| {
            sum(&[
                load(time, (1, 900.0), (1.0, 4.0)),
                load(time, (1, 99_000.0), (6.4, 8.4)),
                load(time, (2, 100.0), (3.0, 4.0)),
                load(time, (2, 60_000.0), (16.1, 18.1)),
            ])
        },
        seconds: 80.0,
        width: 0.8,
    },
    Scenario {
        name: "one namespace of 100 keys is loaded, later a second one",
        keys: [0.0, 100.0, 0.0],
        rates: |time, _| {
            sum(&[
                load(time, (1, 1_500.0), (2.0, 3.0)),
                load(time, (1, 98_400.0), (4.5, 9.5)),
                load(time, (2, 30_000.0), (21.2, 23.2)),
            ])
        },
        seconds: 80.0,
        width: 1.0,
    },
    Scenario {
        name: "one namespace alone",
        keys: [0.0, 1_900.0, 0.0],
        rates: |time, _| load(time, (1, 100_000.0), (7.6, 12.6)),
        seconds: 60.0,
        width: 0.1,
    },
    Scenario {
        name: "steady growth from 2,000 keys to a hundred times as many",
        keys: [200.0, 1_400.0, 400.0],
        rates: |time, _| {
            sum(&[
                load(time, (1, 50_000.0), (3.0, 123.0)),
                load(time, (2, 150_000.0), (3.0, 123.0)),
            ])
        },
        seconds: 140.0,
        width: 1.0,
    },
    Scenario {
        name: "growth that doubles every eight seconds",
        keys: [20.0, 60.0, 20.0],
        rates: |time, keys| {
            let mut births = keys.map(|keys| keys * 0.08);
            births[1] += births[2] / 2.0;
            let rates = ([0.0; NAMESPACES], births);
            if time < 90.0 { rates } else { STILL }
        },
        seconds: 110.0,
        width: 3.5,
    },
    Scenario {
        name: "churn of 2 % per second of 1,500 keys",
        keys: [200.0, 1_000.0, 300.0],
        rates: |_, _| ([0.02; NAMESPACES], [4.0, 20.0, 6.0]),
        seconds: 120.0,
        width: 8.0,
    },
];

const LONG: [Scenario; 6] = [
    Scenario {
        name: "a load in the middle of a long segment",
        keys: [20_000.0, 200_000.0, 180_000.0],
        rates: |time, _| load(time, (2, 200_000.0), (23.3, 25.3)),
        seconds: 120.0,
        width: 0.8,
    },
    Scenario {
        name: "two quick loads of different namespaces",
        keys: [20_000.0, 200_000.0, 180_000.0],
        rates: |time, _| {
            sum(&[
                load(time, (0, 100_000.0), (23.3, 24.0)),
                load(time, (1, 100_000.0), (61.5, 63.0)),
            ])
        },
        seconds: 120.0,
        width: 1.3,
    },
    Scenario {
        name: "quick expiry of two of three namespaces",
        keys: [60_000.0, 60_000.0, 40_000.0],
        rates: |time, _| {
            let is_due = (30.4..31.8).contains(&time);
            let rate = if is_due { 6.0 } else { 0.0 };
            ([rate, rate, 0.0], [0.0; NAMESPACES])
        },
        seconds: 120.0,
        width: 0.3,
    },
    Scenario {
        name: "quick deletion of nearly all keys",
        keys: [60_000.0, 60_000.0, 1_500.0],
        rates: |time, _| {
            let is_due = (30.4..31.8).contains(&time);
            let rate = if is_due { 6.0 } else { 0.0 };
            ([rate, rate / 2.0, 0.0], [0.0; NAMESPACES])
        },
        seconds: 120.0,
        width: 3.0,
    },
    Scenario {
        name: "a namespace replaces another within a second",
        keys: [20_000.0, 100_000.0, 80_000.0],
        rates: |time, keys| {
            if (40.2..41.2).contains(&time) {
                let births = [0.0, 0.0, 50_000.0];
                ([0.0, 50_000.0 / keys[1].max(50_000.0), 0.0], births)
            } else {
                STILL
            }
        },
        seconds: 120.0,
        width: 1.0,
    },
    Scenario {
        name: "churn of 1 % per second in long segments",
        keys: [20_000.0, 200_000.0, 180_000.0],
        rates: |_, _| ([0.01; NAMESPACES], [200.0, 2_000.0, 1_800.0]),
        seconds: 120.0,
        width: 1.3,
    },
];

/// Keys by namespace and part of the hash table.
struct World {
    keys: Vec<[u64; NAMESPACES]>,
    totals: [u64; NAMESPACES],
    events: f64,
    time: f64,
}

impl World {
    fn new(keys: [f64; NAMESPACES], random: &mut Rng) -> Self {
        let mut world = Self {
            keys: vec![[0; NAMESPACES]; CELLS],
            totals: [0; NAMESPACES],
            events: 0.0,
            time: 0.0,
        };
        for (namespace, keys) in keys.into_iter().enumerate() {
            world.add(namespace, rounded(keys), random);
        }
        world
    }

    fn add(&mut self, namespace: usize, keys: u64, random: &mut Rng) {
        for _ in 0..keys {
            self.keys[random.usize(..CELLS)][namespace] += 1;
        }
        self.totals[namespace] += keys;
    }

    fn step(&mut self, scenario: &Scenario, random: &mut Rng) {
        let (deaths, births) = (scenario.rates)(self.time, self.truth());
        for (namespace, (death, birth)) in deaths.into_iter().zip(births).enumerate() {
            let gone = 1.0 - (-death * STEP).exp();
            let mut went = 0;
            if gone > 0.0 {
                for cell in &mut self.keys {
                    let lost = binomial(cell[namespace], gone, random);
                    cell[namespace] -= lost;
                    went += lost;
                }
            }
            self.totals[namespace] -= went;
            let came = poisson(birth * STEP, random);
            self.add(namespace, came, random);
            self.events += float(came + went);
        }
        self.time += STEP;
    }

    fn total(&self) -> u64 {
        self.totals.iter().sum()
    }

    fn truth(&self) -> [f64; NAMESPACES] {
        self.totals.map(float)
    }
}

/// A sweep within a pass, or at rest.
struct Sweep {
    window: Window,
    order: Vec<u32>,
    /// The open segment, and the next part of the table.
    open: Option<(u32, usize)>,
    /// Keys that the budget allows before the next step.
    budget: f64,
    keys_per_second: f64,
    /// Number of keys for which the speed was chosen.
    paced_for: u64,
    rests_until: f64,
    restarts: u32,
    passes: u32,
}

impl Sweep {
    fn new(world: &World) -> Self {
        let mut window = Window::new(1);
        window.observe(0.0, world.total(), 0.0);
        Self {
            window,
            order: Vec::new(),
            open: None,
            budget: 0.0,
            keys_per_second: 0.0,
            paced_for: 0,
            rests_until: 0.0,
            restarts: 0,
            passes: 0,
        }
    }

    fn begin(&mut self, world: &World, random: &mut Rng) {
        let keys = world.total();
        let in_use = (!self.window.is_empty()).then(|| self.window.segments());
        let order = segments(keys, in_use, |below| random.usize(..below));
        let count = u32::try_from(order.len()).unwrap_or(1);
        if self.window.segments() != order.len() {
            self.window.divide(count);
        }
        self.order = order.iter().map(|segment| segment.number()).collect();
        self.open = None;
        self.set_speed(keys);
    }

    fn set_speed(&mut self, keys: u64) {
        // Details take three commands per key in a small database, and are queried for few keys in
        // a large one.
        let details = (2.0 * COMMANDS_PER_SECOND * 60.0 / float(keys)).clamp(0.06, 3.0);
        self.keys_per_second = COMMANDS_PER_SECOND / (0.01 + details);
        self.paced_for = keys;
    }

    fn is_resting(&self) -> bool {
        self.open.is_none() && self.order.is_empty()
    }

    fn step(&mut self, world: &World, random: &mut Rng) {
        if self.is_resting() {
            let moved = world.total().abs_diff(self.window.seen()) * 5 > world.total();
            if world.total() == 0 || (world.time < self.rests_until && !moved) {
                return;
            }
            self.begin(world, random);
        }
        self.budget += self.keys_per_second * STEP;
        while self.budget > 0.0 {
            let Some((segment, cell)) = self.open else {
                let Some(segment) = self.order.pop() else {
                    self.rests_until = world.time + REST;
                    self.passes += 1;
                    self.budget = 0.0;
                    return;
                };
                self.window.open(segment, world.time);
                let first = segment as usize * (CELLS / self.window.segments());
                self.open = Some((segment, first));
                continue;
            };
            self.budget -= self.visit(world.keys[cell]).max(0.1);
            let end = (segment as usize + 1) * (CELLS / self.window.segments());
            self.open = Some((segment, cell + 1));
            if cell + 1 == end {
                self.window.close(world.time);
                self.open = None;
            }
        }
    }

    fn visit(&mut self, cell: [u64; NAMESPACES]) -> f64 {
        for (namespace, keys) in (0..).zip(cell).filter(|(_, keys)| *keys > 0) {
            if let Some(tally) = self.window.tally(NamespaceId(namespace)) {
                tally.keys += keys;
            }
        }
        float(cell.iter().sum())
    }

    fn observe(&mut self, world: &World, events: f64, random: &mut Rng) {
        let keys = world.total();
        self.window.observe(world.time, keys, events);
        if self.is_resting() {
            return;
        }
        if has_outgrown(keys, self.window.segments()) {
            self.restarts += 1;
            self.begin(world, random);
        } else if keys > 2 * self.paced_for {
            self.set_speed(keys);
        }
    }
}

/// Scores by namespace, and the widths of the last third as a share of all keys.
#[derive(Default)]
struct Scores {
    by_namespace: [Score; NAMESPACES],
    late: Score,
}

fn run(scenario: &Scenario, scores: &mut Scores, random: &mut Rng) {
    let mut world = World::new(scenario.keys, random);
    let mut sweep = Sweep::new(&world);
    let mut events = world.events;
    for step in 1_u32.. {
        if world.time >= scenario.seconds {
            break;
        }
        sweep.step(&world, random);
        world.step(scenario, random);
        if step % STEPS_PER_OBSERVATION != 0 {
            continue;
        }
        sweep.observe(&world, world.events - events, random);
        events = world.events;
        if random.f64() < COMPARISONS {
            compare(scenario, &world, &sweep, scores);
        }
    }
    assert!(sweep.restarts <= 2, "{} restarts", sweep.restarts);
}

fn compare(scenario: &Scenario, world: &World, sweep: &Sweep, scores: &mut Scores) {
    let namespaces: Vec<NamespaceId> = (0..3).map(NamespaceId).collect();
    let database = Database {
        keys: world.total(),
        sweep_is_uniform: true,
    };
    let found = estimate(&sweep.window, database, &namespaces);
    for ((score, found), truth) in scores.by_namespace.iter_mut().zip(found).zip(world.truth()) {
        score.add(found.keys, truth);
        if world.time * 3.0 > scenario.seconds * 2.0 {
            let all = float(world.total());
            scores.late.width += found.keys.error / all;
            scores.late.count += 1.0;
        }
    }
}

const REPETITIONS: u32 = 40;

/// Requires that intervals contain the truth at least 93 % of the time, and bounds their width.
fn assert_honest(scenarios: &[Scenario]) {
    let faults: Vec<String> = scenarios.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

fn fault(scenario: &Scenario) -> Option<String> {
    let mut random = Rng::with_seed(17);
    let mut scores = Scores::default();
    for _ in 0..REPETITIONS {
        run(scenario, &mut scores, &mut random);
    }
    let covered = scores.by_namespace.map(|score| score.percent().0);
    let (_, late) = scores.late.percent();
    let count = scores.by_namespace[0].count;
    let all = format!(
        "{}: covered {covered:.1?} % of {count}, late width {late:.2} %",
        scenario.name
    );
    println!("{all}");
    let is_honest = covered.iter().all(|covered| *covered >= 93.0);
    (!is_honest || late > scenario.width).then_some(all)
}

#[test]
fn intervals_contain_the_truth_while_small_databases_load() {
    assert_honest(&SMALL);
}

#[test]
fn intervals_contain_the_truth_amid_changes_in_long_segments() {
    assert_honest(&LONG);
}
