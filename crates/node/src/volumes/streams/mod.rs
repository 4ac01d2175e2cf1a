//! Volumes as streams of bytes, for `pvesm export` and `pvesm import`.
//!
//! ```text
//!   volume ─ send ─► PartWriter ══ socket ══► command line
//!   volume ◄ take ── PartReader ══ socket ══
//! ```
//!
//! What is inside of the parts is the format (`storage::StreamFormat`). Nothing that is received is
//! believed: sizes are held against what comes, images against their names, archives are watched.

mod disk;
mod files;
mod images;
mod lent;
mod nbd;
mod trees;

use std::io;
use std::os::fd::OwnedFd;

use model::{Error, VolumeId};
use proto::wire::{PartReader, PartWriter};
use tasks::TaskContext;
use tokio::net::UnixStream;

use crate::NodeContext;

pub use lent::{LentStream, Streams};

pub(crate) use disk::clear;
pub(crate) use files::{send_file, take_file};
pub(crate) use images::{check_image_size, send_image, sum_of, take_image};
pub(crate) use trees::{send_tree, take_tree};

type Cx = TaskContext<NodeContext>;

type Writer = PartWriter<UnixStream>;

pub(crate) type Reader = PartReader<UnixStream>;

/// The bytes before the content of formats that say a size.
const HEADER: usize = 8;

/// Read and written at a time.
const BLOCK: usize = 1 << 20;

/// The stream of a socket that another process has made.
pub(crate) fn stream_of(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(descriptor);
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

pub(crate) fn connected(descriptor: OwnedFd) -> Result<UnixStream, Error> {
    stream_of(descriptor)
        .map_err(|error| Error::bug(format!("a connection cannot be used: {error}")))
}

/// Words why nothing more is received.
fn cut(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => Error::unavailable(error.to_string()),
        _ => Error::unavailable("the stream was cut off before its end"),
    }
}

fn gone(error: &io::Error) -> Error {
    Error::unavailable(format!("the receiver of the stream is gone: {error}"))
}

/// Reads the size at the beginning of a stream.
pub(crate) async fn size_of(from: &mut Reader) -> Result<u64, Error> {
    let mut header = [0; HEADER];
    let count = from.fill(&mut header).await.map_err(|error| cut(&error))?;
    if count < HEADER {
        return Err(Error::conflict("the stream ends before it says a size"));
    }
    let size = u64::from_le_bytes(header);
    // The length of a file is a signed number.
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => Err(Error::conflict(format!(
            "the stream says a size of {size} bytes: no volume is as large"
        ))),
    }
}

/// Refuses a stream that has not ended.
async fn check_end(from: &mut Reader, bytes: u64) -> Result<(), Error> {
    let more = from.read(&mut [0]).await.map_err(|error| cut(&error))?;
    match more {
        0 => Ok(()),
        _ => Err(Error::conflict(format!(
            "the stream goes on after the {bytes} bytes that it says"
        ))),
    }
}

fn too_short(at: u64, bytes: u64) -> Error {
    let text = format!("the stream ends after {at} of the {bytes} bytes that it says");
    Error::conflict(text)
}

/// The progress of a stream in the task's log, a line for each percent at most.
pub(crate) struct Progress<'a> {
    cx: &'a Cx,
    what: &'a VolumeId,
    total: u64,
    percent: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(cx: &'a Cx, what: &'a VolumeId) -> Self {
        Self {
            cx,
            what,
            total: 0,
            percent: 0,
        }
    }

    async fn at(&mut self, at: u64) {
        let at = at.min(self.total);
        let percent = at.saturating_mul(100) / self.total.max(1);
        if percent > self.percent {
            self.percent = percent;
            let what = self.what.to_string();
            self.cx.progress(&what, at, self.total).await;
        }
    }
}
