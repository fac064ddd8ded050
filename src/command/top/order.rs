//! The order of targets and namespaces, and the filter by name. Pure.

use std::cmp::Ordering;

use super::received::{ListedTarget, ReportedNamespace};

/// The order of the targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetOrder {
    /// The order of the exporter: the worst first.
    #[default]
    Problems,
    /// By share of the memory limit, then by memory.
    Memory,
    /// By commands per second.
    Commands,
    /// By hit ratio, the lowest first.
    HitRatio,
    /// By evictions per second.
    Evictions,
    /// By name.
    Name,
}

impl TargetOrder {
    /// Returns the name of the order.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Problems => "problems",
            Self::Memory => "memory",
            Self::Commands => "ops/s",
            Self::HitRatio => "hit ratio",
            Self::Evictions => "evictions",
            Self::Name => "name",
        }
    }

    /// Returns the order that follows when the user changes it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Problems => Self::Memory,
            Self::Memory => Self::Commands,
            Self::Commands => Self::HitRatio,
            Self::HitRatio => Self::Evictions,
            Self::Evictions => Self::Name,
            Self::Name => Self::Problems,
        }
    }
}

/// The order of the namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceOrder {
    /// By memory.
    #[default]
    Memory,
    /// By keys evicted per second, and then by those since the exporter started.
    Evictions,
    /// By keys.
    Keys,
    /// By keys without a TTL.
    WithoutTtl,
    /// By name.
    Name,
}

impl NamespaceOrder {
    /// Returns the name of the order.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Evictions => "evictions",
            Self::Keys => "keys",
            Self::WithoutTtl => "keys without a TTL",
            Self::Name => "name",
        }
    }

    /// Returns the order that follows when the user changes it.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Memory => Self::Evictions,
            Self::Evictions => Self::Keys,
            Self::Keys => Self::WithoutTtl,
            Self::WithoutTtl => Self::Name,
            Self::Name => Self::Memory,
        }
    }
}

/// Compares numbers, the largest first and unknown ones last.
fn largest(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => other.total_cmp(&one),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

/// Compares numbers, the smallest first and unknown ones last.
fn smallest(one: Option<f64>, other: Option<f64>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        (one, other) => largest(one, other),
    }
}

/// Returns the targets whose name or address contains the filter, in order.
#[must_use]
pub fn targets<'a>(
    all: &'a [ListedTarget],
    filter: &str,
    order: TargetOrder,
) -> Vec<&'a ListedTarget> {
    let filter = filter.trim().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&filter);
    let matching = all
        .iter()
        .filter(|target| filter.is_empty() || has(&target.name) || has(&target.address));
    let mut shown: Vec<&ListedTarget> = matching.collect();
    // A stable sort keeps the order of the exporter among equals.
    shown.sort_by(|one, other| match order {
        TargetOrder::Problems => Ordering::Equal,
        TargetOrder::Memory => largest(one.memory.ratio, other.memory.ratio)
            .then(largest(one.memory.used, other.memory.used)),
        TargetOrder::Commands => largest(one.commands_per_second, other.commands_per_second),
        TargetOrder::HitRatio => smallest(one.hit_ratio, other.hit_ratio),
        TargetOrder::Evictions => largest(one.evictions_per_second, other.evictions_per_second),
        TargetOrder::Name => one.name.cmp(&other.name),
    });
    shown
}

/// Returns the namespaces in order.
#[must_use]
pub fn namespaces(all: &[ReportedNamespace], order: NamespaceOrder) -> Vec<&ReportedNamespace> {
    let mut shown: Vec<&ReportedNamespace> = all.iter().collect();
    shown.sort_by(|one, other| match order {
        NamespaceOrder::Memory => largest(one.memory_bytes, other.memory_bytes),
        NamespaceOrder::Evictions => largest(one.evictions_per_second, other.evictions_per_second)
            .then(largest(one.evicted_keys, other.evicted_keys)),
        NamespaceOrder::Keys => largest(one.keys, other.keys),
        NamespaceOrder::WithoutTtl => largest(one.keys_without_ttl, other.keys_without_ttl),
        NamespaceOrder::Name => (&one.name, &one.db).cmp(&(&other.name, &other.db)),
    });
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, hit_ratio: Option<f64>, evictions: Option<f64>) -> ListedTarget {
        ListedTarget {
            name: name.to_owned(),
            address: format!("redis://{name}.example:6379"),
            hit_ratio,
            evictions_per_second: evictions,
            ..ListedTarget::default()
        }
    }

    fn names(all: &[ListedTarget], filter: &str, order: TargetOrder) -> Vec<String> {
        let found = targets(all, filter, order).into_iter();
        found.map(|target| target.name.clone()).collect()
    }

    #[test]
    fn unknown_numbers_come_last() {
        let all = [
            target("c", None, None),
            target("b", Some(0.9), Some(5.0)),
            target("a", Some(0.2), Some(0.0)),
        ];
        for (order, expected) in [
            (TargetOrder::Problems, ["c", "b", "a"]),
            (TargetOrder::HitRatio, ["a", "b", "c"]),
            (TargetOrder::Evictions, ["b", "a", "c"]),
            (TargetOrder::Name, ["a", "b", "c"]),
            // All are unknown.
            (TargetOrder::Memory, ["c", "b", "a"]),
        ] {
            assert_eq!(names(&all, "", order), expected, "{order:?}");
        }
    }

    #[test]
    fn filter_finds_names_and_addresses_in_any_case() {
        let all = [target("Cache", None, None), target("queue", None, None)];
        let order = TargetOrder::Name;
        assert_eq!(names(&all, " CACHE", order), ["Cache"]);
        assert_eq!(names(&all, "example", order), ["Cache", "queue"]);
        assert_eq!(names(&all, "none", order), [""; 0]);
    }

    #[test]
    fn every_order_is_reached_by_the_same_key() {
        let mut order = TargetOrder::default();
        let names: Vec<&str> = (0..6)
            .map(|_| {
                order = order.next();
                order.name()
            })
            .collect();
        let expected = [
            "memory",
            "ops/s",
            "hit ratio",
            "evictions",
            "name",
            "problems",
        ];
        assert_eq!(names, expected);
        let mut order = NamespaceOrder::default();
        let names: Vec<&str> = (0..5)
            .map(|_| {
                order = order.next();
                order.name()
            })
            .collect();
        let expected = ["evictions", "keys", "keys without a TTL", "name", "memory"];
        assert_eq!(names, expected);
    }

    #[test]
    fn namespaces_are_sorted_by_the_chosen_number() {
        let namespace = |name: &str, memory: f64, evicted| ReportedNamespace {
            name: name.to_owned(),
            memory_bytes: Some(memory),
            evicted_keys: evicted,
            ..ReportedNamespace::default()
        };
        let all = [
            namespace("a", 1.0, Some(7.0)),
            namespace("b", 3.0, None),
            namespace("c", 2.0, Some(9.0)),
        ];
        let names = |order| {
            let found = namespaces(&all, order).into_iter();
            found.map(|one| one.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(NamespaceOrder::Memory), ["b", "c", "a"]);
        assert_eq!(names(NamespaceOrder::Evictions), ["c", "a", "b"]);
        let mut now = all.clone();
        now[0].evictions_per_second = Some(2.0);
        let sorted = namespaces(&now, NamespaceOrder::Evictions);
        assert_eq!(sorted[0].name, "a");
    }
}
