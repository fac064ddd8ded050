//! Expands `${NAME}` and `${NAME:-default}` within a scalar. Nesting and `$NAME` are not supported.
//!
//! It works on parsed scalars, so a variable cannot add keys or lists.

use super::problem::Invalid;

/// Looks up an environment variable. Returns `None` if it is not set.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// Returns the text with its references replaced. `$${` is a literal `${`.
///
/// As in a shell, the default also replaces an empty variable.
pub(crate) fn expand(text: &str, environment: &Environment<'_>) -> Result<String, Invalid> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let Some((reference, after)) = after.split_once('}') else {
            return Err(Invalid::new(
                "has a `${` without `}`",
                "close it, or write $${ for a literal ${",
            ));
        };
        expanded.push_str(before);
        expanded.push_str(&look_up(reference, environment)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn look_up(reference: &str, environment: &Environment<'_>) -> Result<String, Invalid> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable_name(name) {
        // The text is not shown because it may be part of a password.
        return Err(Invalid::new(
            "has a `${…}` that names no environment variable",
            "write ${NAME} or ${NAME:-default}, or $${ for a literal ${",
        ));
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        // It may be a piece of a password that contains `${`.
        (None, None) if !is_usual_name(name) => Err(Invalid::new(
            "refers to an environment variable that is not set",
            "set it, or write $${ for a literal ${",
        )),
        (None, None) => Err(Invalid::new(
            format!("refers to the environment variable {name}, which is not set"),
            format!("set it, or write ${{{name}:-default}}"),
        )),
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Returns whether a name consists of words in capitals, with at most two digits at the end, such as
/// `REDIS_URL_2`.
fn is_usual_name(name: &str) -> bool {
    let words = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_usual = |letter: char| letter.is_ascii_uppercase() || letter == '_';
    name.len() - words.len() <= 2 && words.chars().all(is_usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("cache.example".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn references_are_replaced_and_the_rest_is_kept() {
        for (text, expanded) in [
            ("", ""),
            ("plain $HOST $ } {", "plain $HOST $ } {"),
            ("redis://${HOST}:6379", "redis://cache.example:6379"),
            ("${HOST}${HOST}", "cache.examplecache.example"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${UNSET:-}", ""),
            ("${UNSET:-a:-b}", "a:-b"),
            ("${HOST:-x}", "cache.example"),
            ("$${HOST}", "${HOST}"),
            ("a$${b${HOST}", "a${bcache.example"),
            ("${NESTED}", "${HOST}"),
        ] {
            assert_eq!(expand(text, &environment).unwrap(), expanded, "{text}");
        }
    }

    #[test]
    fn error_names_the_unset_variable() {
        let invalid = expand("a ${UNSET} b", &environment).unwrap_err();
        assert!(invalid.what.contains("variable UNSET"), "{invalid}");
        assert!(invalid.remedy.contains("${UNSET:-default}"), "{invalid}");
    }

    #[test]
    fn malformed_reference_is_rejected_without_its_text() {
        for text in [
            "${HOST",
            "${}",
            "${1A}",
            "${hunter-2}",
            "${a b:-c}",
            "${hunter2secret}",
        ] {
            let invalid = expand(text, &environment).unwrap_err().to_string();
            assert!(!invalid.contains("hunter"), "{invalid}");
        }
    }
}
