//! Completions for shells, and manual pages. Both come from the same flags as `--help`.

use std::io::{self, Write as _};

use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::config::arguments::Arguments;

/// The name of the program, to which shells attach the completions.
const PROGRAM: &str = "redis-namespace-exporter";

/// The name of the program in the script for bash. `clap_complete` writes labels of subcommands that
/// never match if the name has a hyphen.
const NAME_IN_BASH: &str = "redis_namespace_exporter";

/// The words that flags accept, which `--help` names in sentences.
const WORDS: [(&str, &[&str]); 6] = [
    ("log-level", &["error", "warn", "info", "debug", "trace"]),
    ("log-format", &["text", "json"]),
    ("series", &["compact", "full"]),
    ("sweep.events", &["off", "listen", "configure"]),
    ("sweep.misses", &["off", "listen", "configure"]),
    ("keys.values", &["off", "number", "text"]),
];

/// The last section of each page.
const EXIT_STATUS: &str = "\
.SH \"EXIT STATUS\"
.TP
0
The program has ended without an error.
.TP
1
An error has occurred, or \\fBcheck\\fR, \\fBonce\\fR or \\fBhealth\\fR has found that something does not work.
.TP
64
The command line is invalid.
.TP
78
The configuration is invalid.
";

/// Returns the completions for a shell, which reads them as a script.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let (mut script, mut program) = (Vec::new(), with_words(Arguments::command()));
    if shell != Shell::Bash {
        clap_complete::generate(shell, &mut program, PROGRAM, &mut script);
        return script;
    }
    clap_complete::generate(shell, &mut program, NAME_IN_BASH, &mut script);
    let registered = |name: &str| format!(" -o default {name}\n");
    let script = String::from_utf8_lossy(&script);
    let script = script.replace(&registered(NAME_IN_BASH), &registered(PROGRAM));
    script.into_bytes()
}

/// Adds the words that flags accept, so that shells offer them instead of names of files.
fn with_words(program: Command) -> Command {
    WORDS.iter().fold(program, |program, (flag, words)| {
        let words = PossibleValuesParser::new(words.iter().copied());
        program.mut_arg(flag, |argument| argument.value_parser(words))
    })
}

/// Returns the manual page of the program or of one of its commands, in the format of man.
///
/// # Errors
///
/// The page cannot be written, which does not occur with a page in memory.
pub fn page(command: Option<&str>) -> io::Result<Vec<u8>> {
    let mut program = Arguments::command();
    // Gives each command the name of its page: redis-namespace-exporter-check.
    program.build();
    let of = |name: &str| program.find_subcommand(name).cloned();
    let mut shown = command.and_then(of).unwrap_or(program);
    let usage = shown.render_usage().to_string();
    let has_commands = shown.has_subcommands();
    let man = clap_mangen::Man::new(shown);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.write_all(synopsis(&usage).as_bytes())?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if command.is_none() {
        man.render_extra_section(&mut page)?;
    }
    page.write_all(EXIT_STATUS.as_bytes())?;
    Ok(page)
}

/// Returns the synopsis as `--help` prints it, because a list of all flags would fill a screen.
fn synopsis(usage: &str) -> String {
    let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-");
    format!(".SH SYNOPSIS\n{usage}\n")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::process::Command as Process;

    use clap::ValueEnum as _;

    use super::*;
    use crate::config::arguments::parse_from;
    use crate::config::rows::ROWS;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn every_shell_completes_commands_and_flags() {
        for shell in Shell::value_variants() {
            let script = text(completions(*shell));
            for word in ["namespaces", "redis.addr", "poll.interval", "full-speed"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    /// Returns what bash offers for the last of these words.
    fn offered(words: &[&str]) -> Vec<String> {
        let call = "COMP_CWORD=$(($# - 1))\nCOMP_WORDS=(\"$@\")\n\
            _redis_namespace_exporter \"$1\" \"${!#}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"\n\
            printf '%s\\n' \"${COMPREPLY[@]}\"\ncomplete -p redis-namespace-exporter >&2\n";
        let script = text(completions(Shell::Bash)) + call;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        let mut bash = Process::new("bash");
        bash.args(["--norc", "--noprofile"]).arg(file.path());
        bash.arg(PROGRAM);
        let output = bash.args(words).output().unwrap();
        let errors = text(output.stderr);
        assert!(errors.contains("-F _redis_namespace_exporter"), "{errors}");
        text(output.stdout).lines().map(str::to_owned).collect()
    }

    #[test]
    fn bash_completes_flags_and_parts_of_commands() {
        let flags = offered(&["namespaces", "--co"]);
        for flag in ["--compare", "--config"] {
            assert!(flags.iter().any(|word| word == flag), "{flags:?}");
        }
        let is_flag = |flag: &String| flag.starts_with("--co");
        assert!(flags.iter().all(is_flag), "{flags:?}");
        let parts = offered(&["config", ""]);
        for part in ["schema", "print", "init"] {
            assert!(parts.iter().any(|word| word == part), "{parts:?}");
        }
        assert_eq!(offered(&["heal"]), ["health"]);
    }

    #[test]
    fn bash_completes_the_words_of_a_flag() {
        for words in [&["--log-level", ""][..], &["check", "--log-level", ""]] {
            let levels = ["error", "warn", "info", "debug", "trace"];
            assert_eq!(offered(words), levels, "{words:?}");
        }
        assert_eq!(offered(&["--log-format", "j"]), ["json"]);
    }

    #[test]
    fn every_word_to_complete_is_accepted() {
        for row in ROWS.iter().filter(|row| row.takes.word() == "WORD") {
            let is_row = |(flag, _): &&(&str, &[&str])| *flag == row.flag;
            let words = WORDS.iter().find(is_row).map(|(_, words)| *words);
            assert_eq!(words.is_some(), !row.flag.is_empty(), "{}", row.key);
            for word in words.unwrap_or_default() {
                assert!(row.check(word).is_ok(), "{}: {word}", row.key);
                assert!(row.meaning.contains(word), "{}: {word}", row.key);
            }
        }
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let program = Arguments::command();
        for command in program.get_subcommands() {
            let name = command.get_name();
            let words = ["redis-namespace-exporter", "manual", name].map(OsString::from);
            assert!(parse_from(words).is_ok(), "{name}");
            let page = text(page(Some(name)).unwrap());
            assert!(
                page.contains(&format!(".TH redis-namespace-exporter-{name} 1")),
                "{page}"
            );
        }
        let page = text(page(None).unwrap());
        assert!(page.contains(".TH redis-namespace-exporter 1"), "{page}");
        assert!(page.contains("redis.addr"), "{page}");
    }
}
