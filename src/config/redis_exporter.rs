//! The flags and environment variables of `redis_exporter`.
//!
//! The table is in `table`. Parsing, startup notices and the migration guide derive from it. Our
//! own flags and variables come from the rows of the file's options, and are read in the same way.

mod flags;
mod given;
mod list;
mod lua_pattern;
mod meaning;
mod notice;
mod overlay;
mod table;
mod words;

pub use flags::Flags;
pub(super) use given::Given;
pub(super) use meaning::{scalar as literal, time_out};
pub use notice::{Notice, Severity};
pub(super) use overlay::Overlay;
use table::COLLECTORS;
pub use table::OPTIONS;
pub(super) use words::normalized;

use super::row::{OptionRow, Takes};
use super::rows::ROWS;

/// An option of `redis_exporter`, or of our own.
#[derive(Clone, Copy, Debug)]
pub struct CommandLineOption {
    /// The name of the flag, without dashes.
    pub flag: &'static str,
    /// The environment variable, or an empty text for options without one.
    pub variable: &'static str,
    /// The default of `redis_exporter`.
    pub default: &'static str,
    /// The type of its values.
    pub takes: Takes,
    /// The way it is handled.
    pub fate: Fate,
    /// A remark for people: the difference, why it is not needed, or what to do instead. Part of a
    /// sentence, without a full stop.
    pub remark: &'static str,
}

/// The way an option of `redis_exporter` is handled.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// A flag that this program also has, with the equivalent key in the file, if any.
    Own(&'static str),
    /// Read where its key is read. Contains the key.
    Same(&'static str),
    /// Sets keys of the file.
    Sets(Setting),
    /// Accepted without any effect.
    NotNeeded,
    /// Not supported. A notice at startup reports it.
    Unsupported,
}

/// The keys of the file that an option sets.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    keys: &'static [&'static str],
    read: meaning::ReadOption,
}

impl CommandLineOption {
    /// Returns the keys of the file that it sets or is equivalent to.
    #[must_use]
    pub fn keys(&self) -> &'static [&'static str] {
        match &self.fate {
            Fate::Sets(setting) => setting.keys,
            _ => &[],
        }
    }

    /// Returns the effect of the option, for the migration guide.
    #[must_use]
    pub fn here(&self) -> String {
        let what = match self.fate {
            Fate::Own("") => String::new(),
            Fate::Own(setting) | Fate::Same(setting) => format!("`{setting}`"),
            Fate::Sets(setting) => {
                let keys = setting.keys.iter().map(|key| format!("`{key}`"));
                keys.collect::<Vec<_>>().join(", ")
            }
            Fate::NotNeeded => "not needed".to_owned(),
            Fate::Unsupported => "not supported".to_owned(),
        };
        match (what.as_str(), self.remark) {
            (_, "") => what,
            ("", remark) => remark.to_owned(),
            (what, remark) => format!("{what}: {remark}"),
        }
    }
}

/// Returns the options of `redis_exporter` that are not also our own flags.
fn redis_exporter_options() -> impl Iterator<Item = CommandLineOption> {
    let options = OPTIONS.iter().copied();
    options.filter(|option| !matches!(option.fate, Fate::Own(_)))
}

/// Returns our own flags and variables, from the rows, in the same form as those of
/// `redis_exporter`.
pub fn own_options() -> impl Iterator<Item = CommandLineOption> {
    let rows = ROWS.iter().filter(|row| !row.flag.is_empty());
    rows.map(of_row).chain(COLLECTORS.iter().copied())
}

fn of_row(row: &'static OptionRow) -> CommandLineOption {
    let read = match row.takes {
        Takes::Switch => meaning::switch,
        Takes::Texts | Takes::Numbers => meaning::names,
        Takes::Maps => meaning::names_and_globs,
        _ => meaning::text,
    };
    CommandLineOption {
        flag: row.flag,
        variable: row.variable,
        default: row.default,
        takes: row.takes,
        fate: Fate::Sets(Setting {
            keys: std::slice::from_ref(&row.key),
            read,
        }),
        remark: row.meaning,
    }
}

#[cfg(test)]
mod tests;
