//! The transport of frames: today the unix socket of this host's agent. A connection to another
//! node will identify its peer in another way and cannot pass descriptors; otherwise it will be the
//! same.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use model::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};

/// The process at the other end, from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
}

/// A connection.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// The peer, identified by a source that it cannot forge.
    fn peer(&self) -> io::Result<Peer>;

    /// The socket that can pass descriptors; none if the transport cannot.
    fn socket(&mut self) -> Option<&mut UnixStream> {
        None
    }
}

impl Transport for UnixStream {
    fn peer(&self) -> io::Result<Peer> {
        let credentials = self.peer_cred()?;
        Ok(Peer {
            uid: credentials.uid(),
        })
    }

    fn socket(&mut self) -> Option<&mut UnixStream> {
        Some(self)
    }
}

/// Accepts connections.
pub trait Listener: Send {
    type Transport: Transport;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Transport>> + Send;
}

impl Listener for UnixListener {
    type Transport = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(UnixListener::accept(self).await?.0)
    }
}

/// Opens connections to one agent.
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    async fn connect(&self) -> Result<Box<dyn Transport>, Error>;
}

/// Connects to the unix socket of this host's agent.
pub(super) struct SocketPath(pub(super) PathBuf);

#[async_trait]
impl Connector for SocketPath {
    async fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        match UnixStream::connect(&self.0).await {
            Ok(socket) => Ok(Box::new(socket)),
            Err(error) => {
                let socket = self.0.display();
                Err(Error::unavailable(format!(
                    "the node agent cannot be reached at {socket}: {error}"
                )))
            }
        }
    }
}
