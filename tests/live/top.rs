//! `top`, in a pseudo-terminal.

use crate::support::terminal::Terminal;
use crate::support::wait::LONG;
use crate::support::{Authority, Exporter, Launch, Pair, RedisServer, http, port, until};

const WIDE: (u16, u16) = (110, 40);

/// Starts an exporter with a server that has keys, and a dead one.
fn exporter(server: &RedisServer) -> Exporter {
    for number in 0..200 {
        let key = format!("session:{number}");
        server.ask(&["SET", &key, "value", "EX", "3000"]);
        server.ask(&["SET", &format!("e\u{1b}[2J\u{202e}vil:{number}"), "1"]);
    }
    Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\nsweep: {{ min_pass_interval: 1s }}\n\
         targets:\n- {{ name: cache, url: '{}' }}\n- {{ name: dead, url: 'redis://127.0.0.1:1' }}\n",
        server.url()
    ))
    .start()
}

fn url(exporter: &Exporter) -> String {
    format!("http://127.0.0.1:{}", exporter.port)
}

#[test]
fn keys_select_sort_filter_and_quit() {
    let server = RedisServer::start(&["--maxmemory", "64mb"]);
    let exporter = exporter(&server);
    let mut top = Terminal::start(&["top", &url(&exporter)], &[], WIDE);
    // The worst target comes first, and is selected.
    let shown = top.see("DOWN");
    assert!(shown.contains("1 up, 1 down"), "{shown}");
    top.see("── dead");
    assert!(top.is_raw());
    assert!(top.is_colored());
    top.press("j");
    let shown = top.see("── cache");
    assert!(shown.contains("redis 7.0 standalone"), "{shown}");
    let shown = top.until("the namespaces", |text| {
        text.contains("session ") && text.contains("e\\u{1b}[2J\\u{202e}vil ")
    });
    assert!(shown.contains("of 64.0 MiB"), "{shown}");
    // The memory of the last hour, and keys that all have a TTL of up to an hour.
    top.until("a graph", |text| {
        let is_graph = |line: &str| line.starts_with("memory") && line.contains('█');
        text.lines().any(is_graph)
    });
    top.press("\ts");
    top.see("sort: evictions");
    top.press("\x1b[Z");
    top.see("sort: problems");
    top.press("/cac");
    top.until("the filter", |text| {
        text.contains("filter: cac_") && !text.contains("DOWN")
    });
    top.press("\r");
    top.see("/ filter: cac");
    top.press("\r");
    top.until("one target", |text| !text.contains("PROBLEMS"));
    top.press("?");
    top.see("q Ctrl-C     quit");
    top.press("x");
    top.see("── cache");
    top.resize((60, 20));
    let shown = top.until("the narrow screen", |text| !text.contains("NO TTL"));
    assert!(shown.contains("NAMESPACE"), "{shown}");
    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
}

#[test]
fn exporter_may_go_away_and_come_back() {
    let server = RedisServer::start(&[]);
    let exporter = exporter(&server);
    let mut top = Terminal::start(&["top", &url(&exporter)], &[("NO_COLOR", "1")], (80, 24));
    top.see("── dead");
    assert!(!top.is_colored());
    let stopped = exporter.stop();
    let shown = top.see("not reachable since ");
    // The last data are still there.
    assert!(shown.contains("── dead"), "{shown}");
    let exporter = stopped.start();
    top.until("an exporter that is back", |text| {
        !text.contains("not reachable") && text.contains("1 up, 1 down")
    });
    // One that hangs does not respond either.
    exporter.process.signal("STOP");
    top.see("no response within 5");
    // Keys still work.
    top.press("j");
    top.see("── cache");
    exporter.process.signal("CONT");
    top.until("an exporter that continues", |text| {
        !text.contains("not reachable")
    });
    top.press("\x03");
    assert_eq!(top.ended().code(), Some(0));
}

#[test]
fn signals_restore_the_terminal() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    for signal in ["TERM", "INT", "HUP"] {
        let mut top = Terminal::start(&["top", &url(&exporter)], &[], (80, 24));
        top.see("1 up");
        assert!(top.is_raw());
        top.process.signal(signal);
        assert_eq!(top.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn missing_exporter_is_an_error_with_a_remedy() {
    let url = format!("http://127.0.0.1:{}", port::free());
    let mut top = Terminal::start(&["top", &url], &[], (200, 24));
    assert_eq!(top.ended().code(), Some(1));
    for part in [&url, "cannot be reached", "start the exporter, or name it"] {
        top.see(part);
    }
}

#[test]
fn files_and_pipes_are_not_a_terminal() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    let finished = Launch::new().flag("top").flag(&url(&exporter)).run();
    assert_eq!(finished.code(), 1);
    let expected = "`top` needs a terminal as its input and output";
    assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
}

#[test]
fn passwords_and_client_certificates_are_sent() {
    let authority = Authority::new();
    let Pair { certificate, key } = authority.sign("localhost");
    let web = format!(
        "web: {{ tls: {{ cert_file: {certificate}, key_file: {key}, client_ca_file: {} }}, \
         basic_auth: {{ username: prometheus, password: hunter2 }} }}\n",
        authority.file
    );
    let launch = Launch::configured(&format!(
        "{web}targets: [{{ name: dead, url: 'redis://127.0.0.1:1' }}]\n"
    ));
    let password = launch.file("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    let password = password.to_str().unwrap().to_owned();
    let exporter = launch.start_without_waiting();
    until(LONG, "a response", || {
        http::get(exporter.port, "/-/healthy").ok()
    });
    let url = format!("https://localhost:{}/", exporter.port);
    let own = authority.sign("top");
    let files = [
        "--ca-file",
        &authority.file,
        "--cert-file",
        &own.certificate,
        "--key-file",
        &own.key,
    ];
    let arguments = [&["top", &url][..], &files].concat();
    let mut top = Terminal::start(&arguments, &[], (200, 24));
    assert_eq!(top.ended().code(), Some(1));
    top.see("requires a password; use --username and --password-file");
    let credentials = ["--username", "prometheus", "--password-file", &password];
    let arguments = [&arguments[..], &credentials].concat();
    let mut top = Terminal::start(&arguments, &[], (200, 24));
    top.see("── dead");
    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
}
