//! Screens of several sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::*;
use crate::command::top::received::{SelectedTarget, TargetList, read};
use crate::command::top::state::Press;

/// 05:01:41 UTC.
const NOW: f64 = 1_700_024_501.0;

fn card(name: &str, state: &str, ratio: f64) -> Value {
    json!({
        "name": name, "address": format!("redis://{name}.example:6379"), "state": state,
        "server": "redis 7.0 standalone", "role": "primary", "maxmemory_policy": "allkeys-lru",
        "uptime_seconds": 259_200.0, "age_seconds": 3.0, "keys": 197_586.0,
        "memory": { "used": 268_435_456.0 * ratio, "limit": 268_435_456.0, "ratio": ratio },
        "clients": { "used": 120.0, "limit": 10_000.0, "ratio": 0.012 },
        "commands_per_second": 4_786.2, "hit_ratio": 0.971, "evictions_per_second": 31.0,
        "expirations_per_second": 7.0,
        "latency": { "ping_seconds": 0.000_2, "command_seconds": 0.000_012 },
        "problems": [],
    })
}

fn list() -> TargetList {
    let mut cache = card("cache", "up", 0.95);
    cache["severity"] = json!("critical");
    cache["problems"] = json!([
        { "alert": "RedisMemoryExhausted", "severity": "critical",
          "text": "95% of the memory limit is in use." },
        { "alert": "RedisEvictionRateHigh", "severity": "warning",
          "text": "31 keys are evicted per second." },
    ]);
    let mut queue = card("queue", "down", 0.0);
    queue["memory"] = json!({ "used": null, "limit": null, "ratio": null });
    for field in [
        "role",
        "keys",
        "commands_per_second",
        "hit_ratio",
        "evictions_per_second",
    ] {
        queue[field] = Value::Null;
    }
    for field in ["clients", "latency"] {
        queue[field] = json!({});
    }
    queue["severity"] = json!("critical");
    queue["problems"] = json!([
        { "alert": "RedisDown", "severity": "critical",
          "text": "The last poll failed: nothing listens. Check that it is running." },
    ]);
    let mut free = card("free", "up", 0.5);
    free["memory"] = json!({ "used": 1_048_576.0, "limit": null, "ratio": null });
    free["role"] = json!("replica");
    let document = json!({
        "exporter_version": "0.1.0", "matching": 3,
        "summary": { "total": 3, "up": 2, "down": 1, "waiting": 0 },
        "targets": [queue, cache, free],
    });
    read(document.to_string().as_bytes()).unwrap()
}

fn report(name: &str) -> SelectedTarget {
    let namespace = |name: &str, keys: f64, memory: f64, evicted: f64| {
        json!({
            "name": name, "db": "db0", "keys": keys, "keys_error": 543.0,
            "memory_bytes": memory * 1_048_576.0, "memory_share": memory / 200.0,
            "keys_without_ttl": 31.0, "evicted_keys": evicted, "evictions_per_second": evicted / 1e3,
            "ttl": [
                { "at_most_seconds": 60.0, "keys": 10.0 },
                { "at_most_seconds": 3600.0, "keys": 90.0 },
                { "at_most_seconds": null, "keys": 1.0 },
            ],
        })
    };
    let history = |value: f64| (0..120).map(|_| json!(value)).collect::<Vec<_>>();
    let targets = list().targets;
    let target = targets.iter().find(|target| target.name == name).unwrap();
    let document = json!({
        "namespaces": [
            namespace("api-cache", 59_934.0, 150.0, 1_234.0),
            namespace("session", 89_875.0, 49.0, 77_777.0),
            namespace("evil\u{1b}[2J\u{202e}", 5.0, 1.0, 0.0),
        ],
        "highlights": ["session loses most keys."],
        "history": {
            "step_seconds": 30.0, "memory_bytes": history(2e8),
            "commands_per_second": history(4_786.0), "hit_ratio": history(0.971),
            "evictions_per_second": history(31.0),
        },
    });
    let report: SelectedTarget = read(document.to_string().as_bytes()).unwrap();
    SelectedTarget {
        target: target.clone(),
        ..report
    }
}

/// Returns a state in which the target `cache` is selected.
fn state() -> TopState {
    let mut state = TopState::new("http://localhost:9121");
    state.receive_list(list());
    state.press(Press::Down);
    state.receive_report(report("cache"));
    state
}

fn terminal(state: &TopState, look: Look, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let drawn = terminal.draw(|frame| {
        let area = frame.area();
        screen(state, look, NOW, area, frame.buffer_mut());
    });
    drawn.unwrap();
    terminal
}

fn lines(state: &TopState, width: u16, height: u16) -> Vec<String> {
    let terminal = terminal(state, Look::Colored, width, height);
    let buffer = terminal.backend().buffer();
    let rows = buffer.area.rows().map(|row| {
        let cells = row.columns().filter_map(|at| buffer.cell(at.as_position()));
        let text: String = cells.map(|cell| cell.symbol().to_owned()).collect();
        text.trim_end().to_owned()
    });
    rows.collect()
}

#[test]
fn usual_terminal_shows_targets_and_the_selected_one() {
    let expected = [
        "redis-namespace-exporter top  http://localhost:9121   2 up, 1 down  05:01:41 UTC",
        "TARGET      STATE   MEMORY              OPS/S  HITS EVICT/S LATENCY PROBLEMS",
        "queue       DOWN    -                       -     -       -       -     !! 1",
        "cache       up      █████████│▌ 95.0%   4,786 97.1%      31  200 µs     !! 2",
        "free        up      1.0 MiB no limit    4,786 97.1%      31  200 µs        -",
        "── cache · redis 7.0 standalone · primary · allkeys-lru ────────────────────────",
        "redis://cache.example:6379  keys 197,586  memory 243 MiB of 256 MiB",
        "clients 120 of 10,000  ping 200 µs  command 12 µs  expired/s 7.0  up 3 d",
        "!! 95% of the memory limit is in use.",
        "! 31 keys are evicted per second.",
        "memory    ███████████████████   191 MiB ops/s     ████████████████████     4,786",
        "hit ratio ███████████████████     97.1% evict/s   ████████████████████        31",
        "NAMESPACE                  KEYS    MEMORY SHARE              TTL  NO TTL EVICTED",
        "api-cache          59,934 ± 543   150 MiB ██████     75%   1m–1h      31   1,234",
        "session            89,875 ± 543  49.0 MiB ██         24%   1m–1h      31  77,777",
        "evil\\u{1b}[2J\\u{2…      5 ± 543   1.0 MiB           0.5%   1m–1h      31       0",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "q quit  ? help  s sort: problems  Enter one  Tab focus  / filter",
    ];
    assert_eq!(lines(&state(), 80, 24), expected);
}

#[test]
fn narrow_terminal_omits_columns() {
    let expected = [
        "http://localhost:9121             2 up, 1 down  05:01:41 UTC",
        "TARGET      STATE   MEMORY              OPS/S  HITS PROBLEMS",
        "queue       DOWN    -                       -     -     !! 1",
        "cache       up      █████████│▌ 95.0%   4,786 97.1%     !! 2",
        "free        up      1.0 MiB no limit    4,786 97.1%        -",
        "── cache · redis 7.0 standalone · primary · allkeys-lru ────",
        "redis://cache.example:6379  keys 197,586",
        "memory 243 MiB of 256 MiB  clients 120 of 10,000",
        "!! 95% of the memory limit is in use.",
        "! 31 keys are evicted per second.",
        "memory    ████████████████████████████████████████   191 MiB",
        "ops/s     ████████████████████████████████████████     4,786",
        "hit ratio ████████████████████████████████████████     97.1%",
        "evict/s   ████████████████████████████████████████        31",
        "NAMESPACE              KEYS    MEMORY SHARE              TTL",
        "api-cache      59,934 ± 543   150 MiB ██████     75%   1m–1h",
        "session        89,875 ± 543  49.0 MiB ██         24%   1m–1h",
        "evil\\u{1b}[2J…      5 ± 543   1.0 MiB           0.5%   1m–1h",
        "",
        "q quit  ? help  s sort: problems  Enter one  Tab focus  / f…",
    ];
    assert_eq!(lines(&state(), 60, 20), expected);
}

#[test]
fn wide_terminal_has_all_columns() {
    let shown = lines(&state(), 160, 50).join("\n");
    for part in [
        "TARGET      STATE   ROLE",
        "replica",
        "CLIENTS",
        "LATENCY",
        "clients 120 of 10,000",
        "command 12 µs",
        "up 3 d",
        "polled 3 s ago",
        "EVICTED EVICT/S",
        "  77,777      78",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn enter_shows_one_target_with_whole_texts() {
    let mut state = state();
    state.press(Press::Enter);
    let shown = lines(&state, 40, 30).join("\n");
    for part in [
        "!! 95% of the memory limit is in use.\n(RedisMemoryExhausted)\n",
        "- session loses most keys.",
        "evil\\u{1b}",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("queue"), "{shown}");
    state.press(Press::Escape);
    assert!(lines(&state, 40, 30).join("\n").contains("queue"));
}

#[test]
fn failed_poll_is_one_problem_with_its_remedy() {
    let mut state = state();
    state.press(Press::Up);
    let shown = lines(&state, 80, 24).join("\n");
    let problem = "!! The last poll failed: nothing listens. Check that it is running.";
    assert!(shown.contains(problem), "{shown}");
    assert_eq!(shown.matches("nothing listens").count(), 1, "{shown}");
    assert!(shown.contains("Loading …"), "{shown}");
}

#[test]
fn outage_keeps_the_last_data() {
    let mut state = state();
    state.fail("cannot be reached: refused".to_owned(), 1_700_024_459);
    let shown = lines(&state, 80, 24);
    let outage = "not reachable since 05:00:59 UTC (42 s): cannot be reached: refused";
    assert_eq!(shown.get(1).map(String::as_str), Some(outage));
    assert!(shown.join("\n").contains("api-cache"));
}

#[test]
fn sorting_by_evictions_shows_and_sorts_the_column() {
    let mut state = state();
    state.press(Press::Tab);
    state.press(Press::Letter('s'));
    let shown = lines(&state, 60, 24);
    let namespaces: Vec<&String> = shown
        .iter()
        .skip_while(|line| !line.contains("EVICTED"))
        .collect();
    assert!(
        namespaces
            .get(1)
            .is_some_and(|line| line.contains("session")),
        "{shown:#?}"
    );
    let footer = shown.last().unwrap();
    assert!(footer.contains("sort: evictions"), "{footer}");
}

#[test]
fn filter_and_help_are_explained() {
    let mut state = state();
    for letter in "/nothing".chars() {
        state.press(Press::Letter(letter));
    }
    let shown = lines(&state, 80, 24).join("\n");
    assert!(shown.contains("No target matches nothing."), "{shown}");
    assert!(shown.contains("filter: nothing_"), "{shown}");
    state.press(Press::Escape);
    state.press(Press::Letter('?'));
    let shown = lines(&state, 80, 24).join("\n");
    for line in HELP {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let none = TopState::new("http://localhost:9121");
    assert!(lines(&none, 80, 24).join("\n").contains("has no targets"));
}

#[test]
fn databases_have_a_column_if_there_are_several() {
    let mut state = state();
    assert!(!lines(&state, 120, 40).join("\n").contains(" DB "));
    let mut report = report("cache");
    if let Some(namespace) = report.namespaces.first_mut() {
        "db7".clone_into(&mut namespace.db);
    }
    state.receive_report(report);
    assert!(lines(&state, 120, 40).join("\n").contains("db7"));
}

#[test]
fn colors_can_be_off() {
    let styles = |look| {
        let terminal = terminal(&state(), look, 80, 24);
        let cells = terminal.backend().buffer().content().to_vec();
        cells
            .into_iter()
            .map(|cell| (cell.fg, cell.bg, cell.modifier))
    };
    let has_color = |look| styles(look).any(|(fg, bg, _)| (fg, bg) != (Color::Reset, Color::Reset));
    assert!(has_color(Look::Colored));
    assert!(!has_color(Look::Plain));
    // The selected line is still visible.
    let mut plain = styles(Look::Plain);
    assert!(plain.any(|(.., modifier)| modifier.contains(Modifier::REVERSED)));
}

#[test]
fn no_size_panics() {
    let press = |presses: &[Press]| {
        let mut state = state();
        for press in presses {
            state.press(*press);
        }
        state
    };
    let mut outage = state();
    outage.fail("cannot be reached".to_owned(), 1_700_024_459);
    let states = [
        outage,
        press(&[]),
        press(&[Press::Enter]),
        press(&[Press::Tab, Press::Letter('s')]),
        press(&[Press::Letter('?')]),
        press(&[Press::Letter('/'), Press::Letter('x')]),
        TopState::new("http://localhost:9121"),
    ];
    for state in &states {
        for width in [0, 1, 2, 3, 5, 9, 20, 21, 39, 60, 69, 70, 71, 80, 250] {
            for height in (0..16).chain([24, 60]) {
                terminal(state, Look::Colored, width, height);
            }
        }
    }
}
