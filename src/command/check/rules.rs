//! The ACL rules that targets need. Targets with the same rule share its line.

use std::fmt::Write as _;

use super::super::palette::TextMeaning;
use super::target_report::ReportStyle;
use crate::output::plain;

/// Maximum number of targets that are named for a rule.
const NAMES_MAX: usize = 100;

/// An ACL rule, and how to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NeededRule {
    /// How to use it, as a sentence that continues the names of targets.
    pub(super) how: String,
    /// The command that sets it.
    pub(super) command: String,
}

/// The rules of all targets, each with the names of the targets that need it.
#[derive(Debug, Default)]
pub(super) struct NeededRules(Vec<(NeededRule, Vec<String>)>);

impl NeededRules {
    pub(super) fn add(&mut self, target: &str, rule: NeededRule) {
        match self.0.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, targets)) => targets.push(target.to_owned()),
            None => self.0.push((rule, vec![target.to_owned()])),
        }
    }

    /// Returns each rule in a line to copy, which is never wrapped.
    pub(super) fn text(&self, style: ReportStyle) -> String {
        let mut text = String::new();
        if !self.0.is_empty() {
            text.push_str("\nPermissions:\n");
        }
        for (rule, targets) in &self.0 {
            let first: Vec<&str> = targets.iter().take(NAMES_MAX).map(String::as_str).collect();
            let more = match targets.len().saturating_sub(NAMES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let names = first.join(", ");
            let how = format!("{names}{more}: {}", rule.how);
            let how = style.beside(2, TextMeaning::Neutral, format_args!("{how}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "- {how}\n    {}", plain(&rule.command));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::palette::Palette;
    use super::*;

    #[test]
    fn targets_with_the_same_rule_share_its_line() {
        let rule = |command: &str| NeededRule {
            how: "a user needs this rule".to_owned(),
            command: command.to_owned(),
        };
        let mut rules = NeededRules::default();
        assert_eq!(rules.text(ReportStyle::PLAIN), "");
        rules.add("a", rule("ACL SETUSER x +ping"));
        rules.add("b", rule("ACL SETUSER y +ping"));
        rules.add("c", rule("ACL SETUSER x +ping"));
        assert_eq!(
            rules.text(ReportStyle::PLAIN),
            "\nPermissions:\n- a, c: a user needs this rule\n    ACL SETUSER x +ping\n\
             - b: a user needs this rule\n    ACL SETUSER y +ping\n"
        );
        // A line to copy is not wrapped, unlike the names of the targets.
        let long = format!("ACL SETUSER z {}", "+ping ".repeat(40));
        let mut of_terminal = NeededRules::default();
        of_terminal.add("a", rule(&long));
        let style = ReportStyle::new(Palette::Plain, Some(60));
        assert!(of_terminal.text(style).contains(&long));
        for at in 0..NAMES_MAX {
            rules.add(&format!("n{at}"), rule("ACL SETUSER y +ping"));
        }
        let text = rules.text(ReportStyle::PLAIN);
        assert!(text.contains(", n98 and 1 more: a user"), "{text}");
    }
}
