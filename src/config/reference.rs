//! The reference of all options of the file, for the book.

use std::fmt::Write as _;

use super::redis_exporter::OPTIONS;
use super::rows::ROWS;

/// Returns the reference of all options, as a table in Markdown.
#[must_use]
pub fn reference() -> String {
    let code = |text: &str| match text {
        "" => String::new(),
        text => format!("`{text}`"),
    };
    let mut table =
        "| key | type | default | meaning | flag | environment variable | redis_exporter |\n\
                     | --- | --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for row in ROWS {
        let theirs = OPTIONS
            .iter()
            .filter(|option| option.keys().contains(&row.key));
        let theirs: Vec<_> = theirs.map(|option| code(option.flag)).collect();
        let each = if row.is_of_each {
            "; also for each target"
        } else {
            ""
        };
        let flag = if row.flag.is_empty() {
            String::new()
        } else {
            code(&format!("--{}", row.flag))
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {}{each} | {flag} | {} | {} |",
            code(row.key),
            row.takes.word().to_ascii_lowercase(),
            code(row.default),
            row.meaning,
            code(row.variable),
            theirs.join(", "),
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_has_each_option_with_its_spellings() {
        let reference = reference();
        assert_eq!(reference.lines().count(), ROWS.len() + 2);
        for (key, before, after) in [
            (
                "sweep.count",
                "number | `100`",
                "; also for each target | `--sweep.count` | `REDIS_EXPORTER_SWEEP_COUNT` | \
                 `check-keys-batch-size` |",
            ),
            (
                "targets[].memory_limit",
                "size | ",
                " | `--redis.memory-limit` | `REDIS_MEMORY_LIMIT` |  |",
            ),
        ] {
            let row = ROWS.iter().find(|row| row.key == key).unwrap();
            let line = format!("| `{key}` | {before} | {}{after}", row.meaning);
            assert!(reference.contains(&line), "{line}\n{reference}");
        }
    }
}
