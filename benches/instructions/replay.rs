//! A poll of a recorded Redis 7.0: replies as bytes become samples and a page. Opens no connection.

use std::fs;
use std::path::Path;

use redis_namespace_exporter::collector::{ALL, Circumstances, Collector, INFO, Replies};
use redis_namespace_exporter::connection::decode;
use redis_namespace_exporter::encode::{Form, Format, Page, PageWriter};
use redis_namespace_exporter::info::Info;
use redis_namespace_exporter::metric::{Names, Snapshot};
use redis_namespace_exporter::query::Query;
use redis_namespace_exporter::reply::Reply;

use crate::Outcome;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/redis-7.0.15/");

/// Recorded replies.
pub struct Recording {
    info: Vec<u8>,
    others: Vec<(&'static Query, Vec<u8>)>,
    collectors: Vec<&'static Collector>,
}

impl Recording {
    /// Reads the recording, and adds commands to the statistics until there are `commands`.
    pub fn read(commands: usize) -> Outcome<Self> {
        let info = fs::read(Path::new(FOLDER).join("info-everything.resp"))?;
        let collectors = ALL.iter().copied();
        let collectors: Vec<_> = collectors.filter(|one| one.is_on_by_default()).collect();
        let queries = collectors
            .iter()
            .flat_map(|one| one.queries.iter().chain(one.further_queries));
        let mut others = Vec::new();
        for query in queries.filter(|query| **query != &INFO) {
            if let Some(bytes) = recorded(query) {
                others.push((*query, bytes));
            }
        }
        Ok(Self {
            info: with_commands(&info, commands)?,
            others,
            collectors,
        })
    }

    /// Decodes the replies and lets the collectors read them.
    pub fn snapshot(&self) -> Outcome<Snapshot> {
        let mut replies = Replies::new("", Circumstances::default());
        let text = decoded(&self.info)?.into_text().unwrap_or_default();
        replies.record_info(Info::parse(text));
        for (query, bytes) in &self.others {
            replies.record(*query, decoded(bytes)?);
        }
        let mut snapshot = Snapshot::default();
        for collector in &self.collectors {
            // The memo is dropped, so that each poll is like the first one.
            let _ = collector.read(&replies, &mut snapshot);
        }
        Ok(snapshot.finish())
    }

    /// The same, and writes and compresses the page.
    pub fn page(&self) -> Outcome<Page> {
        let snapshot = self.snapshot()?;
        let form = Form {
            format: Format::Text,
            is_compressed: true,
        };
        let mut page = PageWriter::new(form);
        page.add(&[(None, &snapshot)], &Names::default());
        Ok(page.finish())
    }
}

fn decoded(bytes: &[u8]) -> Outcome<Reply> {
    decode(bytes).map_err(|failure| failure.detail.into())
}

fn recorded(query: &Query) -> Option<Vec<u8>> {
    let words = query.commands.first()?.join("-").to_lowercase();
    fs::read(Path::new(FOLDER).join(format!("{words}.resp"))).ok()
}

/// Adds the statistics of made-up commands to a reply to INFO.
fn with_commands(reply: &[u8], commands: usize) -> Outcome<Vec<u8>> {
    let text = decoded(reply)?.into_text().ok_or("INFO is no text")?;
    let seen = text.matches("\ncmdstat_").count();
    let made = seen..commands;
    let statistics = made.clone().map(|number| {
        format!(
            "cmdstat_made|up{number}:calls={number},usec=73{number},usec_per_call=73.01,\
             rejected_calls=0,failed_calls=0\r\n"
        )
    });
    let statistics = statistics.collect::<Vec<_>>().concat();
    let percentiles = made.map(|number| {
        format!("latency_percentiles_usec_made|up{number}:p50=33.023,p99=99.071,p99.9=99.071\r\n")
    });
    let percentiles = percentiles.collect::<Vec<_>>().concat();
    let text = text.replace(
        "# Commandstats\r\n",
        &format!("# Commandstats\r\n{statistics}"),
    );
    let text = text.replace(
        "# Latencystats\r\n",
        &format!("# Latencystats\r\n{percentiles}"),
    );
    Ok(format!("${}\r\n{text}\r\n", text.len()).into_bytes())
}
