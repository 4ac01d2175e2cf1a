//! Streams whose other end a caller has, until a task takes them.
//!
//! ```text
//!   open() ──► socket for the caller ── claim() ──► take() by the task, by its id
//!                │                        │
//!                └────────────────────────┴ the caller is gone, or the task refuses ──► forgotten
//! ```
//!
//! A step that has read the beginning of a stream keeps it here for the next (`keep`, `go_on`).

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Error, ErrorKind, VolumeId};
use tokio::net::UnixStream;
use uuid::Uuid;

use super::{Reader, connected};

/// Streams that may wait for their tasks at a time.
const OPEN: usize = 64;

type Open = Arc<Mutex<HashMap<String, Waiting>>>;

#[derive(Default)]
pub struct Streams {
    open: Open,
    /// Those of which their task has read the beginning.
    begun: Mutex<HashMap<String, Reader>>,
}

struct Waiting {
    ours: OwnedFd,
    volume: VolumeId,
    is_claimed: bool,
}

/// Dropped when the caller is gone: a stream that no task has taken is forgotten.
pub struct LentStream {
    open: Open,
    id: String,
}

impl Drop for LentStream {
    fn drop(&mut self) {
        lock(&self.open).remove(&self.id);
    }
}

impl Streams {
    /// Answers the id of a new stream, which cannot be guessed, and the caller's end of it.
    pub fn open(&self, volume: VolumeId) -> Result<(String, OwnedFd, LentStream), Error> {
        let pair = StdUnixStream::pair();
        let (ours, given) =
            pair.map_err(|error| Error::unavailable(format!("cannot open a stream: {error}")))?;
        let mut open = lock(&self.open);
        if open.len() >= OPEN {
            let text = format!("{OPEN} streams are under way, try again later");
            return Err(Error::new(ErrorKind::Busy, text));
        }
        let id = Uuid::new_v4().simple().to_string();
        let waiting = Waiting {
            ours: ours.into(),
            volume,
            is_claimed: false,
        };
        open.insert(id.clone(), waiting);
        let lent = LentStream {
            open: self.open.clone(),
            id: id.clone(),
        };
        Ok((id, given.into(), lent))
    }

    /// From now on the stream waits for its task.
    pub fn claim(&self, id: &str, volume: &VolumeId) -> Result<(), Error> {
        match lock(&self.open).get_mut(id) {
            Some(stream) if stream.volume == *volume && !stream.is_claimed => {
                stream.is_claimed = true;
                Ok(())
            }
            _ => Err(gone()),
        }
    }

    /// The task's end. It is given once.
    pub(crate) fn take(&self, id: &str) -> Result<UnixStream, Error> {
        let stream = lock(&self.open).remove(id).ok_or_else(gone)?;
        connected(stream.ours)
    }

    /// Keeps a stream for a later step of its task.
    pub(crate) fn keep(&self, id: &str, reader: Reader) {
        lock(&self.begun).insert(id.to_owned(), reader);
    }

    /// A stream that an earlier step has kept. It is given once.
    pub(crate) fn go_on(&self, id: &str) -> Result<Reader, Error> {
        lock(&self.begun).remove(id).ok_or_else(gone)
    }

    /// The caller's end is closed. Also what a task does that ends before it has taken the stream, or
    /// before it goes on with it.
    pub fn forget(&self, id: &str) {
        lock(&self.open).remove(id);
        lock(&self.begun).remove(id);
    }
}

fn gone() -> Error {
    Error::unavailable("the stream is gone: its other end was closed, or the agent has restarted")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_claimed_once_and_forgotten_with_its_caller() {
        let streams = Streams::default();
        let volume: VolumeId = "local:100/vm-100-disk-0.raw".parse().unwrap();
        let other = "local:100/vm-100-disk-1.raw".parse().unwrap();
        let (id, _given, lent) = streams.open(volume.clone()).unwrap();
        assert!(streams.claim(&id, &other).is_err());
        streams.claim(&id, &volume).unwrap();
        assert!(streams.claim(&id, &volume).is_err());
        drop(lent);
        assert_eq!(lock(&streams.open).len(), 0);
        let (id, _given, lent) = streams.open(volume.clone()).unwrap();
        drop(lent);
        assert!(streams.claim(&id, &volume).is_err());
    }

    #[tokio::test]
    async fn a_stream_that_was_begun_is_given_once_or_forgotten() {
        use tokio::io::AsyncReadExt;

        let streams = Streams::default();
        for is_forgotten in [false, true] {
            let (mut caller, ours) = UnixStream::pair().unwrap();
            streams.keep("5eed", Reader::new(ours));
            match is_forgotten {
                true => streams.forget("5eed"),
                false => drop(streams.go_on("5eed").unwrap()),
            }
            assert!(streams.go_on("5eed").is_err());
            // Its caller finds it closed.
            assert_eq!(caller.read(&mut [0]).await.unwrap(), 0);
        }
    }
}
