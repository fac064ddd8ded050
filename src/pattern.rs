//! Patterns for names: a Redis glob or a regular expression, compiled once.
//! Callers decide what a match means. Pure.

use regex::bytes::{Regex, RegexBuilder};

use crate::glob::Glob;

/// Maximum size of a compiled regular expression, in bytes.
const LARGEST_REGEX: usize = 1 << 20;

/// A compiled pattern. Two patterns are equal if their sources are.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Glob(Glob),
    Regex(Expression),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.as_glob().is_some() == other.as_glob().is_some()
    }
}

impl Eq for Pattern {}

impl From<Expression> for Pattern {
    fn from(expression: Expression) -> Self {
        Self {
            source: expression.0.as_str().to_owned(),
            test: Test::Regex(expression),
        }
    }
}

/// A regular expression over bytes, of limited size. It may match anywhere in a name. Two are equal
/// if their sources are.
#[derive(Clone, Debug)]
pub struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Expression {}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// It does not compile, or its compiled form exceeds one mebibyte.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(text).size_limit(LARGEST_REGEX).build();
        regex.map(Self)
    }

    /// Returns whether it has a capture group.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        self.0.captures_len() > 1
    }

    /// Returns whether a name matches.
    #[must_use]
    pub fn is_match(&self, name: &[u8]) -> bool {
        self.0.is_match(name)
    }

    /// Returns the concatenated captures of a name, or `None` if the name does not match.
    #[must_use]
    pub fn captured(&self, name: &[u8]) -> Option<Vec<u8>> {
        let captures = self.0.captures(name)?;
        let parts = captures.iter().skip(1).flatten();
        Some(parts.flat_map(|part| part.as_bytes()).copied().collect())
    }
}

impl Pattern {
    /// Compiles a Redis glob: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a special character. It
    /// matches whole names.
    #[must_use]
    pub fn glob(text: &str) -> Self {
        Self {
            source: text.to_owned(),
            test: Test::Glob(Glob::new(text)),
        }
    }

    /// Compiles a regular expression over bytes. It may match anywhere in a name.
    ///
    /// # Errors
    ///
    /// It does not compile, or its compiled form exceeds one mebibyte.
    #[cfg(test)]
    pub fn regex(text: &str) -> Result<Self, regex::Error> {
        Expression::new(text).map(Self::from)
    }

    /// Returns the source of a glob; `None` for a regular expression.
    #[must_use]
    pub fn as_glob(&self) -> Option<&str> {
        match self.test {
            Test::Glob(_) => Some(&self.source),
            Test::Regex(_) => None,
        }
    }

    /// Returns the byte that every matching name starts with, if there is one.
    #[must_use]
    pub fn first_byte(&self) -> Option<u8> {
        match &self.test {
            Test::Glob(glob) => glob.prefix().first().copied(),
            Test::Regex(_) => None,
        }
    }

    /// Returns whether this pattern matches every name that another one matches, judged by sample
    /// names. A regular expression has no samples.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self == other || self.as_glob() == Some("*") {
            return true;
        }
        match &other.test {
            Test::Glob(glob) => glob.samples().iter().all(|name| self.matches(name)),
            Test::Regex(_) => false,
        }
    }

    /// Returns whether this is a glob without special characters, which matches exactly one name.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(&self.test, Test::Glob(glob) if glob.is_literal())
    }

    /// Returns whether a name matches.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match &self.test {
            Test::Glob(glob) => glob.matches(name),
            Test::Regex(regex) => regex.is_match(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_with_equal_sources_are_equal() {
        assert_eq!(Pattern::glob("a*"), Pattern::glob("a*"));
        assert_ne!(Pattern::glob("a*"), Pattern::glob("b*"));
        assert_ne!(Pattern::glob("a*"), Pattern::regex("a*").unwrap());
    }

    #[test]
    fn pattern_covers_a_narrower_one() {
        let regex = |text| Pattern::regex(text).unwrap();
        for (wide, narrow) in [
            (Pattern::glob("*"), regex("^a")),
            (Pattern::glob("api:*"), Pattern::glob("api:cache:*")),
            (Pattern::glob("*:cache:*"), Pattern::glob("api:cache:*")),
            (Pattern::glob("a?*"), Pattern::glob("a:*")),
            (Pattern::glob("a*"), Pattern::glob("abc")),
            (regex("^api:"), Pattern::glob("api:x*")),
            (regex("^a"), regex("^a")),
        ] {
            assert!(wide.covers(&narrow), "{wide:?} {narrow:?}");
        }
        for (one, other) in [
            (Pattern::glob("api:cache:*"), Pattern::glob("api:*")),
            (Pattern::glob("a*b"), Pattern::glob("a*")),
            (Pattern::glob("a"), Pattern::glob("a*")),
            (Pattern::glob("*:cache:*"), Pattern::glob("api:*")),
            (regex("[0-9]"), Pattern::glob("a:*")),
            (Pattern::glob("a*"), regex("^a")),
        ] {
            assert!(!one.covers(&other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn glob_is_anchored_and_regex_is_not() {
        assert!(!Pattern::glob("b").matches(b"abc"));
        assert!(Pattern::regex("b").unwrap().matches(b"abc"));
        assert!(Pattern::regex("((a{99}){99}){99}").is_err());
    }
}
