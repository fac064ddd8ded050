//! The estimates of a keyspace that does not hold still, against its truth at every moment.
//!
//! A sweep takes 64 s for a pass while keys come and go. The random numbers have a fixed seed.

use fastrand::Rng;

use super::*;

const GROUPS: usize = 5;
const SEGMENTS: usize = 64;

const REPETITIONS: u32 = 6;

/// Shares of the groups: 45, 30, 20, 4.5 and 0.5 %.
const SHARES: [f64; GROUPS] = [0.45, 0.3, 0.2, 0.045, 0.005];

/// What happens to the keys.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Keys at the start.
    keys: f64,
    /// The rate at which a key of each group goes, and keys of each group that come per second,
    /// at a time in seconds and with so many keys.
    rates: fn(f64, f64) -> ([f64; GROUPS], [f64; GROUPS]),
    /// Writes per second that change no count.
    overwrites: f64,
    /// How wide the intervals of the large namespaces are at most on average, in percent of their
    /// keys: in the first pass, and later.
    widths: (f64, f64),
}

fn churn(rate: f64) -> ([f64; GROUPS], [f64; GROUPS]) {
    ([rate; GROUPS], SHARES.map(|share| share * rate * 165_000.0))
}

const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "overwrites only",
        keys: 165_000.0,
        rates: |_, _| churn(0.0),
        overwrites: 4_000.0,
        widths: (4.0, 0.6),
    },
    Scenario {
        name: "churn of 0.1 % per second",
        keys: 165_000.0,
        rates: |_, _| churn(0.001),
        overwrites: 0.0,
        widths: (3.2, 0.7),
    },
    Scenario {
        name: "churn of 1 % per second",
        keys: 165_000.0,
        rates: |_, _| churn(0.01),
        overwrites: 0.0,
        widths: (4.0, 1.6),
    },
    Scenario {
        name: "churn of 10 % per second",
        keys: 165_000.0,
        rates: |_, _| churn(0.1),
        overwrites: 0.0,
        widths: (4.2, 2.4),
    },
    Scenario {
        name: "churn of one namespace",
        keys: 165_000.0,
        rates: |_, _| ([0.0, 0.0, 0.05, 0.0, 0.0], [0.0, 0.0, 1_650.0, 0.0, 0.0]),
        overwrites: 500.0,
        widths: (4.0, 1.2),
    },
    Scenario {
        name: "steady eviction by one namespace",
        keys: 165_000.0,
        rates: |_, keys| ([500.0 / keys; GROUPS], [0.0, 500.0, 0.0, 0.0, 0.0]),
        overwrites: 0.0,
        widths: (4.0, 1.0),
    },
    Scenario {
        name: "growth to ten times",
        keys: 30_000.0,
        rates: |time, _| {
            let rate = if time < 128.0 { 2_110.0 } else { 0.0 };
            (
                [0.0; GROUPS],
                [0.1 * rate, 0.6 * rate, 0.2 * rate, 0.1 * rate, 0.0],
            )
        },
        overwrites: 0.0,
        widths: (6.0, 2.0),
    },
    Scenario {
        name: "mass expiry of one namespace",
        keys: 165_000.0,
        rates: |time, _| {
            let rate = if (96.0..102.0).contains(&time) {
                0.4
            } else {
                0.0
            };
            ([0.0, rate, 0.0, 0.0, 0.0], [0.0; GROUPS])
        },
        overwrites: 0.0,
        widths: (2.0, 4.5),
    },
    Scenario {
        name: "mass expiry amid churn",
        keys: 165_000.0,
        rates: |time, _| {
            let (mut deaths, births) = churn(0.002);
            if (96.0..102.0).contains(&time) {
                deaths[1] = 0.4;
            }
            (deaths, births)
        },
        overwrites: 1_000.0,
        widths: (4.0, 6.5),
    },
];

/// Keys by group and segment.
struct World {
    keys: [[u64; SEGMENTS]; GROUPS],
    events: f64,
    time: f64,
}

impl World {
    fn new(keys: f64, random: &mut Rng) -> Self {
        let mut world = Self {
            keys: [[0; SEGMENTS]; GROUPS],
            events: 0.0,
            time: 0.0,
        };
        for (group, share) in world.keys.iter_mut().zip(SHARES) {
            for segment in group {
                *segment = poisson(keys * share / 64.0, random);
            }
        }
        world
    }

    fn step(&mut self, scenario: &Scenario, seconds: f64, random: &mut Rng) {
        let (deaths, births) = (scenario.rates)(self.time, float(self.total()));
        let rates = deaths.into_iter().zip(births);
        for (group, (death, birth)) in self.keys.iter_mut().zip(rates) {
            for segment in group {
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

    fn truth(&self) -> [f64; GROUPS] {
        self.keys.map(|group| float(group.iter().sum()))
    }
}

fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

fn poisson(mean: f64, random: &mut Rng) -> u64 {
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

fn binomial(count: u64, probability: f64, random: &mut Rng) -> u64 {
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

/// How often an interval held the truth, and how wide it was.
#[derive(Clone, Copy, Default)]
struct Score {
    count: f64,
    held: f64,
    width: f64,
}

impl Score {
    fn add(&mut self, found: Estimate, truth: f64) {
        self.count += 1.0;
        self.held += f64::from(u8::from((found.value - truth).abs() <= found.error));
        self.width += found.error / truth.max(1.0);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.held += other.held;
        self.width += other.width;
    }

    fn percent(self) -> (f64, f64) {
        let each = 100.0 / self.count.max(1.0);
        (self.held * each, self.width * each)
    }
}

/// Scores of the first pass, the second, and the later ones, by group.
type Scores = [[Score; GROUPS]; 3];

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
            for (group, keys) in (0..).zip(&world.keys) {
                if let Some(tally) = window.tally(Group(group)) {
                    tally.keys = keys[*segment];
                }
            }
            world.step(scenario, 0.5, random);
            window.close(world.time);
            window.observe(world.time, world.total(), world.events - before);
            if place % 8 == 5 {
                let groups: Vec<Group> = (0..5).map(Group).collect();
                let database = Database {
                    keys: world.total(),
                    walk_is_uniform: true,
                };
                let found = estimate(&window, database, &groups);
                let scores = &mut scores[pass.min(2)];
                for ((score, found), truth) in scores.iter_mut().zip(found).zip(world.truth()) {
                    score.add(found.keys, truth);
                }
            }
        }
    }
}

#[test]
fn the_interval_holds_the_truth_while_keys_come_and_go() {
    for scenario in SCENARIOS {
        let mut random = Rng::with_seed(11);
        let mut scores = Scores::default();
        for _ in 0..REPETITIONS {
            run(&scenario, &mut scores, &mut random);
        }
        let name = scenario.name;
        println!("{name}");
        let mut all = Score::default();
        for (pass, scores) in ["first", "second", "later"].iter().zip(&scores) {
            let percent = scores.map(Score::percent);
            let held = percent.map(|(held, _)| held);
            let width = percent.map(|(_, width)| width);
            println!("  {pass}: held {held:.0?} %, width {width:.1?} %");
            for score in scores {
                all.merge(*score);
            }
            let (rough, fine) = scenario.widths;
            let most = if *pass == "first" { rough } else { fine };
            // The rare namespaces are wider by nature.
            assert!(
                width[..3].iter().all(|width| *width < most),
                "{name}: {width:?}"
            );
        }
        let (held, _) = all.percent();
        println!("  in all: held {held:.1} %");
        assert!(held >= 93.0, "{name}: {held}");
    }
}
