//! The flags of `redis_exporter` on the command line.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::meaning::{parse_number, parse_switch};
use super::{CommandLineOption, Fate, OPTIONS, own_options, redis_exporter_options};
use crate::config::problem::Invalid;
use crate::config::row::{OptionRow, Takes};
use crate::config::rows::ROWS;
use crate::config::secret::Secret;

/// The heading above these flags in `--help`. Those of a command are listed before it.
const HEADING: &str = "Exporter options";

/// The given flags, by name. Any value may be a secret.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, Secret)>);

impl Flags {
    /// Returns the value of a flag, if it was given.
    pub(crate) fn get(&self, flag: &str) -> Option<&Secret> {
        let found = self.0.iter().find(|(name, _)| *name == flag);
        found.map(|(_, value)| value)
    }
}

fn argument(option: CommandLineOption) -> Arg {
    let argument = Arg::new(option.flag)
        .long(option.flag)
        .global(true)
        .action(ArgAction::Set)
        // The migration guide lists all flags. `--help` only has those without a key in the file.
        .hide(!matches!(option.fate, Fate::Same(_)))
        .help_heading(HEADING)
        .help(help(&option));
    let argument = argument.value_name(option.takes.word());
    match option.takes {
        Takes::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(switch),
        _ => argument,
    }
}

fn redis_exporter_argument(option: CommandLineOption) -> Arg {
    let argument = repeatable(argument(option));
    match option.takes {
        Takes::Number => argument.value_parser(number),
        _ => argument,
    }
}

fn own_argument(option: CommandLineOption) -> Arg {
    let mut help = help(&option);
    if !option.default.is_empty() {
        help = format!("{help} [default: {}]", option.default);
    }
    let argument = argument(option).hide(false).help(help);
    let Some(row) = strict(&option) else {
        return repeatable(argument);
    };
    let argument = argument.value_parser(|text: &str| row.check(text).map(|()| text.to_owned()));
    if OPTIONS.iter().any(|theirs| theirs.flag == option.flag) {
        return repeatable(argument);
    }
    argument
}

/// Lets the last occurrence of a flag win, like Go does.
fn repeatable(argument: Arg) -> Arg {
    let flag = argument.get_id().clone();
    argument.overrides_with(flag)
}

/// Returns the row of a flag for which a wrong value is a usage error.
fn strict(option: &CommandLineOption) -> Option<&'static OptionRow> {
    let mut rows = ROWS.iter().filter(|row| row.is_strict);
    rows.find(|row| row.flag == option.flag)
}

fn help(option: &CommandLineOption) -> String {
    format!("{} [env: {}]", option.remark, option.variable)
}

fn switch(text: &str) -> Result<String, Invalid> {
    parse_switch(text).map(|_| text.to_owned())
}

fn number(text: &str) -> Result<String, Invalid> {
    parse_number(text).map(|_| text.to_owned())
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let declared = redis_exporter_options().chain(own_options());
        let given = declared.filter_map(|option| {
            let value = matches.get_one::<String>(option.flag)?;
            Some((option.flag, Secret::new(value.as_str())))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let (first, last): (Vec<_>, Vec<_>) =
            own_options().partition(|option| strict(option).is_some());
        command
            .args(first.into_iter().map(own_argument))
            .args(redis_exporter_options().map(redis_exporter_argument))
            .args(last.into_iter().map(own_argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
