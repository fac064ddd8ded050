//! What to ask next over a connection: decided from what the server is and what it refused. Pure.

use std::collections::HashSet;

use crate::collector::{Answers, Collector, FollowUp, INFO, Question, Server};
use crate::reply::{Refusal, Reply, TOO_LARGE};

/// What was learnt over one connection.
#[derive(Debug, Default)]
pub struct Plan {
    server: Option<Server>,
    run_id: Option<String>,
    /// Questions whose best spelling did not do, with the number of the one that is asked now.
    spellings: Vec<(&'static Question, usize)>,
    /// What the server refused for good.
    refusals: Vec<(&'static Question, Refusal)>,
    /// What it refused for good of what follows from other questions, by the permission that is
    /// missing, for such questions differ from poll to poll; or one alone.
    refused_follow_ups: Vec<Denial>,
}

/// A refusal for good of what a collector asks after its first questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The name of the collector.
    pub collector: &'static str,
    /// Permissions that the user needs.
    pub permission: &'static str,
    /// What the server said.
    pub refusal: Refusal,
    /// The only question that is meant; none where it is all that need the permission.
    only: Option<FollowUp>,
}

impl Denial {
    fn covers(&self, question: &FollowUp) -> bool {
        match &self.only {
            Some(only) => only == question,
            None => self.permission == question.permission,
        }
    }
}

impl Plan {
    /// The kind of server, once INFO has told it.
    pub const fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// What the server refused for good.
    pub fn refusals(&self) -> &[(&'static Question, Refusal)] {
        &self.refusals
    }

    /// What the server refused for good of what follows from other questions.
    pub fn refused_follow_ups(&self) -> &[Denial] {
        &self.refused_follow_ups
    }

    /// Records what kind of server answers. What another one refused, or the same before it was
    /// restarted, is forgotten.
    pub fn learn(&mut self, server: Server, run_id: Option<&str>) {
        if self.run_id.as_deref() != run_id {
            *self = Self {
                spellings: std::mem::take(&mut self.spellings),
                ..Self::default()
            };
            self.run_id = run_id.map(str::to_owned);
        }
        self.server = Some(server);
    }

    /// Has INFO asked first again: another server may reply over the new connection.
    /// `retries_refused` has everything asked again that was refused.
    pub fn connect_anew(&mut self, retries_refused: bool) {
        self.server = None;
        if retries_refused {
            self.refusals.clear();
            self.refused_follow_ups.clear();
        }
    }

    /// The questions that are still to be asked in this poll: first INFO, which tells what the
    /// server understands, then everything else; all at once where that is known already.
    pub fn next(
        &self,
        on: &[&'static Collector],
        replies: &[(&'static Question, Reply)],
    ) -> Vec<&'static Question> {
        let is_answered =
            |question: &Question| replies.iter().any(|(answered, _)| *answered == question);
        let is_refused = |question: &Question| {
            self.refusals
                .iter()
                .any(|(refused, _)| *refused == question)
        };
        let mut questions = if is_answered(&INFO) {
            Vec::new()
        } else {
            vec![&INFO]
        };
        for collector in self.applicable(on) {
            for question in collector.questions {
                if !questions.contains(question) && !is_answered(question) && !is_refused(question)
                {
                    questions.push(question);
                }
            }
        }
        questions
    }

    /// The collectors whose questions the server understands; none before it is known.
    pub fn applicable(&self, on: &[&'static Collector]) -> Vec<&'static Collector> {
        let Some(server) = &self.server else {
            return Vec::new();
        };
        on.iter()
            .copied()
            .filter(|collector| (collector.applies)(server))
            .collect()
    }

    /// What is still to be asked once the questions of all collectors are answered, each with the
    /// collector that asks it.
    pub fn follow_ups(
        &self,
        on: &[&'static Collector],
        answers: &Answers<'_>,
    ) -> Vec<(&'static Collector, FollowUp)> {
        let mut asked = HashSet::new();
        let mut questions = Vec::new();
        for collector in self.applicable(on) {
            let following = collector.follow_ups.map(|follow_ups| follow_ups(answers));
            for question in following.into_iter().flatten() {
                let is_answered = answers.follow_up(&question).is_some();
                if !is_answered && !self.is_denied(&question) && asked.insert(question.clone()) {
                    questions.push((collector, question));
                }
            }
        }
        questions
    }

    /// The names of the collectors that ask what is denied, or is refused for now. Several may ask
    /// the same.
    pub fn refused_collectors(
        &self,
        on: &[&'static Collector],
        answers: &Answers<'_>,
    ) -> Vec<&'static str> {
        let asks_in_vain = |collector: &&'static Collector| {
            let asked = collector.follow_ups.map(|follow_ups| follow_ups(answers));
            asked
                .into_iter()
                .flatten()
                .any(|question| self.is_denied(&question) || is_refused_for_now(&question, answers))
        };
        let asking = self.applicable(on).into_iter().filter(asks_in_vain);
        asking.map(|collector| collector.name).collect()
    }

    fn is_denied(&self, question: &FollowUp) -> bool {
        let mut denials = self.refused_follow_ups.iter();
        denials.any(|denial| denial.covers(question))
    }

    /// Takes note of a refusal of what followed; true where it is one for good. What else a server
    /// says in an error is an answer, as that a script fails.
    pub fn follow_up_refused(
        &mut self,
        collector: &'static Collector,
        question: &FollowUp,
        refusal: &Refusal,
    ) -> bool {
        let message = refusal.message.to_ascii_lowercase();
        let is_unknown =
            message.starts_with("unknown command") || message.starts_with("unknown subcommand");
        let is_for_good = is_unknown || matches!(refusal.code.as_str(), "NOPERM" | TOO_LARGE);
        if is_for_good && !self.is_denied(question) {
            self.refused_follow_ups.push(Denial {
                collector: collector.name,
                permission: question.permission,
                refusal: refusal.clone(),
                only: question.stands_alone.then(|| question.clone()),
            });
        }
        is_for_good
    }

    /// The spelling in which a question is asked now.
    pub fn command(&self, question: &'static Question) -> Option<&'static [&'static str]> {
        question.commands.get(self.spelling(question)).copied()
    }

    fn spelling(&self, question: &'static Question) -> usize {
        let found = self
            .spellings
            .iter()
            .find(|(spelled, _)| *spelled == question);
        found.map_or(0, |(_, spelling)| *spelling)
    }

    /// Goes on to the next spelling of a question; false where there is none.
    pub fn try_next_spelling(&mut self, question: &'static Question) -> bool {
        let next = self.spelling(question) + 1;
        self.spellings.retain(|(spelled, _)| *spelled != question);
        self.spellings
            .push((question, next.min(question.commands.len())));
        next < question.commands.len()
    }

    /// Takes note of a refusal; true where the question is to be asked again in another spelling.
    pub fn refused(&mut self, question: &'static Question, refusal: &Refusal) -> bool {
        if refusal.is_passing() {
            return false;
        }
        if is_unknown(refusal) && self.try_next_spelling(question) {
            return true;
        }
        self.refusals.push((question, refusal.clone()));
        false
    }
}

fn is_refused_for_now(question: &FollowUp, answers: &Answers<'_>) -> bool {
    let refusal = answers.follow_up(question).and_then(Reply::refusal);
    refusal.is_some_and(Refusal::is_passing)
}

/// Whether the server does not know the command as spelled, other than forbidding it.
fn is_unknown(refusal: &Refusal) -> bool {
    refusal.code == "ERR"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::ALL;
    use crate::info::Info;

    fn known(info: &str) -> Plan {
        let mut plan = Plan::default();
        let info = Info::parse(info);
        plan.learn(Server::from_info(&info), info.get("run_id"));
        plan
    }

    fn refusal(code: &str) -> Refusal {
        Refusal {
            code: code.into(),
            message: "no".into(),
        }
    }

    fn words(plan: &Plan, questions: &[&'static Question]) -> Vec<String> {
        questions
            .iter()
            .filter_map(|question| plan.command(question))
            .map(|c| c.join(" "))
            .collect()
    }

    #[test]
    fn info_goes_ahead_on_a_new_connection() {
        let plan = Plan::default();
        assert_eq!(words(&plan, &plan.next(ALL, &[])), ["INFO everything"]);
    }

    #[test]
    fn a_known_server_is_asked_everything_at_once_and_nothing_twice() {
        let plan = known("redis_version:7.0.15\nredis_mode:standalone\n");
        let asked = words(&plan, &plan.next(ALL, &[]));
        let mut distinct = asked.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(asked.len(), distinct.len());
        assert!(asked.contains(&"LATENCY HISTOGRAM".to_owned()), "{asked:?}");
        assert!(!asked.contains(&"CLUSTER INFO".to_owned()), "{asked:?}");
    }

    #[test]
    fn a_sentinel_is_asked_nothing_but_info_and_sentinel() {
        let plan = known("redis_version:6.0.16\nredis_mode:sentinel\n");
        let by_default = ALL.iter().filter(|collector| collector.on_by_default);
        let by_default: Vec<&Collector> = by_default.copied().collect();
        let asked = words(&plan, &plan.next(&by_default, &[]));
        assert_eq!(asked, ["INFO everything", "SENTINEL MASTERS"]);
    }

    #[test]
    fn what_was_refused_for_good_is_not_asked_again() {
        let mut plan = known("redis_version:7.0.15\nredis_mode:standalone\n");
        let before = plan.next(ALL, &[]);
        let question = *before.iter().find(|question| ***question != INFO).unwrap();
        assert!(!plan.refused(question, &refusal("NOPERM")));
        assert!(!plan.next(ALL, &[]).contains(&question));
    }

    #[test]
    fn refusals_outlive_a_connection_but_not_the_server() {
        let info = |run_id: &str| format!("redis_version:7.0.15\r\nrun_id:{run_id}\r\n");
        let mut plan = known(&info("a"));
        let before = plan.next(ALL, &[]);
        let question = *before.iter().find(|question| ***question != INFO).unwrap();
        plan.refused(question, &refusal("NOPERM"));
        plan.connect_anew(false);
        assert_eq!(words(&plan, &plan.next(ALL, &[])), ["INFO everything"]);
        let learn = |plan: &mut Plan, text: &str| {
            let info = Info::parse(text);
            plan.learn(Server::from_info(&info), info.get("run_id"));
        };
        learn(&mut plan, &info("a"));
        assert!(!plan.next(ALL, &[]).contains(&question));
        learn(&mut plan, &info("b"));
        assert!(plan.next(ALL, &[]).contains(&question));
        plan.refused(question, &refusal("NOPERM"));
        plan.connect_anew(true);
        learn(&mut plan, &info("b"));
        assert!(plan.next(ALL, &[]).contains(&question));
    }

    #[test]
    fn a_denial_covers_its_permission_but_of_what_stands_alone_only_itself() {
        let collector = ALL.first().copied().unwrap();
        let mut plan = Plan::default();
        let first = FollowUp::new("+x", ["X", "1"]);
        assert!(plan.follow_up_refused(collector, &first, &refusal("NOPERM")));
        assert!(plan.is_denied(&FollowUp::new("+x", ["X", "2"])));
        let script = FollowUp::alone("+eval", ["EVAL", "a"]);
        assert!(plan.follow_up_refused(collector, &script, &refusal("NOPERM")));
        assert!(plan.is_denied(&script));
        assert!(!plan.is_denied(&FollowUp::alone("+eval", ["EVAL", "b"])));
    }

    #[test]
    fn what_was_refused_while_loading_is_asked_again() {
        let mut plan = known("redis_version:7.0.15\nredis_mode:standalone\n");
        let before = plan.next(ALL, &[]);
        for question in &before {
            assert!(!plan.refused(question, &refusal("LOADING")));
        }
        assert_eq!(plan.next(ALL, &[]).len(), before.len());
    }

    #[test]
    fn info_falls_back_to_older_spellings() {
        let mut plan = Plan::default();
        let mut spelled = Vec::new();
        loop {
            spelled.push(words(&plan, &[&INFO]).join(""));
            if !plan.try_next_spelling(&INFO) {
                break;
            }
        }
        assert_eq!(spelled, ["INFO everything", "INFO all", "INFO"]);
    }
}
