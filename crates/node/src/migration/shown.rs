//! Proofs that are shown to other nodes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::future::join_all;
use model::{Error, NodeName, StorageId};
use sys::SharedHost;
use uuid::Uuid;

use super::{Look, Proof};
use crate::NodeContext;

impl Proof {
    /// Refuses a node that does not read what was written.
    pub(crate) async fn show(
        &self,
        node: &NodeContext,
        target: &NodeName,
        text: &str,
    ) -> Result<(), Error> {
        let read: Option<String> = node.look(target, Look::Proof(self.clone())).await?;
        if read.as_deref() == Some(text) {
            return Ok(());
        }
        let storage = &self.storage;
        Err(Error::conflict(format!(
            "storage '{storage}' is marked as shared, but node '{target}' does not see what is \
             written here"
        )))
    }
}

/// Proofs of storages that are removed when this is dropped, also if their reader gives up.
pub(super) struct Shown {
    host: SharedHost,
    proofs: Vec<(Proof, PathBuf)>,
    text: String,
}

impl Shown {
    /// Writes a proof on each storage. Returns also why some cannot be proven.
    pub(super) async fn on(node: &NodeContext, storages: Vec<StorageId>) -> (Self, Vec<String>) {
        let mut shown = Self {
            host: node.host.clone(),
            proofs: Vec::new(),
            text: Uuid::new_v4().to_string(),
        };
        let mut why_not = Vec::new();
        for proof in storages.into_iter().map(Proof::new) {
            if let Err(error) = shown.write(node, proof).await {
                why_not.push(error.message);
            }
        }
        (shown, why_not)
    }

    async fn write(&mut self, node: &NodeContext, proof: Proof) -> Result<(), Error> {
        let path = proof.place(node).await?;
        // Before it is there: this may be dropped at any time.
        self.proofs.push((proof.clone(), path));
        let written = proof.write(node, &self.text).await;
        if written.is_err() {
            self.proofs.pop();
        }
        written
    }

    /// What a node does not see, without the storages that it may not use.
    pub(super) async fn to(
        &self,
        node: &NodeContext,
        target: &NodeName,
        unavailable: &BTreeSet<StorageId>,
    ) -> Vec<String> {
        let proofs = self.proofs.iter().map(|(proof, _)| proof);
        let used = proofs.filter(|proof| !unavailable.contains(&proof.storage));
        let shown = join_all(used.map(|proof| proof.show(node, target, &self.text))).await;
        let refused = shown.into_iter().filter_map(Result::err);
        refused.map(|error| error.message).collect()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        for (_, path) in std::mem::take(&mut self.proofs) {
            let host = self.host.clone();
            tokio::spawn(async move {
                if let Err(error) = host.remove(&path).await {
                    tracing::warn!(path = %path.display(), %error, "a proof is left");
                }
            });
        }
    }
}
