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
pub(crate) mod served;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use model::{Error, NodeName, Record, StorageId};
use storage::{Exporter, NfsSpec, StorageConfig, StorageSpec};
use store::{Read, list_all};
use sys::{Command, SharedHost, SysError};
use tracing::warn;
use uuid::Uuid;

use crate::NodeContext;
use crate::host::disk_writes::is_final;
use crate::records::storages_prefix;
use mounts::{Mount, Mounts};
use place::is_marked;
use served::State;

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

    /// Its line of exports(5). Empty without a client: a line without one would export to everybody.
    /// What is no path, id or network could be read otherwise there, and is refused.
    fn line(&self, members: &BTreeSet<String>) -> Result<String, String> {
        let Exporter {
            mount_point,
            fsid,
            networks,
            ..
        } = &self.exporter;
        let path = &self.spec.export;
        let refused = |what: &str| format!("storage '{}': {what}", self.config.id());
        if let Some(path) = [path, mount_point].into_iter().find(|path| !is_plain(path)) {
            return Err(refused(&format!("{path:?} is no path of an export")));
        }
        let fsid: Uuid = fsid
            .parse()
            .map_err(|_| refused(&format!("{fsid:?} is no UUID")))?;
        let mut clients = members.clone();
        for network in networks {
            let parsed: IpNet = network
                .parse()
                .map_err(|_| refused(&format!("{network:?} is no network")))?;
            clients.insert(parsed.trunc().to_string());
        }
        if clients.is_empty() {
            return Ok(String::new());
        }
        let options = format!("{OPTIONS},mountpoint={mount_point},fsid={fsid}");
        let mut line = path.clone();
        for client in clients {
            line.push_str(&format!(" {client}({options})"));
        }
        line.push('\n');
        Ok(line)
    }
}

/// Whether a path means itself in a file of exports.
fn is_plain(path: &str) -> bool {
    let may_be = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    path.starts_with('/') && path.chars().all(may_be)
}

/// The exports of all nodes.
struct Found {
    exports: Vec<Export>,
    /// Storages whose records cannot be read, which may be exports.
    unreadable: BTreeMap<StorageId, String>,
}

impl NodeContext {
    /// One record that cannot be read does not hold up the others.
    async fn exports_of_all(&self) -> Result<Found, Error> {
        let store = self.records.store();
        let (entries, _) = list_all(&**store, &storages_prefix(), Read::Local).await?;
        let mut found = Found {
            exports: Vec::new(),
            unreadable: BTreeMap::new(),
        };
        for entry in entries {
            match Record::<StorageConfig>::decode(&entry.value) {
                Ok(record) => found.exports.extend(Export::of(record.data)),
                Err(error) => {
                    let id = entry.key.as_str().rsplit('/').next();
                    if let Some(id) = id.and_then(|id| id.parse().ok()) {
                        found.unreadable.insert(id, error.to_string());
                    }
                }
            }
        }
        Ok(found)
    }

    /// The exports of this node, by the id of their storage.
    pub async fn exports(&self) -> Result<Vec<Export>, Error> {
        let storages = self.records.local().storages().await?;
        let configs = storages.into_iter().map(|entry| entry.config);
        let mut exports: Vec<_> = configs.filter_map(Export::of).collect();
        exports.retain(|export| export.exporter.node == self.name);
        Ok(exports)
    }

    /// The addresses from which the other members may mount what this node exports, and the given
    /// networks.
    pub async fn clients(&self, networks: &[String]) -> Result<BTreeSet<String>, Error> {
        let mut clients = self.addresses_of_others().await?;
        clients.extend(networks.iter().cloned());
        Ok(clients)
    }

    async fn addresses_of_others(&self) -> Result<BTreeSet<String>, Error> {
        let members = self.cluster.members.read().await?;
        let others = members.iter().filter(|member| member.name != self.name);
        let hosts = others.flat_map(|member| [member.host(), member.link()]);
        let addresses = hosts.filter_map(|host| host.parse::<IpAddr>().ok());
        // These are other machines to no one: any program of this node could mount it.
        let is_other = |address: &IpAddr| {
            let address = address.to_canonical();
            !address.is_loopback() && !address.is_unspecified()
        };
        let addresses = addresses.filter(is_other);
        Ok(addresses.map(|address| address.to_string()).collect())
    }

    /// What the file of exports is to say; none where there is nothing to export.
    async fn wanted_exports(&self, served: &mut State) -> Result<Option<String>, Error> {
        let Found {
            exports,
            unreadable,
        } = self.exports_of_all().await?;
        let members = self.addresses_of_others().await?;
        let (mut lines, mut skipped) = (BTreeMap::new(), BTreeSet::new());
        for export in exports {
            if export.exporter.node != self.name {
                continue;
            }
            match export.line(&members) {
                Ok(line) => drop(lines.insert(export.config.id().clone(), line)),
                Err(why) => drop(skipped.insert(why)),
            }
        }
        for (id, why) in unreadable {
            // Guests may have their disks there: it stays as it was.
            if let Some(line) = served.lines.get(&id) {
                lines.insert(id.clone(), line.clone());
            }
            skipped.insert(format!("storage '{id}': {why}"));
        }
        for why in skipped.difference(&served.skipped) {
            warn!(why, "the record of a storage cannot be used for exports");
        }
        let text = HEADER.to_owned() + &lines.values().cloned().collect::<String>();
        let wanted = (!lines.is_empty()).then_some(text);
        (served.lines, served.skipped) = (lines, skipped);
        Ok(wanted)
    }

    /// Has the kernel's server export what the records say. May be repeated. Returns why `exportfs`
    /// refused, if it did.
    pub async fn serve_exports(&self) -> Result<Option<String>, Error> {
        let mut served = self.exports.0.lock().await;
        let path = Path::new(FILE);
        let wanted = self.wanted_exports(&mut served).await?;
        let found = match self.host.read(path).await {
            Err(error) if error.is_not_found() && wanted.is_none() => return Ok(None),
            Err(error) if error.is_not_found() => None,
            found => Some(found?),
        };
        let text = wanted.as_deref().unwrap_or(HEADER);
        let is_same = found.is_some_and(|found| found == text.as_bytes());
        if is_same && served.is_read {
            return Ok(None);
        }
        served.is_read = false;
        if !is_same {
            self.host
                .create_dir(Path::new("/etc/exports.d"), 0o755)
                .await?;
            self.host.write(path, text.as_bytes(), 0o644).await?;
        }
        let exportfs = Command::new("exportfs").arg("-ra").timeout(Some(PATIENCE));
        match self
            .host
            .run(exportfs)
            .await
            .and_then(|output| output.checked("exportfs"))
        {
            Err(error) if is_final(&error) => return Ok(Some(Error::chain(&error))),
            result => result.map(drop)?,
        }
        // Until the kernel has read it, the file says that something is left to do.
        if wanted.is_none() {
            self.host.remove(path).await?;
        }
        served.is_read = true;
        Ok(None)
    }

    /// Mounts datasets of exports that are not mounted, as after their pool was imported. Returns why
    /// some are not.
    async fn mount_datasets(&self) -> Result<Vec<String>, Error> {
        let (mut mounts, mut whys) = (None, Vec::new());
        for export in self.exports_of_all().await?.exports {
            let Exporter {
                node,
                dataset: Some(dataset),
                mount_point,
                fsid,
                ..
            } = &export.exporter
            else {
                continue;
            };
            if *node != self.name {
                continue;
            }
            let mounts = match &mounts {
                Some(mounts) => mounts,
                None => mounts.insert(Mounts::read(&self.host).await?),
            };
            if mounts.at(mount_point).is_none()
                && let Err(error) = self.mount_dataset(dataset, fsid).await
            {
                whys.push(format!("'{dataset}': {error}"));
            }
        }
        Ok(whys)
    }

    /// One that was not made for this export is left alone.
    async fn mount_dataset(&self, dataset: &str, fsid: &str) -> Result<(), Error> {
        match is_marked(self, dataset, fsid).await? {
            Some(true) => {}
            Some(false) => return Err(Error::conflict("it was not made for this export")),
            None => return Err(Error::conflict("there is no such dataset")),
        }
        let mount = Command::new("zfs").args(["mount", dataset]);
        let output = self.host.run(mount.timeout(Some(PATIENCE))).await?;
        Ok(output.checked("zfs mount").map(drop)?)
    }
}

/// Whether something is mounted at a path.
pub(crate) async fn is_mounted(host: &SharedHost, path: &str) -> Result<bool, SysError> {
    Ok(Mounts::read(host).await?.at(path).is_some())
}

/// Whether the file system that has a path is the one that is mounted at `point`.
pub(crate) async fn is_covered_by(
    host: &SharedHost,
    path: &str,
    point: &str,
) -> Result<bool, SysError> {
    let mounts = Mounts::read(host).await?;
    Ok(mounts
        .covering(path)
        .is_some_and(|mount| mount.point == point))
}

/// Whether this node exports a storage.
pub(crate) fn is_exported_by(spec: &StorageSpec, node: &NodeName) -> bool {
    spec.exporter()
        .is_some_and(|exporter| exporter.node == *node)
}

/// Where the files of a storage are on a node: what it exports itself, it has by its own path. None of
/// a storage that has no folder, or has one of its own choice.
pub(crate) fn files_at<'a>(spec: &'a StorageSpec, node: &NodeName) -> Option<&'a str> {
    match spec {
        StorageSpec::Nfs(nfs) if is_exported_by(spec, node) => Some(&nfs.export),
        StorageSpec::Dir(spec) => Some(&spec.path),
        StorageSpec::Btrfs(spec) => Some(&spec.path),
        StorageSpec::Nfs(spec) => spec.path.as_deref(),
        StorageSpec::Cifs(spec) => spec.path.as_deref(),
        StorageSpec::CephFs(spec) => spec.path.as_deref(),
        _ => None,
    }
}

/// A mount of what another node exports. One that was taken back and made anew under its name has
/// another `fsid`: handles of the old one lead nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mounted {
    id: StorageId,
    point: String,
    /// As the kernel calls it.
    source: String,
    fsid: String,
}

/// Warns when something begins to be wrong, and when the reason changes.
#[derive(Default)]
struct Warned(BTreeMap<&'static str, String>);

impl Warned {
    fn of(&mut self, what: &'static str, whys: Result<Vec<String>, Error>) {
        let why = whys.map_or_else(|error| error.to_string(), |whys| whys.join("; "));
        if why.is_empty() {
            self.0.remove(what);
        } else if self.0.get(what) != Some(&why) {
            warn!(why, "{what}");
            self.0.insert(what, why);
        }
    }
}

/// Keeps the server in line with the records of storages and members, and unmounts what other nodes
/// export no more. Never returns.
pub async fn follow_exports(node: &NodeContext) {
    let mut mounted = BTreeSet::new();
    let mut warned = Warned::default();
    loop {
        let datasets = node.mount_datasets().await;
        warned.of("datasets of exports are not mounted", datasets);
        let served = node.serve_exports().await;
        let served = served.map(|why| why.into_iter().collect());
        warned.of("storages are not exported as they are to be", served);
        let unmounted = unmount_gone(node, &mut mounted).await;
        warned.of("exports that are gone stay mounted", unmounted);
        node.clock.sleep(LOOK).await;
    }
}

/// A mount of an export that is gone gives errors alone, and is in the way of a new one. Returns why
/// some are left, which are tried again.
async fn unmount_gone(
    node: &NodeContext,
    mounted: &mut BTreeSet<Mounted>,
) -> Result<Vec<String>, Error> {
    let Found {
        exports,
        unreadable,
    } = node.exports_of_all().await?;
    let others = exports
        .iter()
        .filter(|export| export.exporter.node != node.name);
    let now = others.map(|export| {
        let id = export.config.id().clone();
        let point = export.spec.path.clone();
        Mounted {
            point: point.unwrap_or_else(|| format!("/mnt/pve/{id}")),
            source: export.spec.source(),
            fsid: export.exporter.fsid.clone(),
            id,
        }
    });
    let mut now: BTreeSet<_> = now.collect();
    // Whether it is gone is not known.
    let is_unknown = |old: &&Mounted| unreadable.contains_key(&old.id);
    now.extend(mounted.iter().filter(is_unknown).cloned());
    let mut whys = Vec::new();
    for old in mounted.difference(&now).cloned().collect::<Vec<_>>() {
        if let Err(error) = unmount(node, &old).await {
            whys.push(format!("'{}': {}", old.point, Error::chain(&error)));
            now.insert(old);
        }
    }
    *mounted = now;
    Ok(whys)
}

/// What is mounted there otherwise stays.
async fn unmount(node: &NodeContext, old: &Mounted) -> Result<(), SysError> {
    let mounts = Mounts::read(&node.host).await?;
    let is_it = |mount: &Mount| mount.kind.starts_with("nfs") && mount.source == old.source;
    if !mounts.at(&old.point).is_some_and(is_it) {
        return Ok(());
    }
    let unmount = Command::new("umount").arg(&old.point);
    let output = node.host.run(unmount.timeout(Some(PATIENCE))).await?;
    output.checked("umount").map(drop)
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
        assert_eq!(export(&[]).line(&BTreeSet::new()), Ok(String::new()));
    }

    #[test]
    fn what_could_be_read_otherwise_has_no_line() {
        let members = ["10.0.0.1".to_owned()].into();
        let change: [fn(&mut Export); 8] = [
            |export| export.exporter.fsid = "0,insecure".to_owned(),
            |export| export.exporter.networks = vec!["*".to_owned()],
            |export| export.exporter.networks = vec!["10.0.0.0/8(rw) *".to_owned()],
            |export| export.exporter.mount_point = "/srv,insecure".to_owned(),
            |export| export.spec.export = "/srv/a *(rw)".to_owned(),
            |export| export.spec.export = "/srv/a\n/etc".to_owned(),
            |export| export.spec.export = "/srv/a\\040b".to_owned(),
            |export| export.spec.export = "srv".to_owned(),
        ];
        assert!(export(&[]).line(&members).is_ok());
        for change in change {
            let mut export = export(&[]);
            change(&mut export);
            assert!(export.line(&members).is_err(), "{:?}", export.exporter);
        }
    }
}
