//! Connections to the agent of another member, and their errors in the words of Proxmox VE's proxy.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Clock, Error, ErrorKind, NodeName, with_timeout};
use proto::wire::{Connector, Transport};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::{TlsConnector, TlsStream};

use super::hearing::Hearing;
use super::identity::server_name;
use super::transport::{MemberStream, Places};
use super::{AgentIdentity, Members};

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same for a member that is silent: its callers get an answer within a second.
const SHORT_PATIENCE: Duration = Duration::from_millis(900);

const TIMED_OUT: &str = "Connection timed out";

/// Connects to one member.
#[derive(Clone)]
pub(super) struct MemberConnector {
    pub(super) node: NodeName,
    /// Where its host is reached; none: at the address of its present record.
    pub(super) address: Option<IpAddr>,
    pub(super) identity: Option<Arc<AgentIdentity>>,
    pub(super) members: Arc<Members>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) places: Places,
    pub(super) hearing: Arc<watch::Sender<Hearing>>,
}

impl MemberConnector {
    fn is_silent(&self) -> bool {
        *self.hearing.borrow() == Hearing::Silent
    }

    async fn reach(&self, identity: &AgentIdentity, address: &str) -> Result<MemberStream, Error> {
        let tcp = TcpStream::connect(address).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let connector = TlsConnector::from(identity.client());
        let tls = connector.connect(server_name(&self.node)?, tcp).await;
        let tls = TlsStream::Client(tls.map_err(|error| lost(&error))?);
        let stream = MemberStream::new(tls, self.members.clone(), &self.places);
        let stream = stream.map_err(|_| unverified())?;
        // Another member's certificate would pass as this one's only with its name.
        match *stream.node() == self.node {
            true => Ok(stream),
            false => Err(unverified()),
        }
    }
}

#[async_trait]
impl Connector for MemberConnector {
    async fn connect(&self) -> Result<Box<dyn Transport>, Error> {
        let member = self.members.get(&self.node);
        let (Some(member), Some(identity)) = (member, &self.identity) else {
            let text = "No route to host";
            return Err(Error::new(ErrorKind::NodeUnreachable, text));
        };
        let patience = match self.is_silent() {
            true => SHORT_PATIENCE,
            false => PATIENCE,
        };
        let address = match self.address {
            Some(address) => member.with_address(address),
            None => member.address,
        };
        let reached = self.reach(identity, &address);
        let reached = with_timeout(&*self.clock, patience, reached).await;
        let in_time = || Err(Error::new(ErrorKind::NodeUnreachable, TIMED_OUT));
        Ok(Box::new(reached.unwrap_or_else(in_time)?))
    }

    fn broken(&self, error: Error) -> Error {
        if error.kind == ErrorKind::NodeGarbled {
            return error;
        }
        let text = match self.is_silent() {
            true => TIMED_OUT,
            false => "Broken pipe",
        };
        Error::new(ErrorKind::NodeLost, text)
    }
}

fn unreachable(error: io::Error) -> Error {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "No route to host".to_owned()
        }
        io::ErrorKind::TimedOut => TIMED_OUT.to_owned(),
        _ => error.to_string(),
    };
    Error::new(ErrorKind::NodeUnreachable, text)
}

/// The error of a failed handshake.
fn lost(error: &io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => unverified(),
        Some(error) => Error::new(ErrorKind::NodeLost, error.to_string()),
        None => Error::new(ErrorKind::NodeLost, "Broken pipe"),
    }
}

fn unverified() -> Error {
    let text = "tls_process_server_certificate: certificate verify failed";
    Error::new(ErrorKind::NodeLost, text)
}
