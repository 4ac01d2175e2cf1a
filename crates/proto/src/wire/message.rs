//! Requests and answers.

use model::Error;
use model::schema::Values;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Credential, Identity};

/// A request for an operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// The row's name. Unknown names are refused: the two sides may have different versions.
    pub op: String,
    /// Checked and typed by the caller, and again by the agent, which trusts no caller.
    pub params: Values,
    pub credential: Credential,
    /// Chosen by the caller. A submit that is repeated with the same id gets the same UPID.
    pub id: String,
    /// The client's address, for the log and the limit on failed logins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The answer of an operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub data: Value,
    /// The total number if `data` is a part of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The revision of the operation's change. A server that answers from a copy of the store
    /// answers only once the copy has reached it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Without quorum: how old the state is that the answer was made from, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
}

impl Answer {
    pub fn new(data: impl Into<Value>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// For operations without an answer.
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

/// A message from the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Call or submit, as the row says.
    Do(Request),
    /// An operation whose answer comes with a descriptor.
    Stream(Request),
    /// Verify a credential. Answered by `Reply::Identity`.
    Verify {
        credential: Credential,
        address: Option<String>,
    },
    /// Everything for a copy: the store without its secrets, and the status of guests.
    Watch,
    /// Cancels the request with this frame's id. Not answered.
    Cancel,
}

/// A message from the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Answer(Answer),
    /// The answer of a stream whose bytes follow on the connection: those of a file that is filled,
    /// or both ways.
    Carried {
        answer: Answer,
        is_file: bool,
    },
    Identity(Identity),
    /// One message of a watch; only feeder and copy know its content.
    Feed(Value),
    Error(Error),
}
