//! The report about one target: its lines and colors, and what is notable.

use std::fmt::{self, Write as _};

use tokio::task::JoinError;

use super::super::palette::{Palette, TextMeaning};
use crate::output::plain;

/// The block of one target.
#[derive(Debug)]
pub(super) struct TargetReport {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) all_works: bool,
    /// Notable facts, without the name of the target.
    pub(super) notable: Vec<String>,
    /// Why nothing is known about the target, without its name.
    failure: Option<String>,
    /// The collectors, and parts of the sweep, that do not work.
    faulty: Vec<String>,
    palette: Palette,
}

impl TargetReport {
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            name: String::new(),
            text: String::new(),
            all_works: true,
            notable: Vec::new(),
            failure: None,
            faulty: Vec::new(),
            palette,
        }
    }

    /// Returns the report of a check that panicked.
    pub(super) fn broken(name: String, error: &JoinError, palette: Palette) -> Self {
        let mut report = Self::new(palette);
        report.text_line(TextMeaning::Heading, format_args!("{name}"));
        let reason = "was not checked, because of a defect of this program";
        report.text_line(TextMeaning::Wrong, format_args!("  {reason}: {error}"));
        report.all_works = false;
        report.failure = Some("was not checked.".to_owned());
        report.name = name;
        report
    }

    /// Adds the name of the target, and what belongs to it.
    pub(super) fn heading(&mut self, name: &str, rest: fmt::Arguments<'_>) {
        let name = painted(self.palette, TextMeaning::Heading, format_args!("{name}"));
        let rest = painted(self.palette, TextMeaning::Neutral, rest);
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{name} {rest}");
    }

    /// Adds a line of text.
    pub(super) fn text_line(&mut self, meaning: TextMeaning, line: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{}", painted(self.palette, meaning, line));
    }

    fn item(&mut self, meaning: TextMeaning, name: &str, line: fmt::Arguments<'_>) {
        let line = painted(self.palette, meaning, line);
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
        self.failure = Some(format!("does not work: {failure}."));
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

/// Returns a text in the color of its meaning. The text itself can contain no control characters,
/// so that a server cannot select a color.
pub(super) fn painted(palette: Palette, meaning: TextMeaning, text: fmt::Arguments<'_>) -> String {
    palette.paint(meaning, &plain(&text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(palette: Palette) -> TargetReport {
        let mut report = TargetReport::new(palette);
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
        let report = filled(Palette::Colored);
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
            filled(Palette::Plain).text,
            "cache (127.0.0.1:6379)\n  polls              every 5s\n  info               works\n  \
             sweep              denied: grant +randomkey\n  \
             slowlog            denied \\u001b[32mby the server\n"
        );
    }

    #[tokio::test]
    async fn panicked_check_has_the_name_of_its_target() {
        let check = tokio::spawn(async { panic!("a defect") });
        let error = check.await.unwrap_err();
        let report = TargetReport::broken("cache".to_owned(), &error, Palette::Plain);
        assert!(report.text.starts_with("cache\n"), "{}", report.text);
        let sentences: Vec<_> = report.sentences().collect();
        let expected = "cache was not checked.".to_owned();
        assert_eq!(sentences, [(TextMeaning::Wrong, expected)]);
        assert!(!report.all_works);
    }
}
