//! Timing of polls, with a paused clock and nonexistent servers.

use super::*;
use crate::config::Target;
use crate::publish::Board;

const INTERVAL: Duration = Duration::from_secs(15);

struct Polled {
    telemetry: Telemetry,
    slots: Vec<Arc<Slot>>,
    names: Vec<String>,
}

/// Starts polling dead targets, each with its `Start`.
fn poll_dead(starts: impl IntoIterator<Item = Start>) -> Polled {
    let (telemetry, board) = (Telemetry::new(false).unwrap(), Board::default());
    let mut polled = Polled {
        telemetry: telemetry.clone(),
        slots: Vec::new(),
        names: Vec::new(),
    };
    for (at, start) in starts.into_iter().enumerate() {
        let target = Target::dead(&format!("dead-{at}"));
        telemetry.start_target(&target.name);
        let slot = board.slot(&target.name, "-");
        polled.slots.push(Arc::clone(&slot));
        polled.names.push(target.name.clone());
        let target = Arc::new(target);
        tokio::spawn(run(target, slot, telemetry.clone(), Arc::default(), start));
    }
    polled
}

impl Polled {
    fn counts(&self) -> Vec<u64> {
        let names = self.names.iter();
        names
            .map(|name| self.telemetry.counted(POLLS, [name]))
            .collect()
    }
}

fn start_of(at: u32, count: u32) -> Start {
    Start {
        first: Duration::from_millis(10) * at,
        second: f64::from(at + 1) / f64::from(count),
    }
}

#[tokio::test(start_paused = true)]
async fn first_polls_follow_their_start_times() {
    let polled = poll_dead((0..5).map(|at| start_of(at, 5)));
    sleep(Duration::from_millis(25)).await;
    assert_eq!(polled.counts(), [1, 1, 1, 0, 0]);
    sleep(Duration::from_millis(25)).await;
    assert_eq!(polled.counts(), [1; 5]);
}

#[tokio::test(start_paused = true)]
async fn many_dead_targets_are_not_dialed_again_at_once() {
    let polled = poll_dead((0..50).map(|at| start_of(at, 50)));
    // After the last first poll, but before the first retry.
    sleep(Duration::from_millis(499)).await;
    assert_eq!(polled.counts(), [1; 50]);
    sleep(Duration::from_millis(501) + backoff::FIRST).await;
    assert!(polled.counts().into_iter().all(|polls| polls >= 2));
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_up_to_the_interval() {
    let polled = poll_dead([start_of(0, 1)]);
    let (mut before, mut last) = (0, Instant::now());
    let mut gaps = Vec::new();
    while gaps.len() < 9 {
        sleep(Duration::from_millis(1)).await;
        let count = polled.counts().into_iter().sum::<u64>();
        assert!(count <= before + 1, "polls are never less than 1 ms apart");
        if count > before {
            gaps.push(last.elapsed());
            (before, last) = (count, Instant::now());
        }
    }
    let gaps = gaps.into_iter().skip(1);
    let longest = [1, 2, 4, 8, 15, 15, 15, 15].map(Duration::from_secs);
    for (gap, longest) in gaps.zip(longest) {
        let slack = Duration::from_millis(3);
        assert!(gap + slack >= longest / 2, "{gap:?} of {longest:?}");
        assert!(gap <= longest + slack, "{gap:?} of {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_polls_are_published() {
    let polled = poll_dead([start_of(0, 1)]);
    sleep(Duration::from_millis(1)).await;
    let latest = polled.slots.iter().find_map(|slot| slot.latest()).unwrap();
    assert!(latest.failure.is_some());
    let failures = POLL_FAILURES;
    let reason = latest.failure.map(Reason::as_str).unwrap_or_default();
    assert_eq!(polled.telemetry.counted(failures, ["dead-0", reason]), 1);
}

#[test]
fn second_poll_is_spread_only_after_success() {
    let target = Target::dead("dead");
    assert_eq!(regular_delay(&target, 0, 0.02), INTERVAL.mul_f64(0.02));
    assert_eq!(regular_delay(&target, 0, 1.0), INTERVAL);
    for _ in 0..100 {
        assert!(regular_delay(&target, 1, 0.02) >= backoff::FIRST / 2);
    }
}
