//! How the walk over the keyspace goes: its budget, its pace, where it runs. Not the walk.

use std::time::Duration;

use super::draft::{Draft, Each};
use super::endpoint::Endpoint;
use super::problem::Refusal;
use super::reader::{Context, Written};
use super::target::Password;
use super::tls::Tls;
use super::url;

/// How the walk over a target's keyspace goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Whether there is a walk at all.
    pub enabled: bool,
    /// The share of one core of the server that it may use.
    pub cpu_share: Share,
    /// The most keys that it may look at in a second, where that is limited beside the share.
    pub keys_per_second: Option<u32>,
    /// The most commands in a second; where it is not given, in proportion to the commands of other
    /// clients.
    pub commands_per_second: Option<u32>,
    /// The most lookups of keys, as a share of those of other clients.
    pub lookup_share: Option<Share>,
    /// The lookups of keys in a minute that are always allowed.
    pub lookups_per_minute: Option<u32>,
    /// The COUNT of a SCAN: about as many keys as one call looks at.
    pub count: u32,
    /// How many keys are looked at quickly, so that there is an estimate at the first scrape.
    pub first_keys: u32,
    /// The time from the start of one pass to the start of the next, at the least.
    pub min_pass_interval: Duration,
    /// The walk slows down while its own questions take longer than this.
    pub max_latency: Duration,
    /// Whether the walk goes on while the server saves.
    pub while_saving: bool,
    /// The databases to walk; all that have keys where there is no list.
    pub databases: Option<Vec<u32>>,
    /// The server that is walked in the place of the target, as a replica of it.
    pub from: Option<Endpoint>,
    /// What ends the first part of a key, by which keys are grouped where no namespaces are
    /// declared.
    pub delimiter: String,
    /// The most groups that are shown where no namespaces are declared.
    pub max_groups: u32,
    /// Number of largest keys to export by name.
    pub largest_keys: u32,
}

impl Default for Sweep {
    fn default() -> Self {
        Draft::new().each.sweep
    }
}

impl Sweep {
    /// Nothing is set yet, not even a default.
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
    };
}

/// A share of a whole, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000);

    /// The share as a number from 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// Checks what the settings mean together.
pub(crate) fn complete(each: &mut Each, written: &Written, context: &mut Context<'_>) {
    let notes = std::mem::take(&mut each.origin_notes);
    if let Some(place) = written.place_of("sweep.from") {
        for note in notes {
            context.warn(place, note);
        }
    }
    let databases = each.sweep.databases.as_deref();
    if let (Some(place), Some([])) = (written.place_of("sweep.databases"), databases)
        && !written.is_wrong("sweep.databases")
    {
        let remedy = "name a database, or set `enabled` to false";
        context.report(place, "is empty", remedy);
    }
}

/// Reads the URL of a server to walk.
pub(crate) fn from(draft: &mut Draft, text: &str) -> Result<(), Refusal> {
    let mut url = url::parse(text)?;
    if url.database.is_some() {
        return Err(Refusal::new(
            "names a database",
            "leave it out: all databases are walked, or those of `databases`",
        ));
    }
    url.take_user_as_password();
    draft.each.origin_notes = url.notes;
    draft.each.sweep.from = Some(Endpoint {
        address: url.address,
        tls: Tls::default(),
        username: url.username,
        password: url.password.map(Password::Given),
        database: None,
        client_name: None,
    });
    Ok(())
}

impl Sweep {
    /// Has `from` reached as the target beside it is: with its TLS, and named or not.
    pub(crate) fn beside(mut self, target: &Endpoint) -> Self {
        if let Some(from) = &mut self.from {
            from.tls = target.tls.clone();
            from.client_name = target.client_name;
        }
        self
    }
}

pub(crate) fn share(text: &str) -> Result<Share, Refusal> {
    let share = read_share(text);
    share.ok_or_else(|| {
        Refusal::new(
            "is not a share of a core",
            "write a percentage up to 100 %, as in 1%",
        )
    })
}

pub(crate) fn share_of_lookups(text: &str) -> Result<Share, Refusal> {
    let share = read_share(text);
    share.ok_or_else(|| {
        Refusal::new(
            "is not a share of the lookups",
            "write a percentage up to 100 %, which is no limit, such as 0.15%",
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

pub(crate) fn delimiter(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > 8 {
        return Err(Refusal::new(
            "is no delimiter",
            "write one to eight characters, as in \":\"",
        ));
    }
    Ok(text.to_owned())
}
