//! Disk space that is reserved for work that must go on when the disk is full: stopping a guest,
//! and the end of what has begun.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sys::{SharedHost, SysError};
use tracing::warn;

/// A file that only reserves space, to be removed when that is needed.
pub(crate) struct Reserve {
    host: SharedHost,
    path: PathBuf,
    bytes: usize,
    is_held: AtomicBool,
}

impl Reserve {
    /// Reserves the space, if there is enough.
    pub(crate) async fn open(host: SharedHost, directory: &Path, bytes: usize) -> Self {
        let reserve = Self {
            host,
            path: directory.join("reserve"),
            bytes,
            is_held: AtomicBool::new(false),
        };
        let is_whole = match reserve.host.stat(&reserve.path).await {
            Ok(Some(file)) => file.size >= bytes as u64,
            _ => false,
        };
        reserve.is_held.store(is_whole, Ordering::Relaxed);
        reserve.restore().await;
        reserve
    }

    /// Whether the disk was full, and still is: then only work that must go on may begin.
    pub(crate) async fn is_used_up(&self) -> bool {
        !self.is_held.load(Ordering::Relaxed) && !self.restore().await
    }

    /// Reserves the space again, once there is more than that. Returns whether it is reserved.
    pub(crate) async fn restore(&self) -> bool {
        if self.is_held.load(Ordering::Relaxed) {
            return true;
        }
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let has_room = match self.host.space(folder).await {
            Ok(space) => space.available > 2 * self.bytes as u64,
            Err(_) => false,
        };
        if !has_room {
            return false;
        }
        match self
            .host
            .write(&self.path, &filling(self.bytes), 0o600)
            .await
        {
            Ok(()) => self.is_held.store(true, Ordering::Relaxed),
            Err(error) => warn!(%error, "no space is reserved for a full disk"),
        }
        self.is_held.load(Ordering::Relaxed)
    }

    /// Appends to a file, durably. If the disk is full, data that `must` be written uses the
    /// reserved space.
    pub(crate) async fn append(
        &self,
        path: &Path,
        content: &[u8],
        must: bool,
    ) -> Result<(), SysError> {
        match self.host.append(path, content, true).await {
            Err(error) if error.is_full() && must && self.give_up().await => {
                self.host.append(path, content, true).await
            }
            result => result,
        }
    }

    /// Appends data that must be written, but need not be durable.
    pub(crate) async fn add(&self, path: &Path, content: &[u8]) -> Result<(), SysError> {
        match self.host.append(path, content, false).await {
            Err(error) if error.is_full() && self.give_up().await => {
                self.host.append(path, content, false).await
            }
            result => result,
        }
    }

    async fn give_up(&self) -> bool {
        self.is_held.store(false, Ordering::Relaxed);
        match self.host.remove(&self.path).await {
            Ok(was_there) => {
                if was_there {
                    warn!("the disk of the node's state is full: using the reserved space");
                }
                was_there
            }
            Err(error) => {
                warn!(%error, "the reserved space cannot be used");
                false
            }
        }
    }
}

/// Bytes that no file system can compress.
fn filling(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..bytes / 8).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().collect()
}
