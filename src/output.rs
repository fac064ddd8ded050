//! Writes standard error from a dedicated thread.
//!
//! Nothing waits for it. A line that cannot be written is lost and counted. Therefore a full disk, a
//! closed terminal, a dead pipe, or a pipe without a reader never delays the exporter.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::invisible::is_invisible;

/// Maximum number of bytes that wait to be written.
const BYTES_MAX: usize = 256 << 10;

/// Delay before retrying a descriptor that would block.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Maximum wait at exit for unwritten lines.
const FLUSH_TIME: Duration = Duration::from_millis(300);

static STDERR: OnceLock<Lines> = OnceLock::new();

/// Returns the queue of lines for standard error.
pub fn stderr() -> &'static Lines {
    STDERR.get_or_init(|| {
        // Uses its own descriptor: `io::stderr` would hold its lock during a write that hangs.
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(descriptor) => Lines::start(File::from(descriptor)),
            Err(_) => Lines::start(Closed),
        }
    })
}

/// Writes a message to standard error and waits until it is written, for a limited time.
pub fn complain(text: &str) {
    let lines = stderr();
    lines.push(format!("{}\n", plain(text)).as_bytes());
    lines.flush();
}

/// Waits until standard error has accepted all lines, for a limited time.
pub fn flush() {
    stderr().flush();
}

/// A queue of lines with a thread that writes them. Clones share it.
#[derive(Clone, Debug)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<LogQueue>,
    changed: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct LogQueue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
    is_broken: bool,
}

impl Lines {
    /// Starts the thread that writes to `sink`.
    fn start(sink: impl Write + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let shared = Arc::clone(&lines.0);
        let thread = thread::Builder::new().name("log".to_owned());
        if thread.spawn(move || write_all(&shared, sink)).is_err() {
            lines.0.queue().is_broken = true;
        }
        lines
    }

    /// Queues a line, including its line end. Returns at once.
    pub fn push(&self, line: &[u8]) {
        let mut queue = self.0.queue();
        if queue.is_broken || queue.bytes.saturating_add(line.len()) > BYTES_MAX {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// Returns the number of lost lines.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written or lost, for a limited time.
    pub fn flush(&self) {
        let deadline = Instant::now() + FLUSH_TIME;
        let mut queue = self.0.queue();
        while queue.is_writing || !queue.lines.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || queue.is_broken {
                return;
            }
            let waited = self.0.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, LogQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line.
    fn next(&self) -> Vec<u8> {
        let mut queue = self.queue();
        queue.is_writing = false;
        self.changed.notify_all();
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes = queue.bytes.saturating_sub(line.len());
                queue.is_writing = true;
                return line;
            }
            let waited = self.changed.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn write_all(shared: &Shared, mut sink: impl Write) {
    loop {
        let line = shared.next();
        if write_line(&mut sink, &line).is_err() {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write_line(sink: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match sink.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another process that shares the descriptor has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_AFTER),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A sink that accepts nothing.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Accepts whole lines for standard error. It never fails and never blocks.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => stderr().push(plain(text).as_bytes()),
            Err(_) => stderr().push(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes characters that would change how a terminal displays the rest of the text.
///
/// These are control characters except line ends and tabs, and characters that change the writing
/// direction, such as `\u202e`.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    if !text.chars().any(is_escaped) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_escaped(letter) {
            // The escapes of JSON.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    shown.into()
}

fn is_escaped(letter: char) -> bool {
    !matches!(letter, '\n' | '\t') && is_invisible(letter)
}

/// Writes text to a terminal, without characters that would change how it displays the rest.
#[derive(Debug)]
pub struct Plain<W>(pub W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.0.write_all(plain(text).as_bytes())?,
            // Part of a character: it is written once it is complete.
            Err(_) => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes text to a terminal like [`Plain`], but with styles such as bold and red.
#[derive(Debug)]
pub struct Styled<W>(pub W);

impl<W: Write> Write for Styled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = bytes.split_inclusive(|byte| *byte == b'm');
        parts.try_for_each(|part| {
            let at = part.windows(2).rposition(|pair| pair == b"\x1b[");
            match part.split_at_checked(at.unwrap_or(part.len())) {
                Some((text, style)) if is_style(style) => {
                    Plain(&mut self.0).write_all(text)?;
                    self.0.write_all(style)
                }
                _ => Plain(&mut self.0).write_all(part),
            }
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Returns whether these bytes select a style (SGR), and do nothing else.
fn is_style(bytes: &[u8]) -> bool {
    let numbers = bytes
        .strip_prefix(b"\x1b[")
        .and_then(|rest| rest.strip_suffix(b"m"));
    numbers.is_some_and(|numbers| {
        numbers
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b';')
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A sink that passes on what it receives, and blocks until someone takes it.
    struct Handing(mpsc::SyncSender<Vec<u8>>);

    impl Write for Handing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(bytes.to_vec());
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_arrive_in_their_order() {
        let (sender, receiver) = mpsc::sync_channel(100);
        let lines = Lines::start(Handing(sender));
        for at in 0..50_u8 {
            lines.push(&[at]);
        }
        lines.flush();
        let written: Vec<_> = receiver.try_iter().flatten().collect();
        assert_eq!(written, (0..50).collect::<Vec<_>>());
        assert_eq!(lines.lost(), 0);
    }

    #[test]
    fn stuck_sink_loses_lines_in_limited_time() {
        let (sender, receiver) = mpsc::sync_channel(0);
        let lines = Lines::start(Handing(sender));
        let line = [b'x'; 1 << 10];
        let started = Instant::now();
        for _ in 0..10_000 {
            lines.push(&line);
        }
        lines.flush();
        assert!(started.elapsed() < Duration::from_secs(5));
        let kept = 10_000 - lines.lost();
        assert!((256..=257).contains(&kept), "{kept}");
        drop(receiver);
    }

    #[test]
    fn failed_line_is_counted_and_the_next_one_tried() {
        let lines = Lines::start(Closed);
        lines.push(b"one\n");
        lines.push(b"two\n");
        lines.flush();
        assert_eq!(lines.lost(), 2);
    }

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(plain("größe: 5\n\tb"), "größe: 5\n\tb");
        assert_eq!(
            plain("a\u{202e}b\u{2066}c\u{1b}[2Jd\re\u{9b}f\u{feff}"),
            "a\\u202eb\\u2066c\\u001b[2Jd\\u000de\\u009bf\\ufeff"
        );
        let mut written = Vec::new();
        Plain(&mut written)
            .write_all("x\u{202e}".as_bytes())
            .unwrap();
        assert_eq!(written, b"x\\u202e");
    }

    #[test]
    fn styles_are_kept_and_other_sequences_escaped() {
        for (text, expected) in [
            ("\u{1b}[1mmammoth\u{1b}[0m\n", "\u{1b}[1mmammoth\u{1b}[0m\n"),
            ("\u{1b}[31;1mx", "\u{1b}[31;1mx"),
            ("\u{1b}[2Jm\u{1b}[0m", "\\u001b[2Jm\u{1b}[0m"),
            ("\u{1b}]0;title\u{7}m", "\\u001b]0;title\\u0007m"),
            ("\u{1b}[?25hm", "\\u001b[?25hm"),
            ("größe\u{202e}m█m", "größe\\u202em█m"),
        ] {
            let mut written = Vec::new();
            Styled(&mut written).write_all(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }
}
