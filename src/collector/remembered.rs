//! State that polls of one target pass on to the next poll, of any type. Pure.

use std::any::{Any, TypeId};
use std::sync::Arc;

/// A value that a collector remembers until the next poll.
#[derive(Clone, Debug)]
pub struct Memo(TypeId, Arc<dyn Any + Send + Sync>);

impl Memo {
    /// Wraps a value. Each collector uses a type of its own, which is the key to find the value
    /// again.
    pub fn new<T: Any + Send + Sync>(value: T) -> Self {
        Self(TypeId::of::<T>(), Arc::new(value))
    }
}

/// The memos of earlier polls, at most one of each type. There are only a few.
#[derive(Clone, Debug, Default)]
pub struct Remembered(Vec<Memo>);

impl Remembered {
    /// Records a memo. Replaces the previous one of its type.
    pub fn record(&mut self, memo: Memo) {
        match self.0.iter_mut().find(|known| known.0 == memo.0) {
            Some(known) => *known = memo,
            None => self.0.push(memo),
        }
    }

    /// Returns whether nothing was remembered yet, because no poll has succeeded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the remembered value of a type.
    #[must_use]
    pub fn get<T: Any>(&self) -> Option<&T> {
        let mut memos = self.0.iter();
        let memo = memos.find(|memo| memo.0 == TypeId::of::<T>());
        memo?.1.downcast_ref()
    }
}

impl FromIterator<Memo> for Remembered {
    fn from_iter<I: IntoIterator<Item = Memo>>(memos: I) -> Self {
        let mut remembered = Self::default();
        for memo in memos {
            remembered.record(memo);
        }
        remembered
    }
}
