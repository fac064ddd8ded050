//! Lua scripts whose results are shown: their text, read when the configuration is. Not the
//! asking.

use std::path::Path;

use super::document::Node;
use super::namespace::label_value;
use super::problem::{Refusal, quoted};
use super::section::{Context, ReadFile, Section};
use super::unit;

/// The keys of an item of `scripts`.
pub(crate) const KEYS: &[&str] = &["name", "file", "read_only"];

/// The largest script, in bytes: its text goes to the server at each poll.
const LARGEST_SCRIPT: u64 = 64 << 10;

/// Each script holds up the server while it runs.
const MOST_SCRIPTS: usize = 20;

/// A Lua script that the server runs at each poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The value of the label `filename`. Unique.
    pub name: String,
    /// Its text, not empty.
    pub text: Vec<u8>,
    /// Whether the server is told, where it can be, to refuse writes.
    pub read_only: bool,
}

impl Script {
    /// Reads a script. Its name is its path as it is written, as with `redis_exporter`.
    pub(crate) fn read(
        path: &str,
        read_only: bool,
        read_file: &ReadFile<'_>,
    ) -> Result<Self, Refusal> {
        let text = read_file(Path::new(path), LARGEST_SCRIPT)?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::new("is an empty file", "write the script into it"));
        }
        Ok(Self {
            name: path.to_owned(),
            text,
            read_only,
        })
    }
}

/// Reads the list `scripts`; as in `defaults` where it is not there.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &[Script],
    context: &mut Context<'_>,
) -> Vec<Script> {
    if parent.node("scripts").is_none() {
        return defaults.to_vec();
    }
    let items = parent.list("scripts", context).unwrap_or_default();
    if items.len() > MOST_SCRIPTS {
        context.report(
            &parent.place_of("scripts"),
            format!("has {} scripts", items.len()),
            format!("keep at most {MOST_SCRIPTS}"),
        );
    }
    let mut scripts: Vec<Script> = Vec::new();
    for (node, place) in items {
        let Some(script) = read_script(node, &place, context) else {
            continue;
        };
        if scripts.iter().any(|earlier| earlier.name == script.name) {
            context.report(
                &place,
                format!("{} is the name of an earlier script", quoted(&script.name)),
                "give each a `name` of its own",
            );
        }
        scripts.push(script);
    }
    scripts
}

fn read_script(node: &Node, place: &str, context: &mut Context<'_>) -> Option<Script> {
    let section = Section::open(node, place.to_owned(), KEYS, context)?;
    let name = section.text("name", label_value, context);
    let read_only = section.value("read_only", unit::switch, context);
    let read_file = context.read_file;
    let parse = |path: &str| Script::read(path, true, read_file);
    let file = section.text("file", parse, context);
    if file == Ok(None) {
        context.report(
            place,
            "has no `file`",
            "name the file that holds the script, as in file: /etc/queue.lua",
        );
    }
    let name = name.ok()?.map(|placed| placed.value);
    let script = file.ok()??.value;
    Some(Script {
        name: name.unwrap_or(script.name),
        text: script.text,
        read_only: read_only.ok()?.is_none_or(|placed| placed.value),
    })
}
