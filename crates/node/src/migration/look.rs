//! What one node asks another one before a guest moves. It changes nothing, so that it needs neither a
//! task nor a claim, and it is about no guest.

use guest::qemu::Accel;
use model::schema::Values;
use model::{Error, NodeName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::{OP, read};
use super::remote::named;
use crate::NodeContext;

/// The parameter that such a request has instead of a guest and a task.
const LOOK: &str = "look";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Look {
    /// What can a guest's processor have there? Answered by `CpuAbilities`.
    Processor {
        /// None: the one that the node uses where a guest does not refuse it.
        accel: Option<Accel>,
    },
}

impl NodeContext {
    pub(crate) async fn look<T: DeserializeOwned>(
        &self,
        target: &NodeName,
        look: Look,
    ) -> Result<T, Error> {
        let params = Values::from_iter([(LOOK.to_owned(), json!(look))]);
        let asked = self.cluster.agents.ask(target, OP, params).await;
        read(asked.map_err(|error| named(target, error))?)
    }

    /// None for a request that is about a guest.
    pub(super) async fn answer_look(&self, params: &Values) -> Option<Result<Value, Error>> {
        let look = params.get(LOOK)?;
        Some(match read(look.clone()) {
            Ok(Look::Processor { accel }) => self.cpu_abilities(accel).await.map(|cpu| json!(cpu)),
            Err(error) => Err(error),
        })
    }
}
