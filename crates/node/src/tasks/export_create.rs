//! Gives a new folder of a storage of this node to the other members, as a storage of theirs.
//!
//! ```text
//!   make ─ record ─ serve ─ enable ┃
//!             │        the kernel's server exports it
//!          disabled: nothing uses it yet
//! ```

use std::path::Path;

use async_trait::async_trait;
use ipnet::IpNet;
use model::{Error, StorageId};
use serde::{Deserialize, Serialize};
use storage::{Exporter, NfsSpec, StorageConfig, StorageSpec, StorageType};
use tasks::{Probe, Step, Steps, Task};
use uuid::Uuid;

use super::disk_removal::is_guests;
use super::exported::{Cx, Exported, defined};
use super::removable::set_disabled;
use crate::NodeContext;
use crate::exports::place::{self, Place};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportCreate {
    origin: StorageId,
    /// Of the new storage.
    storage: StorageId,
    networks: Vec<String>,
    /// The new storage, as it is planned.
    config: Option<StorageConfig>,
    is_nocow: bool,
    /// The folder above was there before.
    #[serde(default)]
    had_parent: bool,
}

/// What an export would be.
pub struct ExportPlan {
    pub storage: StorageId,
    pub server: String,
    pub path: String,
    pub dataset: Option<String>,
    pub content: Vec<storage::ContentType>,
    /// Addresses and networks.
    pub clients: Vec<String>,
}

impl ExportCreate {
    /// Without another id the storage is called after the one that has its folder.
    pub fn new(
        origin: StorageId,
        named: Option<StorageId>,
        networks: &[IpNet],
    ) -> Result<Self, Error> {
        let storage = match named {
            Some(id) => id,
            None => format!("{origin}-shared")
                .parse()
                .map_err(|error: model::IdError| Error::invalid("as", error.to_string()))?,
        };
        for network in networks {
            check_network(network)?;
        }
        Ok(Self {
            origin,
            storage,
            networks: networks.iter().map(|one| one.trunc().to_string()).collect(),
            config: None,
            is_nocow: false,
            had_parent: false,
        })
    }

    /// Plans the export; refuses what cannot be, and changes nothing.
    pub async fn check(&mut self, node: &NodeContext) -> Result<ExportPlan, Error> {
        let origin = node.records.storage(&self.origin).await?.config;
        check_origin(node, &origin)?;
        self.check_name(&origin)?;
        place::check_server(node).await?;
        if node
            .records
            .storages()
            .await?
            .iter()
            .any(|entry| *entry.config.id() == self.storage)
        {
            return Err(defined(&self.storage));
        }
        let clients = node.clients(&self.networks).await?;
        if clients.is_empty() {
            let text = "no other member has an address: say which networks may mount it";
            return Err(Error::invalid("network", text));
        }
        let server = place::server(node, &self.networks).await?.to_string();
        let place = Place::find(node, &origin, &self.storage).await?;
        let parent = Path::new(&place.path).parent();
        self.had_parent = match parent {
            Some(parent) => node.host.stat(parent).await?.is_some(),
            None => true,
        };
        let allowed = StorageType::Nfs.contents();
        let content = origin.common.content.into_iter();
        let content: Vec<_> = content.filter(|one| allowed.contains(one)).collect();
        let plan = ExportPlan {
            storage: self.storage.clone(),
            server: server.clone(),
            path: place.path.clone(),
            dataset: place.dataset.clone(),
            content: content.clone(),
            clients: clients.into_iter().collect(),
        };
        let spec = NfsSpec {
            server,
            export: place.path,
            path: Some(storage::usual_path(&self.storage)),
            exporter: Some(Exporter {
                node: node.name.clone(),
                origin: self.origin.clone(),
                dataset: place.dataset,
                mount_point: place.mount_point,
                fsid: Uuid::new_v4().to_string(),
                networks: self.networks.clone(),
            }),
            ..NfsSpec::default()
        };
        let id = self.storage.clone();
        self.config = Some(StorageConfig::new(id, StorageSpec::Nfs(spec), content));
        self.is_nocow = place.is_nocow;
        Ok(plan)
    }

    /// Refuses a name that the storage takes as a guest's volume: what is removed with a guest is found
    /// by its name.
    fn check_name(&self, origin: &StorageConfig) -> Result<(), Error> {
        let id = &self.storage;
        if !is_guests(origin.spec.kind(), id.as_str()) {
            return Ok(());
        }
        let text = format!(
            "'{id}' is the name of a guest's volume in storage '{}'",
            origin.id()
        );
        Err(Error::invalid("as", text))
    }

    fn exported(&self) -> Result<Exported<'_>, Error> {
        let planned = self.config.as_ref().and_then(Exported::of);
        planned.ok_or_else(|| Error::bug("an export without a plan"))
    }
}

/// Refuses networks of strangers.
fn check_network(network: &IpNet) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::invalid("network", format!("'{network}' {why}")));
    let (largest, private): (u8, &[&str]) = match network {
        IpNet::V4(_) => (8, &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]),
        IpNet::V6(_) => (16, &["fc00::/7"]),
    };
    if network.prefix_len() == 0 {
        return refused("is everybody");
    }
    if network.prefix_len() < largest {
        return refused(&format!("is larger than a /{largest}"));
    }
    let mut private = private.iter().filter_map(|one| one.parse::<IpNet>().ok());
    match private.any(|private| private.contains(network)) {
        true => Ok(()),
        false => refused("is no private network"),
    }
}

/// Refuses a storage that other nodes have already, or that is not to be read by them.
fn check_origin(node: &NodeContext, origin: &StorageConfig) -> Result<(), Error> {
    let refused = |why: &str| Err(Error::conflict(format!("storage '{}' {why}", origin.id())));
    if !origin.is_enabled_on(&node.name) {
        let text = format!(
            "storage '{}' is not available on node '{}'",
            origin.id(),
            node.name
        );
        return Err(Error::unavailable(text));
    }
    if origin.spec.is_shared() {
        return refused("is one that all nodes have already");
    }
    Place::check_kind(origin)?;
    if origin.spec.is_encrypted() {
        return refused("is encrypted: over the network all of it would be in the clear");
    }
    Ok(())
}

impl Task for ExportCreate {
    type Node = NodeContext;
    const NAME: &'static str = "export_create";
    const VERSION: u32 = 1;
    const KIND: &'static str = "exportcreate";

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Make, &Write, &Serve, &Enable],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(EXPORTS.to_owned())
    }
}

/// The object that tasks lock which change what this node exports.
pub(super) const EXPORTS: &str = "exports";

struct Make;

#[async_trait]
impl Step<ExportCreate> for Make {
    fn name(&self) -> &'static str {
        "make"
    }

    async fn plan(&self, cx: &Cx, task: &mut ExportCreate) -> Result<(), Error> {
        task.check(&cx.node).await.map(drop)
    }

    async fn act(&self, cx: &Cx, task: &mut ExportCreate) -> Result<(), Error> {
        task.exported()?.make(cx, task.is_nocow).await
    }

    async fn undo(&self, cx: &Cx, task: &ExportCreate) -> Result<(), Error> {
        let Ok(exported) = task.exported() else {
            return Ok(());
        };
        exported.remove(cx, true).await?;
        match task.had_parent {
            true => Ok(()),
            false => exported.remove_parent(cx).await,
        }
    }
}

struct Write;

#[async_trait]
impl Step<ExportCreate> for Write {
    fn name(&self) -> &'static str {
        "record"
    }

    async fn act(&self, cx: &Cx, task: &mut ExportCreate) -> Result<(), Error> {
        task.exported()?.record(cx).await
    }

    async fn undo(&self, cx: &Cx, task: &ExportCreate) -> Result<(), Error> {
        task.exported()?.forget(cx).await
    }
}

struct Serve;

#[async_trait]
impl Step<ExportCreate> for Serve {
    fn name(&self) -> &'static str {
        "serve"
    }

    /// What the record says; undone with the record.
    async fn act(&self, cx: &Cx, task: &mut ExportCreate) -> Result<(), Error> {
        if let Some(why) = cx.node.serve_exports().await? {
            return Err(Error::unavailable(why));
        }
        let exported = task.exported()?;
        let (path, networks) = (&exported.spec.export, &exported.exporter.networks);
        let clients: Vec<String> = cx.node.clients(networks).await?.into_iter().collect();
        cx.log(&format!("'{path}' is exported to {}", clients.join(", ")))
            .await;
        Ok(())
    }
}

struct Enable;

#[async_trait]
impl Step<ExportCreate> for Enable {
    fn name(&self) -> &'static str {
        "enable"
    }

    async fn probe(&self, cx: &Cx, task: &mut ExportCreate) -> Result<Probe, Error> {
        let found = cx.node.records.storage(&task.storage).await?.config;
        Ok(match found.common.disable {
            Some(true) => Probe::NotDone,
            _ => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut ExportCreate) -> Result<(), Error> {
        let exported = task.exported()?;
        let driver = cx.node.drivers.open(exported.config.clone(), None);
        driver.activate().await?;
        set_disabled(cx, exported.id(), false).await
    }
}
