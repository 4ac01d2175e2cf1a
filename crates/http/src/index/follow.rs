//! Keeps the index up to date with the agent.

use std::convert::Infallible;
use std::time::Duration;

use auth::{Access, keys};
use model::Error;
use proto::wire::Client;
use store::remote::FeedMessage;
use store::{Read, Store};
use tracing::{info, warn};

use super::Index;

/// How long to wait before connecting again.
const RECONNECT_MS: u64 = 200;

impl Index {
    /// Follows the agent for as long as the api lives. Never returns.
    pub async fn follow(&self, client: &Client) -> Infallible {
        tokio::select! {
            never = self.feed(client) => never,
            never = self.follow_access() => never,
        }
    }

    async fn feed(&self, client: &Client) -> Infallible {
        loop {
            let Err(error) = self.feed_once(client).await;
            warn!(%error, "not connected to the node agent");
            self.clock.sleep(Duration::from_millis(RECONNECT_MS)).await;
        }
    }

    async fn feed_once(&self, client: &Client) -> Result<Infallible, Error> {
        let mut feed = client.watch().await?;
        let mut feeder = self.copy.feeder();
        info!("connected to the node agent");
        loop {
            let message: FeedMessage = serde_json::from_value(feed.next().await?)
                .map_err(|error| Error::bug(format!("a message of the feed: {error}")))?;
            feeder
                .accept(message)
                .map_err(|error| Error::bug(error.to_string()))?;
        }
    }

    async fn follow_access(&self) -> Infallible {
        loop {
            let Err(error) = self.follow_access_once().await;
            // Before the first snapshot, or between two.
            tracing::debug!(%error, "rights");
            self.clock.sleep(Duration::from_millis(RECONNECT_MS)).await;
        }
    }

    async fn follow_access_once(&self) -> Result<Infallible, store::StoreError> {
        let mut access = Access::load(&self.copy, Read::Local).await?;
        let mut watch = self.copy.watch(&keys::all(), access.revision()).await?;
        loop {
            self.set_access(access.clone());
            access.apply(&watch.next().await?);
        }
    }
}
