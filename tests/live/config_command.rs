//! `config print` and `config init`.

use std::fs;

use crate::support::exporter::Finished;
use crate::support::{Launch, RedisServer, keys, port};

/// Runs a part of the command `config` with flags and variables.
fn run(part: &str, launch: Launch) -> Finished {
    launch.flag("config").flag(part).run()
}

/// Checks that a printed configuration is valid, and returns the output of `check`.
fn check(text: &str, variables: &[(&str, &str)]) -> String {
    let launch = Launch::new();
    let path = launch.file("printed.yaml");
    fs::write(&path, text).unwrap();
    let launch = launch.flag(&format!("--config={}", path.display()));
    let launch = variables
        .iter()
        .fold(launch, |launch, (name, value)| launch.variable(name, value));
    let finished = launch.flag("check").run();
    assert_eq!(
        finished.code(),
        0,
        "{text}\n{}{}",
        finished.stdout,
        finished.stderr
    );
    finished.stdout
}

#[test]
fn printed_configuration_names_origins_and_works() {
    let server = RedisServer::start(&[]);
    let launch = Launch::configured(&format!(
        "poll:\n  interval: 3s\ntargets:\n- name: cache\n  url: {}\nnamespaces:\n\
         - {{ name: session, match: 'session:*' }}\n",
        server.url()
    ));
    let launch = launch
        .flag("--series=full")
        .variable("REDIS_EXPORTER_LOG_LEVEL", "warn");
    let finished = run("print", launch);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    for line in [
        // The first line disables the sweep.
        "  interval: 3s  # config.yaml:3",
        "series: full  # flag --series",
        "  level: warn  # variable REDIS_EXPORTER_LOG_LEVEL",
        "# legacy_names: true  # default",
        "  enabled: false  # config.yaml:1",
    ] {
        assert!(
            finished.stdout.lines().any(|one| one == line),
            "{line}\n{}",
            finished.stdout
        );
    }
    let report = check(&finished.stdout, &[]);
    assert!(report.contains("cache ("), "{report}");
}

#[test]
fn printed_configuration_has_no_secret() {
    let launch = Launch::configured("sweep: { from: 'redis://:hunter2@replica' }\n")
        .variable("REDIS_URL", "redis://user7:hunter2@primary/2")
        .flag("--basic-auth-username=user7")
        .flag("--basic-auth-password=hunter2");
    let finished = run("print", launch);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    for secret in ["hunter2", "user7"] {
        assert!(!finished.stdout.contains(secret), "{}", finished.stdout);
    }
    let url = "  - url: \"redis://***:***@primary:6379/2\"  # variable REDIS_URL\n";
    assert!(finished.stdout.contains(url), "{}", finished.stdout);
    let launch = Launch::configured(
        "targets_from: [{ name: sd, http: { url: 'https://sd:8443/hunter2/targets' } }]\n",
    );
    let finished = run("print", launch);
    assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    let url = "      url: \"https://sd:8443/***\"  # config.yaml:2\n";
    assert!(finished.stdout.contains(url), "{}", finished.stdout);
}

#[test]
fn invalid_configuration_is_not_printed() {
    let finished = run("print", Launch::configured("poll: { interval: 15 }\n"));
    assert_eq!(finished.code(), 78);
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("poll.interval"),
        "{}",
        finished.stderr
    );
}

#[test]
fn first_configuration_has_the_namespaces_of_the_server() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let write = |body: &str| {
        let script = format!("for i = 1, 300 do redis.call({body}) end");
        server.ask_as("hunter2", &["EVAL", &script, "0"]);
    };
    write("'SET', 'session:' .. i, 'x', 'EX', 900");
    write("'RPUSH', 'queue:' .. i, 'x'");
    let url = format!("redis://:hunter2@{}", server.address());
    let finished = run("init", Launch::new().variable("REDIS_URL", &url));
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    for part in [
        "\"session:*\"",
        "\"queue:*\"",
        "required: true",
        "${REDIS_URL:-redis://",
    ] {
        assert!(
            finished.stdout.contains(part),
            "{part}: {}",
            finished.stdout
        );
    }
    assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    check(&finished.stdout, &[("REDIS_URL", &url)]);

    // A flag is not in the environment of the exporter that reads the file.
    let launch = Launch::new().flag(&format!("--redis.addr={url}"));
    let finished = run("init", launch);
    assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
    assert!(
        !finished.stdout.contains("REDIS_URL"),
        "{}",
        finished.stdout
    );
    check(&finished.stdout, &[("REDIS_PASSWORD", "hunter2")]);
}

#[test]
fn first_configuration_refers_to_address_and_password_variables() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let script = "for i = 1, 300 do redis.call('SET', 'session:' .. i, 'x', 'EX', 900) end";
    server.ask_as("hunter2", &["EVAL", script, "0"]);
    let user = [
        "ACL", "SETUSER", "watcher", "on", ">hunter3", "~*", "&*", "+@all",
    ];
    server.ask_as("hunter2", &user);
    let address = server.address();
    // The default user, and one with a name.
    let default = [("REDIS_ADDR", &*address), ("REDIS_PASSWORD", "hunter2")];
    let named = [
        ("REDIS_ADDR", &*address),
        ("REDIS_USER", "watcher"),
        ("REDIS_PASSWORD", "hunter3"),
    ];
    for variables in [&default[..], &named[..]] {
        let launch = variables
            .iter()
            .fold(Launch::new(), |launch, (name, value)| {
                launch.variable(name, value)
            });
        let finished = run("init", launch);
        let text = &finished.stdout;
        assert_eq!((finished.code(), &*finished.stderr), (0, ""), "{text}");
        for part in [
            &*format!("url: \"${{REDIS_ADDR:-redis://{address}}}\""),
            "username: ${REDIS_USER:-}",
            "password: ${REDIS_PASSWORD:-}",
            "\"session:*\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        for secret in ["hunter", "watcher", "REDIS_URL"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        let report = check(text, variables);
        assert!(report.contains("works"), "{report}");
    }
}

#[test]
fn first_configuration_needs_no_server() {
    let dead = format!("redis://127.0.0.1:{}", port::free());
    let finished = run("init", Launch::new().variable("REDIS_URL", &dead));
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let why = "# The server was not scanned: refused";
    assert!(finished.stdout.contains(why), "{}", finished.stdout);
    let server = RedisServer::start(&[]);
    keys::write(&server, 0, 3, "call('SET', 'a' .. i, 'x')");
    check(&finished.stdout, &[("REDIS_URL", &server.url())]);
    let few = run("init", Launch::new().variable("REDIS_URL", &server.url()));
    assert!(few.stdout.contains("session:*"), "{}", few.stdout);
    check(&few.stdout, &[]);
}
