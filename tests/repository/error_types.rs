//! Errors are types: no function of the program returns a text as its error.

use std::sync::LazyLock;

use regex::Regex;

use crate::program::program;

/// Types that only contain a text.
static TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let shared = r"(?:Arc|Box|Cow|Rc)<(?:'\w+, ?)?(?:str|dyn .*)>";
    Regex::new(&format!(r"^(?:String|&(?:'\w+ )?str|{shared})$")).ok()
});

/// Returns the error types of the results that a text names, each with the number of its line.
fn errors(text: &str) -> Vec<(usize, String)> {
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let lines = text
        .lines()
        .map(|line| if is_comment(line) { "" } else { line });
    let text = lines.collect::<Vec<_>>().join("\n");
    let starts = text.match_indices("Result<");
    let found = starts.filter_map(|(at, start)| {
        let line = text[..at].matches('\n').count() + 1;
        Some((line, second(&text[at + start.len()..])?))
    });
    found.collect()
}

/// Returns the second of the types in angle brackets whose rest is this text.
fn second(text: &str) -> Option<String> {
    let (mut depth, mut types, mut before) = (0, vec![String::new()], ' ');
    for letter in text.chars() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' if before == '-' => {}
            '>' if depth == 0 => break,
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        before = letter;
        match letter {
            ',' if depth == 0 => types.push(String::new()),
            letter => types.last_mut()?.push(letter),
        }
    }
    let words: Vec<_> = types.get(1)?.split_whitespace().collect();
    Some(words.join(" ")).filter(|name| !name.is_empty())
}

/// Returns whether a type only contains a text.
fn is_text(name: &str) -> bool {
    TEXT.as_ref().is_some_and(|text| text.is_match(name))
}

#[test]
fn errors_are_types_and_not_texts() {
    let (mut count, mut texts) = (0, Vec::new());
    for source in program() {
        for (line, error) in errors(&source.text) {
            count += 1;
            if is_text(&error) {
                texts.push(format!("{}:{line}: {error}", source.file));
            }
        }
    }
    assert!(count > 100, "only {count} results were found");
    assert!(texts.is_empty(), "errors that are texts: {texts:#?}");
}

#[test]
fn error_types_of_results_are_found() {
    let text = "\
fn a() -> Result<Vec<(u8, u8)>, String> {}
/// A comment about Result<u8, String>.
fn b(
    of: impl Fn(&str) -> Result<u8, &'static str>,
) -> Result<
    BTreeMap<String, String>,
    Arc<str>,
> {}
fn c() -> io::Result<Option<String>> {}
type D = Result<Box<dyn Fn(u8) -> u8>, DError>;
";
    let found = errors(text);
    let expected = [
        (1, "String"),
        (4, "&'static str"),
        (5, "Arc<str>"),
        (10, "DError"),
    ];
    let expected = expected.map(|(line, error)| (line, error.to_owned()));
    assert_eq!(found, expected);
    let texts: Vec<bool> = found.iter().map(|(_, error)| is_text(error)).collect();
    assert_eq!(texts, [true, true, true, false]);
}
