//! Reports whether key events work.

use super::{TargetReport, alternative, explained};
use crate::config::{EventUse, Target};
use crate::keyspace::sweep::{self, ExaminedEvents};
use crate::query::describe;
use crate::reply::{ErrorKind, Refusal};

impl TargetReport {
    /// Adds whether the server permits and sends key events, if they are enabled.
    pub(super) async fn streams(&mut self, target: &Target) {
        if !target.sweep.enabled {
            return;
        }
        if let Some(examined) = sweep::examine_events(target).await {
            let permissions = sweep::EVENT_PERMISSIONS;
            self.stream("events", target.sweep.events, examined, permissions);
        }
        if let Some(examined) = sweep::examine_misses(target).await {
            let permissions = sweep::EVENT_PERMISSIONS;
            self.stream("misses", target.sweep.misses, examined, permissions);
        }
        if let Some(examined) = sweep::examine_changes(target).await {
            let permissions = sweep::CHANGES_PERMISSIONS;
            self.stream("changes", EventUse::Listen, examined, permissions);
        }
    }

    fn stream(&mut self, name: &str, usage: EventUse, examined: ExaminedEvents, permissions: &str) {
        let value = if name == "changes" { "false" } else { "off" };
        let off = format!("or set sweep.{name} to {value}");
        match examined {
            ExaminedEvents::Work => self.works(name, format_args!("works")),
            ExaminedEvents::Off(flags) if usage == EventUse::Configure => {
                let needed = "the user needs +config|set";
                self.line(
                    name,
                    format_args!("notify-keyspace-events will be set to {flags}: {needed}"),
                );
            }
            ExaminedEvents::Off(flags) => self.fault(
                name,
                format_args!("off: set notify-keyspace-events to {flags}, {off}"),
            ),
            ExaminedEvents::Replica => {
                self.line(name, format_args!("does not apply to a replica"));
            }
            ExaminedEvents::Unsupported => {
                self.fault(
                    name,
                    format_args!("the server does not support RESP3; {off}"),
                );
            }
            ExaminedEvents::Denied(refusal) => {
                let or = alternative(&refusal);
                let fault = describe_all(&refusal, permissions);
                self.fault(
                    name,
                    format_args!("{fault}{or} set sweep.{name} to {value}"),
                );
            }
            ExaminedEvents::Failed(failure) => {
                let failure = explained(&failure);
                self.fault(name, format_args!("does not work: {failure}"));
            }
            ExaminedEvents::Slow => {
                self.fault(
                    name,
                    format_args!("INFO took longer than 10 seconds; {off}"),
                );
            }
        }
    }
}

/// Returns why a command was rejected that is of no use without the other permissions.
pub(super) fn describe_all(refusal: &Refusal, permissions: &str) -> String {
    match refusal.kind() {
        ErrorKind::Permission | ErrorKind::ChannelPermission => {
            format!("denied: grant the user {permissions}")
        }
        _ => describe(refusal, "+subscribe"),
    }
}
