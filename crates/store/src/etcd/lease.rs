//! Leases. etcd counts them in whole seconds, and gives one its full time again after a new leader
//! was elected, so it ends not before its time and sometimes much later.
//!
//! etcd before 3.5 may end one early when an old leader comes back; no safety rests on a lease
//! alone, see `Precondition::CreatedAt`.

use std::time::Duration;

use futures_util::{FutureExt, stream};

use super::commit::to_etcd;
use super::connection::{Connection, Leader};
use super::core::Core;
use super::fault::Fault;
use super::members::Repeat;
use super::message::{
    Done, LEASE_GRANT, LEASE_KEEP_ALIVE, LEASE_REVOKE, LeaseGrantRequest, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseRequest,
};
use crate::{LeaseId, StoreError};

/// The longest lease that etcd grants.
const TTL_MAX_S: u64 = 9_000_000_000;

impl Core {
    /// A grant whose answer is lost leaves a lease without keys, which ends by itself.
    pub(crate) async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.check_open()?;
        let whole = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let ttl_s = i64::try_from(whole.min(TTL_MAX_S)).unwrap_or(i64::MAX);
        let request = LeaseGrantRequest { ttl_s };
        let (leader, repeat) = (Leader::Required, Repeat::IfNothingHappened);
        let granted: LeaseGrantResponse = self
            .members
            .call(LEASE_GRANT, request, leader, repeat)
            .await
            .map_err(Fault::of_write)?;
        if granted.error.is_empty() {
            Ok(LeaseId(granted.id.cast_unsigned()))
        } else {
            Err(StoreError::Unavailable(granted.error))
        }
    }

    pub(crate) async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check_open()?;
        let id = to_etcd(lease);
        let renew = |connection: Connection| {
            let exchange = async move {
                let requests = stream::iter([LeaseRequest { id }]);
                let mut answers = connection
                    .stream(LEASE_KEEP_ALIVE, requests, Leader::Required)
                    .await?;
                connection.next(&mut answers).await
            };
            exchange.boxed()
        };
        let answer: LeaseKeepAliveResponse = self
            .members
            .ask(Repeat::Always, renew)
            .await
            .map_err(Fault::of_read)?;
        if answer.ttl_s > 0 {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }

    /// One whose answer is lost is sent again: a lease ends once.
    pub(crate) async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.check_open()?;
        let request = LeaseRequest { id: to_etcd(lease) };
        let (leader, repeat) = (Leader::Required, Repeat::Always);
        let done: Result<Done, _> = self
            .members
            .call(LEASE_REVOKE, request, leader, repeat)
            .await;
        match done {
            Ok(_) | Err(Fault::Refused(StoreError::LeaseLost)) => Ok(()),
            Err(fault) => Err(fault.of_read()),
        }
    }
}
