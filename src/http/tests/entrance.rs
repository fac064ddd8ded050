//! TLS and passwords, tested with rustls clients and raw bytes.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{
    PATIENCE, Server, always, connect, exchange, get, page, parse, request, rest, short_limits,
    start_behind,
};
use crate::config::{BasicAuth, CertificateFiles, Secret, Web, WebPassword, WebTls};
use crate::http::Gate;
use crate::http::connections::ConnectionLimits;
use crate::http::routes::UNAUTHORIZED;
use crate::tls::{self, Trust, Version};

/// Creates files with a certificate for localhost and its key.
fn identity(folder: &TempDir) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    CertificateFiles {
        cert_file: file("certificate.pem", made.cert.pem()),
        key_file: file("key.pem", made.signing_key.serialize_pem()),
    }
}

fn encrypted(identity: &CertificateFiles) -> Web {
    Web {
        history: true,
        external_address: None,
        tls: Some(WebTls {
            identity: identity.clone(),
            client_ca_file: None,
            min_version: Version::Tls12,
        }),
        basic_auth: None,
        reload: None,
    }
}

fn with_password(password: WebPassword) -> Web {
    let username = "scraper".to_owned();
    let basic_auth = Some(BasicAuth { username, password });
    Web {
        history: true,
        external_address: None,
        tls: None,
        basic_auth,
        reload: None,
    }
}

fn authorization(credentials: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(credentials))
}

async fn server(limits: ConnectionLimits, web: &Web) -> (Server, Gate) {
    let gate = Gate::new(web).unwrap();
    let server = start_behind(limits, gate.clone()).await;
    server
        .board
        .set_page(always(page("all of it", "")), Vec::new);
    (server, gate)
}

/// Completes a TLS handshake. The client trusts the certificate in the file.
async fn shake(server: &Server, identity: &CertificateFiles) -> TlsStream<TcpStream> {
    let roots = tls::authorities(&identity.cert_file).unwrap();
    let config = tls::client(Trust::Authorities(roots), None).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connect(server.address).await;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn all_paths_except_health_need_the_password() {
    let hash = bcrypt::hash("hunter2", 4).unwrap();
    for password in [
        WebPassword::Given(Secret::new("hunter2")),
        WebPassword::Hash(Secret::new(hash)),
    ] {
        let (server, _) = server(short_limits(), &with_password(password)).await;
        for path in ["/health", "/-/healthy", "/-/ready"] {
            assert_ne!(get(server.address, path).await.status, 401, "{path}");
        }
        for path in [
            "/",
            "/targets/x",
            "/api/v1/targets",
            "/api/v1/targets/x",
            "/runbooks/RedisDown",
            "/assets/page.js",
            "/probe?target=x&debug=1",
            "/metrics",
            "/probe?target=x",
            "/scrape",
            "/missing",
            "//health",
        ] {
            let refused = get(server.address, path).await;
            assert_eq!(refused.status, 401, "{path}");
            let scheme = refused.header("www-authenticate").unwrap();
            assert!(scheme.starts_with("Basic realm="), "{scheme}");
        }
        assert_eq!(
            request(server.address, "POST", "/-/reload", "")
                .await
                .status,
            401
        );
        for (credentials, status) in [
            ("scraper:hunter2", 200),
            ("scraper:hunter", 401),
            ("other:hunter2", 401),
        ] {
            let sent = authorization(credentials);
            let response = request(server.address, "GET", "/metrics", &sent).await;
            assert_eq!(response.status, status, "{credentials}");
            assert_eq!(response.text().contains("all of it"), status == 200);
        }
        assert_eq!(server.telemetry.counted(UNAUTHORIZED, []), 15);
    }
}

#[tokio::test]
async fn new_password_applies_after_a_reload() {
    let given = |text: &str| with_password(WebPassword::Given(Secret::new(text)));
    let (server, gate) = server(short_limits(), &given("old")).await;
    let prepared = gate.prepare(&given("new")).unwrap();
    let sent = authorization("scraper:old");
    let response = request(server.address, "GET", "/metrics", &sent).await;
    assert_eq!(response.status, 200, "nothing changes before it is applied");
    gate.apply(prepared);
    for (credentials, status) in [("scraper:old", 401), ("scraper:new", 200)] {
        let sent = authorization(credentials);
        let response = request(server.address, "GET", "/metrics", &sent).await;
        assert_eq!(response.status, status, "{credentials}");
    }
    gate.apply(gate.prepare(&Web::default()).unwrap());
    assert_eq!(get(server.address, "/metrics").await.status, 200);
}

#[tokio::test]
async fn tls_connection_serves_several_pages() {
    let folder = tempfile::tempdir().unwrap();
    let identity = identity(&folder);
    let (server, _) = server(short_limits(), &encrypted(&identity)).await;
    let mut stream = shake(&server, &identity).await;
    for _ in 0..2 {
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut bytes = [0; 4096];
        let count = timeout(PATIENCE, stream.read(&mut bytes)).await.unwrap();
        let response = parse(&bytes[..count.unwrap()]);
        assert_eq!((response.status, response.text()), (200, "all of it"));
    }
}

#[tokio::test]
async fn without_tls_only_health_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server(short_limits(), &encrypted(&identity(&folder))).await;
    let refused = get(server.address, "/metrics").await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("https://"), "{}", refused.text());
    for path in ["/health", "/-/healthy"] {
        assert_eq!(get(server.address, path).await.status, 200);
    }
    assert!(
        exchange(server.address, b"\x16\x03\x01\x00\x00junk")
            .await
            .len()
            < 64
    );
}

#[tokio::test]
async fn client_without_a_handshake_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let limits = short_limits();
    let (server, _) = server(limits, &encrypted(&identity(&folder))).await;
    for first in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let mut silent = connect(server.address).await;
        silent.write_all(first).await.unwrap();
        let begin = Instant::now();
        rest(&mut silent).await;
        assert!(begin.elapsed() >= limits.times.request / 2);
        assert!(begin.elapsed() < limits.times.idle / 2);
    }
}

#[tokio::test]
async fn tls_client_that_stops_reading_times_out() {
    let folder = tempfile::tempdir().unwrap();
    let identity = identity(&folder);
    let (server, _) = server(short_limits(), &encrypted(&identity)).await;
    let large = bytes::Bytes::from(vec![b'x'; 32 << 20]);
    server.board.set_page(
        always(super::Versions {
            text: large,
            gzip: bytes::Bytes::new(),
        }),
        Vec::new,
    );
    let mut stuck = shake(&server, &identity).await;
    stuck
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The client had 0.3 s. Only what the sockets buffered still arrives.
    let mut bytes = Vec::new();
    let end = timeout(PATIENCE, stuck.read_to_end(&mut bytes)).await;
    assert!(end.unwrap().is_err());
    assert!(bytes.len() < 32 << 20);
}

#[tokio::test]
async fn open_handshake_does_not_delay_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = short_limits();
    limits.times.request = Duration::from_secs(10);
    limits.drain = Duration::from_secs(10);
    let (server, _) = server(limits, &encrypted(&identity(&folder))).await;
    let _silent = connect(server.address).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begin = Instant::now();
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn invalid_new_certificate_keeps_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let identity = identity(&folder);
    let trusted = tempfile::tempdir().unwrap();
    let copy = trusted.path().join("certificate.pem");
    fs::copy(&identity.cert_file, &copy).unwrap();
    let web = encrypted(&identity);
    let (server, gate) = server(short_limits(), &web).await;
    fs::write(&identity.cert_file, "nonsense").unwrap();
    let problem = gate.prepare(&web).unwrap_err().to_string();
    assert!(problem.contains("holds no certificate"), "{problem}");
    let old = CertificateFiles {
        cert_file: copy,
        ..identity
    };
    shake(&server, &old).await;
}
