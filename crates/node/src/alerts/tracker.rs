//! When a condition becomes an alert, and when an alert is over.

use std::collections::BTreeMap;
use std::time::Duration;

use model::UnixTime;

use super::alert::{Alert, Condition, Patience};

struct Known {
    alert: Alert,
    patience: Patience,
    /// On the monotonic clock: when it was seen first and last.
    first: Duration,
    last: Duration,
    is_open: bool,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Opened(Alert),
    Closed(Alert),
}

impl Change {
    pub(super) fn closed(self) -> Option<Alert> {
        match self {
            Self::Opened(_) => None,
            Self::Closed(alert) => Some(alert),
        }
    }
}

/// Conditions that were seen lately.
#[derive(Default)]
pub(super) struct Tracker(BTreeMap<String, Known>);

/// Alerts that were open before the agent started, and since when.
pub(super) type Before = BTreeMap<String, UnixTime>;

impl Tracker {
    pub(super) fn open(&self) -> impl Iterator<Item = &Alert> {
        let open = self.0.values().filter(|known| known.is_open);
        open.map(|known| &known.alert)
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|known| known.is_open)
    }

    /// Takes all conditions of one moment. Those of alerts that were open before are alerts at once.
    pub(super) fn update(
        &mut self,
        found: Vec<Condition>,
        before: &mut Before,
        at: Duration,
        now: UnixTime,
    ) -> Vec<Change> {
        for condition in found {
            let was_open = before.remove(&condition.id);
            self.see(condition, was_open, at, now);
        }
        let mut changes = Vec::new();
        self.0.retain(|_, known| {
            if !known.is_open && known.last == at && at - known.first >= known.patience.opens {
                known.is_open = true;
                changes.push(Change::Opened(known.alert.clone()));
            }
            let is_gone = known.last != at;
            let is_over = is_gone && (!known.is_open || at - known.last >= known.patience.closes);
            if is_over && known.is_open {
                changes.push(Change::Closed(known.alert.clone()));
            }
            !is_over
        });
        changes
    }

    fn see(
        &mut self,
        condition: Condition,
        was_open: Option<UnixTime>,
        at: Duration,
        now: UnixTime,
    ) {
        let before = self.0.remove(&condition.id);
        let since = before.as_ref().map(|known| known.alert.since);
        let since = was_open.or(since);
        let alert = Alert {
            since: condition.since.or(since).unwrap_or(now),
            id: condition.id,
            severity: condition.severity,
            subject: condition.subject,
            text: condition.text,
            advice: condition.advice,
        };
        let known = Known {
            patience: condition.patience,
            first: before.as_ref().map_or(at, |known| known.first),
            last: at,
            is_open: was_open.is_some() || before.is_some_and(|known| known.is_open),
            alert,
        };
        self.0.insert(known.alert.id.clone(), known);
    }
}

#[cfg(test)]
mod tests {
    use super::super::alert::{Severity, Subject};
    use super::*;

    fn condition(text: &str) -> Condition {
        Condition {
            id: "a".to_owned(),
            severity: Severity::Warning,
            subject: Subject::Cluster,
            text: text.to_owned(),
            advice: String::new(),
            since: None,
            patience: Patience::of(10, 20),
        }
    }

    /// Updates each five seconds, with the condition where the mark is `x`; what changed, by second.
    fn run(marks: &str) -> Vec<(u64, bool)> {
        let mut tracker = Tracker::default();
        let mut changed = Vec::new();
        for (index, mark) in marks.chars().enumerate() {
            let second = index as u64 * 5;
            let found = (mark == 'x')
                .then(|| condition("full"))
                .into_iter()
                .collect();
            let changes = tracker.update(
                found,
                &mut Before::new(),
                Duration::from_secs(second),
                second as i64,
            );
            changed.extend(changes.iter().map(|change| match change {
                Change::Opened(_) => (second, true),
                Change::Closed(_) => (second, false),
            }));
        }
        changed
    }

    #[test]
    fn an_alert_opens_and_closes_after_a_while() {
        assert_eq!(run("xxx"), [(10, true)]);
        assert_eq!(run("xx.xx.xx"), []);
        assert_eq!(run("xxx...xx..."), [(10, true)]);
        assert_eq!(run("xxx....x"), [(10, true), (30, false)]);
    }

    #[test]
    fn an_alert_keeps_its_beginning_and_takes_new_words() {
        let (mut tracker, mut none) = (Tracker::default(), Before::new());
        let at = Duration::from_secs;
        tracker.update(vec![condition("85 %")], &mut none, at(0), 100);
        tracker.update(vec![condition("90 %")], &mut none, at(10), 110);
        let open: Vec<&Alert> = tracker.open().collect();
        assert_eq!((open[0].since, open[0].text.as_str()), (100, "90 %"));
        assert!(tracker.is_open("a") && !tracker.is_open("b"));
        let dated = Condition {
            since: Some(7),
            ..condition("95 %")
        };
        tracker.update(vec![dated], &mut none, at(15), 115);
        assert_eq!(tracker.open().next().unwrap().since, 7);
    }

    #[test]
    fn what_was_open_before_the_start_opens_at_once_and_closes_as_ever() {
        let mut tracker = Tracker::default();
        let at = Duration::from_secs;
        let mut before: Before = [("a".to_owned(), 40)].into();
        let found = vec![condition("full")];
        assert_eq!(tracker.update(found, &mut before, at(5), 100), []);
        assert_eq!(tracker.open().next().unwrap().since, 40);
        assert!(before.is_empty());
        tracker.update(vec![], &mut before, at(10), 105);
        assert!(tracker.is_open("a"));
        let changes = tracker.update(vec![], &mut before, at(25), 120);
        assert!(matches!(&changes[..], [Change::Closed(alert)] if alert.id == "a"));
        // What opens anew has to last again.
        tracker.update(vec![condition("full")], &mut before, at(30), 125);
        assert!(!tracker.is_open("a"));
    }
}
