//! Reads the query string of a request. Pure.
//!
//! Unknown parameters are ignored, like those of Prometheus and `redis_exporter`. An empty parameter counts as
//! missing, and only the first one of a name counts. A malformed value is an error, because its
//! sender would take the response for another one.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use thiserror::Error;
use url::form_urlencoded;

/// The decoded parameters of a request.
#[derive(Debug)]
pub(crate) struct QueryString<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// A parameter with a malformed value. The value is not repeated: it may contain a password.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum MalformedParameter {
    /// It is not a number in the range.
    #[error(
        "The parameter `{name}` must be a whole number from {} to {}; leave it out for the default.",
        .range.start(),
        .range.end()
    )]
    Number {
        /// The parameter.
        name: &'static str,
        /// The numbers that it may have.
        range: RangeInclusive<u32>,
    },
    /// It is not a switch.
    #[error("The parameter `{0}` must be 1 or true, or 0 or false; leave it out for the default.")]
    Switch(&'static str),
}

impl<'a> QueryString<'a> {
    /// Decodes the parameters of a request.
    pub(crate) fn new(query: Option<&'a str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    /// Returns a parameter; `None` if it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(given, _)| given == name);
        first
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// Returns a number; `None` if it is missing or empty.
    ///
    /// # Errors
    ///
    /// The value is not a whole number in the range.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<usize>, MalformedParameter> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let number = value.parse().ok().filter(|number| range.contains(number));
        match number.and_then(|number| usize::try_from(number).ok()) {
            None => Err(MalformedParameter::Number { name, range }),
            number => Ok(number),
        }
    }

    /// Returns whether a switch is on. Off is the default.
    ///
    /// # Errors
    ///
    /// The value is neither on nor off.
    pub(crate) fn switch(&self, name: &'static str) -> Result<bool, MalformedParameter> {
        match self.text(name) {
            None | Some("0" | "false") => Ok(false),
            Some("1" | "true") => Ok(true),
            Some(_) => Err(MalformedParameter::Switch(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_parameter_of_a_name_is_decoded() {
        let query = "x=1&target=redis%3A%2F%2Fh%3A1+2%zz&target=second&limit=7&limit=x";
        let query = QueryString::new(Some(query));
        assert_eq!(query.text("target"), Some("redis://h:1 2%zz"));
        assert_eq!(query.number("limit", 1..=9), Ok(Some(7)));
        for query in [
            None,
            Some(""),
            Some("target"),
            Some("target="),
            Some("Target=x"),
        ] {
            let query = QueryString::new(query);
            assert_eq!(query.text("target"), None);
            assert_eq!(query.number("target", 1..=9), Ok(None));
            assert_eq!(query.switch("target"), Ok(false));
        }
    }

    #[test]
    fn malformed_values_are_errors_without_the_value() {
        for value in ["abc", "-1", "0", "1001", "1.5", "1e2", "%20", "9999999999"] {
            let text = format!("limit={value}");
            let error = QueryString::new(Some(&text)).number("limit", 1..=1_000);
            assert_eq!(
                error.unwrap_err().to_string(),
                "The parameter `limit` must be a whole number from 1 to 1000; leave it out for the \
                 default."
            );
        }
        for (value, expected) in [("1", true), ("true", true), ("0", false), ("false", false)] {
            let text = format!("debug={value}");
            assert_eq!(QueryString::new(Some(&text)).switch("debug"), Ok(expected));
        }
        let error = QueryString::new(Some("debug=s3cret")).switch("debug");
        assert_eq!(
            error.unwrap_err().to_string(),
            "The parameter `debug` must be 1 or true, or 0 or false; leave it out for the default."
        );
    }
}
