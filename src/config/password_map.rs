//! The text of a password file to the password of one server. Reading the file is not done here.

use std::collections::BTreeMap;

use super::address::{self, Address};
use super::secret::Secret;

/// The password that a file holds for a server: all of it without the line ends, or, where it is
/// a JSON map from addresses to passwords as `redis_exporter` takes it, the entry of this address
/// and user. Nothing where the map has no such entry, or an empty one.
///
/// # Errors
///
/// A map is broken. The text of the fault repeats nothing of it.
pub fn password_of(
    text: &str,
    address: &Address,
    username: Option<&str>,
) -> Result<Option<Secret>, &'static str> {
    if !text.trim_start().starts_with('{') {
        return Ok(Some(plain(text)));
    }
    let passwords: BTreeMap<String, String> = match serde_json::from_str(text) {
        Ok(passwords) => passwords,
        // Sent as a password, it would tell one server those of all.
        Err(_) if text.contains("://") || text.contains(':') && text.contains('"') => {
            return Err("it is not a JSON map from addresses to passwords");
        }
        Err(_) => return Ok(Some(plain(text))),
    };
    let entry = passwords.iter().find(|(key, password)| {
        let is_same = address::parse(key)
            .is_ok_and(|url| url.address == *address && url.username.as_deref() == username);
        is_same && !password.is_empty()
    });
    Ok(entry.map(|(_, password)| Secret::new(password.as_str())))
}

fn plain(text: &str) -> Secret {
    Secret::new(text.trim_end_matches(['\r', '\n']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAP: &str = r#"{
        "redis://cache:6379": "of-cache",
        "redis://cache:6380": "",
        "redis://app@cache:6379": "of-app",
        "rediss://cache:6379": "of-tls",
        "not an address": "x",
        "bare:1": "of-bare",
        "redis://default": "of-default"
    }
"#;

    fn of(text: &str, url: &str) -> Result<Option<Secret>, &'static str> {
        let url = address::parse(url).unwrap();
        password_of(text, &url.address, url.username.as_deref())
    }

    #[test]
    fn a_map_is_asked_for_address_and_user() {
        for (url, expected) in [
            ("redis://cache:6379", Some("of-cache")),
            ("redis://cache:6379/3", Some("of-cache")),
            ("cache", Some("of-cache")),
            ("redis://app@cache:6379", Some("of-app")),
            ("redis://other@cache:6379", None),
            ("rediss://cache:6379", Some("of-tls")),
            ("redis://cache:6380", None),
            ("redis://elsewhere:6379", None),
            ("redis://bare:1", Some("of-bare")),
            ("redis://default:6379", Some("of-default")),
        ] {
            assert_eq!(of(MAP, url).unwrap(), expected.map(Secret::new), "{url}");
        }
    }

    #[test]
    fn any_other_text_is_the_password() {
        for (text, expected) in [
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n\n", "hunter2"),
            (" a ", " a "),
            ("[\"a\"]", "[\"a\"]"),
            ("{x}9", "{x}9"),
        ] {
            let found = of(text, "redis://h").unwrap();
            assert_eq!(found, Some(Secret::new(expected)), "{text}");
        }
    }

    #[test]
    fn a_broken_map_is_never_taken_for_a_password() {
        for text in [
            "{\"redis://h:1\": \"hunter2\"",
            "{'redis://h:1': 'hunter2'}",
            "{\"h\": \"hunter2\",}",
            "{\"redis://h:1\": 5}",
        ] {
            let fault = of(text, "redis://h:1").unwrap_err();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|\\{\\PC{0,40}") {
            let _ = of(&text, "redis://h");
        }
    }
}
