//! The addresses in links.

use std::net::{IpAddr, TcpListener};

use model::Error;
use node::host::facts::Facts;

use crate::ops::Op;

/// The address of link 0: the given one, or the node's own. It must be one of this node.
pub(in crate::ops::cluster) async fn own(op: &Op, link0: Option<&str>) -> Result<String, Error> {
    let links = (1..8).map(|number| format!("link{number}"));
    if let Some(link) = links.into_iter().find(|link| op.params.contains_key(link)) {
        return Err(Error::invalid(link, "a cluster has one link so far"));
    }
    match link0 {
        Some(link) => address_of(link),
        None => own_address(op).await,
    }
}

/// The address in a link, `10.0.0.1` or `address=10.0.0.1,priority=3`.
fn address_of(link: &str) -> Result<String, Error> {
    let mut parts = link.split(',').map(str::trim);
    let address = parts.find_map(|part| match part.split_once('=') {
        None => Some(part),
        Some(("address", address)) => Some(address),
        Some(_) => None,
    });
    let address: IpAddr = address
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| Error::invalid("link0", "value does not look like a valid IP address"))?;
    // Only an address of this host can be listened on.
    match TcpListener::bind((address, 0)) {
        Ok(_) => Ok(address.to_string()),
        Err(_) => Err(Error::invalid(
            "link0",
            format!("cannot use IP '{address}', not found on local node!"),
        )),
    }
}

async fn own_address(op: &Op) -> Result<String, Error> {
    let node = &op.context.node;
    let address = Facts::new(node.host.clone())
        .address(node.name.as_str())
        .await;
    let missing = "this node's name has no address on it; give the one that other members reach";
    address.ok_or_else(|| Error::invalid("link0", missing))
}
