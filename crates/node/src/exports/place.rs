//! Where an export is made: a new folder in a storage of this node, or a new dataset of its pool.
//!
//! Clients name files by handles, and with `no_subtree_check` a handle may be of any file of the file
//! system. So a file system is exported as a whole, whatever the folder: the one that the node runs
//! from is refused.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use model::{Error, StorageId};
use storage::{BtrfsSpec, DirSpec, StorageConfig, StorageSpec};
use sys::{Command, FileKind, Mount, Mounts, SysError};

use super::is_plain;
use crate::NodeContext;
use crate::host::interfaces::address_in;

/// What comes with the server.
const PROGRAM: &str = "/usr/sbin/exportfs";

/// How many threads the kernel's server has.
const THREADS: &str = "/proc/fs/nfsd/threads";

/// What is exported now, and what is once the server reads its files again.
const EXPORTED: [&str; 2] = ["/var/lib/nfs/etab", "/etc/exports"];
const MORE_EXPORTED: &str = "/etc/exports.d";

/// What a node runs from is there, and what is secret.
const SYSTEM: [&str; 7] = [
    "/",
    "/boot",
    "/etc",
    "/root",
    "/usr",
    "/var",
    "/var/lib/ostler",
];

/// Types of file systems that a node has from elsewhere, or only in its memory.
const ELSEWHERE: [&str; 9] = [
    "nfs", "nfs4", "cifs", "smb3", "ceph", "fuse", "9p", "overlay", "tmpfs",
];

/// The property by which a dataset is known to have been made for an export.
pub(crate) const MARK: &str = "ostler:export";

/// Below which datasets of exports are mounted.
const DATASETS: &str = "/srv/ostler";

/// A folder that can be made and exported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: String,
    /// Where its file system is mounted.
    pub(crate) mount_point: String,
    /// The dataset to be made.
    pub(crate) dataset: Option<String>,
    /// Its files are to be written in place, without checksums of btrfs.
    pub(crate) is_nocow: bool,
}

impl Place {
    /// Refuses a storage that has no place for a folder.
    pub(crate) fn check_kind(origin: &StorageConfig) -> Result<(), Error> {
        match &origin.spec {
            StorageSpec::Dir(_) | StorageSpec::Btrfs(_) | StorageSpec::ZfsPool(_) => Ok(()),
            _ => Err(no_place(origin)),
        }
    }

    /// Refuses what cannot be exported, and changes nothing.
    pub(crate) async fn find(
        node: &NodeContext,
        origin: &StorageConfig,
        id: &StorageId,
    ) -> Result<Self, Error> {
        // Whether it is there; a folder below an unmounted mount point is not.
        node.storage(origin.id()).await?.status().await?;
        let mounts = Mounts::read(&node.host).await?;
        let place = match &origin.spec {
            StorageSpec::ZfsPool(spec) => Self::dataset(node, &spec.pool, id, &mounts).await?,
            StorageSpec::Dir(DirSpec { path, .. }) | StorageSpec::Btrfs(BtrfsSpec { path, .. }) => {
                let base = node.host.resolve(Path::new(path)).await?;
                let place = Self::folder(origin, &base.display().to_string(), id, &mounts)?;
                check_parent(node, Path::new(&place.path)).await?;
                place
            }
            _ => return Err(no_place(origin)),
        };
        place.check_text()?;
        let path = Path::new(&place.path);
        // A folder that was not made by Ostler is not removed by it either.
        if node.host.stat(path).await?.is_some() {
            let text = format!("'{}' is there already", place.path);
            return Err(Error::conflict(text));
        }
        place.check_not_exported(node).await?;
        Ok(place)
    }

    async fn dataset(
        node: &NodeContext,
        pool: &str,
        id: &StorageId,
        mounts: &Mounts,
    ) -> Result<Self, Error> {
        let (dataset, path) = (format!("{pool}/{id}"), format!("{DATASETS}/{id}"));
        if property(node, &dataset, "type").await?.is_some() {
            let text = format!("dataset '{dataset}' exists already: choose another id with 'as'");
            return Err(Error::conflict(text));
        }
        if mounts.at(&path).is_some() {
            let text = format!("something is mounted at '{path}' already");
            return Err(Error::conflict(text));
        }
        Ok(Self {
            mount_point: path.clone(),
            path,
            dataset: Some(dataset),
            is_nocow: false,
        })
    }

    fn folder(
        origin: &StorageConfig,
        base: &str,
        id: &StorageId,
        mounts: &Mounts,
    ) -> Result<Self, Error> {
        let refused = |why: String| Error::conflict(format!("storage '{}' {why}", origin.id()));
        let path = format!("{base}/exports/{id}");
        // Something may be mounted below the storage's own folder.
        let mount = mounts.covering(&path);
        let mount = mount.ok_or_else(|| refused(format!("has no file system at '{path}'")))?;
        let family = mount.kind.split('.').next().unwrap_or_default();
        if ELSEWHERE.contains(&family) {
            let (point, kind) = (&mount.point, &mount.kind);
            let why = format!("is on '{point}', which is on no disk of this node ({kind})");
            return Err(refused(why));
        }
        let is_same = |other: &Mount| other.number == mount.number;
        let mut system = SYSTEM.iter();
        if let Some(system) = system.find(|path| mounts.covering(path).is_some_and(is_same)) {
            let why = format!(
                "is on the file system of '{system}': clients could reach all of it, so only a file \
                 system of its own is exported"
            );
            return Err(refused(why));
        }
        Ok(Self {
            path,
            mount_point: mount.point.clone(),
            dataset: None,
            is_nocow: matches!(origin.spec, StorageSpec::Btrfs(_)),
        })
    }

    /// Refuses what would be read otherwise in a file of exports.
    fn check_text(&self) -> Result<(), Error> {
        for path in [&self.path, &self.mount_point] {
            if !is_plain(path) {
                let text = format!("'{path}' has characters that no export can have");
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }

    /// Refuses a folder that an export has already, or that has one: it would be there twice, with the
    /// rights of both.
    async fn check_not_exported(&self, node: &NodeContext) -> Result<(), Error> {
        for file in files_of_exports(node).await? {
            let text = match node.host.read(&file).await {
                Err(error) if error.is_not_found() => continue,
                text => String::from_utf8_lossy(&text?).into_owned(),
            };
            if let Some(other) = text.lines().find_map(|line| self.overlapping(line)) {
                let (path, file) = (&self.path, file.display());
                let text = format!("'{path}' is exported already, as '{other}' in {file}");
                return Err(Error::conflict(text));
            }
        }
        for export in node.exports().await? {
            if let Some(other) = self.overlapping(&export.spec.export) {
                let id = export.config.id();
                let text = format!(
                    "'{}' is in storage '{id}', which is exported: '{other}'",
                    self.path
                );
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }

    /// The path of a line of exports(5) that has a file of ours. An export ends where another file
    /// system begins, unless it says otherwise.
    fn overlapping<'a>(&self, line: &'a str) -> Option<&'a str> {
        let path = line.split_whitespace().next()?.trim_matches('"');
        let (ours, other) = (Path::new(&self.path), Path::new(path));
        if !path.starts_with('/') {
            return None;
        }
        let crosses = line.contains("crossmnt") || line.contains("nohide");
        let is_above = ours.starts_with(other) && (crosses || other.starts_with(&self.mount_point));
        (other.starts_with(ours) || is_above).then_some(path)
    }
}

/// All files that say what is exported, as exportfs(8) reads them.
async fn files_of_exports(node: &NodeContext) -> Result<Vec<PathBuf>, SysError> {
    let folder = Path::new(MORE_EXPORTED);
    let more = node.host.list(folder).await?.into_iter();
    let more =
        more.filter(|entry| entry.name.ends_with(".exports") && !entry.name.starts_with('.'));
    let fixed = EXPORTED.iter().map(PathBuf::from);
    Ok(fixed
        .chain(more.map(|entry| folder.join(entry.name)))
        .collect())
}

/// Refuses a parent that is a link, or anything else but a folder: the export would be elsewhere.
async fn check_parent(node: &NodeContext, path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let found = node.host.stat(parent).await?;
    if found.is_some_and(|found| found.kind != FileKind::Directory) {
        let text = format!("'{}' is no folder, or a link to one", parent.display());
        return Err(Error::conflict(text));
    }
    Ok(())
}

fn no_place(origin: &StorageConfig) -> Error {
    Error::conflict(format!(
        "storage '{}' is of type '{}': only those of type 'dir', 'btrfs' and 'zfspool' have a place for \
         a folder that is exported",
        origin.id(),
        origin.spec.kind().as_str()
    ))
}

struct Property {
    value: String,
    /// It was set on the dataset itself, and not on one above.
    is_local: bool,
}

/// A property of a dataset; none where there is no such dataset.
async fn property(
    node: &NodeContext,
    dataset: &str,
    name: &str,
) -> Result<Option<Property>, Error> {
    let get = [
        "get",
        "-H",
        "-o",
        "name,property,value,source",
        name,
        dataset,
    ];
    let output = node.host.run(Command::new("zfs").args(get)).await?;
    if String::from_utf8_lossy(&output.stderr).contains("does not exist") {
        return Ok(None);
    }
    let printed = output.checked("zfs get")?;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let mut words = printed.trim_end().split('\t').skip(2).map(str::to_owned);
    Ok(words.next().map(|value| Property {
        value,
        is_local: words.next().as_deref() == Some("local"),
    }))
}

/// Whether a dataset was made for the export with this id. None where there is no such dataset.
pub(crate) async fn is_marked(
    node: &NodeContext,
    dataset: &str,
    fsid: &str,
) -> Result<Option<bool>, Error> {
    let mark = property(node, dataset, MARK).await?;
    Ok(mark.map(|mark| mark.is_local && mark.value == fsid))
}

/// Refuses a node without a server of NFS that runs.
pub(crate) async fn check_server(node: &NodeContext) -> Result<(), Error> {
    if node.host.stat(Path::new(PROGRAM)).await?.is_none() {
        return Err(Error::unavailable(
            "package nfs-kernel-server is not installed on this node",
        ));
    }
    let threads = match node.host.read(Path::new(THREADS)).await {
        Err(error) if error.is_not_found() => Vec::new(),
        threads => threads?,
    };
    match String::from_utf8_lossy(&threads).trim() {
        "" | "0" => Err(Error::unavailable(
            "the NFS server of this node does not run: systemctl enable --now nfs-server",
        )),
        _ => Ok(()),
    }
}

/// Where clients reach this node: its address in one of the networks, or else that of the cluster.
pub(crate) async fn server(node: &NodeContext, networks: &[String]) -> Result<IpAddr, Error> {
    for network in networks {
        let network: IpNet = network
            .parse()
            .map_err(|_| Error::invalid("network", format!("'{network}' is no network")))?;
        if let Some(address) = address_in(&node.host, &network).await? {
            return Ok(address);
        }
    }
    let members = node.cluster.members.read().await?;
    let own = members.into_iter().find(|member| member.name == node.name);
    let address = own.and_then(|own| own.link().parse::<IpAddr>().ok());
    address
        .filter(|address| !address.is_loopback() && !address.is_unspecified())
        .ok_or_else(|| {
            let text = "this node has no address in these networks, and none in the cluster";
            Error::invalid("network", text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, mount_point: &str) -> Place {
        Place {
            path: path.to_owned(),
            mount_point: mount_point.to_owned(),
            dataset: None,
            is_nocow: false,
        }
    }

    #[test]
    fn an_export_that_shares_files_with_another_is_found() {
        let ours = place("/data/vz/exports/x", "/data");
        for (line, is_found) in [
            ("/data\t10.0.0.1(rw)", true),
            ("/data/vz *(ro)", true),
            ("\"/data/vz/exports/x/images\" *(ro)", true),
            ("/ *(ro,fsid=0)", false),
            ("/ *(ro,crossmnt)", true),
            ("/data/vz/exports/y *(ro)", false),
            ("# /data", false),
            ("", false),
        ] {
            assert_eq!(ours.overlapping(line).is_some(), is_found, "{line}");
        }
    }

    #[test]
    fn paths_that_an_export_cannot_have_are_refused() {
        for path in ["/a b/x", "/a,b/x", "/a(b)/x", "/a\"/x", "/a#/x"] {
            assert!(place(path, "/").check_text().is_err(), "{path}");
        }
        assert!(
            place("/mnt/pve/usb-1/exports/x_y.z", "/mnt")
                .check_text()
                .is_ok()
        );
    }
}
