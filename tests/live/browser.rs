//! The live page in a real browser.

use std::path::PathBuf;
use std::{env, fs};

use serde_json::json;

use crate::support::wait::LONG;
use crate::support::{Browser, Exporter, Launch, RedisServer, until};

const ACCESSIBILITY: &str = include_str!("support/accessibility.js");

/// Names of namespaces that would do harm if they were not escaped.
const HOSTILE: [&str; 3] = [
    "<script>window.hacked=1</script>",
    "\"><img src=x onerror=window.hacked=1>",
    "right\u{202e}left",
];

/// Starts an exporter of a server with hostile namespaces, once more as a user without permissions,
/// and of a server that is down.
fn exporter(server: &RedisServer) -> Exporter {
    for name in HOSTILE {
        for number in 0..20 {
            server.ask(&["SET", &format!("{name}:{number}"), "value"]);
        }
    }
    let names = ["session", "cart", "api"];
    for number in 0..300 {
        let name = names[number % names.len()];
        let key = format!("{name}:{number}");
        server.ask(&["SET", &key, &"x".repeat(10 * number), "EX", "3000"]);
    }
    let rules = ["ACL", "SETUSER", "w", "on", ">pw", "~*", "+info", "+ping"];
    server.ask(&rules);
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\nsweep: {{ min_pass_interval: 1s, lookups_per_minute: 100000 }}\ntargets:\n\
         - {{ name: cache, url: '{}' }}\n\
         - {{ name: 'a/<b>&\"', url: 'redis://127.0.0.1:1' }}\n\
         - {{ name: limited, url: 'redis://w:pw@{}' }}\n",
        server.url(),
        server.address()
    ))
    .start();
    until(LONG, "the namespaces", || {
        let page = exporter.get("/targets/cache").text();
        let is_complete = page.contains("session") && page.contains("Based on all keys");
        let overview = exporter.get("/").text();
        let is_complete = is_complete && overview.contains("Grant the missing permissions");
        is_complete.then_some(())
    });
    exporter
}

fn url(exporter: &Exporter, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", exporter.port)
}

/// Returns a folder for pictures outside of the repository.
fn folder() -> PathBuf {
    let given = env::var_os("LIVE_PICTURES").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| env::temp_dir().join("live-pictures"));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn assert_quiet(browser: &Browser, exporter: &Exporter) {
    assert_eq!(browser.console(), Vec::<String>::new());
    let own = url(exporter, "/");
    for requested in browser.requested() {
        let is_own = requested.starts_with(&own) || !requested.starts_with("http");
        assert!(is_own, "{requested}");
    }
}

#[test]
fn page_refreshes_live_and_stays_within_the_exporter() {
    let server = RedisServer::start(&["--maxmemory", "64mb"]);
    let exporter = exporter(&server);
    let browser = Browser::start();
    for path in ["/", "/targets/cache"] {
        browser.open(&url(&exporter, path));
        let about = "[...document.querySelectorAll('.about')].map(line => line.textContent)";
        let keys = || browser.text(about);
        until(LONG, "the keys", || keys().contains(" keys").then_some(()));
        browser.run("window.marker = 'same document';");
        let number = server.ask(&["DBSIZE"]);
        server.ask(&["SET", &format!("one-more:{path}"), "value"]);
        let before = format!("{number} keys");
        until(LONG, "a refresh", || {
            let shown = keys();
            (shown.contains(" keys") && !shown.contains(&before)).then_some(())
        });
        assert_eq!(browser.text("window.marker"), "same document");
        assert_eq!(browser.text("window.hacked"), "undefined");
        assert_eq!(browser.text("document.images.length"), "0");
        assert_quiet(&browser, &exporter);
    }
    let shown = browser.text("document.querySelector('.namespaces').textContent");
    assert!(
        shown.contains("<script>window.hacked=1</script>"),
        "{shown}"
    );
    assert!(shown.contains("right\\u{202e}left"), "{shown}");
    drop(exporter);
    until(LONG, "the loss of the exporter", || {
        let live = browser.text("document.getElementById('live').textContent");
        live.contains("No response since").then_some(())
    });
}

#[test]
fn live_updates_can_be_paused() {
    let server = RedisServer::start(&[]);
    let exporter = exporter(&server);
    let browser = Browser::start();
    browser.open(&url(&exporter, "/"));
    browser.run("document.querySelector('#live button').click();");
    let live = || browser.text("document.getElementById('live').textContent");
    assert!(live().contains("Paused at"), "{}", live());
    browser.run("document.querySelector('#live button').click();");
    assert!(live().contains("Live"), "{}", live());
    let path = "[...document.querySelectorAll('.card a')].find(a => a.textContent.includes('<b>'))";
    browser.run(&format!("{path}.click();"));
    until(LONG, "the page of the other target", || {
        let title = browser.text("document.querySelector('h1').textContent");
        (title == "a/<b>&\"").then_some(())
    });
    assert_quiet(&browser, &exporter);
}

#[test]
fn focus_stays_at_a_target_that_moves() {
    let [server, other] = [(); 2].map(|()| RedisServer::start(&["--maxmemory", "64mb"]));
    let exporter = Launch::configured(&format!(
        "poll: {{ interval: 500ms }}\ntargets: [{{ name: a, url: '{}' }}, {{ name: b, url: '{}' }}]\n",
        server.url(),
        other.url()
    ))
    .start();
    let browser = Browser::start();
    browser.open(&url(&exporter, "/"));
    let names = "[...document.querySelectorAll('.card h2')].map(name => name.textContent)";
    until(LONG, "both targets", || {
        (browser.text(names) == "a,b").then_some(())
    });
    browser.run("document.querySelector('.card h2 a').focus();");
    drop(other);
    until(LONG, "the other order", || {
        (browser.text(names) == "b,a").then_some(())
    });
    assert_eq!(browser.text("document.activeElement.textContent"), "a");
}

#[test]
fn page_of_a_removed_target_says_so() {
    let server = RedisServer::start(&[]);
    let target = |name: &str| {
        let url = server.url();
        format!("poll: {{ interval: 500ms }}\ntargets: [{{ name: {name}, url: '{url}' }}]\n")
    };
    let exporter = Launch::configured(&target("old")).start();
    exporter.until("the target", |page| page.0.contains("redis_up"));
    let browser = Browser::start();
    browser.open(&url(&exporter, "/targets/old"));
    exporter.reconfigure(&target("new"));
    assert_eq!(exporter.reload().status, 200);
    until(LONG, "the end of the target", || {
        let live = browser.text("document.getElementById('live').textContent");
        live.contains("No longer a target since").then_some(())
    });
}

#[test]
fn pages_follow_the_rules_of_axe() {
    let server = RedisServer::start(&["--maxmemory", "2mb"]);
    let exporter = exporter(&server);
    let browser = Browser::start();
    for path in ["/", "/targets/cache", "/runbooks/RedisMemoryUsageHigh"] {
        for (width, is_dark) in [(1_280, false), (1_280, true), (390, false), (390, true)] {
            browser.resize(width, 900, is_dark);
            browser.open(&url(&exporter, path));
            let none: [String; 0] = [];
            assert_eq!(browser.violations(), none, "{path} {width} dark: {is_dark}");
        }
    }
    // A fault would be found.
    browser.run("document.body.append(document.createElement('button'));");
    let found = browser.violations();
    assert!(
        found.iter().any(|one| one.starts_with("button-name: ")),
        "{found:?}"
    );
}

#[test]
fn page_works_without_scripts() {
    let server = RedisServer::start(&[]);
    let exporter = exporter(&server);
    let browser = Browser::start();
    let off = json!({ "value": true });
    browser.devtools("Emulation.setScriptExecutionDisabled", &off);
    browser.open(&url(&exporter, "/targets/cache"));
    let document = browser.document();
    for part in ["session", "360 keys", "As of ", "class=\"map\"", "Commands"] {
        assert!(document.contains(part), "{part} is not in {document}");
    }
    assert!(!document.contains("Pause"), "{document}");
}

#[test]
fn page_is_accessible_at_all_sizes() {
    // Each command is slow, so that the slow ones have all of their columns.
    let arguments = ["--maxmemory", "2mb", "--slowlog-log-slower-than", "0"];
    let server = RedisServer::start(&arguments);
    let exporter = exporter(&server);
    until(LONG, "slow commands of the exporter", || {
        let page = exporter.get("/targets/cache").text();
        page.contains(" of the exporter</small>").then_some(())
    });
    let browser = Browser::start();
    let folder = folder();
    for (name, path) in [
        ("overview", "/"),
        ("target", "/targets/cache"),
        ("runbook", "/runbooks/RedisMemoryUsageHigh"),
    ] {
        for (width, is_dark) in [(1_280, false), (1_280, true), (390, false), (390, true)] {
            browser.resize(width, 900, is_dark);
            browser.open(&url(&exporter, path));
            browser.run("for (const one of document.querySelectorAll('details')) one.open = true;");
            let scheme = if is_dark { "dark" } else { "light" };
            let file = folder.join(format!("{name}-{width}-{scheme}.png"));
            fs::write(&file, browser.picture()).unwrap();
            let faults = browser.run(ACCESSIBILITY);
            assert_eq!(faults, json!([]), "{}", file.display());
            let overflow = browser.text("document.documentElement.scrollWidth");
            assert_eq!(overflow, width.to_string(), "{}", file.display());
        }
    }
    assert_quiet(&browser, &exporter);
}
