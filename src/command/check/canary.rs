//! Reports whether messages of the canary come back.

use super::events::describe_all;
use super::{TargetReport, alternative, explained};
use crate::canary::{self, ExaminedCanary};
use crate::config::Target;

impl TargetReport {
    /// Adds whether a message of the canary comes back, if it is enabled.
    pub(super) async fn canary(&mut self, target: &Target) {
        let name = "canary";
        let off = "or set canary.enabled to false";
        match canary::examine(target).await {
            None => {}
            Some(ExaminedCanary::Works(took)) => {
                let milliseconds = took.as_secs_f64() * 1e3;
                self.works(name, format_args!("works: {milliseconds:.1} ms"));
            }
            Some(ExaminedCanary::Unsupported) => {
                self.fault(
                    name,
                    format_args!("the server does not support RESP3; {off}"),
                );
            }
            Some(ExaminedCanary::Rejected(refusal)) => {
                let or = alternative(&refusal);
                let fault = describe_all(&refusal, canary::PERMISSIONS);
                self.fault(
                    name,
                    format_args!("{fault}{or} set canary.enabled to false"),
                );
            }
            Some(ExaminedCanary::Failed(failure)) => {
                let failure = explained(&failure);
                self.fault(name, format_args!("does not work: {failure}"));
            }
            Some(ExaminedCanary::Lost) => {
                self.fault(
                    name,
                    format_args!("a message did not come back within a second; {off}"),
                );
            }
        }
    }
}
