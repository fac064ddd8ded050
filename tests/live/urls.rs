//! URLs in the formats that applications use.

use crate::support::{Launch, Page, RedisServer, http};

const PASSWORD: &str = "hunter2";

#[test]
fn client_library_urls_reach_the_server() {
    let server = RedisServer::start(&["--requirepass", PASSWORD]);
    let (address, port) = (server.address(), server.port);
    for (url, expected) in [
        (
            format!("redis://:{PASSWORD}@{address}/0/?family=0&timeout=5"),
            "REDIS_URL has parameters that are ignored: family, timeout; use poll.timeout",
        ),
        (
            format!("tcp://{address}?password={PASSWORD}&database=0"),
            "",
        ),
        (
            format!("\"redis://:{PASSWORD}@{address}?ssl_cert_reqs=none\"\r\n"),
            "REDIS_URL is in quotes",
        ),
        (
            format!("redis://{PASSWORD}@{address}"),
            "write redis://:password@host",
        ),
        (
            format!("127.0.0.1:{port},password={PASSWORD},abortConnect=False"),
            "ignored: abortConnect",
        ),
    ] {
        let exporter = Launch::new().variable("REDIS_URL", &url).start();
        let page = exporter.page();
        let log = exporter.log();
        assert!(page.is_up(), "{url}: {log}");
        assert!(log.contains(expected), "{url}: {log}");
        let warnings = log.lines().filter(|line| line.contains("REDIS_URL"));
        assert_eq!(warnings.count(), usize::from(!expected.is_empty()), "{log}");
        assert!(!log.contains(PASSWORD), "{log}");
        assert!(
            !http::get(exporter.port, "/")
                .unwrap()
                .text()
                .contains(PASSWORD)
        );
    }
}

#[test]
fn line_ends_are_removed_from_variables() {
    let server = RedisServer::start(&["--requirepass", PASSWORD]);
    let exporter = Launch::new()
        .variable("REDIS_ADDR", &format!("{}\n", server.address()))
        .variable("REDIS_PASSWORD", &format!("{PASSWORD}\r\n"))
        .start();
    exporter.until("the server is up", Page::is_up);
}

#[test]
fn second_server_in_redis_addr_logs_one_warning() {
    let server = RedisServer::start(&[]);
    let exporter = Launch::new()
        .variable("REDIS_URL", &server.url())
        .variable("REDIS_ADDR", "redis://elsewhere:6379")
        .start();
    assert!(exporter.page().is_up());
    let log = exporter.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains("REDIS_ADDR is not used"));
    assert_eq!(warnings.count(), 1, "{log}");
}
