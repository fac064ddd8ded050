//! Remembers which rejected queries were logged. Pure.

use std::collections::VecDeque;

use crate::query::Ticket;
use crate::reply::ErrorKind;

/// Maximum number of rejections to remember. The oldest are forgotten, and may be logged again.
const LOGGED_MAX: usize = 256;

/// The rejections that were logged. A failed poll ends its connection, so they outlast connections:
/// otherwise each connection would log them again.
#[derive(Debug, Default)]
pub(super) struct LoggedRejections(VecDeque<(Ticket, ErrorKind)>);

impl LoggedRejections {
    /// Records a rejection. Returns whether it must be logged: the server has accepted the query
    /// since the last one, or rejected it for another reason.
    pub(super) fn record(&mut self, ticket: Ticket, kind: ErrorKind) -> bool {
        let (is_alone, permission) = (ticket.query.is_alone(), ticket.query.permission);
        let mut known = self.0.iter_mut();
        let same = known.find(|(logged, _)| {
            if is_alone {
                *logged == ticket
            } else {
                !logged.query.is_alone() && logged.query.permission == permission
            }
        });
        if let Some((_, logged)) = same {
            return std::mem::replace(logged, kind) != kind;
        }
        if self.0.len() >= LOGGED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((ticket, kind));
        true
    }

    /// Records that the server accepts a query.
    pub(super) fn accept(&mut self, ticket: Ticket) {
        self.0.retain(|(logged, _)| {
            logged.query != ticket.query || (ticket.query.is_alone() && *logged != ticket)
        });
    }

    /// Returns whether nothing was logged.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    static GET: Query = Query::new(&[&["GET"]], "+get");
    static SAME: Query = Query::new(&[&["GETEX"]], "+get");
    static SCRIPT: Query = Query::new(&[&["EVALSHA"]], "+evalsha").alone();

    #[test]
    fn rejection_is_logged_again_after_a_change() {
        let mut logged = LoggedRejections::default();
        let get = Ticket::from(&GET);
        assert!(logged.record(get, ErrorKind::Permission));
        assert!(!logged.record(get, ErrorKind::Permission));
        assert!(!logged.record((&SAME).into(), ErrorKind::Permission));
        assert!(logged.record(get, ErrorKind::UnknownCommand));
        logged.accept((&SAME).into());
        assert!(!logged.record(get, ErrorKind::UnknownCommand));
        logged.accept(get);
        assert!(logged.is_empty());
        assert!(logged.record(get, ErrorKind::UnknownCommand));
    }

    #[test]
    fn each_script_is_logged_up_to_a_limit() {
        let mut logged = LoggedRejections::default();
        for at in 0..2 * LOGGED_MAX {
            assert!(logged.record(SCRIPT.ticket(at), ErrorKind::Permission));
        }
        assert!(!logged.record(SCRIPT.ticket(2 * LOGGED_MAX - 1), ErrorKind::Permission));
        assert_eq!(logged.0.len(), LOGGED_MAX);
        logged.accept(SCRIPT.ticket(2 * LOGGED_MAX - 2));
        assert_eq!(logged.0.len(), LOGGED_MAX - 1);
    }
}
