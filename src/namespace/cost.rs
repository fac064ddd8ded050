//! What the questions of a walk cost the server, in its own time. Pure.
//!
//! Known from measurement, and corrected by what the server says of the same commands.

use crate::info::Info;

/// The commands of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// SCAN, per key that it returns.
    Scan,
    /// MEMORY USAGE of one key.
    Memory,
    /// PTTL of one key.
    Expiry,
    /// TYPE of one key.
    Type,
}

impl Probe {
    /// Every command of a walk.
    pub const ALL: [Self; 4] = [Self::Scan, Self::Memory, Self::Expiry, Self::Type];

    /// The value of the `question` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Memory => "memory",
            Self::Expiry => "ttl",
            Self::Type => "type",
        }
    }

    /// What an ACL user needs for it.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::Scan => "+scan",
            Self::Memory => "+memory|usage",
            Self::Expiry => "+pttl",
            Self::Type => "+type",
        }
    }

    /// How INFO commandstats names it. Servers before 7.0 know no sub-commands there.
    const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Scan => &["cmdstat_scan"],
            Self::Memory => &["cmdstat_memory|usage", "cmdstat_memory"],
            Self::Expiry => &["cmdstat_pttl"],
            Self::Type => &["cmdstat_type"],
        }
    }
}

/// Beside its execution a command costs reading it, looking it up and writing the reply, which
/// commandstats does not count. In microseconds, within a pipeline.
const OVERHEAD_MICROSECONDS: f64 = 0.5;

/// A correction beyond these is a server that stood still, not a price.
const DEAREST_MICROSECONDS: f64 = 1_000.0;
const CHEAPEST_MICROSECONDS: f64 = 0.1;

/// Fewer calls say little about the price of one.
const CALLS_MIN: f64 = 50.0;

/// A SCAN should take about this on average, so that hardly any keeps the server from its other
/// clients for more than 0.1 ms.
const SCAN_MICROSECONDS_WANTED: f64 = 80.0;

/// With a smaller COUNT a walk would be all round trips.
const COUNT_MIN: u32 = 10;

/// Where others have called SCAN so many times as often as the walk, the average is about theirs.
const SCANS_OF_OTHERS_MAX: f64 = 1.5;

/// Microseconds of the server's time per key, by command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    scan: f64,
    memory: f64,
    expiry: f64,
    kind: f64,
    /// How many keys the SCANs gave on which the price per key stands.
    keys_per_scan: Option<f64>,
}

impl Default for Costs {
    /// As measured on Redis 7.0, rounded up.
    fn default() -> Self {
        Self {
            scan: 0.8,
            memory: 1.3,
            expiry: 1.0,
            kind: 1.0,
            keys_per_scan: None,
        }
    }
}

impl Costs {
    /// Microseconds per key of one command.
    #[must_use]
    pub const fn of(&self, probe: Probe) -> f64 {
        match probe {
            Probe::Scan => self.scan,
            Probe::Memory => self.memory,
            Probe::Expiry => self.expiry,
            Probe::Type => self.kind,
        }
    }

    /// Microseconds of one SCAN that gave so many keys. One that gave few has looked at as many
    /// buckets as the others.
    #[must_use]
    pub fn of_scan(&self, keys: f64, count: f64) -> f64 {
        self.scan * keys.max(self.keys_per_scan.unwrap_or(count))
    }

    /// The COUNT with which a SCAN takes no longer than it should: at most what is wanted.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast stops at the ends of the type"
    )]
    pub fn count(&self, wanted: u32) -> u32 {
        let count = (SCAN_MICROSECONDS_WANTED / self.scan) as u32;
        count.clamp(COUNT_MIN.min(wanted), wanted)
    }

    fn set(&mut self, probe: Probe, microseconds: f64) {
        let cost = microseconds.clamp(CHEAPEST_MICROSECONDS, DEAREST_MICROSECONDS);
        match probe {
            Probe::Scan => self.scan = cost,
            Probe::Memory => self.memory = cost,
            Probe::Expiry => self.expiry = cost,
            Probe::Type => self.kind = cost,
        }
    }

    /// Takes over what the server spent on the commands between two readings of commandstats. The
    /// commands of other clients are among them: what they cost is near enough. Only that of a SCAN
    /// hangs on its COUNT, so that those of others must be few.
    pub fn correct(&mut self, before: &Spent, after: &Spent, scanned: Scanned) {
        for (probe, (before, after)) in Probe::ALL.into_iter().zip(before.0.iter().zip(&after.0)) {
            let (calls, microseconds) = (
                after.calls - before.calls,
                after.microseconds - before.microseconds,
            );
            // A counter that went back was reset.
            if calls < CALLS_MIN || microseconds < 0.0 {
                continue;
            }
            let per_call = microseconds / calls + OVERHEAD_MICROSECONDS;
            if probe != Probe::Scan {
                self.set(probe, per_call);
            } else if calls <= scanned.calls * SCANS_OF_OTHERS_MAX {
                let keys = (scanned.keys / scanned.calls).max(1.0);
                self.keys_per_scan = Some(keys);
                self.set(probe, per_call / keys);
            }
        }
    }
}

/// The SCANs of a walk between two readings of commandstats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scanned {
    /// How many keys they gave.
    pub keys: f64,
    /// How many they were.
    pub calls: f64,
}

impl Scanned {
    /// Whether they are enough to tell what one costs.
    #[must_use]
    pub fn is_enough(self) -> bool {
        self.calls >= CALLS_MIN
    }
}

/// What the server has spent on the commands of a walk since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent([Calls; 4]);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Calls {
    calls: f64,
    microseconds: f64,
}

impl Spent {
    /// Reads INFO commandstats.
    #[must_use]
    pub fn read(info: &Info<'_>) -> Self {
        Self(Probe::ALL.map(|probe| {
            let names = probe.fields().iter();
            let mut fields =
                names.filter_map(|name| info.fields().iter().find(|field| field.name == *name));
            let field = fields.next();
            let number = |name: &str| field.and_then(|field| field.number_in_record(name));
            Calls {
                calls: number("calls").unwrap_or(0.0),
                microseconds: number("usec").unwrap_or(0.0),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUNDRED_OF_HUNDRED: Scanned = Scanned {
        keys: 10_000.0,
        calls: 100.0,
    };

    fn spent(text: &str) -> Spent {
        Spent::read(&Info::parse(text))
    }

    #[test]
    fn costs_follow_what_the_server_says() {
        let before =
            spent("cmdstat_scan:calls=100,usec=5000\ncmdstat_memory|usage:calls=0,usec=0\n");
        let after = spent(
            "cmdstat_scan:calls=200,usec=15000\ncmdstat_memory|usage:calls=10000,usec=25000\n",
        );
        let mut costs = Costs::default();
        costs.correct(&before, &after, HUNDRED_OF_HUNDRED);
        assert!((costs.of(Probe::Scan) - 1.005).abs() < 1e-9);
        assert!((costs.of(Probe::Memory) - 3.0).abs() < 1e-9);
        assert!((costs.of(Probe::Expiry) - Costs::default().of(Probe::Expiry)).abs() < 1e-9);
    }

    #[test]
    fn a_reset_of_the_statistics_changes_nothing() {
        let mut costs = Costs::default();
        let before = spent("cmdstat_scan:calls=100000,usec=5000000\n");
        costs.correct(
            &before,
            &spent("cmdstat_scan:calls=3,usec=100\n"),
            HUNDRED_OF_HUNDRED,
        );
        assert_eq!(costs, Costs::default());
    }

    #[test]
    fn the_scans_of_others_say_nothing_of_ours() {
        let mut costs = Costs::default();
        let before = spent("cmdstat_scan:calls=100,usec=5000\n");
        let after = spent("cmdstat_scan:calls=400,usec=3000000\n");
        costs.correct(&before, &after, HUNDRED_OF_HUNDRED);
        assert_eq!(costs, Costs::default());
    }

    #[test]
    fn a_server_on_which_scan_is_dear_is_asked_for_fewer_keys_at_once() {
        let mut costs = Costs::default();
        assert_eq!(costs.count(100), 100);
        assert_eq!(costs.count(10), 10);
        let before = spent("cmdstat_scan:calls=0,usec=0\n");
        let after = spent("cmdstat_scan:calls=100,usec=15950\n");
        costs.correct(&before, &after, HUNDRED_OF_HUNDRED);
        assert_eq!(costs.count(100), 50);
        let after = spent("cmdstat_scan:calls=100,usec=9000000\n");
        costs.correct(&before, &after, HUNDRED_OF_HUNDRED);
        assert_eq!(costs.count(100), 10);
    }

    #[test]
    fn a_scan_that_gave_nothing_still_has_its_price() {
        let mut costs = Costs::default();
        assert!((costs.of_scan(0.0, 100.0) - 80.0).abs() < 1e-9);
        let before = spent("cmdstat_scan:calls=0,usec=0\n");
        let after = spent("cmdstat_scan:calls=100,usec=5950\n");
        let scanned = Scanned {
            keys: 1_000.0,
            calls: 100.0,
        };
        costs.correct(&before, &after, scanned);
        assert!((costs.of_scan(0.0, 100.0) - 60.0).abs() < 1e-9);
        assert!((costs.of_scan(20.0, 100.0) - 120.0).abs() < 1e-9);
    }
}
