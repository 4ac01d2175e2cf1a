//! Acknowledges alerts, and removes what was acknowledged when the alert is over.
//!
//! An agent that starts does not know what was open before. An alert that was acknowledged is open
//! again as soon as its trouble is seen, if that is soon enough; otherwise it closed meanwhile.

use std::sync::Arc;

use model::{Error, ErrorKind, NodeName};
use store::{Commit, Revision};
use tracing::warn;

use super::acknowledged::{Acknowledged, forgotten, noted, taken_back};
use super::alert::{Acknowledgement, Alert, OpenAlert};
use super::list::lock;
use crate::NodeContext;

impl NodeContext {
    /// Notes that a user knows of an open alert.
    pub async fn acknowledge(
        &self,
        alert: &OpenAlert,
        acknowledgement: Acknowledgement,
    ) -> Result<Revision, Error> {
        self.change_acknowledged(noted(alert, acknowledgement)?)
            .await
    }

    /// Takes an acknowledgement back.
    pub async fn unacknowledge(&self, alert: &OpenAlert) -> Result<Revision, Error> {
        self.change_acknowledged(taken_back(&alert.alert.id)?).await
    }

    async fn change_acknowledged(&self, commit: Commit) -> Result<Revision, Error> {
        let revision = self.records.store().commit(commit).await?;
        self.read_acknowledged().await;
        Ok(revision)
    }

    /// Notes what was acknowledged by now, here or at another node. False if that is not known.
    pub(super) async fn read_acknowledged(&self) -> bool {
        match Acknowledged::read(self.records.store()).await {
            Ok(acknowledged) => {
                *lock(&self.alerts.acknowledged) = Arc::new(acknowledged);
                self.alerts.changed();
                true
            }
            Err(error) => {
                warn!(%error, "cannot read which alerts are acknowledged");
                false
            }
        }
    }

    /// Removes the acknowledgements of alerts that are over. `closed` were open here until now.
    ///
    /// The node that reported an alert looks after it. Others help where it is gone, or where they
    /// were the last to report the same trouble.
    pub(super) async fn look_after_acknowledged(&self, closed: &[Alert]) {
        let acknowledged = lock(&self.alerts.acknowledged).clone();
        let members = self.cluster.members.all();
        let elsewhere = self.alerts_elsewhere();
        let is_over = |id: &str, node: &NodeName| {
            let is_ours = *node == self.name
                || !members.contains_key(node)
                || closed.iter().any(|alert| alert.id == id);
            let is_open =
                self.alerts.may_be_open(id) || elsewhere.iter().any(|(_, alert)| alert.id == id);
            is_ours && !is_open
        };
        for (id, modified) in acknowledged.over(is_over) {
            if let Err(error) = self.forget(id, modified).await {
                warn!(%error, id, "an acknowledgement cannot be removed yet");
            }
        }
    }

    async fn forget(&self, id: &str, modified: Revision) -> Result<(), Error> {
        match self.change_acknowledged(forgotten(id, modified)?).await {
            Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
            result => result.map(|_| ()),
        }
    }
}
