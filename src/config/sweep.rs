//! How the walk over the keyspace goes: its budget, its pace, where it runs. Not the walk.

use std::time::Duration;

use super::address::Address;
use super::document::Node;
use super::expand::expand;
use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Context, Invalid, Placed, Reading, Section};
use super::unit;
use super::url::{self, Url};

/// The keys of a `sweep` section.
pub(crate) const KEYS: &[&str] = &[
    "enabled",
    "cpu_share",
    "keys_per_second",
    "commands_per_second",
    "lookup_share",
    "lookups_per_minute",
    "count",
    "first_keys",
    "min_pass_interval",
    "max_latency",
    "while_saving",
    "databases",
    "from",
    "delimiter",
    "max_groups",
    "largest_keys",
];

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
    pub from: Option<Origin>,
    /// What ends the first part of a key, by which keys are grouped where no namespaces are
    /// declared.
    pub delimiter: String,
    /// The most groups that are shown where no namespaces are declared.
    pub max_groups: u32,
    /// How many of the largest keys are shown by name.
    pub largest_keys: u32,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            enabled: true,
            cpu_share: Share(10_000),
            keys_per_second: None,
            commands_per_second: None,
            lookup_share: None,
            lookups_per_minute: None,
            count: 100,
            first_keys: 10_000,
            min_pass_interval: Duration::from_mins(1),
            max_latency: Duration::from_millis(5),
            while_saving: true,
            databases: None,
            from: None,
            delimiter: ":".to_owned(),
            max_groups: 100,
            largest_keys: 0,
        }
    }
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

/// A server to walk, with credentials of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it listens.
    pub address: Address,
    /// The ACL user, where one was named.
    pub username: Option<String>,
    /// The password, where one was given.
    pub password: Option<Secret>,
}

/// Reads the `sweep` section below a map; what is not written is as in `defaults`.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &Sweep,
    context: &mut Context<'_>,
) -> Option<Sweep> {
    let section = parent.section("sweep", KEYS, context)?;
    let enabled = section.value("enabled", unit::switch, context);
    let cpu_share = section.value("cpu_share", share, context);
    let keys_per_second = section.value(
        "keys_per_second",
        |text| whole(text, 1, 10_000_000),
        context,
    );
    let commands_per_second = section.value(
        "commands_per_second",
        |text| whole(text, 1, 10_000_000),
        context,
    );
    let lookup_share = section.value("lookup_share", share_of_lookups, context);
    let lookups_per_minute = section.value(
        "lookups_per_minute",
        |text| whole(text, 0, 1_000_000),
        context,
    );
    let count = section.value("count", |text| whole(text, 10, 1000), context);
    let first_keys = section.value("first_keys", |text| whole(text, 0, 1_000_000), context);
    let min_pass_interval = section.value("min_pass_interval", unit::duration, context);
    let max_latency = section.value("max_latency", unit::duration, context);
    let while_saving = section.value("while_saving", unit::switch, context);
    let databases = read_databases(&section, context);
    let from = read_origin(&section, context);
    let delimiter = section.text("delimiter", delimiter, context);
    let max_groups = section.value("max_groups", |text| whole(text, 1, 1000), context);
    let largest_keys = section.value("largest_keys", |text| whole(text, 0, 1000), context);
    let defaults = defaults.clone();
    Some(Sweep {
        enabled: or(enabled, defaults.enabled)?,
        cpu_share: or(cpu_share, defaults.cpu_share)?,
        keys_per_second: or_nothing(keys_per_second, defaults.keys_per_second).ok()?,
        commands_per_second: or_nothing(commands_per_second, defaults.commands_per_second).ok()?,
        lookup_share: or_nothing(lookup_share, defaults.lookup_share).ok()?,
        lookups_per_minute: or_nothing(lookups_per_minute, defaults.lookups_per_minute).ok()?,
        count: or(count, defaults.count)?,
        first_keys: or(first_keys, defaults.first_keys)?,
        min_pass_interval: or(min_pass_interval, defaults.min_pass_interval)?,
        max_latency: or(max_latency, defaults.max_latency)?,
        while_saving: or(while_saving, defaults.while_saving)?,
        databases: databases.ok()?.or(defaults.databases),
        from: or_nothing(from, defaults.from).ok()?,
        delimiter: or(delimiter, defaults.delimiter)?,
        max_groups: or(max_groups, defaults.max_groups)?,
        largest_keys: or(largest_keys, defaults.largest_keys)?,
    })
}

fn or<T>(written: Reading<T>, default: T) -> Option<T> {
    let written = written.ok()?;
    Some(written.map_or(default, |placed| placed.value))
}

/// The same for a key whose default may be that there is nothing.
fn or_nothing<T>(written: Reading<T>, default: Option<T>) -> Result<Option<T>, Invalid> {
    Ok(written?.map(|placed| placed.value).or(default))
}

fn read_origin(section: &Section<'_>, context: &mut Context<'_>) -> Reading<Origin> {
    let Some(Placed { value: url, place }) = section.hidden("from", origin, context)? else {
        return Ok(None);
    };
    for note in url.notes {
        context.warn(&place, note);
    }
    let value = Origin {
        address: url.address,
        username: url.username,
        password: url.password,
    };
    Ok(Some(Placed { value, place }))
}

fn origin(text: &str) -> Result<Url, Refusal> {
    let mut url = url::parse(text)?;
    if url.database.is_some() {
        return Err(Refusal::new(
            "names a database",
            "leave it out: all databases are walked, or those of `databases`",
        ));
    }
    url.take_user_as_password();
    Ok(url)
}

/// A list of numbers of databases; none where the key is not there.
fn read_databases(
    section: &Section<'_>,
    context: &mut Context<'_>,
) -> Result<Option<Vec<u32>>, Invalid> {
    if section.node("databases").is_none() {
        return Ok(None);
    }
    let mut databases = Vec::new();
    for (node, place) in section.list("databases", context).ok_or(Invalid)? {
        let number = match node {
            Node::Scalar(scalar) => {
                expand(&scalar.text, context.environment).and_then(|text| unit::database(&text))
            }
            _ => unit::database(""),
        };
        match number {
            Ok(database) => databases.push(database),
            Err(Refusal { what, remedy }) => {
                context.report(&place, what, remedy);
                return Err(Invalid);
            }
        }
    }
    if databases.is_empty() {
        context.report(
            &section.place_of("databases"),
            "is empty",
            "name a database, or set `enabled` to false",
        );
        return Err(Invalid);
    }
    Ok(Some(databases))
}

fn share(text: &str) -> Result<Share, Refusal> {
    let share = read_share(text);
    share.ok_or_else(|| {
        Refusal::new(
            "is not a share of a core",
            "write a percentage up to 100 %, as in 1%",
        )
    })
}

fn share_of_lookups(text: &str) -> Result<Share, Refusal> {
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

pub(super) fn whole(text: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| {
        Refusal::new(
            "is not a number that fits here",
            format!("write a whole number from {least} to {most}"),
        )
    })
}

fn delimiter(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > 8 {
        return Err(Refusal::new(
            "is no delimiter",
            "write one to eight characters, as in \":\"",
        ));
    }
    Ok(text.to_owned())
}
