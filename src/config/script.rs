//! Lua scripts whose results are shown: their text, read when the configuration is. Not the
//! asking.

use std::path::Path;

use super::draft::Draft;
use super::problem::{Refusal, quoted};
use super::reader::{Context, ReadFile, Written};

/// The largest script, in bytes: its text goes to the server at each poll.
const LARGEST_SCRIPT: u64 = 64 << 10;

/// Each script holds up the server while it runs.
pub(crate) const MOST_SCRIPTS: usize = 20;

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
    pub(crate) fn read(path: &str, read_file: &ReadFile<'_>) -> Result<Self, Refusal> {
        let text = read_file(Path::new(path), LARGEST_SCRIPT)?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::new("is an empty file", "write the script into it"));
        }
        Ok(Self {
            name: path.to_owned(),
            text,
            read_only: true,
        })
    }
}

/// Adds the script that was read.
pub(crate) fn finish(draft: &mut Draft, written: &Written, context: &mut Context<'_>) {
    if !written.has("file") {
        let remedy = "name the file that holds the script, as in file: /etc/queue.lua";
        context.report(&written.place, "has no `file`", remedy);
    }
    let (name, read_only) = (draft.item.name.take(), draft.item.read_only);
    let Some(script) = draft.item.script.take() else {
        return;
    };
    let name = name.unwrap_or(script.name);
    let scripts = &mut draft.options().scripts;
    if scripts.iter().any(|earlier| earlier.name == name) {
        let what = format!("{} is the name of an earlier script", quoted(&name));
        context.report(&written.place, what, "give each a `name` of its own");
    }
    let text = script.text;
    scripts.push(Script {
        name,
        text,
        read_only,
    });
}
