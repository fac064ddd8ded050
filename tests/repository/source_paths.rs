//! Finds the paths that the program's source uses, such as `crate::metric::Unit`.
//!
//! It parses just enough of Rust: comments and literals are left out, and `use` groups and
//! `super::` are resolved.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;

use crate::support;

/// A path from the root of the crate, without `crate`.
pub type Path = Vec<String>;

/// A source file of the program.
pub struct Source {
    /// The path in the repository.
    pub file: String,
    /// The module.
    pub module: Path,
    /// The text.
    pub text: String,
}

/// The paths that a module uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// All paths, from the root of the crate.
    pub paths: BTreeSet<Path>,
    /// The names that the module re-exports, with their paths.
    pub exports: BTreeSet<(Path, Path)>,
}

/// Reads all source files of the program.
pub fn sources() -> Vec<Source> {
    let files = support::files("src", "rs").into_iter();
    let read = |file: String| Source {
        module: module_of(&file),
        text: fs::read_to_string(support::in_repository(&file))
            .unwrap_or_else(|error| panic!("{file}: {error}")),
        file,
    };
    files.map(read).collect()
}

fn module_of(file: &str) -> Path {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let parts = path.split('/').map(str::to_owned);
    let mut module: Path = parts.collect();
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    module
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Separator,
    Mark(char),
}

/// Splits source text into words and marks, without comments and literals.
fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, rest)| rest)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, rest)| rest)
        } else if let Some(after) = literal(rest) {
            after
        } else if first.is_alphanumeric() || first == '_' {
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
            let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            found.push(Token::Word(word.to_owned()));
            after
        } else if let Some(after) = rest.strip_prefix("::") {
            found.push(Token::Separator);
            after
        } else {
            if !first.is_whitespace() {
                found.push(Token::Mark(first));
            }
            rest.get(first.len_utf8()..).unwrap_or_default()
        };
    }
    found
}

/// Returns the text after a string, byte string or character at the start of a text.
fn literal(text: &str) -> Option<&str> {
    let unprefixed = text.strip_prefix(['b', 'c']).unwrap_or(text);
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let (marks, body) = raw.split_at(hashes);
        let body = body.strip_prefix('"')?;
        return body.split_once(&format!("\"{marks}")).map(|(_, rest)| rest);
    }
    if let Some(body) = unprefixed.strip_prefix('"') {
        return after_closing(body, '"');
    }
    let body = unprefixed.strip_prefix('\'')?;
    let mut letters = body.chars();
    match (letters.next()?, letters.next()?) {
        ('\\', _) | (_, '\'') => after_closing(body, '\''),
        // A lifetime.
        _ => None,
    }
}

fn after_closing(body: &str, mark: char) -> Option<&str> {
    let mut letters = body.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == mark {
            return body.get(at + 1..);
        }
    }
    None
}

/// Finds all paths of the crate in the text of a module.
pub fn named(module: &[String], text: &str) -> Named {
    let mut reader = Reader {
        tokens: tokens(text),
        at: 0,
        named: Named::default(),
    };
    reader.read(module);
    reader.named
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    named: Named,
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Reads up to the end of a module.
    fn read(&mut self, module: &[String]) {
        let mut depth = 0_u32;
        let mut is_public = false;
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Mark('{') => depth += 1,
                Token::Mark('}') if depth == 0 => return,
                Token::Mark('}') => depth -= 1,
                Token::Word(word) => {
                    let opens = self.peek(2) == Some(&Token::Mark('{'));
                    match (word.as_str(), self.word(1)) {
                        ("mod", Some(name)) if opens => {
                            let inner = [module, &[name.to_owned()]].concat();
                            self.at += 3;
                            self.read(&inner);
                        }
                        ("pub", _) => is_public = true,
                        ("use", _) => {
                            self.at += 1;
                            self.tree(module, None, is_public);
                            is_public = false;
                            continue;
                        }
                        ("crate" | "super" | "self", _)
                            if self.peek(1) == Some(&Token::Separator) =>
                        {
                            self.tree(module, None, false);
                            continue;
                        }
                        // `pub(crate)`, `pub(super)`
                        ("crate" | "super" | "in", _) => {}
                        _ => is_public = false,
                    }
                }
                Token::Mark('(' | ')') => {}
                Token::Separator | Token::Mark(_) => is_public = false,
            }
            self.at += 1;
        }
    }

    /// Reads a path or a `use` tree. `before` is the path before it, or `None` at the start.
    fn tree(&mut self, module: &[String], before: Option<Path>, is_public: bool) {
        let mut path = before;
        loop {
            match self.peek(0).cloned() {
                Some(Token::Word(word)) => {
                    self.at += 1;
                    path = step(module, path, &word);
                    if path.is_none() {
                        self.skip_path();
                        return;
                    }
                }
                Some(Token::Mark('{')) => {
                    self.at += 1;
                    while self.peek(0).is_some_and(|token| *token != Token::Mark('}')) {
                        if self.peek(0) == Some(&Token::Mark(',')) {
                            self.at += 1;
                        } else {
                            let before = self.at;
                            self.tree(module, path.clone(), is_public);
                            assert!(self.at > before, "a `use` tree of {module:?}");
                        }
                    }
                    self.at += 1;
                    return;
                }
                Some(Token::Mark('*')) => {
                    self.at += 1;
                    path = step(module, path, "*");
                }
                _ => {}
            }
            if self.peek(0) != Some(&Token::Separator) {
                break;
            }
            // A turbofish ends the path.
            if self.peek(1) == Some(&Token::Mark('<')) {
                self.at += 1;
                break;
            }
            self.at += 1;
        }
        let Some(path) = path else { return };
        let mut name = path.last().cloned().unwrap_or_default();
        if self.word(0) == Some("as")
            && let Some(alias) = self.word(1)
        {
            alias.clone_into(&mut name);
            self.at += 2;
        }
        if is_public {
            let exported = [module, &[name]].concat();
            self.named.exports.insert((exported, path.clone()));
        }
        self.named.paths.insert(path);
    }

    /// Skips a path, or a `use` tree, that belongs to another crate.
    fn skip_path(&mut self) {
        while self.peek(0) == Some(&Token::Separator) {
            self.at += 1;
            if self.peek(0) == Some(&Token::Mark('{')) {
                let mut depth = 0_u32;
                while let Some(token) = self.peek(0).cloned() {
                    self.at += 1;
                    match token {
                        Token::Mark('{') => depth += 1,
                        Token::Mark('}') => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        return;
                    }
                }
            } else if self.word(0).is_some() || self.peek(0) == Some(&Token::Mark('*')) {
                self.at += 1;
            } else {
                return;
            }
        }
    }
}

/// Extends a path by one word. Returns `None` for a path that belongs to another crate.
fn step(module: &[String], path: Option<Path>, word: &str) -> Option<Path> {
    match (word, path) {
        ("crate", None) => Some(Vec::new()),
        ("self", None) => Some(module.to_vec()),
        ("super", None) => {
            let (_, parent) = module.split_last().expect("a module that has a parent");
            Some(parent.to_vec())
        }
        (_, None) => None,
        ("self", Some(path)) => Some(path),
        ("super", Some(path)) => {
            let (_, parent) = path.split_last().expect("a module that has a parent");
            Some(parent.to_vec())
        }
        (word, Some(mut path)) => {
            path.push(word.to_owned());
            Some(path)
        }
    }
}

fn module(path: &str) -> Path {
    path.split("::").map(str::to_owned).collect()
}

fn paths(at: &str, text: &str) -> Vec<String> {
    let named = named(&module(at), text);
    named.paths.iter().map(|path| path.join("::")).collect()
}

#[test]
fn paths_of_groups_and_parents_are_resolved() {
    let text = "use crate::{a, b::{c, d as e}, f};\nuse super::super::{g, super::h};\n\
                use super::i::*;\nuse std::{crate_like::j, k};\nfn l() -> crate::m::N {\n\
                mod inner { use super::o; }\nself::p::q::<crate::r::S>() }";
    let found = paths("x::y::z", text);
    for path in ["a", "b::c", "b::d", "f", "x::g", "h", "x::y::i::*", "m::N"] {
        assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
    }
    for path in ["x::y::z::o", "x::y::z::p::q", "r::S"] {
        assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
    }
    assert_eq!(found.len(), 11, "{found:?}");
}

#[test]
fn comments_and_literals_name_nothing() {
    let text = "// crate::a\n/// [`crate::b`]\nconst C: &str = \"crate::c \\\" crate::d\";\n\
                const E: &[u8] = br#\"crate::e\"#; fn f<'a>(x: &'a str) { '\\'' ; 'x'; }\n\
                use crate::g;";
    assert_eq!(paths("x", text), ["g"]);
}

#[test]
fn re_exports_are_found_with_their_names() {
    let text = "pub use crate::pattern::Pattern;\npub(crate) use super::a::{B as C, D};\n\
                use crate::e::F;\npub fn g() {}\nuse crate::h;";
    let found = named(&module("config"), text).exports;
    let exports: Vec<_> = found
        .iter()
        .map(|(name, path)| format!("{} = {}", name.join("::"), path.join("::")))
        .collect();
    assert_eq!(
        exports,
        [
            "config::C = a::B",
            "config::D = a::D",
            "config::Pattern = pattern::Pattern"
        ]
    );
}
