//! Grants one turn at a time.
//!
//! The client with the fewest turns comes first, then the one that came first.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Maximum number of clients whose turns are counted. The oldest is dropped.
const CLIENTS_MAX: usize = 4096;

/// Network bits of an IPv6 address.
const NETWORK: u128 = !0 << 64;

/// Order among the requests of one client; the smallest comes first.
pub(super) type Rank = (bool, u64);

/// A queue for turns. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

/// The permission to work. Dropping it grants the next turn.
pub(super) struct Turn(Turns);

#[derive(Default)]
struct Queue {
    is_taken: bool,
    /// At most one for each open request.
    waiting: Vec<Waiting>,
    had: Had,
}

struct Waiting {
    client: IpAddr,
    rank: Rank,
    sender: oneshot::Sender<Turn>,
}

/// The number of turns that each client had.
#[derive(Default)]
struct Had {
    counts: HashMap<IpAddr, u64>,
    order: VecDeque<IpAddr>,
}

impl Turns {
    /// Waits for a turn. Never returns `None` while a clone of the queue exists.
    pub(super) async fn wait(&self, client: IpAddr, rank: Rank) -> Option<Turn> {
        let (sender, receiver) = oneshot::channel();
        let client = network(client);
        {
            let mut queue = self.queue();
            queue.waiting.retain(|waiting| !waiting.sender.is_closed());
            queue.waiting.push(Waiting {
                client,
                rank,
                sender,
            });
        }
        self.hand_out();
        receiver.await.ok()
    }

    fn hand_out(&self) {
        let next = self.queue().next();
        if let Some(sender) = next {
            // If the receiver was just dropped, so is the turn, and the next one is granted.
            let _ = sender.send(Turn(self.clone()));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        if self.is_taken {
            return None;
        }
        self.waiting.retain(|waiting| !waiting.sender.is_closed());
        let all = self.waiting.iter().enumerate();
        let first = all.min_by_key(|(_, waiting)| (self.had.count(waiting.client), waiting.rank));
        let at = first.map(|(at, _)| at)?;
        let waiting = self.waiting.swap_remove(at);
        self.is_taken = true;
        self.had.add(waiting.client);
        Some(waiting.sender)
    }
}

impl Had {
    fn count(&self, client: IpAddr) -> u64 {
        self.counts.get(&client).copied().unwrap_or(0)
    }

    fn add(&mut self, client: IpAddr) {
        let count = self.counts.entry(client).or_insert(0);
        *count += 1;
        if *count > 1 {
            return;
        }
        self.order.push_back(client);
        if self.order.len() > CLIENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.queue().is_taken = false;
        self.0.hand_out();
    }
}

/// Returns the network of an address. A client with one IPv6 address usually controls its whole
/// network.
pub(super) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the order in which simultaneous requests get their turns.
    async fn order(turns: &Turns, waiting: &[(&'static str, &str, Rank)]) -> Vec<&'static str> {
        let got = Arc::new(Mutex::new(Vec::new()));
        let held = turns.wait("192.0.2.99".parse().unwrap(), (false, 0)).await;
        let mut tasks = Vec::new();
        for (name, client, rank) in waiting {
            let (turns, got) = (turns.clone(), Arc::clone(&got));
            let (client, rank, name) = (client.parse().unwrap(), *rank, *name);
            tasks.push(tokio::spawn(async move {
                let turn = turns.wait(client, rank).await;
                got.lock().unwrap().push(name);
                drop(turn);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        let got = got.lock().unwrap();
        got.clone()
    }

    #[tokio::test]
    async fn rank_orders_the_requests_of_one_client() {
        let client = "192.0.2.1";
        let waiting = [
            ("new", client, (true, 1)),
            ("late", client, (false, 3)),
            ("early", client, (false, 2)),
        ];
        let got = order(&Turns::default(), &waiting).await;
        assert_eq!(got, ["early", "late", "new"]);
    }

    #[tokio::test]
    async fn client_with_fewer_turns_goes_first() {
        let turns = Turns::default();
        let many = [
            ("first", "192.0.2.1", (false, 0)),
            ("second", "192.0.2.1", (false, 1)),
            ("third", "192.0.2.1", (false, 2)),
            ("scraper", "192.0.2.2", (true, 9)),
        ];
        let got = order(&turns, &many).await;
        assert_eq!(got, ["first", "scraper", "second", "third"]);
        // Another address of the same network counts as the same client.
        let networks = [
            ("one", "2001:db8::1", (false, 0)),
            ("other", "2001:db8::2", (false, 1)),
            ("far", "2001:db8:0:1::1", (true, 2)),
            ("mapped", "::ffff:192.0.2.2", (true, 3)),
        ];
        let got = order(&turns, &networks).await;
        assert_eq!(got, ["one", "far", "other", "mapped"]);
    }

    #[tokio::test]
    async fn canceled_request_is_skipped() {
        let turns = Turns::default();
        let client = "192.0.2.1".parse().unwrap();
        let held = turns.wait(client, (false, 0)).await;
        let gone = tokio::spawn({
            let turns = turns.clone();
            async move { turns.wait(client, (false, 0)).await }
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(held);
        assert!(turns.wait(client, (false, 0)).await.is_some());
    }

    #[test]
    fn counted_clients_are_limited() {
        let mut had = Had::default();
        for at in 0..CLIENTS_MAX + 10 {
            let address = u32::try_from(at).unwrap();
            had.add(std::net::Ipv4Addr::from_bits(address).into());
        }
        assert_eq!(
            (had.counts.len(), had.order.len()),
            (CLIENTS_MAX, CLIENTS_MAX)
        );
    }
}
