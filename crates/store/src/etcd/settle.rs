//! Deciding doubts: the session's key is written anew.

use std::sync::atomic::Ordering;

use super::connection::Leader;
use super::core::Core;
use super::fault::Fault;
use super::members::Repeat;
use super::message::{DeleteRangeRequest, RangeRequest, Request, TxnRequest, TxnResponse};
use crate::StoreError;

impl Core {
    /// Decides all doubts that arose before this call. To be called before a linear read or commit.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        self.check_open()?;
        let session = &self.session;
        let doubts = session.doubts.load(Ordering::Acquire);
        if session.settled.load(Ordering::Acquire) >= doubts {
            return Ok(());
        }
        let _one_at_a_time = session.replacing.lock().await;
        // The doubts until here are about commits of the current session or an older one.
        let doubts = session.doubts.load(Ordering::Acquire);
        if session.settled.load(Ordering::Acquire) < doubts {
            self.replace().await?;
            session.settled.store(doubts, Ordering::Release);
        }
        Ok(())
    }

    /// For a commit that was refused because the session is not of `revision` any more.
    pub(crate) async fn follow_session(&self, revision: i64) -> Result<(), StoreError> {
        let _one_at_a_time = self.session.replacing.lock().await;
        if self.session.revision() == revision {
            self.replace().await?;
        }
        Ok(())
    }

    /// Writes the key at a new revision. A full etcd accepts no write, but a deletion, which ends
    /// the doubtful commits as well. A second doubt there waits for space: until then linear reads
    /// answer `Full`.
    async fn replace(&self) -> Result<(), StoreError> {
        let session = &self.session;
        let from = session.revision();
        let answer = match self.replace_by(session.put(), from).await {
            Err(Fault::Refused(StoreError::Full(_))) if from != 0 => {
                session.emptied.store(true, Ordering::Release);
                let key = session.key.clone();
                let delete = Request::Delete(DeleteRangeRequest { key });
                let deleted = self
                    .replace_by(delete, from)
                    .await
                    .map_err(Fault::of_read)?;
                if deleted.succeeded {
                    session.began_at(0);
                    return Ok(());
                }
                deleted
            }
            answer => answer.map_err(Fault::of_read)?,
        };
        if answer.succeeded {
            session.emptied.store(false, Ordering::Release);
            session.began_at(answer.header.revision);
            return Ok(());
        }
        self.adopt(answer)
    }

    async fn replace_by(&self, write: Request, from: i64) -> Result<TxnResponse, Fault> {
        let session = &self.session;
        let look = Request::Range(RangeRequest {
            key: session.key.clone(),
            ..RangeRequest::default()
        });
        let request = TxnRequest {
            compare: vec![session.holds(from), self.space_holds()],
            success: vec![write.into()],
            failure: vec![self.space.look_at_label(false), look.into()],
        };
        self.txn(request, Leader::Required, Repeat::Always).await
    }

    /// The key had another revision. If this session wrote it, by a request that seemed lost, that
    /// one counts.
    fn adopt(&self, answer: TxnResponse) -> Result<(), StoreError> {
        let mut found = answer.ranges();
        self.check_label(&found.next().unwrap_or_default().kvs)?;
        let session = &self.session;
        let emptied = session.emptied.load(Ordering::Acquire);
        match found.next().unwrap_or_default().kvs.first() {
            Some(pair) if pair.value == session.owner => {
                session.emptied.store(false, Ordering::Release);
                session.began_at(pair.mod_revision);
            }
            None if emptied => session.began_at(0),
            _ => {
                let agent = &self.members.options().agent;
                return Err(self.end(StoreError::Unavailable(format!(
                    "the session of agent '{agent}' was ended by another process"
                ))));
            }
        }
        Ok(())
    }
}
