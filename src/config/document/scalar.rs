//! Single values of YAML, by its core schema.

use saphyr_parser::{ScalarStyle, Tag};

use super::YamlValue;
use crate::config::problem::Invalid;

/// The handle of the tags that YAML defines, such as `!!str`.
pub(super) const CORE: &str = "tag:yaml.org,2002:";

/// A scalar as text, with its YAML type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) kind: ScalarKind,
}

/// The types of scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Text,
    Number,
    Switch,
}

pub(super) fn wrong_tag(tag: &Tag) -> Invalid {
    let what = if tag.handle == CORE {
        "has a value that contradicts its tag"
    } else {
        "has a tag such as `!name`"
    };
    Invalid::new(what, "write it plainly")
}

/// Returns the value of a scalar. Its type is that of the tag, or without one, that of a plain
/// text.
pub(super) fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<YamlValue, Invalid> {
    let of_text = || {
        YamlValue::Scalar(Scalar {
            text: text.to_owned(),
            kind: ScalarKind::Text,
        })
    };
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            plain(text)
        } else {
            of_text()
        });
    };
    if tag.handle != CORE {
        return Err(wrong_tag(tag));
    }
    let value = plain(text);
    let fits = match (&*tag.suffix, &value) {
        ("str", _) => return Ok(of_text()),
        ("null", YamlValue::Nothing) => true,
        ("bool", YamlValue::Scalar(scalar)) => scalar.kind == ScalarKind::Switch,
        ("int" | "float", YamlValue::Scalar(scalar)) => scalar.kind == ScalarKind::Number,
        _ => false,
    };
    if fits { Ok(value) } else { Err(wrong_tag(tag)) }
}

/// Returns the value of a text without quotes, according to YAML's core schema.
fn plain(text: &str) -> YamlValue {
    let (text, kind) = match text {
        "" | "~" | "null" | "Null" | "NULL" => return YamlValue::Nothing,
        "true" | "True" | "TRUE" => ("true".to_owned(), ScalarKind::Switch),
        "false" | "False" | "FALSE" => ("false".to_owned(), ScalarKind::Switch),
        _ => number(text).map_or((text.to_owned(), ScalarKind::Text), |text| {
            (text, ScalarKind::Number)
        }),
    };
    YamlValue::Scalar(Scalar { text, kind })
}

/// Returns a number in its shortest form. Digits with a leading zero are text.
fn number(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if unsigned.starts_with(['-', '+'])
        || unsigned
            .strip_prefix('0')
            .is_some_and(|rest| !rest.is_empty() && is_digits(rest))
    {
        return None;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2), ("", 10)] {
        let digits = unsigned
            .strip_prefix(prefix)
            .filter(|digits| !digits.starts_with(['-', '+']));
        match digits.map(|digits| u128::from_str_radix(digits, radix)) {
            Some(Ok(0)) => return Some("0".to_owned()),
            Some(Ok(number)) => return Some(format!("{sign}{number}")),
            _ => {}
        }
    }
    if let ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" = unsigned {
        return Some(text.to_owned());
    }
    let number = unsigned
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())?;
    Some(format!("{sign}{number}"))
}
