//! A file that another process fills through a descriptor of ours.
//!
//! ```text
//!   UploadFile::new(file) ─┬─ given ──► the other process writes, then closes it (or dies)
//!                          └─ kept  ──► shows when, by a lock that only `given` holds
//! ```

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::oneshot;

use crate::SysError;

/// Our side of a file that another process writes.
#[derive(Debug, Clone)]
pub struct UploadFile {
    kept: Arc<OwnedFd>,
}

/// A path by which our descriptor can be opened again.
pub(crate) fn path_of(file: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

impl UploadFile {
    /// Splits a file into the kept and the given descriptor. The lock belongs to the given one,
    /// including its duplicates in other processes.
    pub fn new(file: OwnedFd) -> Result<(Self, OwnedFd), SysError> {
        let path = path_of(&file);
        let failed = |source| SysError::io("share", &path, source);
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| failed(e.into()))?;
        let options = &mut std::fs::OpenOptions::new();
        let kept = options.read(true).write(true).open(&path).map_err(failed)?;
        let kept = Arc::new(OwnedFd::from(kept));
        Ok((Self { kept }, file))
    }

    pub fn file(&self) -> &Arc<OwnedFd> {
        &self.kept
    }

    /// Waits until all copies of the given descriptor are closed: from then on no other process can
    /// change the file. May be dropped and repeated.
    pub async fn closed(&self) -> Result<(), SysError> {
        if flock(&*self.kept, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Ok(());
        }
        let (sender, receiver) = oneshot::channel();
        let kept = self.kept.clone();
        // A thread of its own, because a runtime waits for its blocking threads at shutdown, and
        // this one waits for another process.
        let waiter = std::thread::Builder::new()
            .name("upload".to_owned())
            .spawn(move || {
                let _ = sender.send(lock(&kept));
            });
        let failed = |source| SysError::io("wait for", &path_of(&self.kept), source);
        waiter.map_err(failed)?;
        match receiver.await {
            Ok(locked) => locked.map_err(failed),
            Err(_) => Err(failed(io::Error::other("the waiting thread died"))),
        }
    }
}

fn lock(file: &OwnedFd) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[tokio::test]
    async fn a_file_is_returned_when_its_last_descriptor_is_closed() {
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        let (file, given) = UploadFile::new(file).unwrap();
        let mut first = std::fs::File::from(given);
        let second = first.try_clone().unwrap();
        first.write_all(b"whole").unwrap();
        drop(first);
        let waiting = tokio::time::timeout(Duration::from_millis(50), file.closed());
        assert!(waiting.await.is_err(), "it is still out");
        drop(second);
        file.closed().await.unwrap();
        file.closed().await.unwrap();
        assert_eq!(std::fs::read(path_of(file.file())).unwrap(), b"whole");
    }
}
