//! Frames: a length and JSON.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The maximum frame: a body of 512 KiB, escaped, with room to spare; pages of a feed fit too.
pub const FRAME_LIMIT: usize = 8 << 20;

/// The maximum answer, which comes from the trusted agent: 16 MiB of a guest's file with every byte
/// escaped.
pub const ANSWER_LIMIT: usize = 128 << 20;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("a frame of {0} bytes exceeds the limit")]
    TooLong(usize),
    #[error("a frame does not have the expected JSON")]
    Malformed(#[from] serde_json::Error),
}

pub(super) fn encode(message: &impl Serialize, limit: usize) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(short) if length <= limit => frame[..4].copy_from_slice(&short.to_be_bytes()),
        _ => return Err(FrameError::TooLong(length)),
    }
    Ok(frame)
}

pub(super) async fn write<W: AsyncWrite + Unpin>(
    to: &mut W,
    message: &impl Serialize,
    limit: usize,
) -> Result<(), FrameError> {
    Ok(to.write_all(&encode(message, limit)?).await?)
}

/// Reads a frame; none if the peer closed the connection between two frames. Not cancellation-safe.
pub(super) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Option<T>, FrameError> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        result => result?,
    };
    let length = u32::from_be_bytes(length) as usize;
    if length > limit {
        return Err(FrameError::TooLong(length));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Writes a frame and sends a descriptor with its first byte.
pub(super) async fn write_with_descriptor(
    to: &mut UnixStream,
    message: &impl Serialize,
    descriptor: BorrowedFd<'_>,
) -> Result<(), FrameError> {
    let frame = encode(message, ANSWER_LIMIT)?;
    let sent = to
        .async_io(Interest::WRITABLE, || {
            let descriptors = [descriptor];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
            let slice = [io::IoSlice::new(&frame)];
            Ok(sendmsg(
                to.as_fd(),
                &slice,
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )?)
        })
        .await?;
    Ok(to.write_all(&frame[sent..]).await?)
}

/// Reads a frame that may carry a descriptor with its first byte.
pub(super) async fn read_with_descriptor<T: DeserializeOwned>(
    from: &mut UnixStream,
) -> Result<Option<(T, Option<OwnedFd>)>, FrameError> {
    let mut first = [0; 1];
    let mut descriptor = None;
    let received = from
        .async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut slice = [io::IoSliceMut::new(&mut first)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let message = recvmsg(from.as_fd(), &mut slice, &mut ancillary, flags)?;
            for part in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(mut descriptors) = part {
                    descriptor = descriptors.next();
                }
            }
            Ok(message.bytes)
        })
        .await?;
    if received == 0 {
        return Ok(None);
    }
    let mut rest = (&first[..]).chain(from);
    Ok(read(&mut rest, ANSWER_LIMIT)
        .await?
        .map(|message| (message, descriptor)))
}
