//! Targets that sources name while the exporter runs.

use std::fs;
use std::path::Path;

use crate::support::wait::LONG;
use crate::support::{Exporter, Launch, Page, RedisServer, until};

/// Replaces a file at once, like a careful author of target files.
fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::rename(&draft, path).unwrap();
}

fn listed(addresses: &[String]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|one| format!("{one:?}")).collect();
    format!("[{{\"targets\": [{}]}}]", quoted.join(", "))
}

fn name(server: &RedisServer) -> String {
    format!("s/{}", server.address())
}

fn is_up(page: &Page, target: &str) -> bool {
    page.get("redis_up", &[("target", target)]) == Some(1.0)
}

fn success(page: &Page) -> Option<f64> {
    page.get("redis_exporter_discovery_success", &[("discovery", "s")])
}

fn in_state(page: &Page, state: &str) -> Option<f64> {
    let labels = [("discovery", "s"), ("state", state)];
    page.get("redis_exporter_discovery_targets", &labels)
}

/// Starts an exporter whose source `s` is this file. The file has these servers.
fn start(file: &Path, servers: &[&RedisServer]) -> Exporter {
    let addresses: Vec<_> = servers.iter().map(|server| server.address()).collect();
    replace(file, &listed(&addresses));
    let text = configuration(file);
    Launch::configured(&text).start()
}

fn configuration(file: &Path) -> String {
    let file = file.display();
    format!(
        "poll: {{ interval: 500ms }}\n\
         targets_from: [{{ name: s, file: {file}, interval: 1s }}]\n"
    )
}

fn until_without_connections(server: &RedisServer) {
    until(LONG, "the end of the connections", || {
        server.exporter_connections().is_empty().then_some(())
    });
}

#[test]
fn servers_of_a_file_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let [kept, removed, added] = [(); 3].map(|()| RedisServer::start(&[]));
    let exporter = start(&file, &[&kept, &removed]);
    exporter.until("both", |page| {
        is_up(page, &name(&kept)) && is_up(page, &name(&removed))
    });
    replace(&file, &listed(&[kept.address(), added.address()]));
    let page = exporter.until("the new server", |page| is_up(page, &name(&added)));
    assert!(!page.0.contains(&name(&removed)), "{}", page.0);
    assert_eq!(success(&page), Some(1.0));
    assert_eq!(in_state(&page, "watched"), Some(2.0));
    until_without_connections(&removed);
    let page = exporter.polls_of(&name(&kept), 2);
    let labels = [("target", &*name(&kept))];
    assert_eq!(page.value("redis_exporter_connects_total", &labels), 1.0);
}

#[test]
fn broken_file_keeps_its_targets_and_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let server = RedisServer::start(&[]);
    let exporter = start(&file, &[&server]);
    exporter.until("the server", |page| is_up(page, &name(&server)));
    for broken in ["[{\"targets\": [\"a", "", "{}"] {
        replace(&file, broken);
        exporter.until("the failure", |page| success(page) == Some(0.0));
        let page = exporter.polls_of(&name(&server), 5);
        assert!(is_up(&page, &name(&server)), "{}", page.0);
        replace(&file, &listed(&[server.address()]));
        exporter.until("the recovery", |page| success(page) == Some(1.0));
    }
    fs::remove_file(&file).unwrap();
    exporter.until("the failure", |page| success(page) == Some(0.0));
    let page = exporter.polls_of(&name(&server), 5);
    assert!(is_up(&page, &name(&server)), "{}", page.0);
    let log = exporter.log();
    assert_eq!(
        log.matches("a source of targets failed").count(),
        4,
        "{log}"
    );
}
