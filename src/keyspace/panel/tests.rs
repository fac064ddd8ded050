use super::size::{KEYS_LEAST, KEYS_MAX};
use super::*;
use crate::info::Info;
use crate::keyspace::tally::Expiry;
use crate::metric::{Sample, SampleValue, Snapshot};
use crate::number::to_float as float;

const PLACE: NamespacePlace = (0, NamespaceId(1));

const KEYS: f64 = 10_000.0;

const REGION: Region = Region {
    database: 0,
    start: 0,
    end: 0,
};

fn reading(evicted: u32, expired: u32, deleted: u32) -> RemovalReading {
    RemovalReading::read(&Info::parse(format!(
        "# Replication\r\nrole:master\r\n# Stats\r\nexpired_keys:{expired}\r\n\
         evicted_keys:{evicted}\r\n# Commandstats\r\ncmdstat_del:calls={deleted},usec=1\r\n"
    )))
}

fn name(key: usize) -> Vec<u8> {
    format!("session:{key}").into_bytes()
}

/// Draws 100 keys of one namespace for each lifetime.
fn draw_each(panel: &mut Panel, now: f64, lifetimes: &[Lifetime]) {
    let names: Vec<Vec<u8>> = (0..100).map(name).collect();
    let runs = lifetimes.iter().map(|lifetime| {
        let keys = names.iter().map(|name| (&name[..], PLACE.1, *lifetime));
        Drawn {
            at: now,
            region: REGION,
            keys: keys.collect(),
        }
    });
    panel.draw(now, KEYS, &runs.collect::<Vec<_>>());
}

fn draw(panel: &mut Panel, now: f64, lifetime: Lifetime) {
    draw_each(panel, now, &[lifetime]);
}

/// Draws and checks a run in every one of these seconds. The first `gone` of 100 keys are gone.
fn run(panel: &mut Panel, seconds: std::ops::Range<u32>, gone: usize) {
    for second in seconds {
        let now = f64::from(second);
        let left: Vec<Vec<u8>> = (gone..100).map(name).collect();
        while let Some(run) = panel.take_due(now) {
            panel.record_checked(now, &run, &left);
        }
        draw(panel, now, Lifetime::Unknown);
    }
}

fn value(panel: &Panel, family: &str, label: &str) -> Option<f64> {
    let mut snapshot = Snapshot::default();
    families::push(panel, |_| "session", &mut snapshot);
    let is_it = |sample: &Sample<'_>| {
        let mut labels = sample.label_values();
        sample.family.name == family && (label.is_empty() || labels.any(|value| value == label))
    };
    match snapshot.samples().find(is_it)?.value {
        SampleValue::Number(number) => Some(number),
        SampleValue::Histogram(histogram) => Some(float(histogram.count)),
        SampleValue::Summary(_) => None,
    }
}

/// Returns the evicted and expired keys that are exported.
fn removed(panel: &Panel) -> [Option<f64>; 2] {
    let place = panel.places().next().filter(|_| panel.has_begun());
    let known = |at: usize| {
        let is_known = panel.attributes(place?)[at];
        is_known.then(|| panel.attributed(PLACE)[at].round())
    };
    [known(0), known(1)]
}

fn evicted(panel: &Panel) -> Option<f64> {
    removed(panel)[0]
}

fn expired(panel: &Panel) -> Option<f64> {
    removed(panel)[1]
}

fn vanished(panel: &Panel, when: &str) -> Option<f64> {
    value(panel, "redis_key_namespace_vanished_keys_total", when)
}

fn checks(panel: &Panel, result: &str) -> Option<f64> {
    value(panel, "redis_exporter_panel_checks_total", result)
}

#[test]
fn region_ends_at_its_cursor_in_reversed_bits() {
    let region = Region {
        end: 0b11,
        ..REGION
    };
    assert!(region.has_more(0b01) && region.has_more(0b101));
    assert!(!region.has_more(0b11) && !region.has_more(0b111) && !region.has_more(0));
    assert!(REGION.has_more(0b11) && !REGION.has_more(0));
}

#[test]
fn nothing_is_shown_before_the_first_check() {
    let mut panel = Panel::default();
    panel.observe(0.0, reading(5, 5, 5));
    draw(&mut panel, 0.0, Lifetime::Unknown);
    panel.observe(1.0, reading(6, 5, 5));
    assert_eq!((evicted(&panel), vanished(&panel, "unknown")), (None, None));
}

#[test]
fn namespace_without_deaths_starts_at_zero() {
    let mut panel = Panel::default();
    run(&mut panel, 0..10, 0);
    panel.observe(10.0, reading(5, 5, 5));
    assert_eq!((evicted(&panel), expired(&panel)), (Some(0.0), Some(0.0)));
    assert_eq!(vanished(&panel, "before_ttl"), Some(0.0));
}

#[test]
fn vanished_keys_represent_the_keyspace() {
    let mut panel = Panel::default();
    for second in 0..100 {
        run(&mut panel, second..second + 1, 5);
        panel.observe(f64::from(second), reading(0, 0, 0));
    }
    // A twentieth of 10,000 keys in three seconds, and then in eight.
    let vanished = vanished(&panel, "unknown").unwrap();
    assert!((6_000.0..17_000.0).contains(&vanished), "{vanished}");
}

#[test]
fn checks_count_only_after_the_data_are_confirmed() {
    let mut panel = Panel::default();
    panel.observe(0.0, reading(0, 0, 0));
    run(&mut panel, 0..10, 100);
    panel.forget();
    panel.observe(10.0, reading(0, 0, 0));
    assert!(panel.is_empty());
    assert_eq!(checks(&panel, "vanished"), None);
    run(&mut panel, 10..20, 0);
    panel.observe(20.0, reading(0, 0, 0));
    assert_eq!(checks(&panel, "vanished"), Some(0.0));
    assert!(checks(&panel, "alive") > Some(0.0));
}

#[test]
fn counts_during_a_replacement_are_not_attributed() {
    let mut panel = Panel::default();
    for second in 0..30 {
        run(&mut panel, second..second + 1, 10);
        panel.observe(f64::from(second), reading(250 * second, 0, 0));
    }
    let before = evicted(&panel);
    assert!(before > Some(0.0));
    panel.forget();
    for second in 30..60 {
        panel.observe(f64::from(second), reading(900_000, 0, 0));
        run(&mut panel, second..second + 1, 10);
    }
    assert_eq!(evicted(&panel), before);
}

#[test]
fn evictions_of_the_server_are_attributed() {
    let mut panel = Panel::default();
    for second in 0..120 {
        run(&mut panel, second..second + 1, 10);
        panel.observe(f64::from(second), reading(250 * second, 0, 0));
    }
    let evicted = evicted(&panel).unwrap();
    assert!((24_000.0..=30_000.0).contains(&evicted), "{evicted}");
}

#[test]
fn calls_may_be_read_less_often() {
    let mut panel = Panel::default();
    for second in 0..120 {
        run(&mut panel, second..second + 1, 10);
        let reading = reading(250 * second, 0, 20 * second);
        let without_calls = RemovalReading::read(&Info::parse(format!(
            "# Replication\r\nrole:master\r\n# Stats\r\nexpired_keys:0\r\nevicted_keys:{}\r\n",
            250 * second
        )));
        let is_whole = second % 10 == 0;
        panel.observe(
            f64::from(second),
            if is_whole { reading } else { without_calls },
        );
    }
    // A twelfth as many deletions as evictions.
    assert_eq!(evicted(&panel), None);
    assert_eq!(expired(&panel), Some(0.0));
}

#[test]
fn counters_of_a_replica_are_not_shown() {
    let mut panel = Panel::default();
    run(&mut panel, 0..10, 10);
    let replica = Info::parse("# Replication\r\nrole:slave\r\n# Stats\r\nevicted_keys:0\r\n");
    panel.observe(10.0, RemovalReading::read(&replica));
    assert_eq!((evicted(&panel), expired(&panel)), (None, None));
    assert!(vanished(&panel, "unknown") > Some(0.0));
}

#[test]
fn late_check_is_dropped() {
    let mut panel = Panel::default();
    draw(&mut panel, 0.0, Lifetime::Unknown);
    assert_eq!(panel.take_due(60.0), None);
    assert!(panel.is_empty());
}

#[test]
fn panel_is_bounded() {
    let mut panel = Panel::default();
    for second in 0..1_000 {
        let now = f64::from(second);
        if panel.wanted(now, u64::MAX, 1e6, 1) > 0 {
            draw(&mut panel, now, Lifetime::Unknown);
        }
    }
    let members: usize = panel.runs.iter().map(|run| run.members.len()).sum();
    assert!(
        (KEYS_MAX..KEYS_MAX + RUN_KEYS_MAX).contains(&members),
        "{members}"
    );
    assert!(members * size_of::<Member>() < 200_000);
}

#[test]
fn panels_of_thousands_of_targets_are_small() {
    for (panels, most) in [(1, KEYS_MAX), (100, 4_000), (2_000, KEYS_LEAST)] {
        let mut panel = Panel::default();
        for second in 0..1_000 {
            let now = f64::from(second);
            if panel.wanted(now, u64::MAX, 1e6, panels) > 0 {
                draw(&mut panel, now, Lifetime::Unknown);
            }
        }
        let members: usize = panel.runs.iter().map(|run| run.members.len()).sum();
        assert!((most..most + RUN_KEYS_MAX).contains(&members), "{members}");
    }
}

#[test]
fn small_keyspace_is_not_drawn_again_and_again() {
    let mut panel = Panel::default();
    draw(&mut panel, 0.0, Lifetime::Unknown);
    assert_eq!(panel.wanted(1.0, 10, 100.0, 1), 0);
    assert!(panel.wanted(2.0, 1_000, 100.0, 1) > 0);
}

#[test]
fn lost_ttl_is_recorded_for_early_deaths_only() {
    let mut panel = Panel::default();
    let lifetimes = [
        Lifetime::Until(3_600.0),
        Lifetime::Until(1.5),
        Lifetime::Unlimited,
    ];
    draw_each(&mut panel, 0.0, &lifetimes);
    while let Some(run) = panel.take_due(5.0) {
        panel.record_checked(5.0, &run, &[""; 0]);
    }
    panel.observe(6.0, reading(0, 0, 0));
    let lost = value(&panel, "redis_key_namespace_lost_ttl_seconds", "");
    assert_eq!(lost, Some(100.0));
    for when in ["before_ttl", "no_ttl"] {
        assert!(vanished(&panel, when) > Some(0.0), "{when}");
    }
    // A key whose TTL has ended may have vanished before.
    assert!(vanished(&panel, "unknown") > Some(0.0));
}

#[test]
fn keys_with_new_ttls_are_not_counted_as_keys_without() {
    for (share, is_kept) in [(0.01, true), (0.5, false)] {
        let mut panel = Panel::default();
        (0..100).for_each(|_| panel.learn_unlimited(PLACE));
        panel.record_ttls(PLACE.0, share);
        assert_eq!(panel.known_ttls(PLACE) > 0, is_kept);
        run(&mut panel, 0..10, 50);
        panel.observe(10.0, reading(0, 0, 0));
        assert_eq!(vanished(&panel, "no_ttl") > Some(0.0), is_kept);
        assert_eq!(vanished(&panel, "unknown") > Some(0.0), !is_kept);
    }
}

#[test]
fn queried_ttls_are_kept() {
    let mut panel = Panel::default();
    (0..100).for_each(|_| panel.learn(PLACE, Expiry::Never));
    panel.record_ttls(PLACE.0, 1.0);
    assert!(panel.known_ttls(PLACE) > 0);
}

#[test]
fn ttls_are_lacking_where_keys_vanish() {
    let mut panel = Panel::default();
    panel.observe(0.0, reading(0, 0, 0));
    assert!(!panel.lacks_ttls());
    panel.observe(1.0, reading(0, 0, 0));
    run(&mut panel, 1..10, 50);
    panel.observe(10.0, reading(1_000, 0, 0));
    assert!(!panel.lacks_ttls());
    panel.observe(11.0, reading(1_000, 1_000, 0));
    assert!(panel.lacks_ttls());
    (0..30).for_each(|_| panel.learn(PLACE, Expiry::Never));
    assert_eq!(panel.known_ttls(PLACE), 30);
    assert!(!panel.lacks_ttls());
    (0..500).for_each(|_| panel.learn(PLACE, Expiry::Never));
    assert_eq!(panel.known_ttls(PLACE), 100);
}

#[test]
fn hidden_namespace_is_dropped() {
    let mut panel = Panel::default();
    run(&mut panel, 0..10, 50);
    panel.observe(10.0, reading(0, 0, 0));
    assert!(vanished(&panel, "unknown").is_some());
    panel.retain(|_| false);
    assert_eq!(vanished(&panel, "unknown"), None);
}

#[test]
fn exported_families_are_listed_once() {
    let mut panel = Panel::default();
    draw(&mut panel, 0.0, Lifetime::Until(60.0));
    run(&mut panel, 1..10, 50);
    panel.observe(10.0, reading(0, 0, 0));
    (0..30).for_each(|_| panel.renewals.record(PLACE, true));
    let mut snapshot = Snapshot::default();
    families::push(&panel, |_| "session", &mut snapshot);
    families::push_removed([Some(1.0); 2], ["db0", "session"], &mut snapshot);
    let pushed = snapshot.samples().map(|sample| sample.family.name);
    let pushed: BTreeSet<_> = pushed.collect();
    let listed: Vec<_> = families::families()
        .iter()
        .map(|family| family.name)
        .collect();
    assert_eq!(pushed, listed.iter().copied().collect());
    assert_eq!(pushed.len(), listed.len());
}
