//! Detects from INFO whether a server's data were replaced, and how much has changed.
//!
//! Pure. It compares two readings of INFO.

pub mod flush;
mod writes;

use std::collections::BTreeMap;

use crate::info::Info;
use crate::number::to_float as float;
pub use writes::Writes;

/// Commands that replace whole keyspaces, by their name in INFO commandstats, and their effect.
const REPLACING: [(&str, Replaced); 4] = [
    ("cmdstat_flushall", Replaced::Flushed),
    ("cmdstat_cluster|flushslot", Replaced::Flushed),
    ("cmdstat_flushdb", Replaced::Emptied),
    ("cmdstat_swapdb", Replaced::Swapped),
];

/// Why earlier results do not apply to the current keys of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// FLUSHALL or CLUSTER FLUSHSLOT was called, or several kinds of commands.
    Flushed,
    /// FLUSHDB was called.
    Emptied,
    /// SWAPDB was called.
    Swapped,
    /// Another process replies.
    Restarted,
    /// The server is loading, or has loaded, a data set.
    Loaded,
    /// The server replicates from another primary, or lost its primary and reconnected.
    Resynchronized,
}

impl Replaced {
    /// Returns the reason for a log line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flushed => "FLUSHALL, FLUSHDB or SWAPDB was called",
            Self::Emptied => "FLUSHDB was called",
            Self::Swapped => "SWAPDB was called",
            Self::Restarted => "the server was restarted or replaced",
            Self::Loaded => "the server loaded a data set",
            Self::Resynchronized => "the replica synchronized with its primary again",
        }
    }

    /// Returns whether a database may have other keys than before. True if that is unknown.
    #[must_use]
    pub fn may_concern(self, database: u32, sizes: &Sizes<'_>) -> bool {
        let Some(changes) = sizes.changes else {
            return true;
        };
        let (before, after) = sizes.of(database);
        match self {
            // Its keys were removed, and all current ones were written since. Keys gained or lost
            // by other databases account for the remaining changes.
            Self::Emptied => changes - sizes.moved_elsewhere(database) >= before + after,
            // It has the keys of another database, apart from the changes. That database may be
            // empty.
            Self::Swapped => {
                let others = sizes.before.keys().filter(|other| **other != database);
                let mut others = others.map(|other| sizes.of(*other).0).chain([0.0]);
                others.any(|other| (after - other).abs() <= changes)
            }
            _ => true,
        }
    }
}

/// The numbers of keys by database in two readings.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The numbers in the earlier reading.
    pub before: &'a BTreeMap<u32, u64>,
    /// The numbers in the later reading.
    pub after: &'a BTreeMap<u32, u64>,
    /// Maximum number of keys created or deleted in between; `None` if the server reports no exact
    /// count.
    pub changes: Option<f64>,
}

impl Sizes<'_> {
    /// Returns the number of keys of a database, before and after. INFO lists no empty database.
    fn of(&self, database: u32) -> (f64, f64) {
        let keys = |sizes: &BTreeMap<u32, u64>| float(sizes.get(&database).copied().unwrap_or(0));
        (keys(self.before), keys(self.after))
    }

    /// Returns the minimum number of changes in other databases. MOVE transfers a key from one to
    /// another in a single change.
    fn moved_elsewhere(&self, database: u32) -> f64 {
        let gone = self
            .before
            .keys()
            .filter(|other| !self.after.contains_key(other));
        let others = self
            .after
            .keys()
            .chain(gone)
            .filter(|other| **other != database);
        let (lost, gained) = others.fold((0.0, 0.0), |(lost, gained), other| {
            let (before, after) = self.of(*other);
            (
                lost + (before - after).max(0.0),
                gained + (after - before).max(0.0),
            )
        });
        f64::max(lost, gained)
    }
}

/// The identity of a server's data, and the number of times they were replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataIdentity {
    run_id: Option<String>,
    uptime: Option<f64>,
    /// Calls that replaced keys, in the order of [`REPLACING`]; `None` if the reading did not
    /// include them.
    flushes: Option<[f64; REPLACING.len()]>,
    /// `rdb_last_load_keys_loaded` and `…_expired`.
    loaded: [Option<f64>; 2],
    is_loading: bool,
    /// State of the primary, for a replica.
    upstream: Option<Upstream>,
    replication_id: Option<String>,
    previous_replication_id: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Upstream {
    is_linked: bool,
    is_syncing: bool,
    linked_seconds: Option<f64>,
}

impl DataIdentity {
    /// Returns the ID of the server, if the reading included it.
    #[must_use]
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Reads the sections `server`, `persistence` and `replication`, and `commandstats` if it was
    /// requested.
    #[must_use]
    pub fn read(info: &Info, has_commands: bool) -> Self {
        let text = |name: &str| info.get(name).map(ToOwned::to_owned);
        let is_replica = info.get("role") == Some("slave");
        Self {
            run_id: text("run_id"),
            uptime: info.number("uptime_in_seconds"),
            flushes: has_commands.then(|| flushes(info)),
            loaded: ["rdb_last_load_keys_loaded", "rdb_last_load_keys_expired"]
                .map(|name| info.number(name)),
            is_loading: is_on(info, "loading") || is_on(info, "async_loading"),
            upstream: is_replica.then(|| Upstream {
                is_linked: info.get("master_link_status") != Some("down"),
                is_syncing: is_on(info, "master_sync_in_progress"),
                linked_seconds: info.number("master_link_up_since_seconds"),
            }),
            replication_id: text("master_replid"),
            previous_replication_id: text("master_replid2"),
        }
    }

    /// Copies the calls that this reading does not include from an earlier one.
    pub fn keep_flushes(&mut self, before: &Self) {
        self.flushes = self.flushes.or(before.flushes);
    }

    /// Returns whether the data were replaced since an earlier reading, `seconds` ago. Otherwise,
    /// they are the earlier data, changed only by writes, expiries and evictions.
    #[must_use]
    pub fn replaced_since(&self, before: &Self, seconds: f64) -> Option<Replaced> {
        let is_another = differ(self.run_id.as_ref(), before.run_id.as_ref());
        // Servers that hide their ID are compared by their uptime, which decreases after a restart.
        let uptimes = self.uptime.zip(before.uptime);
        let is_younger = uptimes.is_some_and(|(now, then)| now < then);
        if is_another || is_younger {
            return Some(Replaced::Restarted);
        }
        if self.is_loading || self.loaded != before.loaded {
            return Some(Replaced::Loaded);
        }
        self.flushed_since(before).or_else(|| {
            self.resynchronized_since(before, seconds)
                .then_some(Replaced::Resynchronized)
        })
    }

    /// Returns which calls increased. CONFIG RESETSTAT resets a count, so the whole count after it
    /// is new.
    fn flushed_since(&self, before: &Self) -> Option<Replaced> {
        let (now, before) = self.flushes.zip(before.flushes)?;
        let pairs = now.into_iter().zip(before).zip(REPLACING);
        let grew = pairs.filter(|((now, then), _)| now > then || (now < then && *now > 0.0));
        grew.map(|(_, (_, replaced))| replaced)
            .reduce(|one, other| if one == other { one } else { Replaced::Flushed })
    }

    /// Returns whether a replica has received all data again because it could not resume
    /// replication. INFO does not report whether it resumed, so every new link counts.
    fn resynchronized_since(&self, before: &Self, seconds: f64) -> bool {
        let Some(upstream) = &self.upstream else {
            // A primary keeps its data when its replication ID changes.
            return false;
        };
        let was_replica = before.upstream.is_some();
        let is_new_link = upstream.is_linked
            && (before.upstream.as_ref().is_none_or(|then| !then.is_linked)
                || upstream.linked_seconds.is_some_and(|up| up + 1.0 < seconds));
        upstream.is_syncing || is_new_link || (was_replica && !self.continues(before))
    }

    /// Returns whether the replication ID is unchanged, or follows the earlier one after a
    /// failover.
    fn continues(&self, before: &Self) -> bool {
        let then = before.replication_id.as_ref();
        !differ(self.replication_id.as_ref(), then)
            || !differ(self.previous_replication_id.as_ref(), then)
    }
}

/// Counters of possible key creations and deletions. A missing counter is `None`: it does not prove
/// that nothing has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    writes: Writes,
    evicted: f64,
    expired: f64,
    /// All commands: more than the writes, but saving does not reset them.
    commands: Option<f64>,
    /// Commands that the exporter sent.
    ours: u64,
    /// Time of the reading by the server's clock, in seconds.
    time: Option<f64>,
}

impl Changes {
    /// Reads the sections `server`, `persistence` and `stats`.
    #[must_use]
    pub fn read(info: &Info) -> Self {
        let number = |name: &str| info.number(name).unwrap_or(0.0);
        Self {
            writes: Writes::read(info),
            evicted: number("evicted_keys"),
            expired: number("expired_keys"),
            commands: info.number("total_commands_processed"),
            ours: 0,
            time: info.number("server_time_usec").map(|time| time / 1e6),
        }
    }

    /// Returns the time of the reading by the server's clock, in seconds.
    #[must_use]
    pub const fn time(&self) -> Option<f64> {
        self.time
    }

    /// Adds the number of commands that the exporter sent before the reading.
    #[must_use]
    pub const fn with_ours(self, commands: u64) -> Self {
        Self {
            ours: commands,
            ..self
        }
    }

    /// Returns the maximum number of keys created or deleted until a later reading, if the server
    /// has counted all of them. An unchanged counter proves nothing: some servers report a
    /// constant.
    #[must_use]
    pub fn exactly_since(&self, later: &Self) -> Option<f64> {
        let writes = self.writes.until(later.writes)?;
        (writes > 0.0).then(|| self.since(later))?
    }

    /// Returns the maximum number of keys created or deleted until a later reading; `None` if the
    /// server reports no upper bound.
    #[must_use]
    pub fn since(&self, later: &Self) -> Option<f64> {
        let writes = self.writes_since(later)?;
        let expired = grown(self.expired, later.expired);
        Some(writes + grown(self.evicted, later.evicted) + expired)
    }

    fn writes_since(&self, later: &Self) -> Option<f64> {
        self.writes.until(later.writes).or_else(|| {
            let (before, after) = self.commands.zip(later.commands)?;
            let ours = float(later.ours.saturating_sub(self.ours));
            let others = (grown(before, after) - ours).max(0.0);
            Some(others.max(later.writes.since_saved().unwrap_or(0.0)))
        })
    }
}

/// Returns the increase of a counter. A counter that decreased was reset, so its whole value is
/// new.
pub(super) fn grown(before: f64, after: f64) -> f64 {
    if after >= before {
        after - before
    } else {
        after
    }
}

/// Returns whether both are known and differ.
fn differ(left: Option<&String>, right: Option<&String>) -> bool {
    left.zip(right).is_some_and(|(left, right)| left != right)
}

fn is_on(info: &Info, name: &str) -> bool {
    info.number(name).is_some_and(|value| value > 0.0)
}

/// Returns how often each command replaced keys. Failed calls have replaced nothing.
fn flushes(info: &Info) -> [f64; REPLACING.len()] {
    REPLACING.map(|(command, _)| {
        info.find(command).map_or(0.0, |field| {
            let number = |name| field.number_in_record(name).unwrap_or(0.0);
            number("calls") - number("failed_calls")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f64 = 1.0;

    fn identity(text: &str) -> DataIdentity {
        DataIdentity::read(&Info::parse(text), true)
    }

    fn replaced(before: &str, after: &str) -> Option<Replaced> {
        identity(after).replaced_since(&identity(before), SECOND)
    }

    const PRIMARY: &str = "run_id:a\nuptime_in_seconds:100\nloading:0\nrole:master\n\
        master_replid:x\nmaster_replid2:0\ncmdstat_flushall:calls=3,usec=9,failed_calls=1\n";

    const REPLICA: &str = "run_id:a\nuptime_in_seconds:100\nloading:0\nrole:slave\n\
        master_link_status:up\nmaster_sync_in_progress:0\nmaster_replid:x\nmaster_replid2:0\n";

    #[test]
    fn unchanged_server_keeps_its_data() {
        assert_eq!(replaced(PRIMARY, PRIMARY), None);
        assert_eq!(replaced(REPLICA, REPLICA), None);
        assert_eq!(replaced("", ""), None);
        assert_eq!(replaced(PRIMARY, ""), None);
    }

    /// Returns the databases that may have other keys, of all that are listed before or after.
    fn concerned(
        replaced: Replaced,
        before: &[(u32, u64)],
        after: &[(u32, u64)],
        changes: Option<f64>,
    ) -> Vec<u32> {
        let [before, after] = [before, after].map(|sizes| sizes.iter().copied().collect());
        let sizes = Sizes {
            before: &before,
            after: &after,
            changes,
        };
        let listed = before.keys().chain(after.keys()).copied();
        let listed: std::collections::BTreeSet<u32> = listed.collect();
        let mut listed: Vec<u32> = listed.into_iter().collect();
        listed.retain(|database| replaced.may_concern(*database, &sizes));
        listed
    }

    #[test]
    fn flushdb_affects_only_databases_with_enough_changes() {
        let before = [(0, 1_000), (1, 50), (2, 50)];
        let of = |after: &[(u32, u64)], changes| {
            concerned(Replaced::Emptied, &before, after, Some(changes))
        };
        // Database 1 is empty now, which accounts for all changes.
        assert_eq!(of(&[(0, 1_000), (2, 50)], 60.0), [1]);
        // Refilled, by itself or by the other database of its size.
        assert_eq!(of(&before, 100.0), [1, 2]);
        // The large one was flushed and has 40 others; the small ones may have been as well.
        assert_eq!(of(&[(0, 40), (1, 50), (2, 50)], 1_040.0), [0]);
        assert_eq!(of(&[(0, 40), (1, 50), (2, 50)], 1_060.0), [0, 1, 2]);
        assert_eq!(
            concerned(Replaced::Emptied, &before, &before, None),
            [0, 1, 2]
        );
    }

    #[test]
    fn swapdb_affects_only_databases_with_plausible_sizes() {
        let before = [(0, 1_000), (1, 500), (2, 70)];
        let of = |after: &[(u32, u64)], changes| {
            concerned(Replaced::Swapped, &before, after, Some(changes))
        };
        assert_eq!(of(&[(0, 501), (1, 1_001), (2, 70)], 3.0), [0, 1]);
        // It may have been swapped with a database that is not listed, or with one of the same
        // size.
        assert_eq!(of(&[(0, 1_000), (1, 500), (2, 70)], 80.0), [2]);
        assert_eq!(of(&[(0, 1_000), (1, 500), (3, 70)], 1.0), [2, 3]);
        let equal = [(0, 70), (1, 70), (2, 900)];
        assert_eq!(
            concerned(Replaced::Swapped, &equal, &equal, Some(1.0)),
            [0, 1]
        );
    }

    #[test]
    fn full_replacement_affects_all_databases() {
        let sizes = [(0, 1_000), (1, 50)];
        for replaced in [Replaced::Flushed, Replaced::Restarted, Replaced::Loaded] {
            assert_eq!(concerned(replaced, &sizes, &sizes, Some(1.0)), [0, 1]);
        }
        let both =
            format!("{PRIMARY}cmdstat_flushdb:calls=1,usec=9\ncmdstat_swapdb:calls=1,usec=9\n");
        assert_eq!(replaced(PRIMARY, &both), Some(Replaced::Flushed));
    }

    #[test]
    fn each_replacing_command_is_detected() {
        let commands = [
            ("cmdstat_flushall", Replaced::Flushed),
            ("cmdstat_cluster|flushslot", Replaced::Flushed),
            ("cmdstat_flushdb", Replaced::Emptied),
            ("cmdstat_swapdb", Replaced::Swapped),
        ];
        assert_eq!(REPLACING.len(), commands.len());
        for (command, expected) in commands {
            let others = PRIMARY.replace(&format!("{command}:"), "x:");
            let after = format!("{others}{command}:calls=5,usec=9\n");
            assert_eq!(replaced(PRIMARY, &after), Some(expected));
        }
    }

    #[test]
    fn failed_flush_replaces_nothing() {
        let after = PRIMARY.replace("calls=3,usec=9,failed_calls=1", "calls=4,failed_calls=2");
        assert_eq!(replaced(PRIMARY, &after), None);
    }

    #[test]
    fn reset_of_statistics_hides_no_later_flush() {
        let reset = PRIMARY.replace("cmdstat_flushall:calls=3,usec=9,failed_calls=1\n", "");
        assert_eq!(replaced(PRIMARY, &reset), None);
        let after = format!("{reset}cmdstat_flushall:calls=1,usec=9\n");
        assert_eq!(replaced(PRIMARY, &after), Some(Replaced::Flushed));
    }

    #[test]
    fn new_process_has_other_data() {
        let other = PRIMARY.replace("run_id:a", "run_id:b");
        assert_eq!(replaced(PRIMARY, &other), Some(Replaced::Restarted));
        let hidden = "uptime_in_seconds:100\n";
        let younger = "uptime_in_seconds:3\n";
        assert_eq!(replaced(hidden, younger), Some(Replaced::Restarted));
    }

    #[test]
    fn loading_is_detected_during_and_afterwards() {
        let loading = PRIMARY.replace("loading:0", "loading:1");
        assert_eq!(replaced(PRIMARY, &loading), Some(Replaced::Loaded));
        let loaded = format!("{PRIMARY}rdb_last_load_keys_loaded:7\n");
        assert_eq!(replaced(PRIMARY, &loaded), Some(Replaced::Loaded));
    }

    #[test]
    fn replica_with_a_lost_primary_starts_again() {
        let down = REPLICA.replace("link_status:up", "link_status:down");
        assert_eq!(replaced(REPLICA, &down), None);
        assert_eq!(replaced(&down, REPLICA), Some(Replaced::Resynchronized));
        let syncing = REPLICA.replace("in_progress:0", "in_progress:1");
        assert_eq!(replaced(REPLICA, &syncing), Some(Replaced::Resynchronized));
        assert_eq!(replaced(PRIMARY, REPLICA), Some(Replaced::Resynchronized));
    }

    #[test]
    fn link_younger_than_the_last_reading_is_new() {
        let young = format!("{REPLICA}master_link_up_since_seconds:2\n");
        let since = |seconds| identity(&young).replaced_since(&identity(REPLICA), seconds);
        assert_eq!(since(2.0), None);
        assert_eq!(since(10.0), Some(Replaced::Resynchronized));
    }

    #[test]
    fn replica_keeps_its_data_through_a_failover() {
        let promoted = "master_replid:y\nmaster_replid2:x\n";
        let elected = REPLICA.replace("master_replid:x\nmaster_replid2:0\n", promoted);
        assert_eq!(replaced(REPLICA, &elected), None);
        let elsewhere = REPLICA.replace("master_replid:x", "master_replid:y");
        assert_eq!(
            replaced(REPLICA, &elsewhere),
            Some(Replaced::Resynchronized)
        );
    }

    #[test]
    fn changes_are_writes_evictions_and_expiries() {
        let read = |text| Changes::read(&Info::parse(text));
        let before = read(
            "rdb_changes_since_last_save:100\nevicted_keys:5\nexpired_keys:7\n\
             total_commands_processed:1000\n",
        );
        let later = read(
            "rdb_changes_since_last_save:130\nevicted_keys:6\nexpired_keys:9\n\
             total_commands_processed:5000\n",
        );
        let saved = read(
            "rdb_changes_since_last_save:3\nevicted_keys:5\nexpired_keys:7\n\
             total_commands_processed:1040\n",
        );
        let changes = [&before, &later, &saved].map(|then| before.since(then));
        assert_eq!(changes, [Some(0.0), Some(33.0), Some(40.0)]);
    }

    #[test]
    fn commands_of_others_replace_a_missing_write_counter() {
        let read = |text| Changes::read(&Info::parse(text));
        let before = read("expired_keys:7\ntotal_commands_processed:1000\n").with_ours(100);
        let later = read("expired_keys:9\ntotal_commands_processed:1500\n").with_ours(150);
        assert_eq!(before.since(&later), Some(452.0));
        let silent = read("");
        assert_eq!(silent.since(&silent), None);
        assert_eq!(before.since(&silent), None);
    }

    #[test]
    fn save_between_two_readings_hides_no_writes() {
        let read = |text| Changes::read(&Info::parse(text));
        let before = read(
            "rdb_changes_since_last_save:10\nrdb_last_save_time:100\n\
             total_commands_processed:1000\n",
        );
        let later = read(
            "rdb_changes_since_last_save:12\nrdb_last_save_time:101\n\
             total_commands_processed:6000\n",
        );
        assert_eq!(before.since(&later), Some(5_000.0));
    }

    #[test]
    fn primary_with_a_new_replication_id_keeps_its_data() {
        let other = PRIMARY.replace("master_replid:x", "master_replid:y");
        assert_eq!(replaced(PRIMARY, &other), None);
        let promoted = REPLICA.replace("role:slave", "role:master");
        assert_eq!(replaced(REPLICA, &promoted), None);
    }
}
