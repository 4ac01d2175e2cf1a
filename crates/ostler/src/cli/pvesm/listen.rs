//! Streams that another program brings: it connects within half a minute, once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::Mode;

use super::super::agent::Agent;
use super::super::output;

/// How long a program may take to connect.
const PATIENCE: Duration = Duration::from_secs(30);

/// Source: the ports of migrations of Proxmox VE.
const PORTS: std::ops::Range<u16> = 60_000..60_050;

/// Listens on the address that this node has in a network, says where, and answers the first
/// connection from that network.
pub(super) async fn from_network(agent: &Agent, network: &str) -> Result<TcpStream> {
    let address = own_address(network)?;
    let network = network_of(network)?;
    let listener = PORTS
        .map(|port| TcpListener::bind((address, port)))
        .find_map(Result::ok)
        .with_context(|| format!("no port of {PORTS:?} is free at {address}"))?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    output::print(&format!("{address}\n{port}\n"))?;
    tokio::select! {
        accepted = accept_from(&listener, network) => accepted,
        () = agent.clock.sleep(PATIENCE) => late(),
    }
}

/// The first connection from a network; others are closed. A peer that vanishes is noticed by the
/// kernel.
async fn accept_from(
    listener: &tokio::net::TcpListener,
    (network, length): (IpAddr, u32),
) -> Result<TcpStream> {
    loop {
        let (stream, peer) = listener.accept().await?;
        if !is_in(peer.ip(), network, length) {
            let text = format!("refused a connection from {peer}: not of {network}/{length}");
            output::note(&text);
            continue;
        }
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        return Ok(stream);
    }
}

/// A socket that only its owner may connect to, from the moment it is there.
fn bind_alone(path: &Path) -> io::Result<UnixListener> {
    // No other thread of this program makes a file meanwhile.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

/// Listens at a path, which only root may connect to.
pub(super) async fn from_path(agent: &Agent, path: &Path) -> Result<UnixStream> {
    let listener = bind_alone(path);
    let listener = listener.with_context(|| format!("listening at '{}'", path.display()))?;
    let stream = async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::UnixListener::from_std(listener)?;
        output::line("ready")?;
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0.into_std()?,
            () = agent.clock.sleep(PATIENCE) => return late(),
        };
        stream.set_nonblocking(false)?;
        Ok(stream)
    };
    let stream = stream.await;
    let removed = std::fs::remove_file(path);
    let stream = stream?;
    removed.with_context(|| format!("removing '{}'", path.display()))?;
    Ok(stream)
}

fn late<T>() -> Result<T> {
    bail!("nothing has connected within {} s", PATIENCE.as_secs())
}

/// The address of this node in a network such as `10.0.0.0/24`, by the routes that it has.
fn own_address(network: &str) -> Result<IpAddr> {
    let (address, length) = network_of(network)?;
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let found = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Nothing is sent: the kernel chooses the address that it would send from.
        socket.connect((after(address, length), 9))?;
        socket.local_addr()
    });
    match found {
        Ok(found) if is_in(found.ip(), address, length) => Ok(found.ip()),
        _ => bail!("this node has no address in network '{network}'"),
    }
}

fn network_of(network: &str) -> Result<(IpAddr, u32)> {
    parse(network).with_context(|| format!("'{network}' is no network, such as 10.0.0.0/24"))
}

fn parse(network: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = network.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    (length <= bits_of(address)).then_some((address, length))
}

fn bits_of(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first address of a host in a network; the only one of a network of one.
fn after(address: IpAddr, length: u32) -> IpAddr {
    let host = u128::from(length + 1 < bits_of(address));
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() | host as u32).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() | host).into(),
    }
}

fn is_in(found: IpAddr, network: IpAddr, length: u32) -> bool {
    let hosts = bits_of(network) - length;
    let of = |address: IpAddr| number(address).checked_shr(hosts).unwrap_or(0);
    found.is_ipv4() == network.is_ipv4() && of(found) == of(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_says_the_address_of_this_node_in_it() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(own_address("127.0.0.0/8").unwrap(), loopback);
        assert_eq!(own_address("127.0.0.1/32").unwrap(), loopback);
        for wrong in ["127.0.0.1", "127.0.0.0/33", "x/8", "203.0.113.0/24", ""] {
            assert!(own_address(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_connection_from_elsewhere_is_closed_and_the_next_is_taken() {
        use tokio::io::AsyncReadExt;
        use tokio::net::{TcpListener, TcpSocket};

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let network = network_of("127.0.0.0/30").unwrap();
            accept_from(&listener, network).await.unwrap()
        });
        let from = async |address: &str| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(address.parse().unwrap()).unwrap();
            socket.connect(to).await.unwrap()
        };
        let mut stranger = from("127.0.0.9:0").await;
        assert_eq!(stranger.read(&mut [0]).await.unwrap_or(0), 0);
        let friend = from("127.0.0.2:0").await;
        let taken = accepting.await.unwrap();
        assert_eq!(taken.peer_addr().unwrap(), friend.local_addr().unwrap());
        assert!(rustix::net::sockopt::socket_keepalive(&taken).unwrap());
    }

    #[test]
    fn a_socket_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mode = |name: &str| {
            let metadata = std::fs::metadata(path(name)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        std::fs::write(path("before"), "").unwrap();
        let _listener = bind_alone(&path("socket")).unwrap();
        std::fs::write(path("after"), "").unwrap();
        assert_eq!(mode("socket"), 0o600);
        assert_eq!(mode("after"), mode("before"), "the umask is back");
    }

    #[test]
    fn an_address_is_in_its_networks() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(is_in(ip("10.0.3.7"), ip("10.0.0.0"), 22));
        assert!(!is_in(ip("10.0.4.7"), ip("10.0.0.0"), 22));
        assert!(is_in(ip("fd00::7"), ip("fd00::"), 64));
        assert!(is_in(ip("fd00::7"), ip("::"), 0));
        assert!(!is_in(ip("10.0.3.7"), ip("::"), 0));
    }
}
