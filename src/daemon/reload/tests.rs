//! Reloads with files on disk, and with hanging files.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc as blocking;
use std::thread;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::*;

/// Longer than any operation in these tests.
const PATIENCE: Duration = Duration::from_secs(60);

const ONE: &str = "targets:\n- {name: a, url: \"unix:///nonexistent/a.sock\"}\n";
const TWO: &str = "targets:\n- {name: a, url: \"unix:///nonexistent/a.sock\"}\n\
                   - {name: b, url: \"unix:///nonexistent/b.sock\"}\n";

fn file(folder: &TempDir, yaml: &str) -> PathBuf {
    let path = folder.path().join("config.yaml");
    fs::write(&path, yaml).unwrap();
    path
}

fn arguments(path: PathBuf) -> Arguments {
    Arguments {
        config: Some(path),
        ..Arguments::default()
    }
}

/// Returns a reloader for this file, with running targets.
fn reloader(path: PathBuf) -> Reloader {
    let arguments = arguments(path);
    let config = config::load(&arguments, &|_| None, &collector::names()).unwrap();
    let (board, telemetry) = (Board::default(), Telemetry::new(false).unwrap());
    let mut reloader = Reloader {
        board: board.clone(),
        arguments,
        fleet: Fleet::new(board, telemetry.clone()),
        discovered: Discovered::new(Requested::default(), telemetry.clone()),
        telemetry,
        names: Arc::new(ArcSwap::from_pointee(config.names.clone())),
        gate: http::Gate::new(&config.web).unwrap(),
        config,
    };
    reloader.start();
    reloader
}

fn targets(board: &Board) -> Vec<String> {
    let slots = board.slots();
    slots.iter().map(|slot| slot.name.clone()).collect()
}

#[tokio::test]
async fn reload_applies_valid_file_and_keeps_it_after_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let mut reloader = reloader(file(&folder, ONE));
    let board = reloader.board.clone();
    assert_eq!(targets(&board), ["a"]);
    file(&folder, TWO);
    let summary = reloader.reload().await.unwrap();
    assert_eq!(summary, "targets: 1 started, 0 ended, 1 kept");
    assert_eq!(targets(&board), ["a", "b"]);
    file(&folder, "targets: [{name: a, url: 7}]\nintervall: 1s\n");
    assert!(reloader.reload().await.is_err());
    assert_eq!(targets(&board), ["a", "b"]);
}

#[tokio::test]
async fn one_reload_completes_all_pending_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut reloader = reloader(file(&folder, ONE));
    file(&folder, TWO);
    let (sender, mut requests) = mpsc::channel(8);
    let mut replies = Vec::new();
    for _ in 0..3 {
        let (reply, result) = oneshot::channel();
        sender.send(reply).await.unwrap();
        replies.push(result);
    }
    drop(sender);
    reloader.run(&mut requests).await;
    for reply in replies {
        // A second reload would have kept both.
        let expected = "targets: 1 started, 0 ended, 1 kept".to_owned();
        assert_eq!(reply.await.unwrap(), ReloadResult::Applied(expected));
    }
}

/// This test has one thread, which also serves. A file is read twice, a quarter of a second apart.
#[tokio::test]
async fn reload_reads_files_off_the_serving_thread() {
    let folder = tempfile::tempdir().unwrap();
    let mut reloader = reloader(file(&folder, ONE));
    let mut reload = Box::pin(reloader.reload());
    let first_wait = timeout(Duration::from_millis(1), &mut reload);
    assert!(
        first_wait.await.is_err(),
        "it waits, and the thread is free"
    );
    reload.await.unwrap();
}

#[tokio::test]
async fn files_are_read_on_another_thread() {
    let read = aside(|| Ok(thread::current().id()));
    let thread = timeout(PATIENCE, read).await.unwrap().unwrap();
    assert_ne!(thread, thread::current().id());
}

#[tokio::test(start_paused = true)]
async fn reload_of_a_hanging_file_times_out() {
    let (release, hang) = blocking::channel::<()>();
    let started = Instant::now();
    let result = aside(move || {
        let _ = hang.recv();
        Ok(())
    });
    let error = result.await.unwrap_err();
    assert!(matches!(error, ReloadError::Late), "{error}");
    assert!(started.elapsed() >= RELOAD_MAX);
    drop(release);
}

#[test]
fn lost_settings_are_rejected() {
    let web = "web: {basic_auth: {username: u, password: p}, reload: false}\n";
    let whole = format!("{ONE}{web}");
    for (new, loss) in [
        ("", "is empty"),
        (web, "has no `targets`"),
        (ONE, "has no `web.basic_auth` and has no `web.reload`"),
    ] {
        let refused = refuse_losses(&config::of_text(&whole), &config::of_text(new));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(loss), "{new}: {refused}");
    }
    assert!(refuse_losses(&config::of_text(&whole), &config::of_text(&whole)).is_ok());
    assert!(refuse_losses(&config::of_text(ONE), &config::of_text(&whole)).is_ok());
    assert!(refuse_losses(&config::of_text(""), &config::of_text(ONE)).is_ok());
}

#[test]
fn changed_startup_settings_are_reported() {
    let old = config::of_text(ONE);
    let new = "listen: 127.0.0.1:9\ntelemetry_path: /m\nprocess_metrics: false\n\
               scrape_endpoint: false\nlog: {level: debug}\n";
    let changed = changed_at_start_only(&config::of_text(&format!("{ONE}{new}")), &old);
    let keys = [
        "listen",
        "log",
        "telemetry_path",
        "scrape_endpoint",
        "process_metrics",
    ];
    assert_eq!(changed, keys);
    assert!(changed_at_start_only(&old, &old).is_empty());
}

#[tokio::test]
async fn reload_keeps_the_servers_of_a_source_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.json");
    fs::write(&list, r#"[{"targets": ["127.0.0.1:1", "127.0.0.1:2"]}]"#).unwrap();
    let source = format!("targets_from: [{{name: s, file: '{}'}}]", list.display());
    let mut reloader = reloader(file(&folder, &source));
    reloader.discovered.next().await;
    reloader.apply_lists();
    let names = ["s/127.0.0.1:1", "s/127.0.0.1:2"];
    assert_eq!(targets(&reloader.board), names);
    // The list cannot be read now.
    fs::write(&list, "[").unwrap();
    let unrelated = "credentials: [{hosts: [other], password: x}]";
    file(&folder, &format!("{source}\n{unrelated}"));
    let summary = reloader.reload().await.unwrap();
    assert_eq!(summary, "targets: 0 started, 0 ended, 2 kept");
    let credentials = "credentials: [{hosts: ['127.0.0.0/8'], password: x}]";
    file(&folder, &format!("{source}\n{credentials}"));
    let summary = reloader.reload().await.unwrap();
    assert_eq!(summary, "targets: 2 started, 2 ended, 0 kept");
    assert_eq!(targets(&reloader.board), names);
    // Another list has other servers.
    file(&folder, "targets_from: [{name: s, dns: 'localhost:1'}]");
    let summary = reloader.reload().await.unwrap();
    assert_eq!(summary, "targets: 0 started, 2 ended, 0 kept");
}
