//! The index for a caller that asks once and ends: the command line.

use model::Error;
use model::schema::Values;
use proto::wire::{Answer, Client};
use proto::{Identity, Row};

use super::{Content, Index};

impl Index {
    /// Follows the agent until the first snapshot and the first status are there, and then no
    /// longer. Waits for as long as that takes; fails when the agent cannot be reached.
    pub async fn load(&self, client: &Client) -> Result<(), Error> {
        tokio::select! {
            Err(error) = self.follow_once(client) => Err(error),
            () = self.ready() => Ok(()),
        }
    }

    async fn ready(&self) {
        let is_ready =
            || self.follower().copy.is_some() && self.observed().names().next().is_some();
        self.until(is_ready).await;
    }

    /// Checks whether a caller may have a row's answer, and answers.
    pub fn ask(&self, row: &Row, who: &Identity, params: &Values) -> Result<Answer, Error> {
        self.check(row, who, params)?;
        match self.answer(row, who, params)? {
            Content::Answer(answer) => Ok(answer),
            Content::Json(text) => serde_json::from_slice(&text)
                .map(|data: serde_json::Value| Answer::new(data))
                .map_err(|error| Error::bug(format!("an answer of the index: {error}"))),
        }
    }
}
