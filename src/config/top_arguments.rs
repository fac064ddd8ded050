//! The arguments of the command `top`. Pure.

use std::path::PathBuf;

use clap::Args;

use super::problem::Invalid;
use super::tls::{CertificateFiles, Tls};
use super::web_source::{WebResource, web_resource};

/// Arguments of the command `top`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct TopArguments {
    /// The exporter.
    #[arg(
        value_name = "URL",
        value_parser = exporter_url,
        default_value = "http://localhost:9121",
        help = "URL of a running exporter"
    )]
    pub url: ExporterUrl,

    /// The user, if the exporter requires a password.
    #[arg(
        long,
        value_name = "NAME",
        requires = "password_file",
        help = "User, if the exporter requires a password (web.basic_auth)"
    )]
    pub username: Option<String>,

    /// A file with the password.
    #[arg(
        long,
        value_name = "FILE",
        requires = "username",
        help = "File with the password of that user"
    )]
    pub password_file: Option<PathBuf>,

    /// The certificates to trust instead of the system's roots.
    #[arg(
        long,
        value_name = "FILE",
        help = "Certificates to trust for https, instead of those of the system"
    )]
    pub ca_file: Option<PathBuf>,

    /// The client certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "key_file",
        help = "Client certificate, if the exporter requires one (web.tls.client_ca_file)"
    )]
    pub cert_file: Option<PathBuf>,

    /// The key of the client certificate.
    #[arg(
        long,
        value_name = "FILE",
        requires = "cert_file",
        help = "Key of the client certificate"
    )]
    pub key_file: Option<PathBuf>,
}

impl TopArguments {
    /// Returns the settings of TLS, which apply if the URL is one of https.
    #[must_use]
    pub fn tls(&self) -> Tls {
        let files = self.cert_file.clone().zip(self.key_file.clone());
        Tls {
            ca_file: self.ca_file.clone(),
            identity: files.map(|(cert_file, key_file)| CertificateFiles {
                cert_file,
                key_file,
            }),
            ..Tls::default()
        }
    }
}

/// The URL of an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterUrl {
    /// The URL without a slash at the end.
    pub shown: String,
    /// The server. Its path ends with a slash, and precedes those of the exporter.
    root: WebResource,
}

impl ExporterUrl {
    /// Returns a resource of the exporter by its path, which starts with a slash.
    #[must_use]
    pub fn resource(&self, path: &str) -> WebResource {
        let path = format!("{}{}", self.root.path.trim_end_matches('/'), path);
        WebResource {
            path,
            ..self.root.clone()
        }
    }
}

/// Parses the URL of an exporter. The scheme may be missing.
fn exporter_url(text: &str) -> Result<ExporterUrl, Invalid> {
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    if text.contains('@') {
        let remedy = "use --username and --password-file";
        return Err(Invalid::new("contains credentials", remedy));
    }
    let mut root = web_resource(&text)?;
    let is_resource = |character| matches!(character, '?' | '#');
    let path = root.path.split(is_resource).next().unwrap_or_default();
    root.path = format!("{}/", path.trim_end_matches('/'));
    let shown = text.split(is_resource).next().unwrap_or_default();
    Ok(ExporterUrl {
        shown: shown.trim_end_matches('/').to_owned(),
        root,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_may_lack_scheme_and_have_a_path() {
        let read = |text: &str| {
            let url = exporter_url(text).unwrap();
            let resource = url.resource("/api");
            let all = [
                url.shown,
                resource.host,
                resource.path,
                resource.address.to_string(),
            ];
            all.join(" ")
        };
        for (text, expected) in [
            (
                "cache:9121",
                "http://cache:9121 cache:9121 /api redis://cache:9121",
            ),
            ("http://h/", "http://h h /api redis://h:80"),
            (
                "https://h:1/redis/?q=1#x",
                "https://h:1/redis h:1 /redis/api rediss://h:1",
            ),
            (
                "[::1]:9121",
                "http://[::1]:9121 [::1]:9121 /api redis://[::1]:9121",
            ),
        ] {
            assert_eq!(read(text), expected);
        }
    }

    #[test]
    fn invalid_urls_are_refused_without_repeating_credentials() {
        for text in [
            "",
            "ftp://h",
            "http://",
            "http://u:hunter2@h",
            "u:hunter2@h",
        ] {
            let invalid = exporter_url(text).unwrap_err().to_string();
            assert!(!invalid.contains("hunter2"), "{invalid}");
        }
    }
}
