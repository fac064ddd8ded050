//! Keys that flags and variables set, on top of those of the file. Pure.

use super::Fate;
use super::given::{Given, GivenOption};
use super::meaning::{Meaning, ReadOption, scalar, switched};
use super::notice::Notice;
use crate::config::document::{Node, YamlValue};
use crate::config::problem::{Place, Problem};
use crate::config::reader::LevelReader;
use crate::config::row::TARGETS;
use crate::config::rows::ROWS;

/// Options that require the sweep.
const NEEDS_SWEEP: [&str; 6] = [
    "check-keys",
    "check-single-keys",
    "check-key-groups",
    "check-streams",
    "check-single-streams",
    "count-keys",
];

/// Keys that override the file.
#[derive(Debug, Default)]
pub(in crate::config) struct Overlay {
    settings: Vec<OverlaySetting>,
    /// Whether values are exported by default, like in `redis_exporter`.
    shows_values: bool,
}

#[derive(Debug)]
struct OverlaySetting {
    /// The path of the key, such as `keys.check`.
    key: &'static str,
    node: Node,
    /// The flag or the variable.
    place: Place,
}

impl Overlay {
    /// Translates the options. Unsupported ones become notices, and mistakes become problems.
    pub(in crate::config) fn of(
        given: &Given,
        notices: &mut Vec<Notice>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut overlay = Self {
            settings: Vec::new(),
            shows_values: ["check-keys", "check-single-keys"]
                .iter()
                .any(|flag| given.get(flag).is_some()),
        };
        notices.extend(unread_password_file(given));
        for item in given.all() {
            if let Fate::Sets(super::Setting { keys, read }) = item.option.fate {
                overlay.add(item, (keys, read), notices, problems);
            } else {
                notices.extend(notice_of(item));
            }
        }
        overlay.enable_sweep_for_keys(given);
        overlay
    }

    /// Enables the sweep for options that require it, because the file may have disabled it.
    fn enable_sweep_for_keys(&mut self, given: &Given) {
        if given.get("sweep.enabled").is_some() {
            return;
        }
        if let Some(item) = NEEDS_SWEEP.iter().find_map(|flag| given.get(flag)) {
            self.settings.push(OverlaySetting {
                key: "sweep.enabled",
                node: switched(true),
                place: Place::option(&item.place),
            });
        }
    }

    fn add(
        &mut self,
        item: &GivenOption,
        (keys, read): (&'static [&'static str], ReadOption),
        notices: &mut Vec<Notice>,
        problems: &mut Vec<Problem>,
    ) {
        if item.value.expose().is_empty() {
            return;
        }
        let node = match read(item.value.expose()) {
            Ok(Meaning::Is(node)) => node,
            Ok(Meaning::Instead(node, why)) => {
                notices.push(Notice::warning(&item.place, why));
                match node {
                    Some(node) => node,
                    None => return,
                }
            }
            Ok(Meaning::Nothing) => return,
            Err(invalid) => {
                problems.push(Place::option(&item.place).problem("", invalid.hidden()));
                return;
            }
        };
        for key in keys {
            self.settings.push(OverlaySetting {
                key,
                node: node.clone(),
                place: Place::option(&item.place),
            });
        }
    }

    /// Returns the keys whose values in the file are not read.
    ///
    /// Maps are merged and therefore read. So are keys for which a wrong flag is a usage error.
    pub(in crate::config) fn masked(&self) -> Vec<&'static str> {
        let is_strict = |key| ROWS.iter().any(|row| row.is_strict && row.key == key);
        let is_map = |node: &Node| matches!(node.value, YamlValue::Map(_));
        let settings = self.settings.iter();
        let masked = settings.filter(|setting| !is_map(&setting.node) && !is_strict(setting.key));
        masked.map(|setting| setting.key).collect()
    }

    /// Returns the keys with their values.
    #[cfg(test)]
    pub(super) fn entries(&self) -> Vec<crate::config::document::MapEntry> {
        let settings = self.settings.iter();
        let values = self.shows_values.then(|| ("keys.values", scalar("text")));
        let settings = settings.map(|setting| (setting.key, setting.node.clone()));
        let entry = |(key, node)| crate::config::document::MapEntry::new(key, node);
        settings.chain(values).map(entry).collect()
    }

    /// Sets the options of the top level, overriding the file.
    pub(in crate::config) fn apply(&self, reader: &mut LevelReader<'_, '_>) {
        for OverlaySetting { key, node, place } in &self.settings {
            match *key {
                key if key.starts_with(TARGETS) => {}
                "scripts[].read_only" => {
                    reader.context.recorder.record(key, node, place);
                    let is_on = *node == switched(true);
                    for script in &mut reader.draft.options().scripts {
                        script.read_only = is_on;
                    }
                }
                key => reader.set(key, node, place),
            }
        }
        if self.shows_values && !reader.written.has("keys.values") {
            reader.set(
                "keys.values",
                &scalar("text"),
                &Place::option("--check-keys"),
            );
        }
    }

    /// Sets the options of the implicit target.
    pub(in crate::config) fn apply_to_target(&self, reader: &mut LevelReader<'_, '_>) {
        for OverlaySetting { key, node, place } in &self.settings {
            if let Some(key) = key.strip_prefix(TARGETS) {
                reader.set(key, node, place);
            }
        }
    }
}

/// Returns a notice if a password overrides the password file, like in `redis_exporter`.
fn unread_password_file(given: &Given) -> Option<Notice> {
    given.get("redis.password")?;
    let file = given.get("redis.password-file")?;
    let text = "is not read, as a password is given beside it; keep one of the two";
    Some(Notice::info(&file.place, text))
}

/// Returns the notice about an option that sets nothing and is not at its default.
fn notice_of(item: &GivenOption) -> Option<Notice> {
    if item.is_default() {
        return None;
    }
    let (place, remark) = (&item.place, item.option.remark);
    match item.option.fate {
        Fate::Own(_) | Fate::Same(_) | Fate::Sets(_) => None,
        Fate::NotNeeded => Some(Notice::info(place, format!("is not needed: {remark}"))),
        Fate::Unsupported => Some(Notice::warning(
            place,
            format!("is not supported: {remark}"),
        )),
    }
}
