//! A finished page, compressed if its readers want that. Pure.

use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// A page ready to be served.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The exposition text, or what it is compressed to.
    pub body: Bytes,
    /// Whether it is compressed with gzip.
    pub is_compressed: bool,
}

impl Page {
    /// Makes a page of a text, compressed once for all scrapes or not at all.
    #[must_use]
    pub fn new(text: Vec<u8>, is_compressed: bool) -> Self {
        let mut body = if is_compressed { gzip(&text) } else { text };
        // A page is kept until the next one; so would be its spare capacity.
        body.shrink_to_fit();
        Self {
            body: body.into(),
            is_compressed,
        }
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    // Exposition text shrinks by about 90 %. Level 1 costs a sixth of level 6 and compresses nearly
    // as well.
    let room = Vec::with_capacity(text.len() / 6);
    let mut encoder = GzEncoder::new(room, Compression::fast());
    // Writing to memory cannot fail, and an empty body would be noticed.
    let written = encoder.write_all(text);
    written.and_then(|()| encoder.finish()).unwrap_or_default()
}
