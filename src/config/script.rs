//! Lua scripts whose results are exported. Their text is read with the configuration.

use std::path::Path;

use super::context::{Context, ReadFile};
use super::draft::Draft;
use super::problem::{Invalid, quoted};
use super::written_keys::WrittenKeys;

/// Maximum size of a script, in bytes. Its text is sent at each poll.
const LARGEST_SCRIPT: u64 = 64 << 10;

/// Maximum number of scripts. Each blocks the server while it runs.
pub(crate) const MOST_SCRIPTS: usize = 20;

/// A Lua script that the server runs at each poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The value of the label `filename`. It is unique.
    pub name: String,
    /// The source text. It is not empty.
    pub text: Vec<u8>,
    /// Whether to use `EVAL_RO`, if the server supports it, so that the server rejects writes.
    pub read_only: bool,
}

impl Script {
    /// Reads a script. As in `redis_exporter`, its name is the path as written.
    pub(crate) fn read(path: &str, read_file: &ReadFile<'_>) -> Result<Self, Invalid> {
        let text = read_file(Path::new(path), LARGEST_SCRIPT)?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Err(Invalid::new("is an empty file", "write the script into it"));
        }
        Ok(Self {
            name: path.to_owned(),
            text,
            read_only: true,
        })
    }
}

/// Adds the parsed script.
pub(crate) fn finish(draft: &mut Draft, written: &WrittenKeys, context: &mut Context<'_>) {
    if !written.has("file") {
        let remedy = "set the path of the script, such as file: /etc/queue.lua";
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
        context.report(&written.place, what, "names must be unique: set `name`");
    }
    let text = script.text;
    scripts.push(Script {
        name,
        text,
        read_only,
    });
}
