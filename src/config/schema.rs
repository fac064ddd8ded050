//! The JSON Schema of the configuration file, for editors. It derives from the rows.

use serde_json::{Map, Value, json};

use super::row::{OptionRow, Takes};
use super::rows::ROWS;

/// Text that contains a variable, which may expand to a value of any type.
const VARIABLE: &str = r"\$\{";

/// Returns the schema, in draft 07, which editors support best.
///
/// It knows the keys, types and defaults. It does not know values that depend on each other, which
/// only `check` validates.
#[must_use]
pub fn schema(collector_names: &[&str]) -> Value {
    let mut schema = level("", collector_names);
    if let Some(fields) = schema.as_object_mut() {
        let about = [
            ("$schema", "http://json-schema.org/draft-07/schema#"),
            ("title", "Configuration of redis-namespace-exporter"),
        ];
        fields.extend(about.map(|(key, text)| (key.to_owned(), json!(text))));
    }
    schema
}

/// Returns the schema of the maps of one level: the top level, or the items of a list.
fn level(level: &str, collector_names: &[&str]) -> Value {
    let mut section = section();
    for row in ROWS {
        let Some(path) = row.key_at(level) else {
            continue;
        };
        let value = option(row, collector_names);
        match path.strip_suffix('*') {
            None => insert(&mut section, path, value),
            Some(front) => {
                for name in collector_names {
                    insert(&mut section, &format!("{front}{name}"), value.clone());
                }
            }
        }
    }
    section
}

/// Returns the schema of a map without known keys. A section may be empty.
fn section() -> Value {
    json!({ "type": ["object", "null"], "properties": {}, "additionalProperties": false })
}

/// Adds a value to a section or to one below it. Dots separate sections.
fn insert(section: &mut Value, path: &str, value: Value) {
    let properties = section.get_mut("properties").and_then(Value::as_object_mut);
    let Some(properties) = properties else {
        return;
    };
    match path.split_once('.') {
        None => {
            properties.insert(path.to_owned(), value);
        }
        Some((front, rest)) => {
            let below = properties.entry(front).or_insert_with(self::section);
            insert(below, rest, value);
        }
    }
}

fn option(row: &OptionRow, collector_names: &[&str]) -> Value {
    let mut fields = types(row, collector_names);
    fields.insert("description".to_owned(), json!(row.meaning));
    if !row.default.is_empty() {
        fields.insert("default".to_owned(), default(row));
    }
    if row.takes == Takes::Word {
        fields.insert("examples".to_owned(), json!(words(row)));
    }
    Value::Object(fields)
}

fn types(row: &OptionRow, collector_names: &[&str]) -> Map<String, Value> {
    let schema = match row.takes {
        Takes::Switch => json!({
            "type": ["boolean", "string"],
            "pattern": format!("^(true|false)$|{VARIABLE}"),
        }),
        Takes::Number => whole_number(),
        Takes::Size | Takes::Share => json!({ "type": ["number", "string"] }),
        // A YAML parser may take a word such as off for a boolean, and 1.2 for a number.
        Takes::Word => json!({ "type": ["string", "boolean", "number"] }),
        Takes::Duration => json!({
            "type": "string",
            "pattern": format!("^([0-9]+(ms|s|m|h|d))+$|{VARIABLE}"),
        }),
        Takes::Address | Takes::Text | Takes::Secret | Takes::Path | Takes::Glob | Takes::Regex => {
            json!({ "type": "string" })
        }
        Takes::Texts => list(&json!({ "type": "string" })),
        Takes::Numbers => list(&whole_number()),
        Takes::Maps => list(&level(&format!("{}[].", row.key), collector_names)),
    };
    match schema {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn whole_number() -> Value {
    json!({ "type": ["integer", "string"], "pattern": format!("^[0-9]+$|{VARIABLE}") })
}

fn list(items: &Value) -> Value {
    json!({ "type": ["array", "null"], "items": items })
}

/// Returns the default in the type that a file would have.
fn default(row: &OptionRow) -> Value {
    let parsed = match row.takes {
        Takes::Switch => row.default.parse().ok().map(Value::Bool),
        Takes::Number => row.default.parse().ok().map(|number: u64| json!(number)),
        _ => None,
    };
    parsed.unwrap_or_else(|| json!(row.default))
}

/// Returns the words of the meaning that are valid values, for completion in editors.
fn words(row: &OptionRow) -> Vec<&'static str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    let words = row.meaning.split(|letter| !is_part(letter));
    let mut valid = Vec::new();
    for word in words.map(|word| word.trim_end_matches('.')) {
        if !word.is_empty() && !valid.contains(&word) && row.check(word).is_ok() {
            valid.push(word);
        }
    }
    valid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'v>(schema: &'v Value, path: &str) -> &'v Value {
        path.split('.').fold(schema, |value, key| match key {
            "[]" => &value["items"],
            key => &value["properties"][key],
        })
    }

    #[test]
    fn schema_has_the_type_default_and_meaning_of_options() {
        let schema = schema(&["slowlog"]);
        let interval = at(&schema, "poll.interval");
        assert_eq!(interval["default"], "15s");
        assert_eq!(interval["type"], "string");
        assert!(!interval["description"].as_str().unwrap().is_empty());
        assert_eq!(at(&schema, "sweep.count")["default"], 100);
        assert_eq!(at(&schema, "sweep.enabled")["default"], true);
        assert_eq!(at(&schema, "collectors.slowlog")["type"][0], "boolean");
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn schema_has_what_each_target_may_override() {
        let schema = schema(&["slowlog"]);
        for path in [
            "targets.[].url",
            "targets.[].sweep.count",
            "targets.[].discover.kind",
            "targets.[].collectors.slowlog",
            "targets_from.[].http.url",
            "targets_from.[].poll.interval",
            "clients.groups.[].name",
            "targets.[].clients.groups.[].name",
            "namespaces.[].ttl.max",
        ] {
            assert!(at(&schema, path).is_object(), "{path}");
        }
        assert!(at(&schema, "targets.[].listen").is_null());
    }

    #[test]
    fn durations_are_those_that_a_file_may_have() {
        let schema = schema(&[]);
        let pattern = at(&schema, "poll.interval")["pattern"].as_str().unwrap();
        let pattern = regex::Regex::new(pattern).unwrap();
        for text in ["5s", "500ms", "1h30m", "7d", "${INTERVAL:-15s}"] {
            assert!(pattern.is_match(text), "{text}");
        }
        for text in ["5", "5sfoo", "1.5s", "1h 30m", "s", ""] {
            assert!(!pattern.is_match(text), "{text}");
        }
        for row in ROWS.iter().filter(|row| row.takes == Takes::Duration) {
            let is_valid = row.default.is_empty() || pattern.is_match(row.default);
            assert!(is_valid, "{}: {}", row.key, row.default);
        }
    }

    #[test]
    fn words_are_offered_for_completion() {
        let schema = schema(&[]);
        for (path, words) in [
            (
                "log.level",
                json!(["error", "warn", "info", "debug", "trace"]),
            ),
            ("series", json!(["compact", "full"])),
            (
                "targets.[].discover.kind",
                json!(["cluster", "sentinel", "replicas"]),
            ),
            ("web.tls.min_version", json!(["1.2", "1.3"])),
        ] {
            assert_eq!(at(&schema, path)["examples"], words, "{path}");
        }
    }
}
