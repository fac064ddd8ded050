//! The URL of a target: where it is, and who asks. Not a connection.
//!
//! Parsed here because the usual parsers ignore what they do not know (`?insecure=true`) and
//! refuse a bare `host:port`. No refusal repeats a piece of the text: any piece may belong to a
//! password with a character that was not encoded.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::problem::Refusal;
use super::secret::Secret;
use super::unit;

const DEFAULT_PORT: u16 = 6379;

/// Where a target listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp {
        /// A name or an IP address; an IPv6 address is without brackets.
        host: String,
        /// From 1 to 65535.
        port: u16,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The name of a target that was given none: `host:port`, or the path of the socket.
    #[must_use]
    pub fn default_name(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } => host_and_port(host, *port),
            Self::Unix(path) => path.display().to_string(),
        }
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// The address as a URL, without credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self {
            Self::Tcp { tls: false, .. } => "redis",
            Self::Tcp { tls: true, .. } => "rediss",
            Self::Unix(_) => "unix",
        };
        write!(f, "{scheme}://{}", self.default_name())
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// All that a target's URL can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) address: Address,
    pub(crate) database: Option<u32>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// Reads a URL, or a bare `host:port` or `host`.
pub(crate) fn parse(text: &str) -> Result<Url, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("is empty", "write redis://host:6379"));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => parse_tcp(rest, false),
        "rediss" | "valkeys" => parse_tcp(rest, true),
        "redis+unix" | "unix" => parse_unix(rest),
        _ => Err(Refusal::new(
            "has an unknown scheme",
            "use redis, rediss, valkey, valkeys, redis+unix or unix",
        )),
    }
}

/// The parts after the scheme, still encoded.
struct Parts<'a> {
    user_info: Option<&'a str>,
    authority: &'a str,
    /// Without the `/` before it.
    path: &'a str,
    query: &'a str,
}

fn split(rest: &str) -> Result<Parts<'_>, Refusal> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if tail.contains('@') {
        return Err(Refusal::new(
            "has an @ after its host, so a character of its user or password is not encoded",
            "percent-encode special characters: @ as %40, / as %2F, ? as %3F, # as %23, : as %3A",
        ));
    }
    if tail.contains('#') {
        return Err(Refusal::new(
            "has a part after #, which means nothing here",
            "remove it; percent-encode a # of a password as %23",
        ));
    }
    let (user_info, authority) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    if user_info.is_some_and(|text| text.contains('@')) {
        return Err(Refusal::new(
            "has more than one @ before its host",
            "percent-encode an @ of the user or password as %40",
        ));
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    Ok(Parts {
        user_info,
        authority,
        path: path.strip_prefix('/').unwrap_or(path),
        query,
    })
}

fn parse_tcp(rest: &str, tls: bool) -> Result<Url, Refusal> {
    let parts = split(rest)?;
    let (host, port) = parse_host(parts.authority)?;
    let query = parse_query(parts.query, &["db"])?;
    let path = match parts.path {
        "" => None,
        path => Some(parse_database(path)?),
    };
    let (username, password) = parse_user_info(parts.user_info)?;
    Ok(Url {
        address: Address::Tcp { host, port, tls },
        database: same(path, query.database, "two databases")?,
        username,
        password,
    })
}

fn parse_unix(rest: &str) -> Result<Url, Refusal> {
    let parts = split(rest)?;
    let path = decode(parts.path)?;
    if !parts.authority.is_empty() || path.is_empty() || path.contains('\0') {
        return Err(Refusal::new(
            "is not the absolute path of a Unix socket",
            "write three slashes, as in unix:///run/redis/redis.sock",
        ));
    }
    let query = parse_query(parts.query, &["db", "user", "pass"])?;
    let (username, password) = parse_user_info(parts.user_info)?;
    Ok(Url {
        address: Address::Unix(PathBuf::from(format!("/{path}"))),
        database: query.database,
        username: same(username, query.username, "two users")?,
        password: same(password, query.password, "two passwords")?,
    })
}

/// What two spellings of the same thing say together.
fn same<T: PartialEq>(
    first: Option<T>,
    second: Option<T>,
    what: &'static str,
) -> Result<Option<T>, Refusal> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => {
            Err(Refusal::new(format!("names {what}"), "keep one of them"))
        }
        (first, second) => Ok(first.or(second)),
    }
}

fn parse_host(authority: &str) -> Result<(String, u16), Refusal> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').unwrap_or((bracketed, "]"));
        let address: Ipv6Addr = host.parse().map_err(|_| no_ipv6())?;
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => DEFAULT_PORT,
            None => return Err(no_ipv6()),
        };
        return Ok((address.to_string(), port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => return Err(no_ipv6()),
        Some((host, port)) => (host, parse_port(port)?),
        None => (authority, DEFAULT_PORT),
    };
    if host.is_empty() {
        return Err(Refusal::new(
            "names no host",
            "write redis://host:6379, or unix:///path for a Unix socket",
        ));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.bytes().all(allowed) {
        return Err(Refusal::new(
            "has a host with characters that no host name has",
            "use letters, digits, dots and hyphens",
        ));
    }
    Ok((host.to_owned(), port))
}

fn no_ipv6() -> Refusal {
    Refusal::new(
        "has a host that is neither a name nor an IPv6 address in brackets",
        "write redis://host:6379 or redis://[::1]:6379",
    )
}

fn parse_port(text: &str) -> Result<u16, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(Refusal::new(
            "has a port that is not a number from 1 to 65535",
            "write redis://host:6379; if the password is meant, percent-encode what is special",
        )),
    }
}

fn parse_database(text: &str) -> Result<u32, Refusal> {
    unit::database(text).map_err(|_| {
        Refusal::new(
            "has a database that is not a number",
            "write the database as /0 or ?db=0, or remove what stands after the host",
        )
    })
}

fn parse_user_info(user_info: Option<&str>) -> Result<(Option<String>, Option<Secret>), Refusal> {
    let Some(user_info) = user_info else {
        return Ok((None, None));
    };
    let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let username = decode(username)?;
    let password = decode(password)?;
    Ok((
        (!username.is_empty()).then_some(username),
        (!password.is_empty()).then(|| Secret::new(password)),
    ))
}

/// What the query of a URL can say.
#[derive(Default)]
struct Query {
    database: Option<u32>,
    username: Option<String>,
    password: Option<Secret>,
}

fn parse_query(text: &str, known: &[&str]) -> Result<Query, Refusal> {
    let mut query = Query::default();
    let mut seen: Vec<&str> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !known.contains(&name) {
            return Err(Refusal::new(
                "has an unknown parameter after ?",
                format!("known: {}; TLS is asked for by rediss", known.join(", ")),
            ));
        }
        if seen.contains(&name) {
            return Err(Refusal::new(
                "has the same parameter twice after ?",
                "keep one of them",
            ));
        }
        seen.push(name);
        match name {
            "db" => query.database = Some(parse_database(value)?),
            "user" => query.username = Some(decode(value)?),
            _ => query.password = Some(Secret::new(decode(value)?)),
        }
    }
    Ok(query)
}

/// Percent-decodes to text.
fn decode(text: &str) -> Result<String, Refusal> {
    let refusal = || {
        Refusal::new(
            "has a % that is not followed by the code of a character",
            "percent-encode a % itself as %25",
        )
    };
    let decoded = percent_decoded(text).ok_or_else(refusal)?;
    String::from_utf8(decoded).map_err(|_| refusal())
}

/// The bytes of a text with `%41` and the like; none where a `%` is not followed by two digits.
pub(crate) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = bytes.next().and_then(hexadecimal)?;
        let low = bytes.next().and_then(hexadecimal)?;
        decoded.push(high * 16 + low);
    }
    Some(decoded)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Address {
        Address::Tcp {
            host: host.to_owned(),
            port,
            tls,
        }
    }

    #[test]
    fn every_form_of_address_is_read() {
        for (text, address, database, shown) in [
            ("redis://h", tcp("h", 6379, false), None, "redis://h:6379"),
            (
                "redis://h:7000/3",
                tcp("h", 7000, false),
                Some(3),
                "redis://h:7000",
            ),
            (
                "redis://h/?db=4",
                tcp("h", 6379, false),
                Some(4),
                "redis://h:6379",
            ),
            (
                "redis://h/4?db=4",
                tcp("h", 6379, false),
                Some(4),
                "redis://h:6379",
            ),
            ("REDIS://h", tcp("h", 6379, false), None, "redis://h:6379"),
            (
                "rediss://h.example:1",
                tcp("h.example", 1, true),
                None,
                "rediss://h.example:1",
            ),
            (
                "valkey://h_1",
                tcp("h_1", 6379, false),
                None,
                "redis://h_1:6379",
            ),
            ("valkeys://h", tcp("h", 6379, true), None, "rediss://h:6379"),
            ("h", tcp("h", 6379, false), None, "redis://h:6379"),
            (
                "10.0.0.1:7000",
                tcp("10.0.0.1", 7000, false),
                None,
                "redis://10.0.0.1:7000",
            ),
            ("h:7000/2", tcp("h", 7000, false), Some(2), "redis://h:7000"),
            (
                "redis://[::1]:7000",
                tcp("::1", 7000, false),
                None,
                "redis://[::1]:7000",
            ),
            (
                "redis://[2001:DB8::1]",
                tcp("2001:db8::1", 6379, false),
                None,
                "redis://[2001:db8::1]:6379",
            ),
            (
                "unix:///run/r.sock?db=2",
                Address::Unix("/run/r.sock".into()),
                Some(2),
                "unix:///run/r.sock",
            ),
            (
                "redis+unix:///a%20b",
                Address::Unix("/a b".into()),
                None,
                "unix:///a b",
            ),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.address, address, "{text}");
            assert_eq!(url.database, database, "{text}");
            assert_eq!(url.address.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded() {
        for (text, username, password) in [
            ("redis://h", None, None),
            ("redis://user@h", Some("user"), None),
            ("redis://:pass@h", None, Some("pass")),
            ("redis://user:@h", Some("user"), None),
            (
                "redis://us%20er:p%40%2f%3A%25@h:1/2",
                Some("us er"),
                Some("p@/:%"),
            ),
            ("redis://user:a:b+c@h", Some("user"), Some("a:b+c")),
            ("user:%C3%A9@h", Some("user"), Some("é")),
            ("unix://user:pass@/run/s", Some("user"), Some("pass")),
            (
                "unix:///run/s?user=user&pass=p%26",
                Some("user"),
                Some("p&"),
            ),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.username.as_deref(), username, "{text}");
            assert_eq!(
                url.password.as_ref().map(Secret::expose),
                password,
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_reason() {
        for (text, expected) in [
            ("", "is empty"),
            ("http://h", "unknown scheme"),
            ("redis-sentinel://h", "unknown scheme"),
            ("redis://", "names no host"),
            ("redis://:6379", "names no host"),
            ("redis://h:", "port"),
            ("redis://h:0", "port"),
            ("redis://h:+1", "port"),
            ("redis://h:65536", "port"),
            ("redis://h:x", "port"),
            ("redis://h/x", "database"),
            ("redis://h/-1", "database"),
            ("redis://h/0/1", "database"),
            ("redis://h/1?db=2", "two databases"),
            ("redis://h?db=", "database"),
            ("redis://h?db=1&db=1", "twice"),
            ("redis://h?insecure=true", "unknown parameter"),
            ("redis://h?pass=x", "unknown parameter"),
            ("rediss://h/#insecure", "after #"),
            ("redis://u:p@w@h", "more than one @"),
            ("redis://u:p/w@h", "is not encoded"),
            ("redis://u:p?w@h", "is not encoded"),
            ("redis://u:p#w@h", "is not encoded"),
            ("redis://u:50%@h", "percent-encode a %"),
            ("redis://u:%ff@h", "percent-encode a %"),
            ("redis://::1", "IPv6"),
            ("redis://[::1", "IPv6"),
            ("redis://[::1]x", "IPv6"),
            ("redis://h h", "host name"),
            ("unix://run/s", "absolute path"),
            ("unix:///", "absolute path"),
            ("unix:///s%00", "absolute path"),
            ("unix://a@/s?user=b", "two users"),
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(redis|unix|rediss)?(://)?[ -~é]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_refusal_shows_a_password(
            before in "[:/?#@%a-z]{0,4}", after in "[:/?#@%a-z]{0,4}", host in "[a-z:]{0,6}",
        ) {
            let text = format!("redis://user7:{before}hunter2{after}@{host}");
            if let Err(refusal) = parse(&text) {
                let refusal = refusal.to_string();
                prop_assert!(!refusal.contains("hunter2") && !refusal.contains("user7"));
            }
        }

        #[test]
        fn an_address_as_text_is_read_back(host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., tls: bool) {
            let address = tcp(&host, port, tls);
            prop_assert_eq!(parse(&address.to_string()).unwrap().address, address);
        }
    }
}
