//! The members of etcd itself: who votes, and who may no longer write.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;

use super::EtcdOptions;
use super::connection::Leader;
use super::fault::Fault;
use super::members::{Members, Repeat};
use super::message::{
    DeleteRangeRequest, MEMBER_ADD, MEMBER_LIST, MEMBER_PROMOTE, MEMBER_REMOVE, MemberAddRequest,
    MemberListRequest, MemberListResponse, MemberMessage, MemberRequest, Request, TXN, TxnRequest,
    TxnResponse,
};
use super::space::Names;
use crate::StoreError;

/// A member of etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdMember {
    pub id: u64,
    /// Empty until it has started for the first time.
    pub name: String,
    /// Where the other members reach it.
    pub peer_url: String,
    /// It has a copy, and no vote.
    pub is_learner: bool,
}

/// Changes the members of an etcd. Needs a majority; every method may be repeated.
pub struct EtcdVoters {
    members: Members,
    clock: Arc<dyn Clock>,
}

/// etcd refuses changes until its members have been connected for 5 s.
const SETTLING: Duration = Duration::from_secs(8);
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl EtcdVoters {
    pub fn new(options: EtcdOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        options.check()?;
        Ok(Self {
            members: Members::new(options, Arc::clone(&clock)),
            clock,
        })
    }

    pub async fn list(&self) -> Result<Vec<EtcdMember>, StoreError> {
        let request = MemberListRequest { linearizable: true };
        let listed: Result<MemberListResponse, Fault> = self
            .members
            .call(MEMBER_LIST, request, Leader::Required, Repeat::Always)
            .await;
        let listed = listed.map_err(Fault::of_read)?.members;
        Ok(listed.into_iter().map(EtcdMember::from).collect())
    }

    /// Adds a member without a vote, and returns it. etcd has room for one at a time.
    pub async fn add_learner(&self, peer_url: &str) -> Result<EtcdMember, StoreError> {
        let there = async || {
            let listed = self.list().await?;
            let added = listed
                .into_iter()
                .find(|member| member.peer_url == peer_url);
            Ok::<_, StoreError>(added)
        };
        if let Some(member) = there().await? {
            return Ok(member);
        }
        let request = MemberAddRequest {
            peer_urls: vec![peer_url.to_owned()],
            is_learner: true,
        };
        self.change(MEMBER_ADD, request).await?;
        let missing = || StoreError::Unavailable("etcd does not list its new member".to_owned());
        there().await?.ok_or_else(missing)
    }

    /// Gives a learner its vote. `Unavailable` while it is behind the others.
    pub async fn promote(&self, id: u64) -> Result<(), StoreError> {
        let listed = self.list().await?;
        match listed.iter().find(|member| member.id == id) {
            Some(member) if !member.is_learner => Ok(()),
            _ => self.change(MEMBER_PROMOTE, MemberRequest { id }).await,
        }
    }

    /// Removes a member for good: it is refused by the others, also when it comes back.
    pub async fn remove(&self, id: u64) -> Result<(), StoreError> {
        let listed = self.list().await?;
        match listed.iter().any(|member| member.id == id) {
            true => self.change(MEMBER_REMOVE, MemberRequest { id }).await,
            false => Ok(()),
        }
    }

    /// Ends the session of an agent: its open store writes nothing from now on. It can begin another
    /// one if its certificate still opens etcd.
    pub async fn end_session(&self, agent: &str) -> Result<(), StoreError> {
        let key = Names::new(&self.members.options().namespace).session(agent);
        let delete = Request::Delete(DeleteRangeRequest { key });
        let request = TxnRequest {
            success: vec![delete.into()],
            ..TxnRequest::default()
        };
        let ended: Result<TxnResponse, Fault> = self
            .members
            .call(TXN, request, Leader::Required, Repeat::Always)
            .await;
        ended.map(drop).map_err(Fault::of_read)
    }

    async fn change<Q>(&self, path: &'static str, request: Q) -> Result<(), StoreError>
    where
        Q: prost::Message + Clone + Sync + 'static,
    {
        let begun = self.clock.monotonic();
        loop {
            let (leader, repeat) = (Leader::Required, Repeat::IfNothingHappened);
            let call = self.members.call(path, request.clone(), leader, repeat);
            let changed: Result<MemberListResponse, Fault> = call.await;
            match changed {
                Err(Fault::Unhealthy) if self.clock.monotonic() - begun < SETTLING => {
                    self.clock.sleep(ASK_AGAIN).await;
                }
                changed => return changed.map(drop).map_err(Fault::of_write),
            }
        }
    }
}

impl From<MemberMessage> for EtcdMember {
    fn from(message: MemberMessage) -> Self {
        Self {
            id: message.id,
            name: message.name,
            peer_url: message.peer_urls.into_iter().next().unwrap_or_default(),
            is_learner: message.is_learner,
        }
    }
}
