//! Maps arguments to a configuration, runs the daemon or a subcommand, and returns the exit status.

// `print!` and similar macros panic if the output cannot be written.
#![warn(clippy::print_stderr, clippy::print_stdout)]

use std::io::{self, Write as _};
use std::panic::PanicHookInfo;
use std::process::ExitCode;

use redis_namespace_exporter::config::arguments::{
    Arguments, ConfigPart, Exit, ProgramCommand, parse,
};
use redis_namespace_exporter::config::{
    Config, Log, LogFormat, Problem, TopArguments, effective, listen_address, load,
    schema as config_schema,
};
use redis_namespace_exporter::logfmt::Logfmt;
use redis_namespace_exporter::output::{self, Stderr, Styled};
use redis_namespace_exporter::{collector, command, daemon, http, telemetry};
use tracing::{Level, error, warn};
use tracing_subscriber::filter::LevelFilter;

/// The command that prints the effective configuration.
const PRINT_CONFIG: ProgramCommand = ProgramCommand::Config {
    part: ConfigPart::Print,
};

/// The configuration is invalid (`EX_CONFIG` in sysexits.h).
const EXIT_CONFIGURATION: u8 = 78;

/// Open files besides those of targets: 512 HTTP connections, files, and the runtime's own.
const FILES_BESIDE_TARGETS: u64 = 550;

/// The reason why the program ends with an error.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("a second crypto provider is in use")]
    CryptoProvider,
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    #[error(transparent)]
    FirstConfiguration(io::Error),
    #[error("cannot register the metrics of the exporter: {0}")]
    Telemetry(String),
    #[error(transparent)]
    Namespaces(#[from] command::namespaces::PassError),
    #[error(transparent)]
    Daemon(#[from] daemon::DaemonError),
    #[error(transparent)]
    Health(#[from] http::HealthError),
    #[cfg(feature = "top")]
    #[error(transparent)]
    Top(#[from] command::top::TopError),
    #[cfg(not(feature = "top"))]
    #[error(
        "this program was built without `top`; build it with cargo build --release --features top"
    )]
    WithoutTop,
}

impl Error {
    /// Returns whether the reader of the output has ended, such as in `… | head -1`.
    fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Output(error)
            | Self::FirstConfiguration(error)
            | Self::Namespaces(command::namespaces::PassError::Output(error)) => {
                error.kind() == io::ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_panic));
    let status = match parse(command::palette::width_of(&io::stdout())) {
        Ok(arguments) => start(arguments),
        Err(exit) => end(&exit),
    };
    output::flush();
    status
}

/// Logs a panic. The default hook writes to standard error directly, and blocks if nobody reads it.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default();
    let location = panic.location().map(ToString::to_string);
    let location = location.unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        error!(location, message, "panicked; this is a defect");
    } else {
        output::stderr()
            .push(format!("panicked at {location}; this is a defect: {message:?}\n").as_bytes());
    }
}

fn start(arguments: Arguments) -> ExitCode {
    if let Some(printed) = arguments.command.as_ref().and_then(print_only) {
        return finish(printed.map(|()| true));
    }
    let environment = |name: &str| std::env::var(name).ok();
    if arguments.command == Some(ProgramCommand::Health) {
        let configured = listen_address(&arguments, &environment);
        let is_given = arguments.listen().is_some() || arguments.config.is_some();
        let address = if is_given {
            configured
        } else {
            http::running_address(configured)
        };
        return finish(http::health(address).map(|()| true).map_err(Error::Health));
    }
    if let Some(ProgramCommand::Top(top)) = &arguments.command {
        return finish(run_top(top).map(|()| true));
    }
    let names = collector::names();
    if arguments.command == Some(PRINT_CONFIG) {
        return match effective(&arguments, &environment, &names) {
            Ok(text) => finish(print(text.as_bytes()).map(|()| true)),
            Err(problems) => reject(&problems),
        };
    }
    let config = match load(&arguments, &environment, &names) {
        Ok(config) => config,
        Err(problems) => return reject(&problems),
    };
    start_log(&config.log, arguments.command.is_some());
    config.notices.iter().for_each(daemon::log_notice);
    finish(block_on(run(config, arguments)))
}

/// Runs a task to its end.
fn block_on<T>(task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Installs the only crypto provider, before anything uses it.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return Err(Error::CryptoProvider);
    }
    // One thread polls and sweeps. Scrapes, pages, and large replies have their own threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let ended = runtime.block_on(task);
    // Does not wait for blocked threads, such as a resolver or a file on a dead mount.
    runtime.shutdown_background();
    ended
}

/// Shows the live view. It has neither a configuration nor a log.
#[cfg(feature = "top")]
fn run_top(arguments: &TopArguments) -> Result<(), Error> {
    block_on(async { Ok(command::top::run(arguments).await?) })
}

#[cfg(not(feature = "top"))]
fn run_top(_: &TopArguments) -> Result<(), Error> {
    Err(Error::WithoutTop)
}

/// Reports the problems of the configuration, and returns the exit status.
fn reject(problems: &[Problem]) -> ExitCode {
    output::complain(&daemon::describe(problems));
    ExitCode::from(EXIT_CONFIGURATION)
}

/// Runs a command that only prints what the program contains.
fn print_only(command: &ProgramCommand) -> Option<Result<(), Error>> {
    let text = match command {
        ProgramCommand::Completions { shell } => Ok(command::manual::completions(*shell)),
        ProgramCommand::Manual { command } => command::manual::page(command.as_deref()),
        ProgramCommand::Config {
            part: ConfigPart::Schema,
        } => Ok(format!("{:#}\n", config_schema(&collector::names())).into_bytes()),
        _ => return None,
    };
    Some(text.map_err(Error::Output).and_then(|text| print(&text)))
}

/// Runs the daemon or a command. Returns whether everything works.
async fn run(config: Config, arguments: Arguments) -> Result<bool, Error> {
    match arguments.command {
        None => {
            raise_file_limit(most_targets(&config));
            let ended = daemon::run(config, arguments).await;
            ended.map(|()| true).map_err(Error::Daemon)
        }
        Some(ProgramCommand::Check) => {
            let palette = command::palette::Palette::of_output();
            Ok(command::check::run(&config, palette, &mut Styled(io::stdout())).await?)
        }
        Some(ProgramCommand::Once) => {
            let telemetry = telemetry::Telemetry::new(config.process_metrics)
                .map_err(|error| Error::Telemetry(error.to_string()))?;
            Ok(command::once::run(&config, &telemetry, &mut io::stdout()).await?)
        }
        Some(ProgramCommand::Namespaces(pass)) => {
            Ok(command::namespaces::run(&config, &pass, &mut io::stdout()).await?)
        }
        Some(ProgramCommand::Config {
            part: ConfigPart::Init,
        }) => {
            let environment = |name: &str| std::env::var(name).ok();
            let written = command::init::run(&config, &environment, &mut io::stdout()).await;
            written.map(|()| true).map_err(Error::FirstConfiguration)
        }
        // Handled before the configuration is read.
        Some(
            ProgramCommand::Health
            | ProgramCommand::Completions { .. }
            | ProgramCommand::Config { .. }
            | ProgramCommand::Manual { .. }
            | ProgramCommand::Top(_),
        ) => Ok(true),
    }
}

/// Returns the maximum number of targets, including those that sources may name.
fn most_targets(config: &Config) -> usize {
    let configured = config.targets.len();
    let listed = config.sources.iter().map(|source| source.max_targets);
    let all = listed.fold(configured, usize::saturating_add);
    all.min(config.max_targets.max(configured))
}

/// Raises the limit of open files. Each target has two connections, and the HTTP server must never
/// run out of descriptors.
fn raise_file_limit(targets: usize) {
    let needed = 2 * targets as u64 + FILES_BESIDE_TARGETS;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= needed => {}
        Ok(limit) => warn!(
            limit,
            needed, "too few open files are allowed; raise LimitNOFILE"
        ),
        Err(error) => warn!(%error, needed, "cannot read the limit of open files"),
    }
}

/// Starts the log. Commands print what the level `info` would repeat.
fn start_log(log: &Log, is_command: bool) {
    let level = match log.level {
        Level::INFO if is_command => Level::WARN,
        level => level,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(level))
        .with_writer(|| Stderr)
        // By default the subscriber writes such errors to standard error itself and panics if it
        // cannot.
        .log_internal_errors(false);
    // No other code sets a subscriber.
    let _ = match log.format {
        LogFormat::Text => builder.event_format(Logfmt).try_init(),
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_target(false)
            .try_init(),
    };
}

fn end(exit: &Exit) -> ExitCode {
    if exit.status == 0 {
        return finish(print(exit.text.as_bytes()).map(|()| true));
    }
    output::complain(exit.text.trim_end());
    ExitCode::from(exit.status)
}

fn print(text: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout();
    out.write_all(text)?;
    Ok(out.flush()?)
}

/// Reports an error, and returns the exit status.
fn finish(ended: Result<bool, Error>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[cfg(all(test, not(feature = "top")))]
mod tests {
    use super::*;

    #[test]
    fn program_without_top_explains_how_to_get_it() {
        let words = ["redis-namespace-exporter", "top"].map(Into::into);
        let parsed = redis_namespace_exporter::config::arguments::parse_from(words);
        let command = parsed.ok().and_then(|arguments| arguments.command);
        let Some(ProgramCommand::Top(top)) = command else {
            unreachable!("{command:?}");
        };
        let message = run_top(&top).map_err(|error| error.to_string());
        let expected = "this program was built without `top`; build it with cargo build --release \
                        --features top";
        assert_eq!(message, Err(expected.to_owned()));
    }
}
