//! Decompresses a page piece by piece, so that its text is never in memory as a whole. Pure.

use std::io;

use flate2::{Decompress, FlushDecompress};

/// Logarithm of the largest window that a compressed page can have.
const WINDOW_BITS: u8 = 15;

/// Bytes at the end of a gzip stream that hold the length of its text.
const LENGTH_BYTES: usize = 4;

/// Returns the length of the text of a compressed page, in bytes. Exact up to 4 GiB.
pub(super) fn text_len(page: &[u8]) -> usize {
    let length = page.last_chunk::<LENGTH_BYTES>();
    length.map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

/// The state of a page that is being decompressed.
#[derive(Debug)]
pub(super) struct Unpacking {
    decompressor: Decompress,
    /// Number of compressed bytes that were read.
    read: usize,
}

impl Unpacking {
    pub(super) fn new() -> Self {
        Self {
            decompressor: Decompress::new_gzip(WINDOW_BITS),
            read: 0,
        }
    }

    /// Returns the next text of the page, at most `most` bytes; empty at its end.
    ///
    /// # Errors
    ///
    /// The page is not compressed with gzip.
    pub(super) fn next(&mut self, page: &[u8], most: usize) -> io::Result<Vec<u8>> {
        let mut text = Vec::with_capacity(most);
        let rest = page.get(self.read..).unwrap_or_default();
        let before = self.decompressor.total_in();
        self.decompressor
            .decompress_vec(rest, &mut text, FlushDecompress::None)?;
        let read = self.decompressor.total_in() - before;
        self.read = self
            .read
            .saturating_add(usize::try_from(read).unwrap_or(usize::MAX));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn text_is_unpacked_in_pieces_of_at_most_this_size() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let page = packed(&text);
        assert_eq!(text_len(&page), text.len());
        let mut unpacking = Unpacking::new();
        let mut found = Vec::new();
        while found.len() < text.len() {
            let piece = unpacking.next(&page, 1_000).unwrap();
            assert!((1..=1_000).contains(&piece.len()), "{}", piece.len());
            found.extend(piece);
        }
        assert_eq!(found, text);
        assert_eq!(unpacking.next(&page, 1_000).unwrap(), b"");
    }

    #[test]
    fn what_is_not_compressed_is_an_error() {
        assert!(Unpacking::new().next(b"redis_up 1\n", 100).is_err());
        assert_eq!(text_len(b"a"), 0);
    }
}
