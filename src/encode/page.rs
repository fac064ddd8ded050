//! A finished page, compressed if its readers want that. Pure.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::openmetrics;
use super::{Form, Format, Labeled, SharedLabels, encode_in_parts, expected_bytes};
use crate::metric::Names;

/// Bytes of text that are compressed at a time. No compressed page keeps more of its text.
const PART_BYTES: usize = 32 << 10;

/// Logarithm of the compressor's window. Each time it is full, zlib-rs adjusts its whole hash table,
/// so a small window takes longer.
const WINDOW_BITS: u8 = 15;

/// A page ready to be served.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The exposition text, or what it is compressed to.
    pub body: Bytes,
    /// Whether it is compressed with gzip.
    pub is_compressed: bool,
}

/// Writes a page, and compresses its parts as they are written.
#[derive(Debug)]
pub struct PageWriter {
    format: Format,
    /// The text so far, or the part that is not compressed yet.
    text: Vec<u8>,
    gzip: Option<Gzip>,
}

impl PageWriter {
    /// Starts a page in this form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self {
            format: form.format,
            text: Vec::new(),
            gzip: form.is_compressed.then(Gzip::new),
        }
    }

    /// Adds snapshots that share no family with those before.
    pub fn add<'a, Labels>(&mut self, snapshots: &[Labeled<'a, Labels>], names: &Names)
    where
        Labels: Copy + Into<SharedLabels<'a>>,
    {
        self.text.reserve(match self.gzip {
            Some(_) => PART_BYTES + PART_BYTES / 8,
            None => expected_bytes(snapshots),
        });
        let gzip = &mut self.gzip;
        encode_in_parts(snapshots, names, self.format, &mut self.text, |text| {
            if text.len() >= PART_BYTES {
                compress(gzip, text);
            }
        });
    }

    /// Returns the end of the text, for lines that are not in a snapshot.
    pub const fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Ends the page.
    #[must_use]
    pub fn finish(mut self) -> Page {
        if self.format == Format::OpenMetrics {
            openmetrics::end(&mut self.text);
        }
        compress(&mut self.gzip, &mut self.text);
        let is_compressed = self.gzip.is_some();
        let mut body = self.gzip.map_or(self.text, Gzip::finish);
        // A page is kept until the next one; so would be its spare capacity.
        body.shrink_to_fit();
        Page {
            body: body.into(),
            is_compressed,
        }
    }
}

/// Compresses a text with gzip.
#[must_use]
pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = Gzip::new();
    gzip.write(text, FlushCompress::None);
    let mut packed = gzip.finish();
    packed.shrink_to_fit();
    packed
}

/// Moves the text into the compressor, if there is one.
fn compress(gzip: &mut Option<Gzip>, text: &mut Vec<u8>) {
    if let Some(gzip) = gzip {
        gzip.write(text, FlushCompress::None);
        text.clear();
    }
}

/// A compressor with its output so far.
#[derive(Debug)]
struct Gzip {
    compressor: Compress,
    output: Vec<u8>,
}

impl Gzip {
    fn new() -> Self {
        // Exposition text shrinks by about 90%. Level 1 costs a sixth of level 6 and compresses
        // nearly as well.
        let level = Compression::fast();
        Self {
            compressor: Compress::new_gzip(level, WINDOW_BITS),
            output: Vec::new(),
        }
    }

    fn write(&mut self, text: &[u8], flush: FlushCompress) {
        let mut rest = text;
        loop {
            self.output.reserve(PART_BYTES / 8);
            let before = self.compressor.total_in();
            let compressed = self.compressor.compress_vec(rest, &mut self.output, flush);
            let read = self.compressor.total_in() - before;
            rest = usize::try_from(read)
                .ok()
                .and_then(|read| rest.get(read..))
                .unwrap_or_default();
            let has_room = self.output.len() < self.output.capacity();
            match compressed {
                Ok(Status::Ok | Status::BufError) if !rest.is_empty() || !has_room => {}
                Ok(Status::Ok) if matches!(flush, FlushCompress::Finish) => {}
                // The end. Compressing to memory cannot fail, and a broken page would be noticed.
                _ => return,
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.write(&[], FlushCompress::Finish);
        self.output
    }
}
