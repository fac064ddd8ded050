//! Targets that sources name while the exporter runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::list_server::ListServer;
use crate::support::prometheus::Prometheus;
use crate::support::wait::{LONG, slack};
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
    let page = exporter.page();
    assert!(is_up(&page, &name(&kept)), "ready without it: {}", page.0);
    assert!(
        is_up(&page, &name(&removed)),
        "ready without it: {}",
        page.0
    );
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

#[test]
fn refused_entries_and_a_missing_file_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let logged = |exporter: &Exporter, text: &str| {
        until(LONG, text, || {
            let log = exporter.log();
            let line = log.lines().find(|line| line.contains(text));
            line.map(str::to_owned)
        })
    };
    let exporter = Launch::configured(&configuration(&file)).start();
    let line = logged(&exporter, "a source of targets failed");
    assert!(line.contains("no list was read from it yet"), "{line}");
    let entries = ["redis://someone:hunter2@127.0.0.1:7211", "bad host"];
    replace(&file, &listed(&entries.map(str::to_owned)));
    let line = logged(&exporter, "not all servers of a source are targets");
    let checked = Launch::configured(&configuration(&file))
        .flag("check")
        .run();
    for part in [
        "`redis://127.0.0.1:7211` contains a user or password; remove them",
        "`bad...` ",
    ] {
        assert!(line.contains(part), "{line}");
        assert!(checked.stdout.contains(part), "{}", checked.stdout);
    }
    for secret in ["someone", "hunter2"] {
        assert!(!exporter.log().contains(secret), "{}", exporter.log());
        assert!(!checked.stdout.contains(secret), "{}", checked.stdout);
    }
}

#[test]
fn reload_keeps_the_targets_of_unchanged_sources() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let server = RedisServer::start(&[]);
    let exporter = start(&file, &[&server]);
    exporter.until("the server", |page| is_up(page, &name(&server)));
    let more = format!(
        "{}targets: [{{ name: one, url: '{}' }}]\n",
        configuration(&file),
        server.url()
    );
    exporter.reconfigure(&more);
    let summary = exporter.reload().text();
    assert_eq!(summary.trim(), "targets: 1 started, 0 ended, 1 kept");
    exporter.reconfigure(&configuration(&file).replace("500ms", "700ms"));
    assert_eq!(exporter.reload().status, 200);
    exporter.until("the changed source", |page| {
        is_up(page, &name(&server)) && !page.0.contains("\"one\"")
    });
    exporter.reconfigure(&format!(
        "targets: [{{ name: one, url: '{}' }}]\n",
        server.url()
    ));
    assert_eq!(exporter.reload().status, 200);
    let page = exporter.until("the end of the source", |page| {
        is_up(page, "one") && !is_up(page, &name(&server))
    });
    assert_eq!(page.value("redis_exporter_targets", &[]), 1.0);
    assert_eq!((success(&page), in_state(&page, "watched")), (None, None));
}

/// Names of one server: addresses of loopback.
fn many(server: &RedisServer, count: u8) -> Vec<String> {
    let address = server.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    (1..=count)
        .map(|at| format!("127.0.1.{at}:{port}"))
        .collect()
}

#[test]
fn many_targets_come_and_go_without_leaks() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let server = RedisServer::start(&["--bind", "0.0.0.0", "--protected-mode", "no"]);
    replace(&file, &listed(&[server.address()]));
    let text = configuration(&file).replace("500ms", "5s");
    let mut exporter = Launch::configured(&text).start();
    exporter.until("the server", |page| is_up(page, &name(&server)));
    let one = listed(&[server.address()]);
    let mut all = many(&server, 200);
    all.push(server.address());
    for _ in 0..2 {
        replace(&file, &listed(&all));
        exporter.until("all targets", |page| {
            page.all("redis_up", &[]) == [1.0; 201]
        });
        until(LONG, "all connections", || {
            (server.exporter_connections().len() == 201).then_some(())
        });
        replace(&file, &one);
        exporter.until("one target", |page| page.all("redis_up", &[]) == [1.0]);
        until(LONG, "the end of the connections", || {
            let clients = server.ask(&["CLIENT", "LIST"]);
            let ours = clients
                .lines()
                .filter(|line| line.contains("name=redis-namespace-exporter"));
            // One of the poller, and one of the sweep.
            (ours.count() <= 2).then_some(())
        });
    }
    replace(&file, &listed(&all));
    exporter.until("all targets", |page| {
        page.all("redis_up", &[]) == [1.0; 201]
    });
    exporter.process.signal("TERM");
    let (status, took) = exporter.process.wait(LONG);
    assert_eq!(status.code(), Some(0), "{}", exporter.log());
    assert!(took < Duration::from_secs(2) + slack(), "{took:?}");
    until_without_connections(&server);
}

#[test]
fn servers_beyond_the_maximum_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.yaml");
    let server = RedisServer::start(&["--bind", "0.0.0.0", "--protected-mode", "no"]);
    let entries = [
        server.address(),
        server.address(),
        "redis://:hunter2@127.0.1.1:1".to_owned(),
        "unix:///tmp/redis.sock".to_owned(),
    ];
    let entries = [&entries[..], &many(&server, 5)].concat();
    replace(&file, &listed(&entries));
    let text = configuration(&file).replace("interval: 1s", "interval: 1s, max_targets: 4");
    let exporter = Launch::configured(&text).start();
    let page = exporter.until("the targets", |page| page.all("redis_up", &[]) == [1.0; 4]);
    let states =
        ["watched", "refused", "duplicate", "over_limit"].map(|state| in_state(&page, state));
    assert_eq!(states, [4.0, 2.0, 1.0, 2.0].map(Some));
    let shown = format!("{}{}{}", page.0, exporter.log(), exporter.get("/sd").text());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn declared_labels_are_labels_of_all_series() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.yaml");
    let server = RedisServer::start(&[]);
    let group = |env: &str| {
        let address = server.address();
        format!(
            "- targets: ['{address}']\n  labels: {{ env: '{env}', secret: x, team: \"a\\\"b\" }}\n"
        )
    };
    replace(&file, &group("prod"));
    let text = configuration(&file).replace("interval: 1s", "interval: 1s, labels: [env, team]");
    let exporter = Launch::configured(&text).start();
    let name = name(&server);
    let has_labels = |page: &Page, env: &str| {
        let labels = [("target", &*name), ("env", env), ("team", "a\\\"b")];
        page.get("redis_up", &labels) == Some(1.0)
    };
    let page = exporter.until("the labels", |page| has_labels(page, "prod"));
    assert!(!page.0.contains("secret="), "{}", page.0);
    let start = format!("redis_up{{target=\"{name}\",env=\"prod\",team=\"a\\\"b\"}} 1\n");
    assert!(page.0.contains(&start), "{}", page.0);
    let alone = exporter.get(&format!("/probe?target={name}")).text();
    assert!(
        alone.contains("\nredis_up{env=\"prod\",team=\"a\\\"b\"} 1\n"),
        "{alone}"
    );
    replace(&file, &group("test"));
    let page = exporter.until("the new label", |page| has_labels(page, "test"));
    assert!(!has_labels(&page, "prod"));
    let connects = page.value("redis_exporter_connects_total", &[("target", &name)]);
    assert_eq!(connects, 1.0, "a new label restarts nothing");
}

#[test]
fn servers_of_an_http_list_come_and_go() {
    let [kept, added] = [(); 2].map(|()| RedisServer::start(&[]));
    let list = ListServer::start(&listed(&[kept.address()]));
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "s3cret\n").unwrap();
    let text = format!(
        "poll: {{ interval: 500ms }}\n\
         targets_from:\n- name: s\n  interval: 1s\n  http: {{ url: '{}', username: me, \
         password_file: '{}' }}\n",
        list.url(),
        password.display()
    );
    let exporter = Launch::configured(&text).start();
    exporter.until("the server", |page| is_up(page, &name(&kept)));
    list.respond("200 OK", "", &listed(&[kept.address(), added.address()]));
    exporter.until("the new server", |page| is_up(page, &name(&added)));
    let other = ListServer::start("[]");
    let location = format!("Location: {}\r\n", other.url());
    for (status, headers, body) in [
        ("503 Service Unavailable", "", "[]"),
        ("302 Found", &*location, "[]"),
        ("200 OK", "", "[{"),
        ("200 OK", "", &*format!("[{}]", " ".repeat(5 << 20))),
    ] {
        list.respond(status, headers, body);
        exporter.until(status, |page| success(page) == Some(0.0));
        let page = exporter.polls_of(&name(&added), 2);
        assert!(is_up(&page, &name(&added)), "{}", page.0);
        list.respond("200 OK", "", &listed(&[kept.address(), added.address()]));
        exporter.until("the recovery", |page| success(page) == Some(1.0));
    }
    assert_eq!(other.requests(), Vec::<String>::new());
    let requests = list.requests();
    // Base64 of me:s3cret.
    let login = "authorization: basic bwu6cznjcmv0";
    let first = requests[0].to_lowercase();
    assert!(first.starts_with("get /list http/1.1\r\n"), "{first}");
    assert!(first.contains(login), "{first}");
    assert!(!exporter.log().contains("s3cret"), "{}", exporter.log());
    drop(list);
    exporter.until("the failure", |page| success(page) == Some(0.0));
    assert!(is_up(&exporter.polls_of(&name(&kept), 2), &name(&kept)));
}

#[test]
fn addresses_of_a_name_are_targets() {
    let server = RedisServer::start(&[]);
    let address = server.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let text = format!(
        "poll: {{ interval: 500ms }}\n\
         targets_from:\n- {{ name: s, dns: 'localhost:{port}', interval: 1s }}\n\
         - {{ name: t, dns: 'no-such-name.invalid:{port}', interval: 1s }}\n"
    );
    let exporter = Launch::configured(&text).start();
    let page = exporter.until("the server", |page| is_up(page, &name(&server)));
    assert_eq!(success(&page), Some(1.0));
    let labels = [("discovery", "t")];
    assert_eq!(page.value("redis_exporter_discovery_success", &labels), 0.0);
}

#[test]
fn credentials_are_sent_to_matching_hosts_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let closed = RedisServer::start(&["--requirepass", "hunter2", "--bind", "0.0.0.0"]);
    let address = closed.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let [with, without] = ["127.0.0.1", "127.0.0.2"].map(|host| format!("{host}:{port}"));
    replace(&file, &listed(&[with.clone(), without.clone()]));
    let text = format!(
        "{}credentials:\n- {{ hosts: ['*.example', 127.0.0.1/32], password: hunter2 }}\n\
         - {{ hosts: ['*'], password: wrong-hunter }}\n\
         targets: [{{ name: own, url: 'redis://127.0.0.1:{port}' }}]\n",
        configuration(&file)
    );
    let exporter = Launch::configured(&text).start();
    let page = exporter.until("the server", |page| is_up(page, &format!("s/{with}")));
    assert!(is_up(&page, "own"), "{}", page.0);
    exporter.until("the failure", |page| {
        page.get("redis_up", &[("target", &format!("s/{without}"))]) == Some(0.0)
    });
    let check = Launch::configured(&text).flag("check").run();
    let lines = check.stdout;
    for line in [
        "credentials        credentials[0]",
        "credentials        credentials[1]",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
    assert!(!lines.contains("hunter"), "{lines}");
    let none = text.replace("hosts: ['*']", "hosts: ['10.0.0.0/8']");
    let lines = Launch::configured(&none).flag("check").run().stdout;
    assert!(lines.contains("credentials        none"), "{lines}");
}

#[test]
fn prometheus_learns_all_targets_from_sd() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let [first, second] = [(); 2].map(|()| RedisServer::start(&[]));
    let exporter = start(&file, &[&first]);
    exporter.until("the server", |page| is_up(page, &name(&first)));
    let port = exporter.port;
    let job = format!(
        "  - job_name: redis\n    http_sd_configs: [{{ url: 'http://127.0.0.1:{port}/sd', \
         refresh_interval: 1s }}]\n"
    );
    let prometheus = Prometheus::configured("1s", &job);
    let is_scraped = |server: &RedisServer| {
        let instance = server.address();
        let up = prometheus.query(&format!("redis_up{{instance=\"{instance}\"}}"));
        (up == Some(1.0)).then_some(())
    };
    until(LONG, "the first server", || is_scraped(&first));
    replace(&file, &listed(&[first.address(), second.address()]));
    until(LONG, "the second server", || is_scraped(&second));
    replace(&file, &listed(&[second.address()]));
    until(LONG, "the end of the first", || {
        (prometheus.query("count(up == 1)") == Some(1.0)).then_some(())
    });
    assert_eq!(prometheus.query("count(redis_up{target!=\"\"})"), None);
    let set = format!(
        "web: {{ external_address: 'exporter.internal:80' }}\n{}",
        configuration(&file)
    );
    exporter.reconfigure(&set);
    assert_eq!(exporter.reload().status, 200);
    assert!(
        exporter
            .get("/sd")
            .text()
            .contains("\"targets\":[\"exporter.internal:80\"]")
    );
}

/// Returns the number of targets that are up.
fn sum(page: &Page) -> f64 {
    page.all("redis_up", &[]).iter().sum()
}

#[test]
fn processes_share_all_targets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let server = RedisServer::start(&["--bind", "0.0.0.0", "--protected-mode", "no"]);
    let all = many(&server, 30);
    replace(&file, &listed(&all));
    let mut found = Vec::new();
    for (flag, host) in [
        ("--shard=1/3", ""),
        ("--shard=ordinal/3", "exporter-1"),
        ("--shard=3/3", ""),
    ] {
        let launch = Launch::configured(&configuration(&file)).flag(flag);
        let exporter = launch.variable("HOSTNAME", host).start();
        let page = exporter.until("its targets", |page| {
            let watched = in_state(page, "watched");
            watched.is_some_and(|count| sum(page) == count)
        });
        let others = in_state(&page, "other_shard").unwrap();
        let own = page.label_values("redis_up", "target", 1.0);
        assert_eq!(sum(&page) + others, 30.0);
        assert!(own.len() >= 3, "{own:?}");
        found.extend(own);
    }
    found.sort();
    let mut expected: Vec<_> = all.iter().map(|address| format!("s/{address}")).collect();
    expected.sort();
    assert_eq!(found, expected);
}
