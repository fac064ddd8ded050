//! Slow commands, counted from poll to poll.

use crate::support::{Launch, Page, RedisServer};

/// Returns the durations of the DEBUG commands in the log of the server, newest first, in seconds. On
/// a busy machine, they take longer than they sleep, and other commands are slow too.
fn logged(server: &RedisServer) -> Vec<f64> {
    let log = server.ask(&["SLOWLOG", "GET", "-1"]);
    let lines: Vec<&str> = log.lines().collect();
    let of_debug = lines.windows(2).filter(|pair| pair[1] == "DEBUG");
    of_debug
        .map(|pair| pair[0].parse::<f64>().unwrap() / 1e6)
        .collect()
}

#[test]
fn slow_commands_are_counted_once_without_arguments() {
    // Only commands that take longer than this are slow.
    let server = RedisServer::start(&[
        "--slowlog-log-slower-than",
        "20000",
        "--enable-debug-command",
        "yes",
    ]);
    let sleep = || drop(server.ask(&["DEBUG", "SLEEP", "0.03"]));
    sleep();
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    ))
    .start();
    exporter.polls(2);
    // A poll may time out on a busy machine.
    let page = exporter.until("a successful poll", Page::is_up);
    let debug = [("cmd", "debug")];
    assert_eq!(page.value("redis_slow_commands_total", &debug), 0.0);
    assert_eq!(logged(&server).len(), 1);
    sleep();
    sleep();
    let page = exporter.until("both are counted", |page| {
        page.get("redis_slow_commands_total", &debug) == Some(2.0)
    });
    let seconds = page.value("redis_slow_commands_duration_seconds_total", &debug);
    let logged = logged(&server);
    let truth: f64 = logged[..2].iter().sum();
    assert!(truth >= 0.06, "{logged:?}");
    assert!((seconds - truth).abs() < 1e-6, "{seconds} {logged:?}");
    assert_eq!(page.value("redis_slow_commands_unseen_total", &[]), 0.0);
    server.ask(&["SLOWLOG", "RESET"]);
    sleep();
    let page = exporter.until("the third is counted, in a log of the length", |page| {
        let length: f64 = server.ask(&["SLOWLOG", "LEN"]).parse().unwrap();
        page.get("redis_slow_commands_total", &debug) == Some(3.0)
            && page.get("redis_slowlog_length", &[]) == Some(length)
    });
    assert!(!page.0.contains("SLEEP"));
}

#[test]
fn subcommands_and_commands_of_the_exporter_are_separate() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 200ms }}\ntargets: [{{ name: cache, url: '{}' }}]\n",
        server.url()
    ))
    .start();
    exporter.until("a successful poll", Page::is_up);
    server.ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    server.ask(&["CLIENT", "LIST"]);
    server.ask(&["SET", "secret", "value"]);
    let of = |name: &str, page: &Page, command: &str| page.get(name, &[("cmd", command)]);
    let page = exporter.until("the entries", |page| {
        of("redis_slow_commands_total", page, "client|list") == Some(1.0)
            && of("redis_slow_commands_total", page, "set") == Some(1.0)
            && of("redis_exporter_slow_commands_total", page, "info") >= Some(1.0)
    });
    let own = "redis_exporter_slow_commands_total";
    assert_eq!(of(own, &page, "set"), None);
    assert_eq!(of(own, &page, "client|list"), None);
    assert_eq!(of("redis_slow_commands_total", &page, "client"), None);
    assert!(!page.0.contains("secret"));
}
