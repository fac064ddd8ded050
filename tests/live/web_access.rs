//! TLS and passwords of the HTTP server, tested with curl.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::wait::slack;
use crate::support::{Authority, Exporter, Launch, Pair, http, until};

const PATIENCE: Duration = Duration::from_secs(20);

/// Starts an exporter without targets. Its page has the exporter's own metrics.
fn exporter(web: &str) -> Exporter {
    let launch = Launch::configured(&format!(
        "web: {{{web}}}\ntargets: [{{url: 'redis://127.0.0.1:1'}}]\n"
    ));
    let exporter = launch.start_without_waiting();
    until(PATIENCE, "a response", || {
        http::get(exporter.port, "/-/healthy").ok()
    });
    exporter
}

/// Returns the HTTP status or the exit code of curl, and the body.
fn curl(arguments: &[&str], url: &str) -> (Result<u16, i32>, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20"])
        .args(["--noproxy", "*", "--write-out", "\n%{http_code}"])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is installed: apt-get install curl");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", ""));
    let status = match output.status.code() {
        Some(0) => Ok(status.parse().unwrap()),
        code => Err(code.unwrap_or(-1)),
    };
    (status, body.to_owned())
}

fn serving(pair: &Pair, more: &str) -> String {
    let Pair { certificate, key } = pair;
    format!("tls: {{cert_file: {certificate}, key_file: {key}{more}}}")
}

fn page_of(exporter: &Exporter) -> String {
    format!("https://localhost:{}/metrics", exporter.port)
}

#[test]
fn pages_are_served_over_tls_only() {
    let authority = Authority::new();
    let exporter = exporter(&serving(&authority.sign("localhost"), ""));
    let url = page_of(&exporter);
    let trusting = ["--cacert", &authority.file];
    let (status, page) = curl(&trusting, &url);
    assert_eq!(status, Ok(200), "{}", exporter.log());
    assert!(page.contains("redis_exporter_build_info"), "{page}");
    for arguments in [
        &["--tlsv1.2", "--tls-max", "1.2"][..],
        &["--tlsv1.3"],
        &["--http2"],
    ] {
        let arguments = [&trusting, arguments].concat();
        assert_eq!(curl(&arguments, &url).0, Ok(200), "{arguments:?}");
    }
    // 60: curl does not trust the certificate authority.
    let other = Authority::new();
    assert_eq!(curl(&["--cacert", &other.file], &url).0, Err(60));
    let begin = Instant::now();
    let plain = http::get(exporter.port, "/metrics").unwrap();
    assert_eq!(plain.status, 400);
    assert!(!plain.text().contains("redis_"), "{}", plain.text());
    // The exporter takes the request for the start of a TLS handshake and waits ten seconds for the
    // rest.
    assert!(begin.elapsed() < Duration::from_secs(5) + slack());
}

#[test]
fn client_ca_and_minimum_tls_version_are_enforced() {
    let authority = Authority::new();
    let more = format!(", client_ca_file: {}, min_version: '1.3'", authority.file);
    let exporter = exporter(&serving(&authority.sign("localhost"), &more));
    let url = page_of(&exporter);
    let Pair { certificate, key } = authority.sign("prometheus");
    let trusting = ["--cacert", &authority.file];
    let known = [&trusting[..], &["--cert", &certificate, "--key", &key]].concat();
    assert_eq!(curl(&known, &url).0, Ok(200), "{}", exporter.log());
    assert!(curl(&trusting, &url).0.is_err());
    let foreign = Authority::new().sign("prometheus");
    let unknown = [
        &trusting[..],
        &["--cert", &foreign.certificate, "--key", &foreign.key],
    ];
    assert!(curl(&unknown.concat(), &url).0.is_err());
    let older = [&known[..], &["--tlsv1.2", "--tls-max", "1.2"]].concat();
    // 35: the handshake failed.
    assert_eq!(curl(&older, &url).0, Err(35));
}

#[test]
fn reload_without_the_client_ca_is_rejected() {
    let authority = Authority::new();
    let pair = authority.sign("localhost");
    let exporter = exporter(&serving(
        &pair,
        &format!(", client_ca_file: {}", authority.file),
    ));
    exporter.reconfigure(&format!(
        "web: {{{}}}\ntargets: [{{url: 'redis://127.0.0.1:1'}}]\n",
        serving(&pair, "")
    ));
    exporter.process.signal("HUP");
    until(PATIENCE, "the refusal", || {
        let refusal = "has no `web.tls.client_ca_file`";
        exporter.log().contains(refusal).then_some(())
    });
    let trusting = ["--cacert", &authority.file];
    assert!(curl(&trusting, &page_of(&exporter)).0.is_err());
}

#[test]
fn health_needs_no_certificate_or_password() {
    let authority = Authority::new();
    let more = format!(", client_ca_file: {}", authority.file);
    let tls = serving(&authority.sign("localhost"), &more);
    let exporter = exporter(&format!(
        "{tls}, basic_auth: {{username: me, password: hunter2}}"
    ));
    let port = exporter.port;
    let finished = Launch::new()
        .without_listen_flag()
        .flag(&format!("--web.listen-address=127.0.0.1:{port}"))
        .flag("health")
        .run();
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
}

#[test]
fn pages_require_the_password() {
    let hash = bcrypt::hash("hunter2", 6).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "hunter2\n").unwrap();
    for password in [
        "password: hunter2".to_owned(),
        format!("password_file: {}", file.display()),
        format!("password_hash: '{hash}'"),
    ] {
        let exporter = exporter(&format!("basic_auth: {{username: me, {password}}}"));
        let at = |path: &str| format!("http://127.0.0.1:{}{path}", exporter.port);
        for (arguments, status) in [
            (&["--user", "me:hunter2"][..], 200),
            (&["--user", "me:hunter"], 401),
            (&["--user", "you:hunter2"], 401),
            (&[], 401),
        ] {
            let (result, page) = curl(arguments, &at("/metrics"));
            assert_eq!(result, Ok(status), "{password}");
            assert_eq!(page.contains("redis_exporter_build_info"), status == 200);
        }
        let (result, head) = curl(&["--head"], &at("/metrics"));
        assert_eq!(result, Ok(401));
        assert!(
            head.to_lowercase()
                .contains("www-authenticate: basic realm="),
            "{head}"
        );
        for path in ["/health", "/-/healthy"] {
            assert_eq!(curl(&[], &at(path)).0, Ok(200), "{path}");
        }
        assert_ne!(curl(&[], &at("/-/ready")).0, Ok(401));
        assert_eq!(curl(&["--request", "POST"], &at("/-/reload")).0, Ok(401));
        assert!(!exporter.log().contains("hunter2"), "{}", exporter.log());
    }
}

#[test]
fn rotated_certificate_and_password_need_no_reload() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "old").unwrap();
    let tls = serving(&authority.sign("localhost"), "");
    let auth = format!(
        "basic_auth: {{username: me, password_file: {}}}",
        file.display()
    );
    let exporter = exporter(&format!("{tls}, {auth}"));
    let url = page_of(&exporter);
    let ask = |ca: &str, user: &str| curl(&["--cacert", ca, "--user", user], &url).0;
    assert_eq!(ask(&authority.file, "me:old"), Ok(200));
    // Broken files change nothing and are logged once.
    let pair = authority.sign("localhost");
    let good = fs::read_to_string(&pair.certificate).unwrap();
    fs::write(&pair.certificate, "nonsense").unwrap();
    until(PATIENCE, "a warning", || {
        exporter
            .log()
            .contains("the previous ones stay in effect")
            .then_some(())
    });
    assert_eq!(ask(&authority.file, "me:old"), Ok(200));
    fs::write(&pair.certificate, good).unwrap();
    fs::write(&file, "new").unwrap();
    until(PATIENCE, "the new password", || {
        (ask(&authority.file, "me:new") == Ok(200)).then_some(())
    });
    assert_eq!(ask(&authority.file, "me:old"), Ok(401));
    assert_eq!(
        exporter
            .log()
            .matches("the previous ones stay in effect")
            .count(),
        1
    );
}

#[test]
fn reload_changes_access_requirements() {
    let exporter = exporter("");
    let url = format!("http://127.0.0.1:{}/metrics", exporter.port);
    assert_eq!(curl(&[], &url).0, Ok(200));
    let target = "targets: [{url: 'redis://127.0.0.1:1'}]\n";
    let auth = "web: {basic_auth: {username: me, password: hunter2}}\n";
    exporter.reconfigure(&format!("{auth}{target}"));
    assert_eq!(exporter.reload().status, 200);
    assert_eq!(curl(&[], &url).0, Ok(401));
    assert_eq!(curl(&["--user", "me:hunter2"], &url).0, Ok(200));
}
