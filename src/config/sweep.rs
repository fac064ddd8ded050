//! Settings of the sweep: its budget, its pace, and the server that it reads from.

use std::time::Duration;

use super::context::Context;
use super::draft::{Draft, Each};
use super::endpoint::Endpoint;
use super::problem::Invalid;
use super::target::Password;
use super::tls::Tls;
use super::url;
use super::written_keys::WrittenKeys;

/// Settings of the sweep over a target's keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
pub struct Sweep {
    /// Whether to sweep at all.
    pub enabled: bool,
    /// Maximum share of one core of the server.
    pub cpu_share: Share,
    /// Maximum number of scanned keys per second. It applies in addition to the share.
    pub keys_per_second: Option<u32>,
    /// Maximum number of commands per second. By default it is proportional to the commands of
    /// other clients.
    pub commands_per_second: Option<u32>,
    /// Maximum key lookups, as a share of those of other clients.
    pub lookup_share: Option<Share>,
    /// Key lookups per minute that are always allowed.
    pub lookups_per_minute: Option<u32>,
    /// COUNT of each SCAN, which is about the number of keys that one call scans.
    pub count: u32,
    /// Number of keys to scan quickly, so that the first scrape already has an estimate.
    pub first_keys: u32,
    /// Minimum time between the starts of two passes.
    pub min_pass_interval: Duration,
    /// Additional query latency above which the sweep slows down.
    pub max_latency: Duration,
    /// Whether the sweep continues while the server saves.
    pub while_saving: bool,
    /// Databases to sweep. By default, all that have keys.
    pub databases: Option<Vec<u32>>,
    /// The server to sweep instead of the target, such as one of its replicas.
    pub from: Option<Box<Endpoint>>,
    /// Delimiter after the first part of a key. If no namespaces are declared, that part is the
    /// group of the key.
    pub delimiter: String,
    /// Maximum number of exported groups if no namespaces are declared.
    pub max_groups: u32,
    /// Number of largest keys to export by name.
    pub largest_keys: u32,
    /// Whether sampled keys are followed to find out which namespaces lose keys.
    pub panel: bool,
    /// Whether idle times of keys are sampled.
    pub idle: bool,
    /// Whether evictions and expiries are counted from key events.
    pub events: EventUse,
    /// Whether lookups that find no key are counted from key events.
    pub misses: EventUse,
    /// Whether changes of keys are counted from messages for client-side caching.
    pub changes: bool,
}

/// The use of key events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventUse {
    /// None.
    Off,
    /// Those that the server sends.
    Listen,
    /// The exporter configures the server to send them.
    Configure,
}

impl Default for Sweep {
    fn default() -> Self {
        Draft::new().each.sweep
    }
}

impl Sweep {
    /// The value before rows set defaults and settings.
    pub(crate) const BLANK: Self = Self {
        enabled: false,
        cpu_share: Share(0),
        keys_per_second: None,
        commands_per_second: None,
        lookup_share: None,
        lookups_per_minute: None,
        count: 0,
        first_keys: 0,
        min_pass_interval: Duration::ZERO,
        max_latency: Duration::ZERO,
        while_saving: false,
        databases: None,
        from: None,
        delimiter: String::new(),
        max_groups: 0,
        largest_keys: 0,
        panel: false,
        idle: false,
        events: EventUse::Off,
        misses: EventUse::Off,
        changes: false,
    };
}

/// A share, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// The whole.
    pub const WHOLE: Self = Self(1_000_000);

    /// Returns the share as a number from 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// Validates settings that depend on each other.
pub(crate) fn complete(each: &mut Each, written: &WrittenKeys, context: &mut Context<'_>) {
    let notes = std::mem::take(&mut each.origin_notes);
    if let Some(place) = written.place_of("sweep.from") {
        for note in notes {
            context.warn(place, note);
        }
    }
    check_events(&each.sweep, written, context);
    let databases = each.sweep.databases.as_deref();
    if let (Some(place), Some([])) = (written.place_of("sweep.databases"), databases)
        && !written.is_wrong("sweep.databases")
    {
        let remedy = "name a database, or set `enabled` to false";
        context.report(place, "is empty", remedy);
    }
}

/// Warns about events without a sweep, which attributes and publishes them.
fn check_events(sweep: &Sweep, written: &WrittenKeys, context: &mut Context<'_>) {
    for (key, is_on) in [
        ("sweep.events", sweep.events != EventUse::Off),
        ("sweep.misses", sweep.misses != EventUse::Off),
        ("sweep.changes", sweep.changes),
    ] {
        if let Some(place) = written.place_of(key)
            && is_on
            && !sweep.enabled
        {
            context.warn(place, "has no effect because the sweep is disabled");
        }
    }
}

/// Parses the URL of a server to sweep.
pub(crate) fn from(draft: &mut Draft, text: &str) -> Result<(), Invalid> {
    let mut url = url::parse(text)?;
    if url.database.is_some() {
        return Err(Invalid::new(
            "names a database",
            "remove it: the sweep scans all databases, or those in `databases`",
        ));
    }
    url.take_user_as_password();
    draft.each.origin_notes = url.notes;
    draft.each.sweep.from = Some(Box::new(Endpoint {
        address: url.address,
        tls: Tls::default(),
        username: url.username,
        password: url.password.map(Password::Given),
        database: None,
        client_name: None,
        allowed: None,
        node: None,
    }));
    Ok(())
}

impl Sweep {
    /// Applies the TLS settings and the client name of the target to `from`.
    pub(crate) fn for_target(mut self, target: &Endpoint) -> Self {
        if let Some(from) = &mut self.from {
            from.tls = target.tls.clone();
            from.client_name = target.client_name;
        }
        self
    }
}

pub(crate) fn share(text: &str) -> Result<Share, Invalid> {
    let share = read_share(text);
    share.ok_or_else(|| {
        Invalid::new(
            "is not a share of a core",
            "write a percentage up to 100 %, such as 1%",
        )
    })
}

pub(crate) fn share_of_lookups(text: &str) -> Result<Share, Invalid> {
    let share = read_share(text);
    share.ok_or_else(|| {
        Invalid::new(
            "is not a share of the lookups",
            "write a percentage such as 0.15%; 100 % means no limit",
        )
    })
}

fn read_share(text: &str) -> Option<Share> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.parse::<f64>(),
    };
    match number {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within 0 to a million, as just checked"
        )]
        Ok(share) if (0.000_01..=1.0).contains(&share) => Some(Share((share * 1e6).round() as u32)),
        _ => None,
    }
}

pub(crate) fn events(text: &str) -> Result<EventUse, Invalid> {
    match text {
        "off" => Ok(EventUse::Off),
        "listen" => Ok(EventUse::Listen),
        "configure" => Ok(EventUse::Configure),
        _ => Err(Invalid::new(
            "is not a use of events",
            "write off, listen or configure",
        )),
    }
}

pub(crate) fn delimiter(text: &str) -> Result<String, Invalid> {
    if text.is_empty() || text.len() > 8 {
        return Err(Invalid::new(
            "is not a delimiter",
            "write one to eight characters, such as \":\"",
        ));
    }
    Ok(text.to_owned())
}
