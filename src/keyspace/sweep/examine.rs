//! Sends each query of a sweep once, to find out what the server rejects and what a pass costs.

use std::sync::Arc;

use super::key_reader::{KEYS_PER_PIPELINE, KeyReader, WantedKey};
use super::load;
use super::vitals::Scope;
use crate::config::Target;
use crate::connection::{Spacing, Whereabouts};
use crate::failure::Failure;
use crate::keyspace::cost::{Costs, SweepQuery};
use crate::keyspace::idle::Policy;
use crate::keyspace::pace::Forecast;
use crate::keyspace::segment::has_table_per_slot;
use crate::reply::Refusal;

/// The expected refusals and cost of a sweep.
#[derive(Debug, Default)]
pub struct Examined {
    /// Queries that the server rejects.
    pub refused: Vec<(SweepQuery, Refusal)>,
    /// Reason why no random keys of a cluster node can be drawn.
    pub random_keys: Option<Refusal>,
    /// Expected cost of a pass if this is the only sweep; `None` if there is nothing to sweep.
    pub forecast: Option<Forecast>,
}

/// Sends each query of a sweep. Returns what the server rejects and the expected cost of a pass.
///
/// It causes three lookups of a key, two without idle times: only MEMORY USAGE, which the server does not count, is sent for
/// several keys.
///
/// # Errors
///
/// The dial failed, or the server refused INFO or SCAN.
pub async fn examine(target: &Target) -> Result<Examined, Failure> {
    let mut reader = KeyReader::open(
        target,
        &Whereabouts::default(),
        Arc::new(|_| ()),
        Arc::default(),
    )
    .await?;
    if !reader.server().holds_keys() {
        return Ok(Examined::default());
    }
    let vitals = reader.vitals(Scope::WHOLE).await?;
    let (_, keys) = reader.scan(0, target.sweep.count).await?;
    let some = keys.iter().take(KEYS_PER_PIPELINE).enumerate();
    let wanted = some.map(|(at, key)| WantedKey {
        key,
        memory: true,
        expiry: at == 0,
        data_type: at == 0,
    });
    let wanted: Vec<_> = wanted.collect();
    reader.details(&wanted, None, Spacing::NONE).await?;
    let tracks_use = vitals.idle.is_primary && vitals.idle.policy.is_some_and(Policy::tracks_use);
    if target.sweep.idle && target.sweep.from.is_none() && tracks_use {
        let first = keys.get(..1).unwrap_or_default();
        reader.idle_times(first, false).await?;
    }
    let random_keys = if has_table_per_slot(reader.server()) {
        reader.random_keys(1).await?.err()
    } else {
        None
    };
    let sweep = &target.sweep;
    let others = reader.others_since(&vitals, sweep).await?;
    let costs = Costs::default();
    let forecast = load::forecast(sweep, &costs, &vitals, reader.server(), others, 1);
    Ok(Examined {
        random_keys,
        refused: reader.refused(),
        forecast: Some(forecast),
    })
}
