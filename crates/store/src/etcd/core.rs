//! What the store, its watches and its session share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::Clock;
use tokio::sync::watch;

use super::connection::Leader;
use super::fault::Fault;
use super::members::{Members, Repeat};
use super::message::{Compare, KeyValue, TXN, TxnRequest, TxnResponse};
use super::session::Session;
use super::space::Space;
use crate::StoreError;

pub(crate) struct Core {
    pub(crate) members: Members,
    pub(crate) space: Space,
    pub(crate) session: Session,
    pub(crate) clock: Arc<dyn Clock>,
    /// The newest revision of etcd that an answer had.
    pub(crate) seen: AtomicI64,
    /// Why the store has ended, once it has.
    pub(crate) ended: watch::Sender<Option<StoreError>>,
}

impl Core {
    pub(crate) fn check_open(&self) -> Result<(), StoreError> {
        self.ended.borrow().clone().map_or(Ok(()), Err)
    }

    /// Ends the store for all of its users. The first reason is kept and returned.
    pub(crate) fn end(&self, reason: StoreError) -> StoreError {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert(reason.clone());
            first
        });
        self.ended.borrow().clone().unwrap_or(reason)
    }

    pub(crate) async fn txn(
        &self,
        request: TxnRequest,
        leader: Leader,
        repeat: Repeat,
    ) -> Result<TxnResponse, Fault> {
        let answer: TxnResponse = self.members.call(TXN, request, leader, repeat).await?;
        self.check_cluster(answer.header.cluster_id)
            .map_err(Fault::Refused)?;
        self.seen
            .fetch_max(answer.header.revision, Ordering::AcqRel);
        Ok(answer)
    }

    /// The condition that the store is still of this generation.
    pub(crate) fn space_holds(&self) -> Compare {
        Compare::value(self.space.names.label(), self.space.label.to_bytes())
    }

    /// Checks the answer to `Space::look_at_label`.
    pub(crate) fn check_label(&self, found: &[KeyValue]) -> Result<(), StoreError> {
        if self.space.is_labelled(found) {
            Ok(())
        } else {
            Err(self.end(StoreError::Moved))
        }
    }

    pub(crate) fn check_cluster(&self, cluster: u64) -> Result<(), StoreError> {
        if cluster == self.space.cluster {
            Ok(())
        } else {
            Err(self.end(StoreError::Moved))
        }
    }
}
