//! Translates Lua patterns to regular expressions over bytes. Pure.
//!
//! Patterns without an exact counterpart are rejected: a group must contain the same keys under
//! both programs.

use std::fmt::Write as _;

use crate::config::problem::Invalid;

/// Single bytes instead of Unicode; a dot matches any byte.
const FLAGS: &str = "(?s-u)";

/// Returns the equivalent regular expression, with the same captures.
///
/// A pattern without captures gets an empty one: `redis_exporter` treats it as a group without a
/// name.
pub(super) fn translated(pattern: &str) -> Result<String, Invalid> {
    let mut reader = PatternReader {
        bytes: pattern.as_bytes(),
        expression: String::new(),
        open: 0,
        captures: 0,
    };
    let is_anchored = reader.take(b'^');
    while !reader.bytes.is_empty() {
        reader.step()?;
    }
    if reader.open > 0 {
        return Err(invalid("has a ( without )"));
    }
    let anchor = if is_anchored { "^" } else { "" };
    let capture = if reader.captures == 0 { "()" } else { "" };
    Ok(format!("{FLAGS}{anchor}{capture}{}", reader.expression))
}

fn invalid(what: &str) -> Invalid {
    Invalid::new(what, "write it as a regular expression under keys.groups")
}

struct PatternReader<'a> {
    bytes: &'a [u8],
    expression: String,
    open: usize,
    captures: usize,
}

impl PatternReader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let rest = self.bytes.strip_prefix(&[byte]);
        if let Some(rest) = rest {
            self.bytes = rest;
        }
        rest.is_some()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn step(&mut self) -> Result<(), Invalid> {
        match self.next() {
            None => Ok(()),
            Some(b'(') if self.bytes.first() == Some(&b')') => {
                Err(invalid("has (), which captures a position"))
            }
            Some(b'(') => {
                self.open += 1;
                self.captures += 1;
                self.expression.push('(');
                Ok(())
            }
            Some(b')') => {
                self.open = self
                    .open
                    .checked_sub(1)
                    .ok_or_else(|| invalid("has a ) without ("))?;
                self.expression.push(')');
                Ok(())
            }
            Some(b'$') if self.bytes.is_empty() => {
                self.expression.push_str(r"\z");
                Ok(())
            }
            Some(byte) => self.single(byte),
        }
    }

    /// Translates one byte of a key with its repetition.
    fn single(&mut self, byte: u8) -> Result<(), Invalid> {
        match byte {
            b'.' => self.expression.push('.'),
            b'[' => self.set()?,
            b'%' => {
                let escaped = self.escaped()?;
                match class(escaped) {
                    Some(class) => self.write_class(class, escaped),
                    None => write_byte(&mut self.expression, escaped),
                }
            }
            byte => write_byte(&mut self.expression, byte),
        }
        let quantifier = match self.bytes.first() {
            Some(b'*') => "*",
            Some(b'+') => "+",
            Some(b'?') => "?",
            Some(b'-') => "*?",
            _ => return Ok(()),
        };
        self.next();
        self.expression.push_str(quantifier);
        Ok(())
    }

    fn escaped(&mut self) -> Result<u8, Invalid> {
        match self.next() {
            None => Err(invalid("ends in a %")),
            Some(b'b') => Err(invalid(
                "has %b, which has no equivalent in regular expressions",
            )),
            Some(b'f') => Err(invalid("has %f, which is not translated")),
            Some(b'0'..=b'9') => Err(invalid("refers to a capture")),
            Some(byte) if byte.is_ascii_alphabetic() && class(byte).is_none() => {
                Err(invalid("has a % before a letter that names no class"))
            }
            Some(byte) => Ok(byte),
        }
    }

    /// Writes a class outside a set. An upper-case letter negates it.
    fn write_class(&mut self, class: &str, letter: u8) {
        let negated = if letter.is_ascii_uppercase() { "^" } else { "" };
        self.expression.push('[');
        self.expression.push_str(negated);
        self.expression.push_str(class);
        self.expression.push(']');
    }

    /// Translates a set after its `[`. The first byte is a member, even if it is a `]`.
    fn set(&mut self) -> Result<(), Invalid> {
        let negated = if self.take(b'^') { "^" } else { "" };
        let mut members = String::new();
        let mut is_first = true;
        loop {
            let byte = self.next().ok_or_else(|| invalid("has a [ without ]"))?;
            if byte == b']' && !is_first {
                break;
            }
            is_first = false;
            self.member(byte, &mut members)?;
        }
        if members.is_empty() {
            // The set only has empty ranges.
            members.push_str(r"\x00&&\x01");
        }
        let _ = write!(self.expression, "[{negated}{members}]");
        Ok(())
    }

    fn member(&mut self, byte: u8, members: &mut String) -> Result<(), Invalid> {
        if byte == b'%' {
            let escaped = self.escaped()?;
            match class(escaped) {
                Some(class) => {
                    let negated = if escaped.is_ascii_uppercase() {
                        "^"
                    } else {
                        ""
                    };
                    let _ = write!(members, "[{negated}{class}]");
                }
                None => write_byte(members, escaped),
            }
            return Ok(());
        }
        match self.bytes {
            [b'-', b'%', ..] => return Err(invalid("has a range that ends in %")),
            [b'-', last, ..] if *last != b']' => {
                let last = *last;
                self.next();
                self.next();
                if byte <= last {
                    write_byte(members, byte);
                    members.push('-');
                    write_byte(members, last);
                }
            }
            _ => write_byte(members, byte),
        }
        Ok(())
    }
}

/// Returns the members of a class, by its letter in either case.
fn class(letter: u8) -> Option<&'static str> {
    Some(match letter.to_ascii_lowercase() {
        b'a' => "A-Za-z",
        b'c' => r"\x00-\x1f\x7f",
        b'd' => "0-9",
        b'l' => "a-z",
        b'p' => r"!-/:-@\[-`{-~",
        b's' => r"\x09-\x0d\x20",
        b'u' => "A-Z",
        b'w' => "0-9A-Za-z",
        b'x' => "0-9A-Fa-f",
        b'z' => r"\x00",
        _ => return None,
    })
}

/// Writes a literal byte, within a set or outside.
fn write_byte(expression: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'/' | b',') {
        expression.push(char::from(byte));
    } else {
        let _ = write!(expression, r"\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    /// Returns all captures of a key, concatenated.
    fn captured(pattern: &str, key: &[u8]) -> Option<String> {
        let regex = Regex::new(&translated(pattern).unwrap()).unwrap();
        let captures = regex.captures(key)?;
        let parts: Vec<_> = captures.iter().skip(1).flatten().collect();
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(regex::bytes::Match::as_bytes)
            .copied()
            .collect();
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn patterns_capture_the_same_as_lua() {
        // The last column is the result of Lua 5.1.
        for (pattern, key, expected) in [
            ("^(.*)_[^_]+$", "a_b_c", Some("a_b")),
            ("^(user):", "user:1", Some("user")),
            ("^(user):", "a:user:1", None),
            ("(%d+)", "ab12c3", Some("12")),
            ("^(%a-):(%w*)", "ab:c1:x", Some("abc1")),
            ("^(.-):", "a:b:c", Some("a")),
            ("^([^:]+):", "a:b", Some("a")),
            ("([%]x]+)", "a]x", Some("]x")),
            ("([]x]+)", "a]x", Some("]x")),
            ("([a%-z]+)", "b-z", Some("-z")),
            ("([a-]+)", "b-a", Some("-a")),
            ("([%s%p]+)", "a .b", Some(" .")),
            ("([^%D]+)", "a12", Some("12")),
            ("(%S+)", " ab ", Some("ab")),
            ("(a)*", "a*", Some("a")),
            ("(a)*", "a", None),
            ("a^(b)", "a^b", Some("b")),
            ("a$(b)", "a$b", Some("b")),
            ("^-(a)", "-a", Some("a")),
            ("(a.c)", "a\nc", Some("a\nc")),
            ("(%.+)%%", "a..%", Some("..")),
            ("({1})", "a{1}|", Some("{1}")),
            ("^user:", "user:1", Some("")),
            ("([z-a])", "b", None),
            ("([^z-a])", "b", Some("b")),
            ("(a)$", "a\n", None),
            ("", "x", Some("")),
        ] {
            let found = captured(pattern, key.as_bytes());
            assert_eq!(found.as_deref(), expected, "{pattern} in {key}");
        }
        assert_eq!(
            captured("^(.).$", "é".as_bytes()).as_deref(),
            Some("\u{fffd}")
        );
        assert_eq!(captured("(é?)$", "\u{a9}".as_bytes()), None);
    }

    #[test]
    fn untranslatable_pattern_is_rejected() {
        for (pattern, expected) in [
            ("%b()", "%b"),
            ("%f[a]", "%f"),
            ("(a)%1", "refers to a capture"),
            ("()a", "position"),
            ("(a", "( without )"),
            ("a)", ") without ("),
            ("[a", "[ without ]"),
            ("[]", "[ without ]"),
            ("a%", "ends in a %"),
            ("[a-%]]", "ends in %"),
            ("%y", "no class"),
        ] {
            let invalid = translated(pattern).unwrap_err();
            assert!(invalid.what.contains(expected), "{pattern}: {invalid}");
        }
    }

    proptest! {
        #[test]
        fn translated_patterns_compile(pattern in "\\PC{0,30}|[-a^$%.()*+?\\[\\]\\\\&~]{0,20}") {
            if let Ok(expression) = translated(&pattern) {
                prop_assert!(Regex::new(&expression).is_ok(), "{}", expression);
            }
        }

        #[test]
        fn escaped_bytes_are_themselves(key in "[ -~é]{1,20}") {
            let literal: String = key
                .chars()
                .flat_map(|letter| {
                    let escape = letter.is_ascii_punctuation().then_some('%');
                    escape.into_iter().chain([letter])
                })
                .collect();
            let found = captured(&format!("^({literal})$"), key.as_bytes());
            prop_assert_eq!(found, Some(key));
        }
    }
}
