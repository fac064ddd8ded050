//! The report about one target: its lines and colors, and what is notable.

use std::fmt::{self, Write as _};

use tokio::task::JoinError;

use super::super::palette::{Palette, TextMeaning};
use super::super::wrap::wrapped;
use super::rules::NeededRule;
use crate::output::plain;

/// Width of the names of parts, with the blanks around them.
const NAMES: usize = 21;

/// Width of a terminal below which its lines are wrapped as if it had this width.
const WIDTH_MIN: usize = 60;

/// The colors and the width of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReportStyle {
    /// Whether to use colors.
    pub(super) palette: Palette,
    /// The width at which lines are wrapped; `None` if they are not.
    width: Option<usize>,
}

impl ReportStyle {
    /// Text for files and pipes.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self {
        palette: Palette::Plain,
        width: None,
    };

    /// Returns the style for a terminal of this width, or for files and pipes.
    pub(super) fn new(palette: Palette, width: Option<usize>) -> Self {
        let width = width.map(|width| width.max(WIDTH_MIN));
        Self { palette, width }
    }

    fn wrapped(self, text: &str, indent: usize) -> String {
        self.width
            .map_or_else(|| text.to_owned(), |width| wrapped(text, width, indent))
    }

    /// Returns a text in the color of its meaning, whose lines all start in this column.
    pub(super) fn beside(
        self,
        column: usize,
        meaning: TextMeaning,
        text: fmt::Arguments<'_>,
    ) -> String {
        let rest = Self {
            width: self.width.map(|width| width.saturating_sub(column)),
            ..self
        };
        let break_and_blanks = format!("\n{}", " ".repeat(column));
        painted(rest, meaning, text, 0).replace('\n', &break_and_blanks)
    }
}

/// The block of one target.
#[derive(Debug)]
pub(super) struct TargetReport {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) all_works: bool,
    /// Notable facts, without the name of the target.
    pub(super) notable: Vec<String>,
    /// Why nothing is known about the target, without its name and without details, which are in its
    /// block.
    failure: Option<&'static str>,
    /// The collectors, and parts of the sweep, that do not work.
    faulty: Vec<String>,
    /// The ACL rule that the target needs, if it is known.
    pub(super) rule: Option<NeededRule>,
    style: ReportStyle,
}

impl TargetReport {
    pub(super) fn new(style: ReportStyle) -> Self {
        Self {
            name: String::new(),
            text: String::new(),
            all_works: true,
            notable: Vec::new(),
            failure: None,
            faulty: Vec::new(),
            rule: None,
            style,
        }
    }

    /// Returns the report of a check that panicked.
    pub(super) fn broken(name: String, error: &JoinError, style: ReportStyle) -> Self {
        let mut report = Self::new(style);
        report.text_line(TextMeaning::Heading, format_args!("{name}"));
        let reason = "was not checked, because of a defect of this program";
        report.text_line(TextMeaning::Wrong, format_args!("  {reason}: {error}"));
        report.all_works = false;
        report.failure = Some("was not checked.");
        report.name = name;
        report
    }

    /// Adds the name of the target, and what belongs to it.
    pub(super) fn heading(&mut self, name: &str, rest: fmt::Arguments<'_>) {
        let name = painted(self.style, TextMeaning::Heading, format_args!("{name}"), 4);
        let rest = painted(self.style, TextMeaning::Neutral, rest, 4);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{name} {rest}");
    }

    /// Adds a line of text.
    pub(super) fn text_line(&mut self, meaning: TextMeaning, line: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{}", painted(self.style, meaning, line, 4));
    }

    fn item(&mut self, meaning: TextMeaning, name: &str, line: fmt::Arguments<'_>) {
        let line = self.style.beside(NAMES, meaning, line);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "  {name:<18} {line}");
    }

    /// Adds a fact about a part.
    pub(super) fn line(&mut self, name: &str, line: fmt::Arguments<'_>) {
        self.item(TextMeaning::Neutral, name, line);
    }

    /// Adds that a part works.
    pub(super) fn works(&mut self, name: &str, line: fmt::Arguments<'_>) {
        self.item(TextMeaning::Fine, name, line);
    }

    /// Adds something to know about a part that works.
    pub(super) fn warning(&mut self, name: &str, line: fmt::Arguments<'_>) {
        self.item(TextMeaning::Warning, name, line);
    }

    /// Adds that a part does not work.
    pub(super) fn fault(&mut self, name: &str, line: fmt::Arguments<'_>) {
        self.item(TextMeaning::Wrong, name, line);
        self.all_works = false;
        if self.faulty.iter().all(|one| one != name) {
            self.faulty.push(name.to_owned());
        }
    }

    /// Adds that the target does not work at all.
    pub(super) fn failed(&mut self, failure: &str) {
        self.text_line(
            TextMeaning::Wrong,
            format_args!("  does not work: {failure}"),
        );
        self.all_works = false;
        self.failure = Some("does not work.");
    }

    /// Returns the sentences about this target.
    pub(super) fn sentences(&self) -> impl Iterator<Item = (TextMeaning, String)> {
        let name = &self.name;
        let does = if self.faulty.len() == 1 { "does" } else { "do" };
        let faulty = self.faulty.join(", ");
        let faulty = (!faulty.is_empty()).then(|| format!("{name}: {faulty} {does} not work."));
        let failure = self.failure.as_ref().map(|what| format!("{name} {what}"));
        let wrong = faulty.into_iter().chain(failure);
        let notable = self
            .notable
            .iter()
            .map(move |what| format!("{name} {what}"));
        wrong
            .map(|sentence| (TextMeaning::Wrong, sentence))
            .chain(notable.map(|sentence| (TextMeaning::Warning, sentence)))
    }
}

/// Returns a text in the color of its meaning, whose lines after the first start with `indent`
/// blanks. The text itself can contain no control characters, so that a server cannot select a
/// color.
pub(super) fn painted(
    style: ReportStyle,
    meaning: TextMeaning,
    text: fmt::Arguments<'_>,
    indent: usize,
) -> String {
    let text = style.wrapped(&plain(&text.to_string()), indent);
    style.palette.paint(meaning, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(style: ReportStyle) -> TargetReport {
        let mut report = TargetReport::new(style);
        "cache".clone_into(&mut report.name);
        report.heading("cache", format_args!("(127.0.0.1:6379)"));
        report.line("polls", format_args!("every 5s"));
        report.works("info", format_args!("works"));
        report.warning("sweep", format_args!("denied: grant +randomkey"));
        report.fault("slowlog", format_args!("denied \u{1b}[32mby the server"));
        report.notable.push("has no memory limit.".to_owned());
        report
    }

    #[test]
    fn colors_tell_faults_from_warnings() {
        let report = filled(ReportStyle::new(Palette::Colored, None));
        assert_eq!(
            report.text,
            "\u{1b}[1mcache\u{1b}[0m (127.0.0.1:6379)\n  \
             polls              every 5s\n  \
             info               \u{1b}[32mworks\u{1b}[0m\n  \
             sweep              \u{1b}[33mdenied: grant +randomkey\u{1b}[0m\n  \
             slowlog            \u{1b}[1m\u{1b}[31mdenied \\u001b[32mby the server\u{1b}[0m\n"
        );
        let sentences: Vec<_> = report.sentences().collect();
        let expected = [
            (TextMeaning::Wrong, "cache: slowlog does not work."),
            (TextMeaning::Warning, "cache has no memory limit."),
        ];
        let expected = expected.map(|(meaning, text)| (meaning, text.to_owned()));
        assert_eq!(sentences, expected);
        assert!(!report.all_works);
    }

    #[test]
    fn text_without_colors_has_no_codes() {
        assert_eq!(
            filled(ReportStyle::PLAIN).text,
            "cache (127.0.0.1:6379)\n  polls              every 5s\n  info               works\n  \
             sweep              denied: grant +randomkey\n  \
             slowlog            denied \\u001b[32mby the server\n"
        );
    }

    #[test]
    fn lines_fit_into_a_terminal() {
        let mut report = filled(ReportStyle::new(Palette::Plain, Some(80)));
        report.line("polls", format_args!("{}", "every 5s, ".repeat(12)));
        report.failed(&"the server is gone ".repeat(9));
        let widest = report.text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{}", report.text);
        let indented = format!("every 5s,\n{}every 5s,", " ".repeat(NAMES));
        assert!(report.text.contains(&indented), "{}", report.text);
        // The details are in the block alone.
        let sentences = report.sentences().map(|(_, sentence)| sentence);
        let sentences = sentences.collect::<Vec<_>>().join(" ");
        assert!(sentences.contains("cache does not work."), "{sentences}");
        assert!(!sentences.contains("gone"), "{sentences}");
    }

    #[tokio::test]
    async fn panicked_check_has_the_name_of_its_target() {
        let check = tokio::spawn(async { panic!("a defect") });
        let error = check.await.unwrap_err();
        let report = TargetReport::broken("cache".to_owned(), &error, ReportStyle::PLAIN);
        assert!(report.text.starts_with("cache\n"), "{}", report.text);
        let sentences: Vec<_> = report.sentences().collect();
        let expected = "cache was not checked.".to_owned();
        assert_eq!(sentences, [(TextMeaning::Wrong, expected)]);
        assert!(!report.all_works);
    }
}
