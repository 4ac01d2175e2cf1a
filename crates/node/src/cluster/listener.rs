//! Where the agents of other members connect to.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, with_timeout};
use proto::wire::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tracing::{debug, warn};

use super::transport::{MemberStream, Places};
use super::{AgentIdentity, Members};

/// How long a peer may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes of one address at the same time; more are closed unread.
const HANDSHAKES_OF_AN_ADDRESS: usize = 16;

/// Handshakes of addresses that no member has. Members' handshakes do not count, so that strangers
/// cannot lock them out.
const HANDSHAKES_OF_STRANGERS: usize = 64;

/// Accepts connections of members.
pub struct MemberListener {
    socket: TcpListener,
    identity: Arc<AgentIdentity>,
    members: Arc<Members>,
    clock: Arc<dyn Clock>,
    places: Places,
    arriving: Mutex<Arriving>,
}

/// Peers that are proving who they are.
#[derive(Default)]
struct Arriving {
    handshakes: JoinSet<(IpAddr, Option<MemberStream>)>,
    /// How many there are of each address.
    counts: HashMap<IpAddr, usize>,
}

impl MemberListener {
    pub async fn bind(
        address: SocketAddr,
        identity: Arc<AgentIdentity>,
        members: Arc<Members>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: TcpListener::bind(address).await?,
            identity,
            members,
            clock,
            places: Places::default(),
            arriving: Mutex::default(),
        })
    }

    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Begins a handshake, or closes a connection for which there is no room.
    fn greet(&self, arriving: &mut Arriving, tcp: TcpStream, address: IpAddr) {
        let is_strange = |address: &IpAddr| {
            let all = self.members.all();
            let mut hosts = all.values().map(|member| member.host().parse().ok());
            !hosts.any(|host| host == Some(*address))
        };
        let of_address = arriving.counts.get(&address).copied().unwrap_or(0);
        let strangers = || -> usize {
            let counts = arriving.counts.iter();
            let strange = counts.filter(|(address, _)| is_strange(address));
            strange.map(|(_, count)| count).sum()
        };
        let is_full = is_strange(&address) && strangers() >= HANDSHAKES_OF_STRANGERS;
        if of_address >= HANDSHAKES_OF_AN_ADDRESS || is_full {
            debug!(%address, "too many handshakes, a connection was closed");
            return;
        }
        *arriving.counts.entry(address).or_default() += 1;
        let acceptor = TlsAcceptor::from(self.identity.server());
        let members = self.members.clone();
        let (clock, places) = (self.clock.clone(), self.places.clone());
        arriving.handshakes.spawn(async move {
            let proven = prove(tcp, &acceptor, members, &places);
            let proven = with_timeout(&*clock, HANDSHAKE, proven).await;
            let proven = proven.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
            if let Err(error) = &proven {
                warn!(%address, %error, "a connection to the agent's port was refused");
            }
            (address, proven.ok())
        });
    }
}

async fn prove(
    tcp: TcpStream,
    acceptor: &TlsAcceptor,
    members: Arc<Members>,
    places: &Places,
) -> io::Result<MemberStream> {
    tcp.set_nodelay(true)?;
    let tls = TlsStream::Server(acceptor.accept(tcp).await?);
    MemberStream::new(tls, members, places)
}

impl Listener for MemberListener {
    type Transport = MemberStream;

    async fn accept(&self) -> io::Result<MemberStream> {
        let mut arriving = self.arriving.lock().await;
        loop {
            tokio::select! {
                accepted = self.socket.accept() => {
                    let (tcp, address) = accepted?;
                    self.greet(&mut arriving, tcp, address.ip().to_canonical());
                }
                Some(ended) = arriving.handshakes.join_next() => {
                    let Ok((address, proven)) = ended else { continue };
                    if let Some(count) = arriving.counts.get_mut(&address) {
                        *count -= 1;
                        if *count == 0 {
                            arriving.counts.remove(&address);
                        }
                    }
                    if let Some(stream) = proven {
                        return Ok(stream);
                    }
                }
            }
        }
    }
}
