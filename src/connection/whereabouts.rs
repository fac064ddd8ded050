//! Remembers across connections where an address leads, and what was logged about it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::logged::LoggedRejections;
use super::moves::Moves;
use super::role::PrimarySearch;
use crate::config::Address;
use crate::query::Ticket;
use crate::reply::ErrorKind;

/// The memory of one user of an address: whether the host name still leads to the connected server, the
/// search for a primary to which it no longer leads, and the logged rejections. Pass the same value for
/// each connection that replaces another one. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Whereabouts(Arc<Mutex<AddressMemory>>);

#[derive(Debug, Default)]
struct AddressMemory {
    moves: Moves,
    search: PrimarySearch,
    logged: LoggedRejections,
}

impl Whereabouts {
    /// Returns whether the connected address no longer belongs to the name. Call it regularly: it starts
    /// lookups and processes their results.
    pub(super) fn has_moved(&self, address: &Address, peer: Option<SocketAddr>) -> bool {
        self.memory().moves.has_moved(address, peer)
    }

    /// Begins again with another connection, because the name has moved.
    pub(super) fn leave(&self) {
        self.memory().moves.leave();
    }

    /// Records whether the server is a primary. Returns whether another connection may lead to one.
    pub(super) fn observe(&self, is_primary: bool, now: Instant) -> bool {
        self.memory().search.observe(is_primary, now)
    }

    /// Records a rejected query. Returns whether it must be logged.
    pub(super) fn reject(&self, ticket: Ticket, kind: ErrorKind) -> bool {
        self.memory().logged.record(ticket, kind)
    }

    /// Records the queries that the server accepts.
    pub(super) fn accept(&self, accepted: impl Iterator<Item = Ticket>) {
        let logged = &mut self.memory().logged;
        // Nearly always.
        if logged.is_empty() {
            return;
        }
        accepted.for_each(|ticket| logged.accept(ticket));
    }

    fn memory(&self) -> MutexGuard<'_, AddressMemory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
