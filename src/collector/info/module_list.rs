//! The Modules section of INFO: one record per loaded module,
//! `module:name=search,ver=21005,api=1,filters=0,usedby=[],using=[ReJSON],options=[]`.
//!
//! The sections that modules add to INFO contain plain fields and are read elsewhere.

use crate::collector::{Collector, INFO, Read, Replies};
use crate::metric::{Family, Snapshot, Unit, source};

/// Labels, named after the parts of the record.
const LABELS: &[&str; 6] = &["name", "ver", "api", "filters", "usedby", "using"];

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, LABELS, source};

    pub(super) static MODULE_INFO: Family<6> = Family::gauge("redis_module_info", LABELS, source("INFO", "module"), Unit::One, "Loaded module in labels; always 1.");
}

/// Reads the loaded modules.
pub static COLLECTOR: Collector = Collector {
    name: "modules",
    about: "Loaded modules.",
    queries: &[&INFO],
    families: || vec![rows::MODULE_INFO.descriptor()],
    read: Read::Samples(read),
    ..Collector::OFF
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let fields = replies.info.section("Modules");
    for module in fields.filter(|field| field.name == "module") {
        if module.in_record("name").is_some() {
            let labels = LABELS.map(|label| module.in_record(label).unwrap_or_default());
            snapshot.push(&rows::MODULE_INFO, labels, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn module_records_are_read_by_name() {
        let redis = "# Modules\r\n\
            module:name=ReJSON,ver=20407,api=1,filters=0,usedby=[search],using=[],options=[handle-io-errors]\r\n\
            module:name=search,ver=20605,api=1,filters=0,usedby=[],using=[ReJSON|timeseries],options=[]\r\n\
            module:ver=1\r\n";
        let expected = [
            "redis_module_info{ReJSON,20407,1,0,[search],[]} 1",
            "redis_module_info{search,20605,1,0,[],[ReJSON|timeseries]} 1",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, redis), expected);
    }
}
