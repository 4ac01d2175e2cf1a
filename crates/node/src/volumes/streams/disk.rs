//! An image as the bytes that a guest sees, of whatever format and wherever it is.
//!
//! A raw file or device is read and written as it is. All else is exported by a program of QEMU's in a
//! fence with the image, for as long as it is used, to the one connection that was waiting before the
//! program was started.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Error, StorageId};
use storage::Opened;
use sys::{Command, Fence, Output, SharedHost, SysError};

use super::nbd::Nbd;
use super::{Cx, connected};
use crate::volumes::images::cpu_time;

const SERVER: &str = "qemu-storage-daemon";

const EXPORT: &str = "disk";

/// The descriptor at which the server finds its connection.
const LISTENER: i32 = 3;

pub(super) enum Disk {
    Plain {
        host: SharedHost,
        file: Arc<OwnedFd>,
        path: PathBuf,
        bytes: u64,
    },
    Served(Nbd),
}

impl Disk {
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Plain { bytes, .. } => *bytes,
            Self::Served(export) => export.bytes(),
        }
    }

    /// Reads so many bytes; fewer only at the end.
    pub(super) async fn read_at(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        match self {
            Self::Plain {
                host, file, path, ..
            } => Ok(host.read_at(file, path, offset, length).await?),
            Self::Served(export) => {
                let left = export.bytes().saturating_sub(offset);
                let length = length.min(usize::try_from(left).unwrap_or(length));
                let read = export.read_at(offset, length).await;
                read.map_err(|error| Error::unavailable(format!("cannot read the image: {error}")))
            }
        }
    }

    pub(super) async fn write_at(
        &mut self,
        storage: &StorageId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Error> {
        match self {
            Self::Plain {
                host, file, path, ..
            } => {
                let written = host.write_at(file, path, offset, bytes.to_vec()).await;
                written.map_err(|error| unwritten(storage, error))
            }
            Self::Served(export) => {
                let written = export.write_at(offset, bytes).await;
                written.map_err(|error| unserved(storage, &error))
            }
        }
    }

    /// Returns once all that was written is on the disk.
    pub(super) async fn flush(&mut self, storage: &StorageId) -> Result<(), Error> {
        match self {
            Self::Plain { host, path, .. } => {
                let synced = host.sync(path).await;
                synced.map_err(|error| unwritten(storage, error))
            }
            Self::Served(export) => {
                let flushed = export.flush().await;
                flushed.map_err(|error| unserved(storage, &error))
            }
        }
    }
}

fn full(storage: &StorageId) -> Error {
    Error::unavailable(format!("no space left on storage '{storage}'"))
}

/// Words a failure to write to a storage.
pub(super) fn unwritten(storage: &StorageId, error: SysError) -> Error {
    match error.is_full() {
        true => full(storage),
        false => error.into(),
    }
}

fn unserved(storage: &StorageId, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => full(storage),
        _ => Error::unavailable(format!("cannot write to storage '{storage}': {error}")),
    }
}

/// Where a connection waits for a moment.
fn place(cx: &Cx) -> PathBuf {
    let name = format!("{}.sock", cx.job_id("disk"));
    cx.node.paths.runtime().join(name)
}

/// Removes what a task that was broken off may have left.
pub(crate) async fn clear(cx: &Cx) -> Result<(), Error> {
    cx.node.host.remove(&place(cx)).await?;
    Ok(())
}

/// Does some work with what an open image shows.
pub(super) async fn with_disk<T, W: Future<Output = Result<T, Error>> + Send>(
    cx: &Cx,
    image: &Opened,
    work: impl FnOnce(Disk) -> W + Send,
) -> Result<T, Error> {
    let host = &cx.node.host;
    if let Some(file) = image.plain() {
        let disk = Disk::Plain {
            host: host.clone(),
            file: file.clone(),
            path: image.path().to_owned(),
            bytes: image.virtual_size(),
        };
        return work(disk).await;
    }
    let socket = place(cx);
    clear(cx).await?;
    let listener = host.listen(&socket, None).await?;
    let connection = host.connect_descriptor(&socket).await;
    clear(cx).await?;
    let connection = connected(connection?)?;
    let server = cx.run(server(image, listener));
    tokio::pin!(server);
    let greeted = tokio::select! {
        ended = &mut server => return Err(ended_early(ended)),
        greeted = Nbd::greet(connection, EXPORT) => greeted,
    };
    let export = match greeted {
        Ok(export) => export,
        // It closes the connection because it ends, and says why.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(ended_early(server.await));
        }
        Err(error) => return Err(Error::unavailable(format!("{SERVER}: {error}"))),
    };
    let done = tokio::select! {
        ended = &mut server => Err(ended_early(ended)),
        done = work(Disk::Served(export)) => done,
    };
    // Nothing is left in it: what was written was flushed.
    host.kill_scope(&cx.scope()).await?;
    done
}

fn server(image: &Opened, listener: OwnedFd) -> Command {
    let writable = if image.is_writable() { "on" } else { "off" };
    let export = format!("type=nbd,id=export,node-name={EXPORT},name={EXPORT},writable={writable}");
    let fence = Fence::new(Some(cpu_time(image.virtual_size())));
    let command = Command::new(SERVER)
        .args(["--blockdev".to_owned(), image.node_named(EXPORT)])
        .args(["--nbd-server".to_owned()])
        .arg(format!(
            "addr.type=fd,addr.str={LISTENER},max-connections=1"
        ))
        .args(["--export".to_owned(), export]);
    Command {
        descriptors: vec![(LISTENER, Arc::new(listener))],
        ..command
    }
    .timeout(None)
    .fence(image.inside(fence))
}

fn ended_early(ended: Result<Output, SysError>) -> Error {
    match ended.and_then(|ended| ended.checked(SERVER)) {
        Err(error) => error.into(),
        Ok(_) => Error::unavailable(format!("{SERVER} has ended")),
    }
}
