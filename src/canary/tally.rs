//! Follows messages from their publication until they are back or lost, and counts them. Pure.

use std::collections::VecDeque;

use crate::metric::{Edge, Histogram};
use crate::number::to_float as float;

/// Time in seconds after which a message is lost.
pub const LOST_AFTER: f64 = 1.0;

/// Number of messages that are remembered after they are lost, in case they arrive late.
const LATE_MAX: usize = 16;

/// Edges of the latencies, in microseconds.
pub static EDGES: [Edge; 12] = [
    Edge::new(250, "250", "0.00025"),
    Edge::new(500, "500", "0.0005"),
    Edge::new(1_000, "1000", "0.001"),
    Edge::new(2_500, "2500", "0.0025"),
    Edge::new(5_000, "5000", "0.005"),
    Edge::new(10_000, "10000", "0.01"),
    Edge::new(25_000, "25000", "0.025"),
    Edge::new(50_000, "50000", "0.05"),
    Edge::new(100_000, "100000", "0.1"),
    Edge::new(250_000, "250000", "0.25"),
    Edge::new(500_000, "500000", "0.5"),
    Edge::new(1_000_000, "1000000", "1"),
];

/// A message that is not back yet.
#[derive(Clone, Copy, Debug, PartialEq)]
struct OpenMessage {
    number: u64,
    /// Time of its publication, in seconds.
    at: f64,
    is_lost: bool,
}

/// The messages of one target. Its counts only increase.
#[derive(Clone, Debug, Default)]
pub struct CanaryTally {
    /// Oldest first.
    open: VecDeque<OpenMessage>,
    /// The number of the last message.
    last: u64,
    sent: u64,
    received: u64,
    lost_in_a_row: u32,
    /// Latencies at or below each edge.
    counts: [u64; EDGES.len()],
    count: u64,
    /// Sum of the latencies, in microseconds.
    sum: f64,
}

impl CanaryTally {
    /// Records a message that is published now. Returns its number, which is its content.
    pub fn publish(&mut self, now: f64) -> u64 {
        self.last += 1;
        if self.open.len() >= LATE_MAX {
            self.open.pop_front();
        }
        self.open.push_back(OpenMessage {
            number: self.last,
            at: now,
            is_lost: false,
        });
        self.last
    }

    /// Records the content of a message that has arrived. Others than the open ones are ignored.
    pub fn receive(&mut self, content: &[u8], now: f64) {
        let text = std::str::from_utf8(content);
        let number = text.ok().and_then(|text| text.parse::<u64>().ok());
        let place = self
            .open
            .iter()
            .position(|open| Some(open.number) == number);
        let Some(open) = place.and_then(|place| self.open.remove(place)) else {
            return;
        };
        let seconds = (now - open.at).max(0.0);
        if !open.is_lost {
            let is_in_time = seconds <= LOST_AFTER;
            self.sent += 1;
            self.received += u64::from(is_in_time);
            self.lost_in_a_row = if is_in_time {
                0
            } else {
                self.lost_in_a_row + 1
            };
        }
        let microseconds = seconds * 1e6;
        for (edge, count) in EDGES.iter().zip(&mut self.counts) {
            *count += u64::from(microseconds <= float(edge.at));
        }
        self.count += 1;
        self.sum += microseconds;
    }

    /// Counts messages as lost that are not back in time.
    pub fn expire(&mut self, now: f64) {
        for open in &mut self.open {
            if !open.is_lost && now - open.at >= LOST_AFTER {
                open.is_lost = true;
                self.sent += 1;
                self.lost_in_a_row += 1;
            }
        }
    }

    /// Records the end of the connection. Open messages are lost.
    pub fn disconnect(&mut self) {
        let open = self.open.iter().filter(|open| !open.is_lost).count();
        self.sent += open as u64;
        self.open.clear();
        self.lost_in_a_row = 0;
    }

    /// Returns whether a message may still be back in time.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.open.iter().any(|open| !open.is_lost)
    }

    /// Returns the number of messages that were lost since the last one that was not.
    #[must_use]
    pub const fn lost_in_a_row(&self) -> u32 {
        self.lost_in_a_row
    }

    /// Returns the messages whose fate is known, and those of them that came back in time.
    #[must_use]
    pub const fn sent_and_received(&self) -> [u64; 2] {
        [self.sent, self.received]
    }

    /// Returns the latencies of all messages that came back.
    #[must_use]
    pub fn latencies(&self) -> Histogram {
        Histogram {
            edges: &EDGES,
            counts: self.counts.iter().copied().collect(),
            count: self.count,
            sum: self.sum,
            only_full: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(number: u64) -> Vec<u8> {
        number.to_string().into_bytes()
    }

    #[test]
    fn message_in_time_is_received() {
        let mut tally = CanaryTally::default();
        let number = tally.publish(10.0);
        assert!(tally.is_waiting());
        assert_eq!(tally.sent_and_received(), [0, 0]);
        tally.receive(&content(number), 10.003);
        assert!(!tally.is_waiting());
        assert_eq!(tally.sent_and_received(), [1, 1]);
        let latencies = tally.latencies();
        let counts = latencies.counts.to_vec();
        assert_eq!(counts, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(latencies.count, 1);
        assert!((latencies.sum - 3_000.0).abs() < 1.0, "{}", latencies.sum);
    }

    #[test]
    fn late_message_is_lost_and_has_a_latency() {
        let mut tally = CanaryTally::default();
        let number = tally.publish(0.0);
        tally.expire(0.9);
        assert!(tally.is_waiting());
        tally.expire(1.0);
        assert!(!tally.is_waiting());
        assert_eq!(tally.sent_and_received(), [1, 0]);
        tally.receive(&content(number), 2.5);
        tally.receive(&content(number), 2.6);
        assert_eq!(tally.sent_and_received(), [1, 0]);
        let latencies = tally.latencies();
        assert_eq!(latencies.count, 1);
        assert_eq!(latencies.counts.to_vec(), [0; EDGES.len()]);
    }

    #[test]
    fn late_message_without_a_check_is_lost_too() {
        let mut tally = CanaryTally::default();
        let number = tally.publish(0.0);
        tally.receive(&content(number), 1.5);
        assert_eq!(tally.sent_and_received(), [1, 0]);
        assert_eq!(tally.lost_in_a_row(), 1);
    }

    #[test]
    fn foreign_content_is_ignored() {
        let mut tally = CanaryTally::default();
        tally.publish(0.0);
        for content in [&b""[..], b"2", b"0", b"-1", b"x", b"\xff\xfe", b"1 "] {
            tally.receive(content, 0.1);
        }
        assert!(tally.is_waiting());
        assert_eq!(tally.latencies().count, 0);
    }

    #[test]
    fn end_of_the_connection_loses_what_is_open() {
        let mut tally = CanaryTally::default();
        let first = tally.publish(0.0);
        tally.disconnect();
        tally.receive(&content(first), 0.5);
        assert_eq!(tally.sent_and_received(), [1, 0]);
        let second = tally.publish(1.0);
        assert_ne!(first, second);
        tally.receive(&content(second), 1.1);
        assert_eq!(tally.sent_and_received(), [2, 1]);
    }

    #[test]
    fn losses_in_a_row_end_with_a_message() {
        let mut tally = CanaryTally::default();
        for _ in 0..3 {
            tally.publish(0.0);
        }
        tally.expire(5.0);
        assert_eq!(tally.lost_in_a_row(), 3);
        let number = tally.publish(6.0);
        tally.receive(&content(number), 6.0);
        assert_eq!(tally.lost_in_a_row(), 0);
    }

    proptest! {
        // Whatever arrives, each message has one fate, and memory is bounded.
        #[test]
        fn each_message_counts_once(steps in proptest::collection::vec((0_u8..5, 0_u64..60), 0..200)) {
            let mut tally = CanaryTally::default();
            let mut now = 0.0;
            for (step, number) in steps {
                now += 0.3;
                match step {
                    0 | 1 => {
                        tally.expire(now);
                        tally.publish(now);
                    }
                    2 => tally.receive(&content(number), now),
                    3 => tally.expire(now),
                    _ => tally.disconnect(),
                }
                let [sent, received] = tally.sent_and_received();
                prop_assert!(received <= sent && sent <= tally.last);
                prop_assert!(tally.latencies().count <= tally.last);
                prop_assert!(tally.open.len() <= LATE_MAX);
            }
            tally.disconnect();
            prop_assert_eq!(tally.sent_and_received()[0], tally.last);
        }
    }
}
