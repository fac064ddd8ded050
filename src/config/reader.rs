//! Reads maps and lists of the document by the rows of options, and collects all problems.
//!
//! The meaning of an option is in its row.

use super::context::Context;
use super::document::{Node, ScalarKind, YamlValue};
use super::draft::Draft;
use super::expand::expand;
use super::problem::{Invalid, Origin, Place, listed};
use super::row::{Items, List, OptionRow, Set, TARGETS};
use super::rows::ROWS;
use super::unknown_key::{NO_OPTION, unknown_key};
use super::written_keys::WrittenKeys;

/// Maximum number of reported unknown keys of one map.
const MOST_UNKNOWN: usize = 50;

/// Reads the maps of one level: the top level, or an item of a list.
pub(crate) struct LevelReader<'r, 'c> {
    pub(crate) draft: &'r mut Draft,
    pub(crate) context: &'r mut Context<'c>,
    /// The prefix of the keys of the rows.
    level: &'static str,
    pub(crate) written: WrittenKeys,
}

/// The result of looking up a path.
enum KnownPath {
    Option(&'static OptionRow),
    Section(&'static str),
}

impl<'r, 'c> LevelReader<'r, 'c> {
    pub(crate) fn new(
        level: &'static str,
        place: Place,
        draft: &'r mut Draft,
        context: &'r mut Context<'c>,
    ) -> Self {
        draft.start(level);
        Self {
            draft,
            context,
            level,
            written: WrittenKeys::new(place),
        }
    }

    /// Reads a map. Unknown and duplicate keys are reported.
    pub(crate) fn read(mut self, node: &Node) -> WrittenKeys {
        self.map(node, &self.written.place.clone(), "");
        self.written
    }

    pub(crate) fn map(&mut self, node: &Node, place: &Place, prefix: &str) {
        let entries = match &node.value {
            YamlValue::Map(entries) => entries,
            YamlValue::Nothing => return,
            other => {
                let known = listed(&self.known(prefix));
                let remedy = format!("write `key: value` pairs; known keys: {known}");
                let what = format!("is {}, not a map", other.kind());
                return self.context.report(place, what, remedy);
            }
        };
        let (mut seen, mut unknown): (Vec<&str>, usize) = (Vec::new(), 0);
        for entry in entries {
            let path = format!("{prefix}{}", entry.key);
            let here = place.at(&entry.source);
            // A dot in a key does not separate sections.
            let is_plain = !entry.key.contains(['.', '*']);
            let found = self.find(&path).filter(|_| is_plain);
            let Some(found) = found else {
                unknown += 1;
                if unknown <= MOST_UNKNOWN {
                    let known = self.known(prefix);
                    let invalid = unknown_key(&entry.key, prefix, &known);
                    self.context.reject(&here, invalid);
                }
                continue;
            };
            if seen.contains(&&*entry.key) {
                let what = format!("has the key `{}` twice", entry.key);
                self.context.report(&here, what, "keep one of them");
                continue;
            }
            seen.push(&entry.key);
            let place = place.key(entry.place(), &entry.key);
            match found {
                KnownPath::Option(row) => self.option(row, &path, &entry.node, place),
                KnownPath::Section(path) => {
                    let problems = self.context.problems.len();
                    self.map(&entry.node, &place, &format!("{path}."));
                    let is_good = self.context.problems.len() == problems;
                    self.written.add(path, place, is_good);
                }
            }
        }
    }

    fn find(&self, path: &str) -> Option<KnownPath> {
        let mut section = None;
        for row in ROWS {
            let Some(key) = row.key_at(self.level) else {
                continue;
            };
            let is_named = || {
                let name = path.strip_prefix(key.strip_suffix('*')?)?;
                self.context.collector_names.contains(&name).then_some(())
            };
            match key.strip_prefix(path) {
                Some("") => return Some(KnownPath::Option(row)),
                None if is_named().is_some() => return Some(KnownPath::Option(row)),
                Some(rest) if rest.starts_with('.') => section = key.get(..path.len()),
                _ => {}
            }
        }
        section.map(KnownPath::Section)
    }

    /// Returns the keys of a map, in the order of the rows.
    fn known(&self, prefix: &str) -> Vec<&'c str> {
        let mut known = Vec::new();
        for row in ROWS {
            let key = row
                .key_at(self.level)
                .and_then(|key| key.strip_prefix(prefix));
            match key.and_then(|key| key.split('.').next()) {
                Some("*") => known.extend(self.context.collector_names),
                Some(key) if !known.contains(&key) => known.push(key),
                _ => {}
            }
        }
        known
    }

    /// Reads the value of an option that a flag or a variable has set.
    pub(crate) fn set(&mut self, key: &str, node: &Node, place: &Place) {
        match self.find(key) {
            Some(KnownPath::Option(row)) => self.option(row, key, node, place.clone()),
            Some(KnownPath::Section(_)) => self.map(node, place, &format!("{key}.")),
            None => self.context.report(place, NO_OPTION, "remove it"),
        }
    }

    fn option(&mut self, row: &'static OptionRow, full_path: &str, node: &Node, place: Place) {
        let Some(path) = row.key_at(self.level) else {
            return;
        };
        let is_overridden = matches!(place.source, Origin::File(_))
            && self.level.is_empty()
            && self.context.masked.contains(&full_path);
        if is_overridden {
            return;
        }
        let problems = self.context.problems.len();
        match row.set {
            Set::Value(set) => self.value(row, node, &place, |draft, text, _| set(draft, text)),
            Set::File(set) => self.value(row, node, &place, |draft, text, context| {
                set(draft, text, context.read_file)
            }),
            Set::List(most, list) => self.list(row, (most, list), node, &place),
            Set::Items(items) => self.items(&items, node, &place),
            Set::Named(set) => {
                let name = full_path.rsplit('.').next().unwrap_or_default();
                self.value(row, node, &place, |draft, text, _| set(draft, name, text));
            }
            Set::Targets => {}
        }
        let is_good = self.context.problems.len() == problems;
        self.record(full_path, node, &place);
        self.written.add(path, place, is_good);
    }

    /// Records an option of the top level, or of the target of flags and variables. Items of lists
    /// are part of their list.
    fn record(&mut self, path: &str, node: &Node, place: &Place) {
        let is_option = matches!(place.source, Origin::Option(_));
        match self.level {
            "" => self.context.recorder.record(path, node, place),
            TARGETS if is_option => {
                let path = format!("{TARGETS}{path}");
                self.context.recorder.record(&path, node, place);
            }
            _ => {}
        }
    }

    /// Sets an option from the expanded text of a single value.
    ///
    /// A problem shows the value as written, unless it may be a misplaced secret.
    fn value(
        &mut self,
        row: &OptionRow,
        node: &Node,
        place: &Place,
        set: impl FnOnce(&mut Draft, &str, &Context<'_>) -> Result<(), Invalid>,
    ) {
        let scalar = match &node.value {
            YamlValue::Scalar(scalar) => scalar,
            YamlValue::Nothing => {
                let remedy = "write a value, or remove the key";
                return self.context.report(place, "has no value", remedy);
            }
            other => {
                let what = format!("is {}, not a single value", other.kind());
                let remedy = "write one value; put it in quotes if it starts with [ or {";
                return self.context.report(place, what, remedy);
            }
        };
        if row.takes.is_text() && scalar.kind != ScalarKind::Text {
            return self.no_text(&node.value, place);
        }
        let expanded = expand(&scalar.text, self.context.environment);
        let done = expanded.and_then(|text| set(self.draft, &text, self.context));
        if let Err(invalid) = done {
            let invalid = if row.is_hidden {
                invalid.hidden()
            } else {
                invalid.of(&scalar.text)
            };
            self.context.reject(place, invalid);
        }
    }

    fn no_text(&mut self, value: &YamlValue, place: &Place) {
        let what = format!("is {}, not a text", value.kind());
        self.context.report(place, what, "put it in quotes");
    }

    fn nodes<'n>(&mut self, node: &'n Node, most: usize, place: &Place) -> &'n [Node] {
        let items = items_of(node, place, self.context).unwrap_or_default();
        if items.len() <= most {
            return items;
        }
        let what = format!("has {} items", items.len());
        self.context
            .report(place, what, format!("keep {most} at most"));
        &[]
    }

    /// Replaces a list of single values.
    fn list(
        &mut self,
        row: &OptionRow,
        (most, list): (usize, fn(&mut Draft) -> &mut dyn List),
        node: &Node,
        place: &Place,
    ) {
        list(self.draft).clear();
        for (index, item) in self.nodes(node, most, place).iter().enumerate() {
            let place = place.item(&item.source, index);
            match &item.value {
                YamlValue::Scalar(scalar)
                    if scalar.kind == ScalarKind::Text || !row.takes.is_text() =>
                {
                    let expanded = expand(&scalar.text, self.context.environment);
                    let done = expanded.and_then(|text| list(self.draft).push(&text));
                    if let Err(invalid) = done {
                        let invalid = if row.is_hidden {
                            invalid.hidden()
                        } else {
                            invalid.of(&scalar.text)
                        };
                        self.context.reject(&place, invalid);
                    }
                }
                other => self.no_text(other, &place),
            }
        }
    }

    /// Replaces a list of maps.
    fn items(&mut self, items: &Items, node: &Node, place: &Place) {
        (items.clear)(self.draft);
        for (index, item) in self.nodes(node, items.most, place).iter().enumerate() {
            let place = place.item(&item.source, index);
            let written = LevelReader::new(items.level, place, self.draft, self.context).read(item);
            if matches!(item.value, YamlValue::Map(_) | YamlValue::Nothing) {
                (items.finish)(self.draft, &written, self.context);
            }
        }
    }
}

/// Returns the items of a list, or reports that the value is not a list. Without a value, there are
/// no items.
pub(super) fn items_of<'a>(
    node: &'a Node,
    place: &Place,
    context: &mut Context<'_>,
) -> Option<&'a [Node]> {
    match &node.value {
        YamlValue::List(items) => Some(items),
        YamlValue::Nothing => Some(&[]),
        other => {
            let what = format!("is {}, not a list", other.kind());
            context.report(place, what, "start each item with `- `");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document;
    use super::super::problem::Problem;
    use super::super::recorded::Recorder;
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut context = Context {
            file: "c.yaml",
            environment: &|name| (name == "SET").then(|| "hunter2".to_owned()),
            check_file: &|_, _| Ok(()),
            read_file: &|_, _| Ok(Vec::new()),
            collector_names: &["slowlog", "latency"],
            masked: Vec::new(),
            problems: Vec::new(),
            notices: Vec::new(),
            recorder: Recorder::default(),
        };
        let node = document::read(text).unwrap();
        let place = Place::new(node.source.clone());
        LevelReader::new("", place, &mut Draft::new(), &mut context).read(&node);
        context.problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn error_suggests_the_nearest_known_key() {
        for (text, expected) in [
            ("lissten: 1", "did you mean `listen`?"),
            ("telemetry-path: 1", "did you mean `telemetry_path`?"),
            ("Series: 1", "did you mean `series`?"),
            ("<<: 1", "not the name of an option"),
            ("colour: 1", "remove it; known: listen, poll, log, "),
            (
                "poll: {time_out: 1s}",
                "did you mean `timeout`? Known: interval, timeout, follow_scrapes",
            ),
            (
                "collectors: {slow_log: true}",
                "did you mean `slowlog`? Known: slowlog, latency",
            ),
            (
                "scripts: [{fil: /a}]",
                "did you mean `file`? Known: name, file, read_only",
            ),
        ] {
            let problems = problems(text);
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn path_in_one_key_is_unknown() {
        for text in [
            "poll.interval: 1s",
            "collectors.slowlog: true",
            "collectors: {'*': true}",
            "'targets[].url': h",
            "'': 1",
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains("has a"), "{text}: {problems:?}");
        }
    }

    #[test]
    fn key_that_may_hold_a_secret_is_not_shown() {
        for text in [
            "{ password:hunter2, a b hunter2: 1 }",
            "hunter2secret: 1",
            "poll: { hunter2: 1 }",
            "HUNTERsecret: 1",
            "huntersecretpassword: 1",
            "a-hunter-passphrase-secret: 1",
            "web: { basic_auth: { hunter: secret } }",
            "web: { basic_auth: { hunter2secret: $2y$05$secret } }",
            "web: { basic_auth: { username: x, passw0rd: secret } }",
            "scripts: [{ name: x, hunter2secret: 1 }]",
            "pol1: hunter2",
        ] {
            let problems = problems(text).concat();
            assert!(problems.contains("c.yaml:1:"), "{text}: {problems}");
            for secret in ["hunter", "HUNTER", "secret", "passw0rd", "pol1"] {
                assert!(!problems.contains(secret), "{text}: {problems}");
            }
        }
    }

    #[test]
    fn key_of_a_few_words_is_shown() {
        for (text, key) in [
            ("colour: 1", "`colour`"),
            ("scrape_job_name: 1", "`scrape_job_name`"),
            ("web: { basic_auth: { pasword: x } }", "`pasword`"),
            ("telemetryPath: 1", "`telemetryPath`"),
        ] {
            let problems = problems(text).concat();
            assert!(problems.contains(key), "{text}: {problems}");
        }
    }

    #[test]
    fn each_repetition_of_a_key_is_one_problem() {
        let problems = problems("listen: :1\npoll: {}\nlisten: :2\nlisten: :3\n");
        assert_eq!(
            problems,
            [3, 4].map(|line| format!(
                "c.yaml:{line}:1: has the key `listen` twice; keep one of them"
            ))
        );
    }

    #[test]
    fn problem_shows_the_value_as_it_is_written() {
        let problems = problems("poll: {interval: '${SET}'}\nlisten: ${SET}\nmetric_prefix: 5\n");
        let expected = [
            "c.yaml:1:18: poll.interval: `${SET}` is not a duration; ",
            "c.yaml:2:9: listen: the value is not an address to listen at; ",
            "c.yaml:3:16: metric_prefix: is a number, not a text; put it in quotes",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn wrong_type_is_named() {
        for (text, expected) in [
            ("listen: [1]", "listen: is a list, not a single value;"),
            ("listen: {a: 1}", "listen: is a map, not a single value;"),
            ("listen:", "listen: has no value;"),
            (
                "[]",
                "is a list, not a map; write `key: value` pairs; known keys: listen, ",
            ),
            (
                "collectors: 5",
                "collectors: is a number, not a map; write `key: value` pairs; known keys: slowlog",
            ),
            (
                "sweep: {databases: 5}",
                "sweep.databases: is a number, not a list;",
            ),
        ] {
            let problems = problems(text);
            assert!(problems[0].contains(expected), "{problems:?}");
        }
    }

    #[test]
    fn unknown_keys_of_a_map_are_reported_up_to_a_limit() {
        let keys: Vec<String> = (0..100_000).map(|at| format!("x{at}: 1\n")).collect();
        assert_eq!(problems(&keys.concat()).len(), MOST_UNKNOWN);
    }
}
