//! Records reads of a page, and predicts the next one. Pure.

use std::time::{Duration, Instant};

/// Maximum number of readers whose pace is known. Scrapers are few.
const READERS_MAX: usize = 16;

/// Minimum time between the readiness of a page and its expected read.
const LEAD: Duration = Duration::from_secs(1);

/// The readers of one page, each with its pace.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads(Vec<Reader>);

#[derive(Clone, Copy, Debug)]
struct Reader {
    id: u64,
    last: Instant,
    /// Shortest recent time between two reads; `None` after the first read.
    gap: Option<Duration>,
}

impl Reads {
    /// Records a read.
    pub(super) fn record(&mut self, id: u64, now: Instant) {
        self.0
            .retain(|reader| reader.id == id || !reader.is_gone(now));
        if let Some(reader) = self.0.iter_mut().find(|reader| reader.id == id) {
            let gap = now.duration_since(reader.last);
            // A single short gap decays slowly.
            let known = reader.gap.map_or(gap, |known| known + known / 4);
            reader.gap = Some(gap.min(known));
            reader.last = now;
        } else if self.0.len() < READERS_MAX {
            self.0.push(Reader {
                id,
                last: now,
                gap: None,
            });
        }
    }

    /// Returns when the page must be ready; `None` if no read is expected.
    pub(super) fn wanted_from(&self, now: Instant) -> Option<Instant> {
        let present = self.0.iter().filter(|reader| !reader.is_gone(now));
        present.filter_map(Reader::wanted_from).min()
    }
}

impl Reader {
    fn wanted_from(&self) -> Option<Instant> {
        let gap = self.gap?;
        Some(self.last + gap.saturating_sub(LEAD.max(gap / 8)))
    }

    /// Returns whether it has missed a read. After a single read, the pace is unknown.
    fn is_gone(&self, now: Instant) -> bool {
        let gap = self.gap.unwrap_or(Duration::from_secs(5 * 60));
        now > self.last + 2 * gap + LEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn page_is_wanted_shortly_before_the_next_read() {
        let start = Instant::now();
        let mut reads = Reads::default();
        assert_eq!(reads.wanted_from(start), None);
        reads.record(1, start);
        assert_eq!(reads.wanted_from(start + 10 * SECOND), None);
        reads.record(1, start + 15 * SECOND);
        let from = reads.wanted_from(start + 16 * SECOND).unwrap() - start;
        assert!((27 * SECOND..30 * SECOND).contains(&from), "{from:?}");
        // A reader that missed two reads is gone.
        assert_eq!(reads.wanted_from(start + 47 * SECOND), None);
    }

    #[test]
    fn readers_have_independent_paces() {
        let start = Instant::now();
        let mut reads = Reads::default();
        for round in 0..3 {
            reads.record(1, start + 15 * round * SECOND);
            reads.record(2, start + (15 * round + 1) * SECOND);
        }
        let from = reads.wanted_from(start + 32 * SECOND).unwrap() - start;
        assert!((42 * SECOND..45 * SECOND).contains(&from), "{from:?}");
    }

    #[test]
    fn constantly_read_page_is_always_wanted() {
        let start = Instant::now();
        let mut reads = Reads::default();
        for read in 0..3 {
            reads.record(1, start + read * SECOND / 2);
        }
        assert_eq!(reads.wanted_from(start + SECOND), Some(start + SECOND));
    }
}
