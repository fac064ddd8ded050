//! `check`, `once` and `health`.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::wait::{LONG, slack};
use crate::support::{Authority, Exporter, Launch, Page, RedisServer, port, until};

#[test]
fn check_reports_a_healthy_target() {
    let server = RedisServer::start(&[]);
    let finished = Launch::of(&server.url()).flag("check").run();
    assert_eq!(finished.code(), 0, "{}{}", finished.stdout, finished.stderr);
    for part in [
        &server.address(),
        "redis 7.0 standalone",
        "slowlog            works",
    ] {
        assert!(
            finished.stdout.contains(part),
            "{part}: {}",
            finished.stdout
        );
    }
    assert!(server.exporter_connections().is_empty());
}

/// Runs `check`, and returns the lookups that it caused.
fn lookups_of_check(settings: &str) -> String {
    let server = RedisServer::start(&["--enable-debug-command", "yes"]);
    server.ask(&["DEBUG", "POPULATE", "500"]);
    let text = format!(
        "sweep: {{ {settings} }}\ntargets: [{{ url: '{}' }}]\n",
        server.url()
    );
    let finished = Launch::configured(&text).flag("check").run();
    assert_eq!(finished.code(), 0, "{}", finished.stdout);
    server.info("keyspace_hits").unwrap()
}

#[test]
fn check_causes_two_lookups() {
    assert_eq!(lookups_of_check("enabled: true, idle: false"), "2");
    assert_eq!(lookups_of_check("enabled: true"), "3");
}

#[test]
fn check_reports_what_idle_times_and_events_need() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "key", "value"]);
    let user = "ACL SETUSER watcher on >secret ~* resetchannels +@all -object|idletime -subscribe";
    server.ask(&user.split(' ').collect::<Vec<_>>());
    let check = |events: &str| {
        let text = format!(
            "sweep: {{ enabled: true, events: {events} }}\n\
             targets: [{{ url: 'redis://watcher:secret@{}' }}]\n",
            server.address()
        );
        let finished = Launch::configured(&text).flag("check").run();
        (finished.code(), finished.stdout)
    };
    let expect = |events: &str, code: i32, line: &str| {
        let (found, text) = check(events);
        assert_eq!(found, code, "{text}");
        assert!(text.contains(line), "{line}: {text}");
    };
    let idle = "sweep              denied: grant the user +object|idletime, or set sweep.idle";
    expect("listen", 1, idle);
    let denied = "events             denied: grant the user +info +subscribe +unsubscribe \
        &__keyevent@*__:*, or set sweep.events to off\n";
    expect("listen", 1, denied);
    server.ask(&["ACL", "SETUSER", "watcher", "+object", "+subscribe"]);
    expect("listen", 1, denied);
    expect("off", 0, "sweep              works\n");
    server.ask(&["ACL", "SETUSER", "watcher", "&__keyevent@*__:*"]);
    let off =
        "events             off: set notify-keyspace-events to Eex, or set sweep.events to off\n";
    expect("listen", 1, off);
    let set = "events             notify-keyspace-events will be set to Eex";
    expect("configure", 0, set);
    assert!(
        !server
            .ask(&["CONFIG", "GET", "notify-keyspace-events"])
            .contains('E')
    );
    server.ask(&["CONFIG", "SET", "notify-keyspace-events", "Exe"]);
    expect("listen", 0, "events             works\n");
}

#[test]
fn check_names_the_missing_permission() {
    let server = RedisServer::start(&[]);
    server.ask(&[
        "ACL", "SETUSER", "watcher", "on", ">secret", "+@all", "-slowlog", "-config",
    ]);
    let url = format!("redis://watcher:secret@{}", server.address());
    let finished = Launch::of(&url).flag("check").run();
    assert_eq!(finished.code(), 1);
    for part in [
        "+slowlog|len",
        "+slowlog|get",
        "+config|get",
        "collectors.slowlog",
        "latency            works",
    ] {
        assert!(
            finished.stdout.contains(part),
            "{part}: {}",
            finished.stdout
        );
    }
    let without = Launch::configured(&format!(
        "targets: [{{ url: '{url}', collectors: {{ slowlog: false, config: false }} }}]\n"
    ))
    .flag("check")
    .run();
    assert_eq!(without.code(), 0, "{}", without.stdout);
}

#[test]
fn check_reports_the_problem_of_each_target() {
    let server = RedisServer::start(&["--requirepass", "needed"]);
    let well = RedisServer::start(&[]);
    let dead = format!("127.0.0.1:{}", port::free());
    let finished = Launch::configured(&format!(
        "poll: {{ interval: 2s, timeout: 1s }}\ntargets:\n- {{ name: dead, url: '{dead}' }}\n\
         - {{ name: locked, url: '{}' }}\n- {{ name: well, url: '{}' }}\n",
        server.url(),
        well.url()
    ))
    .flag("check")
    .run();
    assert_eq!(finished.code(), 1);
    for part in [
        "dead (",
        "refused: ",
        "locked (",
        "auth: ",
        "requires a password",
        "well (",
        "works",
    ] {
        assert!(
            finished.stdout.contains(part),
            "{part}: {}",
            finished.stdout
        );
    }
}

#[test]
fn check_waits_for_all_silent_targets_at_once() {
    let server = RedisServer::start(&[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let target = |at| format!("- {{ name: silent{at}, url: '{address}' }}\n");
    let targets: String = (0..12).map(target).collect();
    let started = Instant::now();
    let finished = Launch::configured(&format!(
        "poll: {{ interval: 2s, timeout: 1s }}\ntargets:\n{targets}- {{ name: well, url: '{}' }}\n",
        server.url()
    ))
    .flag("check")
    .run();
    let took = started.elapsed();
    assert_eq!(finished.code(), 1);
    assert!(took < Duration::from_secs(4) + slack(), "{took:?}");
    // The verdict follows after an empty line.
    let names = finished.stdout.lines().skip(1);
    let names = names.take_while(|line| !line.is_empty());
    let names = names.filter(|line| !line.starts_with(' '));
    let names: Vec<_> = names.filter_map(|line| line.split(' ').next()).collect();
    let mut expected: Vec<_> = (0..12).map(|at| format!("silent{at}")).collect();
    expected.push("well".to_owned());
    assert_eq!(names, expected);
}

#[test]
fn check_names_a_missing_password() {
    let server = RedisServer::start(&["--requirepass", "needed"]);
    let finished = Launch::of(&server.url()).flag("check").run();
    assert_eq!(finished.code(), 1);
    let output = finished.stdout + &finished.stderr;
    for part in ["requires a password", "REDIS_PASSWORD_FILE"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("+ping"), "{output}");
}

#[test]
fn check_distinguishes_denied_keys_and_commands() {
    let server = RedisServer::start(&[]);
    server.ask(&["SET", "key", "value"]);
    server.ask(&["ACL", "SETUSER", "watcher", "on", ">secret", "+@all", "~no"]);
    let text = format!(
        "sweep: {{ enabled: true }}\ntargets: [{{ url: 'redis://watcher:secret@{}' }}]\n",
        server.address()
    );
    let check = || Launch::configured(&text).flag("check").run();
    let finished = check();
    assert_eq!(finished.code(), 1);
    let denied = "denied: grant the user read access to the keys";
    assert!(finished.stdout.contains(denied), "{}", finished.stdout);
    server.ask(&["ACL", "SETUSER", "watcher", "~*", "-pttl"]);
    let finished = check();
    assert_eq!(finished.code(), 1);
    let denied = "sweep              denied: grant the user +pttl\n";
    assert!(finished.stdout.contains(denied), "{}", finished.stdout);
    server.ask(&["ACL", "SETUSER", "watcher", "+pttl"]);
    assert_eq!(check().code(), 0);
}

/// Arguments of everything that writes to standard output.
fn printing(server: &RedisServer) -> Vec<Vec<String>> {
    let address = format!("--redis.addr={}", server.url());
    let words = [
        &["--help"][..],
        &["--version"],
        &["namespaces", "--help"],
        &["check", &address],
        &["once", &address],
        &["namespaces", &address],
        &["namespaces", "--output=json", &address],
        &["namespaces", "--suggest", &address],
    ];
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    words.into_iter().map(owned).collect()
}

fn print_to(output: impl Into<Stdio>, words: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_redis-namespace-exporter"))
        .args(words)
        .stdout(output)
        .output()
        .unwrap()
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let server = RedisServer::start(&[]);
    for words in printing(&server) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = print_to(full, &words);
        assert_eq!(ended.status.code(), Some(1), "{words:?}");
        let errors = String::from_utf8(ended.stderr).unwrap();
        let last = errors.lines().last().unwrap_or_default();
        assert!(last.starts_with("cannot write "), "{words:?}: {errors}");
    }
}

#[test]
fn output_without_a_reader_ends_silently() {
    let server = RedisServer::start(&[]);
    for words in printing(&server) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = print_to(writer, &words);
        assert_eq!(ended.status.code(), Some(0), "{words:?}");
        let errors = String::from_utf8(ended.stderr).unwrap();
        assert!(!errors.contains("cannot write"), "{words:?}: {errors}");
    }
}

#[test]
fn check_exits_with_78_on_an_invalid_file() {
    let finished = Launch::configured("colour: red\n").flag("check").run();
    assert_eq!(finished.code(), 78);
    assert!(finished.stderr.contains("colour"), "{}", finished.stderr);
}

#[test]
fn once_prints_one_page_for_all_targets() {
    let server = RedisServer::start(&[]);
    let finished = Launch::of(&server.url()).flag("once").run();
    assert_eq!(finished.code(), 0);
    let page = Page(finished.stdout);
    assert!(page.0.contains("\nredis_up 1\n"), "{}", page.0);
    assert_eq!(page.0.matches("# TYPE redis_up gauge").count(), 1);
    page.value("redis_config_maxclients", &[]);
}

#[test]
fn once_shows_down_targets_and_exits_with_1() {
    let server = RedisServer::start(&[]);
    let finished = Launch::configured(&format!(
        "targets:\n- {{ name: dead, url: '127.0.0.1:{}' }}\n- {{ name: well, url: '{}' }}\n",
        port::free(),
        server.url()
    ))
    .flag("once")
    .run();
    assert_eq!(finished.code(), 1);
    let page = Page(finished.stdout);
    assert_eq!(page.value("redis_up", &[("target", "dead")]), 0.0);
    assert_eq!(page.value("redis_up", &[("target", "well")]), 1.0);
    assert!(finished.stderr.contains("refused"), "{}", finished.stderr);
}

#[test]
fn health_ignores_the_state_of_targets() {
    let server = RedisServer::start(&[]);
    let mut exporter = Exporter::of(&server);
    server.freeze();
    exporter.until_failed("timeout");
    let ask = || {
        Launch::new()
            .without_listen_flag()
            .flag(&format!("--web.listen-address=0.0.0.0:{}", exporter.port))
            .flag("health")
            .run()
    };
    assert_eq!(ask().code(), 0);
    exporter.process.kill();
    let finished = Launch::new().flag("health").run();
    assert_eq!(finished.code(), 1);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn health_works_with_an_invalid_configuration() {
    let server = RedisServer::start(&[]);
    let exporter = Exporter::of(&server);
    let listen = format!("listen: 127.0.0.1:{}\nnonsense: 1\n", exporter.port);
    let launch = Launch::configured(&listen)
        .without_listen_flag()
        .flag("health");
    assert_eq!(launch.run().code(), 0);
}

#[test]
fn health_finds_an_exporter_started_with_any_flags() {
    let folder = tempfile::tempdir().unwrap();
    // Other tests run the program at the same time, so this is a copy. It has the name used in the
    // container image.
    let program = folder.path().join("redis_exporter");
    std::fs::copy(env!("CARGO_BIN_EXE_redis-namespace-exporter"), &program).unwrap();
    let server = RedisServer::start(&[]);
    let authority = Authority::new();
    let identity = authority.sign("localhost");
    let ask = || {
        // Nothing listens on this address, so `health` must find the running process.
        Launch::new()
            .without_listen_flag()
            .variable("REDIS_EXPORTER_WEB_LISTEN_ADDRESS", "127.0.0.1:9")
            .program(&program)
            .flag("health")
            .run()
    };
    assert_eq!(ask().code(), 1);
    let tls = format!(
        "web: {{ tls: {{ cert_file: {}, key_file: {} }} }}\ntargets: [{{ url: '{}' }}]\n",
        identity.certificate,
        identity.key,
        server.url()
    );
    for launch in [Launch::of(&server.url()), Launch::configured(&tls)] {
        let mut exporter = launch.program(&program).start_without_waiting();
        let finished = until(LONG, "health", || {
            let finished = ask();
            (finished.code() == 0).then_some(finished)
        });
        assert_eq!(finished.stderr, "");
        exporter.process.kill();
    }
    assert_eq!(ask().code(), 1);
}
