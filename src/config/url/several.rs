//! Recognizes a list of addresses instead of one. Pure.

use crate::config::problem::Invalid;

/// Characters between the addresses of a list.
const SEPARATORS: [char; 2] = [',', ';'];

/// Returns the problem of a list.
pub(super) fn problem() -> Invalid {
    Invalid::new(
        "names more than one server",
        "list each of them under `targets` in a configuration file, or in `scrape.allow` to poll \
         those that requests name",
    )
}

/// Returns whether a text is a list of addresses, of which a later one has a scheme, or follows a space
/// and has a port. The path of a socket may have commas and spaces.
pub(super) fn is_list(text: &str) -> bool {
    let is_separator = |char: char| SEPARATORS.contains(&char) || char.is_whitespace();
    let bare = |part: &str| part.trim_matches(['"', '\'', '[', ']', '-']).to_owned();
    let mut parts = text
        .split(is_separator)
        .map(bare)
        .filter(|part| !part.is_empty());
    let Some(first) = parts.next() else {
        return false;
    };
    let is_path = first.starts_with('/') || first.starts_with("unix:");
    let has_spaces = text.contains(char::is_whitespace) && !first.ends_with(':') && !is_path;
    parts.any(|part| has_scheme(&part) || (has_spaces && has_port(&part)))
}

/// Returns whether the authority or the path of a URL contains a list.
pub(super) fn has_separator(part: &str) -> bool {
    part.contains(SEPARATORS)
}

fn has_scheme(part: &str) -> bool {
    let scheme = part.split_once(":/").map_or("", |(scheme, _)| scheme);
    let is_usual = |byte: u8| byte.is_ascii_alphabetic() || byte == b'+';
    !scheme.is_empty() && scheme.bytes().all(is_usual)
}

fn has_port(part: &str) -> bool {
    let digits = part.rsplit_once(':').map_or("", |(_, digits)| digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn each_form_of_a_list_is_one_clear_error() {
        for text in [
            "h1,h2",
            "h1:1,h2:2",
            "h1:1;h2:2",
            "h1:1 h2:2",
            "h1:1, h2:2",
            "127.0.0.1:1,redis://h2",
            "redis://h1,redis://h2:2/0",
            "redis://h1:1/0,h2:2",
            "redis://h1:1/0;h2:2",
            "redis://h1:1?db=0,redis://h2",
            "redis://u:p@h1:1,redis://u:q@h2:2",
            "rediss://h1 rediss://h2",
            "redis://h1\nredis://h2",
            "redis://h1:1 h2:2",
            "[::1]:1,[::2]:2",
            "h1:1,h2:2,password=p",
            "h1:1,redis://h2:2,password=p",
            "[\"redis://h1\",\"redis://h2\"]",
            "- redis://h1\n- redis://h2",
            "unix:///a,unix:///b",
            "unix:/a,unix:/b",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, super::problem(), "{text}");
        }
    }

    #[test]
    fn single_addresses_are_not_lists() {
        for text in [
            "redis://u:p,w;x@h:1",
            "redis://:a%20b@h",
            "h:1,password=p,ssl=True",
            "h:1,password=a://b",
            "unix:///run/a,b.sock",
            "/run/a;b",
            "/a,/b",
            "unix:///a,/b:1",
            "unix:///a /b:1",
            "h:1?x=a:/b",
            "redis://[::1]:1/0",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["h: 1", "h 1", "redis://h:1 "] {
            let error = parse(text).map(drop);
            assert_ne!(error, Err(super::problem()), "{text}");
        }
    }
}
