//! Parses the lists of `redis_exporter`: `db0=session:*,db3=a%20b`, and comma-separated values.
//! Pure.

use crate::config::problem::Invalid;
use crate::config::url::percent_decoded;

/// A key, or a pattern of keys, and its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyOfDatabase {
    pub(super) database: u32,
    pub(super) key: Vec<u8>,
}

/// Parses a list of keys. The default database is 0, and empty items are left out.
pub(super) fn keys(text: &str) -> Result<Vec<KeyOfDatabase>, Invalid> {
    let items = text.split(',').enumerate();
    items
        .filter(|(_, item)| !item.is_empty())
        .filter_map(|(at, item)| key(at + 1, item).transpose())
        .collect()
}

/// Reads one item. A problem has its number, not its text, which may be a URL by mistake.
fn key(number: usize, item: &str) -> Result<Option<KeyOfDatabase>, Invalid> {
    let (database, key) = match item.split_once('=') {
        None => ("0".to_owned(), item),
        Some((_, rest)) if rest.contains('=') => {
            return Err(Invalid::new(
                format!("has more than one = in item {number}"),
                "write db0=name, and = within the name as %3D",
            ));
        }
        Some((database, key)) => (database.trim().replace("db", ""), key),
    };
    let key = query_decoded(key.trim()).ok_or_else(|| {
        Invalid::new(
            format!("has a % in item {number} that is not followed by the code of a character"),
            "write % itself as %25",
        )
    })?;
    if database.is_empty() || key.is_empty() {
        return Ok(None);
    }
    let database = database.parse().map_err(|_| {
        Invalid::new(
            format!("has no valid database in item {number}"),
            "write db0=name, and = within a name as %3D",
        )
    })?;
    Ok(Some(KeyOfDatabase { database, key }))
}

/// Decodes as in the query of a URL, in which + is a space.
fn query_decoded(text: &str) -> Option<Vec<u8>> {
    percent_decoded(&text.replace('+', " "))
}

/// Returns the trimmed fields of one line of comma-separated values, without the empty ones.
pub(super) fn fields(text: &str) -> Result<Vec<String>, Invalid> {
    let mut fields = Vec::new();
    let mut rest = text.lines().next().unwrap_or_default();
    loop {
        let (field, after) = if let Some(opened) = rest.strip_prefix('"') {
            quoted_field(opened)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let (field, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (field.to_owned(), after)
        };
        fields.push(field.trim().to_owned());
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => break,
        }
    }
    fields.retain(|field| !field.is_empty());
    Ok(fields)
}

/// Returns the text up to the closing quote, and the rest. Two quotes in a row are one literal
/// quote.
fn quoted_field(text: &str) -> Result<(String, &str), Invalid> {
    let unbalanced = || {
        Invalid::new(
            "has a quote without its counterpart",
            "write a field with a comma as \"a,b\", and a quote within it twice",
        )
    };
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').ok_or_else(unbalanced)?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None if after.is_empty() || after.starts_with(',') => return Ok((field, after)),
            None => return Err(unbalanced()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(database: u32, key: &[u8]) -> KeyOfDatabase {
        KeyOfDatabase {
            database,
            key: key.to_vec(),
        }
    }

    #[test]
    fn keys_are_parsed_as_in_redis_exporter() {
        for (text, expected) in [
            ("", vec![]),
            ("a", vec![pair(0, b"a")]),
            (
                "db0=a,3=session:*",
                vec![pair(0, b"a"), pair(3, b"session:*")],
            ),
            (" db1 = a+b%2Cc%3D , ", vec![pair(1, b"a b,c=")]),
            ("db2=%ff,,db2=,=x", vec![pair(2, b"\xff")]),
            ("é", vec![pair(0, "é".as_bytes())]),
        ] {
            assert_eq!(keys(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("a=b=c", "more than one ="),
            ("a%2", "%"),
            ("x=b", "database"),
            ("-1=b", "database"),
        ] {
            let invalid = keys(text).unwrap_err();
            assert!(invalid.what.contains(expected), "{text}: {invalid}");
        }
    }

    #[test]
    fn fields_may_be_quoted() {
        for (text, expected) in [
            ("", &[][..]),
            ("^(a)_, ^(b):", &["^(a)_", "^(b):"]),
            ("\"^(a),\",\"say \"\"(b)\"\"\"", &["^(a),", "say \"(b)\""]),
            (",,a\nb", &["a"]),
        ] {
            assert_eq!(fields(text).unwrap(), expected, "{text}");
        }
        for text in ["\"a", "\"a\"b"] {
            assert!(fields(text).unwrap_err().what.contains("quote"), "{text}");
        }
    }
}
