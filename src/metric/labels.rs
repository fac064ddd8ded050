//! The label values of the samples of a snapshot, in little memory. Pure.

/// The label values of one sample, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LabelValues<'a> {
    lengths: &'a [u16],
    text: &'a str,
}

impl<'a> LabelValues<'a> {
    /// Returns the number of values.
    pub(super) const fn len(self) -> usize {
        self.lengths.len()
    }

    /// Yields the values, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.text;
        self.lengths.iter().map(move |length| {
            let split = rest.split_at_checked(usize::from(*length));
            let (value, later) = split.unwrap_or((rest, ""));
            rest = later;
            value
        })
    }
}

/// Lists of label values. The samples of a family have one, which other families may share: most
/// labels of a server are the names of its commands, and several families have a sample for each.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelLists {
    /// The start of each list. It ends where the next one starts.
    starts: Vec<LabelPlace>,
    /// The lengths of all values in `text`.
    lengths: Vec<u16>,
    text: String,
}

/// The place of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LabelPlace {
    value: u32,
    byte: u32,
}

impl LabelLists {
    /// Returns empty lists with room for all values of other ones.
    pub(super) fn with_room_for(others: &Self) -> Self {
        Self {
            starts: Vec::with_capacity(others.starts.len()),
            lengths: Vec::with_capacity(others.lengths.len()),
            text: String::with_capacity(others.text.len()),
        }
    }

    /// Starts a list. Returns its number.
    pub(super) fn start(&mut self) -> u32 {
        self.starts.push(LabelPlace {
            value: small(self.lengths.len()),
            byte: small(self.text.len()),
        });
        small(self.starts.len() - 1)
    }

    /// Adds a value to the last list.
    pub(super) fn push(&mut self, value: &str) {
        self.text.push_str(value);
        // Values are cut, so none is longer.
        self.lengths
            .push(u16::try_from(value.len()).unwrap_or(u16::MAX));
    }

    /// Adds the values of a sample to the last list.
    pub(super) fn extend(&mut self, values: LabelValues<'_>) {
        self.text.push_str(values.text);
        self.lengths.extend_from_slice(values.lengths);
    }

    /// Removes the last list if it equals an earlier one. Returns the number of that, or of the last
    /// list.
    pub(super) fn share_last(&mut self) -> u32 {
        let last = small(self.starts.len().saturating_sub(1));
        let same = (0..last).find(|list| self.list(*list) == self.list(last));
        let Some(same) = same else { return last };
        if let Some(start) = self.starts.pop() {
            self.lengths.truncate(start.value as usize);
            self.text.truncate(start.byte as usize);
        }
        same
    }

    fn list(&self, list: u32) -> Option<LabelValues<'_>> {
        let start = self.starts.get(list as usize)?;
        let next = self.starts.get(list as usize + 1);
        let end = next.map_or(self.lengths.len(), |next| next.value as usize);
        let lengths = self.lengths.get(start.value as usize..end)?;
        self.values(*start, lengths)
    }

    /// Returns the place of the first value of a list.
    pub(super) fn place(&self, list: u32) -> LabelPlace {
        self.starts.get(list as usize).copied().unwrap_or_default()
    }

    /// Returns this many values from a place, and moves the place behind them.
    pub(super) fn take(&self, place: &mut LabelPlace, count: u8) -> Option<LabelValues<'_>> {
        let start = place.value as usize;
        let lengths = self.lengths.get(start..start + usize::from(count))?;
        let values = self.values(*place, lengths)?;
        place.value += u32::from(count);
        place.byte += small(values.text.len());
        Some(values)
    }

    fn values<'a>(&'a self, place: LabelPlace, lengths: &'a [u16]) -> Option<LabelValues<'a>> {
        let bytes: usize = lengths.iter().copied().map(usize::from).sum();
        let start = place.byte as usize;
        let text = self.text.get(start..start + bytes)?;
        Some(LabelValues { lengths, text })
    }

    /// Drops spare capacity.
    pub(super) fn shrink_to_fit(&mut self) {
        self.starts.shrink_to_fit();
        self.lengths.shrink_to_fit();
        self.text.shrink_to_fit();
    }
}

/// Returns a place in a snapshot, whose labels have at most a few hundred megabytes.
fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(lists: &mut LabelLists, values: &[&str]) -> u32 {
        lists.start();
        for value in values {
            lists.push(value);
        }
        lists.share_last()
    }

    fn read(lists: &LabelLists, list: u32, count: u8) -> Vec<&str> {
        let values = lists.take(&mut lists.place(list), count);
        values.map_or_else(Vec::new, |values| values.iter().collect())
    }

    #[test]
    fn equal_lists_are_shared() {
        let mut lists = LabelLists::default();
        let calls = add(&mut lists, &["get", "set"]);
        let other = add(&mut lists, &["ge", "tset"]);
        let times = add(&mut lists, &["get", "set"]);
        let later = add(&mut lists, &["db0"]);
        assert_eq!([calls, other, times, later], [0, 1, 0, 2]);
        assert_eq!(read(&lists, times, 2), ["get", "set"]);
        assert_eq!(read(&lists, other, 2), ["ge", "tset"]);
        assert_eq!(read(&lists, later, 1), ["db0"]);
        assert_eq!(lists.text, "getsetgetsetdb0");
    }
}
