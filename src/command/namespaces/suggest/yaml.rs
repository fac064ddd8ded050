//! Writes suggestions as the `namespaces` block of the configuration file.

use std::fmt::Write;

use super::{Suggestion, ttl};

/// Returns the block, with the share of each namespace as a comment.
#[must_use]
pub fn to_yaml(suggestions: &[Suggestion]) -> String {
    if suggestions.is_empty() {
        return "namespaces: []\n".to_owned();
    }
    let mut text = "namespaces:\n".to_owned();
    for suggestion in suggestions {
        // Writing to a string cannot fail.
        let _ = item(&mut text, suggestion);
    }
    text
}

fn item(text: &mut String, suggestion: &Suggestion) -> std::fmt::Result {
    let share = suggestion.share * 100.0;
    write!(text, "  # {share:.1}% of the sampled keys")?;
    if suggestion.keys_without_ttl > 0 {
        let without = suggestion.keys_without_ttl;
        let known = suggestion.known_ttls;
        write!(text, "; {without} of {known} without a TTL")?;
    }
    writeln!(text)?;
    writeln!(text, "  - name: {}", quoted(&suggestion.name))?;
    writeln!(text, "    match: {}", quoted(&suggestion.pattern))?;
    if let Some(max) = suggestion.leaking_ttl_max {
        writeln!(
            text,
            "    # Most keys expire, so those without a TTL look like a leak. To have them counted:"
        )?;
        writeln!(
            text,
            "    #ttl: {{ required: true, max: {} }}",
            ttl::text(max)
        )?;
    }
    shorter(text, suggestion)?;
    match suggestion.ttl_max {
        _ if !suggestion.ttl_required => Ok(()),
        Some(max) => writeln!(
            text,
            "    ttl: {{ required: true, max: {} }}",
            ttl::text(max)
        ),
        None => writeln!(text, "    ttl: {{ required: true }}"),
    }
}

/// Writes a shorter TTL as a comment, with the reason.
fn shorter(text: &mut String, suggestion: &Suggestion) -> std::fmt::Result {
    let present = suggestion.ttl_max.or(suggestion.leaking_ttl_max);
    let Some((present, shorter)) = present.zip(suggestion.shorter_ttl) else {
        return Ok(());
    };
    writeln!(text, "    # {}", shorter.reason.text(present))?;
    let max = ttl::text(shorter.max);
    writeln!(text, "    #ttl: {{ required: true, max: {max} }}")
}

/// Maximum number of open brackets in an unescaped value.
const MOST_BRACKETS: usize = 8;

/// Returns YAML text in double quotes, in which the configuration expands nothing.
fn quoted(value: &str) -> String {
    // The configuration counts open brackets before it handles quotes.
    let opening = value.matches(['[', '{']).count();
    let hidden = opening != value.matches([']', '}']).count() || opening > MOST_BRACKETS;
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for letter in value.replace("${", "$${").chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '[' if hidden => text.push_str("\\x5B"),
            '{' if hidden => text.push_str("\\x7B"),
            letter => text.push(letter),
        }
    }
    text.push('"');
    text
}
