//! The transport of frames: the unix socket of this host's agent, or a connection to another node's
//! agent, which identifies its peer in another way and cannot pass descriptors.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Error, NodeName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};

/// The process or agent at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A process of this host; its uid is from the kernel.
    Local { uid: u32 },
    /// The agent of another member, by its verified certificate.
    Node {
        name: NodeName,
        /// The public key of that certificate.
        key: Arc<[u8]>,
    },
}

impl Peer {
    /// The uid of a process of this host.
    pub fn uid(&self) -> Option<u32> {
        match self {
            Self::Local { uid } => Some(*uid),
            Self::Node { .. } => None,
        }
    }
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
        Ok(Peer::Local {
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

    /// The error for callers whose connection broke before the answer.
    fn broken(&self, error: Error) -> Error {
        error
    }
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
