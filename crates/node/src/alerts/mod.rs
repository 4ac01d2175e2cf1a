//! What is wrong now, as one list. Alerts open and close by themselves.
//!
//! ```text
//!   rules (storages, pools, load, guests, tasks, …) ──────► Tracker ──► alerts about this node
//!   rules (members, quorum) ───────────────────────────► Tracker ──► alerts about the cluster
//!                              each five seconds             └── what opens and closes: the log
//! ```
//!
//! Each node finds what is about itself and reports it to the others with its status; the one that is
//! asked adds what it sees of the cluster. A rule finds conditions and remembers nothing; the tracker decides when a
//! condition has lasted long enough to open an alert, and has been gone for long enough to close it.

mod acknowledged;
mod alert;
mod all;
mod certificates;
mod ends;
mod guests;
pub mod list;
mod load;
mod members;
mod storages;
mod tasks;
mod tracker;
mod upkeep;
mod zpools;

use std::sync::Arc;
use std::time::Duration;

use ::tasks::Engine;
use tracing::warn;

pub use alert::{Acknowledgement, Alert, OpenAlert, Severity, Subject};
pub use all::AlertsFeed;
pub use zpools::follow_zpools;

use list::lock;
use tracker::Change;

use crate::{NodeContext, Priority};

/// How often rules are asked.
const LOOK: Duration = Duration::from_secs(5);

/// What was acknowledged before the agent started and is not seen for so long was over before.
const GRACE: Duration = Duration::from_secs(120);

/// Asks the rules for as long as the agent lives. Never returns.
pub async fn follow_alerts(node: &Arc<NodeContext>, tasks: &Engine<NodeContext>) {
    let mut began = None;
    loop {
        let is_read = node.read_acknowledged().await;
        let now = node.clock.monotonic();
        match began {
            None if is_read => {
                *lock(&node.alerts.before) = lock(&node.alerts.acknowledged).since();
                began = Some(now);
            }
            Some(at) if now - at >= GRACE => lock(&node.alerts.before).clear(),
            _ => {}
        }
        node.look_for_trouble(tasks).await;
        node.clock.sleep(LOOK).await;
    }
}

impl NodeContext {
    async fn look_for_trouble(&self, tasks: &Engine<NodeContext>) {
        let is_open = |id: &str| self.alerts.may_be_open(id);
        let mut own = load::conditions(self, is_open);
        match storages::conditions(self, is_open).await {
            Ok(found) => own.extend(found),
            Err(error) => warn!(%error, "storages are not watched"),
        }
        match certificates::conditions(self).await {
            Ok(found) => own.extend(found),
            Err(error) => warn!(%error, "certificates are not watched"),
        }
        own.extend(zpools::conditions(self));
        own.extend(guests::conditions(self));
        own.extend(self::tasks::conditions(self, tasks));
        let cluster = members::conditions(self).await;
        let (at, now) = (self.clock.monotonic(), self.clock.wall());
        let changes = {
            let mut before = lock(&self.alerts.before);
            let mut changes = lock(&self.alerts.own).update(own, &mut before, at, now);
            changes.extend(lock(&self.alerts.cluster).update(cluster, &mut before, at, now));
            changes
        };
        self.status
            .found(lock(&self.alerts.own).open().cloned().collect());
        self.alerts.changed();
        for change in &changes {
            self.tell(change);
        }
        let closed = changes.into_iter().filter_map(Change::closed);
        self.look_after_acknowledged(&closed.collect::<Vec<_>>())
            .await;
    }

    /// Writes what opens and closes to the log of the cluster.
    fn tell(&self, change: &Change) {
        let (priority, text) = match change {
            Change::Opened(alert) => (
                Priority::Warning,
                format!("alert '{}': {}", alert.id, alert.text),
            ),
            Change::Closed(alert) => (Priority::Info, format!("alert '{}' is over", alert.id)),
        };
        self.events.add(priority, "root", "alert", text);
    }
}
