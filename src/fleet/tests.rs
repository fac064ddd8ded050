//! Starting and watching targets, with a paused clock and servers that do not exist.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use super::*;
use crate::config::Target;
use crate::publish::Publication;

const INTERVAL: Duration = Duration::from_secs(5);
const DUE: Duration = Duration::from_secs(20);

fn has_failed(slot: &Slot) -> bool {
    slot.latest().is_some_and(|latest| latest.failure.is_some())
}

fn watched(targets: [Target; 3]) -> Vec<WatchedTarget> {
    targets.map(|target| Arc::new(target).into()).to_vec()
}

#[test]
fn one_target_is_polled_at_once_and_then_at_the_interval() {
    assert_eq!(
        start_of(0, 1),
        Start {
            first: Duration::ZERO,
            second: 1.0
        }
    );
}

#[test]
fn second_polls_of_many_are_spread_over_the_interval() {
    let seconds: Vec<_> = (0..4).map(|at| start_of(at, 4).second).collect();
    assert_eq!(seconds, [0.25, 0.5, 0.75, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn overdue_poller_is_published_as_failed_after_two_checks() {
    let board = Board::default();
    let slots = ["late", "fine"].map(|name| board.slot(name, "-"));
    let pollers = slots
        .each_ref()
        .map(|slot| slot.start_poller(INTERVAL, DUE));
    board.list(slots.to_vec());
    let [late, fine] = &slots;
    late.publish(Publication::empty());
    tokio::spawn(watch(board.clone()));
    for _ in 0..4 {
        fine.publish(Publication::empty());
        assert!(!has_failed(late) && !has_failed(fine));
        sleep(INTERVAL).await;
    }
    sleep(WATCH_EVERY / 2).await;
    assert!(!has_failed(late), "one check is not enough");
    sleep(2 * WATCH_EVERY).await;
    assert!(has_failed(late));
    assert!(!has_failed(fine));
    drop(pollers);
}

#[tokio::test(start_paused = true)]
async fn ended_poller_is_published_as_failed_within_seconds() {
    let board = Board::default();
    let slot = board.slot("cache", "-");
    let poller = slot.start_poller(INTERVAL, DUE);
    board.list(vec![Arc::clone(&slot)]);
    slot.publish(Publication::empty());
    tokio::spawn(watch(board.clone()));
    sleep(WATCH_EVERY).await;
    drop(poller);
    sleep(Duration::from_secs(2)).await;
    assert!(!has_failed(&slot), "a reload may replace it");
    sleep(Duration::from_secs(3)).await;
    assert!(has_failed(&slot));
}

#[tokio::test(start_paused = true)]
async fn applied_targets_start_end_and_stay() {
    let (board, telemetry) = (Board::default(), Telemetry::new(false).unwrap());
    let mut fleet = Fleet::new(board.clone(), telemetry);
    let change = fleet.apply(
        watched([Target::dead("a"), Target::dead("b"), Target::dead("c")]),
        &[],
    );
    assert_eq!((change.started, change.ended, change.kept), (3, 0, 0));
    let before = board.slots();
    assert!(before.iter().all(|slot| slot.latest().is_none()));
    sleep(3 * FIRST_POLLS_APART).await;
    assert!(before.iter().all(|slot| has_failed(slot)));
    let changed = Target {
        memory_limit: Some(1),
        ..Target::dead("b")
    };
    let change = fleet.apply(
        watched([Target::dead("c"), changed, Target::dead("d")]),
        &[],
    );
    assert_eq!((change.started, change.ended, change.kept), (2, 2, 1));
    let after = board.slots();
    let names: Vec<_> = after.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(names, ["c", "b", "d"]);
    let is_kept = after.iter().map(|slot| contains(&before, slot));
    assert_eq!(is_kept.collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn sizes_are_forgotten_if_namespaces_change() {
    let (board, telemetry) = (Board::default(), Telemetry::new(false).unwrap());
    board.keep_history(true);
    let mut fleet = Fleet::new(board.clone(), telemetry);
    let session = Namespace::glob("session", "session:*");
    let mut apply = |namespaces: &[Namespace]| {
        let change = fleet.apply(vec![Arc::new(Target::dead("a")).into()], namespaces);
        assert_eq!(change.ended, 0);
    };
    apply(&[]);
    let slots = board.slots();
    let slot = slots.first().unwrap();
    let growth = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let later = now.as_secs_f64() + 400.0;
        slot.history().growth("db0", "session", 3.0, later)
    };
    slot.publish_one_byte("session");
    apply(&[]);
    assert_eq!(growth().map(|growth| growth.bytes), Some(2.0));
    apply(&[session]);
    assert_eq!(growth(), None);
}
