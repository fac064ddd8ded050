//! Kinds of certificates that OpenSSL and Go accept, made with the command `openssl`.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::certificates::{Encrypted, fails};
use crate::support::{Page, Pair};

const P256: &str = "P-256";
const P521: &str = "P-521";

/// The extension that names the server.
const NAMES: &str = "subjectAltName=DNS:localhost";

const NO_CLIENT_CERTIFICATE: &[&str] = &["--tls-auth-clients", "no"];

/// A folder for generated certificates.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn pair(&self, name: &str) -> Pair {
        Pair {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        }
    }

    /// Runs openssl in the folder.
    fn openssl(&self, arguments: &[&str]) -> String {
        let command = Command::new("openssl")
            .args(arguments)
            .current_dir(self.0.path())
            .output()
            .expect("openssl is installed: scripts/install-tools openssl");
        let errors = String::from_utf8_lossy(&command.stderr);
        assert!(command.status.success(), "openssl {arguments:?}: {errors}");
        String::from_utf8_lossy(&command.stdout).into_owned()
    }

    /// Generates a key and runs `openssl req` on it with additional arguments.
    fn request(&self, pair: &Pair, curve: &str, subject: &str, further: &[&str]) {
        let curve = format!("ec_paramgen_curve:{curve}");
        let common = [
            "req", "-nodes", "-newkey", "ec", "-pkeyopt", &curve, "-subj", subject, "-keyout",
            &pair.key,
        ];
        self.openssl(&[&common[..], further].concat());
    }

    /// Generates a self-signed certificate, which openssl marks as a certificate authority.
    fn self_signed(&self, name: &str, curve: &str) -> Pair {
        let pair = self.pair(name);
        let out = [
            "-x509",
            "-days",
            "10",
            "-addext",
            NAMES,
            "-out",
            &pair.certificate,
        ];
        self.request(&pair, curve, "/CN=localhost", &out);
        pair
    }

    /// Generates a certificate authority.
    fn authority(&self, name: &str, curve: &str) -> Pair {
        let pair = self.pair(name);
        let out = ["-x509", "-days", "10", "-out", &pair.certificate];
        self.request(&pair, curve, &format!("/CN={name}"), &out);
        pair
    }

    /// Signs a certificate for localhost with these extensions. Without any, its version is 1.
    fn signed(&self, authority: &Pair, name: &str, curve: &str, extensions: &str) -> Pair {
        let pair = self.pair(name);
        let request = self.path(&format!("{name}.csr"));
        self.request(&pair, curve, "/CN=localhost", &["-new", "-out", &request]);
        let Pair { certificate, key } = authority;
        let mut sign = vec![
            "x509",
            "-req",
            "-days",
            "10",
            "-in",
            &request,
            "-CA",
            certificate,
            "-CAkey",
            key,
            "-CAcreateserial",
            "-out",
            &pair.certificate,
        ];
        let file = self.path("extensions");
        if !extensions.is_empty() {
            fs::write(&file, extensions).unwrap();
            sign.extend(["-extfile", &file]);
        }
        self.openssl(&sign);
        pair
    }

    /// Signs a certificate of version 1, as a plain `openssl x509 -req` does.
    fn signed_v1(&self, authority: &Pair, name: &str) -> Pair {
        let pair = self.signed(authority, name, P256, "");
        let text = self.openssl(&["x509", "-noout", "-text", "-in", &pair.certificate]);
        assert!(text.contains("Version: 1 "), "{text}");
        pair
    }
}

fn ca(pair: &Pair) -> String {
    format!("ca_file: {}", pair.certificate)
}

/// Starts servers that require a client certificate, one for each TLS version, and checks that the
/// exporter reaches each of them with this certificate.
fn reaches_with(client: &Pair, authority: &Pair, shown: &Pair) -> Vec<Encrypted> {
    let Pair { certificate, key } = client;
    let section = format!(
        "{}, cert_file: {certificate}, key_file: {key}",
        ca(authority)
    );
    let reached = ["TLSv1.2", "TLSv1.3"].map(|version| {
        let settings = ["--tls-auth-clients", "yes", "--tls-protocols", version];
        let tls = Encrypted::start(shown, &authority.certificate, &settings);
        tls.exporter(&section).until("the server", Page::is_up);
        tls
    });
    reached.into()
}

#[test]
fn server_certificate_of_version_one_is_accepted() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P256);
    let stranger = workshop.authority("stranger", P256);
    let shown = workshop.signed_v1(&authority, "server");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = [NO_CLIENT_CERTIFICATE, &["--tls-protocols", version]].concat();
        let tls = Encrypted::start(&shown, &authority.certificate, &settings);
        for section in [
            "insecure_skip_verify: true".to_owned(),
            ca(&authority),
            ca(&shown),
        ] {
            tls.exporter(&section).until("the server", Page::is_up);
        }
        fails(&tls.exporter(&ca(&stranger)), "UnknownIssuer");
        let named = format!("{}, server_name: redis.internal", ca(&authority));
        fails(&tls.exporter(&named), "tls.server_name");
    }
}

#[test]
fn client_certificate_of_version_one_is_sent() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P256);
    let shown = workshop.signed(&authority, "server", P256, NAMES);
    let client = workshop.signed_v1(&authority, "client");
    reaches_with(&client, &authority, &shown);
}

#[test]
fn self_signed_certificate_is_its_own_ca() {
    let workshop = Workshop::new();
    let shown = workshop.self_signed("server", P256);
    let other = workshop.self_signed("other", P256);
    let tls = Encrypted::start(&shown, &shown.certificate, NO_CLIENT_CERTIFICATE);
    tls.exporter(&ca(&shown)).until("the server", Page::is_up);
    fails(
        &tls.exporter(&ca(&other)),
        "the certificate itself, in tls.ca_file",
    );
    let named = format!("{}, server_name: redis.internal", ca(&shown));
    fails(&tls.exporter(&named), "not valid for name");
}

#[test]
fn single_certificate_in_ca_file_is_pinned() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P256);
    let shown = workshop.signed(&authority, "server", P256, NAMES);
    let next = workshop.signed(&authority, "next", P256, NAMES);
    let tls = Encrypted::start(&shown, &authority.certificate, NO_CLIENT_CERTIFICATE);
    tls.exporter(&ca(&shown)).until("the server", Page::is_up);
    fails(&tls.exporter(&ca(&next)), "UnknownIssuer");
}

#[test]
fn pinned_certificate_cannot_sign_others() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P256);
    let explicit = format!("basicConstraints=CA:FALSE\n{NAMES}");
    for (kind, extensions) in [("explicit", &*explicit), ("silent", NAMES), ("v1", "")] {
        let pinned = workshop.signed(&authority, kind, P256, extensions);
        let forged = workshop.signed(&pinned, &format!("{kind}-forged"), P256, NAMES);
        let forged_v1 = workshop.signed_v1(&pinned, &format!("{kind}-forged-v1"));
        for shown in [forged, forged_v1] {
            let tls = Encrypted::start(&shown, &authority.certificate, NO_CLIENT_CERTIFICATE);
            fails(&tls.exporter(&ca(&pinned)), "UnknownIssuer");
        }
        let tls = Encrypted::start(&pinned, &authority.certificate, NO_CLIENT_CERTIFICATE);
        tls.exporter(&ca(&pinned)).until("the server", Page::is_up);
    }
}

#[test]
fn p521_keys_work_for_client_and_server() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P521);
    let shown = workshop.signed(&authority, "server", P521, NAMES);
    let client = workshop.signed(&authority, "client", P521, NAMES);
    for tls in reaches_with(&client, &authority, &shown) {
        fails(&tls.exporter(&ca(&authority)), "a client certificate");
    }
}

#[test]
fn broken_certificate_in_a_bundle_is_skipped() {
    let workshop = Workshop::new();
    let authority = workshop.authority("authority", P256);
    let shown = workshop.signed(&authority, "server", P256, NAMES);
    let good = fs::read_to_string(&authority.certificate).unwrap();
    let of =
        |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
    let bundle = workshop.path("bundle.pem");
    fs::write(&bundle, of("AAAA") + &of("not base64 !") + &good).unwrap();
    let tls = Encrypted::start(&shown, &authority.certificate, NO_CLIENT_CERTIFICATE);
    let exporter = tls.exporter(&format!("ca_file: {bundle}"));
    exporter.until("the server", Page::is_up);
    let log = exporter.log();
    assert!(
        log.contains("skipped certificates that cannot be read"),
        "{log}"
    );
}

#[test]
fn log_explains_missing_common_cipher_or_version() {
    let workshop = Workshop::new();
    let shown = workshop.self_signed("server", P256);
    for (settings, expected) in [
        (
            [
                "--tls-protocols",
                "TLSv1.2",
                "--tls-ciphers",
                "ECDHE-ECDSA-AES128-SHA",
            ],
            "no cipher suite or curve in common",
        ),
        (
            [
                "--tls-protocols",
                "TLSv1.1",
                "--tls-ciphers",
                "ALL:@SECLEVEL=0",
            ],
            "no TLS version in common",
        ),
    ] {
        let settings = [NO_CLIENT_CERTIFICATE, &settings].concat();
        let tls = Encrypted::start(&shown, &shown.certificate, &settings);
        fails(&tls.exporter(&ca(&shown)), expected);
    }
}
