//! Which commands are shown one by one. Not what is shown of them.

use super::keys::items;
use super::problem::Refusal;
use super::section::{Context, Section};
use crate::glob::Glob;

/// The keys of the section.
pub(crate) const KEYS: &[&str] = &["include", "exclude"];

/// The most globs of a list: each command is held against all of them.
const MOST_GLOBS: usize = 100;

/// The commands that are shown one by one, by their names in the server's statistics, as `get` or
/// `config|get`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// None stands for all of them.
    include: Option<Vec<Glob>>,
    exclude: Vec<Glob>,
}

impl Commands {
    /// Those that a glob of `include` matches, or all without it, and none of `exclude`.
    #[must_use]
    pub const fn new(include: Option<Vec<Glob>>, exclude: Vec<Glob>) -> Self {
        Self { include, exclude }
    }

    /// Whether a command is shown.
    #[must_use]
    pub fn has(&self, command: &str) -> bool {
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(command.as_bytes()));
        self.include.as_deref().is_none_or(is_in) && !is_in(&self.exclude)
    }
}

/// Reads `commands` below a map; what is not there is as in `defaults`.
pub(crate) fn read(
    parent: &Section<'_>,
    defaults: &Commands,
    context: &mut Context<'_>,
) -> Option<Commands> {
    let section = parent.section("commands", KEYS, context)?;
    let include = items(&section, "include", MOST_GLOBS, glob, context);
    let exclude = items(&section, "exclude", MOST_GLOBS, glob, context);
    Some(Commands::new(
        include.ok()?.or_else(|| defaults.include.clone()),
        exclude.ok()?.unwrap_or_else(|| defaults.exclude.clone()),
    ))
}

/// Servers write the names of commands in small letters.
fn glob(text: &str) -> Result<Glob, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new(
            "matches no command",
            "remove it, or write * for all of them",
        ));
    }
    Ok(Glob::new(text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(include: Option<&[&str]>, exclude: &[&str]) -> Commands {
        let globs = |texts: &[&str]| texts.iter().map(|text| glob(text).unwrap()).collect();
        Commands::new(include.map(globs), globs(exclude))
    }

    #[test]
    fn without_globs_all_commands_are_shown() {
        assert!(Commands::default().has("get"));
    }

    #[test]
    fn exclude_goes_before_include() {
        let some = commands(Some(&["get", "CONFIG|*"]), &["*|set"]);
        let shown = ["get", "config|get", "config|set", "config", "set"].map(|name| some.has(name));
        assert_eq!(shown, [true, true, false, false, false]);
    }

    #[test]
    fn an_empty_include_shows_none() {
        assert!(!commands(Some(&[]), &[]).has("get"));
    }
}
