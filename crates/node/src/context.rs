//! What every operation and task of this node has at hand.

use std::path::PathBuf;
use std::sync::Arc;

use auth::Authority;
use model::{Clock, Error, NodeName, StorageId};
use planner::Demand;
use storage::Storage;
use store::SharedStore;
use sys::SharedHost;

use crate::cluster::{AgentIdentity, Agents, Cluster};
use crate::exports::served::Served;
use crate::guests::reserved::Reservations;
use crate::host::packages::{Changelogs, Updates};
use crate::membership::Handover;
use crate::migration::Arrivals;
use crate::qemu::kvm::Kvm;
use crate::qemu::passed::Passing;
use crate::qemu::programs::Programs;
use crate::state::ClusterState;
use crate::tiers::GuestTiers;
use crate::volumes::base;
use crate::volumes::drivers::Drivers;
use crate::volumes::turns::ClusterTurns;
use crate::{
    AgentTurns, Alerts, Consoles, Events, GuestUids, NodeHistory, Paths, Records, Running,
    StatusBoard, Streams, Uploads,
};

/// What a node's context is made of.
pub struct NodeOptions {
    pub name: NodeName,
    pub paths: Paths,
    pub store: SharedStore,
    pub host: SharedHost,
    pub clock: Arc<dyn Clock>,
    /// Pools and rights that name guests.
    pub authority: Arc<Authority>,
    /// The user and group of programs that work for guests, and of guests without `guest_uids`;
    /// none: our own, for tests without root.
    pub guest_user: Option<(u32, u32)>,
    /// What guests run as, each as another one.
    pub guest_uids: Option<GuestUids>,
    /// What an administrator says of KVM; none: a probe guest decides.
    pub kvm: Option<bool>,
    /// Guests that ask for KVM are emulated where there is none, instead of being refused.
    pub allow_emulation: bool,
    /// What this agent proves itself to other members with; none: it has no connection to them.
    pub identity: Option<Arc<AgentIdentity>>,
    /// How the state moves to a cluster; none: it stays where it is.
    pub state: Option<Arc<dyn ClusterState>>,
    /// How other agents are asked; none: over the connections to them.
    pub agents: Option<Arc<dyn Agents>>,
}

/// The node: its host, its records, its paths, and the services that keep something in memory.
pub struct NodeContext {
    pub name: NodeName,
    pub paths: Paths,
    /// The other members.
    pub cluster: Cluster,
    pub state: Option<Arc<dyn ClusterState>>,
    /// Secrets for tasks that were submitted.
    pub handover: Handover,
    pub records: Records,
    pub host: SharedHost,
    pub drivers: Drivers,
    /// What volumes of guests are to be like.
    pub(crate) tiers: Arc<GuestTiers>,
    pub clock: Arc<dyn Clock>,
    pub authority: Arc<Authority>,
    pub guest_user: Option<(u32, u32)>,
    pub guest_uids: Option<GuestUids>,
    pub kvm: Kvm,
    pub allow_emulation: bool,
    pub running: Running,
    /// Whether the kernel exports what it is to export.
    pub(crate) exports: Served,
    /// Who may talk to the agents inside of guests.
    pub agent_turns: AgentTurns,
    /// Files on their way to a volume.
    pub uploads: Uploads,
    /// Volumes on their way in or out.
    pub streams: Streams,
    /// Room that guests have reserved that are being started.
    pub(crate) admissions: Reservations<Demand>,
    /// Devices and pages of the host that such guests have reserved.
    pub(crate) passes: Reservations<Passing>,
    /// Guests on their way to this node.
    pub(crate) arrivals: Arrivals,
    /// Consoles that are open, or about to be.
    pub consoles: Consoles,
    /// What was last observed of the node and its guests.
    pub status: Arc<StatusBoard>,
    pub history: NodeHistory,
    /// What is wrong now.
    pub alerts: Alerts,
    /// What has happened lately.
    pub events: Events,
    pub programs: Programs,
    /// Packages that have a newer version.
    pub updates: Updates,
    /// The changes of packages.
    pub changelogs: Changelogs,
}

impl NodeContext {
    pub fn new(options: NodeOptions) -> Arc<Self> {
        let status = StatusBoard::new(options.name.clone(), options.clock.clone());
        let (host, paths) = (options.host.clone(), options.paths.clone());
        let running = Running::new(host, paths, status.clone());
        let records = Records::new(options.store.clone(), options.name.clone());
        let tiers = Arc::new(GuestTiers::new(&records, options.authority.clone()));
        Arc::new(Self {
            events: Events::new(options.clock.clone()),
            consoles: Consoles::new(options.clock.clone()),
            drivers: Drivers::new(
                options.name.clone(),
                options.host.clone(),
                Arc::new(ClusterTurns::new(
                    options.store.clone(),
                    options.name.clone(),
                    options.clock.clone(),
                )),
                tiers.clone(),
            ),
            tiers,
            programs: Programs::new(options.host.clone()),
            alerts: Alerts::default(),
            history: NodeHistory::new(options.host.clone(), &options.paths),
            cluster: Cluster::new(
                options.name.clone(),
                options.store,
                options.clock.clone(),
                options.identity,
                options.agents,
            ),
            records,
            kvm: Kvm::new(
                options.host.clone(),
                options.paths.clone(),
                options.guest_user,
                options.kvm,
            ),
            state: options.state,
            name: options.name,
            paths: options.paths,
            host: options.host,
            clock: options.clock,
            authority: options.authority,
            guest_user: options.guest_user,
            guest_uids: options.guest_uids,
            allow_emulation: options.allow_emulation,
            running,
            exports: Served::default(),
            agent_turns: AgentTurns::default(),
            uploads: Uploads::default(),
            streams: Streams::default(),
            handover: Handover::default(),
            admissions: Reservations::default(),
            passes: Reservations::default(),
            arrivals: Arrivals::default(),
            status,
            updates: Updates::default(),
            changelogs: Changelogs::default(),
        })
    }

    pub fn state(&self) -> Result<&Arc<dyn ClusterState>, Error> {
        let none = || Error::bug("this agent's state cannot move");
        self.state.as_ref().ok_or_else(none)
    }

    /// Whether this node is in a cluster, as far as it knows.
    pub async fn is_clustered(&self) -> bool {
        let cluster = self.records.local().cluster().await;
        cluster.is_ok_and(|cluster| cluster.is_some())
    }

    /// A file below `/etc`: the node's own where it lives below a folder and has one there, else
    /// the host's. None where there is no such file.
    pub async fn etc(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        for folder in [self.paths.root().join("etc"), PathBuf::from("/etc")] {
            match self.host.read(&folder.join(name)).await {
                Ok(content) => return Ok(Some(content)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// The driver of a storage that this node may use.
    pub async fn storage(&self, id: &StorageId) -> Result<Arc<dyn Storage>, Error> {
        let entry = self.records.local().storage(id).await?;
        if !entry.config.is_enabled_on(&self.name) {
            let text = format!("storage '{id}' is not available on node '{}'", self.name);
            return Err(Error::unavailable(text));
        }
        if let Some(base) = entry.config.spec.base() {
            base::storage_of(self, base).await?;
        }
        Ok(self.drivers.of(&entry))
    }

    /// The drivers of all storages that this node may use.
    pub async fn storages(&self) -> Result<Vec<Arc<dyn Storage>>, Error> {
        let mut entries = self.records.local().storages().await?;
        self.drivers.retain(&entries);
        entries.retain(|entry| entry.config.is_enabled_on(&self.name));
        Ok(entries.iter().map(|entry| self.drivers.of(entry)).collect())
    }
}
