//! Whether a server is there.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

/// How long a server may take for a connection. Source: Proxmox VE's time-out.
const CONNECT: Duration = Duration::from_secs(2);

/// Whether one of these ports takes a connection.
pub(crate) async fn answers(server: &str, ports: &[u16]) -> bool {
    for port in ports {
        let addresses = tokio::time::timeout(CONNECT, tokio::net::lookup_host((server, *port)));
        let Ok(Ok(addresses)) = addresses.await else {
            return false;
        };
        for address in addresses.collect::<Vec<SocketAddr>>() {
            let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
            if matches!(connected, Ok(Ok(_))) {
                return true;
            }
        }
    }
    false
}
