//! The page at `/`: version, targets with their state and what happens to their namespaces, and
//! links. Pure.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use url::form_urlencoded;

use super::highlights;
use crate::config::Paths;
use crate::publish::{Publication, Slot};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem}h2{font-size:1.2rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.4rem 1.2rem .4rem 0;white-space:nowrap}\
tr{border-bottom:1px solid #8884}\
td:nth-child(-n+2){white-space:normal;overflow-wrap:anywhere}\
small{display:block;white-space:normal;color:CanvasText;font-weight:400}\
.up{color:light-dark(#1b7a30,#4cc267)}.part{color:light-dark(#a05a00,#e0a030)}\
.down{color:light-dark(#c62828,#ff6b60);font-weight:600}\
@media(max-width:48rem){thead{display:none}tr,td{display:block;white-space:normal}\
tr{padding:.6rem 0}td{padding:0}td:last-child:not(:empty)::before{content:\"polled \"}}";

/// Returns the HTML document. All outside text is escaped.
pub(super) fn document(slots: &[Arc<Slot>], paths: &Paths, now: SystemTime) -> String {
    let name = env!("CARGO_PKG_NAME");
    let version = env!("CARGO_PKG_VERSION");
    let rows: String = slots.iter().map(|slot| row(slot, paths, now)).collect();
    let path = escaped(&paths.telemetry);
    // Relative, so that it works behind a proxy that adds a path prefix.
    let link = path.strip_prefix('/').unwrap_or(&path);
    let scrape = if paths.has_scrape {
        "<li>/probe?target=NAME, /scrape?target=NAME: one target, by name or address</li>\n\
         <li><a href=\"sd\">/sd</a>: all targets, for Prometheus's http_sd_configs</li>\n\
         <li><a href=\"discover-cluster-nodes\">/discover-cluster-nodes</a>: the addresses of all \
         cluster nodes, for http_sd_configs</li>\n"
    } else {
        ""
    };
    let count = slots.len();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{name} {version}</h1>\n\
         <p>The results of the latest polls. <a href=\"{link}\">Metrics of all targets</a>.</p>\n\
         <h2>Targets ({count})</h2>\n\
         <table>\n<thead><tr><th>Target</th><th>Address</th><th>State</th><th>Server</th>\
         <th>Last poll</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <h2>Paths</h2>\n<ul>\n\
         <li><a href=\"{link}\">{path}</a>: all targets</li>\n\
         {scrape}<li><a href=\"-/healthy\">/-/healthy</a>, <a href=\"health\">/health</a>: \
         whether the exporter is running</li>\n\
         <li><a href=\"-/ready\">/-/ready</a>: whether every target has been polled</li>\n\
         <li>/-/reload (POST): reloads the configuration</li>\n\
         </ul>\n</body>\n</html>\n"
    )
}

fn row(slot: &Slot, paths: &Paths, now: SystemTime) -> String {
    let name = escaped(&slot.name);
    let name = if paths.has_scrape {
        format!(
            "<a href=\"{}\">{name}</a>",
            escaped(&probe_link(&slot.name))
        )
    } else {
        name
    };
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let lines = slot.namespaces().map(|snapshot| {
        let lines = highlights::lines(&snapshot, seconds.as_secs_f64()).into_iter();
        lines.map(|line| format!("<small>{}</small>", escaped(&line)))
    });
    let lines: String = lines.into_iter().flatten().collect();
    let latest = slot.latest();
    let latest = latest.as_deref();
    format!(
        "<tr><td>{name}{lines}</td><td>{}</td>{}\
         <td>{}</td><td>{}</td></tr>\n",
        escaped(&slot.address),
        state(latest),
        escaped(latest.map_or("", |publication| &publication.server)),
        age(latest, now),
    )
}

/// Returns a link to the page of one target. It is relative, so that it works behind a path prefix.
pub(super) fn probe_link(name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("probe?target={name}")
}

/// Returns the table cell with the state of a target and its details.
fn state(latest: Option<&Publication>) -> String {
    let Some(publication) = latest else {
        return "<td>not polled yet</td>".to_owned();
    };
    if let Some(reason) = publication.failure {
        let (word, meaning) = (reason.as_str(), reason.meaning());
        return format!("<td class=\"down\">down: {word}<small>{meaning}</small></td>");
    }
    if publication.refused.is_empty() {
        return "<td class=\"up\">up</td>".to_owned();
    }
    // Names of collectors are constants and need no escaping.
    let refused = publication.refused.join(", ");
    format!("<td class=\"part\">up<small>rejected by the server: {refused}</small></td>")
}

fn age(latest: Option<&Publication>, now: SystemTime) -> String {
    let Some(publication) = latest else {
        return String::new();
    };
    // The clock may have been set back since then.
    let age = now
        .duration_since(publication.polled_at)
        .unwrap_or_default();
    format!("{} s ago", age.as_secs())
}

/// Escapes text for HTML elements and quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::document;
    use super::highlights::tests::snapshot;
    use crate::config::Paths;
    use crate::config::{ROUTES, Route};
    use crate::failure::Reason;
    use crate::metric::Snapshot;
    use crate::publish::{Board, Publication};
    use std::time::{Duration, SystemTime};

    fn publication(failure: Option<Reason>, server: &str) -> Publication {
        Publication {
            snapshot: Snapshot::default(),
            failure,
            polled_at: SystemTime::UNIX_EPOCH,
            server: server.to_owned(),
            refused: Vec::new(),
        }
    }

    fn shown(board: &Board) -> String {
        document(
            &board.slots(),
            &Paths::default(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(7),
        )
    }

    #[test]
    fn each_target_has_its_state_and_age() {
        let board = Board::default();
        let up = board.slot("cache", "redis://a:1");
        let down = board.slot("dead", "redis://b:2");
        let new = board.slot("new", "redis://c:3");
        up.publish(publication(None, "redis 7.0 standalone"));
        down.publish(publication(Some(Reason::Refused), ""));
        board.list(vec![up, down, new]);
        let page = shown(&board);
        for part in [
            concat!("redis-namespace-exporter ", env!("CARGO_PKG_VERSION")),
            "Targets (3)",
            "<a href=\"probe?target=cache\">cache</a></td><td>redis://a:1</td>\
             <td class=\"up\">up</td><td>redis 7.0 standalone</td><td>7 s ago</td>",
            "<td>redis://b:2</td><td class=\"down\">down: refused\
             <small>nothing listens on the address</small></td><td></td><td>7 s ago</td>",
            "<td>redis://c:3</td><td>not polled yet</td><td></td><td></td>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    #[test]
    fn rejected_collectors_are_named() {
        let board = Board::default();
        let slot = board.slot("narrow", "redis://a:1");
        let refused = vec!["config", "slowlog"];
        slot.publish(Publication {
            refused,
            ..publication(None, "")
        });
        board.list(vec![slot]);
        let page = shown(&board);
        let cell =
            "<td class=\"part\">up<small>rejected by the server: config, slowlog</small></td>";
        assert!(page.contains(cell), "{page}");
    }

    #[test]
    fn outside_text_is_escaped() {
        let evil = "<script>alert('1')</script>\"&";
        let board = Board::default();
        let slot = board.slot(evil, evil);
        slot.publish(publication(None, evil));
        board.list(vec![slot]);
        let page = shown(&board);
        assert!(!page.contains("<script"), "{page}");
        let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;";
        assert_eq!(page.matches(escaped).count(), 3, "{page}");
        assert!(page.contains("href=\"probe?target=%3Cscript%3E"), "{page}");
    }

    #[test]
    fn each_target_has_lines_about_its_namespaces() {
        let board = Board::default();
        let slots: Vec<_> = (0..500)
            .map(|at| board.slot(&format!("cache-{at}"), "redis://a:1"))
            .collect();
        let names: Vec<String> = (0..100).map(|at| format!("<b>{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for slot in &slots {
            slot.publish(publication(None, ""));
            slot.publish_namespaces(snapshot("db0", &names[95..]));
        }
        slots[7].publish_namespaces(snapshot("db0", &names));
        board.list(slots);
        let page = shown(&board);
        let line = "cache-8</a><small>evicted most: &lt;b&gt;99 33%, &lt;b&gt;98 27%, &lt;b&gt;97 20% of 150 keys</small>";
        assert!(page.contains(line), "{}", &page[..9_000]);
        assert_eq!(page.matches("<small>idle most: ").count(), 500);
        assert!(!page.contains("<b>"));
        assert!(page.len() < 500 * 1_000, "{}", page.len());
    }

    #[test]
    fn other_paths_are_linked_and_missing_ones_are_not() {
        let board = Board::default();
        let slot = board.slot("cache", "redis://a:1");
        board.list(vec![slot]);
        let paths = Paths {
            telemetry: "/m/x&y".to_owned(),
            has_scrape: false,
        };
        let page = document(&board.slots(), &paths, SystemTime::UNIX_EPOCH);
        assert!(page.contains("<a href=\"m/x&amp;y\">/m/x&amp;y</a>"));
        for missing in ["probe", "scrape", "href=\"metrics\""] {
            assert!(!page.contains(missing), "{missing}");
        }
        assert!(page.contains("<td>cache</td>"));
    }

    #[test]
    fn clock_set_back_gives_age_zero() {
        let board = Board::default();
        let slot = board.slot("a", "redis://a:1");
        slot.publish(publication(None, ""));
        board.list(vec![slot]);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(document(&board.slots(), &Paths::default(), before).contains("0 s ago"));
    }

    #[test]
    fn every_path_is_listed() {
        let page = document(&[], &Paths::default(), SystemTime::UNIX_EPOCH);
        let (_, listed) = page.split_once("<h2>Paths</h2>").unwrap();
        for (path, route) in ROUTES {
            let is_itself = route == Route::Index;
            assert!(is_itself || listed.contains(path), "{path} is not listed");
        }
    }
}
