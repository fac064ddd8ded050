//! Makes the lines of replies plain ASCII while they pass; what stands between lines, the bytes of
//! strings, stays as it is. The redis crate gives a connection up for one error text that is not
//! UTF-8, and scripts can raise such errors.

/// Where in the replies the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    #[default]
    Start,
    /// In a line that is no length of a string.
    Line,
    /// In the length of a string; the length as far as it was read, none where it is negative.
    Length(Option<u64>),
    /// In a string with the line end after it; how many bytes are left.
    String(u64),
}

/// Follows the replies of one connection, from its first byte on.
#[derive(Debug, Default)]
pub struct PlainLines(Place);

impl PlainLines {
    /// Makes the next bytes plain.
    pub fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            bytes = match self.0 {
                Place::String(left) => self.skip(left, bytes),
                Place::Start | Place::Line | Place::Length(_) => self.step(bytes),
            };
        }
    }

    fn skip<'a>(&mut self, left: u64, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let skipped = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let left = left.saturating_sub(skipped as u64);
        self.0 = if left == 0 {
            Place::Start
        } else {
            Place::String(left)
        };
        bytes.split_at_mut(skipped).1
    }

    fn step<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let Some((byte, rest)) = bytes.split_first_mut() else {
            return &mut [];
        };
        if !byte.is_ascii() {
            *byte = b'?';
        }
        self.0 = match (self.0, *byte) {
            (Place::Length(Some(length)), b'\n') => Place::String(length.saturating_add(2)),
            (_, b'\n') => Place::Start,
            (Place::Start, b'$') => Place::Length(Some(0)),
            (Place::Start, _) => Place::Line,
            (Place::Length(Some(length)), digit @ b'0'..=b'9') => {
                let digit = u64::from(digit - b'0');
                Place::Length(Some(length.saturating_mul(10).saturating_add(digit)))
            }
            (Place::Length(_), b'-') => Place::Length(None),
            (place, _) => place,
        };
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPLIES: &[u8] =
        b"-ERR \xff\r\n$4\r\n\xff\r\n-\r\n$-1\r\n*2\r\n+\xc3\xa9\r\n$0\r\n\r\n:1\r\n-\xff\r\n";
    const PLAIN: &[u8] = b"-ERR ?\r\n$4\r\n\xff\r\n-\r\n$-1\r\n*2\r\n+??\r\n$0\r\n\r\n:1\r\n-?\r\n";

    proptest! {
        #[test]
        fn lines_become_plain_and_strings_stay_however_the_bytes_arrive(
            ends in proptest::collection::vec(0..REPLIES.len(), 0..8),
        ) {
            let mut ends = ends;
            ends.sort_unstable();
            let mut bytes = REPLIES.to_vec();
            let mut lines = PlainLines::default();
            let mut from = 0;
            for end in ends.into_iter().chain([REPLIES.len()]) {
                lines.pass(&mut bytes[from..end]);
                from = end;
            }
            prop_assert_eq!(bytes, PLAIN);
        }

        #[test]
        fn any_bytes_pass_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut passed = bytes.clone();
            PlainLines::default().pass(&mut passed);
            prop_assert_eq!(passed.len(), bytes.len());
        }
    }
}
