//! Selects the commands that are exported individually.

use super::problem::Invalid;
use super::row::FromText;
use crate::glob::Glob;

/// The commands that are exported individually. Names are those in the server's statistics, such as
/// `get` or `config|get`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// `None` includes all commands.
    pub(crate) include: Option<Vec<Glob>>,
    pub(crate) exclude: Vec<Glob>,
}

impl Commands {
    /// Selects commands that match `include`, or all if it is `None`, except those that match
    /// `exclude`.
    #[cfg(test)]
    #[must_use]
    pub const fn new(include: Option<Vec<Glob>>, exclude: Vec<Glob>) -> Self {
        Self { include, exclude }
    }

    /// Returns whether a command is exported.
    #[must_use]
    pub fn has(&self, command: &str) -> bool {
        let is_in = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(command.as_bytes()));
        self.include.as_deref().is_none_or(is_in) && !is_in(&self.exclude)
    }
}

/// Servers write command names in lower case.
impl FromText for Glob {
    fn from_text(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new(
                "matches no command",
                "remove it, or write * for all of them",
            ));
        }
        Ok(Self::new(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(include: Option<&[&str]>, exclude: &[&str]) -> Commands {
        let globs = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| Glob::from_text(text).unwrap())
                .collect()
        };
        Commands::new(include.map(globs), globs(exclude))
    }

    #[test]
    fn without_globs_all_commands_are_exported() {
        assert!(Commands::default().has("get"));
    }

    #[test]
    fn exclude_overrides_include() {
        let some = commands(Some(&["get", "CONFIG|*"]), &["*|set"]);
        let shown = ["get", "config|get", "config|set", "config", "set"].map(|name| some.has(name));
        assert_eq!(shown, [true, true, false, false, false]);
    }

    #[test]
    fn empty_include_exports_no_commands() {
        assert!(!commands(Some(&[]), &[]).has("get"));
    }
}
