//! What a folder lies on, and whether that is there.

use std::path::Path;

use async_trait::async_trait;
use sys::{SharedHost, SysError};

use crate::config::mount_point;

/// Why a folder cannot be used.
#[derive(Debug)]
pub(crate) enum NotThere {
    Because(String),
    /// What it is on does not answer.
    Silent,
    Host(SysError),
}

impl From<SysError> for NotThere {
    fn from(error: SysError) -> Self {
        match error {
            SysError::Silent { .. } => Self::Silent,
            error => Self::Host(error),
        }
    }
}

/// What a folder lies on: a disk of the node, or what has to be mounted there.
#[async_trait]
pub(crate) trait Ground: Send + Sync + 'static {
    /// Makes it usable. May be repeated.
    async fn prepare(&self, host: &SharedHost) -> Result<(), NotThere>;

    /// Whether it is usable now. Changes nothing.
    async fn check(&self, host: &SharedHost) -> Result<(), NotThere>;
}

/// A folder of the node, or a mount point that the administrator sees to.
#[derive(Debug)]
pub(crate) struct Disk {
    mount_point: Option<String>,
}

impl Disk {
    /// `is_mountpoint` as it is configured.
    pub(crate) fn new(path: &str, is_mountpoint: Option<&str>) -> Self {
        let mount_point = mount_point(is_mountpoint, path).map(str::to_owned);
        Self { mount_point }
    }
}

#[async_trait]
impl Ground for Disk {
    async fn prepare(&self, host: &SharedHost) -> Result<(), NotThere> {
        self.check(host).await
    }

    /// An empty folder below an unmounted mount point must not fill up the disk it lies on.
    async fn check(&self, host: &SharedHost) -> Result<(), NotThere> {
        let Some(point) = &self.mount_point else {
            return Ok(());
        };
        if mounted_on(host, point).await?.is_some() {
            return Ok(());
        }
        let text = "directory is expected to be a mount point but is not mounted";
        Err(NotThere::Because(format!("{text}: '{point}'")))
    }
}

/// What the kernel has mounted somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// `nfs4`, `ext4`.
    pub(crate) kind: String,
    /// `server:/export`, `/dev/sda1`.
    pub(crate) source: String,
}

/// What is mounted on a path itself; the last of several.
pub(crate) async fn mounted_on(
    host: &SharedHost,
    point: &str,
) -> Result<Option<Mounted>, SysError> {
    let mounts = host.read(Path::new("/proc/self/mountinfo")).await?;
    Ok(find_mount(&String::from_utf8_lossy(&mounts), point))
}

/// Reads proc(5): the fifth field is the mount point; type and source follow a `-`. Spaces and the
/// like are octal numbers.
fn find_mount(mounts: &str, point: &str) -> Option<Mounted> {
    let wanted = point.trim_end_matches('/');
    let read = |field: &str| field.replace("\\040", " ").replace("\\011", "\t");
    let found = mounts.lines().rfind(|line| {
        let found = line.split(' ').nth(4).map(read);
        found.is_some_and(|found| found.trim_end_matches('/') == wanted)
    })?;
    let mut rest = found.split(" - ").nth(1)?.split(' ');
    Some(Mounted {
        kind: rest.next()?.to_owned(),
        source: rest.next().map(read)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:37 / /mnt/pve/nas rw,relatime shared:9 master:2 - nfs4 10.0.0.1:/srv/a\\040b rw,vers=4.2
41 22 0:38 / /mnt/with\\040space rw - tmpfs none rw
";

    #[test]
    fn mounts_are_found_by_their_point() {
        let nas = find_mount(MOUNTS, "/mnt/pve/nas/").unwrap();
        assert_eq!(
            (nas.kind.as_str(), nas.source.as_str()),
            ("nfs4", "10.0.0.1:/srv/a b")
        );
        assert_eq!(find_mount(MOUNTS, "/mnt/with space").unwrap().kind, "tmpfs");
        assert_eq!(find_mount(MOUNTS, "/mnt/pve"), None);
    }
}
