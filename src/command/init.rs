//! `config init`: writes a configuration file to start with.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use super::check::explained;
use super::namespaces::{self, Survey};
use crate::config::{Config, Endpoint, Password, Target};
use crate::output::Plain;

/// Maximum duration of the pass. Part of the keys is enough for suggestions.
const SURVEY_TIME: Duration = Duration::from_mins(1);

/// The variables with the address of the single target.
const ADDRESSES: [&str; 2] = ["REDIS_URL", "REDIS_ADDR"];

const HEADING: &str = "\
# Configuration of redis-namespace-exporter. Review it, save it, and check it:
#   redis-namespace-exporter check --config=config.yaml
# Editors complete it with the output of: redis-namespace-exporter config schema

# Time between two polls, and the timeout of each.
poll:
  interval: 15s
  timeout: 5s

";

const EXAMPLE: &str = "\
# Key namespaces in order of precedence: the first match wins.
namespaces:
  - name: session
    match: \"session:*\"
    ttl:
      required: true
";

/// Scans the first target for up to a minute, and writes a configuration with suggested namespaces.
/// If the target cannot be scanned, writes one with an example.
///
/// # Errors
///
/// The output could not be written.
pub async fn run(
    config: &Config,
    environment: &dyn Fn(&str) -> Option<String>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut text = String::from(HEADING);
    match config.targets.first() {
        None => {
            text.push_str("# Servers to poll.\ntargets:\n  - url: redis://127.0.0.1:6379\n\n");
            text.push_str(EXAMPLE);
        }
        Some(target) => {
            let is_implicit = !config.file.has_targets;
            let is_set = |name: &&&str| environment(name).is_some_and(|value| !value.is_empty());
            let variable = ADDRESSES.iter().find(is_set).filter(|_| is_implicit);
            text.push_str(&targets(target, variable.copied()));
            let survey = namespaces::survey(&config.namespaces, target, SURVEY_TIME).await;
            text.push_str(&namespaces(survey));
        }
    }
    Plain(&mut *out).write_all(text.as_bytes())?;
    out.flush()
}

/// Returns the block `targets`, without any secret. `variable` has the address.
fn targets(target: &Target, variable: Option<&str>) -> String {
    let Endpoint {
        address,
        username,
        password,
        database,
        ..
    } = &target.endpoint;
    let url = address.to_string();
    let mut text = String::from("# Servers to poll.\ntargets:\n");
    let mut field = |line: &str| {
        let start = if text.ends_with("targets:\n") {
            "  - "
        } else {
            "    "
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{start}{line}");
    };
    if target.name != address.default_name() {
        field(&format!("name: {}", quoted(&target.name)));
    }
    match variable {
        Some(variable) => {
            // The variable may contain the credentials, too.
            let url = url.replace("${", "$${");
            field(&format!("url: \"${{{variable}:-{}}}\"", escaped(&url)));
        }
        None => field(&format!("url: {}", quoted(&url))),
    }
    let has_login = variable.is_none() && (username.is_some() || password.is_some());
    if let (Some(database), None) = (database, variable) {
        field(&format!("db: {database}"));
    }
    match password {
        Some(Password::File(path)) => {
            field(&format!(
                "password_file: {}",
                quoted(&path.display().to_string())
            ));
        }
        _ if has_login => {
            field("# From variables, so that this file contains no secret.");
            field("username: ${REDIS_USER:-}");
            field("password: ${REDIS_PASSWORD:-}");
        }
        _ => {}
    }
    text.push('\n');
    text
}

/// Returns the block `namespaces`.
fn namespaces(survey: Result<Survey, namespaces::PassError>) -> String {
    let heading = "# Key namespaces in order of precedence: the first match wins.\n";
    match survey {
        Ok(survey) if survey.is_found => format!("{heading}{}", survey.text),
        Ok(_) => {
            format!("# The server has too few keys for suggestions. This is an example.\n{EXAMPLE}")
        }
        Err(error) => {
            let why = match &error {
                namespaces::PassError::Target { failure, .. } => explained(failure),
                error => error.to_string(),
            };
            let why = why.replace(['\n', '\r'], " ");
            format!("# The server was not scanned: {why}\n# This is an example.\n{EXAMPLE}")
        }
    }
}

/// Returns a text in double quotes, for YAML.
fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(&text.replace("${", "$${")))
}

fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn target_has_no_secret() {
        let mut target = Target::dead("a\"b: ${c}");
        target.endpoint.password = Some(Password::Given(Secret::new("hunter2")));
        target.endpoint.username = Some("user7".to_owned());
        target.endpoint.database = Some(3);
        let text = targets(&target, None);
        assert_eq!(
            text,
            "# Servers to poll.\ntargets:\n  - name: \"a\\\"b: $${c}\"\n    \
             url: \"unix:///nonexistent/redis.sock\"\n    db: 3\n    \
             # From variables, so that this file contains no secret.\n    \
             username: ${REDIS_USER:-}\n    password: ${REDIS_PASSWORD:-}\n\n"
        );
        let of_variable = targets(&target, Some("REDIS_URL"));
        let url = "url: \"${REDIS_URL:-unix:///nonexistent/redis.sock}\"\n";
        assert!(of_variable.contains(url), "{of_variable}");
        assert!(!of_variable.contains("REDIS_PASSWORD"), "{of_variable}");
    }
}
