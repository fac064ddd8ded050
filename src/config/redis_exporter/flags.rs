//! The flags of `redis_exporter` on the command line. Not their meaning.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::meaning::{parse_number, parse_switch};
use super::{Fate, OPTIONS, OWN_OPTIONS, PeerOption, Takes};
use crate::config::problem::Refusal;
use crate::config::secret::Secret;

/// The flags that were given, by name. Any may hold a secret.
#[derive(Clone, Debug, Default)]
pub struct Flags(Vec<(&'static str, Secret)>);

impl Flags {
    /// The value of a flag, where it was given.
    pub(super) fn get(&self, flag: &str) -> Option<&Secret> {
        let found = self.0.iter().find(|(name, _)| *name == flag);
        found.map(|(_, value)| value)
    }
}

/// Those of `redis_exporter` that are not declared elsewhere as flags of this program.
fn of_redis_exporter() -> impl Iterator<Item = &'static PeerOption> {
    let is_own = |option: &&PeerOption| matches!(option.fate, Fate::Own(_));
    OPTIONS.iter().filter(move |option| !is_own(option))
}

fn declared() -> impl Iterator<Item = &'static PeerOption> {
    of_redis_exporter().chain(OWN_OPTIONS)
}

fn argument(option: &'static PeerOption) -> Arg {
    let argument = Arg::new(option.flag)
        .long(option.flag)
        .global(true)
        .action(ArgAction::Set)
        // As with Go, the last one counts.
        .overrides_with(option.flag)
        // The README lists them all; help shows those whose setting is not in the file.
        .hide(!matches!(option.fate, Fate::Same(_)))
        .help(help(option));
    match option.takes {
        Takes::Text => argument.value_name("TEXT"),
        Takes::Secret => argument.value_name("SECRET"),
        Takes::Number => argument.value_name("NUMBER").value_parser(number),
        Takes::Switch => argument
            .value_name("BOOL")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_parser(switch),
    }
}

fn own_argument(option: &'static PeerOption) -> Arg {
    let mut help = help(option);
    if !option.default.is_empty() {
        help = format!("{help} [default: {}]", option.default);
    }
    argument(option).hide(false).help(help)
}

fn help(option: &PeerOption) -> String {
    let PeerOption {
        remark, variable, ..
    } = option;
    format!("{remark} [env: {variable}]")
}

fn switch(text: &str) -> Result<String, Refusal> {
    parse_switch(text).map(|_| text.to_owned())
}

fn number(text: &str) -> Result<String, Refusal> {
    parse_number(text).map(|_| text.to_owned())
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = declared().filter_map(|option| {
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
        command
            .args(of_redis_exporter().map(argument))
            .args(OWN_OPTIONS.iter().map(own_argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
