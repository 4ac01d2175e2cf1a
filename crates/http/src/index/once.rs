//! The index for a caller that asks once and ends: the command line.

use model::Error;
use model::schema::Values;
use proto::wire::{Answer, Client};
use proto::{Identity, Row};

use super::snapshot::Snapshot;
use super::{Content, Index};

impl Index {
    /// Follows the agent until the first snapshot and the first status are there, and then no
    /// longer. Waits for as long as that takes; fails when the agent cannot be reached.
    pub async fn load(&self, client: &Client) -> Result<(), Error> {
        tokio::select! {
            Err(error) = self.follow_once(client) => Err(error),
            () = self.until(Snapshot::is_ready) => Ok(()),
        }
    }

    /// Checks whether a caller may have a row's answer, and answers.
    pub fn ask(&self, row: &Row, who: &Identity, params: &Values) -> Result<Answer, Error> {
        self.check(row, who, params)?;
        let mut answer = match self.answer(row, who, params)? {
            Content::Answer(answer) => answer,
            Content::Json(text) => parsed(&text)?,
            Content::List(list) => parsed(&list.text())?,
        };
        answer.age_s = self.age_s();
        Ok(answer)
    }
}

fn parsed(text: &[u8]) -> Result<Answer, Error> {
    serde_json::from_slice(text)
        .map(|data: serde_json::Value| Answer::new(data))
        .map_err(|error| Error::bug(format!("an answer of the index: {error}")))
}
