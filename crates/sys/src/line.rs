//! A connection that was handed to another process.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{Shutdown, shutdown};

use crate::SysError;

/// Our side of a connection that was given away. Dropping it hangs up, even if other processes
/// still have a descriptor of it.
#[derive(Debug)]
pub struct LentLine {
    kept: OwnedFd,
}

impl LentLine {
    pub fn new(given: &OwnedFd) -> Result<Self, SysError> {
        let kept = given.try_clone();
        let kept =
            kept.map_err(|source| SysError::io("keep", Path::new("a connection"), source))?;
        Ok(Self { kept })
    }
}

impl Drop for LentLine {
    fn drop(&mut self) {
        // The other side may have hung up before.
        let _ = shutdown(&self.kept, Shutdown::Both);
    }
}
