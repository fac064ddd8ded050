//! How many slots of a cluster are shown. Not which: that is the server's order.

use super::section::{Context, Section};
use super::sweep::whole;

/// The keys of the `slots` section.
pub(crate) const KEYS: &[&str] = &["top"];

/// How many slots of a node are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// The slots with the most keys, and as many with the most of each other statistic.
    pub top: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Self { top: 10 }
    }
}

/// Reads the `slots` section below a map.
pub(crate) fn read(parent: &Section<'_>, context: &mut Context<'_>) -> Option<Slots> {
    let section = parent.section("slots", KEYS, context)?;
    let top = section.value("top", |text| whole(text, 1, 100), context);
    let default = Slots::default().top;
    Some(Slots {
        top: top.ok()?.map_or(default, |placed| placed.value),
    })
}
