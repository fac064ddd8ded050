//! Selects the sections of INFO for a poll. Pure.
//!
//! The server spends most of the time for INFO on percentiles of every command that it has seen.
//! They change slowly, so most polls omit them. A command that was called for the first time has
//! percentiles one poll later.

use std::time::{Duration, Instant};

use crate::collector::{INFO, INFO_WITHOUT_PERCENTILES, Server};
use crate::info::Info;
use crate::query::Query;

/// Interval for percentiles: slightly less than a minute, so that polls every 15 seconds query them
/// every fourth time.
const PERCENTILES_EVERY: Duration = Duration::from_secs(55);

/// The section that most polls omit.
const PERCENTILES: &str = "Latencystats";

/// Facts about the server's INFO, learned over one connection.
#[derive(Debug, Default)]
pub struct Sections {
    whole: Option<Whole>,
    /// Whether the server has seen other commands than in that reply.
    has_other_commands: bool,
    /// Whether the server omits other sections if percentiles are not requested.
    is_whole_only: bool,
}

/// The last reply with all sections.
#[derive(Debug)]
struct Whole {
    titles: Vec<String>,
    /// Number of commands with statistics.
    commands: usize,
    at: Instant,
}

impl Sections {
    /// Returns the query for INFO.
    pub fn query(&self, server: Option<&Server>, now: Instant) -> &'static Query {
        let is_recent = |whole: &Whole| now.duration_since(whole.at) < PERCENTILES_EVERY;
        let may_leave_out = !self.is_whole_only
            && !self.has_other_commands
            && server.is_some_and(Server::has_latency_percentiles)
            && self.whole.as_ref().is_some_and(is_recent);
        if may_leave_out {
            &INFO_WITHOUT_PERCENTILES
        } else {
            &INFO
        }
    }

    /// Records a reply. Returns false if it lacks a section other than the percentiles. All
    /// sections are then queried from now on.
    pub fn record(&mut self, query: &'static Query, info: &Info, now: Instant) -> bool {
        let commands = info.named("cmdstat_").count();
        if query == &INFO {
            self.whole = Some(Whole {
                titles: info.titles().map(str::to_owned).collect(),
                commands,
                at: now,
            });
            self.has_other_commands = false;
            return true;
        }
        self.has_other_commands = self
            .whole
            .as_ref()
            .is_some_and(|whole| whole.commands != commands);
        let mut known = self.whole.iter().flat_map(|whole| &whole.titles);
        let is_there = |title: &String| title == PERCENTILES || info.has_section(title);
        let is_complete = known.all(is_there);
        self.is_whole_only |= !is_complete;
        is_complete
    }

    /// Records that the server rejected the query without percentiles.
    pub const fn query_all(&mut self) {
        self.is_whole_only = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str =
        "# Server\r\nredis_version:7.0.15\r\n# TLS\r\n# Latencystats\r\n# Keyspace\r\n";

    fn after_whole(now: Instant) -> (Sections, Server) {
        let (mut sections, info) = (Sections::default(), Info::parse(WHOLE));
        assert!(sections.record(&INFO, &info, now));
        (sections, Server::from_info(&info))
    }

    #[test]
    fn percentiles_are_queried_first_and_once_a_minute() {
        let now = Instant::now();
        let (sections, server) = after_whole(now);
        let query = |seconds| sections.query(Some(&server), now + Duration::from_secs(seconds));
        assert_eq!(Sections::default().query(Some(&server), now), &INFO);
        assert_eq!([15, 30, 45].map(query), [&INFO_WITHOUT_PERCENTILES; 3]);
        assert_eq!(query(60), &INFO);
    }

    #[test]
    fn new_command_has_percentiles_one_poll_later() {
        let now = Instant::now();
        let (mut sections, server) = after_whole(now);
        let partial = WHOLE.replace("# Latencystats\r\n", "cmdstat_get:calls=1,usec=1\r\n");
        let record = |sections: &mut Sections, query| {
            sections.record(query, &Info::parse(&partial), now);
            sections.query(Some(&server), now)
        };
        assert_eq!(record(&mut sections, &INFO_WITHOUT_PERCENTILES), &INFO);
        assert_eq!(record(&mut sections, &INFO), &INFO_WITHOUT_PERCENTILES);
        let later = record(&mut sections, &INFO_WITHOUT_PERCENTILES);
        assert_eq!(later, &INFO_WITHOUT_PERCENTILES);
    }

    #[test]
    fn server_without_percentiles_is_sent_the_whole_query() {
        let now = Instant::now();
        let (sections, _) = after_whole(now);
        let old = Server::from_info(&Info::parse("redis_version:6.2.16\r\n"));
        assert_eq!(sections.query(Some(&old), now), &INFO);
        assert_eq!(sections.query(None, now), &INFO);
    }

    #[test]
    fn server_omitting_other_sections_is_sent_all() {
        let now = Instant::now();
        let (mut sections, server) = after_whole(now);
        let lacks_percentiles = WHOLE.replace("# Latencystats\r\n", "");
        let lacks_more = lacks_percentiles.replace("# TLS\r\n", "");
        let mut record = |text: String| {
            let info = Info::parse(text);
            sections.record(&INFO_WITHOUT_PERCENTILES, &info, now)
        };
        assert!(record(lacks_percentiles));
        assert!(!record(lacks_more));
        assert_eq!(sections.query(Some(&server), now), &INFO);
    }
}
