//! Network links.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;

use crate::SysError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    Bridge,
    Tap,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub name: String,
    pub kind: LinkKind,
    pub up: bool,
    pub mtu: u32,
    /// The bridge that it is a port of.
    pub master: Option<String>,
    /// Bytes since the link was created.
    pub received: u64,
    pub sent: u64,
}

/// Options of a new tap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TapOptions {
    /// The user who may open it.
    pub owner: Option<u32>,
    /// More than one queue may be opened.
    pub multi_queue: bool,
    pub mtu: Option<u32>,
}

/// Every method may be repeated.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    async fn links(&self) -> Result<Vec<Link>, SysError>;

    /// One link; none if it is not there. A host may have thousands.
    async fn link(&self, name: &str) -> Result<Option<Link>, SysError>;

    /// Creates a persistent tap device and brings it up.
    async fn create_tap(&self, name: &str, options: &TapOptions) -> Result<(), SysError>;

    /// Opens one queue of a tap created by `create_tap`, for a guest that may not open the device
    /// itself.
    async fn open_tap(&self, name: &str) -> Result<Arc<OwnedFd>, SysError>;

    /// Removes a tap. False if there was none.
    async fn remove_tap(&self, name: &str) -> Result<bool, SysError>;

    /// Makes a link a port of a bridge.
    async fn join_bridge(&self, link: &str, bridge: &str) -> Result<(), SysError>;

    async fn create_bridge(&self, name: &str) -> Result<(), SysError>;

    /// Removes a bridge. False if there was none.
    async fn remove_bridge(&self, name: &str) -> Result<bool, SysError>;
}
