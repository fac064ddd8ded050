//! One name, one meaning: no two types of the program share a name.

use std::collections::BTreeMap;

use crate::program::program;

/// Returns the names of the types that a formatted text declares. Associated types are not types of
/// their own.
fn types(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let is_nested = line.starts_with(' ');
        let mut words = line.split_whitespace();
        let is_visibility = |word: &str| word == "pub" || word.starts_with("pub(");
        let keyword = words.find(|word| !is_visibility(word))?;
        let declares = match keyword {
            "struct" | "enum" | "trait" | "union" => true,
            "type" => !is_nested,
            _ => false,
        };
        let name = words.next().filter(|_| declares)?;
        name.split(|character: char| !character.is_alphanumeric())
            .next()
    })
}

#[test]
fn types_have_names_of_their_own() {
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in program() {
        for name in types(&source.text) {
            let files = declared.entry(name.to_owned()).or_default();
            files.push(source.file.clone());
        }
    }
    assert!(declared.len() > 100, "no types were found");
    declared.retain(|_, files| files.len() > 1);
    assert_eq!(declared, BTreeMap::new(), "types that share a name");
}

#[test]
fn declarations_are_found() {
    let text = "\
pub(super) struct Queue<'a> {
enum Kind {
    struct Inner;
pub type Lines = Vec<String>;
    type Item = u8;
/// A struct Comment
fn structure(enum_like: Kind) {}
";
    let found: Vec<&str> = types(text).collect();
    assert_eq!(found, ["Queue", "Kind", "Inner", "Lines"]);
}
