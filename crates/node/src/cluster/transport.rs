//! A connection between two agents.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use model::NodeName;
use proto::wire::{Peer, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::Members;
use super::identity::Presented;

/// Connections of one member at most: requests share one, each console and upload has its own.
const OF_A_MEMBER: usize = 512;

/// Counts the open connections of each member.
#[derive(Clone, Default)]
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<NodeName, usize>>>,
}

impl Places {
    fn take(&self, node: &NodeName) -> Option<Place> {
        let mut taken = self.taken();
        let count = taken.entry(node.clone()).or_default();
        if *count >= OF_A_MEMBER {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Place {
            places: self.clone(),
            node: node.clone(),
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<NodeName, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Given back when the connection ends.
struct Place {
    places: Places,
    node: NodeName,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.node);
            }
        }
    }
}

/// An encrypted connection whose peer is a member. It breaks when the peer is removed.
pub struct MemberStream {
    tls: TlsStream<TcpStream>,
    peer: Presented,
    members: Arc<Members>,
    /// Ends when the peer is no longer a member.
    removed: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Also if it has become one again since.
    is_removed: bool,
    _place: Place,
}

impl MemberStream {
    /// Refuses a peer that is not a member, or has too many connections.
    pub(super) fn new(
        tls: TlsStream<TcpStream>,
        members: Arc<Members>,
        places: &Places,
    ) -> io::Result<Self> {
        let (_, session) = tls.get_ref();
        let own = session.peer_certificates().and_then(<[_]>::first);
        let peer = own.and_then(Presented::of).ok_or_else(not_a_member)?;
        if !members.is_present(&peer.name, &peer.fingerprint) {
            return Err(not_a_member());
        }
        let place = places.take(&peer.name);
        let place = place.ok_or_else(|| {
            io::Error::other(format!("node '{}' has too many connections", peer.name))
        })?;
        let (watched, node, fingerprint) =
            (members.clone(), peer.name.clone(), peer.fingerprint.clone());
        let removed = Box::pin(async move {
            let mut changes = watched.changes();
            while watched.is_present(&node, &fingerprint) {
                // The sender lives as long as the members.
                let _ = changes.changed().await;
            }
        });
        Ok(Self {
            tls,
            peer,
            members,
            removed,
            is_removed: false,
            _place: place,
        })
    }

    pub(super) fn node(&self) -> &NodeName {
        &self.peer.name
    }

    fn check(&self) -> io::Result<()> {
        let Presented {
            name, fingerprint, ..
        } = &self.peer;
        match !self.is_removed && self.members.is_present(name, fingerprint) {
            true => Ok(()),
            false => Err(not_a_member()),
        }
    }
}

fn not_a_member() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the peer is not a member of the cluster",
    )
}

impl Transport for MemberStream {
    fn peer(&self) -> io::Result<Peer> {
        Ok(Peer::Node {
            name: self.peer.name.clone(),
            key: self.peer.key.clone(),
        })
    }
}

impl AsyncRead for MemberStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let read = Pin::new(&mut self.tls).poll_read(cx, buffer);
        if read.is_pending() {
            // Wakes this reader when the peer is removed.
            ready!(self.removed.as_mut().poll(cx));
            self.is_removed = true;
            return Poll::Ready(Err(not_a_member()));
        }
        read
    }
}

impl AsyncWrite for MemberStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
