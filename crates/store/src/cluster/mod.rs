//! The store of a cluster as its nodes use it: etcd, and the node's replica while no majority of
//! etcd answers.
//!
//! ```text
//!   linear reads, commits, leases ──► origin (etcd) ── lost: NoQuorum at once
//!   local reads ────────────────────► origin ── slow or lost: the replica
//!   watches ────────────────────────► origin ── lost: wait, and go on where they were
//!   keep ── connects ── Replica::follow ── judge: does the origin answer?
//! ```
//!
//! **Invariants.** No call waits for a lost origin: it is asked by `judge` alone, until it answers
//! again. A local read gives the newest state while there is a majority, and sees every commit of
//! this handle until the loss is certain. The handle needs no origin to be opened, only a replica
//! with a copy; its users never change it.

mod contact;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{Clock, with_timeout};
use tokio::task::AbortHandle;

use self::contact::{Shared, is_out_of_reach};
use self::watch::ClusterWatch;
use crate::{
    Commit, Entry, Key, LeaseId, Outage, Page, PageToken, Prefix, Read, Replica, Revision,
    Standing, Store, StoreError, Watch, check,
};

/// The store that a cluster's state is in.
pub trait Origin: Store {
    /// Two stores with the same revisions and different ids are different stores.
    fn id(&self) -> String;

    /// The member that is used does not answer: another one is used from now on.
    fn avoid_member(&self) {}
}

/// How the origin is found; also after it was replaced.
#[async_trait]
pub trait Connect: Send + Sync + 'static {
    /// Opens the origin. Any error is retried.
    async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError>;
}

/// Times of a cluster's store. `ClusterOptions::default` has the usual ones.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How long a call may take before it is asked whether the origin answers at all.
    pub slow: Duration,
    /// How long a member may take to answer that question, before another one is asked.
    pub probe_timeout: Duration,
    /// How long the origin may stay silent before it counts as lost. Longer than the election of a
    /// leader takes (1 to 2 s): calls wait for that.
    pub loss: Duration,
    /// The pause before the origin is asked again.
    pub pause: Duration,
    /// How old the last contact may become before the origin is asked without another reason. Longer
    /// than the replica's `probe_interval`.
    pub idle: Duration,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            slow: Duration::from_millis(400),
            probe_timeout: Duration::from_millis(700),
            loss: Duration::from_secs(3),
            pause: Duration::from_millis(200),
            idle: Duration::from_secs(7),
        }
    }
}

/// How often a call that certainly had no effect is sent again.
const REPEATS: usize = 3;

/// See the module. Dropping it ends its watches.
pub struct ClusterStore {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

impl ClusterStore {
    /// Opens the store. `first` is the origin if it is open already; without it, and while it is
    /// not connected, there is an outage. A replica without a copy answers nothing meanwhile.
    pub fn open(
        replica: Replica,
        connect: Arc<dyn Connect>,
        first: Option<Arc<dyn Origin>>,
        clock: Arc<dyn Clock>,
        options: ClusterOptions,
    ) -> Self {
        let shared = Arc::new(Shared::new(replica, first.clone(), clock, options));
        let keeper = tokio::spawn(Arc::clone(&shared).keep(connect, first));
        Self {
            keeper: keeper.abort_handle(),
            shared,
        }
    }

    /// Asks the origin, and again if it did not answer. For calls that may be repeated.
    async fn ask<T>(&self, call: impl Call<T>) -> Result<T, StoreError> {
        let (mut patience, mut repeats) = (self.shared.options.slow, 0);
        loop {
            let asked = call(self.shared.origin()?);
            match with_timeout(&*self.shared.clock, patience, asked).await {
                Some(Err(error)) if is_out_of_reach(&error) && repeats < REPEATS => repeats += 1,
                Some(answer) => return self.shared.heard(answer),
                // The member that was asked may be the only silent one. A call that takes long
                // gets more time.
                None => patience *= 2,
            }
            self.shared.decided().await?;
        }
    }

    /// Has the origin change something. `Unknown` if it is lost before it has answered.
    async fn change<T>(&self, call: impl Call<T>) -> Result<T, StoreError> {
        let mut repeats = 0;
        loop {
            let answer = tokio::select! {
                answer = call(self.shared.origin()?) => answer,
                () = self.shared.lost_meanwhile() => {
                    let text = "no majority of the cluster has confirmed it";
                    return Err(StoreError::Unknown(text.to_owned()));
                }
            };
            match answer {
                Err(error) if is_out_of_reach(&error) && repeats < REPEATS => repeats += 1,
                answer => return self.shared.heard(answer),
            }
            self.shared.decided().await?;
        }
    }

    /// Reads the newest state that can be had soon: of the origin, or of the replica.
    async fn newest<T>(
        &self,
        call: impl Call<T>,
        own: impl Future<Output = Result<(T, Standing), StoreError>>,
    ) -> Result<T, StoreError> {
        let shared = &self.shared;
        if let Some(origin) = shared.present_origin() {
            match with_timeout(&*shared.clock, shared.options.slow, call(origin)).await {
                Some(Err(error)) if is_out_of_reach(&error) => {}
                Some(answer) => return shared.heard(answer),
                None => {}
            }
            shared.doubt();
        }
        if shared.replica.standing().is_none() {
            return self.ask(call).await;
        }
        shared.catch_up().await;
        own.await.map(|(found, _)| found)
    }
}

impl Drop for ClusterStore {
    fn drop(&mut self) {
        self.keeper.abort();
        self.shared.close();
    }
}

/// A call to the origin that can be made again.
trait Call<T>: Fn(Arc<dyn Origin>) -> BoxFuture<'static, Result<T, StoreError>> + Send + Sync {}

impl<T, F> Call<T> for F where
    F: Fn(Arc<dyn Origin>) -> BoxFuture<'static, Result<T, StoreError>> + Send + Sync
{
}

#[async_trait]
impl Store for ClusterStore {
    async fn get(&self, key: &Key, read: Read) -> Result<(Option<Entry>, Revision), StoreError> {
        let call = |origin: Arc<dyn Origin>| {
            let key = key.clone();
            async move { origin.get(&key, Read::Linear).await }.boxed()
        };
        if read == Read::Linear {
            return self.ask(call).await;
        }
        let own = async {
            let (entry, standing) = self.shared.replica.get(key).await?;
            Ok(((entry, standing.revision), standing))
        };
        self.newest(call, own).await
    }

    async fn list(
        &self,
        prefix: &Prefix,
        from: Option<PageToken>,
        read: Read,
    ) -> Result<Page, StoreError> {
        let call = |origin: Arc<dyn Origin>| {
            let (prefix, from) = (prefix.clone(), from.clone());
            async move { origin.list(&prefix, from, Read::Linear).await }.boxed()
        };
        if read == Read::Linear {
            return self.ask(call).await;
        }
        let own = self.shared.replica.page(prefix, from.clone());
        self.newest(call, own).await
    }

    async fn commit(&self, commit: Commit) -> Result<Revision, StoreError> {
        check::commit(&commit)?;
        let call = |origin: Arc<dyn Origin>| {
            let commit = commit.clone();
            async move { origin.commit(commit).await }.boxed()
        };
        let revision = self.change(call).await?;
        self.shared.committed(revision);
        Ok(revision)
    }

    async fn watch(&self, prefix: &Prefix, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        let mut watch = ClusterWatch::new(&self.shared, prefix.clone(), after);
        watch.begin().await?;
        Ok(Box::new(watch))
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let call = |origin: Arc<dyn Origin>| async move { origin.grant(ttl).await }.boxed();
        self.change(call).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<(), StoreError> {
        let call = |origin: Arc<dyn Origin>| async move { origin.renew(lease).await }.boxed();
        self.ask(call).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let call = |origin: Arc<dyn Origin>| async move { origin.revoke(lease).await }.boxed();
        self.ask(call).await
    }

    fn outage(&self) -> Option<Outage> {
        self.shared.outage()
    }

    /// None before the first copy is complete.
    fn copy(&self) -> Option<Standing> {
        self.shared.replica.standing()
    }

    async fn until_outage(&self, is_out: bool) {
        let mut link = self.shared.link.subscribe();
        // The sender is in `self`.
        let _ = link.wait_for(|link| link.is_lost() == is_out).await;
    }
}
