//! Parses the URL of a target, in all the forms that applications use. Pure.
//!
//! Client libraries accept different URLs. Parts without a meaning for an exporter are ignored with
//! a note. Errors and notes never repeat any of the text, because any part may belong to a password
//! with unencoded characters.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::address::Address;
use super::problem::Invalid;
use super::secret::{Secret, trimmed};
use super::unit;

mod connection_string;
mod query;
mod several;
mod user_info;

use user_info::parse_user_info;

use query::UrlQuery;

const DEFAULT_PORT: u16 = 6379;

/// The parts of a target's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) address: Address,
    pub(crate) database: Option<u32>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    /// Whether there is a user without a colon, which may be intended as a password.
    pub(crate) lacks_colon: bool,
    /// Whether any certificate is accepted.
    pub(crate) skip_verify: bool,
    /// The name that the certificate of the server must have.
    pub(crate) server_name: Option<String>,
    /// Parts that are ignored or read differently. Each note completes a sentence about the URL.
    pub(crate) notes: Vec<String>,
}

impl Url {
    /// Uses a user without a colon as the password, for a target without another password.
    ///
    /// Some libraries write passwords that way, and a server that rejects a user logs the name.
    pub(crate) fn take_user_as_password(&mut self) {
        if self.lacks_colon {
            self.password = self.username.take().map(Secret::new);
            self.lacks_colon = false;
            self.notes.push(
                "has a password instead of a user, or a user without a password: it is used as \
                 the password; write redis://:password@host, or redis://user:@host for a user \
                 without a password"
                    .to_owned(),
            );
        }
    }
}

/// Parses a URL, a bare `host:port` or `host`, or a connection string of `StackExchange.Redis`.
pub(crate) fn parse(text: &str) -> Result<Url, Invalid> {
    let text = trimmed(text).trim();
    let (text, is_quoted) = match unquoted(text) {
        Some(inner) => (inner.trim(), true),
        None => (text, false),
    };
    if text.is_empty() {
        return Err(Invalid::new("is empty", "write redis://host:6379"));
    }
    if several::is_list(text) {
        return Err(several::problem());
    }
    let mut url = if connection_string::is_one(text) {
        connection_string::parse(text)?
    } else {
        parse_url(text)?
    };
    if is_quoted {
        url.notes
            .insert(0, "is in quotes; they are ignored".to_owned());
    }
    Ok(url)
}

/// Returns the text between a pair of quotes.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

fn parse_url(text: &str) -> Result<Url, Invalid> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        // Predis writes the path of a Unix socket after a single colon.
        None => match text.split_once(":/") {
            Some((scheme @ ("unix" | "redis+unix"), _)) => {
                (scheme, text.get(scheme.len() + 1..).unwrap_or_default())
            }
            _ => ("redis", text.strip_prefix("//").unwrap_or(text)),
        },
    };
    if let Some(scheme) = ["redis", "rediss", "valkey", "valkeys"]
        .into_iter()
        .find(|scheme| is_missing_colon(text, scheme))
    {
        return Err(Invalid::new(
            "has no colon after its scheme",
            format!("write {scheme}://host:6379"),
        ));
    }
    match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" | "tcp" | "redis+tcp" | "valkey+tcp" => parse_tcp(rest, false),
        "rediss" | "valkeys" | "tls" | "ssl" | "redis+tls" | "redis+ssl" | "rediss+tls"
        | "rediss+ssl" => parse_tcp(rest, true),
        "redis+unix" | "unix" | "valkey+unix" | "redis-socket" | "redis+socket" => {
            parse_unix(&split(rest)?)
        }
        "http" | "https" => Err(Invalid::new(
            "is the address of a web server, such as that of a REST API",
            "write the server's own address: redis://host:6379, or rediss:// with TLS",
        )),
        scheme if scheme.contains("sentinel") || scheme.contains("cluster") => Err(Invalid::new(
            "names a group of servers by a scheme of its own",
            "list each server, and each sentinel, as redis://host:port under `targets`",
        )),
        _ => Err(Invalid::new(
            "has an unknown scheme",
            "use redis, rediss, valkey, valkeys, redis+unix or unix",
        )),
    }
}

/// Returns whether the text starts like `redis//`.
fn is_missing_colon(text: &str, scheme: &str) -> bool {
    text.strip_prefix(scheme)
        .is_some_and(|rest| rest.starts_with("//"))
}

/// The parts after the scheme, still encoded.
struct UrlParts<'a> {
    user_info: Option<&'a str>,
    authority: &'a str,
    /// The path without surrounding slashes.
    path: &'a str,
    query: &'a str,
    is_insecure: bool,
}

fn split(rest: &str) -> Result<UrlParts<'_>, Invalid> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (tail, fragment) = tail.split_once('#').unwrap_or((tail, ""));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    // After a known parameter, an @ is part of its value.
    let is_open = |pair: &str| pair.contains('@') && !query::is_known(pair);
    if path.contains('@') || fragment.contains('@') || query.split('&').any(is_open) {
        return Err(Invalid::new(
            "has an @ after its host, so a character of its user or password is not encoded",
            "percent-encode special characters: @ as %40, / as %2F, ? as %3F, # as %23, : as %3A",
        ));
    }
    if !fragment.is_empty() && fragment != "insecure" {
        return Err(Invalid::new(
            "has a part after #, which has no meaning here",
            "remove it; percent-encode a # of a password as %23",
        ));
    }
    let (user_info, authority) = match authority.rsplit_once('@') {
        Some((user_info, host)) => (Some(user_info), host),
        None => (None, authority),
    };
    Ok(UrlParts {
        user_info,
        authority,
        path: path.trim_matches('/'),
        query,
        is_insecure: fragment == "insecure",
    })
}

fn parse_tcp(rest: &str, tls: bool) -> Result<Url, Invalid> {
    let parts = split(rest)?;
    // Some libraries write the path of a Unix socket as a URL without a host.
    let first = parts.path.chars().next();
    if parts.authority.is_empty() && first.is_some_and(|first| !first.is_ascii_digit()) {
        return parse_unix(&parts);
    }
    let (host, port) = parse_host(parts.authority)?;
    let path = match parts.path {
        "" => None,
        path if several::has_separator(path) => return Err(several::problem()),
        path => Some(parse_database(path)?),
    };
    let query = query::parse(parts.query)?;
    let mut notes = query.notes();
    if tls && query.tls == Some(false) {
        notes.push("switches TLS off after ?, but its scheme has TLS: TLS is used".to_owned());
    }
    let address = Address::Tcp {
        host,
        port: port.unwrap_or(DEFAULT_PORT),
        tls: tls || query.tls == Some(true),
    };
    assemble(address, path, &parts, query, notes)
}

fn parse_unix(parts: &UrlParts<'_>) -> Result<Url, Invalid> {
    let path = decode(parts.path)?;
    let path = path.trim_matches('/');
    if !parts.authority.is_empty() || path.is_empty() || path.contains('\0') {
        return Err(Invalid::new(
            "is not the absolute path of a Unix socket",
            "write three slashes, such as unix:///run/redis/redis.sock",
        ));
    }
    let address = Address::Unix(PathBuf::from(format!("/{path}")));
    let query = query::parse(parts.query)?;
    let notes = query.notes();
    assemble(address, None, parts, query, notes)
}

fn assemble(
    address: Address,
    database: Option<u32>,
    parts: &UrlParts<'_>,
    query: UrlQuery,
    notes: Vec<String>,
) -> Result<Url, Invalid> {
    let user_info = parts.user_info.unwrap_or_default();
    let (username, password) = parse_user_info(user_info)?;
    let skip_verify = (query.skip_verify || parts.is_insecure) && address.has_tls();
    let password = same(password, query.password, "two passwords")?;
    let username = same(username, query.username, "two users")?;
    Ok(Url {
        address,
        database: same(database, query.database, "two databases")?,
        lacks_colon: username.is_some() && password.is_none() && !user_info.contains(':'),
        username,
        password,
        skip_verify,
        server_name: query.server_name,
        notes,
    })
}

/// Merges two spellings of the same setting, which must agree.
fn same<T: PartialEq>(
    first: Option<T>,
    second: Option<T>,
    what: &'static str,
) -> Result<Option<T>, Invalid> {
    match (first, second) {
        (Some(first), Some(second)) if first != second => {
            Err(Invalid::new(format!("names {what}"), "keep one of them"))
        }
        (first, second) => Ok(first.or(second)),
    }
}

fn parse_host(authority: &str) -> Result<(String, Option<u16>), Invalid> {
    if several::has_separator(authority) {
        return Err(several::problem());
    }
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, port) = bracketed.split_once(']').unwrap_or((bracketed, "]"));
        let port = match port.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if port.is_empty() => None,
            None => return Err(no_ipv6()),
        };
        return Ok((parse_ipv6(host)?, port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => return Err(no_ipv6()),
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err(Invalid::new(
            "names no host",
            "write redis://host:6379, or unix:///path for a Unix socket",
        ));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !host.bytes().all(allowed) {
        return Err(Invalid::new(
            "has a host with characters that no host name has",
            "use letters, digits, dots and hyphens",
        ));
    }
    Ok((host.to_owned(), port))
}

/// Parses an IPv6 address, with an optional zone after `%` or `%25`.
fn parse_ipv6(text: &str) -> Result<String, Invalid> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone.strip_prefix("25").unwrap_or(zone))),
        None => (text, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| no_ipv6())?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    match zone {
        None => Ok(address.to_string()),
        Some(zone) if !zone.is_empty() && zone.bytes().all(allowed) => {
            Ok(format!("{address}%{zone}"))
        }
        Some(_) => Err(no_ipv6()),
    }
}

fn no_ipv6() -> Invalid {
    Invalid::new(
        "has a host that is neither a name nor an IPv6 address in brackets",
        "write redis://host:6379 or redis://[::1]:6379",
    )
}

fn parse_port(text: &str) -> Result<u16, Invalid> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(Invalid::new(
            "has a port that is not a number from 1 to 65535",
            "write redis://host:6379; if the password is meant, percent-encode special characters",
        )),
    }
}

fn parse_database(text: &str) -> Result<u32, Invalid> {
    unit::database(text).map_err(|_| {
        Invalid::new(
            "has a database that is not a number",
            "write the database as /0 or ?db=0, or remove the path",
        )
    })
}

/// Percent-decodes a text. A `%` without two hexadecimal digits is literal, like in browsers and
/// Python.
fn decode(text: &str) -> Result<String, Invalid> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).unwrap_or_default();
        let is_code = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u8::from_str_radix(digits, 16) {
            Ok(byte) if is_code => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(b'%');
                rest = after;
            }
        }
    }
    decoded.extend_from_slice(rest.as_bytes());
    String::from_utf8(decoded).map_err(|_| {
        Invalid::new(
            "has codes after % that are not UTF-8",
            "percent-encode the UTF-8 bytes of a character, and % itself as %25",
        )
    })
}

/// Percent-decodes a text to bytes. Returns `None` if a `%` is not followed by two hexadecimal
/// digits.
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
mod tests;
