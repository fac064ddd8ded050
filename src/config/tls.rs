//! TLS to the servers: whom we trust, who we are. Not the handshake.

use std::path::PathBuf;

use super::document::Node;
use super::problem::Refusal;
use super::section::{Context, Invalid, Placed, Reading, Section, Wanted};
use super::unit;

/// The keys of a `tls` section.
pub(crate) const KEYS: &[&str] = &[
    "ca_file",
    "cert_file",
    "key_file",
    "server_name",
    "insecure_skip_verify",
];

/// How we shake hands with a server whose URL has TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The certificates to trust in the place of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, where the server demands one.
    pub identity: Option<Identity>,
    /// The name that the server's certificate must have, where it is not the host of the URL.
    pub server_name: Option<String>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}

/// A certificate with its key. They were good when the configuration was loaded, and are read
/// again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certificate, with those that lead to its issuer.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// Settings as they were written, each with its place.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) ca_file: Reading<PathBuf>,
    pub(crate) cert_file: Reading<PathBuf>,
    pub(crate) key_file: Reading<PathBuf>,
    pub(crate) server_name: Reading<String>,
    pub(crate) insecure_skip_verify: Reading<bool>,
}

/// Reads the `tls` section below a map.
pub(crate) fn read(parent: &Section<'_>, context: &mut Context<'_>) -> Option<Written> {
    let section = parent.section("tls", KEYS, context)?;
    Some(Written {
        ca_file: path(&section, "ca_file", context),
        cert_file: path(&section, "cert_file", context),
        key_file: path(&section, "key_file", context),
        server_name: section.text("server_name", server_name, context),
        insecure_skip_verify: section.value("insecure_skip_verify", unit::switch, context),
    })
}

/// Whether a `tls` section says anything.
pub(crate) fn is_written(parent: &Section<'_>) -> bool {
    matches!(parent.node("tls"), Some(Node::Map(entries)) if !entries.is_empty())
}

/// Fills up from the defaults, and sees that the files are good. A certificate and its key are
/// filled up together.
pub(crate) fn complete(written: Written, defaults: &Tls, context: &mut Context<'_>) -> Option<Tls> {
    let ca_file = checked(written.ca_file, Wanted::Authorities, context);
    let identity = identity(written.cert_file, written.key_file, context);
    let defaults = defaults.clone();
    let server_name = written.server_name.ok()?;
    let insecure = written.insecure_skip_verify.ok()?;
    Some(Tls {
        ca_file: ca_file.ok()?.or(defaults.ca_file),
        identity: identity.ok()?.or(defaults.identity),
        server_name: server_name
            .map(|placed| placed.value)
            .or(defaults.server_name),
        insecure_skip_verify: insecure.map_or(defaults.insecure_skip_verify, |placed| placed.value),
    })
}

/// Both files or none.
pub(super) fn identity(
    certificate: Reading<PathBuf>,
    key: Reading<PathBuf>,
    context: &mut Context<'_>,
) -> Result<Option<Identity>, Invalid> {
    let (certificate, key) = (certificate?, key?);
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(Placed { place, .. }), None) => {
            context.report(&place, "has no `key_file` beside it", "name its key too");
            return Err(Invalid);
        }
        (None, Some(Placed { place, .. })) => {
            let remedy = "name its certificate too";
            context.report(&place, "has no `cert_file` beside it", remedy);
            return Err(Invalid);
        }
    };
    let wanted = Wanted::Key {
        certificate: &certificate.value,
    };
    let key_file = checked(Ok(Some(key)), wanted, context);
    let cert_file = checked(Ok(Some(certificate)), Wanted::Certificates, context);
    let pair = cert_file?.zip(key_file?);
    Ok(pair.map(|(cert_file, key_file)| Identity {
        cert_file,
        key_file,
    }))
}

/// The path of a file that holds what is wanted.
pub(super) fn checked(
    file: Reading<PathBuf>,
    wanted: Wanted<'_>,
    context: &mut Context<'_>,
) -> Result<Option<PathBuf>, Invalid> {
    let Some(Placed { value, place }) = file? else {
        return Ok(None);
    };
    match (context.check_file)(&value, wanted) {
        Ok(()) => Ok(Some(value)),
        Err(refusal) => {
            context.problems.push(refusal.of_file(place));
            Err(Invalid)
        }
    }
}

/// A path; empty is absent, so that a variable in it can be left unset.
pub(super) fn path(
    section: &Section<'_>,
    key: &str,
    context: &mut Context<'_>,
) -> Reading<PathBuf> {
    let text = section.text(key, |text| Ok(PathBuf::from(text)), context)?;
    Ok(text.filter(|placed| !placed.value.as_os_str().is_empty()))
}

/// A name that a certificate can have.
pub(crate) fn server_name(text: &str) -> Result<String, Refusal> {
    match rustls::pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Refusal::new(
            "is no name that a certificate can have",
            "write a host name or an IP address, without a port",
        )),
    }
}
