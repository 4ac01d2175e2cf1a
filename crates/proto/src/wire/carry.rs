//! Streams between hosts. A transport that cannot pass a descriptor carries the bytes itself.
//!
//! ```text
//!   api ── socket ── entry agent ══ transport ══ owner ── descriptor
//!          pair      `bring`                     `carry`
//! ```
//!
//! A connection (a console) is carried both ways as it is, until one side ends. A file (an upload)
//! is carried to the owner in blocks, each with its length before it (4 bytes, big-endian); a length
//! of 0 ends it. The owner answers with an error number of the system, 0 for none. The descriptor
//! stays open until the transport is closed, as it would in the api. On the socket pair the content
//! has no lengths: it ends when the writer shuts its side down (`finish`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, split,
};
use tokio::net::UnixStream;

use super::Transport;

/// The largest block of a file.
const BLOCK: usize = 256 * 1024;

/// The number of an error that is none of the system.
const EIO: i32 = Errno::IO.raw_os_error();

fn is_of_type(descriptor: &OwnedFd, wanted: FileType) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(descriptor)?.st_mode) == wanted)
}

/// Whether a descriptor is a file that the other host fills.
pub(super) fn is_file(descriptor: &OwnedFd) -> io::Result<bool> {
    is_of_type(descriptor, FileType::RegularFile)
}

/// The owner's side: carries between the transport and a descriptor until one of them ends.
pub(super) async fn carry(
    transport: &mut impl Transport,
    descriptor: OwnedFd,
    is_file: bool,
) -> io::Result<()> {
    if is_file {
        let file = File::from(descriptor);
        let received = receive(transport, file.try_clone()?).await;
        let number = match received {
            Ok(()) => 0,
            Err(Received::Unwritten(error)) => error.raw_os_error().unwrap_or(EIO),
            Err(Received::Lost(error)) => return Err(error),
        };
        transport.write_i32(number).await?;
        transport.flush().await?;
        let mut nothing = [0; 64];
        while transport.read(&mut nothing).await? > 0 {}
        return Ok(());
    }
    let connection = StdUnixStream::from(descriptor);
    connection.set_nonblocking(true)?;
    let (mut from, mut to) = UnixStream::from_std(connection)?.into_split();
    let (mut reader, mut writer) = split(transport);
    tokio::select! {
        ended = copy(&mut from, &mut writer) => ended?,
        ended = copy(&mut reader, &mut to) => ended?,
    };
    writer.shutdown().await
}

/// Why a file was not received.
enum Received {
    Unwritten(io::Error),
    Lost(io::Error),
}

async fn receive(transport: &mut (impl AsyncRead + Unpin), mut file: File) -> Result<(), Received> {
    loop {
        let length = transport.read_u32().await.map_err(Received::Lost)? as usize;
        if length == 0 {
            return Ok(());
        }
        if length > BLOCK {
            let error = io::Error::new(io::ErrorKind::InvalidData, "a block is too long");
            return Err(Received::Lost(error));
        }
        let mut block = vec![0; length];
        let read = transport.read_exact(&mut block).await;
        read.map_err(Received::Lost)?;
        let written = tokio::task::spawn_blocking(move || {
            let written = file.write_all(&block);
            (file, written)
        });
        let (back, written) = written
            .await
            .map_err(|error| Received::Lost(io::Error::other(error)))?;
        file = back;
        written.map_err(Received::Unwritten)?;
    }
}

/// The entry agent's side: the descriptor for the api, and the work that carries its bytes.
pub(super) fn bring(
    transport: Box<dyn Transport>,
    is_file: bool,
) -> io::Result<(OwnedFd, impl Future<Output = io::Result<()>> + Send)> {
    let (ours, given) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    let work = async move {
        match is_file {
            true => send_file(ours, transport).await,
            false => connect(ours, transport).await,
        }
    };
    Ok((given.into(), work))
}

async fn connect(mut ours: UnixStream, mut transport: Box<dyn Transport>) -> io::Result<()> {
    copy_bidirectional(&mut ours, &mut transport).await?;
    Ok(())
}

async fn send_file(ours: UnixStream, transport: Box<dyn Transport>) -> io::Result<()> {
    let (mut from, mut to) = ours.into_split();
    let (mut reader, mut writer) = split(transport);
    // The owner answers before the end if it cannot write.
    let number = tokio::select! {
        sent = send_blocks(&mut from, &mut writer) => {
            sent?;
            reader.read_i32().await?
        }
        number = reader.read_i32() => number?,
    };
    // From now on the api's writes fail, and it reads why.
    shutdown(from.as_ref(), Shutdown::Read)?;
    to.write_i32(number).await?;
    to.shutdown().await?;
    // The transport stays open until the api is done with the upload.
    std::future::pending().await
}

async fn send_blocks(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let length = from.read(&mut block).await?;
        to.write_u32(length as u32).await?;
        to.write_all(&block[..length]).await?;
        to.flush().await?;
        if length == 0 {
            return Ok(());
        }
    }
}

/// Ends the writing of an upload's content; blocks. If it goes to another host, this waits until all
/// of it has been written there.
pub fn finish(file: &mut File) -> io::Result<()> {
    let descriptor = file.try_clone()?.into();
    if !is_of_type(&descriptor, FileType::Socket)? {
        return Ok(());
    }
    // An owner that has answered already is no error.
    let _ = shutdown(&descriptor, Shutdown::Write);
    let mut number = [0; 4];
    file.read_exact(&mut number)?;
    match i32::from_be_bytes(number) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}
