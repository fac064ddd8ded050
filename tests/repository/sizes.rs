//! The size of files and functions: short enough to read at once.

use crate::program::program;

/// Maximum number of lines of a file, without its tests.
const FILE_LINES_MAX: usize = 400;

/// Maximum number of lines of a function, from its signature to its closing brace.
const FUNCTION_LINES_MAX: usize = 60;

/// Returns the functions of a formatted text, each with its number of lines.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut functions = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let is_end = |line: &&str| {
            let is_outer = line.len() - line.trim_start().len() == indent;
            is_outer && line.trim_end().ends_with(['}', ';'])
        };
        let rest = lines.iter().skip(at);
        let length = rest.clone().take_while(|line| !is_end(line)).count() + 1;
        functions.push((name.to_owned(), length));
    }
    functions
}

/// Returns the name of the function that a line declares.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let is_modifier = |word: &&str| {
        ["pub", "const", "async"].contains(word) || word.starts_with("pub(") || word.ends_with(')')
    };
    let word = words.find(|word| !is_modifier(word))?;
    let name = words.next().filter(|_| word == "fn")?;
    name.split(['(', '<']).next()
}

#[test]
fn files_are_short() {
    let mut longer: Vec<String> = Vec::new();
    for source in program() {
        let lines = source.text.trim_end().lines().count();
        if lines > FILE_LINES_MAX {
            longer.push(source.file);
        }
    }
    let none: [String; 0] = [];
    assert_eq!(longer, none, "files of more than {FILE_LINES_MAX} lines");
}

#[test]
fn functions_are_short() {
    let mut longer = Vec::new();
    for source in program() {
        let functions = functions(&source.text).into_iter();
        let long = functions.filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        longer.extend(long.map(|(name, lines)| format!("{} {name}: {lines}", source.file)));
    }
    assert!(longer.is_empty(), "{longer:#?}");
}

#[test]
fn lines_of_functions_are_counted() {
    let text = "\
pub(crate) async fn first(
    a: u8,
) -> Vec<u8> {
    let b = { a };
    b
}

impl A {
    const fn second<'a>(self) {}

    fn third(&self) {
        if true {
        }
    }
}
";
    let expected = [("first", 6), ("second", 1), ("third", 4)];
    let expected = expected.map(|(name, lines)| (name.to_owned(), lines));
    assert_eq!(functions(text), expected);
}
