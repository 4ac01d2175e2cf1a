//! What a node does for exports as long as its agent runs: their datasets are mounted, the kernel's server
//! follows the records, and mounts of what is gone go too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{Error, StorageId};
use storage::{Exporter, usual_path};
use sys::{Command, Mount, Mounts, SysError};
use tracing::warn;

use super::place::is_marked;
use super::{Export, Found, PATIENCE};
use crate::NodeContext;

/// How soon the server follows members that come or go.
const LOOK: Duration = Duration::from_secs(5);

impl NodeContext {
    /// Mounts datasets of exports that are not mounted, as after their pool was imported. Returns why
    /// some are not.
    async fn mount_datasets(&self, own: &[Export]) -> Result<Vec<String>, Error> {
        let (mut mounts, mut whys) = (None, Vec::new());
        for export in own {
            let Exporter {
                dataset: Some(dataset),
                mount_point,
                fsid,
                ..
            } = &export.exporter
            else {
                continue;
            };
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
        let found = node.exports_of_all().await;
        let read = found.as_ref().map(|_| Vec::new()).map_err(Error::clone);
        warned.of("exports cannot be read", read);
        if let Ok(found) = found {
            let datasets = node.mount_datasets(&found.own).await;
            warned.of("datasets of exports are not mounted", datasets);
            let served = node.serve_exports().await;
            let served = served.map(|why| why.into_iter().collect());
            warned.of("storages are not exported as they are to be", served);
            let unmounted = unmount_gone(node, &found, &mut mounted).await;
            warned.of("exports that are gone stay mounted", Ok(unmounted));
        }
        node.clock.sleep(LOOK).await;
    }
}

/// A mount of an export that is gone gives errors alone, and is in the way of a new one. Returns why
/// some are left, which are tried again.
async fn unmount_gone(
    node: &NodeContext,
    found: &Found,
    mounted: &mut BTreeSet<Mounted>,
) -> Vec<String> {
    let now = found.others.iter().map(|export| {
        let id = export.config.id().clone();
        let point = export.spec.path.clone();
        Mounted {
            point: point.unwrap_or_else(|| usual_path(&id)),
            source: export.spec.source(),
            fsid: export.exporter.fsid.clone(),
            id,
        }
    });
    let mut now: BTreeSet<_> = now.collect();
    // Whether it is gone is not known.
    let is_unknown = |old: &&Mounted| found.unreadable.contains_key(&old.id);
    now.extend(mounted.iter().filter(is_unknown).cloned());
    let mut whys = Vec::new();
    for old in mounted.difference(&now).cloned().collect::<Vec<_>>() {
        if let Err(error) = unmount(node, &old).await {
            whys.push(format!("'{}': {}", old.point, Error::chain(&error)));
            now.insert(old);
        }
    }
    *mounted = now;
    whys
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
