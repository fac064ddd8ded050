//! Slow commands, counted from poll to poll.

use crate::support::{Launch, RedisServer};

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
    let page = exporter.polls(2);
    let debug = [("cmd", "debug")];
    assert_eq!(page.value("redis_slow_commands_total", &debug), 0.0);
    sleep();
    sleep();
    let page = exporter.until("both are counted", |page| {
        page.value("redis_slow_commands_total", &debug) == 2.0
    });
    let seconds = page.value("redis_slow_commands_duration_seconds_total", &debug);
    assert!((0.06..1.0).contains(&seconds), "{seconds}");
    assert_eq!(page.value("redis_slow_commands_unseen_total", &[]), 0.0);
    server.ask(&["SLOWLOG", "RESET"]);
    sleep();
    let page = exporter.until("the third is counted", |page| {
        page.value("redis_slow_commands_total", &debug) == 3.0
    });
    assert_eq!(page.value("redis_slowlog_length", &[]), 1.0);
    assert!(!page.0.contains("SLEEP"));
}
