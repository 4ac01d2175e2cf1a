//! Keeps the index up to date with the agent.

use std::convert::Infallible;
use std::time::Duration;

use model::Error;
use proto::status::WatchMessage;
use proto::wire::Client;
use store::remote::FeedMessage;
use tracing::{info, warn};

use super::Index;

/// How long to wait before connecting again.
const RECONNECT_MS: u64 = 200;

impl Index {
    /// Follows the agent for as long as the api lives. Never returns.
    pub async fn follow(&self, client: &Client) -> Infallible {
        loop {
            let Err(error) = self.follow_once(client).await;
            warn!(%error, "not connected to the node agent");
            self.clock.sleep(Duration::from_millis(RECONNECT_MS)).await;
        }
    }

    /// Follows one connection until it breaks.
    pub(super) async fn follow_once(&self, client: &Client) -> Result<Infallible, Error> {
        let mut feed = client.watch().await?;
        self.writer().reconnect();
        info!("connected to the node agent");
        loop {
            let message: WatchMessage<FeedMessage> = serde_json::from_value(feed.next().await?)
                .map_err(|error| Error::bug(format!("a message of the feed: {error}")))?;
            self.accept(message)?;
        }
    }

    /// Takes the next message of a connection.
    pub(super) fn accept(&self, message: WatchMessage<FeedMessage>) -> Result<(), Error> {
        let mut writer = self.writer();
        match message {
            WatchMessage::Store(message) => writer
                .take_store(message)
                .map_err(|error| Error::bug(error.to_string()))?,
            WatchMessage::Status(update) => writer.take_status(update, self.clock.monotonic()),
            WatchMessage::Alerts(alerts) => writer.take_alerts(alerts),
            WatchMessage::Outage(age_s) => writer.take_outage(age_s, self.clock.monotonic()),
        }
        self.publish(&writer);
        Ok(())
    }
}
