//! Completions for shells, and manual pages. Both come from the same flags as `--help`.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::config::arguments::Arguments;

/// The name of the program, to which shells attach the completions.
const PROGRAM: &str = "redis-namespace-exporter";

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
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), PROGRAM, &mut script);
    script
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

    use clap::ValueEnum as _;

    use super::*;
    use crate::config::arguments::parse_from;

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
