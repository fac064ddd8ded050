//! Reads numbers from the snapshots of a target by the names of their families. Pure.

use crate::history::LastHour;
use crate::metric::{Histogram, Sample, SampleValue, Snapshot};
use crate::publish::Publication;

/// Everything that is known about a target at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The name.
    pub name: &'a str,
    /// The address, without credentials.
    pub address: &'a str,
    /// The last poll; `None` before the first.
    pub poll: Option<&'a Publication>,
    /// The results of the sweep; `None` before the first.
    pub namespaces: Option<&'a Snapshot>,
    /// The last hour.
    pub history: &'a LastHour,
    /// The current time, in seconds since the epoch.
    pub now: f64,
}

impl<'a> Seen<'a> {
    /// Returns the samples of the last successful poll.
    pub(super) fn samples_of_poll(&self) -> Option<&'a Snapshot> {
        let poll = self.poll.filter(|poll| poll.failure.is_none());
        poll.map(|poll| &poll.snapshot)
    }

    /// Returns the samples of the sweep. While polls fail, they are old and left out.
    pub(super) fn samples_of_sweep(&self) -> Option<&'a Snapshot> {
        let is_up = self.samples_of_poll().is_some();
        self.namespaces.filter(|_| is_up)
    }

    /// Returns the end of the last poll, in seconds since the epoch.
    pub(super) fn polled_at(&self) -> Option<f64> {
        self.poll.map(Publication::ended_at)
    }

    /// Returns the first number of a family of the poll.
    pub(super) fn number(&self, family: &str) -> Option<f64> {
        self.samples_of_poll()?.number(family)
    }

    /// Returns the first number of a family of the sweep.
    pub(super) fn swept(&self, family: &str) -> Option<f64> {
        self.samples_of_sweep()?.number(family)
    }

    /// Yields the samples of a family of the poll.
    pub(super) fn samples(&self, family: &str) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        samples(self.samples_of_poll(), family)
    }

    /// Yields the samples of a family of the sweep.
    pub(super) fn swept_samples(&self, family: &str) -> impl Iterator<Item = Sample<'a>> + use<'a> {
        samples(self.samples_of_sweep(), family)
    }

    /// Returns the sum of a family of the poll; `None` without samples.
    pub(super) fn sum(&self, family: &str) -> Option<f64> {
        let numbers = self.samples(family).filter_map(|sample| sample.number());
        numbers.reduce(|one, other| one + other)
    }

    /// Returns a label of `redis_cluster_member_info`, which failed polls have too.
    pub(super) fn member(&self, label: &str) -> Option<&'a str> {
        let snapshot = &self.poll?.snapshot;
        let mut members = samples(Some(snapshot), "redis_cluster_member_info");
        members.next()?.label(label)
    }

    /// Returns a label of `redis_instance_info`.
    pub(super) fn instance(&self, label: &str) -> Option<&'a str> {
        let label = self.samples("redis_instance_info").next()?.label(label)?;
        Some(label).filter(|label| !label.is_empty())
    }
}

fn samples<'a>(
    snapshot: Option<&'a Snapshot>,
    family: &str,
) -> impl Iterator<Item = Sample<'a>> + use<'a> {
    let run = snapshot.and_then(|snapshot| snapshot.family(family));
    run.into_iter().flat_map(|run| run.samples())
}

/// Returns the histogram of a sample.
pub(super) fn histogram<'a>(sample: &Sample<'a>) -> Option<&'a Histogram> {
    match sample.value {
        SampleValue::Histogram(histogram) => Some(histogram),
        SampleValue::Number(_) | SampleValue::Summary(_) => None,
    }
}
