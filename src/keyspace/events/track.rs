//! Reconciles one kind of event with its counter in INFO. Pure.

use super::coverage::Coverage;
use super::status::{CountSource, MissReason, TrackStatus};
use crate::number::to_count;

/// Number of readings with counted keys and without events after which the server is considered not
/// to send them.
const SILENT_MAX: u32 = 2;

/// Minimum number of events in a window for distributing keys that were counted outside of it.
const SAMPLE_MIN: f64 = 50.0;

/// How the time since the last reading was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attention {
    /// The stream was not connected, or not all the time.
    #[default]
    Broken,
    /// Part of the time was left out on purpose.
    Sampled,
    /// All of it.
    Whole,
}

/// One kind of event.
#[derive(Clone, Debug, Default)]
pub(super) struct EventTrack {
    coverage: Coverage,
    /// Events since the last reading, and before it.
    since: f64,
    /// Part of them before the last reply, if one has arrived.
    mark: Option<f64>,
    /// Events after the last reading that counted with it.
    carried: f64,
    received: f64,
    missed: [f64; MissReason::ALL.len()],
    attention: Attention,
    is_attached: bool,
    /// Whether the flags of the server include the event, if they are known.
    flag: Option<bool>,
    /// Whether events have arrived since the flags were last in doubt.
    is_proved: bool,
    silent: u32,
    source: CountSource,
}

impl EventTrack {
    pub(super) fn record(&mut self) {
        self.since += 1.0;
    }

    /// Records that a reply has arrived. Later events are not part of its reading.
    pub(super) const fn record_reply(&mut self) {
        self.mark = Some(self.since);
    }

    pub(super) const fn since_reading(&self) -> f64 {
        self.since
    }

    /// Records the counter of the server. Returns how many keys that were not observed are to be
    /// distributed like the observed ones.
    pub(super) fn observe(&mut self, now: f64, value: Option<f64>) -> u64 {
        let new = std::mem::take(&mut self.since);
        let late = self.mark.take().map_or(0.0, |mark| new - mark);
        self.received += new;
        self.coverage.covered += new;
        self.coverage.at = now;
        let since = std::mem::replace(&mut self.carried, late) + new - late;
        let before = std::mem::replace(&mut self.coverage.through, value);
        let grown = before.zip(value).map(|(before, value)| value - before);
        let missed = grown.map_or(0.0, |grown| (grown - since).max(0.0));
        let mut scaled = 0.0;
        if missed > 0.0 {
            let (reason, is_sample) = match self.attention {
                Attention::Broken => (MissReason::Disconnected, false),
                Attention::Sampled => (MissReason::Paused, new >= SAMPLE_MIN),
                Attention::Whole => (MissReason::Lost, false),
            };
            if let Some(count) = self.missed.get_mut(reason as usize) {
                *count += missed;
            }
            if is_sample {
                scaled = missed.round();
                self.coverage.covered += scaled;
            }
        }
        self.learn(since, missed);
        self.coverage.is_live = self.is_attached && value.is_some() && self.is_sent();
        self.source = match self.attention {
            _ if !self.coverage.is_live => CountSource::Panel,
            Attention::Sampled if scaled > 0.0 || missed <= 0.0 => CountSource::SampledEvents,
            Attention::Sampled => CountSource::Panel,
            Attention::Whole | Attention::Broken => CountSource::Events,
        };
        if self.is_attached {
            self.attention = Attention::Whole;
        }
        to_count(scaled)
    }

    /// Learns from the events whether the server sends them.
    fn learn(&mut self, since: f64, missed: f64) {
        if since > 0.0 {
            self.silent = 0;
            self.is_proved = true;
        } else if missed > 0.0 && self.attention == Attention::Whole {
            self.silent = self.silent.saturating_add(1);
            self.is_proved &= self.silent < SILENT_MAX;
        }
    }

    fn is_sent(&self) -> bool {
        self.flag.unwrap_or(self.is_proved)
    }

    /// Records whether the flags of the server include the event.
    pub(super) fn record_flag(&mut self, is_sent: bool) {
        self.flag = Some(is_sent);
        self.silent = 0;
        // From the next reading on, whose interval is whole.
        self.coverage.is_live &= is_sent;
    }

    /// Returns whether the server sends no events although it counts.
    pub(super) fn is_silent(&self) -> bool {
        self.silent > 0 && self.flag != Some(false)
    }

    pub(super) fn is_off(&self) -> bool {
        self.flag == Some(false)
    }

    pub(super) fn attach(&mut self) {
        self.is_attached = true;
    }

    pub(super) fn pause(&mut self) {
        if self.attention == Attention::Whole {
            self.attention = Attention::Sampled;
        }
    }

    pub(super) fn detach(&mut self, now: f64) {
        let since = std::mem::take(&mut self.since);
        self.received += since;
        self.coverage.covered += since;
        // What arrived in this interval counts against its next reading.
        let since = since + std::mem::take(&mut self.carried);
        self.mark = None;
        self.coverage.through = self.coverage.through.map(|through| through + since);
        self.coverage.at = now;
        self.coverage.is_live = false;
        self.is_attached = false;
        self.attention = Attention::Broken;
        self.source = CountSource::Panel;
        self.flag = None;
        self.is_proved = false;
    }

    /// Forgets the counter, because it is that of another process.
    pub(super) fn forget(&mut self) {
        self.coverage.through = None;
        self.attention = Attention::Broken;
    }

    pub(super) const fn coverage(&self) -> Coverage {
        self.coverage
    }

    pub(super) const fn status(&self) -> TrackStatus {
        TrackStatus {
            source: self.source,
            received: self.received,
            missed: self.missed,
        }
    }
}
