//! Formats log events as logfmt, such as `ts=… level=warn msg="the poll failed" name=cache`.
//! Other modules write them.
//!
//! Every line is printable ASCII, regardless of the values that servers and users provide.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats an event as one line.
#[derive(Clone, Copy, Debug)]
pub struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("ts=")?;
        SystemTime.format_time(&mut writer)?;
        let level = level(*event.metadata().level());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, rest } = fields;
        writeln!(writer, " level={level} msg={message}{rest}")
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of an event as text: the message, then ` name=value` for each other field.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = quoted(value);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(self.rest, " {}={}", field.name(), quoted(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Formats a duration as seconds with three decimal digits.
#[must_use]
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// Returns a plain value unchanged and quotes any other. Characters that are not printable ASCII
/// are escaped like in JSON.
fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\=".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            ' '..='~' => text.push(letter),
            letter => escape(&mut text, letter),
        }
    }
    text.push('"');
    text
}

fn escape(text: &mut String, letter: char) {
    let mut units = [0; 2];
    for unit in letter.encode_utf16(&mut units) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex, PoisonError};

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .event_format(Logfmt)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    }

    #[test]
    fn event_is_one_line_of_pairs_with_the_message_first() {
        let text = lines(|| {
            let failure = "auth: the server rejected AUTH (WRONGPASS)";
            tracing::warn!(name = "cache", %failure, polls = 3, is_up = false, "the poll failed");
        });
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.starts_with("ts=2") && time.ends_with('Z'), "{time}");
        let expected = "level=warn msg=\"the poll failed\" name=cache \
                        failure=\"auth: the server rejected AUTH (WRONGPASS)\" polls=3 is_up=false\n";
        assert_eq!(rest, expected);
    }

    #[test]
    fn message_may_have_no_fields_and_one_word() {
        let text = lines(|| tracing::info!("serving"));
        assert!(text.ends_with(" level=info msg=serving\n"), "{text}");
    }

    #[test]
    fn special_values_are_quoted_and_escaped() {
        for (value, expected) in [
            ("redis://[::1]:6379", "redis://[::1]:6379"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("a\r\n\tb", "\"a\\r\\n\\tb\""),
            ("\u{1b}[31m", "\"\\u001b[31m\""),
            ("\u{202e}é", "\"\\u202e\\u00e9\""),
            ("😀", "\"\\ud83d\\ude00\""),
        ] {
            assert_eq!(quoted(value), expected);
        }
    }

    proptest! {
        #[test]
        fn any_value_becomes_recoverable_ascii(value in ".{0,20}") {
            let text = quoted(&value);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            if text.starts_with('"') {
                prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
            } else {
                prop_assert_eq!(text, value);
            }
        }
    }
}
