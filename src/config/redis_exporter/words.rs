//! Translates Go's spellings of flags, `-flag value` and `-flag=value`, to ours. Pure.

use std::ffi::{OsStr, OsString};

use super::OPTIONS;
use super::meaning::parse_switch;
use crate::config::row::Takes;

/// Returns the words of a command line, with two dashes before each long flag.
///
/// A flag and its value become one word, so that the value may start with a dash. Empty words are
/// left out.
pub(in crate::config) fn normalized(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words = words.into_iter();
    let mut normalized: Vec<OsString> = words.next().into_iter().collect();
    while let Some(word) = words.next() {
        if word.is_empty() {
            continue;
        }
        if word == "--" {
            normalized.push(word);
            break;
        }
        let Some(flag) = word.to_str().and_then(long_flag) else {
            normalized.push(word);
            continue;
        };
        if let Some(value) = flag.strip_prefix("version=") {
            if parse_switch(value) != Ok(false) {
                normalized.push(OsString::from("--version"));
            }
            continue;
        }
        let mut joined = OsString::from(format!("--{flag}"));
        if takes_next(flag)
            && let Some(value) = words.next()
        {
            joined.push(OsStr::new("="));
            joined.push(value);
        }
        normalized.push(joined);
    }
    normalized.extend(words);
    normalized
}

/// Returns a flag without its dashes, or `None` for other words and for single letters such as
/// `-h`.
fn long_flag(word: &str) -> Option<&str> {
    let after_one = word.strip_prefix('-')?;
    match after_one.strip_prefix('-') {
        Some(flag) => Some(flag),
        None => (after_one.chars().nth(1).is_some()).then_some(after_one),
    }
}

fn takes_next(flag: &str) -> bool {
    let option = OPTIONS.iter().find(|option| option.flag == flag);
    option.is_some_and(|option| option.takes != Takes::Switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Vec<String> {
        normalized(words.iter().map(OsString::from))
            .into_iter()
            .map(|word| word.into_string().unwrap())
            .collect()
    }

    #[test]
    fn one_dash_works_like_two() {
        for (words, expected) in [
            (&["x"][..], &["x"][..]),
            (&[], &[]),
            (&["x", "-debug"], &["x", "--debug"]),
            (
                &["x", "-debug=false", "once"],
                &["x", "--debug=false", "once"],
            ),
            (&["x", "-redis.addr", "h:1"], &["x", "--redis.addr=h:1"]),
            (&["x", "--redis.addr", "h:1"], &["x", "--redis.addr=h:1"]),
            (&["x", "-check-keys=a=b"], &["x", "--check-keys=a=b"]),
            (
                &["x", "--redis.password", "-a"],
                &["x", "--redis.password=-a"],
            ),
            (&["x", "-redis.password"], &["x", "--redis.password"]),
            (&["x", "", "-debug", ""], &["x", "--debug"]),
            (&["x", "-h", "-V", "-"], &["x", "-h", "-V", "-"]),
            (&["x", "-colour", "red"], &["x", "--colour", "red"]),
            (
                &["x", "--poll.interval", "1s"],
                &["x", "--poll.interval", "1s"],
            ),
            (&["x", "--", "-debug"], &["x", "--", "-debug"]),
            (&["x", "-version=true"], &["x", "--version"]),
            (&["x", "-version=false", "once"], &["x", "once"]),
        ] {
            assert_eq!(of(words), expected, "{words:?}");
        }
    }
}
