//! The option `shard`: the share of the targets that this process watches.

use super::context::Context;
use super::problem::{Invalid, Place};
use super::written_keys::WrittenKeys;

/// Maximum number of processes that share targets.
const MOST_SHARDS: u32 = 1000;

/// One of several processes that share targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The number of this process, from 0.
    pub index: u32,
    /// The number of processes.
    pub count: u32,
}

/// The option as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrittenShard {
    Number(Shard),
    /// The number is the ordinal of the host name, such as 2 of `exporter-2`.
    Ordinal {
        count: u32,
    },
}

/// Parses `1/3`, the first of three, or `ordinal/3`.
pub(crate) fn shard(text: &str) -> Result<WrittenShard, Invalid> {
    let invalid = || {
        Invalid::new(
            "is not a shard",
            "write its number and the number of all, such as 1/3, or ordinal/3 in a StatefulSet",
        )
    };
    let (number, count) = text.split_once('/').ok_or_else(invalid)?;
    let count: u32 = count.trim().parse().map_err(|_| invalid())?;
    if !(1..=MOST_SHARDS).contains(&count) {
        return Err(invalid());
    }
    if number.trim() == "ordinal" {
        return Ok(WrittenShard::Ordinal { count });
    }
    let number: u32 = number.trim().parse().map_err(|_| invalid())?;
    if !(1..=count).contains(&number) {
        return Err(Invalid::new(
            "has a number out of range",
            format!("count from 1 to {count}"),
        ));
    }
    let index = number - 1;
    Ok(WrittenShard::Number(Shard { index, count }))
}

/// Finds the ordinal of this host if the option requires it.
pub(crate) fn complete(
    shard: Option<WrittenShard>,
    written: &WrittenKeys,
    context: &mut Context<'_>,
) -> Option<Shard> {
    match shard? {
        WrittenShard::Number(shard) => Some(shard),
        WrittenShard::Ordinal { count } => {
            let host = (context.environment)("HOSTNAME").filter(|name| !name.is_empty());
            let index = ordinal(host.as_deref().unwrap_or_default());
            let index = index.filter(|index| *index < count);
            if index.is_none() {
                let place = written.place_of("shard").cloned();
                let place = place.unwrap_or_else(|| Place::option("shard"));
                let what = "needs a host name that ends in a number below the number of shards";
                let remedy = "set HOSTNAME, such as exporter-0, or write the number of the shard";
                context.report(&place, what, remedy);
            }
            Some(Shard {
                index: index?,
                count,
            })
        }
    }
}

/// Returns the ordinal at the end of the name of a pod of a `StatefulSet`.
fn ordinal(host: &str) -> Option<u32> {
    let host = host.split('.').next().unwrap_or(host);
    host.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_one() {
        let number = |index, count| Ok(WrittenShard::Number(Shard { index, count }));
        assert_eq!(shard("1/3"), number(0, 3));
        assert_eq!(shard("3/3"), number(2, 3));
        assert_eq!(shard("ordinal/3"), Ok(WrittenShard::Ordinal { count: 3 }));
        for text in [
            "", "1", "0/3", "4/3", "1/0", "-1/3", "1/1001", "a/3", "1/3/3",
        ] {
            assert!(shard(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ordinal_is_the_end_of_the_host_name() {
        for (host, expected) in [
            ("exporter-0", Some(0)),
            ("redis-exporter-12.svc.cluster.local", Some(12)),
            ("exporter", None),
            ("exporter-a1", None),
            ("", None),
        ] {
            assert_eq!(ordinal(host), expected, "{host}");
        }
    }
}
