//! `check`: connects to every target, and reports what works, what does not, and what is missing.

mod canary;
mod events;
mod facts;
mod rules;
mod target_report;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::palette::{Palette, TextMeaning, width_of};
use crate::access_rule;
use crate::collector::{Collector, Replies};
use crate::config::{Config, Credential, SourceKind, Target, credential_for, doubts};
use crate::discovery::{CurrentTargets, targets_now};
use crate::failure::Failure;
use crate::keyspace::cost::SweepQuery;
use crate::keyspace::sweep::{self, Examined as SweepExamined};
use crate::poll::{Poller, circumstances, collectors, describe_pace};
use crate::quantity::whole_counted;
use crate::query::{Rejected, describe};
use crate::reply::{ErrorKind, Refusal};
use facts::ServerFacts;
use rules::{NeededRule, NeededRules};
use target_report::{ReportStyle, TargetReport, painted};

/// Number of targets that are checked concurrently.
const AT_ONCE: usize = 16;

/// Maximum number of sentences in the verdict.
const SENTENCES_MAX: usize = 100;

/// Duration of a pass from which it is notable.
const LONG_PASS: Duration = Duration::from_secs(30 * 60);

/// Writes one block for each target, in the order of the configuration. Returns whether everything
/// that is enabled works.
///
/// Control characters in replies and in the configuration are escaped.
///
/// # Errors
///
/// Returns an error if the report cannot be written.
pub async fn run(config: &Config, palette: Palette, out: &mut impl Write) -> io::Result<bool> {
    let current = targets_now(config).await;
    let count = current.watched.len();
    let style = ReportStyle::new(palette, width_of(&io::stdout()));
    let text = introduction(config, &current, style);
    out.write_all(text.as_bytes())?;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let checks = current.watched.into_iter().map(|watched| {
        let (target, turns) = (watched.target, Arc::clone(&turns));
        let credentials = Arc::clone(&config.credentials);
        let name = target.name.clone();
        let check = tokio::spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire().await;
            let mut report = TargetReport::new(style);
            report.target(&target, &credentials).await;
            report
        });
        (name, check)
    });
    let (mut faulty, mut sentences, mut rules) = (0, Vec::new(), NeededRules::default());
    for (name, check) in checks.collect::<Vec<_>>() {
        let report = check
            .await
            .unwrap_or_else(|error| TargetReport::broken(name, &error, style));
        out.write_all(report.text.as_bytes())?;
        faulty += usize::from(!report.all_works);
        sentences.extend(report.sentences());
        if let Some(rule) = report.rule {
            rules.add(&report.name, rule);
        }
    }
    out.write_all(rules.text(style).as_bytes())?;
    let sources = current.problems.len();
    let all_work = sources == 0 && faulty == 0;
    let verdict = verdict(&sentences, (count, faulty, sources), style);
    out.write_all(verdict.as_bytes())?;
    out.flush()?;
    Ok(all_work)
}

/// Returns what is known about the configuration before any server is examined.
fn introduction(config: &Config, current: &CurrentTargets, style: ReportStyle) -> String {
    let CurrentTargets {
        watched,
        problems,
        refused,
    } = current;
    let targets = whole_counted(watched.len() as u64, "target", "targets");
    let mut text = format!("configuration: valid, {targets}\n");
    let mut add = |meaning, line: fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", painted(style, meaning, line, 4));
    };
    for source in &config.sources {
        if let SourceKind::Requests(allowed) = &source.kind {
            let rules: Vec<_> = allowed.rules().iter().map(ToString::to_string).collect();
            add(
                TextMeaning::Neutral,
                format_args!("  requests may name {}", rules.join(", ")),
            );
        }
    }
    for (source, problem) in problems {
        add(
            TextMeaning::Wrong,
            format_args!("  source {source} does not work: {problem}"),
        );
    }
    for (source, refused) in refused {
        for text in refused.texts() {
            add(
                TextMeaning::Warning,
                format_args!("  source {source}: refused: {text}"),
            );
        }
    }
    let channels = watched.first();
    let channels = channels.map_or(&[][..], |one| &*one.target.options.channels);
    for doubt in doubts(&config.namespaces, channels) {
        add(TextMeaning::Warning, format_args!("  warning: {doubt}"));
    }
    text
}

/// Returns what is notable about all targets, and whether everything works.
fn verdict(
    sentences: &[(TextMeaning, String)],
    (targets, faulty, sources): (usize, usize, usize),
    style: ReportStyle,
) -> String {
    let mut text = String::from("\n");
    if !sentences.is_empty() {
        text.push_str("Notable:\n");
    }
    for (meaning, sentence) in sentences.iter().take(SENTENCES_MAX) {
        let sentence = style.beside(2, *meaning, format_args!("{sentence}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "- {sentence}");
    }
    let more = sentences.len().saturating_sub(SENTENCES_MAX);
    if more > 0 {
        let _ = writeln!(text, "- {more} more");
    }
    let mut places = Vec::new();
    if faulty > 0 {
        let targets = whole_counted(targets as u64, "target", "targets");
        places.push(format!("{faulty} of {targets}"));
    }
    if sources > 0 {
        let (one, many) = ("source of targets", "sources of targets");
        places.push(whole_counted(sources as u64, one, many));
    }
    let verdict = if places.is_empty() {
        style
            .palette
            .paint(TextMeaning::Fine, "everything that is enabled works")
    } else {
        let places = places.join(" and ");
        style
            .palette
            .paint(TextMeaning::Wrong, &format!("faults at {places}"))
    };
    let _ = writeln!(text, "verdict: {verdict}");
    text
}

/// Returns which entry of the list a target uses, without the secret.
fn origin_of_credentials(target: &Target, list: &[Credential]) -> String {
    let endpoint = &target.endpoint;
    if endpoint.username.is_none() && endpoint.password.is_none() {
        return "none".to_owned();
    }
    match credential_for(list, &endpoint.address) {
        Some((at, entry))
            if entry.username == endpoint.username && entry.password == endpoint.password =>
        {
            format!("credentials[{at}]")
        }
        _ => "those of the target".to_owned(),
    }
}

impl TargetReport {
    async fn target(&mut self, target: &Target, credentials: &[Credential]) {
        self.name.clone_from(&target.name);
        self.heading(&target.name, format_args!("({})", target.endpoint.address));
        if !credentials.is_empty() {
            let origin = origin_of_credentials(target, credentials);
            self.line("credentials", format_args!("{origin}"));
        }
        self.line("polls", format_args!("{}", describe_pace(target.poll)));
        match examine(target).await {
            Ok(examined) => {
                self.server(&examined);
                self.collectors(target, &examined);
                self.sweep(target).await;
                self.streams(target).await;
                self.canary(target).await;
                self.access(target, &examined);
            }
            Err(failure) => {
                self.failed(&explained(&failure));
                if failure.lacks_permission() {
                    self.rule = Some(NeededRule {
                        how: "the user needs these permissions first; run check again for all \
                              that the configuration needs"
                            .to_owned(),
                        command: access_rule::first_grant(target).command,
                    });
                }
            }
        }
    }

    /// Adds the kind of the server, its facts, and its round trip.
    fn server(&mut self, examined: &ExaminedTarget) {
        self.text_line(TextMeaning::Neutral, format_args!("  {}", examined.server));
        self.line("server", format_args!("{}", examined.facts.text()));
        if let Some(ping) = examined.ping {
            let milliseconds = ping.as_secs_f64() * 1_000.0;
            self.line("round trip", format_args!("{milliseconds:.1} ms"));
        }
        self.notable.extend(examined.facts.notable());
    }

    /// Adds the rule of a user who may send exactly what this configuration needs: the user of the
    /// target, or a new one if applications use the same.
    fn access(&mut self, target: &Target, examined: &ExaminedTarget) {
        let (collectors, rejected) = (&examined.applicable, &examined.rejected);
        let replies = &examined.replies;
        let of_user = access_rule::grant(target, replies, collectors, rejected);
        let of_user = of_user.filter(|grant| grant.replaces);
        let is_of_user = of_user.is_some();
        let rule = of_user
            .map(|grant| grant.command)
            .or_else(|| access_rule::rule(target, replies, collectors, rejected));
        let from = target.sweep.from.as_ref().filter(|_| target.sweep.enabled);
        let also = from.map_or_else(String::new, |from| {
            format!(" It is also needed at {}.", from.address)
        });
        self.rule = rule.map(|command| NeededRule {
            how: format!("{}{also}", access_rule::how(target, is_of_user)),
            command,
        });
    }

    fn collectors(&mut self, target: &Target, examined: &ExaminedTarget) {
        for collector in collectors(target) {
            let name = collector.name;
            if !examined.applicable.iter().any(|one| one.name == name) {
                self.line(name, format_args!("does not apply to this server"));
                continue;
            }
            let mut faults = Vec::new();
            for Rejected { query, refusal, .. } in examined.rejected(collector) {
                let fault = describe(refusal, query.permission);
                if !faults.contains(&fault) {
                    let or = alternative(refusal);
                    self.fault(
                        name,
                        format_args!("{fault}{or} set collectors.{name} to false"),
                    );
                    faults.push(fault);
                }
            }
            if faults.is_empty() {
                self.works(name, format_args!("works"));
            }
        }
    }

    /// Adds whether the sweep works, if it is enabled, and its expected cost.
    async fn sweep(&mut self, target: &Target) {
        let name = "sweep";
        if !target.sweep.enabled {
            return;
        }
        let SweepExamined {
            refused,
            random_keys,
            forecast,
        } = match sweep::examine(target).await {
            Ok(examined) => examined,
            Err(failure) => {
                let at = target.sweep.from.as_ref();
                let at = at.map_or_else(String::new, |from| format!(" at {}", from.address));
                let failure = explained(&failure);
                return self.fault(
                    name,
                    format_args!("does not work{at}: {failure}, or set sweep.enabled to false"),
                );
            }
        };
        if refused.is_empty() && forecast.is_none() {
            return self.line(name, format_args!("does not apply to this server"));
        }
        if refused.is_empty() {
            self.works(name, format_args!("works"));
        }
        if let Some(forecast) = forecast {
            self.line(name, format_args!("cost: {forecast}"));
            if forecast.pass >= LONG_PASS {
                let time = facts::pass_text(forecast.pass.as_secs_f64());
                self.notable
                    .push(format!("needs {time} for a pass of the sweep."));
            }
        }
        let mut faults = Vec::new();
        for (query, refusal) in &refused {
            let fault = describe(refusal, query.query().permission);
            if !faults.contains(&fault) {
                let option = match query {
                    SweepQuery::Idle => ", or set sweep.idle to false",
                    _ => "",
                };
                self.fault(name, format_args!("{fault}{option}"));
                faults.push(fault);
            }
        }
        if let Some(refusal) = random_keys {
            let fault = describe(&refusal, "+randomkey");
            self.warning(
                name,
                format_args!("{fault} for an estimate before the first pass ends"),
            );
        }
    }
}

/// The result of one poll of a target.
struct ExaminedTarget {
    server: String,
    facts: ServerFacts,
    /// Round trip of a PING; `None` if the user may not send it.
    ping: Option<Duration>,
    applicable: Vec<&'static Collector>,
    replies: Replies,
    rejected: Vec<Rejected>,
}

impl ExaminedTarget {
    /// Returns the rejected queries of a collector.
    fn rejected(&self, collector: &Collector) -> impl Iterator<Item = &Rejected> {
        let queries = collector.queries.iter().chain(collector.further_queries);
        let queries: Vec<_> = queries.copied().collect();
        let rejected = self.rejected.iter();
        rejected.filter(move |rejected| queries.contains(&rejected.query))
    }
}

async fn examine(target: &Target) -> Result<ExaminedTarget, Failure> {
    let deadline = Instant::now() + target.poll.timeout;
    let mut poller = Poller::open(target, Arc::new(|_| ()), Arc::default(), deadline).await?;
    let round = poller
        .poll(target, &circumstances(target), deadline)
        .await?;
    Ok(ExaminedTarget {
        server: poller.server_text(),
        facts: ServerFacts::of(target, &round.replies),
        ping: round.ping,
        applicable: round.collectors,
        replies: round.replies,
        rejected: poller.rejected().to_vec(),
    })
}

/// Returns how to continue after [`describe`], which names a remedy only for denied queries.
fn alternative(refusal: &Refusal) -> &'static str {
    match refusal.kind() {
        ErrorKind::Permission | ErrorKind::KeyPermission | ErrorKind::ChannelPermission => ", or",
        _ => ";",
    }
}

/// Returns a failure with its remedy.
pub(super) fn explained(failure: &Failure) -> String {
    match failure.remedy {
        Some(_) => failure.to_string(),
        None => format!("{failure}; {}", failure.reason.remedy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[test]
    fn verdict_uses_the_singular() {
        let of = |counts| {
            let text = verdict(&[], counts, ReportStyle::PLAIN);
            text.lines().last().unwrap().to_owned()
        };
        assert_eq!(
            of((1, 1, 1)),
            "verdict: faults at 1 of 1 target and 1 source of targets"
        );
        assert_eq!(of((3, 1, 0)), "verdict: faults at 1 of 3 targets");
        assert_eq!(of((3, 0, 2)), "verdict: faults at 2 sources of targets");
        assert_eq!(of((3, 0, 0)), "verdict: everything that is enabled works");
    }

    #[test]
    fn a_failure_has_one_remedy() {
        let failure = Failure::new(Reason::Auth, "no");
        assert_eq!(explained(&failure), "auth: no; check username and password");
        let failure = failure.with_remedy("set one");
        assert_eq!(explained(&failure), "auth: no; set one");
    }
}
