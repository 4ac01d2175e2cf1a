//! How much running guests may be promised: the cluster's policy, and a node's own.

use model::{Error, NodeName};
use planner::Policy;
use serde_json::Value;
use store::Key;

use crate::{Records, Settings};

/// Where the policy of the whole cluster is.
pub fn cluster_admission_key() -> Key {
    Key::new("cluster/admission").expect("a constant that is a key")
}

/// Where a node's own policy is.
pub fn node_admission_key(node: &NodeName) -> Key {
    Key::new(format!("node/{node}/admission")).expect("a node's name is a word of a key")
}

/// What is done about a guest that there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdmissionMode {
    /// Its start is refused.
    #[default]
    Refuse,
    /// It starts, with a warning in the task's log.
    Warn,
}

impl AdmissionMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Warn => "warn",
        }
    }
}

/// The policies that a node has, its own before the cluster's.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Policies {
    pub mode: AdmissionMode,
    pub memory: Policy,
    pub cpus: Policy,
}

impl Policies {
    /// Whether nothing is limited.
    pub fn is_open(&self) -> bool {
        let is_open = |policy: Policy| policy.ratio.is_none() && policy.reserve == 0;
        is_open(self.memory) && is_open(self.cpus)
    }

    fn of(cluster: &Settings, own: &Settings) -> Self {
        let value = |name: &str| own.options.get(name).or_else(|| cluster.options.get(name));
        let number = |name: &str| value(name).and_then(Value::as_f64);
        let count = |name: &str| value(name).and_then(Value::as_u64).unwrap_or(0);
        Self {
            mode: match value("mode").and_then(Value::as_str) {
                Some("warn") => AdmissionMode::Warn,
                _ => AdmissionMode::Refuse,
            },
            memory: Policy {
                ratio: number("memory-ratio"),
                reserve: count("memory-reserve") << 20,
            },
            cpus: Policy {
                ratio: number("cpu-ratio"),
                reserve: count("cpu-reserve"),
            },
        }
    }
}

impl Records {
    pub(super) async fn admission_policies(&self, node: &NodeName) -> Result<Policies, Error> {
        let cluster = self.settings(&cluster_admission_key()).await?;
        let own = self.settings(&node_admission_key(node)).await?;
        Ok(Policies::of(&cluster, &own))
    }
}
