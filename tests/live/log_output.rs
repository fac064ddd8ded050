//! Polls, scrapes, signals and exit statuses work even if standard error is not writable.

use std::io::{self, PipeReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use crate::support::wait::slack;
use crate::support::{Launch, Page, RedisServer, Stderr};

/// Maximum documented duration of a shutdown.
const END: Duration = Duration::from_secs(5);

fn dead_pipe() -> Stderr {
    let (_, writer) = io::pipe().unwrap();
    Stderr::Pipe(writer)
}

/// Returns a full pipe whose reader never reads.
fn full_pipe() -> (Stderr, PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    let mut filling = writer.try_clone().unwrap();
    let (progress, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // Ends when the test drops the reader.
        while filling.write_all(b"0123456789abcdef").is_ok() {
            let _ = progress.send(());
        }
    });
    while seen.recv_timeout(Duration::from_millis(500)).is_ok() {}
    (Stderr::Pipe(writer), reader)
}

/// Runs an exporter through an outage and then stops it.
fn survives_an_outage(situation: &str, stderr: Stderr, loses_lines: bool) {
    let mut server = RedisServer::start(&[]);
    let mut exporter = Launch::of(&server.url())
        .flag("--log-level=debug")
        .with_stderr(stderr)
        .start();
    exporter.until("the server", Page::is_up);
    server.kill();
    exporter.until_failed("refused");
    exporter.polls(3);
    assert_eq!(exporter.get("/-/healthy").status, 200, "{situation}");
    assert_eq!(exporter.get("/-/ready").status, 200, "{situation}");
    assert_eq!(exporter.reload().status, 200, "{situation}");
    server.restart(&[]);
    let page = exporter.until("the server again", Page::is_up);
    let lost = page.value("redis_exporter_log_lines_lost_total", &[]);
    assert_eq!(lost > 0.0, loses_lines, "{situation}: {lost} lines lost");
    let panics = page.all("redis_exporter_task_panics_total", &[]);
    assert!(panics.iter().all(|count| *count == 0.0), "{situation}");
    let panics = page.all("redis_exporter_service_panics_total", &[]);
    assert!(panics.iter().all(|count| *count == 0.0), "{situation}");
    exporter.process.signal("TERM");
    let (status, _) = exporter.process.wait(END + slack());
    assert_eq!(status.code(), Some(0), "{situation}");
}

#[test]
fn full_disk_loses_only_log_lines() {
    survives_an_outage("full disk", Stderr::File("/dev/full"), true);
}

#[test]
fn closed_stderr_does_not_affect_the_exporter() {
    // The Rust runtime opens /dev/null instead, so nothing is lost.
    survives_an_outage("closed", Stderr::Closed, false);
}

#[test]
fn broken_pipe_loses_only_log_lines() {
    survives_an_outage("dead pipe", dead_pipe(), true);
}

#[test]
fn unread_pipe_does_not_block_the_exporter() {
    let (stderr, _reader) = full_pipe();
    // The exporter loses no lines until its buffer is full.
    survives_an_outage("full pipe", stderr, false);
}

#[test]
fn startup_errors_keep_their_exit_status() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen: {}\n", taken.local_addr().unwrap());
    for situation in ["full disk", "closed", "dead pipe", "full pipe"] {
        let starts: [(i32, Launch); 4] = [
            (78, Launch::new().flag("--config=/nowhere/config.yaml")),
            (64, Launch::new().flag("--colour=red")),
            (1, Launch::configured(&listen).without_listen_flag()),
            (
                1,
                Launch::new()
                    .flag("--redis.addr=redis://127.0.0.1:1")
                    .flag("check"),
            ),
        ];
        for (expected, launch) in starts {
            let (full, _reader) = full_pipe();
            let stderr = match situation {
                "full disk" => Stderr::File("/dev/full"),
                "closed" => Stderr::Closed,
                "dead pipe" => dead_pipe(),
                _ => full,
            };
            let shown = format!("{situation}, expected {expected}");
            let finished = launch.with_stderr(stderr).run();
            assert_eq!(finished.status.code(), Some(expected), "{shown}");
        }
    }
}
