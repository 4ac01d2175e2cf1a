//! Whether this node has room for one more guest (docs/admission.md).
//!
//! Running guests are counted by their scopes, and those that are on their way by what they have
//! reserved: two starts at the same time do not get the same memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Error, GuestRecord, NodeName, VmId};
use planner::{Demand, Policy, Room};
use proto::GuestFigures;
use serde_json::Value;
use store::Key;

use crate::host::facts::Facts;
use crate::{NodeContext, Records, Settings};

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
    async fn admission_policies(&self, node: &NodeName) -> Result<Policies, Error> {
        let cluster = self.settings(&cluster_admission_key()).await?;
        let own = self.settings(&node_admission_key(node)).await?;
        Ok(Policies::of(&cluster, &own))
    }
}

/// What a node has, and what of it is promised.
#[derive(Debug, Clone, Copy)]
pub struct Rooms {
    pub mode: AdmissionMode,
    pub memory: Room,
    pub cpus: Room,
    /// How many guests run, or are being started.
    pub guests: usize,
}

impl Rooms {
    /// Why a guest has no room, in words.
    pub fn shortage(&self, demand: Demand) -> Option<String> {
        if let Err(shortage) = self.memory.check(demand.memory) {
            return Some(format!("not enough memory: {}", shortage.of_memory()));
        }
        let shortage = self.cpus.check(demand.cpus).err()?;
        Some(format!("not enough CPUs: {}", shortage.of_cpus()))
    }
}

/// What guests that are being started have reserved.
#[derive(Default)]
pub(crate) struct Admissions {
    /// One guest is admitted at a time.
    deciding: tokio::sync::Mutex<()>,
    reserved: Arc<Mutex<BTreeMap<VmId, Demand>>>,
}

impl Admissions {
    fn reserved(&self) -> BTreeMap<VmId, Demand> {
        let reserved = self.reserved.lock();
        reserved.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn reserve(&self, vmid: VmId, demand: Demand) -> Reservation {
        let all = Arc::clone(&self.reserved);
        let mut reserved = all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.insert(vmid, demand);
        drop(reserved);
        Reservation { vmid, all }
    }
}

/// Room that a guest has until it runs. Ends with this value.
pub(crate) struct Reservation {
    vmid: VmId,
    all: Arc<Mutex<BTreeMap<VmId, Demand>>>,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reservation({})", self.vmid)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.remove(&self.vmid);
    }
}

/// What a guest gets, and what is wrong with that where it is let in nevertheless.
pub(crate) struct Admitted {
    pub(crate) reservation: Reservation,
    pub(crate) warning: Option<String>,
}

impl NodeContext {
    /// What a guest is promised; a container without a limit gets all processors.
    pub async fn demand(&self, guest: &GuestRecord) -> Demand {
        let figures = GuestFigures::of(guest);
        let cpus = match figures.cpus {
            0 => Facts::new(self.host.clone()).processors().await.cpus,
            cpus => cpus,
        };
        Demand {
            memory: figures.memory,
            cpus: cpus.into(),
        }
    }

    /// The room of this node beside one guest, which does not count itself.
    pub async fn rooms(&self, beside: Option<VmId>) -> Result<Rooms, Error> {
        // Local reads: what runs here can be said without a majority.
        let records = self.records.local();
        let policies = records.admission_policies(&self.name).await?;
        let mut demands = self.admissions.reserved();
        for vmid in self
            .host
            .scopes()
            .await?
            .iter()
            .filter_map(|scope| scope.vmid())
        {
            if demands.contains_key(&vmid) || !self.running.is_running(vmid).await? {
                continue;
            }
            // One that is on its way here has another owner yet.
            if let Some(entry) = records.find(vmid).await? {
                demands.insert(vmid, self.demand(&entry.record.data).await);
            }
        }
        demands.retain(|vmid, _| beside != Some(*vmid));
        let guests = demands.len();
        let committed: Demand = demands.into_values().sum();
        let facts = Facts::new(self.host.clone());
        let room = |total, policy, committed| Room {
            total,
            policy,
            committed,
        };
        let cpus = u64::from(facts.processors().await.cpus);
        Ok(Rooms {
            mode: policies.mode,
            memory: room(
                facts.memory().await.total,
                policies.memory,
                committed.memory,
            ),
            cpus: room(cpus, policies.cpus, committed.cpus),
            guests,
        })
    }

    /// Why a guest that does not run would not be let in; nothing if it would.
    pub(crate) async fn why_no_room(
        &self,
        vmid: VmId,
        demand: Demand,
    ) -> Result<Option<String>, Error> {
        let policies = self.records.admission_policies(&self.name).await?;
        if policies.is_open() || policies.mode == AdmissionMode::Warn {
            return Ok(None);
        }
        Ok(self.rooms(Some(vmid)).await?.shortage(demand))
    }

    /// The same for a guest of another node that may come.
    pub(crate) async fn room_for_arrival(&self, vmid: VmId) -> Result<Option<String>, Error> {
        match self.records.find(vmid).await? {
            None => Ok(None),
            Some(entry) => {
                let demand = self.demand(&entry.record.data).await;
                self.why_no_room(vmid, demand).await
            }
        }
    }

    /// Reserves room for a guest that is about to start, or refuses it.
    pub(crate) async fn admit(&self, guest: &GuestRecord) -> Result<Admitted, Error> {
        let vmid = guest.vmid;
        let demand = self.demand(guest).await;
        let _deciding = self.admissions.deciding.lock().await;
        let policies = self.records.admission_policies(&self.name).await?;
        let shortage = match policies.is_open() {
            true => None,
            false => self.rooms(Some(vmid)).await?.shortage(demand),
        };
        let warning = match (policies.mode, shortage) {
            (AdmissionMode::Refuse, Some(why)) => return Err(Error::unavailable(why)),
            (_, shortage) => shortage,
        };
        Ok(Admitted {
            reservation: self.admissions.reserve(vmid, demand),
            warning,
        })
    }
}
