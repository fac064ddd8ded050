//! Numbers of users, responses, clients and connections. Pure.
//!
//! They are proportional to the rate, so that the hit rate and the share of live connections are
//! the same at any rate.

/// Numbers of distinct things in the load.
#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Users that may have a session.
    pub users: u64,
    /// API responses that are requested repeatedly.
    pub popular_responses: u64,
    /// Client addresses.
    pub clients: u64,
    /// Open websocket connections.
    pub connections: u64,
}

/// Popular API responses for each operation per second. There are few enough that each is requested
/// often compared to its TTL.
const POPULAR_RESPONSES: f64 = 6.0;
/// Websocket connections for each operation per second. There are few enough that each heartbeat
/// comes before the shortest TTL ends.
const CONNECTIONS: f64 = 8.0;

impl Population {
    /// Creates the population for `rate` operations per second after seeding `keys` keys.
    pub fn new(rate: f64, keys: u64) -> Self {
        Self {
            users: crate::session::seeded(keys).max(20_000),
            popular_responses: at_least_one(rate * POPULAR_RESPONSES),
            clients: 50_000,
            connections: at_least_one(rate * CONNECTIONS),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the greatest rate is far below 2^52, and none is negative"
)]
fn at_least_one(number: f64) -> u64 {
    (number.ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_load_has_at_least_one_of_everything() {
        let population = Population::new(0.001, 0);
        assert_eq!(
            (population.popular_responses, population.connections),
            (1, 1)
        );
    }

    #[test]
    fn every_seeded_session_belongs_to_a_user() {
        assert_eq!(Population::new(500.0, 1_000_000).users, 450_000);
    }
}
