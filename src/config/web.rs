//! How clients reach the HTTP side: over TLS, with a password. Not the server.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use super::password_file;
use super::problem::Refusal;
use super::secret::Secret;
use super::section::{Context, Invalid, Placed, Reading, Section, Wanted};
use super::tls::{Identity, checked, identity, path};
use super::unit;
use crate::tls::Version;

/// The keys of the `web` section.
pub(crate) const KEYS: &[&str] = &["tls", "basic_auth", "reload"];

/// The keys of `web.tls`.
pub(crate) const TLS_KEYS: &[&str] = &["cert_file", "key_file", "client_ca_file", "min_version"];

/// The keys of `web.basic_auth`.
pub(crate) const BASIC_AUTH_KEYS: &[&str] =
    &["username", "password", "password_file", "password_hash"];

/// The most rounds of bcrypt, as a power of two: about two seconds, and a request has ten.
const MOST_ROUNDS: u32 = 15;

/// What clients of the HTTP side need. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Web {
    /// The certificate, where TLS is spoken.
    pub tls: Option<WebTls>,
    /// The password, where one is demanded.
    pub basic_auth: Option<BasicAuth>,
    /// Whether anyone may ask for a reload over HTTP, where it is said.
    pub reload: Option<bool>,
}

/// TLS of the HTTP side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTls {
    /// The certificate that is shown.
    pub identity: Identity,
    /// The authorities of clients' certificates, where those are demanded.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: Version,
}

/// What a client must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    /// The name of the user.
    pub username: String,
    /// The password.
    pub password: WebPassword,
}

/// How the password of the HTTP side is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebPassword {
    /// The password itself.
    Given(Secret),
    /// A file that holds it, read again when it changes.
    File(PathBuf),
    /// Its bcrypt hash.
    Hash(Secret),
}

impl Web {
    /// Every file that is named.
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

/// Settings of `web.tls` as they were written.
#[derive(Debug)]
pub(crate) struct WrittenTls {
    pub(crate) cert_file: Reading<PathBuf>,
    pub(crate) key_file: Reading<PathBuf>,
    pub(crate) client_ca_file: Reading<PathBuf>,
    pub(crate) min_version: Reading<Version>,
}

/// Settings of `web.basic_auth` as they were written.
#[derive(Debug)]
pub(crate) struct WrittenBasicAuth {
    pub(crate) username: Reading<String>,
    pub(crate) password: Reading<Secret>,
    pub(crate) password_file: Reading<PathBuf>,
    pub(crate) password_hash: Reading<Secret>,
    /// The place of the section, where it says anything: then a password is demanded, even
    /// where all that it says is an unset variable.
    pub(crate) place: Option<String>,
}

/// The `web` section as it was written.
#[derive(Debug)]
pub(crate) struct Written {
    tls: WrittenTls,
    basic_auth: WrittenBasicAuth,
    reload: Reading<bool>,
}

/// Reads the `web` section.
pub(crate) fn read(root: &Section<'_>, context: &mut Context<'_>) -> Option<Written> {
    let web = root.section("web", KEYS, context)?;
    let tls = read_tls(&web, context);
    let basic_auth = read_basic_auth(&web, context);
    let reload = web.value("reload", unit::switch, context);
    Some(Written {
        tls: tls?,
        basic_auth: basic_auth?,
        reload,
    })
}

fn read_tls(web: &Section<'_>, context: &mut Context<'_>) -> Option<WrittenTls> {
    let section = web.section("tls", TLS_KEYS, context)?;
    Some(WrittenTls {
        cert_file: path(&section, "cert_file", context),
        key_file: path(&section, "key_file", context),
        client_ca_file: path(&section, "client_ca_file", context),
        min_version: section.value("min_version", version, context),
    })
}

fn read_basic_auth(web: &Section<'_>, context: &mut Context<'_>) -> Option<WrittenBasicAuth> {
    let section = web.section("basic_auth", BASIC_AUTH_KEYS, context)?;
    let secret = |text: &str| Ok(Secret::new(text));
    Some(WrittenBasicAuth {
        username: section.hidden("username", username, context),
        password: section.hidden("password", secret, context),
        password_file: path(&section, "password_file", context),
        password_hash: section.hidden("password_hash", password_hash, context),
        place: BASIC_AUTH_KEYS
            .iter()
            .any(|key| section.node(key).is_some())
            .then(|| section.place.clone()),
    })
}

/// What the settings mean together.
pub(crate) fn complete(written: Written, context: &mut Context<'_>) -> Option<Web> {
    let tls = complete_tls(written.tls, context);
    let basic_auth = complete_basic_auth(written.basic_auth, context);
    let reload = written.reload;
    Some(Web {
        tls: tls.ok()?,
        basic_auth: basic_auth.ok()?,
        reload: reload.ok()?.map(|placed| placed.value),
    })
}

fn complete_tls(written: WrittenTls, context: &mut Context<'_>) -> Result<Option<WebTls>, Invalid> {
    let identity = identity(written.cert_file, written.key_file, context);
    let client_ca = written.client_ca_file;
    let client_ca_place = place(&client_ca);
    let client_ca_file = checked(client_ca, Wanted::ClientAuthorities, context);
    let min_version = written.min_version;
    let place = client_ca_place.or_else(|| place(&min_version));
    match (identity?, place) {
        (Some(identity), _) => Ok(Some(WebTls {
            identity,
            client_ca_file: client_ca_file?,
            min_version: min_version?.map(|placed| placed.value).unwrap_or_default(),
        })),
        // Whoever demands certificates of clients must not serve everyone without TLS.
        (None, Some(place)) => {
            context.report(
                &place,
                "stands without a certificate to show",
                "add `cert_file` and `key_file`",
            );
            Err(Invalid)
        }
        (None, None) => Ok(None),
    }
}

fn checked_password_file(
    file: Reading<PathBuf>,
    context: &mut Context<'_>,
) -> Result<Option<PathBuf>, Invalid> {
    let Some(Placed { value, place }) = file? else {
        return Ok(None);
    };
    password_file::check_readable(&value, &place, context)?;
    Ok(Some(value))
}

fn place<T>(reading: &Reading<T>) -> Option<String> {
    let placed = reading.as_ref().ok()?.as_ref();
    placed.map(|placed| placed.place.clone())
}

fn complete_basic_auth(
    written: WrittenBasicAuth,
    context: &mut Context<'_>,
) -> Result<Option<BasicAuth>, Invalid> {
    let username = written.username?;
    let file = checked_password_file(written.password_file, context)?;
    let given = written
        .password?
        .filter(|placed| !placed.value.expose().is_empty());
    let hash = written
        .password_hash?
        .filter(|placed| !placed.value.expose().is_empty());
    let Some(place) = written.place else {
        return Ok(None);
    };
    let mut passwords: Vec<WebPassword> = Vec::new();
    passwords.extend(given.map(|placed| WebPassword::Given(placed.value)));
    passwords.extend(file.map(WebPassword::File));
    passwords.extend(hash.map(|placed| WebPassword::Hash(placed.value)));
    let several = passwords.len() > 1;
    let username = username.filter(|placed| !placed.value.is_empty());
    match (username, passwords.pop()) {
        (Some(username), Some(password)) if !several => Ok(Some(BasicAuth {
            username: username.value,
            password,
        })),
        (_, None) => {
            let remedy = "add one of password, password_file and password_hash";
            context.report(&place, "has no password", remedy);
            Err(Invalid)
        }
        (_, Some(_)) if several => {
            let remedy = "keep one of password, password_file and password_hash";
            context.report(&place, "has more than one password", remedy);
            Err(Invalid)
        }
        (_, Some(_)) => {
            context.report(&place, "has no `username`", "add one");
            Err(Invalid)
        }
    }
}

/// A user's name, as far as it can be sent.
pub(crate) fn username(text: &str) -> Result<String, Refusal> {
    if text.contains(':') {
        return Err(Refusal::new(
            "holds a colon, which ends a name in HTTP",
            "choose a name without one",
        ));
    }
    Ok(text.to_owned())
}

/// A bcrypt hash; empty is absent.
pub(crate) fn password_hash(text: &str) -> Result<Secret, Refusal> {
    if text.is_empty() {
        return Ok(Secret::new(text));
    }
    let parts = bcrypt::HashParts::from_str(text).map_err(|_| {
        Refusal::new(
            "is no bcrypt hash",
            "make one with `htpasswd -nB user`, and put it in single quotes",
        )
    })?;
    if parts.get_cost() > MOST_ROUNDS {
        return Err(Refusal::new(
            format!(
                "takes longer than a request may: its cost is {}",
                parts.get_cost()
            ),
            format!("make one with a cost up to {MOST_ROUNDS}"),
        ));
    }
    Ok(Secret::new(text))
}

/// A version of TLS, also in the spelling of `redis_exporter`.
pub(crate) fn version(text: &str) -> Result<Version, Refusal> {
    match text.strip_prefix("TLS").unwrap_or(text) {
        "1.2" => Ok(Version::Tls12),
        "1.3" => Ok(Version::Tls13),
        "1.0" | "1.1" => Err(Refusal::new(
            "is a version that is not safe any more",
            "write \"1.2\" or \"1.3\"",
        )),
        _ => Err(Refusal::new(
            "is no version of TLS",
            "write \"1.2\" or \"1.3\"",
        )),
    }
}
