//! Limits the total memory of the replies of all targets.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Memory that the replies of one connection may always use. An ordinary poll uses less.
const OWN_BYTES: usize = 512 << 10;

/// Memory that all connections together may use beyond that.
const SHARED_BYTES: usize = 48 << 20;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The memory of one connection's replies. Dropping it releases the memory.
#[derive(Debug, Default)]
pub struct MemoryShare {
    held: usize,
    taken: usize,
}

impl MemoryShare {
    /// Returns the memory that the replies use.
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Records that the replies use `bytes`. Returns false if there is no room; the replies must
    /// then use less.
    pub fn set(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(OWN_BYTES);
        if wanted > self.taken {
            let more = wanted - self.taken;
            let take = |taken: usize| Some(taken + more).filter(|taken| *taken <= SHARED_BYTES);
            if TAKEN
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_err()
            {
                return false;
            }
        } else if wanted < self.taken {
            TAKEN.fetch_sub(self.taken - wanted, Ordering::Relaxed);
        }
        (self.held, self.taken) = (bytes, wanted);
        true
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_is_limited_and_reusable() {
        // Other tests of this process may use some of it.
        let most = SHARED_BYTES / 2;
        let mut first = MemoryShare::default();
        assert!(first.set(OWN_BYTES + most));
        let mut second = MemoryShare::default();
        assert!(second.set(OWN_BYTES));
        assert!(!second.set(OWN_BYTES + most + 1));
        assert_eq!(second.held(), OWN_BYTES);
        drop(first);
        assert!(second.set(OWN_BYTES + most + 1));
        second.set(0);
        assert!(MemoryShare::default().set(OWN_BYTES + most));
    }
}
