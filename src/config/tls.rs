//! TLS settings for connections to servers. Pure.

use std::path::{Path, PathBuf};

use super::context::{Context, FileUse};
use super::draft::{Each, TlsFiles};
use super::problem::{Invalid, Place};
use super::written_keys::WrittenKeys;

/// TLS settings for a server whose URL requires TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The certificates to trust instead of the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, for servers that require one.
    pub identity: Option<CertificateFiles>,
    /// The name that the certificate of the server must have. The default is the host of the URL.
    pub server_name: Option<String>,
    /// Whether to accept any certificate.
    pub insecure_skip_verify: bool,
}

/// A certificate with its key. They were valid when the configuration was loaded, and are read
/// again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    /// The certificate, followed by intermediate ones.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Validates the files that a level sets, and uses them instead of those of the level above.
///
/// A certificate and its key are replaced together.
pub(crate) fn complete(each: &mut Each, written: &WrittenKeys, context: &mut Context<'_>) {
    let files = std::mem::take(&mut each.tls_files);
    let identity = identity(&files, "tls", written, context);
    each.tls.identity = identity.or(each.tls.identity.take());
    if let Some(path) = &files.authorities {
        check(
            path,
            FileUse::Authorities,
            written.place_of("tls.ca_file"),
            context,
        );
        each.tls.ca_file = files.authorities;
    }
}

/// Returns the certificate and the key, which must be given together.
pub(super) fn identity(
    files: &TlsFiles,
    section: &str,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<CertificateFiles> {
    let place = |key: &str| written.place_of(&format!("{section}.{key}"));
    let (certificate, key) = (place("cert_file"), place("key_file"));
    match (&files.certificate, &files.key) {
        (Some(cert_file), Some(key_file)) => {
            let wanted = FileUse::Key {
                certificate: cert_file,
            };
            check(key_file, wanted, key, context);
            check(cert_file, FileUse::Certificates, certificate, context);
            return Some(CertificateFiles {
                cert_file: cert_file.clone(),
                key_file: key_file.clone(),
            });
        }
        (Some(_), None) => report(certificate, "key_file", "add the path of its key", context),
        (None, Some(_)) => report(key, "cert_file", "add the path of its certificate", context),
        (None, None) => {}
    }
    None
}

fn report(place: Option<&Place>, other: &str, remedy: &str, context: &mut Context<'_>) {
    if let Some(place) = place {
        context.report(place, format!("is set without `{other}`"), remedy);
    }
}

/// Reports a file with unexpected content.
pub(super) fn check(
    path: &Path,
    wanted: FileUse<'_>,
    place: Option<&Place>,
    context: &mut Context<'_>,
) {
    if let (Err(invalid), Some(place)) = ((context.check_file)(path, wanted), place) {
        context.reject(place, invalid.of_file());
    }
}

/// Parses a name that a certificate can have.
pub(crate) fn server_name(text: &str) -> Result<String, Invalid> {
    match rustls::pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Invalid::new(
            "is not a name that a certificate can have",
            "write a host name or an IP address, without a port",
        )),
    }
}
