//! Whether names lead to addresses.

use model::Error;

use super::Finding;
use crate::NodeContext;
use crate::host::facts::Facts;

pub(super) async fn check(node: &NodeContext) -> Result<Vec<Finding>, Error> {
    let members = node.cluster.members.all();
    let mut findings = Vec::new();
    if members.len() > 1 {
        findings.push(own(node).await);
    }
    for member in members.values() {
        let host = member.host();
        if host.parse::<std::net::IpAddr>().is_ok() {
            continue;
        }
        let finding = |found: String| Finding::of(&node.name, "name", found);
        let found = tokio::net::lookup_host((host, 0)).await;
        findings.push(match found.ok().and_then(|mut found| found.next()) {
            Some(address) => finding(format!("{host} is {}", address.ip())),
            None => finding(format!(
                "{host}, the address of {}, is unknown",
                member.name
            ))
            .fails(
                format!("{} cannot be reached from here", member.name),
                format!("add {host} to /etc/hosts or to the name service"),
            ),
        });
    }
    Ok(findings)
}

async fn own(node: &NodeContext) -> Finding {
    let name = &node.name;
    let finding = |found: String| Finding::of(name, "name", found);
    match Facts::new(node.host.clone()).address(name.as_str()).await {
        Some(address) => finding(format!("{name} is {address}")),
        None => finding(format!("{name} has no address but its own loopback")).warns(
            "other nodes cannot reach this node by its name",
            format!("add a line with {name} and its address to /etc/hosts"),
        ),
    }
}
