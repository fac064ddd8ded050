use super::*;

const POLL_SECONDS: f64 = 15.0;

/// A server, an application that uses it, and the exporter that monitors it.
struct World {
    time: f64,
    run: u32,
    started: f64,
    hits: u64,
    connections: u64,
    /// Commands and lookups of the exporter since it started.
    caused: Caused,
    remembered: Option<OthersTraffic>,
    /// Hits of the application, counted by itself.
    truth: f64,
    /// Samples as Prometheus scrapes them.
    samples: Vec<f64>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            time: 1e9,
            run: 1,
            started: 1e9 - 1e6,
            hits: 5_000_000,
            connections: 900,
            caused: Caused::default(),
            remembered: None,
            truth: 0.0,
            samples: Vec::new(),
        };
        world.poll();
        world
    }

    /// Simulates a poll interval with hits of the application and the exporter, and then polls.
    fn pass(&mut self, application: u32, exporter: u32) {
        self.time += POLL_SECONDS;
        self.hits += u64::from(application) + u64::from(exporter);
        self.caused.hits += u64::from(exporter);
        self.truth += f64::from(application);
        self.poll();
    }

    fn poll(&mut self) {
        let text = format!(
            "run_id:{}\nuptime_in_seconds:{}\ntotal_connections_received:{}\nkeyspace_hits:{}\n",
            self.run,
            self.time - self.started,
            self.connections,
            self.hits
        );
        let info = Info::parse(&text);
        let before = self.remembered.take();
        let traffic = OthersTraffic::read(&info, self.caused, self.time, before.as_ref());
        self.samples.push(traffic.of("keyspace_hits").unwrap());
        self.remembered = Some(traffic);
    }

    fn restart_exporter(&mut self) {
        self.caused = Caused::default();
        self.remembered = None;
        self.poll();
    }

    fn reset_statistics(&mut self) {
        (self.hits, self.connections) = (0, 0);
    }

    fn restart_server(&mut self) {
        self.reset_statistics();
        self.run += 1;
        self.started = self.time;
    }

    /// Computes `increase()` as Prometheus does: a decrease is a reset to 0.
    fn increase(&self) -> f64 {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs
            .map(|(before, now)| if now < before { *now } else { now - before })
            .sum()
    }
}

#[test]
fn lookups_of_the_exporter_are_excluded() {
    let mut world = World::new();
    for _ in 0..20 {
        world.pass(100, 5_000);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
}

#[test]
fn increase_is_right_across_exporter_restarts() {
    let mut world = World::new();
    for run in 0..5 {
        for _ in 0..20 {
            world.pass(100 + run, 5_000);
        }
        world.restart_exporter();
    }
    world.pass(100, 0);
    assert!((world.increase() - world.truth).abs() < 1e-9);
}

#[test]
fn increase_is_right_across_a_statistics_reset() {
    let mut world = World::new();
    for _ in 0..5 {
        world.pass(100, 50);
        world.reset_statistics();
        world.pass(100, 50);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
}

#[test]
fn increase_is_right_across_a_server_restart() {
    let mut world = World::new();
    for _ in 0..5 {
        world.pass(100, 50);
        world.restart_server();
        world.pass(100, 50);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
}

#[test]
fn history_of_another_server_is_not_traffic() {
    let mut world = World::new();
    world.pass(100, 50);
    let hits = world.hits;
    for other in [hits * 3, hits / 3] {
        // A name that now resolves to another server with a long uptime.
        world.run += 1;
        world.hits = other;
        world.poll();
        world.pass(100, 50);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
}

#[test]
fn late_counts_never_decrease_a_counter() {
    let mut world = World::new();
    world.pass(100, 0);
    // Lookups that the exporter has not counted yet when the poll reads INFO.
    world.hits += 30;
    world.poll();
    world.caused.hits += 30;
    world.poll();
    world.pass(100, 0);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
    assert!((world.increase() - world.truth).abs() < 1e-9);
}

#[test]
fn unknown_traffic_is_absent() {
    let info = Info::parse("run_id:1\nkeyspace_misses:3\n");
    let traffic = OthersTraffic::read(&info, Caused::default(), 1e9, None);
    assert_eq!(traffic.of("keyspace_misses"), Some(0.0));
    assert_eq!(traffic.of("keyspace_hits"), None);
    assert_eq!(traffic.of("used_memory"), None);
}
