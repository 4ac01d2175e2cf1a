//! What this node has, what of it is promised, and whom that lets in.
//!
//! Running guests are counted by their scopes, and those that are on their way by what they have
//! reserved.

use model::{Error, GuestRecord, VmId};
use planner::{Demand, Room};
use proto::GuestFigures;

use super::{AdmissionMode, Policies};
use crate::NodeContext;
use crate::guests::reserved::Reservation;
use crate::host::facts::Facts;

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

/// What a guest gets, and what is wrong with that where it is let in nevertheless.
pub(crate) struct Admitted {
    pub(crate) reservation: Reservation<Demand>,
    pub(crate) warning: Option<String>,
}

fn demand(guest: &GuestRecord, all_cpus: u64) -> Demand {
    let figures = GuestFigures::of(guest);
    Demand {
        memory: figures.memory,
        cpus: match figures.cpus {
            0 => all_cpus,
            cpus => cpus.into(),
        },
    }
}

impl NodeContext {
    /// What a guest is promised; a container without a limit gets all processors.
    pub async fn demand(&self, guest: &GuestRecord) -> Demand {
        demand(guest, self.all_cpus().await)
    }

    async fn all_cpus(&self) -> u64 {
        let processors = Facts::new(self.host.clone()).processors().await;
        processors.cpus.into()
    }

    /// The room of this node beside one guest, which does not count itself.
    pub async fn rooms(&self, beside: Option<VmId>) -> Result<Rooms, Error> {
        let policies = self.admission_policies().await?;
        self.rooms_by(&policies, beside).await
    }

    /// Read here: what this node has can be said without a majority.
    async fn admission_policies(&self) -> Result<Policies, Error> {
        self.records.local().admission_policies(&self.name).await
    }

    async fn rooms_by(&self, policies: &Policies, beside: Option<VmId>) -> Result<Rooms, Error> {
        let all_cpus = self.all_cpus().await;
        let mut demands = self.admissions.all();
        let scopes = self.host.scopes().await?;
        for vmid in scopes.iter().filter_map(|scope| scope.vmid()) {
            if demands.contains_key(&vmid) || !self.running.is_running(vmid).await? {
                continue;
            }
            // One that is on its way here has another owner yet.
            if let Some(entry) = self.records.local().find(vmid).await? {
                demands.insert(vmid, demand(&entry.record.data, all_cpus));
            }
        }
        demands.retain(|vmid, _| beside != Some(*vmid));
        let guests = demands.len();
        let committed: Demand = demands.into_values().sum();
        let memory = Facts::new(self.host.clone()).memory().await;
        let room = |total, policy, committed| Room {
            total,
            policy,
            committed,
        };
        Ok(Rooms {
            mode: policies.mode,
            memory: room(memory.total, policies.memory, committed.memory),
            cpus: room(all_cpus, policies.cpus, committed.cpus),
            guests,
        })
    }

    /// Why a guest that does not run would not be let in; nothing if it would.
    pub(crate) async fn why_no_room(
        &self,
        vmid: VmId,
        demand: Demand,
    ) -> Result<Option<String>, Error> {
        let policies = self.admission_policies().await?;
        if policies.is_open() || policies.mode == AdmissionMode::Warn {
            return Ok(None);
        }
        Ok(self.rooms_by(&policies, Some(vmid)).await?.shortage(demand))
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
        let policies = self.admission_policies().await?;
        let shortage = match policies.is_open() {
            true => None,
            false => self.rooms_by(&policies, Some(vmid)).await?.shortage(demand),
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
