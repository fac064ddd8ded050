//! A pattern for names over bytes, compiled once: a glob of Redis or a regular expression. Not
//! what a match means.

use regex::bytes::{Regex, RegexBuilder};

use crate::glob::Glob;

/// In bytes of its compiled form, so that no pattern takes the memory of the process.
const LARGEST_REGEX: usize = 1 << 20;

/// Which names belong to a group. Two patterns are equal where they were written alike.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Glob(Glob),
    Regex(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.as_glob().is_some() == other.as_glob().is_some()
    }
}

impl Eq for Pattern {}

impl From<Regex> for Pattern {
    fn from(regex: Regex) -> Self {
        Self {
            source: regex.as_str().to_owned(),
            test: Test::Regex(regex),
        }
    }
}

/// A regular expression over bytes, of bounded size.
///
/// # Errors
///
/// It does not compile, or would take more than a mebibyte.
pub fn bounded(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(LARGEST_REGEX).build()
}

impl Pattern {
    /// A glob as Redis understands it: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a special
    /// character. It covers the whole name.
    #[must_use]
    pub fn glob(text: &str) -> Self {
        Self {
            source: text.to_owned(),
            test: Test::Glob(Glob::new(text)),
        }
    }

    /// A regular expression over bytes. It may match anywhere in the name.
    ///
    /// # Errors
    ///
    /// It does not compile, or would take more than a mebibyte.
    pub fn regex(text: &str) -> Result<Self, regex::Error> {
        bounded(text).map(Self::from)
    }

    /// The text of a glob; none of a regular expression.
    #[must_use]
    pub fn as_glob(&self) -> Option<&str> {
        match self.test {
            Test::Glob(_) => Some(&self.source),
            Test::Regex(_) => None,
        }
    }

    /// The byte that every matching name starts with, where there is one.
    #[must_use]
    pub fn first_byte(&self) -> Option<u8> {
        match &self.test {
            Test::Glob(glob) => glob.prefix().first().copied(),
            Test::Regex(_) => None,
        }
    }

    /// Whether this pattern matches every name that another one does, as far as samples of such
    /// names show. Of a regular expression there are no samples.
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

    /// Whether this is a glob without any special character, which matches one name only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(&self.test, Test::Glob(glob) if glob.is_literal())
    }

    /// Whether a name belongs to the group.
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
    fn patterns_are_equal_where_they_were_written_alike() {
        assert_eq!(Pattern::glob("a*"), Pattern::glob("a*"));
        assert_ne!(Pattern::glob("a*"), Pattern::glob("b*"));
        assert_ne!(Pattern::glob("a*"), Pattern::regex("a*").unwrap());
    }

    #[test]
    fn pattern_covers_what_it_matches_all_of() {
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
    fn a_glob_covers_the_name_and_a_regular_expression_may_match_anywhere() {
        assert!(!Pattern::glob("b").matches(b"abc"));
        assert!(Pattern::regex("b").unwrap().matches(b"abc"));
        assert!(Pattern::regex("((a{99}){99}){99}").is_err());
    }
}
