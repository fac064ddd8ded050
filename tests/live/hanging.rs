//! Resolvers and file systems that hang for many targets at once.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use crate::support::wait::slack;
use crate::support::{Exporter, Launch, Page, RedisServer};

/// Maximum time for the exporter to stop.
const END: Duration = Duration::from_secs(5);

/// Number of host names that hang.
const NAMES: usize = 60;

/// Number of password files that hang.
const FILES: usize = 25;

/// Maximum number of threads, however many names hang.
const THREADS_FOR_NAMES: f64 = 110.0;

/// Maximum number of threads, however many files hang.
const THREADS_FOR_FILES: f64 = 40.0;

fn is_up(page: &Page, name: &str) -> bool {
    page.get("redis_up", &[("target", name)]) == Some(1.0)
}

fn polls_and_pages_go_on(exporter: &Exporter, healthy: &[&str], failing: usize, threads_max: f64) {
    for name in healthy {
        exporter.until(name, |page| is_up(page, name));
    }
    let failures = |page: &Page| {
        let all = page.all("redis_up", &[]);
        all.iter().filter(|up| **up == 0.0).count()
    };
    exporter.until("failures of hanging targets", |page| {
        failures(page) >= failing
    });
    for name in healthy {
        let page = exporter.polls_of(name, 5);
        assert!(is_up(&page, name), "{name}: {}", exporter.log());
        let threads = page.value("process_threads", &[]);
        assert!(threads <= threads_max, "{threads} threads");
    }
    assert_eq!(exporter.get("/-/healthy").status, 200);
}

#[test]
fn hanging_resolver_does_not_delay_other_targets() {
    // Resolvers use port 53, which is free on this loopback address.
    let Ok(resolver) = UdpSocket::bind("127.0.0.77:53") else {
        eprintln!("left out: binding port 53 and mounting need root");
        return;
    };
    let server = RedisServer::start(&[]);
    let mut targets = vec![format!("- {{ name: address, url: '{}' }}\n", server.url())];
    targets.extend(
        (0..NAMES).map(|at| {
            format!("- {{ name: hangs{at}, url: 'redis://host{at}.example.test:6379' }}\n")
        }),
    );
    // This target is queued behind all names that hang, and each of them hangs for a minute.
    targets.push(format!(
        "- {{ name: hosts, url: 'redis://localhost:{}' }}\n",
        server.port
    ));
    let targets = targets.concat();
    let mut exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms, timeout: 500ms }}\ntargets:\n{targets}"
    ))
    .with_resolver("nameserver 127.0.0.77\noptions timeout:30 attempts:2\n")
    .start();
    polls_and_pages_go_on(&exporter, &["address", "hosts"], NAMES, THREADS_FOR_NAMES);
    let mut query = [0; 512];
    assert!(
        resolver.recv(&mut query).unwrap() > 0,
        "the resolver received no query"
    );
    exporter.process.signal("TERM");
    let (status, _) = exporter.process.wait(END + slack());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn hanging_password_files_do_not_delay_other_targets() {
    let server = RedisServer::start(&["--requirepass", "hunter2"]);
    let launch = Launch::new();
    let good = launch.file("good");
    std::fs::write(&good, "hunter2").unwrap();
    let target = |name: &str, file: &std::path::Path| {
        let (url, file) = (server.url(), file.display());
        format!("- {{ name: {name}, url: '{url}', password_file: {file} }}\n")
    };
    let mut targets = vec![target("good", &good)];
    let mut hanging = Vec::new();
    for at in 0..FILES {
        let path = launch.file(&format!("hangs{at}"));
        std::fs::write(&path, "hunter2").unwrap();
        targets.push(target(&format!("hangs{at}"), &path));
        hanging.push(path);
    }
    let configuration = launch.file("targets.yaml");
    let targets = targets.concat();
    std::fs::write(
        &configuration,
        format!(
            "sweep: {{ enabled: false }}\npoll: {{ interval: 1s, timeout: 1s }}\n\
             targets:\n{targets}"
        ),
    )
    .unwrap();
    let exporter = launch
        .flag(&format!("--config={}", configuration.display()))
        .start();
    exporter.until("all targets", |page| {
        (0..FILES).all(|at| is_up(page, &format!("hangs{at}")))
    });
    // Opening a pipe without a writer blocks forever, like a file on a dead mount.
    for path in &hanging {
        std::fs::remove_file(path).unwrap();
    }
    let made = Command::new("mkfifo").args(&hanging).status();
    assert!(made.unwrap().success());
    server.ask_as("hunter2", &["CLIENT", "KILL", "TYPE", "normal"]);
    polls_and_pages_go_on(&exporter, &["good"], 4, THREADS_FOR_FILES);
}
