//! The list of all alerts: those of each node, and what this one sees of the cluster.

use model::{Error, NodeName};
use tokio::sync::watch;

use super::acknowledged::Acknowledged;
use super::alert::{Alert, OpenAlert, Severity};
use super::list::lock;
use crate::NodeContext;

impl NodeContext {
    /// All alerts, worst first, then the oldest: each node's own, and what this one sees of the
    /// cluster.
    pub async fn all_alerts(&self) -> Result<Vec<OpenAlert>, Error> {
        let acknowledged = Acknowledged::read(self.records.store()).await?;
        Ok(self.list_alerts(&acknowledged))
    }

    /// A stream of the list.
    pub fn alerts_feed(&self) -> AlertsFeed<'_> {
        let mut news = self.alerts.news.subscribe();
        news.mark_changed();
        AlertsFeed {
            node: self,
            news,
            told: None,
        }
    }

    /// What other members report of themselves.
    pub(super) fn alerts_elsewhere(&self) -> Vec<(NodeName, Alert)> {
        let links = self.cluster.links();
        let reported = links.iter().flat_map(|link| {
            let alerts = link.status().alerts().into_iter();
            alerts.map(|alert| (link.node().clone(), alert))
        });
        reported.collect()
    }

    fn list_alerts(&self, acknowledged: &Acknowledged) -> Vec<OpenAlert> {
        let here = [&self.alerts.own, &self.alerts.cluster];
        let here = here
            .iter()
            .flat_map(|tracker| lock(tracker).open().cloned().collect::<Vec<_>>());
        let here = here.map(|alert| (self.name.clone(), alert));
        let all = here.chain(self.alerts_elsewhere());
        let all = all.map(|(node, alert)| OpenAlert {
            acknowledged: acknowledged.of(&alert),
            node,
            alert,
        });
        in_order(all.collect())
    }
}

/// Once each, errors first, the oldest first.
fn in_order(mut alerts: Vec<OpenAlert>) -> Vec<OpenAlert> {
    // Of the same trouble on several nodes, all members show the same one.
    alerts.sort_by(|one, other| (&one.alert.id, &one.node).cmp(&(&other.alert.id, &other.node)));
    alerts.dedup_by(|one, other| one.alert.id == other.alert.id);
    alerts.sort_by_key(|open| (open.alert.severity != Severity::Error, open.alert.since));
    alerts
}

/// See `NodeContext::alerts_feed`.
pub struct AlertsFeed<'a> {
    node: &'a NodeContext,
    news: watch::Receiver<()>,
    told: Option<Vec<OpenAlert>>,
}

impl AlertsFeed<'_> {
    /// The list: at once, and then whenever it is another one. May be dropped and called again
    /// without losing anything.
    pub async fn next(&mut self) -> Vec<OpenAlert> {
        loop {
            // The node keeps the sender.
            if self.news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let acknowledged = lock(&self.node.alerts.acknowledged).clone();
            let list = self.node.list_alerts(&acknowledged);
            if self.told.as_ref() != Some(&list) {
                self.told = Some(list.clone());
                return list;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::alert::Subject;
    use super::*;

    #[test]
    fn errors_come_first_and_nothing_twice() {
        let open = |id: &str, node: &str, severity, since| OpenAlert {
            node: node.parse().unwrap(),
            alert: Alert {
                id: id.to_owned(),
                severity,
                subject: Subject::Cluster,
                since,
                text: String::new(),
                advice: String::new(),
            },
            acknowledged: None,
        };
        let alerts = in_order(vec![
            open("b", "n2", Severity::Warning, 1),
            open("a", "n1", Severity::Error, 9),
            open("c", "n1", Severity::Warning, 0),
            open("b", "n1", Severity::Warning, 5),
        ]);
        let shown: Vec<(&str, &str)> = alerts
            .iter()
            .map(|open| (open.alert.id.as_str(), open.node.as_str()))
            .collect();
        assert_eq!(shown, [("a", "n1"), ("c", "n1"), ("b", "n1")]);
    }
}
