//! The type of a row: what there is to know about an option of the file.

use super::context::{Context, ReadFile};
use super::draft::Draft;
use super::problem::Invalid;
use super::unit::database;
use super::written_keys::WrittenKeys;

/// The prefix of the keys of targets.
pub(crate) const TARGETS: &str = "targets[].";

/// The prefix of the keys of sources of targets.
pub(crate) const SOURCES: &str = "targets_from[].";

/// An option of the file.
#[derive(Clone, Copy)]
pub struct OptionRow {
    /// The path in the file. `[]` is each item of a list, and `*` the name of each collector.
    pub key: &'static str,
    /// The type of its value.
    pub takes: Takes,
    /// The default, if it can be written as a value. Otherwise the meaning describes it.
    pub default: &'static str,
    /// A sentence that describes it, without a full stop.
    pub meaning: &'static str,
    /// Whether a target may override it.
    pub is_of_each: bool,
    /// The flag that overrides the file, without dashes, or an empty text.
    pub flag: &'static str,
    /// The environment variable that overrides the file, or an empty text.
    pub variable: &'static str,
    /// Whether a wrong value of the flag is a usage error, reported before the configuration is
    /// read.
    pub(crate) is_strict: bool,
    /// Whether the value may be a misplaced secret, which messages must not show.
    pub(crate) is_hidden: bool,
    pub(crate) set: Set,
}

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// True or false.
    Switch,
    /// A whole number.
    Number,
    /// A number with a unit of time.
    Duration,
    /// A number of bytes, with a unit or without.
    Size,
    /// A percentage.
    Share,
    /// An IP address and a port.
    Address,
    /// One of a few words.
    Word,
    /// Any text.
    Text,
    /// A text that may be a secret.
    Secret,
    /// A path of a file.
    Path,
    /// A glob of Redis.
    Glob,
    /// A regular expression.
    Regex,
    /// A list of texts.
    Texts,
    /// A list of numbers.
    Numbers,
    /// A list of maps.
    Maps,
}

impl Takes {
    /// Returns whether the value must be text in YAML too.
    pub(crate) const fn is_text(self) -> bool {
        use Takes::{Glob, Path, Regex, Secret, Text, Texts};
        matches!(self, Glob | Path | Regex | Secret | Text | Texts)
    }

    /// Returns the word for the type in `--help`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Switch => "BOOL",
            Self::Number => "NUMBER",
            Self::Duration => "DURATION",
            Self::Size => "SIZE",
            Self::Share => "PERCENTAGE",
            Self::Address => "ADDRESS",
            Self::Word => "WORD",
            Self::Text => "TEXT",
            Self::Secret => "SECRET",
            Self::Path => "FILE",
            Self::Glob => "GLOB",
            Self::Regex => "REGEX",
            Self::Texts | Self::Numbers | Self::Maps => "LIST",
        }
    }
}

/// How to set an option. Each function gets text in which variables are already replaced.
#[derive(Clone, Copy)]
pub(crate) enum Set {
    Value(fn(&mut Draft, &str) -> Result<(), Invalid>),
    /// A file, which is read with the configuration.
    File(fn(&mut Draft, &str, &ReadFile<'_>) -> Result<(), Invalid>),
    /// A switch with the name of a collector.
    Named(fn(&mut Draft, &str, &str) -> Result<(), Invalid>),
    /// A list of single values, with the maximum number of items.
    List(usize, fn(&mut Draft) -> &mut dyn List),
    Items(Items),
    /// A list of targets, or of sources of targets, which is read after everything else.
    Targets,
}

/// A list of maps.
#[derive(Clone, Copy)]
pub(crate) struct Items {
    /// The prefix of the keys of an item.
    pub(crate) level: &'static str,
    pub(crate) most: usize,
    pub(crate) clear: fn(&mut Draft),
    /// Adds the parsed item if it has no problem.
    pub(crate) finish: fn(&mut Draft, &WrittenKeys, &mut Context<'_>),
}

/// A list of values that are parsed from text.
pub(crate) trait List {
    fn clear(&mut self);
    fn push(&mut self, text: &str) -> Result<(), Invalid>;
}

/// A value that is parsed from text.
pub(crate) trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, Invalid>;
}

impl<T: FromText> List for Vec<T> {
    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn push(&mut self, text: &str) -> Result<(), Invalid> {
        T::from_text(text).map(|value| Vec::push(self, value))
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        database(text)
    }
}

pub(super) const fn row(
    key: &'static str,
    takes: Takes,
    default: &'static str,
    meaning: &'static str,
    set: Set,
) -> OptionRow {
    OptionRow {
        key,
        takes,
        default,
        meaning,
        is_of_each: false,
        flag: "",
        variable: "",
        is_strict: false,
        is_hidden: false,
        set,
    }
}

pub(super) const fn items(
    level: &'static str,
    most: usize,
    clear: fn(&mut Draft),
    finish: fn(&mut Draft, &WrittenKeys, &mut Context<'_>),
) -> Set {
    Set::Items(Items {
        level,
        most,
        clear,
        finish,
    })
}

impl OptionRow {
    pub(super) const fn flag(mut self, flag: &'static str, variable: &'static str) -> Self {
        self.flag = flag;
        self.variable = variable;
        self
    }

    pub(super) const fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    pub(super) const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }

    pub(super) const fn each(mut self) -> Self {
        self.is_of_each = true;
        self
    }

    /// Returns the path relative to the maps of this level, if the option is allowed there.
    pub(crate) fn key_at(&self, level: &str) -> Option<&'static str> {
        let key = match self.key.strip_prefix(level) {
            Some(key) => key,
            None if self.is_of_each && [TARGETS, SOURCES].contains(&level) => self.key,
            None => return None,
        };
        (!key.contains("[]")).then_some(key)
    }

    /// Validates a text as the value of this option.
    pub(crate) fn check(&self, text: &str) -> Result<(), Invalid> {
        match self.set {
            Set::Value(set) => set(&mut Draft::new(), text),
            _ => Ok(()),
        }
    }
}
