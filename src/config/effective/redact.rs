//! Removes secrets from values. Pure.

use crate::config::address::Address;
use crate::config::row::{OptionRow, SOURCES, TARGETS, Takes};
use crate::config::rows::ROWS;
use crate::config::url;
use crate::config::web_source::{WebResource, web_resource};

/// The text instead of a secret.
const HIDDEN: &str = "***";

/// Returns the row of an option by its path, such as `targets[].sweep.count`.
pub(super) fn row_of(path: &str) -> Option<&'static OptionRow> {
    let of = |path: &str| {
        ROWS.iter().find(|row| match row.key.strip_suffix('*') {
            Some(section) => path.starts_with(section),
            None => row.key == path,
        })
    };
    let inherited = [TARGETS, SOURCES].into_iter();
    let mut inherited = inherited.filter_map(|level| path.strip_prefix(level));
    of(path).or_else(|| of(inherited.next()?))
}

/// Returns the text to show for the value of an option.
///
/// Passwords, users, hashes and tokens are hidden. Of the URL of a Redis server with anything after
/// its address, only the parts with a meaning remain, because any other may be a secret.
pub(super) fn shown(row: Option<&OptionRow>, text: &str) -> String {
    let key = row.map_or("", |row| row.key);
    let name = key.rsplit('.').next().unwrap_or_default();
    let is_url = name == "url" || key == "sweep.from";
    let is_secret = row.is_none_or(|row| row.takes == Takes::Secret);
    if text.is_empty() {
        return String::new();
    }
    if (is_secret && !is_url) || key.ends_with("http.username") {
        return HIDDEN.to_owned();
    }
    if is_secret || (name == "seeds" && text.contains(['@', '?', '#', '='])) {
        return of_server(text);
    }
    if key.ends_with("http.url") {
        return of_web_server(text);
    }
    if text.contains("://") {
        return without_login(text);
    }
    if row.is_some_and(|row| row.is_hidden) && text.contains('@') {
        return of_server(text);
    }
    text.to_owned()
}

/// Returns the URL of a Redis server without its credentials and without parts that have no meaning.
fn of_server(text: &str) -> String {
    let Ok(url) = url::parse(text) else {
        return HIDDEN.to_owned();
    };
    let has_login = url.username.is_some() || url.password.is_some();
    if !has_login && !text.contains(['@', '?', '#', ',', '=']) {
        return text.to_owned();
    }
    let address = url.address.to_string();
    let (scheme, rest) = address.split_once("://").unwrap_or(("redis", &address));
    let mut rest = rest.to_owned();
    let mut query = Vec::new();
    if let Address::Unix(_) = url.address {
        query.extend(url.database.map(|database| format!("db={database}")));
    } else if let Some(database) = url.database {
        rest = format!("{rest}/{database}");
    }
    if url.skip_verify {
        query.push("insecure=true".to_owned());
    }
    query.extend(url.server_name.map(|name| format!("sni={name}")));
    let login = if has_login { "***:***@" } else { "" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{login}{rest}{mark}{}", query.join("&"))
}

/// Returns the scheme and the address of a web server. Its path and its query may contain a token.
fn of_web_server(text: &str) -> String {
    let Ok(WebResource {
        address,
        host,
        path,
    }) = web_resource(text)
    else {
        return HIDDEN.to_owned();
    };
    let scheme = if address.has_tls() { "https" } else { "http" };
    // A fragment is not part of the path.
    if path == "/" && !text.contains('#') {
        format!("{scheme}://{host}/")
    } else {
        format!("{scheme}://{host}/{HIDDEN}")
    }
}

/// Returns the URL of any server without its credentials and its query, which may contain a token.
fn without_login(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if ["redis", "rediss", "valkey", "valkeys", "unix"].contains(&scheme) {
        return of_server(text);
    }
    let (rest, query) = match rest.split_once(['?', '#']) {
        Some((rest, _)) => (rest, "?***"),
        None => (rest, ""),
    };
    let (login, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    format!("{scheme}://{login}{rest}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, text: &str) -> String {
        shown(row_of(path), text)
    }

    #[test]
    fn secrets_are_hidden_and_addresses_remain() {
        for (path, text, expected) in [
            ("targets[].url", "redis://h:1/3", "redis://h:1/3"),
            ("targets[].url", "h:6380", "h:6380"),
            (
                "targets[].url",
                "redis://u:hunter2@h/3",
                "redis://***:***@h:6379/3",
            ),
            (
                "targets[].url",
                "rediss://:hun%2Fter2@h",
                "rediss://***:***@h:6379",
            ),
            (
                "targets[].url",
                "redis://hunter2@h",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].url",
                "redis://h?password=hunter2",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].url",
                "h:6379,password=hunter2",
                "redis://***:***@h:6379",
            ),
            (
                "targets[].sweep.from",
                "redis://:hunter2@r",
                "redis://***:***@r:6379",
            ),
            ("sweep.from", "r:6379", "r:6379"),
            // A text that is not understood is hidden as a whole.
            ("targets[].url", "rediss://:hun/ter2@h", "***"),
            ("targets[].password", "hunter2", "***"),
            ("targets[].password", "", ""),
            ("targets[].username", "hunter2", "***"),
            ("targets[].discover.password", "hunter2", "***"),
            (
                "targets[].discover.seeds",
                "redis://:hunter2@s:1",
                "redis://***:***@s:1",
            ),
            ("credentials[].password", "hunter2", "***"),
            ("web.basic_auth.password_hash", "$2y$hunter2", "***"),
            (
                "targets_from[].http.url",
                "https://h/hunter2/targets?token=hunter2",
                "https://h/***",
            ),
            ("nonsense", "hunter2", "***"),
            ("namespaces[].match", "user:*@example", "user:*@example"),
            ("targets[].collectors.slowlog", "false", "false"),
            ("clients.groups[].match.name", "a*", "a*"),
            ("targets[].clients.groups[].match.name", "a*", "a*"),
        ] {
            assert_eq!(at(path, text), expected, "{path}: {text}");
        }
    }

    #[test]
    fn every_secret_option_is_hidden() {
        for row in ROWS.iter().filter(|row| row.takes == Takes::Secret) {
            let shown = at(row.key, "redis://user7:hunter2@h");
            assert!(
                !shown.contains("hunter2") && !shown.contains("user7"),
                "{}: {shown}",
                row.key
            );
        }
    }

    #[test]
    fn unknown_parts_of_a_server_url_are_hidden() {
        for name in [
            "ssl_password",
            "ssl_keyfile_password",
            "sentinel_password",
            "token",
            "access_token",
            "passwd",
            "requirepass",
            "secret",
            "pass%77ord",
        ] {
            let text = format!("redis://h:1?{name}=hunter2");
            for path in ["targets[].url", "sweep.from", "targets[].discover.seeds"] {
                assert_eq!(at(path, &text), "redis://h:1", "{path}: {text}");
            }
        }
        for text in [
            "redis://h:1?parameters[password]=hunter2",
            "h:1,sslPassword=hunter2,ssl=true",
            "h:1?token=hunter2",
            "unix:///s?token=hunter2",
        ] {
            let shown = at("targets[].url", text);
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
            assert!(url::parse(&shown).is_ok(), "{text}: {shown}");
        }
    }

    #[test]
    fn parts_with_a_meaning_remain() {
        for (text, expected) in [
            (
                "unix:///s.sock?db=3&password=x",
                "unix://***:***@/s.sock?db=3",
            ),
            ("unix:///a%3Fb?db=3", "unix:///a%3Fb?db=3"),
            (
                "rediss://u:p@h:1?ssl_cert_reqs=none",
                "rediss://***:***@h:1?insecure=true",
            ),
            ("rediss://h:1/2#insecure", "rediss://h:1/2?insecure=true"),
            (
                "rediss://:p@h:1?sni=a.example&insecure=1",
                "rediss://***:***@h:1?insecure=true&sni=a.example",
            ),
            ("h:1,ssl=true,defaultDatabase=4", "rediss://h:1/4"),
        ] {
            let shown = at("targets[].url", text);
            assert_eq!(shown, expected, "{text}");
            let (read, again) = (url::parse(text).unwrap(), url::parse(&shown).unwrap());
            let parts =
                |url: url::Url| (url.address, url.database, url.skip_verify, url.server_name);
            assert_eq!(parts(again), parts(read), "{text}");
        }
    }

    #[test]
    fn secrets_of_a_web_server_are_hidden() {
        for (text, expected) in [
            ("https:/sd/x?token=hunter2", "https://sd/***"),
            ("https:sd/hunter2", "https://sd/***"),
            ("https:\\\\sd:8443/x#hunter2", "https://sd:8443/***"),
            ("https://sd#hunter2", "https://sd/***"),
            ("https://sd?hunter2", "https://sd/***"),
            ("http://[::1]:9/hunter2/targets", "http://[::1]:9/***"),
            ("http://sd", "http://sd/"),
            ("http://sd:8080/", "http://sd:8080/"),
            // These are invalid, and so hidden as a whole.
            ("HTTPS:user7:hunter2@sd/x", "***"),
            ("https://u:hun@ter2@h/sd", "***"),
            ("hunter2", "***"),
        ] {
            assert_eq!(at("targets_from[].http.url", text), expected);
        }
        assert_eq!(at("targets_from[].http.username", "user7"), "***");
    }
}
