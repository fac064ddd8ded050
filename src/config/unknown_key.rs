//! The problem of an unknown key. A key that may be a secret is not shown.

use super::problem::{Invalid, listed, quoted};

/// Maximum length of a key that is compared with known ones.
const LONGEST_KEY: usize = 40;

/// The problem of an unknown key that is not shown.
pub(super) const NO_OPTION: &str = "has a key that is not the name of an option";

/// Sections in which a key may be a username or a password: `basic_auth: { user: hash }` is how
/// others write it.
const SECRET_SECTIONS: [&str; 1] = ["web.basic_auth."];

/// Letters of a word in a key. A password is often longer.
const LONGEST_WORD: usize = 12;

/// Words in a key. A passphrase often has more.
const MOST_WORDS: usize = 3;

/// Returns the problem of an unknown key. A password can be written as a key by mistake. The key is
/// therefore shown only if it is like a known one, or consists of a few short words.
pub(super) fn unknown_key(key: &str, prefix: &str, known: &[&str]) -> Invalid {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || b"_-.".contains(&byte);
    let nearest = nearest(key, known).filter(|_| key.bytes().all(is_plain));
    let what = format!("has an unknown key {}", quoted(key));
    if let Some(nearest) = nearest {
        let remedy = format!("did you mean `{nearest}`? Known: {}", listed(known));
        return Invalid::new(what, remedy);
    }
    let is_shown = is_few_words(key) && !SECRET_SECTIONS.contains(&prefix);
    let what = if is_shown { &*what } else { NO_OPTION };
    Invalid::new(what, format!("remove it; known: {}", listed(known)))
}

/// Returns whether a text consists of a few short words, so that it is probably not a secret.
pub(super) fn is_few_words(key: &str) -> bool {
    let is_word = |word: &str| {
        (1..=LONGEST_WORD).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let words = key.split(['_', '-', '.']);
    words.clone().count() <= MOST_WORDS && words.clone().all(is_word)
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST_KEY {
        return None;
    }
    let name = name.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (strsim::levenshtein(&name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
