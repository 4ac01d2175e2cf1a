//! Examines a cluster: what was measured, what follows from it, and what to do.
//!
//! ```text
//!   each node: examine ── its own quorum, etcd, links, certificates, names, and its facts
//!   the one that was asked: compare ── the facts of all nodes with each other
//! ```
//!
//! Nothing is changed, but for a key of etcd that is no part of the state.

pub(crate) mod certificates;
mod compare;
mod cpu;
mod etcd;
mod links;
mod names;
mod quorum;

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, future::BoxFuture};
use model::{Error, NodeName, with_timeout};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use compare::compare;

use crate::NodeContext;

/// How much a finding matters. In order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Ok,
    /// It works, and will not if something else fails too.
    Warning,
    /// Something does not work.
    Error,
}

/// What was found at a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub node: NodeName,
    /// `etcd`, `clock`, …
    pub check: String,
    pub level: Level,
    /// What was measured.
    pub found: String,
    /// What follows from it; empty if all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub means: String,
    /// What an administrator should do; empty if all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// The measured value, for a comparison with other nodes.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

impl Finding {
    fn of(node: &NodeName, check: &str, found: impl Into<String>) -> Self {
        Self {
            node: node.clone(),
            check: check.to_owned(),
            level: Level::Ok,
            found: found.into(),
            means: String::new(),
            advice: String::new(),
            value: Value::Null,
        }
    }

    fn valued(mut self, value: impl Into<Value>) -> Self {
        self.value = value.into();
        self
    }

    fn warns(self, means: impl Into<String>, advice: impl Into<String>) -> Self {
        self.at(Level::Warning, means, advice)
    }

    fn fails(self, means: impl Into<String>, advice: impl Into<String>) -> Self {
        self.at(Level::Error, means, advice)
    }

    fn at(mut self, level: Level, means: impl Into<String>, advice: impl Into<String>) -> Self {
        (self.level, self.means, self.advice) = (level, means.into(), advice.into());
        self
    }
}

/// How long one check may take. A node that is asked by another one has 2 s for all of them.
const PATIENCE: Duration = Duration::from_millis(1500);

type Check<'a> = (&'static str, BoxFuture<'a, Result<Vec<Finding>, Error>>);

/// Examines this node.
pub async fn examine(node: &NodeContext) -> Vec<Finding> {
    let checks: [Check<'_>; 7] = [
        ("quorum", quorum::check(node).boxed()),
        ("etcd", etcd::check(node).boxed()),
        ("links", links::check(node).boxed()),
        ("certificates", certificates::check(node).boxed()),
        ("names", names::check(node).boxed()),
        ("cpu", cpu::check(node).boxed()),
        ("facts", compare::facts(node).boxed()),
    ];
    let checks = checks.map(|(name, check)| async move {
        let checked = with_timeout(&*node.clock, PATIENCE, check).await;
        let late = || Error::unavailable(format!("no answer in {PATIENCE:?}"));
        let checked = checked.unwrap_or_else(|| Err(late()));
        checked.unwrap_or_else(|error| {
            let finding = Finding::of(&node.name, name, error.to_string());
            vec![finding.fails(
                "this was not examined",
                "look at the agent's log on this node",
            )]
        })
    });
    join_all(checks).await.concat()
}
