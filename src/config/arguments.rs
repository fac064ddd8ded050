//! The command line.
//!
//! The corresponding environment variables are read with the file, so that all mistakes are
//! reported together.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::problem::Invalid;
use super::redis_exporter::{Flags, normalized};
use super::secret::Secret;
use super::top_arguments::TopArguments;
use super::url;
use super::usage_error::{without_secrets, without_value};

/// Exit status for wrong flags: `EX_USAGE` of sysexits.
const WRONG_USAGE: u8 = 64;

/// Width of `--help` in files and pipes, in cells.
const HELP_WIDTH: usize = 80;

/// Maximum width of `--help` on a terminal, in cells.
const HELP_WIDTH_MAX: usize = 100;

/// The parsed command line.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    version = env!("EXPORTER_VERSION"),
    about = "A Prometheus exporter for Redis and Valkey that reports on key namespaces",
    after_help = "Precedence, highest first: flag, environment variable, configuration file, \
                  default.\nAll other flags and variables of redis_exporter are accepted too, \
                  with one dash or two: docs/migrate.md lists them."
)]
pub struct Arguments {
    /// The command to run instead of the exporter.
    #[command(subcommand)]
    pub command: Option<ProgramCommand>,

    /// The YAML configuration file.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "YAML configuration file; - is standard input [env: REDIS_EXPORTER_CONFIG]"
    )]
    pub config: Option<PathBuf>,

    /// The server to poll if the file has no `targets`.
    #[arg(
        long = "redis.addr",
        overrides_with = "redis_addr",
        global = true,
        value_name = "URL",
        help = "URL of the single target, if the file has no targets [env: REDIS_URL, REDIS_ADDR] \
                [default: redis://127.0.0.1:6379]"
    )]
    pub redis_addr: Option<Secret>,

    /// All other flags: those of the file's options, and those of `redis_exporter`.
    #[command(flatten)]
    pub options: Flags,
}

impl Arguments {
    /// Returns the listen address, if a flag sets it.
    #[must_use]
    pub fn listen(&self) -> Option<&str> {
        self.options.get("web.listen-address").map(Secret::expose)
    }
}

/// The command to run instead of the exporter.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ProgramCommand {
    /// Validate the configuration and connect to every target
    Check,
    /// Poll every target once and print the metrics
    Once,
    /// Check whether a running exporter is healthy
    Health,
    /// Scan the keys of a target once and print its namespaces
    Namespaces(NamespacesArguments),
    /// Show a live view of all targets of a running exporter
    Top(TopArguments),
    /// Help to write the configuration file
    Config {
        /// The part to print.
        #[command(subcommand)]
        part: ConfigPart,
    },
    /// Print completions for a shell
    Completions {
        /// The shell that completes.
        #[arg(
            value_enum,
            value_name = "SHELL",
            help = "Shell that reads the completions"
        )]
        shell: Shell,
    },
    /// Print the manual page, in the format of man
    Manual {
        /// A command that has its own page.
        #[arg(
            value_name = "COMMAND",
            value_parser = ["check", "once", "health", "namespaces", "top", "config", "completions", "manual"],
            help = "Command whose page to print [default: the page of the program]"
        )]
        command: Option<String>,
    },
}

/// The command below `config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigPart {
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Print the effective configuration, with the origin of each value and without secrets
    Print,
    /// Print a configuration file to start with, with namespaces that the keys suggest
    Init,
}

/// Arguments of the command `namespaces`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct NamespacesArguments {
    /// The name of a configured target.
    #[arg(
        value_name = "TARGET",
        help = "Name of a configured target [default: the first]"
    )]
    pub target: Option<String>,

    /// Whether to suggest namespaces.
    #[arg(
        long,
        help = "Print a namespaces block for the configuration, based on the keys; the table \
                goes to standard error"
    )]
    pub suggest: bool,

    /// The output format.
    #[arg(
        long,
        value_enum,
        value_name = "OUTPUT",
        default_value_t,
        help = "Output format"
    )]
    pub output: Output,

    /// The order of the namespaces.
    #[arg(
        long,
        value_enum,
        value_name = "ORDER",
        default_value_t,
        help = "Order of the namespaces, largest first except for names"
    )]
    pub sort: SortBy,

    /// Maximum number of namespaces in the table.
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..),
        help = "Maximum number of namespaces in the table [default: all]"
    )]
    pub top: Option<u32>,

    /// The JSON document of an earlier pass.
    #[arg(
        long,
        value_name = "FILE",
        help = "Show what changed since an earlier pass; FILE is what --output=json printed then"
    )]
    pub compare: Option<PathBuf>,

    /// Number of largest keys to name.
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..=1000),
        help = "Name this many of the largest keys, up to 1000"
    )]
    pub largest: Option<u32>,

    /// Whether to name keys that break a policy.
    #[arg(
        long,
        help = "Name up to three keys for each broken TTL policy of a namespace"
    )]
    pub examples: bool,

    /// Whether to repeat the pass.
    #[arg(
        long,
        conflicts_with = "suggest",
        help = "Repeat the pass and redraw the table, at most every sweep.min_pass_interval, until \
                Ctrl-C"
    )]
    pub watch: bool,

    /// Whether to ignore the configured speed limits.
    #[arg(
        long,
        help = "Use as much of the server as one connection can; ignore sweep.cpu_share and \
                sweep.keys_per_second"
    )]
    pub full_speed: bool,

    /// How many lookups of keys the pass may cause.
    #[arg(
        long,
        value_name = "NUMBER|all",
        value_parser = lookups,
        help = "Maximum number of key lookups (PTTL and TYPE), which the server counts in its hit \
                ratio, or all for two per key [default: 1000, or less if other clients read little]"
    )]
    pub lookups: Option<LookupLimit>,
}

/// The value of `--lookups`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupLimit {
    /// At most this many.
    AtMost(u64),
    /// Two for each key.
    All,
}

fn lookups(text: &str) -> Result<LookupLimit, Invalid> {
    if text == "all" {
        return Ok(LookupLimit::All);
    }
    let number = text.parse().map(LookupLimit::AtMost);
    number.map_err(|_| Invalid::new("is not a number", "write a number such as 5000, or all"))
}

/// The order of the namespaces in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SortBy {
    /// By memory.
    #[default]
    Memory,
    /// By number of keys.
    Keys,
    /// By name.
    Name,
    /// By number of keys without a TTL.
    NoTtl,
}

/// The output format of the command `namespaces`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table.
    #[default]
    Table,
    /// A JSON document.
    Json,
}

/// The reason to exit right away: to print help, or because of a wrong flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit status: 0 for help and version, 64 for wrong flags.
    pub status: u8,
    /// The text to print: to standard output if the status is 0, otherwise to standard error.
    pub text: String,
}

/// Parses the command line of the process. `terminal` is the width of the terminal that `--help`
/// is printed to, in cells, if any.
///
/// # Errors
///
/// Help or the version is requested, or a flag is wrong.
pub fn parse(terminal: Option<usize>) -> Result<Arguments, Exit> {
    let width = terminal.map_or(HELP_WIDTH, |width| width.min(HELP_WIDTH_MAX));
    parse_at(std::env::args_os(), width)
}

/// Parses a command line that starts with the name of the program.
///
/// # Errors
///
/// Help or the version is requested, or a flag is wrong.
pub fn parse_from<I: IntoIterator<Item = OsString>>(words: I) -> Result<Arguments, Exit> {
    parse_at(words, HELP_WIDTH)
}

/// Parses a command line, with `--help` of this width in cells.
fn parse_at<I: IntoIterator<Item = OsString>>(words: I, width: usize) -> Result<Arguments, Exit> {
    let words = normalized(words);
    let command = Arguments::command().term_width(width);
    let matches = command.try_get_matches_from(&words);
    let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = arguments.map_err(|error| Exit {
        status: if error.use_stderr() { WRONG_USAGE } else { 0 },
        text: without_secrets(without_value(error).to_string(), &words),
    })?;
    match arguments.redis_addr.as_ref().map(Secret::expose) {
        Some(text) => check_address(text).map(|()| arguments),
        None => Ok(arguments),
    }
}

fn check_address(text: &str) -> Result<(), Exit> {
    // An empty address means that there is no target of flags, like in `redis_exporter`.
    if text.trim().is_empty() {
        return Ok(());
    }
    url::parse(text).map(drop).map_err(|invalid| Exit {
        status: WRONG_USAGE,
        text: format!("error: the value of --redis.addr {invalid}\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::redis_exporter::{Given, OPTIONS};
    use crate::config::usage_error::shown_flags;

    fn parse(words: &[&str]) -> Result<Arguments, Exit> {
        let program = std::iter::once("redis-namespace-exporter");
        parse_from(program.chain(words.iter().copied()).map(OsString::from))
    }

    fn of<'a>(arguments: &'a Arguments, flag: &str) -> &'a str {
        arguments.options.get(flag).unwrap().expose()
    }

    #[test]
    fn options_of_a_command_come_first_in_its_help() {
        for (command, own) in [("namespaces", "--suggest"), ("top", "--username")] {
            let help = parse(&[command, "--help"]).unwrap_err().text;
            let (first, rest) = help.split_once("\nExporter options:\n").unwrap();
            assert!(first.contains(own) && !rest.contains(own), "{help}");
            assert!(rest.contains("--poll.interval"), "{help}");
        }
    }

    #[test]
    fn help_fits_into_its_width() {
        let program = Arguments::command();
        let commands = program.get_subcommands().map(clap::Command::get_name);
        let parts = ["schema", "print", "init"].map(|part| vec!["config", part]);
        let commands = commands.map(|name| vec![name]).chain(parts);
        for command in commands.chain([Vec::new()]) {
            for width in [HELP_WIDTH, HELP_WIDTH_MAX] {
                let words = [&["program"], &*command, &["--help"]].concat();
                let help = parse_at(words.into_iter().map(OsString::from), width);
                let help = help.unwrap_err().text;
                let wide: Vec<_> = help.lines().filter(|line| line.len() > width).collect();
                assert!(wide.is_empty(), "{command:?}: {wide:#?}");
            }
        }
    }

    #[test]
    fn flags_are_allowed_before_and_after_the_command() {
        for words in [
            ["--poll.interval=2s", "--log-format", "json", "once"],
            ["once", "--poll.interval=2s", "--log-format", "json"],
        ] {
            let arguments = parse(&words).unwrap();
            assert_eq!(arguments.command, Some(ProgramCommand::Once));
            assert_eq!(of(&arguments, "poll.interval"), "2s");
            assert_eq!(of(&arguments, "log-format"), "json");
        }
        assert_eq!(parse(&[]).unwrap().command, None);
        // An argument list in YAML with an empty item.
        assert_eq!(parse(&[""]).unwrap().command, None);
        let arguments = parse(&["", "--debug", "", "once"]).unwrap();
        assert_eq!(arguments.command, Some(ProgramCommand::Once));
    }

    #[test]
    fn every_flag_is_read() {
        let arguments = parse(&[
            "--config=/etc/exporter.yaml",
            "--redis.addr=rediss://h:1",
            "--web.listen-address=:9122",
            "--poll.interval=30s",
            "--poll.timeout=3s",
            "--log-level=DEBUG",
            "--log-format=txt",
            "check",
        ])
        .unwrap();
        assert_eq!(arguments.config, Some(PathBuf::from("/etc/exporter.yaml")));
        assert_eq!(arguments.redis_addr, Some(Secret::new("rediss://h:1")));
        assert_eq!(arguments.listen(), Some(":9122"));
        assert_eq!(of(&arguments, "poll.timeout"), "3s");
        assert_eq!(of(&arguments, "log-level"), "DEBUG");
        assert_eq!(of(&arguments, "log-format"), "txt");
        assert_eq!(arguments.command, Some(ProgramCommand::Check));
    }

    #[test]
    fn wrong_flags_are_usage_errors() {
        for (words, expected) in [
            (&["--colour"][..], "--colour"),
            (&["--poll.interval=15"], "has no unit"),
            (&["--poll.interval"], "value is required"),
            (
                &["--poll.interval=1s", "--poll.interval=2s"],
                "multiple times",
            ),
            (&["--web.listen-address=here"], "0.0.0.0:9121"),
            (&["--log-level=loud"], "error, warn, info"),
            (&["--redis.addr=ftp://h"], "unknown scheme"),
            (&["chekc"], "check"),
        ] {
            let exit = parse(words).unwrap_err();
            assert_eq!(exit.status, 64, "{words:?}");
            assert!(exit.text.contains(expected), "{words:?}: {}", exit.text);
        }
    }

    #[test]
    fn help_and_version_exit_with_zero() {
        let help = parse(&["--help"]).unwrap_err();
        assert_eq!(help.status, 0);
        for word in [
            "--redis.addr",
            "REDIS_URL",
            "REDIS_PASSWORD_FILE",
            "check",
            "once",
            "health",
            "namespaces",
        ] {
            assert!(help.text.contains(word), "{word}");
        }
        let version = parse(&["--version"]).unwrap_err();
        assert_eq!(version.status, 0);
        assert!(version.text.contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn namespaces_accepts_a_target_and_its_own_flags() {
        let arguments = parse(&[
            "namespaces",
            "cache",
            "--output=json",
            "--sort=keys",
            "--top=5",
            "--compare=before.json",
            "--largest=3",
            "--examples",
            "--watch",
            "--full-speed",
            "--redis.addr=redis://h",
        ])
        .unwrap();
        let expected = NamespacesArguments {
            target: Some("cache".to_owned()),
            suggest: false,
            output: Output::Json,
            sort: SortBy::Keys,
            top: Some(5),
            compare: Some(PathBuf::from("before.json")),
            largest: Some(3),
            examples: true,
            watch: true,
            full_speed: true,
            lookups: None,
        };
        assert_eq!(
            arguments.command,
            Some(ProgramCommand::Namespaces(expected))
        );
        let bare = parse(&["namespaces"]).unwrap().command;
        assert_eq!(
            bare,
            Some(ProgramCommand::Namespaces(NamespacesArguments::default()))
        );
    }

    #[test]
    fn namespaces_suggests_once_and_only_for_itself() {
        let suggest = parse(&["namespaces", "--suggest"]).unwrap().command;
        let expected = NamespacesArguments {
            suggest: true,
            ..NamespacesArguments::default()
        };
        assert_eq!(suggest, Some(ProgramCommand::Namespaces(expected)));
        let repeated = parse(&["namespaces", "--suggest", "--watch"]).unwrap_err();
        assert_eq!(repeated.status, 64);
        assert!(repeated.text.contains("--watch"), "{}", repeated.text);
        assert_eq!(parse(&["--suggest"]).unwrap_err().status, 64);
    }

    #[test]
    fn no_message_shows_a_password() {
        for words in [
            &["redis://user7:hunter2@h"][..],
            &["--redis.adr=redis://user7:hunter2@h"],
            &["--redis.adr", "redis://user7:hunter2@h"],
            &["--redis.addr=redis://user7:hunter2@h:x"],
            &["--redis.addr=foo://user7:hunter2@h"],
            &["--poll.interval", "redis://user7:hunter2@h"],
            &["check", "user7:hunter2@h"],
            &["--redis.pasword=hunter2"],
            &["--redis.password=hunter2", "--colour"],
            &["--redis.password", "hunter2", "--colour"],
            &["-redis.password=hunter2", "-colour"],
            &["redis.password", "hunter2"],
            &["-redis.passwrd", "hunter2"],
            &["-basic-auth-password=hunter2", "-debug=maybe"],
            &["--config=a", "--config=redis://user7:hunter2@h", "--x"],
            &["hunter2"],
            &["check", "hunter2"],
            &["--colour", "hunter2"],
            &["--passwrod=hunter2"],
            &["--hunter2secret"],
            &["-phunter2"],
            &["check", "--hunter2-user7=x"],
        ] {
            let exit = parse(words).unwrap_err();
            assert_eq!(exit.status, 64, "{words:?}");
            assert!(!exit.text.contains("hunter2"), "{words:?}: {}", exit.text);
            assert!(!exit.text.contains("user7"), "{words:?}: {}", exit.text);
        }
        for words in [
            &["--web.listen-address=hunter2"][..],
            &["--web.listen-address", "hunter2"],
            &["--debug=hunter2"],
            &["-sweep.enabled=hunter2"],
            &["--check-keys-batch-size=hunter2"],
        ] {
            let exit = parse(words).unwrap_err();
            let flag = words[0].split('=').next().unwrap().trim_matches('-');
            assert!(exit.text.contains(flag), "{words:?}: {}", exit.text);
            assert!(exit.text.contains("'***'"), "{words:?}: {}", exit.text);
            assert!(!exit.text.contains("hunter2"), "{words:?}: {}", exit.text);
        }
        for words in [
            &["--web.listen-address=9121"][..],
            &["--web.listen-address=0.0.0.0"],
            &["namespaces", "--largest=5000"],
            &["namespaces", "--largest", "5000"],
            &["top", "ftp://x"],
            &["top", "ftp://x:21/"],
        ] {
            let exit = parse(words).unwrap_err();
            let last = words.last().unwrap();
            let value = last.split_once('=').map_or(*last, |(_, value)| value);
            let shown = format!("'{value}'");
            assert!(exit.text.contains(&shown), "{words:?}: {}", exit.text);
        }
        for words in [
            &["top", "ftp://user7:hunter2@x"][..],
            &["top", "ftp://x:hunter2"],
            &["top", "ftp://x?token=hunter2"],
            &["--redis.password=1234", "--colour"],
        ] {
            let exit = parse(words).unwrap_err();
            for secret in ["hunter2", "1234"] {
                assert!(!exit.text.contains(secret), "{words:?}: {}", exit.text);
            }
        }
        for flag in shown_flags() {
            let word = format!("--{flag}=loud");
            let exit = parse(&[&word]).unwrap_err();
            assert!(exit.text.contains("'loud'"), "{}", exit.text);
        }
        let arguments = parse(&["--redis.addr=redis://user7:hunter2@h"]).unwrap();
        assert!(!format!("{arguments:?}").contains("hunter2"));
        let arguments = parse(&["-redis.password", "hunter2"]).unwrap();
        assert!(!format!("{arguments:?}").contains("hunter2"));
    }

    #[test]
    fn flags_are_parsed_as_in_go() {
        for words in [
            &[
                "-redis.addr",
                "redis://h:1",
                "-debug",
                "-check-keys",
                "a",
                "once",
            ][..],
            &[
                "--redis.addr=redis://h:1",
                "once",
                "--debug=true",
                "--check-keys=a",
            ],
            &[
                "-redis.addr=redis://h:1",
                "-debug=1",
                "-check-keys",
                "-x",
                "-check-keys=a",
                "once",
            ],
        ] {
            let arguments = parse(words).unwrap();
            assert_eq!(arguments.redis_addr, Some(Secret::new("redis://h:1")));
            assert_eq!(arguments.command, Some(ProgramCommand::Once));
            let given = Given::read(&arguments.options, &|_| None, &mut Vec::new());
            assert!(given.is_on("debug"), "{words:?}");
            let check_keys = given.get("check-keys").unwrap();
            assert_eq!(check_keys.value, Secret::new("a"));
            assert_eq!(check_keys.place, "--check-keys");
        }
        assert_eq!(parse(&["-version"]).unwrap_err().status, 0);
        for words in [
            ["-debug=maybe"],
            ["-check-keys-batch-size=many"],
            ["-script"],
        ] {
            assert_eq!(parse(&words).unwrap_err().status, 64, "{words:?}");
        }
    }

    #[test]
    fn every_flag_of_redis_exporter_is_accepted() {
        for option in OPTIONS.iter().filter(|option| option.flag != "version") {
            let word = format!("-{}={}", option.flag, option.default);
            assert!(parse(&[&word]).is_ok(), "{word}");
        }
    }
}
