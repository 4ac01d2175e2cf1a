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

mod follow;
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
use sys::Command;
use tracing::warn;
use uuid::Uuid;

use crate::NodeContext;
use crate::host::disk_writes::is_final;
use crate::records::storages_prefix;
pub use follow::follow_exports;
use served::State;

/// All exports of this node; exportfs(8) reads it after `/etc/exports`.
const FILE: &str = "/etc/exports.d/ostler.exports";

const HEADER: &str = "# Written by Ostler from the records of storages; changes are lost.\n";

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
    own: Vec<Export>,
    others: Vec<Export>,
    /// Storages whose records cannot be read, which may be exports.
    unreadable: BTreeMap<StorageId, String>,
}

impl NodeContext {
    /// One record that cannot be read does not hold up the others.
    async fn exports_of_all(&self) -> Result<Found, Error> {
        let store = self.records.store();
        let (entries, _) = list_all(&**store, &storages_prefix(), Read::Local).await?;
        let (mut exports, mut unreadable) = (Vec::new(), BTreeMap::new());
        for entry in entries {
            match Record::<StorageConfig>::decode(&entry.value) {
                Ok(record) => exports.extend(Export::of(record.data)),
                Err(error) => {
                    let id = entry.key.as_str().rsplit('/').next();
                    if let Some(id) = id.and_then(|id| id.parse().ok()) {
                        unreadable.insert(id, error.to_string());
                    }
                }
            }
        }
        let is_own = |export: &Export| export.exporter.node == self.name;
        let (own, others) = exports.into_iter().partition(is_own);
        Ok(Found {
            own,
            others,
            unreadable,
        })
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
            own, unreadable, ..
        } = self.exports_of_all().await?;
        let members = self.addresses_of_others().await?;
        let (mut lines, mut skipped) = (BTreeMap::new(), BTreeSet::new());
        for export in own {
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
