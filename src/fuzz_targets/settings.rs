//! Fuzz targets of the configuration: the file and URLs.

use crate::collector;
use crate::config::arguments::Arguments;
use crate::config::{self, Config, Problem};

/// A secret that no output may contain.
const SECRET: &str = "hunter2";

/// The variables that a configuration may refer to.
fn variable(name: &str) -> Option<String> {
    match name {
        "PASSWORD" | "REDIS_PASSWORD" => Some(SECRET.to_owned()),
        "URL" => Some(format!("redis://user:{SECRET}@host:6380/1")),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

/// Reads a configuration without I/O.
pub(super) fn parsed(text: &str) -> Result<Config, Vec<Problem>> {
    config::parse(
        Some(("c.yaml", text)),
        &Arguments::default(),
        &variable,
        (&|_, _| Ok(()), &|_, _| Ok(b"return {}".to_vec())),
        &collector::names(),
    )
}

/// Reads a configuration file.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let outcome = parsed(text);
    match &outcome {
        Ok(config) => {
            let is_any = !config.targets.is_empty() || !config.sources.is_empty();
            assert!(is_any, "a configuration without targets");
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "no reason");
            for problem in problems {
                let shown = problem.to_string();
                assert!(!shown.contains(SECRET) || text.contains(SECRET), "{shown}");
                assert!(!shown.contains('\n'), "{shown:?}");
            }
        }
    }
}

/// Parses URLs: the text itself, and the text around a password.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(url) = config::url::parse(text) {
        let written = url.address.to_string();
        let again = config::url::parse(&written).map(|url| url.address);
        assert_eq!(again.as_ref(), Ok(&url.address), "{text:?} as {written:?}");
    }
    let (before, after) = text.split_once('\n').unwrap_or(("", text));
    let text = format!("redis://user7:{before}{SECRET}{after}@host");
    let shown = match config::url::parse(&text) {
        Ok(url) => url.notes.concat() + &url.address.to_string(),
        Err(invalid) => invalid.to_string(),
    };
    assert!(!shown.contains(SECRET), "{text:?}: {shown}");
}
