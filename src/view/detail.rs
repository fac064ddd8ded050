//! Everything about one target. Pure.

use serde::Serialize;

use super::card::Card;
use super::commands::{CommandRow, commands};
use super::facts::Seen;
use super::highlights::lines;
use super::namespace_row::{NamespaceRow, namespaces};
use super::rejected::{MissingPermissions, RejectedRow, grant, rejected};
use super::trends::Trends;

/// A key that is exported by name.
#[derive(Debug, Serialize)]
pub struct NamedKey {
    /// The database, such as `db0`.
    pub db: String,
    /// The key.
    pub key: String,
    /// Its memory.
    pub memory_bytes: f64,
}

/// The state of the sweep in one database.
#[derive(Debug, Serialize)]
pub struct SweptDatabase {
    /// The database, such as `db0`.
    pub db: String,
    /// Share of the keys on which the estimates are based.
    pub coverage: Option<f64>,
    /// Age of the oldest data on which they are based, in seconds.
    pub age_seconds: Option<f64>,
}

/// The state of the sweep.
#[derive(Debug, Serialize)]
pub struct SweepState {
    /// Whether it is running; null before it starts.
    pub is_running: Option<bool>,
    /// End of the last complete pass, in seconds since the epoch.
    pub last_pass_at: Option<f64>,
    /// Duration of the last complete pass.
    pub pass_seconds: Option<f64>,
    /// Memory of all namespaces as a share of the memory that Redis uses for data.
    pub memory_share: Option<f64>,
    /// Databases with keys.
    pub databases: Vec<SweptDatabase>,
}

/// Everything about one target.
#[derive(Debug, Serialize)]
pub struct TargetDetail {
    /// Version of the exporter.
    pub exporter_version: &'static str,
    /// Time of the response, in seconds since the epoch.
    pub time: f64,
    /// The summary.
    pub target: Card,
    /// Namespaces, those with most memory first.
    pub namespaces: Vec<NamespaceRow>,
    /// The namespaces that lose most keys, are idle most, and expire soonest, in words.
    pub highlights: Vec<String>,
    /// Keys that are exported by name, the largest first.
    pub keys: Vec<NamedKey>,
    /// Commands that take most time.
    pub commands: Vec<CommandRow>,
    /// Queries that the server rejects.
    pub rejected: Vec<RejectedRow>,
    /// What grants the missing permissions; null if none is known to be missing.
    pub grant: Option<MissingPermissions>,
    /// The state of the sweep.
    pub sweep: SweepState,
    /// The last hour.
    pub history: Trends,
}

/// Maximum number of keys by name.
const KEYS_MAX: usize = 20;

impl TargetDetail {
    /// Describes a target.
    #[must_use]
    pub fn of(seen: &Seen<'_>) -> Self {
        Self {
            exporter_version: env!("CARGO_PKG_VERSION"),
            time: seen.now,
            target: Card::of(seen),
            namespaces: namespaces(seen),
            highlights: highlights(seen),
            keys: keys(seen),
            commands: commands(seen),
            rejected: rejected(seen),
            grant: grant(seen),
            sweep: sweep(seen),
            history: Trends::of(seen),
        }
    }
}

fn highlights(seen: &Seen<'_>) -> Vec<String> {
    let namespaces = seen.samples_of_sweep();
    namespaces.map_or_else(Vec::new, |namespaces| lines(namespaces, seen.now))
}

fn keys(seen: &Seen<'_>) -> Vec<NamedKey> {
    let samples = seen.swept_samples("redis_key_memory_usage_bytes");
    let keys = samples.filter_map(|sample| {
        Some(NamedKey {
            db: sample.label("db")?.to_owned(),
            key: sample.label("key")?.to_owned(),
            memory_bytes: sample.number()?,
        })
    });
    let mut keys: Vec<NamedKey> = keys.collect();
    keys.sort_by(|one, other| other.memory_bytes.total_cmp(&one.memory_bytes));
    keys.truncate(KEYS_MAX);
    keys
}

fn sweep(seen: &Seen<'_>) -> SweepState {
    let databases = seen.swept_samples("redis_exporter_sweep_coverage_ratio");
    let databases = databases.filter_map(|sample| {
        let db = sample.label("db")?;
        let mut ages = seen.swept_samples("redis_exporter_sweep_estimate_age_seconds");
        let age = ages.find(|age| age.label("db") == Some(db));
        Some(SweptDatabase {
            db: db.to_owned(),
            coverage: sample.number(),
            age_seconds: age.and_then(|age| age.number()),
        })
    });
    SweepState {
        is_running: seen
            .swept("redis_exporter_sweep_success")
            .map(|success| success > 0.0),
        last_pass_at: seen.swept("redis_exporter_sweep_last_pass_timestamp_seconds"),
        pass_seconds: seen.swept("redis_exporter_sweep_pass_duration_seconds"),
        memory_share: seen.swept("redis_key_namespace_memory_share"),
        databases: databases.collect(),
    }
}
