//! The parts of a source that is read over HTTP. Pure.

use std::path::PathBuf;

use url::Url as WebUrl;

use super::address::Address;
use super::problem::Invalid;
use super::tls::Tls;

/// A list of targets on an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSource {
    /// The server, and the path of the list.
    pub resource: WebResource,
    /// Whom to trust if the URL has TLS.
    pub tls: Tls,
    /// The credentials for the HTTP server.
    pub login: Option<WebLogin>,
}

/// A resource of an HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebResource {
    /// The address of the server.
    pub address: Address,
    /// The value of the header `Host`.
    pub host: String,
    /// Path and query.
    pub path: String,
}

/// Credentials for an HTTP server. Files are read for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebLogin {
    /// A file with a bearer token.
    Bearer(PathBuf),
    /// Basic authentication.
    Basic {
        /// The user.
        username: String,
        /// A file with the password.
        password_file: PathBuf,
    },
}

/// Parses the URL of a list.
pub(crate) fn web_resource(text: &str) -> Result<WebResource, Invalid> {
    let invalid = || {
        Invalid::new(
            "is not the URL of a web server",
            "write http://host/path, or https:// with TLS",
        )
    };
    let url = WebUrl::parse(text).map_err(|_| invalid())?;
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(invalid()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Invalid::new(
            "contains credentials",
            "use `username` and `password_file`, or `bearer_file`",
        ));
    }
    let name = url.host_str().ok_or_else(invalid)?;
    let port = url.port_or_known_default().ok_or_else(invalid)?;
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let query = url.query().map(|query| format!("?{query}"));
    Ok(WebResource {
        address: Address::Tcp {
            host: bare.to_owned(),
            port,
            tls,
        },
        host: match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        },
        path: format!("{}{}", url.path(), query.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_has_address_host_and_path() {
        let read = |text: &str| {
            let found = web_resource(text).unwrap();
            (found.address.to_string(), found.host, found.path)
        };
        let expect = |address: &str, host: &str, path: &str| {
            (address.to_owned(), host.to_owned(), path.to_owned())
        };
        assert_eq!(
            read("http://sd/a?b=c#d"),
            expect("redis://sd:80", "sd", "/a?b=c")
        );
        assert_eq!(
            read("https://sd.example:8443"),
            expect("rediss://sd.example:8443", "sd.example:8443", "/")
        );
        assert_eq!(
            read("http://[::1]:9/"),
            expect("redis://[::1]:9", "[::1]:9", "/")
        );
        for text in ["", "sd", "redis://sd", "http://", "http://u:hunter2@sd/"] {
            let invalid = web_resource(text).unwrap_err();
            assert!(!invalid.what.contains("hunter2"));
        }
    }
}
