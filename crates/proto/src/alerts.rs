//! Alerts, as agents tell them to each other, to their api and to callers.

use std::fmt;

use model::{GuestKind, NodeName, StorageId, UnixTime, VmId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How much an alert matters. In order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, and will not if this goes on or something else fails.
    Warning,
    /// Something does not work.
    Error,
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Cluster,
    Node(NodeName),
    Guest(GuestKind, VmId),
    Storage { node: NodeName, storage: StorageId },
}

impl Subject {
    /// Where rights on it are given.
    pub fn path(&self) -> String {
        match self {
            Self::Cluster => "/".to_owned(),
            Self::Node(name) => format!("/nodes/{name}"),
            Self::Guest(_, vmid) => format!("/vms/{vmid}"),
            Self::Storage { storage, .. } => format!("/storage/{storage}"),
        }
    }
}

impl fmt::Display for Subject {
    /// As lists name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Guest(kind, vmid) => write!(f, "{}/{vmid}", kind.as_str()),
            Self::Storage { node, storage } => write!(f, "storage/{node}/{storage}"),
        }
    }
}

/// What a node finds wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for as long as it is the same trouble: `storage-full/pve1/local`.
    pub id: String,
    pub severity: Severity,
    pub subject: Subject,
    pub since: UnixTime,
    /// What is wrong: one sentence.
    pub text: String,
    /// What to do: one sentence.
    pub advice: String,
}

/// That a user knows of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The user or token.
    pub by: String,
    pub at: UnixTime,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// An alert of the list of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAlert {
    /// The node that reports it.
    pub node: NodeName,
    pub alert: Alert,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledgement>,
}

impl OpenAlert {
    /// As callers see it.
    pub fn row(&self) -> Value {
        let Alert {
            id,
            severity,
            subject,
            since,
            text,
            advice,
        } = &self.alert;
        let mut row = json!({
            "id": id,
            "node": self.node,
            "severity": severity,
            "object": subject.to_string(),
            "since": since,
            "text": text,
            "advice": advice,
        });
        if let Some(acknowledged) = &self.acknowledged {
            row["acknowledged"] = json!(acknowledged);
        }
        row
    }
}
