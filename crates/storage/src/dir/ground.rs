//! What a folder lies on, and whether that is there.

use async_trait::async_trait;
use sys::{Mounts, SharedHost, SysError};

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
        if Mounts::read(host).await?.at(point).is_some() {
            return Ok(());
        }
        let text = "directory is expected to be a mount point but is not mounted";
        Err(NotThere::Because(format!("{text}: '{point}'")))
    }
}
