//! A commit: one transaction of etcd.

use std::sync::atomic::Ordering;

use super::connection::Leader;
use super::core::Core;
use super::fault::Fault;
use super::members::Repeat;
use super::message::{
    Compare, DeleteRangeRequest, KeyValue, Operation, PutRequest, RangeRequest, Request,
    TxnRequest, TxnResponse,
};
use super::space::look_at;
use crate::{Commit, LeaseId, Precondition, Read, Revision, StoreError, Write};

/// No key is created or written at this revision.
const NEVER: i64 = i64::MAX;

impl Core {
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        let mut request = self.transaction(&commit);
        loop {
            self.settle().await?;
            let session = self.session.revision();
            request.compare[0] = self.session.holds(session);
            let answer = self.send(request.clone()).await?;
            if answer.succeeded {
                return Ok(self.space.revision(answer.header.revision));
            }
            if let Some(index) = self.first_failing(&commit, session, answer)? {
                return Err(StoreError::Conflict { index });
            }
            self.follow_session(session).await?;
        }
    }

    async fn send(&self, request: TxnRequest) -> Result<TxnResponse, StoreError> {
        let seen = self.seen.load(Ordering::Acquire);
        let put = request.success.iter().find_map(put_key);
        let sending = self.session.sending();
        let answer = self
            .txn(request, Leader::Required, Repeat::IfNothingHappened)
            .await;
        if answer.as_ref().err().is_none_or(Fault::nothing_happened) {
            sending.known();
        }
        match (answer, put) {
            (Err(Fault::Refused(StoreError::Full(text))), Some(key)) => {
                Err(self.after_full(key, seen, text).await)
            }
            (answer, _) => answer.map_err(Fault::of_write),
        }
    }

    /// The commit that fills etcd up is carried out and yet answered with `Full`; all later ones
    /// are only answered. It was not carried out if a key that it puts was not written since before
    /// it was sent.
    async fn after_full(&self, key: Vec<u8>, seen: i64, text: String) -> StoreError {
        let range = RangeRequest {
            key,
            keys_only: true,
            ..RangeRequest::default()
        };
        match self.range(range, Read::Linear).await {
            Ok((found, _)) if found.kvs.iter().all(|pair| pair.mod_revision <= seen) => {
                StoreError::Full(text)
            }
            _ => StoreError::Unknown(text),
        }
    }

    /// If a condition fails, the transaction reads what each of them is about, so that the first
    /// failing one is known from the same moment. At most 102 operations a part; etcd allows 128.
    fn transaction(&self, commit: &Commit) -> TxnRequest {
        let mut request = TxnRequest {
            compare: vec![self.session.holds(0), self.space_holds()],
            success: commit.writes.iter().map(|w| self.operation(w)).collect(),
            failure: vec![
                look_at(self.session.key.clone()),
                self.space.look_at_label(false),
            ],
        };
        for precondition in &commit.preconditions {
            let key = self.space.names.data(precondition.key().as_str());
            request.failure.push(look_at(key.clone()));
            let at = |revision| self.space.etcd(revision).unwrap_or(NEVER);
            request.compare.push(match precondition {
                Precondition::Absent(_) => Compare::created(key, 0),
                Precondition::CreatedAt(_, revision) => Compare::created(key, at(*revision)),
                Precondition::ModifiedAt(_, revision) => Compare::modified(key, at(*revision)),
            });
        }
        request
    }

    fn operation(&self, write: &Write) -> Operation {
        let key = self.space.names.data(write.key().as_str());
        match write {
            Write::Put { value, lease, .. } => Request::Put(PutRequest {
                key,
                value: value.clone(),
                lease: lease.map_or(0, to_etcd),
            })
            .into(),
            Write::Delete { .. } => Request::Delete(DeleteRangeRequest { key }).into(),
        }
    }

    /// The number of the precondition that does not hold; none if it was the session.
    fn first_failing(
        &self,
        commit: &Commit,
        session: i64,
        answer: TxnResponse,
    ) -> Result<Option<usize>, StoreError> {
        let mut found = answer.ranges().map(|range| range.kvs);
        let session_now = found.next().unwrap_or_default();
        self.check_label(&found.next().unwrap_or_default())?;
        if session_now.first().map_or(0, |pair| pair.mod_revision) != session {
            return Ok(None);
        }
        let holds = |(precondition, found): (&Precondition, Vec<KeyValue>)| match precondition {
            Precondition::Absent(_) => found.is_empty(),
            Precondition::CreatedAt(_, at) => found
                .first()
                .is_some_and(|pair| self.space.etcd(*at) == Some(pair.create_revision)),
            Precondition::ModifiedAt(_, at) => found
                .first()
                .is_some_and(|pair| self.space.etcd(*at) == Some(pair.mod_revision)),
        };
        let failing = commit
            .preconditions
            .iter()
            .zip(found)
            .position(|pair| !holds(pair));
        failing.map(Some).ok_or_else(|| {
            StoreError::Unavailable("etcd refused a commit whose conditions all hold".to_owned())
        })
    }
}

fn put_key(operation: &Operation) -> Option<Vec<u8>> {
    match &operation.request {
        Some(Request::Put(put)) => Some(put.key.clone()),
        _ => None,
    }
}

/// etcd's id of a lease. An id that etcd never grants stays one; 0 would mean no lease.
pub(crate) fn to_etcd(lease: LeaseId) -> i64 {
    match lease.0.cast_signed() {
        0 => -1,
        id => id,
    }
}
