//! TLS to servers with a private certificate authority, some of which require client certificates.

use crate::support::{Authority, Exporter, Launch, Page, Pair, RedisServer, port};

/// A server with TLS, and its TLS port.
pub struct Encrypted {
    server: RedisServer,
    port: u16,
}

/// Starts a server that presents this certificate and trusts clients of this authority.
fn encrypted(shown: &Pair, authority: &Authority, demands: &str, version: &str) -> Encrypted {
    let settings = ["--tls-auth-clients", demands, "--tls-protocols", version];
    Encrypted::start(shown, &authority.file, &settings)
}

fn any_client(shown: &Pair, authority: &Authority) -> Encrypted {
    encrypted(shown, authority, "no", "TLSv1.2 TLSv1.3")
}

impl Encrypted {
    /// Starts a server that presents this certificate, trusts clients of one authority, and has
    /// these TLS settings.
    pub fn start(shown: &Pair, authority: &str, settings: &[&str]) -> Self {
        let port = port::free();
        let tls_port = port.to_string();
        let files = [
            "--tls-port",
            &tls_port,
            "--tls-cert-file",
            &shown.certificate,
            "--tls-key-file",
            &shown.key,
            "--tls-ca-cert-file",
            authority,
        ];
        let server = RedisServer::start(&[&files, settings].concat());
        Self { server, port }
    }

    /// Starts an exporter with this `tls` section and without the system's root certificates.
    pub fn exporter(&self, tls: &str) -> Exporter {
        Launch::configured(&format!(
            "poll: {{interval: 500ms, timeout: 500ms}}\n\
             targets: [{{url: 'rediss://localhost:{}', tls: {{{tls}}}}}]\n",
            self.port
        ))
        .start()
    }
}

/// Waits for a TLS failure and checks that the log contains this detail.
pub fn fails(exporter: &Exporter, detail: &str) {
    exporter.until_failed("tls");
    assert!(exporter.log().contains(detail), "{}", exporter.log());
}

#[test]
fn private_ca_is_trusted_when_configured() {
    let authority = Authority::new();
    let tls = any_client(&authority.sign("localhost"), &authority);
    let exporter = tls.exporter(&format!("ca_file: {}", authority.file));
    exporter.until("the server", Page::is_up);
    let stranger = Authority::new();
    let other = tls.exporter(&format!("ca_file: {}", stranger.file));
    fails(&other, "UnknownIssuer");
}

#[test]
fn certificate_for_another_name_needs_server_name() {
    let authority = Authority::new();
    let tls = any_client(&authority.sign("redis.internal"), &authority);
    let ca = format!("ca_file: {}", authority.file);
    let named = tls.exporter(&format!("{ca}, server_name: redis.internal"));
    named.until("the server", Page::is_up);
    fails(&tls.exporter(&ca), "not valid for name");
    let wrong = tls.exporter(&format!("{ca}, server_name: other.internal"));
    fails(&wrong, "not valid for name");
}

#[test]
fn expired_certificate_fails_unless_verification_is_off() {
    let authority = Authority::new();
    let tls = any_client(&authority.sign_expired("other.example"), &authority);
    let ca = format!("ca_file: {}, server_name: other.example", authority.file);
    fails(&tls.exporter(&ca), "expired");
    let blind = tls.exporter("insecure_skip_verify: true");
    blind.until("the server", Page::is_up);
    assert!(blind.log().contains("are not verified"), "{}", blind.log());
    assert!(!tls.exporter(&ca).log().contains("are not verified"));
}

#[test]
fn required_client_certificate_is_sent_or_reported() {
    let authority = Authority::new();
    let shown = authority.sign("localhost");
    let ours = authority.sign("exporter");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let tls = encrypted(&shown, &authority, "yes", version);
        let ca = format!("ca_file: {}", authority.file);
        let with = |pair: &Pair| {
            let Pair { certificate, key } = pair;
            tls.exporter(&format!("{ca}, cert_file: {certificate}, key_file: {key}"))
        };
        with(&ours).until("the server", Page::is_up);
        fails(&tls.exporter(&ca), "a client certificate");
        let expired = authority.sign_expired("exporter");
        fails(&with(&expired), "the server refuses our client certificate");
    }
}

#[test]
fn rotated_certificates_are_used_at_next_connect() {
    let old = Authority::new();
    let first = any_client(&old.sign("localhost"), &old);
    let ca = format!("ca_file: {}", old.file);
    let exporter = first.exporter(&ca);
    exporter.until("the server", Page::is_up);
    // The server switches to a certificate of another authority.
    let new = Authority::new();
    let shown = new.sign("localhost");
    first.server.ask(&[
        "CONFIG",
        "SET",
        "tls-cert-file",
        &shown.certificate,
        "tls-key-file",
        &shown.key,
        "tls-ca-cert-file",
        &new.file,
    ]);
    first.server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    fails(&exporter, "invalid peer certificate");
    std::fs::copy(&new.file, &old.file).unwrap();
    exporter.until("the server with its new certificate", Page::is_up);
}

#[test]
fn invalid_tls_files_prevent_startup() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("one"), authority.sign("other"));
    let finished = Launch::configured(&format!(
        "tls: {{ca_file: {}, cert_file: {}, key_file: {}}}\n\
         targets: [{{url: 'rediss://localhost:1', tls: {{cert_file: {}}}}}]\n",
        one.key, one.certificate, other.key, one.certificate
    ))
    .run();
    assert_eq!(finished.code(), 78, "{}", finished.stderr);
    for expected in [
        "tls.ca_file: ",
        "holds no certificate",
        "is not the key of the certificate",
        "targets[0].tls.cert_file: is set without `key_file`",
    ] {
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}
