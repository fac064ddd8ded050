//! Parses lists of targets in the format of Prometheus: `file_sd` in JSON or YAML, and `http_sd`.
//! Pure.

use std::ffi::OsStr;
use std::path::PathBuf;

use serde_json::Value as Json;
use thiserror::Error;

use super::document::{self, Node, YamlValue};
use super::problem::Invalid;
use crate::metric::cut;

/// Maximum number of targets in one list. Excess targets would not be polled anyway.
const MOST_LISTED: usize = 100_000;

/// Servers that have the same labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Addresses, such as `host:6379`.
    pub targets: Vec<String>,
    /// Labels with their values, which are cut like those of metrics.
    pub labels: Vec<(String, String)>,
}

/// The reason why a list is not used. The texts continue a sentence about it, and repeat nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetListError {
    /// The text is not JSON.
    #[error("is not valid JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake.
        column: usize,
    },
    /// The text is not YAML, for this reason.
    #[error("{0}")]
    NotYaml(String),
    /// The document has another structure.
    #[error("is not a list of maps with `targets` and `labels`")]
    NotAList,
    /// The list is too long.
    #[error("has more than {MOST_LISTED} targets")]
    TooLong,
}

/// Parses a list in JSON or, which includes JSON, in YAML.
///
/// # Errors
///
/// The text is not such a list. An empty text is an error, because it may be a file that is being
/// written. An empty list is valid.
pub fn target_groups(text: &str, is_json: bool) -> Result<Vec<TargetGroup>, TargetListError> {
    let groups = if is_json {
        let list = serde_json::from_str(text);
        of_json(&list.map_err(|error| TargetListError::NotJson {
            line: error.line(),
            column: error.column(),
        })?)
    } else {
        let node = document::read(text);
        of_yaml(&node.map_err(|(_, invalid)| TargetListError::NotYaml(invalid.what))?)
    };
    let groups = groups.ok_or(TargetListError::NotAList)?;
    let count: usize = groups.iter().map(|group| group.targets.len()).sum();
    if count > MOST_LISTED {
        return Err(TargetListError::TooLong);
    }
    Ok(groups)
}

fn of_json(list: &Json) -> Option<Vec<TargetGroup>> {
    let group = |group: &Json| {
        let group = group.as_object()?;
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let targets = match group.get("targets") {
            None => Vec::new(),
            Some(targets) => targets
                .as_array()?
                .iter()
                .map(text)
                .collect::<Option<_>>()?,
        };
        let labels = match group.get("labels") {
            None | Some(Json::Null) => Vec::new(),
            Some(labels) => labels
                .as_object()?
                .iter()
                .map(|(name, value)| Some((name.clone(), cut(value.as_str()?).to_owned())))
                .collect::<Option<_>>()?,
        };
        Some(TargetGroup { targets, labels })
    };
    list.as_array()?.iter().map(group).collect()
}

fn of_yaml(list: &Node) -> Option<Vec<TargetGroup>> {
    let text = |node: &Node| match &node.value {
        YamlValue::Scalar(scalar) => Some(scalar.text.clone()),
        _ => None,
    };
    let group = |group: &Node| {
        let YamlValue::Map(_) = &group.value else {
            return None;
        };
        let targets = match group.get("targets").map(|entry| &entry.node.value) {
            None => Vec::new(),
            Some(YamlValue::List(targets)) => targets.iter().map(text).collect::<Option<_>>()?,
            Some(_) => return None,
        };
        let labels = match group.get("labels").map(|entry| &entry.node.value) {
            None | Some(YamlValue::Nothing) => Vec::new(),
            Some(YamlValue::Map(labels)) => labels
                .iter()
                .map(|label| Some((label.key.clone(), cut(&text(&label.node)?).to_owned())))
                .collect::<Option<_>>()?,
            Some(_) => return None,
        };
        Some(TargetGroup { targets, labels })
    };
    let YamlValue::List(groups) = &list.value else {
        return None;
    };
    groups.iter().map(group).collect()
}

/// Parses the path of target files.
pub(crate) fn target_file(text: &str) -> Result<PathBuf, Invalid> {
    let path = PathBuf::from(text);
    let ending = path.extension().and_then(OsStr::to_str);
    if !ending.is_some_and(|ending| ["json", "yaml", "yml"].contains(&ending)) {
        return Err(Invalid::new(
            "is not a JSON or YAML file",
            "name a file that ends in .json, .yaml or .yml, such as /etc/redis/targets-*.json",
        ));
    }
    let folder = path.parent().map(|folder| folder.display().to_string());
    if folder.is_some_and(|folder| folder.contains(['*', '?', '['])) {
        return Err(Invalid::new(
            "has a glob in the name of a folder",
            "only the last part of the path may be a glob",
        ));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(targets: &[&str], labels: &[(&str, &str)]) -> TargetGroup {
        TargetGroup {
            targets: targets.iter().map(|&text| text.to_owned()).collect(),
            labels: labels
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    #[test]
    fn both_formats_are_parsed() {
        let json = r#"[{"targets": ["a:1", "b"], "labels": {"env": "prod"}}, {"targets": []}]"#;
        let yaml = "- targets: [a:1, b]\n  labels: {env: prod}\n- targets: []\n";
        let expected = vec![group(&["a:1", "b"], &[("env", "prod")]), group(&[], &[])];
        for (text, is_json) in [(json, true), (json, false), (yaml, false)] {
            assert_eq!(
                target_groups(text, is_json).as_ref(),
                Ok(&expected),
                "{text}"
            );
        }
        assert_eq!(target_groups("[]", true), Ok(Vec::new()));
        assert_eq!(target_groups("[]", false), Ok(Vec::new()));
    }

    #[test]
    fn long_values_of_labels_are_cut() {
        let long = "x".repeat(100_000);
        let text = format!("[{{\"targets\": [\"a:1\"], \"labels\": {{\"env\": \"{long}\"}}}}]");
        for is_json in [true, false] {
            let groups = target_groups(&text, is_json).unwrap();
            let (_, value) = &groups[0].labels[0];
            assert!(
                value.len() < 1_000 && long.starts_with(value),
                "{}",
                value.len()
            );
        }
    }

    #[test]
    fn part_of_a_list_is_invalid() {
        for text in ["", "{}", "null", "7", r#"["a:1"]"#, r#"[{"targets": "a"}]"#] {
            for is_json in [true, false] {
                assert!(target_groups(text, is_json).is_err(), "{text}");
            }
        }
        let whole = r#"[{"targets": ["a:1", "b"], "labels": {"env": "prod"}}]"#;
        for end in 0..whole.len() {
            assert!(target_groups(&whole[..end], true).is_err());
            assert!(target_groups(&whole[..end], false).is_err());
        }
    }

    #[test]
    fn problem_repeats_nothing_of_the_list() {
        let text = "[{\"targets\": [\"redis://:hunter2@a\"] hunter2";
        for is_json in [true, false] {
            let problem = target_groups(text, is_json).unwrap_err().to_string();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
