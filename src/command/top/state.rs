//! The selection of the user, and the last data of the exporter. Pure.

use super::order::{self, NamespaceOrder, TargetOrder};
use super::received::{ListedTarget, ReportedNamespace, SelectedTarget, TargetList};

/// Maximum length of a filter, in characters.
const FILTER_MAX: usize = 100;

/// Lines that a page key moves.
const PAGE: usize = 10;

/// A key that the user has pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// The line above.
    Up,
    /// The line below.
    Down,
    /// Some lines up.
    PageUp,
    /// Some lines down.
    PageDown,
    /// The first line.
    First,
    /// The last line.
    Last,
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Ctrl-C.
    Interrupt,
    /// A character.
    Letter(char),
}

/// The effect of a key on the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PressEffect {
    /// It continues.
    Stay,
    /// It ends.
    Quit,
}

/// The part of the screen that keys apply to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The list of targets.
    #[default]
    Targets,
    /// The namespaces of the selected target.
    Namespaces,
}

/// A time without responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The first failed request, in whole seconds since the epoch.
    pub since: u64,
    /// The last error.
    pub reason: String,
}

/// The data to request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Part of the name or address of the targets in the list.
    pub filter: String,
    /// The target with all details.
    pub target: Option<String>,
}

/// Everything that determines the screen, except its size and the time.
#[derive(Clone, Debug, Default)]
pub struct TopState {
    /// The URL of the exporter.
    pub url: String,
    /// The last list of targets.
    pub list: TargetList,
    /// The last report of the selected target.
    pub report: Option<SelectedTarget>,
    /// The name of the selected target.
    pub selected: Option<String>,
    /// The place of the selected namespace.
    pub namespace: usize,
    /// The order of the targets.
    pub target_order: TargetOrder,
    /// The order of the namespaces.
    pub namespace_order: NamespaceOrder,
    /// The part of the screen that keys apply to.
    pub pane: Pane,
    /// Whether the selected target fills the screen.
    pub is_zoomed: bool,
    /// Part of the name or address of the targets to show.
    pub filter: String,
    /// Whether the user is typing the filter.
    pub is_typing: bool,
    /// Whether the keys are explained.
    pub has_help: bool,
    /// Why there are no new data.
    pub outage: Option<Outage>,
}

impl TopState {
    /// Returns a state without data.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the targets to show, in order.
    #[must_use]
    pub fn targets(&self) -> Vec<&ListedTarget> {
        order::targets(&self.list.targets, &self.filter, self.target_order)
    }

    /// Returns the place of the selected target among those to show.
    #[must_use]
    pub fn place(&self, targets: &[&ListedTarget]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        targets.iter().position(|target| target.name == *selected)
    }

    /// Returns the namespaces of the selected target, in order.
    #[must_use]
    pub fn namespaces(&self) -> Vec<&ReportedNamespace> {
        let report = self.report.as_ref();
        let all = report.map_or(&[][..], |report| &report.namespaces);
        order::namespaces(all, self.namespace_order)
    }

    /// Returns the data to request.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            filter: self.filter.trim().to_owned(),
            target: self.selected.clone(),
        }
    }

    /// Takes a new list. Selects the first target if the selected one is gone.
    pub fn receive_list(&mut self, list: TargetList) {
        let targets = self.targets();
        let before = self.place(&targets);
        self.list = list;
        self.outage = None;
        self.keep_selection(before.unwrap_or(0));
    }

    /// Takes the report of a target, if it is still the selected one.
    pub fn receive_report(&mut self, report: SelectedTarget) {
        if self.selected.as_ref() == Some(&report.target.name) {
            let last = report.namespaces.len().saturating_sub(1);
            self.namespace = self.namespace.min(last);
            self.report = Some(report);
        }
    }

    /// Records a failed request. The last data are kept.
    pub fn fail(&mut self, reason: String, now: u64) {
        let since = self.outage.as_ref().map_or(now, |outage| outage.since);
        self.outage = Some(Outage { since, reason });
    }

    /// Applies a key.
    pub fn press(&mut self, press: Press) -> PressEffect {
        match press {
            Press::Interrupt => return PressEffect::Quit,
            _ if self.is_typing => self.type_filter(press),
            Press::Letter('q') => return PressEffect::Quit,
            // Any key closes the help.
            _ if self.has_help => self.has_help = false,
            Press::Escape => return self.escape(),
            Press::Enter => {
                self.is_zoomed = !self.is_zoomed && self.selected.is_some();
                self.pane = if self.is_zoomed {
                    Pane::Namespaces
                } else {
                    Pane::Targets
                };
            }
            Press::Tab if self.is_zoomed => {}
            Press::Tab => {
                self.pane = match self.pane {
                    Pane::Targets => Pane::Namespaces,
                    Pane::Namespaces => Pane::Targets,
                }
            }
            Press::Letter('s') => match self.pane {
                Pane::Targets => self.target_order = self.target_order.next(),
                Pane::Namespaces => {
                    self.namespace_order = self.namespace_order.next();
                    self.namespace = 0;
                }
            },
            Press::Letter('/') => {
                self.is_typing = true;
                self.is_zoomed = false;
                self.pane = Pane::Targets;
            }
            Press::Letter('?' | 'h') => self.has_help = true,
            press => self.go(press),
        }
        PressEffect::Stay
    }

    /// Leaves one thing after the other, and the program at last.
    fn escape(&mut self) -> PressEffect {
        if self.is_zoomed {
            self.is_zoomed = false;
            self.pane = Pane::Targets;
        } else if self.pane == Pane::Namespaces {
            self.pane = Pane::Targets;
        } else if self.filter.is_empty() {
            return PressEffect::Quit;
        } else {
            self.filter.clear();
            self.keep_selection(0);
        }
        PressEffect::Stay
    }

    fn type_filter(&mut self, press: Press) {
        match press {
            Press::Letter(letter) if self.filter.chars().count() < FILTER_MAX => {
                self.filter.push(letter);
            }
            Press::Backspace => drop(self.filter.pop()),
            Press::Enter | Press::Tab => self.is_typing = false,
            Press::Escape => {
                self.is_typing = false;
                self.filter.clear();
            }
            press => self.go(press),
        }
        self.keep_selection(0);
    }

    /// Moves the selection.
    fn go(&mut self, press: Press) {
        match self.pane {
            Pane::Targets => {
                let targets = self.targets();
                let place = self.place(&targets).unwrap_or(0);
                self.keep_selection_at(moved(place, targets.len(), press));
            }
            Pane::Namespaces => {
                let count = self.namespaces().len();
                self.namespace = moved(self.namespace, count, press);
            }
        }
    }

    /// Selects the target at a place, unless the selected one is still shown.
    fn keep_selection(&mut self, place: usize) {
        if self.place(&self.targets()).is_none() {
            self.keep_selection_at(place);
        }
    }

    /// Selects the target at a place, or the last one.
    fn keep_selection_at(&mut self, place: usize) {
        let targets = self.targets();
        let last = targets.len().saturating_sub(1);
        let name = targets.get(place.min(last)).map(|found| found.name.clone());
        if name != self.selected {
            self.selected = name;
            self.report = None;
            self.namespace = 0;
        }
    }
}

/// Returns the place after a key.
fn moved(place: usize, count: usize, press: Press) -> usize {
    let last = count.saturating_sub(1);
    let place = match press {
        Press::Up | Press::Letter('k') => place.saturating_sub(1),
        Press::Down | Press::Letter('j') => place.saturating_add(1),
        Press::PageUp => place.saturating_sub(PAGE),
        Press::PageDown => place.saturating_add(PAGE),
        Press::First | Press::Letter('g') => 0,
        Press::Last | Press::Letter('G') => last,
        _ => place,
    };
    place.min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> TargetList {
        let targets = names.iter().map(|name| ListedTarget {
            name: (*name).to_owned(),
            ..ListedTarget::default()
        });
        TargetList {
            targets: targets.collect(),
            ..TargetList::default()
        }
    }

    fn report(name: &str, namespaces: usize) -> SelectedTarget {
        SelectedTarget {
            target: ListedTarget {
                name: name.to_owned(),
                ..ListedTarget::default()
            },
            namespaces: vec![ReportedNamespace::default(); namespaces],
            ..SelectedTarget::default()
        }
    }

    fn state(names: &[&str]) -> TopState {
        let mut state = TopState::new("http://localhost:9121");
        state.receive_list(list(names));
        state
    }

    fn press_all(state: &mut TopState, letters: &str) {
        for letter in letters.chars() {
            assert_eq!(state.press(Press::Letter(letter)), PressEffect::Stay);
        }
    }

    #[test]
    fn selection_follows_its_target() {
        let mut state = state(&["a", "b", "c"]);
        assert_eq!(state.selected.as_deref(), Some("a"));
        press_all(&mut state, "jj");
        assert_eq!(state.selected.as_deref(), Some("c"));
        state.press(Press::Down);
        assert_eq!(state.selected.as_deref(), Some("c"));
        // The order changes.
        state.receive_list(list(&["c", "a", "b"]));
        assert_eq!(state.selected.as_deref(), Some("c"));
        press_all(&mut state, "jk");
        assert_eq!(state.selected.as_deref(), Some("c"));
        // The target is gone, and the next one takes its place.
        state.receive_list(list(&["a", "b"]));
        assert_eq!(state.selected.as_deref(), Some("a"));
        state.receive_list(list(&[]));
        assert_eq!(state.selected, None);
        for press in [Press::Down, Press::Enter, Press::Last, Press::Tab] {
            state.press(press);
        }
        assert!(!state.is_zoomed);
    }

    #[test]
    fn late_report_of_another_target_is_dropped() {
        let mut state = state(&["a", "b"]);
        state.receive_report(report("a", 3));
        assert_eq!(state.namespaces().len(), 3);
        press_all(&mut state, "j");
        assert!(state.report.is_none());
        state.receive_report(report("a", 3));
        assert!(state.report.is_none());
        state.receive_report(report("b", 1));
        assert_eq!(state.namespaces().len(), 1);
    }

    #[test]
    fn escape_leaves_one_thing_after_the_other() {
        let mut state = state(&["a", "ab"]);
        press_all(&mut state, "/b");
        state.press(Press::Enter);
        state.press(Press::Enter);
        assert!(state.is_zoomed);
        assert_eq!(state.pane, Pane::Namespaces);
        assert_eq!(state.press(Press::Escape), PressEffect::Stay);
        assert!(!state.is_zoomed);
        assert_eq!(state.filter, "b");
        assert_eq!(state.press(Press::Escape), PressEffect::Stay);
        assert_eq!(state.filter, "");
        press_all(&mut state, "?");
        assert!(state.has_help);
        assert_eq!(state.press(Press::Escape), PressEffect::Stay);
        assert!(!state.has_help);
        assert_eq!(state.press(Press::Escape), PressEffect::Quit);
    }

    #[test]
    fn letters_belong_to_the_filter_while_it_is_typed() {
        let mut state = state(&["quick", "slow"]);
        press_all(&mut state, "/lowq?");
        assert_eq!(state.filter, "lowq?");
        assert_eq!(state.selected, None);
        state.press(Press::Backspace);
        state.press(Press::Backspace);
        assert_eq!(state.selected.as_deref(), Some("slow"));
        assert_eq!(state.wanted().filter, "low");
        assert_eq!(state.press(Press::Interrupt), PressEffect::Quit);
        press_all(&mut state, &"x".repeat(2 * FILTER_MAX));
        assert_eq!(state.filter.len(), FILTER_MAX);
        state.press(Press::Enter);
        assert_eq!(state.press(Press::Letter('q')), PressEffect::Quit);
    }

    #[test]
    fn sort_key_applies_to_the_focused_pane() {
        let mut state = state(&["a"]);
        press_all(&mut state, "s");
        assert_eq!(state.target_order, TargetOrder::Memory);
        state.press(Press::Tab);
        press_all(&mut state, "s");
        assert_eq!(state.namespace_order, NamespaceOrder::Evictions);
        state.receive_report(report("a", 30));
        state.press(Press::PageDown);
        press_all(&mut state, "j");
        assert_eq!(state.namespace, 11);
        state.receive_report(report("a", 5));
        assert_eq!(state.namespace, 4);
    }

    #[test]
    fn outage_begins_with_the_first_failure_and_ends_with_a_list() {
        let mut state = state(&["a"]);
        state.fail("refused".to_owned(), 100);
        state.fail("timeout".to_owned(), 105);
        let outage = state.outage.clone().unwrap();
        assert_eq!((outage.since, &*outage.reason), (100, "timeout"));
        assert_eq!(state.targets().len(), 1);
        state.receive_list(list(&["a"]));
        assert_eq!(state.outage, None);
    }
}
