//! Compares estimates of a changing keyspace with its truth at every moment.
//!
//! A pass takes 64 s while keys come and go. The random numbers have a fixed seed.

use fastrand::Rng;

use super::super::*;

const NAMESPACES: usize = 5;
const SEGMENTS: usize = 64;

const REPETITIONS: u32 = 12;

/// Comparisons of an estimate with the truth, per second.
const COMPARISONS: f64 = 0.06;

/// Maximum average half-width of each namespace's interval during the first pass, as a percentage
/// of its keys.
const FIRST_WIDTHS: [f64; NAMESPACES] = [7.0, 4.5, 7.5, 13.0, 160.0];

/// Shares of the namespaces: 45, 30, 20, 4.5 and 0.5 %.
const SHARES: [f64; NAMESPACES] = [0.45, 0.3, 0.2, 0.045, 0.005];

/// Rate at which a key of each namespace is removed, and keys of each namespace added per second.
type Rates = ([f64; NAMESPACES], [f64; NAMESPACES]);

/// A simulated workload.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Number of runs, higher if the coverage is closer to its bound.
    repetitions: u32,
    /// Keys at the start.
    keys: f64,
    /// The rates at a time in seconds, for these numbers of keys.
    rates: fn(f64, [f64; NAMESPACES]) -> Rates,
    /// Writes per second that change no count.
    overwrites: f64,
    /// Maximum average half-width of each namespace's interval after the first pass, as a
    /// percentage of its keys.
    widths: [f64; NAMESPACES],
}

const STILL: Rates = ([0.0; NAMESPACES], [0.0; NAMESPACES]);

fn churn(rate: f64) -> Rates {
    (
        [rate; NAMESPACES],
        SHARES.map(|share| share * rate * 165_000.0),
    )
}

/// Adds a batch job: 20,000 keys of a namespace are added, or removed if `comes` is false, evenly
/// from one time to another.
fn batch(
    (mut deaths, mut births): Rates,
    (time, keys): (f64, [f64; NAMESPACES]),
    (namespace, comes): (usize, bool),
    (from, to): (f64, f64),
) -> Rates {
    if (from..to).contains(&time) {
        let rate = 20_000.0 / (to - from);
        if comes {
            births[namespace] += rate;
        } else {
            deaths[namespace] += rate / keys[namespace].max(rate);
        }
    }
    (deaths, births)
}

fn expiry(namespaces: &[usize], time: f64, (mut deaths, births): Rates) -> Rates {
    if (96.0..102.0).contains(&time) {
        for namespace in namespaces {
            deaths[*namespace] = 0.4;
        }
    }
    (deaths, births)
}

const SMOOTH: [Scenario; 7] = [
    Scenario {
        name: "overwrites only",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, _| STILL,
        overwrites: 4_000.0,
        widths: [0.4, 0.4, 0.6, 1.3, 4.0],
    },
    Scenario {
        name: "churn of 0.1 % per second",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, _| churn(0.001),
        overwrites: 0.0,
        widths: [0.5, 0.6, 0.9, 1.8, 7.0],
    },
    Scenario {
        name: "churn of 1 % per second",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, _| churn(0.01),
        overwrites: 0.0,
        widths: [1.0, 1.3, 1.6, 3.7, 14.0],
    },
    Scenario {
        name: "churn of 10 % per second",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, _| churn(0.1),
        overwrites: 0.0,
        widths: [1.4, 2.0, 2.7, 6.5, 20.0],
    },
    Scenario {
        name: "churn of one namespace",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, _| ([0.0, 0.0, 0.05, 0.0, 0.0], [0.0, 0.0, 1_650.0, 0.0, 0.0]),
        overwrites: 500.0,
        widths: [0.4, 0.5, 1.0, 1.4, 5.0],
    },
    Scenario {
        name: "steady eviction by one namespace",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |_, keys| {
            let all: f64 = keys.iter().sum();
            ([500.0 / all; NAMESPACES], [0.0, 500.0, 0.0, 0.0, 0.0])
        },
        overwrites: 0.0,
        widths: [0.8, 0.6, 1.2, 2.6, 9.0],
    },
    Scenario {
        name: "growth to ten times",
        repetitions: REPETITIONS,
        keys: 30_000.0,
        rates: |time, _| {
            let rate = if time < 128.0 { 2_110.0 } else { 0.0 };
            (
                [0.0; NAMESPACES],
                [0.1 * rate, 0.6 * rate, 0.2 * rate, 0.1 * rate, 0.0],
            )
        },
        overwrites: 0.0,
        widths: [1.0, 0.5, 1.0, 1.5, 8.0],
    },
];

const EXPIRY: [Scenario; 3] = [
    Scenario {
        name: "mass expiry of one namespace",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, _| expiry(&[1], time, STILL),
        overwrites: 0.0,
        widths: [0.4, 3.2, 0.8, 2.6, 18.0],
    },
    Scenario {
        name: "mass expiry amid churn",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, _| expiry(&[1], time, churn(0.002)),
        overwrites: 1_000.0,
        widths: [1.2, 5.5, 2.2, 5.5, 25.0],
    },
    Scenario {
        name: "expiry of most keys at once",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, _| expiry(&[0, 1], time, churn(0.001)),
        overwrites: 100.0,
        widths: [6.0, 8.0, 2.6, 8.0, 40.0],
    },
];

const BATCHES: [Scenario; 4] = [
    Scenario {
        name: "batches of one namespace and another",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, keys| batches(time, keys, STILL),
        overwrites: 0.0,
        widths: [0.7, 1.0, 4.0, 11.0, 45.0],
    },
    Scenario {
        name: "batches amid churn",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, keys| batches(time, keys, churn(0.002)),
        overwrites: 1_000.0,
        widths: [1.4, 1.8, 5.0, 14.0, 50.0],
    },
    Scenario {
        name: "two namespaces trade places",
        repetitions: 3 * REPETITIONS,
        keys: 165_000.0,
        rates: |time, keys| trade(time, keys, 20.0),
        overwrites: 0.0,
        widths: [0.3, 2.0, 0.5, 7.0, 10.0],
    },
    Scenario {
        name: "two namespaces trade places quickly amid writes",
        repetitions: REPETITIONS,
        keys: 165_000.0,
        rates: |time, keys| trade(time, keys, 5.0),
        overwrites: 1_000.0,
        widths: [0.3, 4.5, 0.6, 15.0, 6.0],
    },
];

/// Adds and removes 20,000 keys of one namespace, then 20,000 of a smaller one.
fn batches(time: f64, keys: [f64; NAMESPACES], rates: Rates) -> Rates {
    let jobs = [
        ((2, true), (70.0, 80.0)),
        ((2, false), (100.0, 105.0)),
        ((3, true), (130.0, 140.0)),
        ((3, false), (170.0, 175.0)),
        ((2, true), (200.0, 210.0)),
        ((3, true), (210.0, 220.0)),
    ];
    jobs.iter().fold(rates, |rates, (job, times)| {
        batch(rates, (time, keys), *job, *times)
    })
}

/// Replaces one namespace with another, and back. The total number of keys stays the same.
fn trade(time: f64, keys: [f64; NAMESPACES], seconds: f64) -> Rates {
    let jobs = [((1, 3), 70.0), ((3, 1), 150.0)];
    jobs.iter().fold(STILL, |rates, ((goes, comes), from)| {
        let times = (*from, from + seconds);
        let rates = batch(rates, (time, keys), (*goes, false), times);
        batch(rates, (time, keys), (*comes, true), times)
    })
}

/// Keys by namespace and segment.
struct World {
    keys: [[u64; SEGMENTS]; NAMESPACES],
    events: f64,
    time: f64,
}

impl World {
    fn new(keys: f64, random: &mut Rng) -> Self {
        let mut world = Self {
            keys: [[0; SEGMENTS]; NAMESPACES],
            events: 0.0,
            time: 0.0,
        };
        for (namespace, share) in world.keys.iter_mut().zip(SHARES) {
            for segment in namespace {
                *segment = poisson(keys * share / 64.0, random);
            }
        }
        world
    }

    fn step(&mut self, scenario: &Scenario, seconds: f64, random: &mut Rng) {
        let (deaths, births) = (scenario.rates)(self.time, self.truth());
        let rates = deaths.into_iter().zip(births);
        for (namespace, (death, birth)) in self.keys.iter_mut().zip(rates) {
            for segment in namespace {
                let gone = binomial(*segment, 1.0 - (-death * seconds).exp(), random);
                let came = poisson(birth * seconds / 64.0, random);
                *segment = *segment - gone + came;
                self.events += float(gone + came);
            }
        }
        self.events += scenario.overwrites * seconds;
        self.time += seconds;
    }

    fn total(&self) -> u64 {
        self.keys.iter().flatten().sum()
    }

    fn truth(&self) -> [f64; NAMESPACES] {
        self.keys.map(|namespace| float(namespace.iter().sum()))
    }
}

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

pub(super) fn poisson(mean: f64, random: &mut Rng) -> u64 {
    if mean > 30.0 {
        return rounded((mean + mean.sqrt() * normal(random)).max(0.0));
    }
    let (mut count, mut left) = (0, 1.0 - random.f64());
    let limit = (-mean).exp();
    while left > limit {
        count += 1;
        left *= 1.0 - random.f64();
    }
    count
}

pub(super) fn binomial(count: u64, probability: f64, random: &mut Rng) -> u64 {
    if probability <= 0.0 {
        return 0;
    }
    let mean = float(count) * probability;
    if mean < 20.0 {
        return poisson(mean, random).min(count);
    }
    let spread = (mean * (1.0 - probability)).sqrt();
    rounded((mean + spread * normal(random)).max(0.0)).min(count)
}

/// How often an interval contained the truth, and its average width.
#[derive(Clone, Copy, Default)]
pub(super) struct Score {
    pub(super) count: f64,
    covered: f64,
    pub(super) width: f64,
}

impl Score {
    pub(super) fn add(&mut self, found: Estimate, truth: f64) {
        self.count += 1.0;
        self.covered += f64::from(u8::from((found.value - truth).abs() <= found.error));
        self.width += found.error / truth.max(1.0);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.covered += other.covered;
        self.width += other.width;
    }

    pub(super) fn percent(self) -> (f64, f64) {
        let each = 100.0 / self.count.max(1.0);
        (self.covered * each, self.width * each)
    }
}

/// Scores of the first pass and of the later ones, by namespace.
type Scores = [[Score; NAMESPACES]; 2];

fn run(scenario: &Scenario, scores: &mut Scores, random: &mut Rng) {
    let mut world = World::new(scenario.keys, random);
    let mut window = Window::new(64);
    window.observe(0.0, world.total(), 0.0);
    let mut order: Vec<usize> = (0..SEGMENTS).collect();
    for pass in 0..4 {
        random.shuffle(&mut order);
        for (place, segment) in order.iter().enumerate() {
            let before = world.events;
            window.open(u32::try_from(*segment).unwrap_or(0), world.time);
            world.step(scenario, 0.5, random);
            for (namespace, keys) in (0..).zip(&world.keys) {
                if let Some(tally) = window.tally(NamespaceId(namespace)) {
                    tally.keys = keys[*segment];
                }
            }
            world.step(scenario, 0.5, random);
            window.close(world.time);
            window.observe(world.time, world.total(), world.events - before);
            if place > 2 && random.f64() < COMPARISONS {
                let namespaces: Vec<NamespaceId> = (0..5).map(NamespaceId).collect();
                let database = Database {
                    keys: world.total(),
                    sweep_is_uniform: true,
                };
                let found = estimate(&window, database, &namespaces);
                let scores = &mut scores[pass.min(1)];
                for ((score, found), truth) in scores.iter_mut().zip(found).zip(world.truth()) {
                    score.add(found.keys, truth);
                }
            }
        }
    }
}

/// Requires that each namespace's intervals contain the truth at least 93 % of the time, and bounds
/// their width.
fn assert_honest(scenario: &Scenario) {
    let mut random = Rng::with_seed(11);
    let mut scores = Scores::default();
    for _ in 0..scenario.repetitions {
        run(scenario, &mut scores, &mut random);
    }
    let name = scenario.name;
    let [first, later] = scores;
    println!("{name}");
    for (pass, scores) in [("first pass", first), ("later", later)] {
        let percent = scores.map(Score::percent);
        let covered = percent.map(|(covered, _)| covered);
        let width = percent.map(|(_, width)| width);
        println!("  {pass}: covered {covered:.0?} %, width {width:.2?} %");
    }
    let mut all = first;
    for (all, later) in all.iter_mut().zip(later) {
        all.merge(later);
    }
    let covered = all.map(|score| score.percent().0);
    println!("  in all: covered {covered:.1?} %");
    assert!(
        covered.iter().all(|covered| *covered >= 93.0),
        "{name}: {covered:?}"
    );
    for (scores, most) in [(first, FIRST_WIDTHS), (later, scenario.widths)] {
        let width = scores.map(|score| score.percent().1);
        let mut pairs = width.iter().zip(most);
        assert!(
            pairs.all(|(width, most)| *width <= most),
            "{name}: {width:?}"
        );
    }
}

#[test]
fn intervals_contain_the_truth_amid_smooth_changes() {
    SMOOTH.iter().for_each(assert_honest);
}

#[test]
fn intervals_contain_the_truth_amid_mass_expiry() {
    EXPIRY.iter().for_each(assert_honest);
}

#[test]
fn intervals_contain_the_truth_amid_batches() {
    BATCHES.iter().for_each(assert_honest);
}

/// Draws random keys every 30 s, until the first pass over a cluster node is complete.
fn run_draws(scenario: &Scenario, random: &mut Rng) -> [Score; NAMESPACES] {
    let mut scores = [Score::default(); NAMESPACES];
    let mut world = World::new(scenario.keys, random);
    let mut window = Window::new(4);
    window.observe(0.0, world.total(), 0.0);
    for second in 0..240_u32 {
        if second % 30 == 0 {
            window.open(second / 30 % 4, world.time);
            let (mut left, mut rest) = (1_024, world.total());
            for (namespace, keys) in (0..).zip(world.truth()) {
                let drawn = binomial(left, (keys / float(rest.max(1))).min(1.0), random);
                if let Some(tally) = window.tally(NamespaceId(namespace)) {
                    tally.keys = drawn;
                }
                (left, rest) = (left - drawn, rest - rounded(keys));
            }
            window.close_part(world.time);
        }
        let before = world.events;
        world.step(scenario, 1.0, random);
        window.observe(world.time, world.total(), world.events - before);
        if second % 7 == 3 {
            let namespaces: Vec<NamespaceId> = (0..5).map(NamespaceId).collect();
            let database = Database {
                keys: world.total(),
                sweep_is_uniform: true,
            };
            let found = estimate(&window, database, &namespaces);
            for ((score, found), truth) in scores.iter_mut().zip(found).zip(world.truth()) {
                score.add(found.keys, truth);
            }
        }
    }
    scores
}

#[test]
fn random_key_intervals_contain_the_truth_amid_changes() {
    for scenario in SMOOTH.iter().chain(&EXPIRY) {
        let mut random = Rng::with_seed(13);
        let mut scores = [Score::default(); NAMESPACES];
        for _ in 0..REPETITIONS * 3 {
            let more = run_draws(scenario, &mut random);
            for (score, more) in scores.iter_mut().zip(more) {
                score.merge(more);
            }
        }
        let percent = scores.map(Score::percent);
        println!(
            "{}: covered and width in percent {percent:.1?}",
            scenario.name
        );
        let mut all = Score::default();
        for score in scores {
            all.merge(score);
        }
        let (covered, _) = all.percent();
        assert!(covered >= 93.0, "{}: {covered}", scenario.name);
    }
}
