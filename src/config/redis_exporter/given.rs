//! Options that are set by a flag or a variable: those of `redis_exporter` and our own.

use super::meaning::{parse_number, parse_switch};
use super::notice::Notice;
use super::{CommandLineOption, Flags, own_options, redis_exporter_options};
use crate::config::expand::Environment;
use crate::config::problem::Invalid;
use crate::config::row::Takes;
use crate::config::secret::Secret;

/// The options that are set.
#[derive(Debug, Default)]
pub(in crate::config) struct Given(Vec<GivenOption>);

/// An option that is set.
#[derive(Debug)]
pub(in crate::config) struct GivenOption {
    pub(in crate::config) option: CommandLineOption,
    pub(in crate::config) value: Secret,
    /// The flag or the variable.
    pub(in crate::config) place: String,
}

impl Given {
    /// Reads flags and variables. A flag overrides its variable.
    ///
    /// An invalid variable of `redis_exporter` is ignored with a notice, like in `redis_exporter`.
    /// An invalid variable of our own is a problem.
    pub(in crate::config) fn read(
        flags: &Flags,
        environment: &Environment<'_>,
        notices: &mut Vec<Notice>,
    ) -> Self {
        let theirs = redis_exporter_options().filter_map(|option| {
            let found = of_flag(option, flags);
            let variable = || checked(of_variable(option, environment)?, notices);
            found.or_else(variable)
        });
        let mut given: Vec<_> = theirs.collect();
        let own = own_options().filter_map(|option| {
            let found = of_flag(option, flags);
            found.or_else(|| of_variable(option, environment))
        });
        given.extend(own);
        Self(given)
    }

    /// Returns the option of this flag, if it is set.
    pub(in crate::config) fn get(&self, flag: &str) -> Option<&GivenOption> {
        let mut all = self.0.iter();
        all.find(|given| given.option.flag == flag && !given.value.expose().is_empty())
    }

    /// Returns whether a switch is on.
    pub(in crate::config) fn is_on(&self, flag: &str) -> bool {
        let given = self
            .get(flag)
            .map(|given| parse_switch(given.value.expose()));
        given == Some(Ok(true))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &GivenOption> {
        self.0.iter()
    }
}

impl GivenOption {
    /// Returns whether the value is the default.
    pub(in crate::config) fn is_default(&self) -> bool {
        let (value, default) = (self.value.expose(), self.option.default);
        match self.option.takes {
            Takes::Switch => parse_switch(value) == parse_switch(default),
            Takes::Number => parse_number(value) == parse_number(default),
            _ => value == default,
        }
    }
}

fn of_flag(option: CommandLineOption, flags: &Flags) -> Option<GivenOption> {
    let value = flags.get(option.flag)?.clone();
    let place = format!("--{}", option.flag);
    Some(GivenOption {
        option,
        value,
        place,
    })
}

fn of_variable(option: CommandLineOption, environment: &Environment<'_>) -> Option<GivenOption> {
    if option.variable.is_empty() {
        return None;
    }
    let text = environment(option.variable).filter(|text| !text.is_empty())?;
    Some(GivenOption {
        option,
        value: Secret::new(text),
        place: option.variable.to_owned(),
    })
}

/// Returns the variable, unless it is invalid.
fn checked(given: GivenOption, notices: &mut Vec<Notice>) -> Option<GivenOption> {
    let text = given.value.expose();
    let checked = match given.option.takes {
        Takes::Switch => parse_switch(text).map(|_| ()),
        Takes::Number => parse_number(text).map(|_| ()),
        _ => Ok(()),
    };
    match checked {
        Ok(()) => Some(given),
        Err(Invalid { what, remedy }) => {
            let text = format!("{what}, so the variable is left out; {remedy}");
            notices.push(Notice::warning(&given.place, text));
            None
        }
    }
}
