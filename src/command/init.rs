//! `config init`: writes a configuration file to start with.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::check::explained;
use super::namespaces::{self, Survey};
use crate::config::{Config, Endpoint, Password, Target, Tls};
use crate::output::Plain;
use crate::quantity::whole_counted;

/// Maximum duration of the pass. Part of the keys is enough for suggestions.
const SURVEY_TIME: Duration = Duration::from_secs(60);

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
/// The output could not be written, or the configuration has sources of targets, but no target.
pub async fn run(
    config: &Config,
    environment: &dyn Fn(&str) -> Option<String>,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(target) = config.targets.first() else {
        let message = "config init needs a single target; set --redis.addr";
        return Err(io::Error::other(message));
    };
    let is_set = |name: &str| environment(name).is_some_and(|value| !value.is_empty());
    let is_implicit = !config.file.has_targets;
    let variable = ADDRESSES.into_iter().find(|name| is_set(name));
    let variable = variable.filter(|_| is_implicit);
    let mut text = String::from(HEADING);
    text.push_str(&further(config.targets.len() - 1, config.sources.len()));
    text.push_str(&targets(target, variable, &is_set));
    let survey = namespaces::survey(&config.namespaces, target, SURVEY_TIME).await;
    text.push_str(&namespaces(survey));
    Plain(&mut *out).write_all(text.as_bytes())?;
    out.flush()
}

/// Returns a comment on the targets and sources of targets that are not written, if there are any.
fn further(targets: usize, sources: usize) -> String {
    let counted = [
        (targets, "more target", "more targets"),
        (sources, "source of targets", "sources of targets"),
    ];
    let parts: Vec<String> = counted
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| whole_counted(count as u64, one, many))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    let verb = if targets + sources == 1 { "is" } else { "are" };
    format!(
        "# The current configuration has {}, which {verb} not in this file.\n",
        parts.join(" and ")
    )
}

/// Returns the block `targets`, without any secret. `variable` has the address.
fn targets(target: &Target, variable: Option<&str>, is_set: &dyn Fn(&str) -> bool) -> String {
    let Endpoint {
        address, database, ..
    } = &target.endpoint;
    let url = address.to_string();
    let mut fields = Vec::new();
    if target.name != address.default_name() {
        fields.push(format!("name: {}", quoted(&target.name)));
    }
    match variable {
        Some(variable) => {
            // The variable may contain the credentials, too.
            let url = url.replace("${", "$${");
            fields.push(format!("url: \"${{{variable}:-{}}}\"", escaped(&url)));
        }
        None => fields.push(format!("url: {}", quoted(&url))),
    }
    if let (Some(database), None) = (database, variable) {
        fields.push(format!("db: {database}"));
    }
    fields.extend(login(&target.endpoint, variable.is_some(), is_set));
    fields.extend(tls(&target.endpoint));
    let mut text = String::from("# Servers to poll.\ntargets:\n");
    for (at, field) in fields.iter().enumerate() {
        let start = if at == 0 { "  - " } else { "    " };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{start}{field}");
    }
    text.push('\n');
    text
}

/// Returns the lines with the user and the password. If the address is from a variable, it may
/// contain them, and only those with variables of their own are written.
fn login(endpoint: &Endpoint, is_of_variable: bool, is_set: &dyn Fn(&str) -> bool) -> Vec<String> {
    const USER: &str = "username: ${REDIS_USER:-}";
    let has_user = endpoint.username.is_some() && (!is_of_variable || is_set("REDIS_USER"));
    if let Some(Password::File(path)) = &endpoint.password {
        let path = quoted(&path.display().to_string());
        let user = has_user.then(|| USER.to_owned());
        return user
            .into_iter()
            .chain([format!("password_file: {path}")])
            .collect();
    }
    let has_password = endpoint.password.is_some() && (!is_of_variable || is_set("REDIS_PASSWORD"));
    if !has_user && !has_password {
        return Vec::new();
    }
    let comment = "# From variables, so that this file contains no secret.";
    [comment, USER, "password: ${REDIS_PASSWORD:-}"]
        .map(str::to_owned)
        .to_vec()
}

/// Returns the block `tls`, if the connection uses TLS with other settings than the default.
fn tls(endpoint: &Endpoint) -> Vec<String> {
    let tls = &endpoint.tls;
    if !endpoint.address.has_tls() || *tls == Tls::default() {
        return Vec::new();
    }
    let path =
        |name: &str, path: &Path| format!("  {name}: {}", quoted(&path.display().to_string()));
    let mut lines = vec!["tls:".to_owned()];
    lines.extend(tls.ca_file.iter().map(|file| path("ca_file", file)));
    if let Some(identity) = &tls.identity {
        lines.push(path("cert_file", &identity.cert_file));
        lines.push(path("key_file", &identity.key_file));
    }
    let name = tls.server_name.iter();
    lines.extend(name.map(|name| format!("  server_name: {}", quoted(name))));
    if tls.insecure_skip_verify {
        lines.push("  insecure_skip_verify: true".to_owned());
    }
    lines
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
    use crate::config::{Address, Secret};

    #[test]
    fn target_has_no_secret() {
        let mut target = Target::dead("a\"b: ${c}");
        target.endpoint.password = Some(Password::Given(Secret::new("hunter2")));
        target.endpoint.username = Some("user7".to_owned());
        target.endpoint.database = Some(3);
        let text = targets(&target, None, &|_| false);
        assert_eq!(
            text,
            "# Servers to poll.\ntargets:\n  - name: \"a\\\"b: $${c}\"\n    \
             url: \"unix:///nonexistent/redis.sock\"\n    db: 3\n    \
             # From variables, so that this file contains no secret.\n    \
             username: ${REDIS_USER:-}\n    password: ${REDIS_PASSWORD:-}\n\n"
        );
        let of_variable = targets(&target, Some("REDIS_URL"), &|_| false);
        let url = "url: \"${REDIS_URL:-unix:///nonexistent/redis.sock}\"\n";
        assert!(of_variable.contains(url), "{of_variable}");
        assert!(!of_variable.contains("REDIS_PASSWORD"), "{of_variable}");
    }

    #[test]
    fn password_beside_an_address_is_kept() {
        let mut target = Target::dead("cache");
        target.endpoint.password = Some(Password::Given(Secret::new("hunter2")));
        let text = targets(&target, Some("REDIS_ADDR"), &|name| {
            name == "REDIS_PASSWORD"
        });
        assert!(text.contains("password: ${REDIS_PASSWORD:-}"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn user_of_a_password_file_is_kept() {
        let mut target = Target::dead("cache");
        target.endpoint.username = Some("user7".to_owned());
        target.endpoint.password = Some(Password::File("/run/secret".into()));
        let lines = "    username: ${REDIS_USER:-}\n    password_file: \"/run/secret\"\n";
        for (variable, is_set) in [(None, false), (Some("REDIS_ADDR"), true)] {
            let text = targets(&target, variable, &|_| is_set);
            assert!(text.contains(lines), "{text}");
        }
        let of_url = targets(&target, Some("REDIS_URL"), &|_| false);
        assert!(!of_url.contains("username"), "{of_url}");
    }

    #[test]
    fn tls_settings_are_written() {
        let mut target = Target::dead("cache");
        target.endpoint.address = Address::Tcp {
            host: "h".to_owned(),
            port: 1,
            tls: true,
        };
        let text = targets(&target, None, &|_| false);
        assert!(!text.contains("tls:"), "{text}");
        target.endpoint.tls = Tls {
            ca_file: Some("/ca".into()),
            identity: None,
            server_name: Some("a.example".to_owned()),
            insecure_skip_verify: true,
        };
        let text = targets(&target, None, &|_| false);
        let block = "    tls:\n      ca_file: \"/ca\"\n      server_name: \"a.example\"\n      \
                     insecure_skip_verify: true\n";
        assert!(text.contains(block), "{text}");
    }

    #[test]
    fn omitted_targets_are_named() {
        assert_eq!(further(0, 0), "");
        let one = "# The current configuration has 1 more target, which is not in this file.\n";
        assert_eq!(further(1, 0), one);
        let text = further(2, 1);
        assert!(
            text.contains("2 more targets and 1 source of targets, which are"),
            "{text}"
        );
    }
}
