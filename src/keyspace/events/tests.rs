//! Tests of the counts from key events.

use proptest::prelude::*;

use super::*;
use crate::number::to_count;

fn event(channel: &str, key: &str) -> Reply {
    let words = ["message", channel, key].map(|word| Reply::Bytes(word.as_bytes().into()));
    Reply::List(words.to_vec())
}

fn evict(events: &mut KeyEvents, key: &str, times: u32) {
    for _ in 0..times {
        assert!(events.record(&event("__keyevent@0__:evicted", key)));
    }
}

fn reading(evicted: f64, expired: f64) -> EventReading {
    EventReading {
        run_id: None,
        is_primary: true,
        counters: [Some(evicted), Some(expired)],
    }
}

/// Returns events of a server that sends both, after the first reading at 100 evictions.
fn listening() -> KeyEvents {
    let mut events = KeyEvents::new(&[], Grouping::default());
    events.attach();
    events.record_flags([true, true]);
    events.observe(0.0, &reading(100.0, 0.0));
    events
}

fn evicted(new: &NewCounts) -> u64 {
    new.counts.values().map(|[evicted, _]| *evicted).sum()
}

fn missed(new: &NewCounts, reason: MissReason) -> u64 {
    to_count(new.status.tracks[0].missed[reason as usize])
}

#[test]
fn events_are_counted_by_place() {
    let mut events = listening();
    evict(&mut events, "session:1", 3);
    events.record(&event("__keyevent@12__:expired", "session:2"));
    events.record(&event("__keyevent@0__:evicted", "bare"));
    assert!(!events.record(&event("__keyevent@0__:set", "session:1")));
    assert!(!events.record(&event("__keyspace@0__:evicted", "session:1")));
    assert!(!events.record(&Reply::Nil));
    assert!(events.take().counts.is_empty());
    events.observe(1.0, &reading(104.0, 1.0));
    let new = events.take();
    let stem = |database| (database, KeyGroup::Stem((*b"session:").into()));
    assert_eq!(new.counts.get(&stem(0)), Some(&[3, 0]));
    assert_eq!(new.counts.get(&stem(12)), Some(&[0, 1]));
    let other = (0, KeyGroup::Namespace(NamespaceId::OTHER));
    assert_eq!(new.counts.get(&other), Some(&[1, 0]));
    assert_eq!(new.status.tracks[0].source, CountSource::Events);
    assert_eq!(
        (new.coverage[0].covered, new.coverage[0].through),
        (4.0, Some(104.0))
    );
    for reason in MissReason::ALL {
        assert_eq!(missed(&new, reason), 0);
    }
}

#[test]
fn keys_without_events_are_lost() {
    let mut events = listening();
    evict(&mut events, "a:1", 3);
    events.observe(1.0, &reading(105.0, 0.0));
    let new = events.take();
    assert_eq!((evicted(&new), missed(&new, MissReason::Lost)), (3, 2));
    assert_eq!(new.status.tracks[0].source, CountSource::Events);
}

#[test]
fn events_right_after_a_reply_are_part_of_the_next_reading() {
    let mut events = listening();
    evict(&mut events, "a:1", 3);
    events.record_reply();
    evict(&mut events, "a:1", 2);
    events.observe(1.0, &reading(103.0, 0.0));
    evict(&mut events, "a:1", 1);
    events.record_reply();
    events.observe(2.0, &reading(106.0, 0.0));
    let new = events.take();
    assert_eq!((evicted(&new), missed(&new, MissReason::Lost)), (6, 0));
}

#[test]
fn keys_of_a_gap_are_missed() {
    let mut events = listening();
    evict(&mut events, "a:1", 3);
    events.detach(0.5);
    let new = events.take();
    assert_eq!((evicted(&new), new.coverage[0].is_live), (3, false));
    assert_eq!(new.status.tracks[0].source, CountSource::Panel);
    events.attach();
    evict(&mut events, "a:1", 2);
    events.observe(9.0, &reading(150.0, 0.0));
    let new = events.take();
    assert_eq!(
        (evicted(&new), missed(&new, MissReason::Disconnected)),
        (2, 45)
    );
    events.record_flags([true, false]);
    evict(&mut events, "a:1", 1);
    events.observe(10.0, &reading(151.0, 0.0));
    let new = events.take();
    assert_eq!(
        new.status.tracks.map(|track| track.source),
        [CountSource::Events, CountSource::Panel]
    );
    assert_eq!(missed(&new, MissReason::Lost), 0);
}

#[test]
fn restart_and_reset_are_no_gap() {
    let mut events = listening();
    events.observe(1.0, &reading(5.0, 0.0));
    events.detach(2.0);
    events.attach();
    let other = EventReading {
        run_id: Some("other".to_owned()),
        ..reading(90_000.0, 0.0)
    };
    events.observe(3.0, &other);
    let new = events.take();
    for reason in MissReason::ALL {
        assert_eq!(missed(&new, reason), 0);
    }
}

#[test]
fn pause_is_scaled_from_the_window() {
    let mut events = listening();
    events.pause();
    evict(&mut events, "a:1", 60);
    evict(&mut events, "b:1", 30);
    evict(&mut events, "c:1", 10);
    events.observe(9.0, &reading(1_101.0, 0.0));
    let new = events.take();
    let mut counts: Vec<u64> = new.counts.values().map(|[evicted, _]| *evicted).collect();
    counts.sort_unstable();
    assert_eq!(counts.iter().sum::<u64>(), 1_001);
    for (count, about) in counts.iter().zip([100, 300, 600]) {
        assert!(count.abs_diff(about) <= 2, "{counts:?}");
    }
    assert_eq!(new.status.tracks[0].source, CountSource::SampledEvents);
    assert_eq!(missed(&new, MissReason::Paused), 901);
    // Too few events to scale.
    events.pause();
    evict(&mut events, "a:1", 2);
    events.observe(19.0, &reading(2_101.0, 0.0));
    let new = events.take();
    assert_eq!(
        (evicted(&new), new.status.tracks[0].source),
        (2, CountSource::Panel)
    );
}

#[test]
fn hidden_flags_show_by_events() {
    let mut events = KeyEvents::new(&[], Grouping::default());
    let source = |events: &mut KeyEvents| events.take().status.tracks[0].source;
    events.attach();
    events.observe(0.0, &reading(0.0, 0.0));
    events.observe(1.0, &reading(9.0, 0.0));
    assert_eq!(source(&mut events), CountSource::Panel);
    assert!(events.are_missing());
    evict(&mut events, "a:1", 1);
    events.observe(2.0, &reading(10.0, 0.0));
    assert_eq!(source(&mut events), CountSource::Events);
    events.observe(3.0, &reading(11.0, 0.0));
    assert_eq!(source(&mut events), CountSource::Events);
    events.observe(4.0, &reading(12.0, 0.0));
    assert_eq!(source(&mut events), CountSource::Panel);
}

#[test]
fn replica_is_left_to_nobody() {
    let mut events = listening();
    events.observe(1.0, &EventReading::default());
    let new = events.take();
    assert!(!new.coverage[0].is_live);
    assert_eq!(new.status.tracks[0].source, CountSource::Panel);
}

#[test]
fn number_of_places_is_bounded() {
    let mut events = listening();
    for at in 0..5_000 {
        evict(&mut events, &format!("{at}:x"), 1);
    }
    events.observe(1.0, &reading(5_100.0, 0.0));
    let new = events.take();
    assert!(new.counts.len() <= 1_102, "{}", new.counts.len());
    assert_eq!(evicted(&new), 5_000);
}

proptest! {
    /// Whatever happens to the stream, what is covered and what is missed add up to the counter.
    #[test]
    fn covered_and_missed_keys_are_all(
        steps in proptest::collection::vec((0_u32..90, 0_u32..90, 0_u8..4), 1..40),
    ) {
        let mut events = listening();
        let (mut counter, mut counted, mut at) = (100.0, 0, 0.0);
        let mut attached = true;
        for (received, lost, what) in steps {
            at += 1.0;
            counter += f64::from(received + lost);
            match what {
                0 => {
                    events.detach(at);
                    attached = false;
                    counter += f64::from(received);
                    continue;
                }
                1 => events.pause(),
                _ => {}
            }
            if !attached {
                events.attach();
                events.record_flags([true, true]);
                attached = true;
            }
            evict(&mut events, "a:1", received);
            events.observe(at, &reading(counter, 0.0));
            let new = events.take();
            counted += evicted(&new);
            let covered = new.coverage[0].covered;
            prop_assert_eq!(to_count(covered), counted);
            let missed: u64 = MissReason::ALL.map(|reason| missed(&new, reason)).iter().sum();
            let received = to_count(new.status.tracks[0].received);
            prop_assert_eq!(received + missed, to_count(counter - 100.0));
        }
    }

    #[test]
    fn arbitrary_messages_do_not_panic(
        channel in "(__keyevent@[0-9]{0,12}__:(evicted|expired)|\\PC{0,12})",
        key in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut events = listening();
        let words = vec![
            Reply::Bytes(b"message"[..].into()),
            Reply::Bytes(channel.into_bytes().into()),
            Reply::Bytes(key.into()),
        ];
        events.record(&Reply::List(words));
        events.observe(1.0, &reading(101.0, 1.0));
    }
}
