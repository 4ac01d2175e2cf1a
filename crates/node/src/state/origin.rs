//! How this node opens the store of its cluster: the etcd that `store.json` names, and a replica.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Error, with_timeout};
use store::{
    ClusterOptions, ClusterStore, Connect, Endpoints, EtcdStore, Origin, Replica, SealedStore,
    SharedStore, StoreError,
};
use tracing::info;

use super::server::EtcdServer;
use super::{ANSWER_TIMEOUT, ASK_AGAIN, etcd_options};

/// How long an agent waits for etcd before it begins with its copy, which may lack the newest
/// changes. An etcd that is started with it answers within a second.
const FIRST_CONTACT: Duration = Duration::from_secs(2);

pub(super) struct EtcdOrigin {
    pub(super) server: Arc<EtcdServer>,
    /// Of the voters; they change with the members.
    pub(super) endpoints: Endpoints,
    pub(super) clock: Arc<dyn Clock>,
}

impl EtcdOrigin {
    /// Opens the store. Waits for etcd for a moment, and for longer if this node has no copy yet.
    pub(super) async fn open(self: &Arc<Self>) -> Result<SharedStore, Error> {
        let (host, clock) = (&self.server.host, &self.clock);
        let folder = self.server.paths.replica();
        host.create_dir(&folder, 0o700).await?;
        let replica = Replica::open_or_replace(folder.join("replica.db"), clock.clone())?;
        let first = match replica.standing() {
            Some(_) => {
                let first = with_timeout(&**clock, FIRST_CONTACT, self.first_contact()).await;
                first.and_then(Result::ok)
            }
            None => Some(self.first_contact().await?),
        };
        let options = ClusterOptions::default();
        let keys = self.server.certificates().sealing_keys().await?;
        let store = ClusterStore::open(replica, self.clone(), first, clock.clone(), options);
        Ok(Arc::new(SealedStore::new(Arc::new(store), keys)))
    }

    /// Connects to an etcd that may not answer yet.
    async fn first_contact(&self) -> Result<Arc<dyn Origin>, StoreError> {
        let begun = self.clock.monotonic();
        loop {
            match self.connect().await {
                Err(error) if self.clock.monotonic() - begun < ANSWER_TIMEOUT => {
                    info!(%error, "waiting for etcd");
                    self.clock.sleep(ASK_AGAIN).await;
                }
                answer => return answer,
            }
        }
    }
}

/// Reads the certificates each time: they may have changed.
#[async_trait]
impl Connect for EtcdOrigin {
    async fn connect(&self) -> Result<Arc<dyn Origin>, StoreError> {
        let options = etcd_options(&self.server, self.endpoints.clone()).await;
        let options = options.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let store = EtcdStore::connect(options, self.clock.clone()).await?;
        Ok(Arc::new(store))
    }
}
