//! What is set by options of `redis_exporter`, as keys over those of the file. Pure.

use super::given::{Given, GivenOption};
use super::meaning::{Meaning, scalar, switched};
use super::notice::Notice;
use super::{Fate, Setting};
use crate::config::document::Node;
use crate::config::problem::Problem;

/// The options for which the keyspace is walked.
const OF_THE_WALK: [&str; 6] = [
    "check-keys",
    "check-single-keys",
    "check-key-groups",
    "check-streams",
    "check-single-streams",
    "count-keys",
];

/// Keys that go before the file.
#[derive(Debug, Default)]
pub(in crate::config) struct Overlay {
    settings: Vec<Placed>,
    /// Whether values are shown where nothing says otherwise, as `redis_exporter` does.
    shows_values: bool,
}

#[derive(Debug)]
struct Placed {
    /// The path of the key, as in `keys.check`.
    key: &'static str,
    node: Node,
    /// The flag or the variable.
    place: String,
}

impl Overlay {
    /// What the options mean. Those that cannot be honoured are said, and mistakes reported.
    pub(in crate::config) fn of(
        given: &Given,
        notices: &mut Vec<Notice>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut overlay = Self {
            settings: Vec::new(),
            shows_values: ["check-keys", "check-single-keys"]
                .iter()
                .any(|flag| given.get(flag).is_some()),
        };
        notices.extend(unread_password_file(given));
        for item in given.all() {
            if let Fate::Sets(setting) = item.option.fate {
                overlay.add(item, setting, notices, problems);
            } else {
                notices.extend(notice_of(item));
            }
        }
        overlay.walk_for_keys(given);
        overlay
    }

    /// Keys are looked at by the walk, which the file may have switched off.
    fn walk_for_keys(&mut self, given: &Given) {
        if given.get("sweep.enabled").is_some() {
            return;
        }
        if let Some(item) = OF_THE_WALK.iter().find_map(|flag| given.get(flag)) {
            self.settings.push(Placed {
                key: "sweep.enabled",
                node: switched(true),
                place: item.place.clone(),
            });
        }
    }

    fn add(
        &mut self,
        item: &GivenOption,
        setting: Setting,
        notices: &mut Vec<Notice>,
        problems: &mut Vec<Problem>,
    ) {
        if item.value.expose().is_empty() {
            return;
        }
        let node = match (setting.read)(item.value.expose()) {
            Ok(Meaning::Is(node)) => node,
            Ok(Meaning::Instead(node, why)) => {
                notices.push(Notice::warning(&item.place, why));
                match node {
                    Some(node) => node,
                    None => return,
                }
            }
            Ok(Meaning::Nothing) => return,
            Err(refusal) => {
                problems.push(refusal.hidden(item.place.clone()));
                return;
            }
        };
        for key in setting.keys {
            self.settings.push(Placed {
                key,
                node: node.clone(),
                place: item.place.clone(),
            });
        }
    }

    /// The document with these keys in it.
    pub(in crate::config) fn onto(&self, mut document: Node) -> Node {
        for Placed { key, node, .. } in &self.settings {
            put(&mut document, key, node, true);
        }
        if self.shows_values {
            put(&mut document, "keys.values", &scalar("text"), false);
        }
        document
    }

    /// Names the option in the place of the key that it set. `file` is the place of the document.
    pub(in crate::config) fn replace_places(&self, file: &str, problems: &mut [Problem]) {
        for problem in problems {
            let Some(key) = problem.place.strip_prefix(file) else {
                continue;
            };
            let Some(key) = key.strip_prefix(": ") else {
                continue;
            };
            let mut settings = self.settings.iter();
            let setting = settings.find(|setting| {
                // Without a file, a whole section is the options' too.
                is_within(key, setting.key) || (file.is_empty() && is_within(setting.key, key))
            });
            if let Some(setting) = setting {
                problem.place.clone_from(&setting.place);
            }
        }
    }
}

/// As with `redis_exporter`, the password goes before the file.
fn unread_password_file(given: &Given) -> Option<Notice> {
    given.get("redis.password")?;
    let file = given.get("redis.password-file")?;
    let text = "is not read, as a password is given beside it; keep one of the two";
    Some(Notice::info(&file.place, text))
}

/// What is to be said about an option that sets nothing, where it is not at its default.
fn notice_of(item: &GivenOption) -> Option<Notice> {
    if item.is_default() {
        return None;
    }
    let (place, remark) = (&item.place, item.option.remark);
    match item.option.fate {
        Fate::Own(_) | Fate::Same(_) | Fate::Sets(_) => None,
        Fate::NotNeeded => Some(Notice::info(place, format!("is not needed: {remark}"))),
        Fate::NotHonoured => Some(Notice::warning(place, format!("is not honoured: {remark}"))),
    }
}

/// Whether the key is this one, or one below it.
fn is_within(key: &str, whole: &str) -> bool {
    let rest = key.strip_prefix(whole);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn put_in_each(list: &mut Node, path: &str, value: &Node) {
    if let Node::List(items) = list {
        for item in items {
            put(item, path, value, true);
        }
    }
}

/// Puts a value at a path; `[]` in it is each item of a list. Where the document has something
/// else than a map on the way, it stays as it is, for its reader to report.
fn put(document: &mut Node, path: &str, value: &Node, replace: bool) {
    if *document == Node::Nothing {
        *document = Node::Map(Vec::new());
    }
    let Node::Map(entries) = document else {
        return;
    };
    let (key, rest) = path.split_once('.').unwrap_or((path, ""));
    if let Some(key) = key.strip_suffix("[]") {
        let lists = entries.iter_mut().filter(|(name, _)| name == key);
        for (_, list) in lists {
            put_in_each(list, rest, value);
        }
        return;
    }
    let known = entries.iter().position(|(name, _)| name == key);
    if rest.is_empty() && known.is_some() && !replace {
        return;
    }
    if known.is_none() {
        entries.push((key.to_owned(), Node::Nothing));
    }
    let at = known.unwrap_or(entries.len() - 1);
    let Some((_, node)) = entries.get_mut(at) else {
        return;
    };
    if rest.is_empty() {
        set(node, value);
    } else {
        put(node, rest, value, replace);
    }
}

/// Replaces a value; a map is merged into one that is there.
fn set(node: &mut Node, value: &Node) {
    let (Node::Map(known), Node::Map(entries)) = (&mut *node, value) else {
        *node = value.clone();
        return;
    };
    for (key, value) in entries {
        known.retain(|(name, _)| name != key);
        known.push((key.clone(), value.clone()));
    }
}
