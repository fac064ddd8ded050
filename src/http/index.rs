//! The page for people: version, targets with their state, links. Pure.

use std::sync::Arc;
use std::time::SystemTime;

use super::target::probe_link;
use crate::publish::{Publication, Slot};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #8884;\
overflow-wrap:anywhere}\
.up{color:#2a8a3e}.down{color:#d1382f;font-weight:600}";

/// The whole document. Everything that comes from outside is escaped.
pub(super) fn document(slots: &[Arc<Slot>], now: SystemTime) -> String {
    let name = env!("CARGO_PKG_NAME");
    let version = env!("CARGO_PKG_VERSION");
    let rows: String = slots.iter().map(|slot| row(slot, now)).collect();
    let count = slots.len();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{name} {version}</h1>\n\
         <p>What the last polls saw, as <a href=\"metrics\">metrics</a> of all targets.</p>\n\
         <h2>Targets ({count})</h2>\n\
         <table>\n<thead><tr><th>Target</th><th>Address</th><th>State</th><th>Server</th>\
         <th>Last poll</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n\
         <h2>Paths</h2>\n<ul>\n\
         <li><a href=\"metrics\">/metrics</a>: all targets</li>\n\
         <li>/probe?target=NAME, /scrape?target=NAME: one target, by name or address</li>\n\
         <li><a href=\"-/healthy\">/-/healthy</a>, <a href=\"health\">/health</a>: \
         the exporter runs</li>\n\
         <li><a href=\"-/ready\">/-/ready</a>: every target was polled once</li>\n\
         <li>/-/reload (POST): reads the configuration again</li>\n\
         </ul>\n</body>\n</html>\n"
    )
}

fn row(slot: &Slot, now: SystemTime) -> String {
    let latest = slot.latest();
    let latest = latest.as_deref();
    let (class, state) = state(latest);
    format!(
        "<tr><td><a href=\"{}\">{}</a></td><td>{}</td><td class=\"{class}\">{state}</td>\
         <td>{}</td><td>{}</td></tr>\n",
        escaped(&probe_link(&slot.name)),
        escaped(&slot.name),
        escaped(&slot.address),
        escaped(latest.map_or("", |publication| &publication.server)),
        age(latest, now),
    )
}

/// The class of the cell and its words.
fn state(latest: Option<&Publication>) -> (&'static str, &'static str) {
    match latest {
        None => ("", "not polled yet"),
        Some(publication) => match publication.failure {
            None => ("up", "up"),
            Some(reason) => ("down", reason.as_str()),
        },
    }
}

fn age(latest: Option<&Publication>, now: SystemTime) -> String {
    let Some(publication) = latest else {
        return String::new();
    };
    // The clock may have been set back since.
    let age = now
        .duration_since(publication.polled_at)
        .unwrap_or_default();
    format!("{} s ago", age.as_secs())
}

/// Text that is safe within an element and within a quoted attribute.
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
        }
    }

    fn shown(board: &Board) -> String {
        document(
            &board.slots(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(7),
        )
    }

    #[test]
    fn each_target_stands_with_its_state_and_age() {
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
            "<td>redis://b:2</td><td class=\"down\">refused</td><td></td><td>7 s ago</td>",
            "<td>redis://c:3</td><td class=\"\">not polled yet</td><td></td><td></td>",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
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
    fn a_clock_that_was_set_back_makes_no_age() {
        let board = Board::default();
        let slot = board.slot("a", "redis://a:1");
        slot.publish(publication(None, ""));
        board.list(vec![slot]);
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert!(document(&board.slots(), before).contains("0 s ago"));
    }
}
