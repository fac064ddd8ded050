//! Clients that are slow, stuck, too many or broken do not harm others.

use super::{
    PATIENCE, Versions, always, connect, exchange, get, get_and_keep, page, parse, publish, rest,
    short_limits, start,
};
use crate::config::Web;
use crate::http::connections::{self, ConnectionLimits};
use crate::http::response;
use crate::http::{Gate, ReloadResult, bind};
use bytes::Bytes;
use hyper::StatusCode;
use proptest::prelude::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Writes until the server closes the connection.
async fn drip(stream: &mut TcpStream, every: Duration) -> Duration {
    let start = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "the server does not hang up");
        sleep(every).await;
    }
    start.elapsed()
}

#[tokio::test]
async fn slow_header_times_out() {
    let limits = short_limits();
    let server = start(limits).await;
    for _ in 0..2 {
        let mut silent = connect(server.address).await;
        silent
            .write_all(b"GET /metrics HTTP/1.1\r\nHost:")
            .await
            .unwrap();
        let start = Instant::now();
        assert!(rest(&mut silent).await.is_empty());
        assert!(
            start.elapsed() >= limits.times.request / 2,
            "{:?}",
            start.elapsed()
        );
        assert!(
            start.elapsed() < limits.times.idle / 2,
            "{:?}",
            start.elapsed()
        );
    }
    let mut dripping = connect(server.address).await;
    dripping
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: ")
        .await
        .unwrap();
    let took = drip(&mut dripping, limits.times.request / 10).await;
    assert!(took < limits.times.idle / 2, "{took:?}");
}

#[tokio::test]
async fn idle_connection_outlives_the_request_timeout() {
    let limits = short_limits();
    let server = start(limits).await;
    let mut stream = connect(server.address).await;
    for _ in 0..3 {
        sleep(limits.times.request * 2).await;
        assert!(
            get_and_keep(&mut stream, "/health")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
    // The second request on a connection has no more time than the first.
    stream.write_all(b"GET /").await.unwrap();
    let start = Instant::now();
    rest(&mut stream).await;
    assert!(start.elapsed() < limits.times.idle / 2);
}

#[tokio::test]
async fn idle_connection_times_out() {
    let mut limits = short_limits();
    limits.times.idle = Duration::from_millis(200);
    let server = start(limits).await;
    let mut fresh = connect(server.address).await;
    let mut used = connect(server.address).await;
    get_and_keep(&mut used, "/health").await;
    assert!(rest(&mut fresh).await.is_empty());
    assert!(rest(&mut used).await.is_empty());
}

#[tokio::test]
async fn client_that_stops_reading_times_out_alone() {
    let server = start(short_limits()).await;
    // More than the buffers of both sockets can store.
    let large = Bytes::from(vec![b'x'; 32 << 20]);
    server.board.set_page(
        always(Versions {
            text: large.clone(),
            gzip: Bytes::new(),
        }),
        Vec::new,
    );
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let mut stream = connect(server.address).await;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        stuck.push(stream);
    }
    let start = Instant::now();
    assert_eq!(get(server.address, "/health").await.status, 200);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    for mut stream in stuck {
        drip(&mut stream, Duration::from_millis(10)).await;
    }
    // On a busy machine, a client that reads all the time may be slow too.
    let mut read = 0;
    for _ in 0..50 {
        read = get(server.address, "/metrics").await.body.len();
        if read == large.len() {
            break;
        }
    }
    assert_eq!(read, large.len());
}

#[tokio::test]
async fn newest_connections_replace_the_oldest() {
    let server = start(ConnectionLimits {
        connections: 50,
        ..ConnectionLimits::default()
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..80 {
        let mut stream = connect(server.address).await;
        assert!(
            get_and_keep(&mut stream, "/health")
                .await
                .starts_with("HTTP/1.1 200")
        );
        streams.push(stream);
    }
    for stream in &mut streams[..30] {
        assert!(rest(stream).await.is_empty());
    }
    for stream in &mut streams[30..] {
        assert!(
            get_and_keep(stream, "/health")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
}

#[tokio::test]
async fn ended_connections_do_not_count() {
    let server = start(ConnectionLimits {
        connections: 2,
        ..short_limits()
    })
    .await;
    let mut kept = connect(server.address).await;
    get_and_keep(&mut kept, "/health").await;
    for _ in 0..20 {
        // The response only ends once the server has closed the connection.
        assert_eq!(get(server.address, "/health").await.status, 200);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(
        get_and_keep(&mut kept, "/health")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn oversized_head_is_rejected() {
    let server = start(short_limits()).await;
    let filler = "y".repeat(40_000);
    let header = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {filler}\r\n\r\n");
    assert_eq!(
        parse(&exchange(server.address, header.as_bytes()).await).status,
        431
    );
    let many = "X: y\r\n".repeat(200);
    let many = format!("GET /metrics HTTP/1.1\r\n{many}\r\n");
    assert_eq!(
        parse(&exchange(server.address, many.as_bytes()).await).status,
        431
    );
    let path = format!("GET /{filler} HTTP/1.1\r\n\r\n");
    let status = parse(&exchange(server.address, path.as_bytes()).await).status;
    assert!(matches!(status, 414 | 431), "{status}");
    let fits = format!(
        "GET /health HTTP/1.1\r\nX: {}\r\nConnection: close\r\n\r\n",
        &filler[..8000]
    );
    assert_eq!(
        parse(&exchange(server.address, fits.as_bytes()).await).status,
        200
    );
}

#[tokio::test]
async fn rejected_client_can_finish_sending() {
    let server = start(ConnectionLimits::default()).await;
    let mut stream = connect(server.address).await;
    let header = format!("GET /metrics HTTP/1.1\r\nX: {}", "y".repeat(40_000));
    stream.write_all(header.as_bytes()).await.unwrap();
    assert_eq!(parse(&rest(&mut stream).await).status, 431);
    for _ in 0..10 {
        stream.write_all(&[b'y'; 1000]).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn all_addresses_include_ipv4() {
    let listener = bind("[::]:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connecting = TcpStream::connect(("127.0.0.1", port));
    let (accepted, connected) = tokio::join!(listener.accept(), connecting);
    assert!(accepted.is_ok() && connected.is_ok());
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let handle = |request: hyper::Request<hyper::body::Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic");
        response::text(StatusCode::OK, "fine")
    };
    let gate = Gate::new(&Web::default()).unwrap();
    let server = tokio::spawn(async move {
        let never = std::future::pending();
        connections::run(listener, short_limits(), &gate, (handle, handle), never).await;
    });
    let mut other = connect(address).await;
    get_and_keep(&mut other, "/").await;
    assert!(
        exchange(address, b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .is_empty()
    );
    assert!(get_and_keep(&mut other, "/").await.ends_with("fine\n"));
    assert_eq!(get(address, "/").await.text(), "fine\n");
    server.abort();
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_finishes_requests() {
    let mut server = start(ConnectionLimits::default()).await;
    let address = server.address;
    let mut fresh = connect(address).await;
    let mut idle = connect(address).await;
    get_and_keep(&mut idle, "/health").await;
    let requesting = tokio::spawn(exchange(
        address,
        b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n",
    ));
    let reload = server.reloads.recv().await.unwrap();
    server.stop.send(()).unwrap();
    assert!(rest(&mut fresh).await.is_empty());
    assert!(rest(&mut idle).await.is_empty());
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!server.task.is_finished());
    reload
        .send(ReloadResult::Applied("finished".to_owned()))
        .unwrap();
    assert_eq!(parse(&requesting.await.unwrap()).text(), "finished\n");
    timeout(Duration::from_secs(3), server.task)
        .await
        .expect("drained")
        .unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_stuck_clients() {
    let limits = ConnectionLimits {
        drain: Duration::from_millis(300),
        ..ConnectionLimits::default()
    };
    let server = start(limits).await;
    server.board.set_page(
        always(Versions {
            text: Bytes::from(vec![b'x'; 32 << 20]),
            gzip: Bytes::new(),
        }),
        Vec::new,
    );
    let mut stuck = connect(server.address).await;
    stuck
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    stuck.read_exact(&mut [0; 8]).await.unwrap();
    let mut slow = connect(server.address).await;
    slow.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
    let start = Instant::now();
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.task)
        .await
        .expect("an end")
        .unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    drip(&mut stuck, Duration::from_millis(10)).await;
}

#[tokio::test]
async fn scrape_during_publishing_gets_a_complete_page() {
    let server = start(ConnectionLimits::default()).await;
    let board = server.board.clone();
    let slot = board.slot("a", "redis://a:1");
    board.list(vec![slot.clone()]);
    board.set_page(always(page("old\n", "")), Vec::new);
    let publishing = tokio::spawn(async move {
        for number in 0..2000 {
            let text = if number % 2 == 0 { "old\n" } else { "newer\n" };
            board.set_page(always(page(text, "")), Vec::new);
            publish(&slot, page(text, ""));
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..50 {
        let response = get(server.address, "/metrics").await;
        assert!(
            matches!(response.text(), "old\n" | "newer\n"),
            "{response:?}"
        );
        assert_eq!(
            response.header("content-length").unwrap(),
            response.body.len().to_string()
        );
    }
    publishing.await.unwrap();
}

/// Bytes that are invalid requests, nearly valid ones, or valid ones with odd parts.
fn request_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..400);
    let odd = (
        "[A-Z]{0,9}",
        "[ -~]{0,60}",
        "HTTP/[0-3]\\.[0-9]",
        "([ -~]{0,30}\r?\n){0,5}",
    )
        .prop_map(|(method, path, version, headers)| {
            format!("{method} /{path} {version}\r\n{headers}\r\n").into_bytes()
        });
    let probe = prop::collection::vec(any::<u8>(), 0..60).prop_map(|target| {
        [
            b"GET /probe?target=".as_slice(),
            &target,
            b" HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        .concat()
    });
    prop_oneof![noise, odd, probe]
}

#[test]
fn server_survives_any_bytes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(start(short_limits()));
    proptest!(|(bytes in request_bytes())| {
        let health = runtime.block_on(async {
            let mut stream = connect(server.address).await;
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let response = rest(&mut stream).await;
            assert!(response.is_empty() || response.starts_with(b"HTTP/1."), "{response:?}");
            get(server.address, "/health").await
        });
        prop_assert_eq!(health.status, 200);
    });
    assert!(!server.task.is_finished());
}
