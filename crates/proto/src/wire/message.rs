//! What is asked and answered.

use model::Error;
use model::schema::Values;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Credential, Identity};

/// An operation that somebody wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The row's name. Unknown names are refused: both sides need not be of one version.
    pub op: String,
    /// Checked and typed by the caller, and again by the agent, which trusts nobody.
    pub params: Values,
    pub credential: Credential,
    /// Chosen by the caller. A submit that is repeated with the same id gets the same UPID.
    pub id: String,
    /// Where the caller called from, for the log and the limit on failed logins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// What an operation answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub data: Value,
    /// How many there are in all, where `data` is a part of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The revision of the change that the operation made: whoever answers from a copy of the
    /// store answers only once the copy has reached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

impl Answer {
    pub fn new(data: impl Into<Value>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// For operations that answer nothing.
    pub fn null() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn at(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    #[must_use]
    pub fn total(mut self, total: u64) -> Self {
        self.total = Some(total);
        self
    }
}

/// What a frame from a client says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Call or submit: which of the two, the row says.
    Do(Request),
    /// An operation whose answer comes with a descriptor.
    Stream(Request),
    /// Who is this? Answered by `Reply::Identity`.
    Verify {
        credential: Credential,
        address: Option<String>,
    },
    /// Everything a copy needs: the store without its secrets, and the guests' status.
    Watch,
    /// The answer to the ask of this frame's id is not waited for any more. Not answered.
    Cancel,
}

/// What a frame from the agent says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Answer(Answer),
    Identity(Identity),
    /// One message of a watch; what is in it is between feeder and copy.
    Feed(Value),
    Error(Error),
}
