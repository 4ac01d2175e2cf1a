//! Folders of a node that other members mount (docs/storage.md, decision 34).
//!
//! ```text
//!   record storage/<id>, nfs with `exporter` ─┬─► its node: /etc/exports.d, exportfs; the folder by its path
//!   records of members ───────────────────────┘
//!                                             └─► other nodes: mounted as any nfs storage
//! ```
//!
//! **Invariant.** The kernel's server gives a folder to the addresses of members and to the networks
//! of its record, and to no other address.

mod mounts;
pub(crate) mod place;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use model::{Error, StorageId};
use storage::{Exporter, NfsSpec, StorageConfig, StorageSpec};
use sys::{Command, SharedHost, SysError};
use tracing::warn;

use crate::NodeContext;
use crate::host::disk_writes::is_final;
use mounts::Mounts;

/// All exports of this node; exportfs(8) reads it after `/etc/exports`.
const FILE: &str = "/etc/exports.d/ostler.exports";

const HEADER: &str = "# Written by Ostler from the records of storages; changes are lost.\n";

/// How soon the server follows members that come or go.
const LOOK: Duration = Duration::from_secs(5);

/// How long `exportfs` and `umount` may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How each client has a folder. What is acknowledged is on the disk (`sync`); the agent of a node
/// gives images to the users of guests, so its root is the server's.
const OPTIONS: &str = "rw,sync,no_subtree_check,no_root_squash";

/// A folder that a node exports, with the storage that it is.
pub struct Export {
    pub config: StorageConfig,
    pub spec: NfsSpec,
    pub exporter: Exporter,
}

impl Export {
    /// None of a storage that is no export of ours.
    fn of(config: StorageConfig) -> Option<Self> {
        let StorageSpec::Nfs(spec) = config.spec.clone() else {
            return None;
        };
        let exporter = spec.exporter.clone()?;
        Some(Self {
            config,
            spec,
            exporter,
        })
    }

    /// None without a client: a line without one would export to everybody.
    fn line(&self, members: &BTreeSet<String>) -> Option<String> {
        let Exporter {
            mount_point, fsid, ..
        } = &self.exporter;
        let clients = with_networks(members, &self.exporter.networks);
        if clients.is_empty() {
            return None;
        }
        let options = format!("{OPTIONS},mountpoint={mount_point},fsid={fsid}");
        let mut line = self.spec.export.clone();
        for client in clients {
            line.push_str(&format!(" {client}({options})"));
        }
        line.push('\n');
        Some(line)
    }
}

impl NodeContext {
    /// The exports of all nodes, by the id of their storage.
    async fn exports_of_all(&self) -> Result<Vec<Export>, Error> {
        let storages = self.records.local().storages().await?;
        let configs = storages.into_iter().map(|entry| entry.config);
        Ok(configs.filter_map(Export::of).collect())
    }

    /// The exports of this node, by the id of their storage.
    pub async fn exports(&self) -> Result<Vec<Export>, Error> {
        let mut exports = self.exports_of_all().await?;
        exports.retain(|export| export.exporter.node == self.name);
        Ok(exports)
    }

    /// The addresses from which the other members may mount what this node exports, and the given
    /// networks.
    pub async fn clients(&self, networks: &[String]) -> Result<BTreeSet<String>, Error> {
        Ok(with_networks(&self.addresses_of_others().await?, networks))
    }

    async fn addresses_of_others(&self) -> Result<BTreeSet<String>, Error> {
        self.cluster.members.load().await?;
        let members = self.cluster.members.all();
        let others = members.values().filter(|member| member.name != self.name);
        let hosts = others.flat_map(|member| [member.host(), member.link()]);
        let addresses = hosts.filter_map(|host| host.parse::<IpAddr>().ok());
        Ok(addresses.map(|address| address.to_string()).collect())
    }

    /// Has the kernel's server export what the records say. May be repeated. Returns why `exportfs`
    /// refused, if it did.
    pub async fn serve_exports(&self) -> Result<Option<String>, Error> {
        let mut is_told = self.exports.0.lock().await;
        let path = Path::new(FILE);
        let exports = self.exports().await?;
        let found = match self.host.read(path).await {
            Err(error) if error.is_not_found() && exports.is_empty() => return Ok(None),
            Err(error) if error.is_not_found() => None,
            found => Some(found?),
        };
        let members = self.addresses_of_others().await?;
        let lines = exports.iter().filter_map(|export| export.line(&members));
        let wanted = HEADER.to_owned() + &lines.collect::<String>();
        let is_same = found.is_some_and(|found| found == wanted.as_bytes());
        if is_same && *is_told {
            return Ok(None);
        }
        *is_told = false;
        if !is_same {
            self.host
                .create_dir(Path::new("/etc/exports.d"), 0o755)
                .await?;
            self.host.write(path, wanted.as_bytes(), 0o644).await?;
        }
        let told = Command::new("exportfs").arg("-ra").timeout(Some(PATIENCE));
        match self
            .host
            .run(told)
            .await
            .and_then(|output| output.checked("exportfs"))
        {
            Err(error) if is_final(&error) => return Ok(Some(Error::chain(&error))),
            told => told.map(drop)?,
        }
        // Until the kernel has been told, the file says that something is left to do.
        if exports.is_empty() {
            self.host.remove(path).await?;
        }
        *is_told = true;
        Ok(None)
    }

    /// Mounts datasets of exports that are not mounted, as after their pool was imported.
    async fn mount_datasets(&self) -> Result<(), Error> {
        let mut mounts = None;
        for export in self.exports().await? {
            let Some(dataset) = export.exporter.dataset else {
                continue;
            };
            let mounts = match &mounts {
                Some(mounts) => mounts,
                None => mounts.insert(Mounts::read(&self.host).await?),
            };
            if mounts.at(&export.exporter.mount_point).is_none() {
                let mount = Command::new("zfs").args(["mount", &dataset]);
                self.host.run(mount).await?.checked("zfs mount")?;
            }
        }
        Ok(())
    }
}

/// Whether something is mounted at a path.
pub(crate) async fn is_mounted(host: &SharedHost, path: &str) -> Result<bool, SysError> {
    Ok(Mounts::read(host).await?.at(path).is_some())
}

fn with_networks(members: &BTreeSet<String>, networks: &[String]) -> BTreeSet<String> {
    members.iter().chain(networks).cloned().collect()
}

/// Where this node mounts an export of another one, and what the kernel calls it.
type Mounted = BTreeMap<StorageId, (String, String)>;

/// Keeps the server in line with the records of storages and members, and unmounts what other nodes
/// export no more. Never returns.
pub async fn follow_exports(node: &NodeContext) {
    let mut mounted = Mounted::new();
    loop {
        if let Err(error) = node.mount_datasets().await {
            warn!(%error, "the dataset of an export is not mounted");
        }
        let served = node.serve_exports().await;
        if let Some(why) = served.unwrap_or_else(|error| Some(error.to_string())) {
            warn!(why, "storages are not exported as they are to be");
        }
        if let Err(error) = unmount_gone(node, &mut mounted).await {
            warn!(%error, "an export that is gone stays mounted");
        }
        node.clock.sleep(LOOK).await;
    }
}

/// A mount of an export that is gone gives errors alone, and is in the way of a new one.
async fn unmount_gone(node: &NodeContext, mounted: &mut Mounted) -> Result<(), Error> {
    let mut now = Mounted::new();
    for export in node.exports_of_all().await? {
        if export.exporter.node != node.name {
            let id = export.config.id().clone();
            let point = export.spec.path.clone();
            let point = point.unwrap_or_else(|| format!("/mnt/pve/{id}"));
            now.insert(id, (point, export.spec.source()));
        }
    }
    for (point, source) in gone(mounted, &now) {
        let is_it = |mount: &mounts::Mount| mount.kind.starts_with("nfs") && mount.source == source;
        if Mounts::read(&node.host)
            .await?
            .at(&point)
            .is_some_and(is_it)
        {
            unmount(node, &point).await?;
        }
    }
    *mounted = now;
    Ok(())
}

/// What was exported, and is no more.
fn gone(before: &Mounted, now: &Mounted) -> Vec<(String, String)> {
    let gone = before
        .iter()
        .filter(|(id, place)| now.get(*id) != Some(*place));
    gone.map(|(_, place)| place.clone()).collect()
}

async fn unmount(node: &NodeContext, point: &str) -> Result<(), SysError> {
    let unmount = Command::new("umount").arg(point).timeout(Some(PATIENCE));
    node.host.run(unmount).await?.checked("umount").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(networks: &[&str]) -> Export {
        let spec = NfsSpec {
            server: "10.0.0.5".to_owned(),
            export: "/srv/ostler/vms".to_owned(),
            exporter: Some(Exporter {
                node: "n5".parse().unwrap(),
                origin: "tank".parse().unwrap(),
                dataset: Some("tank/vms".to_owned()),
                mount_point: "/srv/ostler/vms".to_owned(),
                fsid: "0f5a6d2e-8a3c-4b1d-9e7f-112233445566".to_owned(),
                networks: networks.iter().map(|one| (*one).to_owned()).collect(),
            }),
            ..NfsSpec::default()
        };
        let id = "vms".parse().unwrap();
        Export::of(StorageConfig::new(id, StorageSpec::Nfs(spec), Vec::new())).unwrap()
    }

    // covers: S1.9
    #[test]
    fn a_folder_is_given_to_members_and_named_networks_alone() {
        let members = ["10.0.0.1", "fd00::2"].map(str::to_owned).into();
        let line = export(&["10.1.0.0/24"]).line(&members).unwrap();
        let options = "(rw,sync,no_subtree_check,no_root_squash,mountpoint=/srv/ostler/vms,\
                       fsid=0f5a6d2e-8a3c-4b1d-9e7f-112233445566)";
        let expected =
            format!("/srv/ostler/vms 10.0.0.1{options} 10.1.0.0/24{options} fd00::2{options}\n");
        assert_eq!(line, expected);
        assert_eq!(export(&[]).line(&BTreeSet::new()), None);
    }

    #[test]
    fn what_has_another_place_is_gone_from_the_first() {
        let place = |at: &str| ("/mnt/pve/a".to_owned(), at.to_owned());
        let a: StorageId = "vms".parse().unwrap();
        let before = Mounted::from([(a.clone(), place("n1:/a"))]);
        assert_eq!(gone(&before, &before), []);
        assert_eq!(gone(&before, &Mounted::new()), [place("n1:/a")]);
        let moved = Mounted::from([(a, place("n2:/a"))]);
        assert_eq!(gone(&before, &moved), [place("n1:/a")]);
    }
}
