//! TLS connections to servers.

use std::fs;

use crate::support::{Exporter, Launch, Page, RedisServer, port};

/// A server with a certificate for these names, its TLS port, and the certificate file.
struct Encrypted {
    server: RedisServer,
    port: u16,
    certificate: String,
    _folder: tempfile::TempDir,
}

fn encrypted(names: &[&str]) -> Encrypted {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("certificate.pem", made.cert.pem());
    let key = file("key.pem", made.signing_key.serialize_pem());
    let port = port::free();
    let server = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
    ]);
    Encrypted {
        server,
        port,
        certificate,
        _folder: folder,
    }
}

impl Encrypted {
    /// Starts an exporter that trusts the certificate.
    fn exporter(&self, scheme: &str, host: &str) -> Exporter {
        let url = format!("{scheme}://{host}:{}", self.port);
        Launch::of(&url)
            .variable("SSL_CERT_FILE", &self.certificate)
            .start()
    }
}

#[test]
fn trusted_certificate_works_by_name_and_address() {
    let tls = encrypted(&["localhost", "127.0.0.1"]);
    for (scheme, host) in [("rediss", "localhost"), ("valkeys", "127.0.0.1")] {
        let exporter = tls.exporter(scheme, host);
        exporter.until("the server", Page::is_up);
        exporter.polls(3);
        let connections = tls.server.exporter_connections();
        assert_eq!(connections.len(), 1);
        assert!(
            connections[0].contains(&format!("laddr=127.0.0.1:{} ", tls.port)),
            "{connections:?}"
        );
        assert_eq!(
            exporter.page().value("redis_exporter_connects_total", &[]),
            1.0
        );
    }
}

#[test]
fn certificate_for_another_name_is_reported_as_tls_failure() {
    let tls = encrypted(&["other.example"]);
    let exporter = tls.exporter("rediss", "localhost");
    exporter.until_failed("tls");
    assert!(
        exporter.log().contains("not valid for name"),
        "{}",
        exporter.log()
    );
}

#[test]
fn untrusted_certificate_is_reported_as_tls_failure() {
    let tls = encrypted(&["localhost"]);
    let others = encrypted(&["localhost"]);
    let exporter = Launch::of(&format!("rediss://localhost:{}", tls.port))
        .variable("SSL_CERT_FILE", &others.certificate)
        .start();
    exporter.until_failed("tls");
}

#[test]
fn plain_connection_to_a_tls_port_fails_promptly() {
    let tls = encrypted(&["localhost"]);
    let exporter = tls.exporter("redis", "127.0.0.1");
    let page = exporter.until("a failure", |page| page.failure().is_some());
    let reason = page.failure().unwrap();
    assert!(
        ["closed", "protocol", "timeout"].contains(&reason.as_str()),
        "{reason}"
    );
}

#[test]
fn killed_tls_connection_causes_no_outage() {
    let encrypted = encrypted(&["localhost"]);
    let exporter = encrypted.exporter("rediss", "localhost");
    let reconnects = |page: &Page| -> f64 {
        let all = page.all("redis_exporter_reconnects_total", &[]);
        all.iter().sum()
    };
    for count in 1..=3 {
        let killed = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
        encrypted.server.ask(&killed);
        let page = exporter.until("another connection", |page| {
            assert!(page.is_up(), "{:?}: {}", page.failure(), exporter.log());
            reconnects(page) >= f64::from(count)
        });
        let failures = page.all("redis_exporter_poll_failures_total", &[]);
        assert_eq!(failures.iter().sum::<f64>(), 0.0, "{}", exporter.log());
    }
}

#[test]
fn frozen_tls_server_is_detected() {
    let tls = encrypted(&["localhost"]);
    let exporter = tls.exporter("rediss", "localhost");
    exporter.until("the server", Page::is_up);
    tls.server.freeze();
    exporter.until_failed("timeout");
    tls.server.thaw();
    exporter.until("the server again", Page::is_up);
}

#[test]
fn requested_server_has_the_tls_settings_of_the_top_level() {
    let tls = encrypted(&["127.0.0.1"]);
    let text = format!(
        "poll: {{ timeout: 1s }}\ntls: {{ ca_file: '{}' }}\nscrape: {{ allow: [127.0.0.1] }}\n",
        tls.certificate
    );
    let exporter = Launch::configured(&text).start();
    for (scheme, up) in [("rediss", 1.0), ("redis", 0.0), ("rediss", 1.0)] {
        let path = format!("/scrape?target={scheme}://127.0.0.1:{}", tls.port);
        let page = Page(exporter.get(&path).text());
        assert_eq!(page.value("redis_up", &[]), up, "{scheme}");
    }
}
