//! Finds the fields of INFO by name. Pure.

/// A hash table of positions in a list: one more than the position, or 0 if a place is free. Names of
/// fields are few and come from the server, so a simple hash is enough.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(Vec<u32>);

impl Index {
    /// Builds the table of a list of names.
    pub(super) fn new<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let mut index = Self(vec![0; (2 * names.len()).next_power_of_two()]);
        for (at, name) in names.enumerate() {
            let free = index.places(name).find(|(_, stored)| *stored == 0);
            let place = free.and_then(|(place, _)| index.0.get_mut(place));
            if let (Some(place), Ok(at)) = (place, u32::try_from(at + 1)) {
                *place = at;
            }
        }
        index
    }

    /// Yields positions whose names may be this one, in order.
    pub(super) fn candidates(&self, name: &str) -> impl Iterator<Item = usize> {
        let stored = self.places(name).map(|(_, stored)| stored as usize);
        stored.map_while(|stored| stored.checked_sub(1))
    }

    fn places(&self, name: &str) -> impl Iterator<Item = (usize, u32)> + use<'_> {
        let hash = name.bytes().fold(0_usize, |hash, byte| {
            (hash ^ usize::from(byte)).wrapping_mul(0x0100_0193)
        });
        // A power of two, or 0 if there are no names.
        let mask = self.0.len().wrapping_sub(1);
        (0..self.0.len()).filter_map(move |step| {
            let place = hash.wrapping_add(step) & mask;
            Some((place, *self.0.get(place)?))
        })
    }
}
