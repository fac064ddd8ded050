use super::*;

const POLL_SECONDS: f64 = 15.0;

/// A server, the application that uses it, and the exporter that watches both.
struct World {
    time: f64,
    run: u32,
    started: f64,
    hits: u64,
    connections: u64,
    /// Commands and lookups of the exporter since it started.
    caused: Caused,
    remembered: Option<Traffic>,
    /// Hits of the application, by its own count.
    truth: f64,
    /// What Prometheus sees.
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

    /// One poll interval with hits of the application and of the exporter, and the poll after it.
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
        let traffic = Traffic::read(&info, self.caused, self.time, before.as_ref());
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

    /// `increase()` of Prometheus over all samples: a value that goes back is a reset to 0.
    fn increase(&self) -> f64 {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs
            .map(|(before, now)| if now < before { *now } else { now - before })
            .sum()
    }
}

#[test]
fn lookups_of_the_exporter_are_left_out() {
    let mut world = World::new();
    for _ in 0..20 {
        world.pass(100, 5_000);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
}

#[test]
fn increase_is_right_over_restarts_of_the_exporter() {
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
fn increase_is_right_over_a_reset_of_the_statistics() {
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
fn increase_is_right_over_a_restart_of_the_server() {
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
fn the_history_of_another_server_is_no_traffic() {
    let mut world = World::new();
    world.pass(100, 50);
    let hits = world.hits;
    for other in [hits * 3, hits / 3] {
        // A name that now leads to another server, which has run for long.
        world.run += 1;
        world.hits = other;
        world.poll();
        world.pass(100, 50);
    }
    assert!((world.increase() - world.truth).abs() < 1e-9);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
}

#[test]
fn what_was_counted_late_never_makes_a_counter_go_back() {
    let mut world = World::new();
    world.pass(100, 0);
    // Lookups of the exporter that it has not counted yet when the poll reads INFO.
    world.hits += 30;
    world.poll();
    world.caused.hits += 30;
    world.poll();
    world.pass(100, 0);
    assert!(world.samples.is_sorted(), "{:?}", world.samples);
    assert!((world.increase() - world.truth).abs() < 1e-9);
}

#[test]
fn what_is_unknown_is_absent() {
    let info = Info::parse("run_id:1\nkeyspace_misses:3\n");
    let traffic = Traffic::read(&info, Caused::default(), 1e9, None);
    assert_eq!(traffic.of("keyspace_misses"), Some(0.0));
    assert_eq!(traffic.of("keyspace_hits"), None);
    assert_eq!(traffic.of("used_memory"), None);
}
