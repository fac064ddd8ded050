use super::*;

const REGION: Region = Region {
    database: 0,
    start: 0,
    end: 0,
};

fn names(keys: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    keys.map(|key| key.to_be_bytes().to_vec()).collect()
}

/// Follows ten keys that stay for 100 seconds on average, so they are scanned every 10 seconds.
fn followed() -> Ghosts {
    let mut ghosts = Ghosts::default();
    ghosts.plan(0.0, Some(100.0), 1.0);
    assert!(ghosts.wants_part());
    ghosts.add(0.0, REGION, &names(0..10));
    ghosts
}

fn ends(ghosts: &Ghosts, needs_ttls: bool) -> Vec<(f64, GhostEnd, f64)> {
    let all = ghosts.all(needs_ttls).into_iter();
    all.map(|ghost| (ghost.age, ghost.end, ghost.weight))
        .collect()
}

#[test]
fn ghost_returns_after_the_time_between_two_scans() {
    let mut ghosts = followed();
    ghosts.record(10.0, REGION, &names(1..10));
    ghosts.record(20.0, REGION, &names(1..10));
    assert_eq!(ends(&ghosts, false), [(15.0, GhostEnd::Followed, 1.0)]);
    ghosts.record(30.0, REGION, &names(0..10));
    assert_eq!(ends(&ghosts, false), [(20.0, GhostEnd::Returned, 1.0)]);
    let turnover = ghosts.turnover(0.0);
    assert_eq!((turnover.removed, turnover.written), (1.0, 1.0));
    assert!((turnover.key_seconds - 280.0).abs() < 1e-9);
}

#[test]
fn ghost_that_returns_at_once_represents_unseen_ones() {
    let mut ghosts = followed();
    ghosts.record(10.0, REGION, &names(1..10));
    ghosts.record(20.0, REGION, &names(0..10));
    assert_eq!(ends(&ghosts, false), [(10.0, GhostEnd::Returned, 1.5)]);
    assert!((ghosts.turnover(0.0).removed - 1.5).abs() < 1e-9);
}

#[test]
fn ghost_is_given_up_after_four_residences() {
    let mut ghosts = followed();
    ghosts.record(10.0, REGION, &names(1..10));
    ghosts.record(410.0, REGION, &names(1..10));
    assert_eq!(ends(&ghosts, false), [(405.0, GhostEnd::Followed, 1.0)]);
    // It counts as another key then.
    ghosts.record(420.0, REGION, &names(0..10));
    assert_eq!(ends(&ghosts, false).len(), 1);
}

#[test]
fn ttl_of_a_ghost_ends_it() {
    let mut ghosts = followed();
    assert_eq!(ghosts.without_ttl(0.0, REGION, &names(0..3)), [0, 1, 2]);
    let until = |key: u32, expiry, ghosts: &mut Ghosts| {
        ghosts.learn(0.0, REGION, &key.to_be_bytes(), Lifetime::Until(expiry));
    };
    until(0, 24.0, &mut ghosts);
    until(1, 3.0, &mut ghosts);
    assert_eq!(ghosts.without_ttl(1.0, REGION, &names(0..3)), [2]);
    // The second key has expired, and the TTL of the third is unknown.
    ghosts.record(10.0, REGION, &names(3..10));
    ghosts.record(20.0, REGION, &names(3..10));
    assert_eq!(ends(&ghosts, true), [(15.0, GhostEnd::Followed, 1.0)]);
    assert_eq!(ends(&ghosts, false).len(), 2);
    ghosts.record(30.0, REGION, &names(0..10));
    assert_eq!(ends(&ghosts, true), [(19.0, GhostEnd::Expired, 1.0)]);
}

#[test]
fn renewed_ttl_is_unknown() {
    let mut ghosts = followed();
    let key = 0_u32.to_be_bytes();
    ghosts.learn(0.0, REGION, &key, Lifetime::Until(5.0));
    ghosts.record(10.0, REGION, &names(0..10));
    assert_eq!(ghosts.without_ttl(10.0, REGION, &names(0..1)), [0]);
}

#[test]
fn parts_fit_into_the_limit_of_scans() {
    let mut ghosts = Ghosts::default();
    for (residence, scans, parts) in [
        (100.0, 1.0, 8),
        (30.0, 1.0, 3),
        (5.0, 1.0, 1),
        (2.0, 1.0, 0),
        (100.0, 0.01, 0),
    ] {
        ghosts.plan(0.0, Some(residence), scans);
        assert_eq!(ghosts.wanted, parts, "{residence} {scans}");
    }
}

#[test]
fn parts_are_replaced_after_a_while() {
    let mut ghosts = followed();
    ghosts.record(10.0, REGION, &names(1..10));
    ghosts.plan(1_199.0, Some(100.0), 1.0);
    assert!(!ghosts.is_empty());
    ghosts.plan(1_201.0, Some(100.0), 1.0);
    assert!(ghosts.is_empty() && ghosts.wants_part());
    assert_eq!(ends(&ghosts, false).len(), 1);
    ghosts.plan(1_300.0, Some(100.0), 1.0);
    assert_eq!(ends(&ghosts, false).len(), 0);
}

#[test]
fn nothing_is_kept_while_nothing_is_evicted() {
    let mut ghosts = followed();
    ghosts.record(10.0, REGION, &names(1..10));
    ghosts.plan(20.0, None, 1.0);
    assert!(ghosts.is_empty() && ghosts.all(false).is_empty());
    assert!(!ghosts.wants_part());
}

#[test]
fn part_is_followed_only_once() {
    let mut ghosts = followed();
    let other = Region { end: 7, ..REGION };
    ghosts.add(0.0, other, &names(0..10));
    ghosts.record(10.0, REGION, &names(0..10));
    assert_eq!(ghosts.due(11.0), None);
}
