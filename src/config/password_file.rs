//! Finds the password of a server in the text of a password file. Callers read the file.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;

use super::address::Address;
use super::context::Context;
use super::problem::{Invalid, Place};
use super::secret::{Secret, oddity, trimmed};
use super::url::{self, Url};

/// Maximum size of the file, in bytes: room for a map of thousands of servers.
pub const PASSWORD_FILE_MAX: u64 = 1 << 20;

/// The content of a password file.
enum PasswordContent {
    Password(Secret),
    /// A JSON map from addresses to passwords, the format of `redis_exporter`.
    Map(BTreeMap<String, String>),
}

/// Returns the password that a file contains for a server.
///
/// It is the whole text without line ends, or the entry of this address and user in a JSON map.
/// Returns `None` if the entry is missing or empty.
///
/// # Errors
///
/// The format is unknown, or the text may contain several secrets. Sending it as a password would
/// reveal all of them to one server. The error never repeats any of it.
pub(crate) fn password_of(
    text: &str,
    address: &Address,
    username: Option<&str>,
) -> Result<Option<Secret>, Invalid> {
    match read(text)? {
        PasswordContent::Password(password) => Ok(Some(password)),
        PasswordContent::Map(map) => {
            let password = entry(&map, address, username).filter(|password| !password.is_empty());
            Ok(password.map(Secret::new))
        }
    }
}

/// Returns which entry for a server is missing in a map of passwords, as the rest of a sentence
/// about the file.
///
/// Returns `None` if the file is not a map or has the entry.
#[must_use]
pub fn missing_entry(text: &str, address: &Address, username: Option<&str>) -> Option<String> {
    match read(text).ok()? {
        PasswordContent::Map(map) if entry(&map, address, username).is_none() => {
            Some(missing(&map, address, username))
        }
        PasswordContent::Map(_) | PasswordContent::Password(_) => None,
    }
}

/// Rejects what [`password_of`] rejects. Returns a warning about a valid file, as the rest of a
/// sentence about it.
fn check(text: &str, server: Option<(&Address, Option<&str>)>) -> Result<Option<String>, Invalid> {
    if let PasswordContent::Password(password) = read(text)? {
        return Ok(oddity(password.expose()).map(str::to_owned));
    }
    Ok(server.and_then(|(address, username)| missing_entry(text, address, username)))
}

/// Checks a password file while the configuration is loaded, for the server if it is known.
///
/// Reports problems, and warns about probable mistakes.
pub(super) fn check_for(
    server: Option<(&Address, Option<&str>)>,
    path: &Path,
    place: &Place,
    context: &mut Context<'_>,
) {
    check_file(path, place, context, |text| check(text, server));
}

/// Does the same for a file whose password is not sent anywhere. Returns whether it is valid.
pub(super) fn check_readable(path: &Path, place: &Place, context: &mut Context<'_>) -> bool {
    check_file(path, place, context, |text| match trimmed(text) {
        "" => Err(empty()),
        password => Ok(oddity(password).map(str::to_owned)),
    })
}

fn check_file(
    path: &Path,
    place: &Place,
    context: &mut Context<'_>,
    check: impl Fn(&str) -> Result<Option<String>, Invalid>,
) -> bool {
    let text = (context.read_file)(path, PASSWORD_FILE_MAX).and_then(|bytes| {
        String::from_utf8(bytes)
            .map_err(|_| Invalid::new("is not UTF-8 text", "save it with that encoding"))
    });
    match text.and_then(|text| check(&text)) {
        Ok(note) => {
            if let Some(note) = note {
                context.warn(place, note);
            }
            true
        }
        Err(invalid) => {
            context.reject(place, invalid.of_file());
            false
        }
    }
}

fn empty() -> Invalid {
    Invalid::new("is an empty file", "write the password into it")
}

fn read(text: &str) -> Result<PasswordContent, Invalid> {
    let text = trimmed(text);
    if text.trim().is_empty() {
        return Err(empty());
    }
    let reject = |what: &str| {
        let remedy =
            "write one password on one line, or a JSON map such as {\"redis://host:6379\": \"…\"}";
        Err(Invalid::new(what, remedy))
    };
    if text.trim_start().starts_with('{') {
        match serde_json::from_str(text) {
            Ok(map) => return Ok(PasswordContent::Map(map)),
            Err(_) if looks_like_map(text) => {
                return reject("is not a JSON map from addresses to passwords");
            }
            Err(_) => {}
        }
    }
    let json = serde_json::from_str(text);
    if matches!(
        json,
        Ok(serde_json::Value::Array(_) | serde_json::Value::Object(_))
    ) {
        return reject("is JSON, but not a JSON map from addresses to passwords");
    }
    if text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        return reject("has more than one line, and is not a JSON map from addresses to passwords");
    }
    if text.contains("://") || starts_with_server(text) {
        return reject("contains an address, and is not a JSON map from addresses to passwords");
    }
    let is_named = is_braced(text) || is_yaml_pair(text) || is_assignment(text);
    if is_named || is_list(text) || is_directive(text) {
        return reject("contains a name with a value, and is not a JSON map");
    }
    Ok(PasswordContent::Password(Secret::new(text)))
}

fn looks_like_map(text: &str) -> bool {
    text.contains("://") || text.contains(':') && text.contains(['"', '\''])
}

/// Returns whether the line is a map of YAML in braces.
fn is_braced(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') && text.ends_with('}') && text.contains(": ")
}

/// Returns whether the line is `name: value`, with a name of one word or in quotes.
fn is_yaml_pair(text: &str) -> bool {
    let Some((name, value)) = text.split_once(": ") else {
        return false;
    };
    let name = name.trim();
    let name = name.strip_prefix("- ").unwrap_or(name).trim();
    let is_quoted = ['"', '\''].iter().any(|quote| {
        let inner = name.strip_prefix(*quote);
        inner.is_some_and(|inner| inner.ends_with(*quote))
    });
    let is_word = !name.is_empty() && !name.contains(char::is_whitespace);
    !value.trim().is_empty() && (is_quoted || is_word)
}

/// Names of secrets. A random password is unlikely to start with one.
const SECRET_NAMES: &[&str] = &[
    "auth",
    "pass",
    "passwd",
    "password",
    "passphrase",
    "pw",
    "pwd",
    "secret",
    "token",
];

/// Settings of Redis, its clients and `.netrc` that a password follows after a space. A passphrase
/// is unlikely to start with one.
const DIRECTIVES: &[&str] = &[
    "auth",
    "machine",
    "masterauth",
    "masteruser",
    "passwd",
    "password",
    "primaryauth",
    "pwd",
    "requirepass",
];

/// Returns whether the line is `NAME=value`, like in a file of variables, or names a secret.
///
/// Other short names may be part of a random password.
fn is_assignment(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix("export ").unwrap_or(text);
    let is_of_name =
        |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    pair(text).is_some_and(|name| {
        let mut words = name.rsplit(|letter: char| !letter.is_ascii_alphanumeric());
        let last = words.next().unwrap_or_default().to_ascii_lowercase();
        if SECRET_NAMES.contains(&last.as_str()) {
            return true;
        }
        let letters = name.chars().filter(char::is_ascii_uppercase).count();
        letters >= 4 && name.chars().all(is_of_name)
    })
}

/// Returns whether the line has several `name=value`, separated by commas.
fn is_list(text: &str) -> bool {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
    let parts = text.split(',').filter_map(|part| pair(part.trim()));
    let named = parts.filter(|name| !name.is_empty() && name.chars().all(is_of_name));
    named.count() > 1
}

/// Returns whether the line starts with `host:port`, followed by a value. The host is an IP
/// address, `localhost`, or a name with a dot.
fn starts_with_server(text: &str) -> bool {
    let text = text.trim_start().trim_start_matches(['"', '\'']);
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:").unwrap_or_default(),
        None => text.split_once(':').unwrap_or_default(),
    };
    let end = rest.find(|letter: char| !letter.is_ascii_digit());
    let (port, value) = rest.split_at(end.unwrap_or(rest.len()));
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let is_name = host.contains('.') && host.chars().all(is_of_name);
    let is_host = is_name || host == "localhost" || host.parse::<Ipv6Addr>().is_ok();
    let is_value = value.starts_with(['=', ':', ' ', '\t', ',', ';', '"', '\''])
        && value.contains(char::is_alphanumeric);
    is_host && port.parse::<u16>().is_ok() && is_value
}

/// Returns whether the line is a setting of a server, such as `requirepass secret`.
fn is_directive(text: &str) -> bool {
    let (name, value) = text.trim().split_once([' ', '\t']).unwrap_or_default();
    let name = name.trim_start_matches("--").to_ascii_lowercase();
    !value.trim().is_empty() && DIRECTIVES.contains(&name.as_str())
}

/// Returns the name before a value. The padding at the end of base64 is not a value.
fn pair(text: &str) -> Option<&str> {
    let (name, value) = text.split_once('=')?;
    value
        .contains(|letter| letter != '=')
        .then_some(name.trim_end())
}

fn entry<'a>(
    map: &'a BTreeMap<String, String>,
    address: &Address,
    username: Option<&str>,
) -> Option<&'a str> {
    let is_same = |url: &Url| url.address == *address && url.username.as_deref() == username;
    let mut matching = map
        .iter()
        .filter(|(key, _)| url::parse(key).is_ok_and(|url| is_same(&url)))
        .map(|(_, password)| password.as_str());
    let first = matching.clone().find(|password| !password.is_empty());
    first.or_else(|| matching.next())
}

/// Describes the missing entry of a map, and the key that it would have.
fn missing(map: &BTreeMap<String, String>, address: &Address, username: Option<&str>) -> String {
    let shown = address.to_string();
    let key = match username {
        None => shown.clone(),
        // The user may be a misplaced password.
        Some(_) => shown.replacen("://", "://USER@", 1),
    };
    let near = map.keys().filter_map(|key| {
        let url = url::parse(key).ok()?;
        difference(&url, address, username)
    });
    let near = near.min().map_or_else(String::new, |(_, difference)| {
        format!("; it has one {difference}")
    });
    format!(
        "has no entry for {shown}, so no password is sent; the key of one would be \"{key}\"{near}"
    )
}

/// Returns how an entry for the same host differs from the wanted one. Nearer ones have lower
/// numbers.
fn difference(url: &Url, address: &Address, username: Option<&str>) -> Option<(u8, &'static str)> {
    if url.address == *address {
        let difference = match (username, &url.username) {
            (Some(_), None) => "without a user",
            (None, Some(_)) => "with a user",
            _ => "with another user",
        };
        return Some((0, difference));
    }
    let (
        Address::Tcp { host, port, .. },
        Address::Tcp {
            host: other,
            port: at,
            tls,
        },
    ) = (address, &url.address)
    else {
        return None;
    };
    if !host.eq_ignore_ascii_case(other) {
        return None;
    }
    Some(match (port == at, tls) {
        (true, true) => (1, "with TLS (rediss://)"),
        (true, false) => (1, "without TLS (redis://)"),
        (false, _) => (2, "for another port"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// One in this many random passwords of all printable characters may be rejected, because it
    /// looks like a name with a value. It can still be written into a map.
    const REJECTED_ONE_IN: usize = 300;

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

    fn of(text: &str, url: &str) -> Result<Option<Secret>, Invalid> {
        let url = url::parse(url).unwrap();
        password_of(text, &url.address, url.username.as_deref())
    }

    fn note(text: &str, url: &str) -> Option<String> {
        let url = url::parse(url).unwrap();
        check(text, Some((&url.address, url.username.as_deref()))).unwrap()
    }

    #[test]
    fn map_is_searched_for_address_and_user() {
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
        let marked = format!("\u{feff}{MAP}\r\n");
        assert_eq!(of(&marked, "cache").unwrap(), Some(Secret::new("of-cache")));
    }

    #[test]
    fn missing_map_entry_is_reported_with_its_key() {
        for (url, expected) in [
            ("redis://cache:6379", None),
            ("redis://cache:6380", None),
            (
                "redis://elsewhere:1",
                Some("key of one would be \"redis://elsewhere:1\""),
            ),
            (
                "redis://other@cache:6379",
                Some("\"redis://USER@cache:6379\"; it has one with another user"),
            ),
            ("redis://app@default", Some("it has one without a user")),
            ("rediss://default", Some("it has one without TLS")),
            ("redis://cache:7", Some("it has one for another port")),
        ] {
            let found = note(MAP, url);
            assert_eq!(found.is_some(), expected.is_some(), "{url}: {found:?}");
            let found = found.unwrap_or_default();
            assert!(
                found.contains(expected.unwrap_or_default()),
                "{url}: {found}"
            );
            assert!(
                !found.contains("of-") && !found.contains("other@"),
                "{found}"
            );
        }
    }

    #[test]
    fn any_other_line_is_the_password() {
        for (text, expected) in [
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n\n", "hunter2"),
            ("\u{feff}hunter2", "hunter2"),
            (" a ", " a "),
            ("a b: c", "a b: c"),
            ("a:b, c:d", "a:b, c:d"),
            ("aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGQ="),
            ("QUJDRA==", "QUJDRA=="),
            ("K2=x", "K2=x"),
            ("9pw=x", "9pw=x"),
            ("a,b=c", "a,b=c"),
            ("\"a\"", "\"a\""),
            ("12", "12"),
            ("{x}9", "{x}9"),
            ("a:b//c", "a:b//c"),
            ("a.b:12", "a.b:12"),
            ("a.b:12-c", "a.b:12-c"),
            ("requirepass", "requirepass"),
            (
                "correct horse battery staple",
                "correct horse battery staple",
            ),
        ] {
            let found = of(text, "redis://h").unwrap();
            assert_eq!(found, Some(Secret::new(expected)), "{text}");
        }
        assert!(note("a \n", "h").unwrap().contains("white space"));
        assert!(note("'a'\n", "h").unwrap().contains("quotes"));
        assert_eq!(note("a\n", "h"), None);
    }

    #[test]
    fn file_with_several_secrets_is_never_a_password() {
        for text in [
            "{\"redis://h:1\": \"hunter2\"",
            "{'redis://h:1': 'hunter2'}",
            "{\"h\": \"hunter2\",}",
            "{\"redis://h:1\": 5}",
            "\u{feff}{\"redis://h:1\": 5}",
            "{\"redis://h:1\": {\"password\": \"hunter2\"}}",
            "[\"hunter2\"]",
            "[{\"host\": \"h\", \"password\": \"hunter2\"}]",
            "redis://127.0.0.1:44409: hunter2\nredis://other:6379: hunter3\n",
            "redis://127.0.0.1:44409: hunter2\n",
            "redis://:hunter2@h",
            "cache:6379: hunter2",
            "password: hunter2",
            "{cache-a: hunter2, cache-b: hunter3}",
            "{ cache a: hunter2 }",
            "cache-a=hunter2,cache-b=hunter3",
            "cache-a = hunter2, cache-b = hunter3",
            "cache.example:6380,password=hunter2=,ssl=True",
            "127.0.0.1:6379=hunter2",
            "127.0.0.1:6379 hunter2",
            "cache.example:6379,hunter2",
            "cache.example:6379:0:user:hunter2",
            "\"cache.example:6379\": \"hunter2\"",
            "localhost:6379\thunter2",
            "[::1]:6379 hunter2",
            "requirepass hunter2",
            "requirepass \"hunter2\"",
            "masterauth\thunter2",
            "machine cache login app password hunter2",
            "--requirepass hunter2",
            "PW=hunter2",
            "pass = hunter2",
            "export pwd=hunter2",
            "redis.password=hunter2",
            "cache-a: hunter2",
            "cache-a: hunter2 # x",
            "cache-a: hunter2, cache-b: hunter3",
            "- cache-a: hunter2",
            "'cache-a': 'hunter2'",
            "\"cache a\": hunter2",
            "REDIS_PASSWORD=hunter2",
            "export REDIS_PASSWORD=hunter2",
            "// redis passwords\n{\n  \"redis://h:1\": \"hunter2\"\n}\n",
            "# the password\nhunter2\n",
            "hunter2\nhunter3\n",
            "hunter2\rhunter3",
            "\nhunter2\n",
            "[redis]\npassword = hunter2\n",
            "h=hunter2\ng=hunter3",
            "",
            "\r\n",
            "\u{feff}",
        ] {
            let fault = of(text, "redis://h:1").unwrap_err();
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
            assert!(check(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn random_passwords_are_rarely_rejected() {
        let mut runner = TestRunner::deterministic();
        let drawn = 20 * REJECTED_ONE_IN;
        let mut rejected = Vec::new();
        let any = proptest::collection::vec(b'!'..=b'~', 12..40);
        for _ in 0..drawn {
            let text = String::from_utf8(any.new_tree(&mut runner).unwrap().current()).unwrap();
            if of(&text, "redis://h:1").is_err() {
                rejected.push(text);
            }
        }
        assert!(rejected.len() * REJECTED_ONE_IN < drawn, "{rejected:?}");
        println!("rejected {} of {drawn}", rejected.len());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|\\{\\PC{0,40}") {
            let _ = of(&text, "redis://h");
        }

        #[test]
        fn encoded_random_bytes_are_a_password(
            text in "[A-Za-z0-9+/]{8,64}={0,2}|[A-Za-z0-9_-]{8,64}={0,2}|[0-9a-fA-F]{8,64}",
        ) {
            let found = of(&text, "redis://h:1");
            prop_assert_eq!(found, Ok(Some(Secret::new(text))));
        }

        #[test]
        fn no_file_of_two_lines_is_a_password(first in "[ -~]{1,20}", second in "[ -~]{1,20}") {
            let found = of(&format!("{first}\n{second}\n"), "redis://h:1");
            prop_assert!(!matches!(found, Ok(Some(_))), "{found:?}");
        }
    }
}
