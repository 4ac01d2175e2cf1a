//! What one node asks another one before a guest moves. It changes nothing, so that it needs neither a
//! task nor a claim, and it is about no guest.

use std::collections::BTreeSet;

use guest::qemu::Accel;
use ipnet::IpNet;
use model::schema::Values;
use model::{Error, NodeName, VmId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Proof;
use super::ask::{OP, read};
use super::remote::named;
use crate::NodeContext;
use crate::host::interfaces::address_in;

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
    /// What does this proof say there? Answered by its text, or null.
    Proof(Proof),
    /// Which of these bridges are missing there?
    Bridges(BTreeSet<String>),
    /// Its address in this network.
    Address(IpNet),
    /// Why has it no room for this guest? Answered by the reason, or null.
    Room(VmId),
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
            Ok(look) => self.look_here(look).await,
            Err(error) => Err(error),
        })
    }

    async fn look_here(&self, look: Look) -> Result<Value, Error> {
        Ok(match look {
            Look::Processor { accel } => json!(self.cpu_abilities(accel).await?),
            Look::Proof(proof) => json!(proof.read(self).await?),
            Look::Bridges(names) => json!(network::missing_bridges(&*self.host, &names).await?),
            Look::Room(vmid) => json!(self.room_for_arrival(vmid).await?),
            Look::Address(network) => {
                let address = address_in(&self.host, &network).await?;
                let text = format!(
                    "could not get migration ip: no IP address configured on local node for network \
                     '{network}'"
                );
                json!(address.ok_or_else(|| Error::unavailable(text))?)
            }
        })
    }
}
