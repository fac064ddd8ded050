//! Prints the effective configuration as YAML, with the origin of each value and without secrets.

mod redact;
mod scalar;
mod writer;

use super::arguments::Arguments;
use super::expand::Environment;
use super::problem::Problem;
use super::recorded::Recorder;
use super::redis_exporter::Given;
use super::{Config, file, listed_file, parse_recorded, trimmed};
use writer::Writer;

/// Returns the effective configuration as YAML.
///
/// Comments contain where each value comes from: the line of the file, a flag, or a variable.
/// Options with their default values are commented out. Without secrets, reading the text gives the
/// same configuration.
///
/// # Errors
///
/// All problems, like [`load`](super::load).
pub fn effective(
    arguments: &Arguments,
    environment: &Environment<'_>,
    collector_names: &[&str],
) -> Result<String, Vec<Problem>> {
    let read = listed_file(&file::read, arguments, environment)?;
    let read = read.as_ref().map(|(place, text)| (&**place, &**text));
    print(
        read,
        arguments,
        environment,
        (&file::check, &file::read_bytes),
        collector_names,
    )
}

/// Does the same without I/O.
pub(crate) fn print(
    read: Option<(&str, &str)>,
    arguments: &Arguments,
    environment: &Environment<'_>,
    files: (&super::CheckFile<'_>, &super::ReadFile<'_>),
    collector_names: &[&str],
) -> Result<String, Vec<Problem>> {
    let (config, recorder) = parse_recorded(
        read,
        arguments,
        environment,
        files,
        collector_names,
        Recorder::on(),
    )?;
    let environment = &|name: &str| environment(name).map(|text| trimmed(&text).to_owned());
    let given = Given::read(&arguments.options, environment, &mut Vec::new());
    let writer = Writer {
        file: read.map_or("", |(place, _)| place),
        environment,
        options: &recorder.0.unwrap_or_default(),
        config: &config,
        given: &given,
    };
    Ok(writer.text())
}

/// Returns whether a configuration has a target of flags, variables or the default, which is not
/// in a list.
fn has_implicit_target(config: &Config) -> bool {
    !config.file.has_targets
        && (!config.targets.is_empty()
            || config.sources.iter().any(|source| !source.is_of_requests()))
}

#[cfg(test)]
mod tests;
