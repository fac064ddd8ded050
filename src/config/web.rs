//! Access of HTTP clients: TLS and a password.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use super::context::{Context, FileUse};
use super::draft::TlsFiles;
use super::password_file;
use super::problem::Invalid;
use super::secret::Secret;
use super::tls::{CertificateFiles, check, identity};
use super::written_keys::WrittenKeys;
use crate::tls::Version;

/// Maximum cost of bcrypt, as a power of two. It takes about two seconds, and a request has ten.
const MAX_COST: u32 = 15;

/// Access rules for HTTP clients, of which there are none by default, and the live page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The certificate, or `None` without TLS.
    pub tls: Option<WebTls>,
    /// The credentials, or `None` if clients need none.
    pub basic_auth: Option<BasicAuth>,
    /// Whether reloads over HTTP are allowed, if it is set.
    pub reload: Option<bool>,
    /// Whether targets remember their last hour, for the page at `/`.
    pub history: bool,
    /// Host and port at which Prometheus reaches the exporter, if they are configured.
    pub external_address: Option<String>,
}

/// TLS of the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTls {
    /// The certificate of the exporter.
    pub identity: CertificateFiles,
    /// The authorities that issue client certificates. If set, clients must present one.
    pub client_ca_file: Option<PathBuf>,
    /// The minimum version.
    pub min_version: Version,
}

/// The credentials that clients must send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: WebPassword,
}

/// The source of the password for HTTP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebPassword {
    /// The password.
    Given(Secret),
    /// A file with the password, read again when it changes.
    File(PathBuf),
    /// A bcrypt hash of the password.
    Hash(Secret),
}

impl Default for Web {
    fn default() -> Self {
        Self {
            tls: None,
            basic_auth: None,
            reload: None,
            history: true,
            external_address: None,
        }
    }
}

impl Web {
    /// Returns all files that are named.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let tls = self.tls.iter().flat_map(|tls| {
            let pair = [&*tls.identity.cert_file, &*tls.identity.key_file];
            pair.into_iter().chain(tls.client_ca_file.as_deref())
        });
        let password = match self.basic_auth.as_ref().map(|auth| &auth.password) {
            Some(WebPassword::File(path)) => Some(&**path),
            _ => None,
        };
        tls.chain(password)
    }
}

/// The `web` section as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenWeb {
    pub(crate) files: TlsFiles,
    pub(crate) min_version: Version,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) password_hash: Option<Secret>,
    pub(crate) reload: Option<bool>,
    pub(crate) history: bool,
    pub(crate) external_address: Option<String>,
}

/// Validates settings that depend on each other.
pub(crate) fn complete(web: WrittenWeb, written: &WrittenKeys, context: &mut Context<'_>) -> Web {
    Web {
        reload: web.reload,
        history: web.history,
        external_address: web.external_address.clone(),
        tls: complete_tls(&web, written, context),
        basic_auth: complete_basic_auth(web, written, context),
    }
}

fn complete_tls(
    web: &WrittenWeb,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<WebTls> {
    let identity = identity(&web.files, "web.tls", written, context);
    let authorities = written.place_of("web.tls.client_ca_file");
    let client_ca_file = web.files.authorities.clone();
    if let Some(path) = &client_ca_file {
        check(path, FileUse::ClientAuthorities, authorities, context);
    }
    let place = authorities.filter(|_| client_ca_file.is_some());
    let place = place.or(written.place_of("web.tls.min_version"));
    match (identity, place) {
        (Some(identity), _) => Some(WebTls {
            identity,
            client_ca_file,
            min_version: web.min_version,
        }),
        // With required client certificates, serving everyone without TLS would be a mistake.
        (None, Some(place)) if !written.is_wrong("web.tls") && web.files.is_without_pair() => {
            let remedy = "add `cert_file` and `key_file`";
            context.report(place, "requires a certificate", remedy);
            None
        }
        _ => None,
    }
}

/// Validates the credentials.
///
/// A password is required if the section has any key, even one whose variable is unset.
fn complete_basic_auth(
    web: WrittenWeb,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<BasicAuth> {
    let place = written.section("web.basic_auth")?;
    if let (Some(path), Some(place)) = (
        &web.password_file,
        written.place_of("web.basic_auth.password_file"),
    ) && !password_file::check_readable(path, place, context)
    {
        return None;
    }
    if written.is_wrong("web.basic_auth") {
        return None;
    }
    let given = |secret: Option<Secret>| secret.filter(|secret| !secret.expose().is_empty());
    let mut passwords: Vec<WebPassword> = Vec::new();
    passwords.extend(given(web.password).map(WebPassword::Given));
    passwords.extend(web.password_file.map(WebPassword::File));
    passwords.extend(given(web.password_hash).map(WebPassword::Hash));
    let several = passwords.len() > 1;
    let username = web.username.filter(|username| !username.is_empty());
    let (what, remedy) = match (username, passwords.pop()) {
        (Some(username), Some(password)) if !several => {
            return Some(BasicAuth { username, password });
        }
        (_, None) => (
            "has no password",
            "add one of password, password_file and password_hash",
        ),
        (_, Some(_)) if several => (
            "has more than one password",
            "keep one of password, password_file and password_hash",
        ),
        (_, Some(_)) => ("has no `username`", "add one"),
    };
    context.report(place, what, remedy);
    None
}

/// Parses the address at which others reach the exporter, such as `exporter.internal:9121`.
pub(crate) fn external_address(text: &str) -> Result<String, Invalid> {
    if is_authority(text) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        "is not a host with a port",
        "write it without a scheme, such as exporter.internal:9121",
    ))
}

/// Returns whether a text is a host, with or without a port, like the header `Host`.
#[must_use]
pub fn is_authority(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]%".contains(letter);
    !text.is_empty() && text.len() <= 300 && text.chars().all(is_letter)
}

/// Parses a user name. HTTP does not allow a colon in it.
pub(crate) fn username(text: &str) -> Result<String, Invalid> {
    if text.contains(':') {
        return Err(Invalid::new(
            "contains a colon, which ends a name in HTTP",
            "choose a name without one",
        ));
    }
    Ok(text.to_owned())
}

/// Parses a bcrypt hash. Empty is absent.
pub(crate) fn password_hash(text: &str) -> Result<Secret, Invalid> {
    if text.is_empty() {
        return Ok(Secret::new(text));
    }
    let parts = bcrypt::HashParts::from_str(text).map_err(|_| {
        Invalid::new(
            "is not a bcrypt hash",
            "make one with `htpasswd -nB user`, and put it in single quotes",
        )
    })?;
    if parts.get_cost() > MAX_COST {
        return Err(Invalid::new(
            format!(
                "takes longer to verify than a request may: its cost is {}",
                parts.get_cost()
            ),
            format!("make one with a cost up to {MAX_COST}"),
        ));
    }
    Ok(Secret::new(text))
}

/// Parses a version of TLS, also with the spelling of `redis_exporter`.
pub(crate) fn version(text: &str) -> Result<Version, Invalid> {
    match text.strip_prefix("TLS").unwrap_or(text) {
        "1.2" => Ok(Version::Tls12),
        "1.3" => Ok(Version::Tls13),
        "1.0" | "1.1" => Err(Invalid::new(
            "is a version that is no longer safe",
            "write \"1.2\" or \"1.3\"",
        )),
        _ => Err(Invalid::new(
            "is not a version of TLS",
            "write \"1.2\" or \"1.3\"",
        )),
    }
}
