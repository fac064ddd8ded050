//! The response of each route.

use super::{
    PATIENCE, Server, always, exchange, get, in_format, page, parse, publish, request,
    short_limits, start, start_at,
};
use crate::config::{Paths, Web};
use crate::encode::{Form, Format, PageWriter};
use crate::http::connections::ConnectionLimits;
use crate::http::routes::{SCRAPE_REQUEST_ERRORS, SCRAPES};
use crate::http::{Gate, ReloadResult};
use crate::publish::Attributes;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tokio::io::AsyncWriteExt;

/// Starts a server with two targets, one of which was polled.
async fn with_targets() -> Server {
    let server = start(ConnectionLimits::default()).await;
    let cache = server.board.slot("cache", "redis://cache.example:6379");
    publish(&cache, page("up 1\n", "zipped"));
    let new = server.board.slot("new", "redis://new.example:6379");
    server.board.list(vec![cache, new]);
    server
        .board
        .set_page(always(page("all 1\n", "all zipped")), Vec::new);
    server
}

#[tokio::test]
async fn scraper_gets_the_requested_format() {
    let server = with_targets().await;
    let written = |format| {
        page(
            if format == Format::Text {
                "text\n"
            } else {
                "open\n"
            },
            "",
        )
    };
    server.board.set_page(in_format(written), Vec::new);
    let cache = server.board.find("cache").unwrap();
    cache.set_page(in_format(written));
    for path in ["/metrics", "/probe?target=cache"] {
        for (accept, body, media_type) in [
            (
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                "open\n",
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            ),
            ("*/*", "text\n", "text/plain; version=0.0.4; charset=utf-8"),
        ] {
            let header = format!("Accept: {accept}\r\n");
            let response = request(server.address, "GET", path, &header).await;
            assert_eq!(response.text(), body, "{path} {accept}");
            assert_eq!(response.header("content-type"), Some(media_type));
        }
    }
}

#[tokio::test]
async fn metrics_are_the_page_of_all_targets() {
    let server = with_targets().await;
    let response = get(server.address, "/metrics").await;
    assert_eq!((response.status, response.text()), (200, "all 1\n"));
    assert_eq!(
        response.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(response.header("content-length"), Some("6"));
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(server.telemetry.counted(SCRAPES, []), 1);
}

#[tokio::test]
async fn page_is_compressed_if_the_client_accepts_gzip() {
    let server = with_targets().await;
    let response = request(
        server.address,
        "GET",
        "/metrics",
        "Accept-Encoding: gzip\r\n",
    )
    .await;
    assert_eq!((response.status, response.text()), (200, "all zipped"));
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
    let refused = request(
        server.address,
        "GET",
        "/metrics",
        "Accept-Encoding: *, gzip;q=0\r\n",
    )
    .await;
    assert_eq!(
        (refused.text(), refused.header("content-encoding")),
        ("all 1\n", None)
    );
    server
        .board
        .set_page(always(page("plain only\n", "")), Vec::new);
    let plain = request(
        server.address,
        "GET",
        "/metrics",
        "Accept-Encoding: gzip\r\n",
    )
    .await;
    assert_eq!(
        (plain.text(), plain.header("content-encoding")),
        ("plain only\n", None)
    );
    server.board.clear_pages();
    let none = request(server.address, "GET", "/metrics", "").await;
    assert_eq!(none.status, 503, "no page is not an empty one");
}

#[tokio::test]
async fn page_of_hundreds_of_targets_is_decompressed_for_clients_without_gzip() {
    let server = with_targets().await;
    let text = "redis_up{target=\"cache\"} 1\n".repeat(10_000);
    let expected = text.clone();
    let write = move |form: Form| {
        assert!(form.is_compressed, "the text is never kept");
        let mut page = PageWriter::new(form);
        page.text().extend_from_slice(text.as_bytes());
        page.finish()
    };
    let cache = server.board.find("cache").unwrap();
    let shown = vec![(cache, SystemTime::now()); 200];
    server.board.set_page(write, || shown);
    let plain = get(server.address, "/metrics").await;
    assert_eq!((plain.status, plain.text()), (200, expected.as_str()));
    assert_eq!(plain.header("content-encoding"), None);
    let length = expected.len().to_string();
    assert_eq!(plain.header("content-length"), Some(length.as_str()));
    let gzip = "Accept-Encoding: gzip\r\n";
    let packed = request(server.address, "GET", "/metrics", gzip).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < expected.len() / 20);
}

#[tokio::test]
async fn one_target_is_served_by_name_and_by_address() {
    let server = with_targets().await;
    for path in [
        "/probe?target=cache",
        "/scrape?target=cache",
        "/probe?module=x&target=redis%3A%2F%2Fcache.example%3A6379",
        "/scrape?target=redis://cache.example:6379",
        "/scrape?target=cache.example:6379",
        "/scrape?target=redis://user:hunter2@cache.example:6379",
    ] {
        let response = get(server.address, path).await;
        assert_eq!(
            (response.status, response.text()),
            (200, "up 1\n"),
            "{path}"
        );
        assert!(!response.head.contains("hunter2"));
    }
    let zipped = request(
        server.address,
        "GET",
        "/probe?target=cache",
        "Accept-Encoding: *\r\n",
    )
    .await;
    assert_eq!(zipped.text(), "zipped");
    assert_eq!(server.telemetry.counted(SCRAPES, []), 7);
    assert_eq!(server.telemetry.counted(SCRAPE_REQUEST_ERRORS, []), 0);
}

#[tokio::test]
async fn failed_probe_has_a_reason_and_is_counted() {
    let server = with_targets().await;
    for (path, status, words) in [
        ("/probe", 400, "`target` is missing"),
        ("/scrape?target=", 400, "`target` is missing"),
        (
            "/probe?target=other",
            404,
            "only configured targets are polled",
        ),
        (
            "/scrape?target=redis://u:hunter2@other:1/hunter2",
            404,
            "Add it under `targets:`",
        ),
        ("/probe?target=new", 503, "not been polled yet"),
    ] {
        let response = get(server.address, path).await;
        assert_eq!(response.status, status, "{path}");
        assert!(
            response.text().contains(words),
            "{path}: {}",
            response.text()
        );
        assert!(!format!("{response:?}").contains("hunter2"), "{response:?}");
        assert_eq!(
            response.header("retry-after").is_some(),
            status == 503,
            "{path}"
        );
    }
    assert_eq!(server.telemetry.counted(SCRAPE_REQUEST_ERRORS, []), 5);
    assert_eq!(server.telemetry.counted(SCRAPES, []), 0);
}

#[tokio::test]
async fn ready_requires_a_poll_of_every_target() {
    let server = with_targets().await;
    let waiting = get(server.address, "/-/ready").await;
    assert_eq!(
        (waiting.status, waiting.header("retry-after")),
        (503, Some("5"))
    );
    assert!(waiting.text().contains("1 of 2"), "{}", waiting.text());
    for slot in server.board.slots().iter() {
        publish(slot, page("", ""));
    }
    assert_eq!(get(server.address, "/-/ready").await.status, 503);
    server.board.set_shown(server.board.slots());
    assert_eq!(get(server.address, "/-/ready").await.status, 200);
}

#[tokio::test]
async fn health_does_not_depend_on_targets() {
    let server = with_targets().await;
    for path in ["/-/healthy", "/health"] {
        let response = get(server.address, path).await;
        assert_eq!((response.status, response.text()), (200, "ok\n"));
    }
    let address = server.address;
    let health = tokio::task::spawn_blocking(move || crate::http::health(address)).await;
    assert!(health.unwrap().is_ok());
}

#[tokio::test]
async fn index_lists_targets_and_loads_only_its_own_files() {
    let server = with_targets().await;
    for path in ["/", "/targets/cache"] {
        let response = get(server.address, path).await;
        assert_eq!(response.status, 200);
        assert_eq!(
            response.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        assert!(response.text().contains("cache.example:6379"));
        for loaded in [
            "http://", "https://", "@import", "url(", "<style", " style=",
        ] {
            assert!(!response.text().contains(loaded), "{loaded}");
        }
        let root = if path == "/" { "" } else { "../" };
        let text = response.text();
        let sources = text.split("src=\"").skip(1);
        let sources: Vec<_> = sources.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(sources.len(), 1, "{sources:?}");
        assert!(sources[0].starts_with(&format!("{root}assets/page.js?")));
    }
}

#[tokio::test]
async fn pages_and_their_files_have_their_types() {
    let server = with_targets().await;
    for (path, status, content_type) in [
        ("/assets/page.css", 200, "text/css; charset=utf-8"),
        ("/assets/page.js?1", 200, "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", 200, "image/svg+xml"),
        ("/assets/", 404, "text/plain; charset=utf-8"),
        ("/assets/../page.css", 404, "text/plain; charset=utf-8"),
        ("/api/v1/targets", 200, "application/json"),
        ("/api/v1/targets/cache", 200, "application/json"),
        ("/api/v1/targets/%63ache", 200, "application/json"),
        ("/api/v1/targets/missing", 404, "text/plain; charset=utf-8"),
        ("/api/v1/targets/", 404, "text/plain; charset=utf-8"),
        ("/targets/missing", 404, "text/plain; charset=utf-8"),
        ("/runbooks/RedisDown", 200, "text/html; charset=utf-8"),
        ("/runbooks/Missing", 404, "text/plain; charset=utf-8"),
        (
            "/probe?target=cache&debug=1",
            200,
            "text/plain; charset=utf-8",
        ),
    ] {
        let response = get(server.address, path).await;
        assert_eq!(response.status, status, "{path}");
        assert_eq!(
            response.header("content-type"),
            Some(content_type),
            "{path}"
        );
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(server.telemetry.counted(SCRAPES, []), 0);
}

#[tokio::test]
async fn requested_target_has_pages_and_a_record() {
    let server = start(ConnectionLimits::default()).await;
    let slot = server.board.slot("scrape/h:6379", "redis://h:6379");
    slot.describe(Attributes::default().requested(true));
    publish(&slot, page("up 1\n", ""));
    server.board.list(vec![slot]);
    let index = get(server.address, "/").await;
    assert!(index.text().contains("\"targets/scrape%2Fh:6379\""));
    for path in [
        "/targets/scrape%2Fh:6379",
        "/api/v1/targets/scrape%2Fh:6379",
        "/probe?target=scrape/h:6379&debug=1",
        "/scrape?target=redis://h&debug=1",
    ] {
        let response = get(server.address, path).await;
        assert_eq!(response.status, 200, "{path}");
        assert!(response.text().contains("h:6379"), "{path}");
    }
    let other = get(server.address, "/probe?target=other&debug=1").await;
    assert_eq!(other.status, 404);
}

#[tokio::test]
async fn malformed_parameters_are_rejected() {
    let server = with_targets().await;
    for (path, status, text) in [
        ("/api/v1/targets?limit=abc", 400, "The parameter `limit` "),
        ("/api/v1/targets?limit=0", 400, "from 1 to 1000; leave it"),
        ("/api/v1/targets?limit=1001", 400, "The parameter `limit` "),
        ("/api/v1/targets?offset=-1", 400, "The parameter `offset` "),
        ("/?offset=1.5", 400, "The parameter `offset` "),
        ("/?limit=abc", 400, "The parameter `limit` "),
        (
            "/probe?target=cache&debug=yes",
            400,
            "The parameter `debug`",
        ),
        ("/scrape?target=cache&debug=2", 400, "The parameter `debug`"),
        ("/probe?debug=1", 400, "The parameter `target` is missing"),
        // As those of blackbox_exporter.
        ("/probe?target=cache&debug=true", 200, "Target cache "),
        ("/probe?target=cache&debug=false", 200, "up 1"),
        // Empty ones count as missing, and only the first one of a name counts.
        ("/api/v1/targets?limit=&offset=", 200, "\"limit\":30"),
        ("/api/v1/targets?limit=7&limit=abc", 200, "\"limit\":7"),
        // Unknown ones are ignored everywhere.
        ("/metrics?limit=abc", 200, "all 1"),
        ("/scrape?target=cache&check-keys=a*", 200, "up 1"),
        ("/api/v1/targets?Limit=abc&x", 200, "\"limit\":30"),
        ("/api/v1/targets/cache?limit=abc", 200, "\"name\":\"cache\""),
        ("/-/healthy?verbose", 200, "ok"),
    ] {
        let response = get(server.address, path).await;
        assert_eq!(response.status, status, "{path}");
        let given = response.text();
        assert!(given.contains(text), "{path}: {given}");
        if status == 400 {
            assert_eq!(given.lines().count(), 1, "{path}: {given}");
        }
    }
    let errors = server.telemetry.counted(SCRAPE_REQUEST_ERRORS, []);
    assert_eq!(errors, 2, "records are not scrapes");
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let server = with_targets().await;
    for path in [
        "/metrics/",
        "/Metrics",
        "//",
        "/-/",
        "/-/quit",
        "/favicon.ico",
        "/../metrics",
    ] {
        assert_eq!(get(server.address, path).await.status, 404, "{path}");
    }
    assert_eq!(
        request(server.address, "OPTIONS", "*", "").await.status,
        404
    );
    assert_eq!(
        request(server.address, "CONNECT", "example.com:443", "")
            .await
            .status,
        404
    );
    assert_eq!(
        request(server.address, "POST", "/nowhere", "").await.status,
        404
    );
}

#[tokio::test]
async fn only_reload_accepts_post() {
    let server = with_targets().await;
    for path in [
        "/",
        "/targets/cache",
        "/api/v1/targets",
        "/api/v1/targets/cache",
        "/runbooks/RedisDown",
        "/assets/page.css",
        "/metrics",
        "/probe",
        "/scrape",
        "/health",
        "/-/healthy",
        "/-/ready",
    ] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            let response = request(server.address, method, path, "").await;
            assert_eq!(
                (response.status, response.header("allow")),
                (405, Some("GET, HEAD")),
                "{path}"
            );
        }
    }
    for method in ["GET", "HEAD", "PUT"] {
        let response = request(server.address, method, "/-/reload", "").await;
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some("POST")),
            "{method}"
        );
    }
    assert_eq!(server.telemetry.counted(SCRAPES, []), 0);
}

#[tokio::test]
async fn head_responds_like_get_without_a_body() {
    let server = with_targets().await;
    for path in [
        "/",
        "/metrics",
        "/probe?target=cache",
        "/probe",
        "/health",
        "/-/ready",
        "/x",
    ] {
        let whole = get(server.address, path).await;
        let head = request(server.address, "HEAD", path, "").await;
        assert_eq!(head.status, whole.status, "{path}");
        assert_eq!(
            head.header("content-length"),
            Some(whole.body.len().to_string().as_str())
        );
        assert!(head.body.is_empty() && !whole.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn writing_a_page_delays_no_other_scrape() {
    const OPENMETRICS: &str = "Accept: application/openmetrics-text\r\n";
    let server = with_targets().await;
    let address = server.address;
    let (go, wait) = std::sync::mpsc::channel();
    let wait = Arc::new(Mutex::new(wait));
    // This test has one thread. Writing a page on it would block the test forever.
    let write = move |format| {
        if format == Format::OpenMetrics {
            wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        page("# EOF\n", "")
    };
    server.board.slots()[0].set_page(in_format(write.clone()));
    server.board.set_page(in_format(write), Vec::new);
    let first = format!("/probe?target={}", server.board.slots()[0].name);
    for path in ["/metrics".to_owned(), first] {
        let slow = path.clone();
        let slow = tokio::spawn(async move { request(address, "GET", &slow, OPENMETRICS).await });
        tokio::task::yield_now().await;
        assert_eq!(get(address, &path).await.status, 200);
        go.send(()).unwrap();
        assert_eq!(slow.await.unwrap().status, 200, "{path}");
    }
}

#[tokio::test]
async fn reload_returns_the_summary_or_the_problems() {
    let mut server = with_targets().await;
    let address = server.address;
    for (outcome, status, words) in [
        (
            ReloadResult::Applied("1 target added".to_owned()),
            200,
            "1 target added\n",
        ),
        (
            ReloadResult::Rejected("line 3: no such key".to_owned()),
            500,
            "line 3: no such key\n",
        ),
    ] {
        let requesting =
            tokio::spawn(async move { request(address, "POST", "/-/reload", "").await });
        server.reloads.recv().await.unwrap().send(outcome).unwrap();
        let response = requesting.await.unwrap();
        assert_eq!((response.status, response.text()), (status, words));
    }
    let requesting = tokio::spawn(async move { request(address, "POST", "/-/reload", "").await });
    drop(server.reloads.recv().await.unwrap());
    assert_eq!(requesting.await.unwrap().status, 503);
    drop(server.reloads);
    assert_eq!(request(address, "POST", "/-/reload", "").await.status, 503);
}

#[tokio::test]
async fn request_body_is_never_read() {
    let mut server = start(short_limits()).await;
    let address = server.address;
    let responding = tokio::spawn(async move {
        while let Some(reply) = server.reloads.recv().await {
            reply
                .send(ReloadResult::Applied("done".to_owned()))
                .unwrap();
        }
    });
    for framing in [
        "Content-Length: 1000000000000",
        "Transfer-Encoding: chunked",
    ] {
        let head = format!("POST /-/reload HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n");
        let mut request = head.into_bytes();
        request.extend_from_slice(b"100000\r\n");
        request.resize(1_000_000, b'x');
        let response = parse(&exchange(address, &request).await);
        assert_eq!(
            (response.status, response.text()),
            (200, "done\n"),
            "{framing}"
        );
    }
    let tiny =
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\
        Connection: close\r\n\r\n{}";
    assert_eq!(parse(&exchange(address, tiny).await).status, 200);
    responding.abort();
}

#[tokio::test]
async fn pipelined_requests_get_responses_in_order() {
    let server = with_targets().await;
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n\
        HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n\
        GET /probe?target=cache HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let bytes = exchange(server.address, requests.as_bytes()).await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert_eq!(text.matches("all 1\n").count(), 1, "{text}");
    assert!(text.ends_with("\r\n\r\nup 1\n"), "{text}");
}

#[tokio::test]
async fn half_closed_client_still_gets_its_response() {
    let mut server = with_targets().await;
    let mut stream = super::connect(server.address).await;
    stream
        .write_all(b"POST /-/reload HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let reload = server.reloads.recv().await.unwrap();
    // The responses to other requests show that the server had time to see the end.
    for _ in 0..3 {
        get(server.address, "/health").await;
    }
    reload
        .send(ReloadResult::Applied("done".to_owned()))
        .unwrap();
    assert_eq!(parse(&super::rest(&mut stream).await).text(), "done\n");
}

#[tokio::test]
async fn paths_are_configurable() {
    let paths = Paths {
        telemetry: "/m".to_owned(),
        has_scrape: false,
    };
    let gate = Gate::new(&Web::default()).unwrap();
    let server = start_at(ConnectionLimits::default(), gate, paths).await;
    server
        .board
        .set_page(always(page("redis_up 1\n", "")), Vec::new);
    assert_eq!(get(server.address, "/m").await.status, 200);
    for path in ["/metrics", "/scrape?target=x", "/probe?target=x"] {
        assert_eq!(get(server.address, path).await.status, 404, "{path}");
    }
    assert_eq!(request(server.address, "POST", "/m", "").await.status, 405);
    assert_eq!(
        request(server.address, "POST", "/scrape", "").await.status,
        404
    );
}
