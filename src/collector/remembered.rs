//! What polls of one target leave for the next one. It knows nothing of what that is. Pure.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a collector wants to remember until the next poll.
#[derive(Clone, Debug)]
pub struct Memo(TypeId, Arc<dyn Any + Send + Sync>);

impl Memo {
    /// Wraps a value. Each collector has a type of its own, by which it finds the value again.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(TypeId::of::<T>(), Arc::new(value))
    }
}

/// The memos of earlier polls, one of each type.
#[derive(Clone, Debug, Default)]
pub struct Remembered(HashMap<TypeId, Memo>);

impl Remembered {
    /// Records a memo instead of the one before.
    pub fn record(&mut self, memo: Memo) {
        self.0.insert(memo.0, memo);
    }

    /// Returns whether nothing was ever remembered: no poll has succeeded yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns what was remembered.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>())?.1.downcast_ref()
    }
}

impl FromIterator<Memo> for Remembered {
    fn from_iter<I: IntoIterator<Item = Memo>>(memos: I) -> Self {
        Self(memos.into_iter().map(|memo| (memo.0, memo)).collect())
    }
}
