//! An entry of a list of targets that is refused, in words and without its credentials.

use std::fmt;

use super::problem::{Invalid, quoted};

/// An entry of a list that is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// The entry, without user, password and parameters.
    shown: String,
    reason: Invalid,
}

impl RefusedEntry {
    /// Returns the entry with this text.
    pub(super) fn of(text: &str, reason: Invalid) -> Self {
        Self {
            shown: quoted(&without_secrets(text)),
            reason,
        }
    }
}

impl fmt::Display for RefusedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.shown, self.reason)
    }
}

/// Returns a text up to its host and port. Everything that may be a secret is left out: what
/// precedes the last `@`, parameters, paths, further words, and ports that are not numeric.
fn without_secrets(text: &str) -> String {
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            (format!("{scheme}://"), rest)
        }
        _ => (String::new(), text),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let is_end = |letter: char| letter.is_whitespace() || "/?#,;=&".contains(letter);
    let end = rest.find(is_end);
    let host = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            if host.ends_with(']') { host } else { name }
        }
        _ => host,
    };
    let cut = if host.len() < rest.len() { "..." } else { "" };
    format!("{scheme}{host}{cut}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_is_shown_without_secrets() {
        for (text, shown) in [
            ("redis://u:pw@127.0.0.1:7211", "redis://127.0.0.1:7211"),
            ("u:p@w@h:1", "h:1"),
            ("redis://u:p/w?x@h", "redis://h"),
            ("bad host", "bad..."),
            ("redis-cli -a secret -h host", "redis-cli..."),
            ("h:secret", "h..."),
            ("redis://u:secret", "redis://u..."),
            ("h:1?password=secret", "h:1..."),
            ("h:1,password=secret", "h:1..."),
            ("password=secret", "password..."),
            ("h:1/secret", "h:1..."),
            ("unix:///run/redis.sock", "unix://..."),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(text), shown, "{text}");
        }
    }
}
