//! Writes recorded options and defaults in the order of the rows.

use std::fmt::Write as _;

use super::redact::{row_of, shown};
use super::{has_implicit_target, scalar};
use crate::config::Config;
use crate::config::document::{MapEntry, Node, Scalar, YamlValue};
use crate::config::expand::{Environment, expand};
use crate::config::problem::Origin;
use crate::config::recorded::RecordedOption;
use crate::config::redis_exporter::Given;
use crate::config::row::{OptionRow, TARGETS};
use crate::config::rows::ROWS;

/// The path under which the switch of a flag for all scripts is recorded.
const SCRIPTS_SWITCH: &str = "scripts[].read_only";

/// Everything that the text depends on.
pub(super) struct Writer<'a> {
    /// The name of the file, or an empty text.
    pub(super) file: &'a str,
    pub(super) environment: &'a Environment<'a>,
    pub(super) options: &'a [RecordedOption],
    pub(super) config: &'a Config,
    pub(super) given: &'a Given,
}

/// A line without its indentation.
struct TextLine {
    indent: usize,
    text: String,
    /// The origin of the value, or an empty text.
    origin: String,
    /// Whether it is commented out.
    is_default: bool,
}

/// An option with its path below the sections that are already open.
struct OptionLines<'a> {
    path: Vec<&'a str>,
    lines: Vec<TextLine>,
}

impl Writer<'_> {
    /// Returns the whole text.
    pub(super) fn text(&self) -> String {
        let mut branches = Vec::new();
        for row in ROWS.iter().filter(|row| !row.key.contains("[]")) {
            self.branches(row, &mut branches);
        }
        let mut lines = Vec::new();
        sections(branches, 0, &mut lines);
        let mut text = String::from(
            "# The effective configuration. A comment after a value names its origin. Defaults are \
             commented out, and secrets are hidden.\n",
        );
        if !self.file.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# File: {}", self.file.escape_debug());
        }
        for line in lines {
            let indent = "  ".repeat(line.indent);
            let mark = if line.is_default { "# " } else { "" };
            let _ = write!(text, "{indent}{mark}{}", line.text);
            if !line.origin.is_empty() {
                let _ = write!(text, "  # {}", line.origin);
            }
            text.push('\n');
        }
        text
    }

    /// Adds the lines of the option of a row, if it is set or has a default.
    fn branches<'r>(&'r self, row: &'static OptionRow, branches: &mut Vec<OptionLines<'r>>) {
        if let Some(section) = row.key.strip_suffix('*') {
            let mut named: Vec<&RecordedOption> = Vec::new();
            for option in self
                .options
                .iter()
                .filter(|one| one.path.starts_with(section))
            {
                named.retain(|one| one.path != option.path);
                named.push(option);
            }
            branches.extend(
                named
                    .into_iter()
                    .map(|option| of_option(&option.path, self.set(option))),
            );
            return;
        }
        if let Some(lines) = self.special(row) {
            branches.push(of_option(row.key, lines));
        } else if let Some(option) = self.last(row.key) {
            branches.push(of_option(row.key, self.set(option)));
        } else if !row.default.is_empty() {
            let value = scalar::written(row.default, row.takes.is_text());
            let lines = vec![commented(row.key, &value)];
            branches.push(of_option(row.key, lines));
        }
    }

    fn last(&self, path: &str) -> Option<&RecordedOption> {
        self.options.iter().rev().find(|option| option.path == path)
    }

    /// Returns the lines of options whose value is not the one that was written.
    fn special(&self, row: &'static OptionRow) -> Option<Vec<TextLine>> {
        match row.key {
            "log.level" if self.given.is_on("debug") => {
                let place = self.given.get("debug").map(|given| given.place.as_str());
                Some(vec![line(
                    "level: debug",
                    &named(place.unwrap_or_default()),
                )])
            }
            "poll.timeout" => {
                let timeout = self.config.poll.timeout.as_millis();
                let text = if timeout.is_multiple_of(1_000) {
                    format!("{}s", timeout / 1_000)
                } else {
                    format!("{timeout}ms")
                };
                let old = self.given.get("connection-timeout");
                match (old, self.given.get("poll.timeout"), self.last(row.key)) {
                    (Some(old), None, _) => {
                        Some(vec![line(&format!("timeout: {text}"), &named(&old.place))])
                    }
                    (None, None, None) => Some(vec![commented(row.key, &text)]),
                    _ => None,
                }
            }
            "target_label" if has_implicit_target(self.config) && self.last(row.key).is_none() => {
                let label = self.config.names.target_label;
                let origin = "default without a list of targets";
                Some(vec![line(&format!("target_label: {label}"), origin)])
            }
            "targets" if has_implicit_target(self.config) => Some(self.implicit_target()),
            _ => None,
        }
    }

    /// Returns the target of flags and variables as the only item of the list.
    fn implicit_target(&self) -> Vec<TextLine> {
        let mut of_target: Vec<&RecordedOption> = Vec::new();
        for option in self
            .options
            .iter()
            .filter(|one| one.path.starts_with(TARGETS))
        {
            of_target.retain(|one| one.path != option.path);
            of_target.push(option);
        }
        let is_group = of_target
            .iter()
            .any(|option| option.path == "targets[].discover.kind");
        if !is_group {
            // Without a kind, options of a group have no meaning, and a file must not set them.
            of_target.retain(|option| !option.path.starts_with("targets[].discover."));
        }
        let mut branches: Vec<OptionLines<'_>> = of_target
            .iter()
            .map(|option| {
                let path = option.path.strip_prefix(TARGETS).unwrap_or(&option.path);
                of_option(path, self.set(option))
            })
            .collect();
        // Options of one section are written together.
        branches.sort_by_key(|branch| branch.path.len());
        let mut fields = Vec::new();
        if is_group {
            fields.push(line("name: cluster", "default"));
        }
        sections(branches, 0, &mut fields);
        let mut lines = vec![line("targets:", "")];
        lines.extend(as_item(fields));
        lines
    }

    /// Returns the lines of an option that is set.
    fn set(&self, option: &RecordedOption) -> Vec<TextLine> {
        let name = option.path.rsplit('.').next().unwrap_or(&option.path);
        self.block(name, &option.path, &option.node, &option.place.source)
    }

    /// Returns the lines of a key with its value.
    fn block(&self, name: &str, path: &str, node: &Node, enclosing: &Origin) -> Vec<TextLine> {
        let source = match &node.source {
            Origin::Enclosing => enclosing,
            source => source,
        };
        match &node.value {
            YamlValue::Nothing => vec![line(&format!("{name}:"), &self.origin(source, ""))],
            YamlValue::Scalar(scalar) => {
                let value = self.value(path, scalar);
                let origin = self.origin(source, &scalar.text);
                vec![line(&format!("{name}: {value}"), &origin)]
            }
            YamlValue::List(items) if items.is_empty() => {
                vec![line(&format!("{name}: []"), &self.origin(source, ""))]
            }
            YamlValue::List(items) => {
                let mut lines = vec![line(&format!("{name}:"), &self.origin(source, ""))];
                for item in items {
                    lines.extend(self.item(path, item, source));
                }
                lines
            }
            YamlValue::Map(entries) => {
                let mut lines = vec![line(&format!("{name}:"), "")];
                lines.extend(indented(self.entries(&format!("{path}."), entries, source)));
                lines
            }
        }
    }

    fn item(&self, path: &str, item: &Node, enclosing: &Origin) -> Vec<TextLine> {
        let fields = match &item.value {
            YamlValue::Scalar(scalar) => vec![line(&self.value(path, scalar), "")],
            YamlValue::Map(entries) => {
                let mut fields = self.entries(&format!("{path}[]."), entries, enclosing);
                if path == "scripts"
                    && let Some(switch) = self.last(SCRIPTS_SWITCH)
                {
                    fields.retain(|field| !field.text.starts_with("read_only:"));
                    fields.extend(self.set(switch));
                }
                fields
            }
            _ => Vec::new(),
        };
        as_item(fields)
    }

    fn entries(&self, prefix: &str, entries: &[MapEntry], enclosing: &Origin) -> Vec<TextLine> {
        let mut lines = Vec::new();
        for entry in entries {
            let path = format!("{prefix}{}", entry.key);
            let enclosing = match &entry.source {
                Origin::Enclosing => enclosing,
                source => source,
            };
            lines.extend(self.block(&entry.key, &path, &entry.node, enclosing));
        }
        lines
    }

    /// Returns a value with its variables replaced and its secrets hidden.
    fn value(&self, path: &str, scalar: &Scalar) -> String {
        let row = row_of(path);
        // The configuration is valid, so all variables are set.
        let text = expand(&scalar.text, self.environment).unwrap_or_default();
        let text = shown(row, &text).replace("${", "$${");
        scalar::written(&text, row.is_none_or(|row| row.takes.is_text()))
    }

    /// Returns the words for an origin, and the variables that a value refers to.
    fn origin(&self, source: &Origin, text: &str) -> String {
        let mut origin = match source {
            Origin::File(position) => {
                let name = self.file.rsplit('/').next().unwrap_or(self.file);
                format!("{}:{}", name.escape_debug(), position.line())
            }
            Origin::Option(name) => named(name),
            Origin::Enclosing => String::new(),
        };
        if matches!(source, Origin::File(_)) {
            for name in references(text) {
                origin.push_str(", variable ");
                origin.push_str(&name);
            }
        }
        origin
    }
}

fn of_option(path: &str, lines: Vec<TextLine>) -> OptionLines<'_> {
    OptionLines {
        path: path.split('.').collect(),
        lines,
    }
}

/// Returns the line of an option with its default value.
fn commented(key: &str, value: &str) -> TextLine {
    let name = key.rsplit('.').next().unwrap_or(key);
    TextLine {
        is_default: true,
        ..line(&format!("{name}: {value}"), "default")
    }
}

/// Returns the words for a flag, a variable, or the default.
fn named(place: &str) -> String {
    match place {
        "" => "default".to_owned(),
        flag if flag.starts_with('-') => format!("flag {flag}"),
        variable => format!("variable {variable}"),
    }
}

/// Returns the names of the variables that a value refers to.
fn references(text: &str) -> Vec<String> {
    // Two dollar signs are one that refers to nothing.
    let text = text.replace("$${", "");
    let parts = text.split("${").skip(1);
    let names = parts.filter_map(|part| {
        let end = part.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))?;
        part.get(..end)
    });
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn line(text: &str, origin: &str) -> TextLine {
    TextLine {
        indent: 0,
        text: text.to_owned(),
        origin: origin.to_owned(),
        is_default: false,
    }
}

fn indented(lines: Vec<TextLine>) -> impl Iterator<Item = TextLine> {
    lines.into_iter().map(|line| TextLine {
        indent: line.indent + 1,
        ..line
    })
}

/// Returns the lines of an item of a list.
fn as_item(mut fields: Vec<TextLine>) -> Vec<TextLine> {
    match fields.first_mut() {
        Some(first) => first.text.insert_str(0, "- "),
        None => return vec![line("- {}", "")],
    }
    let mut lines = Vec::new();
    for (at, field) in fields.into_iter().enumerate() {
        // The first line is after the dash.
        let indent = field.indent + usize::from(at > 0) + 1;
        lines.push(TextLine { indent, ..field });
    }
    lines
}

/// Writes options with their sections. A section without any set option is commented out.
fn sections(branches: Vec<OptionLines<'_>>, depth: usize, lines: &mut Vec<TextLine>) {
    let mut rest = branches.into_iter().peekable();
    while let Some(branch) = rest.next() {
        let Some(name) = branch.path.get(depth).copied() else {
            continue;
        };
        if branch.path.len() == depth + 1 {
            let inner = branch.lines.into_iter();
            lines.extend(inner.map(|line| TextLine {
                indent: line.indent + depth,
                ..line
            }));
            continue;
        }
        let mut section = vec![branch];
        while let Some(next) = rest.next_if(|next| next.path.get(depth) == Some(&name)) {
            section.push(next);
        }
        let is_default = section
            .iter()
            .all(|branch| branch.lines.iter().all(|line| line.is_default));
        lines.push(TextLine {
            indent: depth,
            is_default,
            ..line(&format!("{name}:"), "")
        });
        sections(section, depth + 1, lines);
    }
}
