//! VLANs on bridges of the kernel.
//!
//! ```text
//!   a bridge that knows VLANs       each port has its own: `tag` untagged, `trunks` tagged
//!   one that does not               vmbr0v5: ports tap100i0, eno1.5 (VLAN 5 of vmbr0's port eno1)
//! ```

use model::{Error, Vlans};
use sys::{Command, Host, Link, LinkKind};

use crate::ip::{ip, set_link};

/// The VLAN of frames without a tag where nothing else is said.
const UNTAGGED: u16 = 1;

/// The longest name of a link (the kernel's IFNAMSIZ without its end).
const NAME_MAX: usize = 15;

/// Gives a port of a bridge that knows VLANs these, and no others. May be repeated.
pub(crate) async fn set(host: &dyn Host, port: &str, vlans: &Vlans) -> Result<(), Error> {
    let all = format!("1-{}", Vlans::LAST);
    vlan(host, &["del", "dev", port, "vid", &all]).await?;
    let trunks = match vlans.is_empty() {
        true => vec![(UNTAGGED + 1, Vlans::LAST)],
        false => vlans.trunks.clone(),
    };
    for (first, last) in trunks {
        let range = match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        vlan(host, &["add", "dev", port, "vid", &range]).await?;
    }
    let own = vlans.tag.unwrap_or(UNTAGGED).to_string();
    let untagged = ["add", "dev", port, "vid", &own, "pvid", "untagged"];
    vlan(host, &untagged).await
}

/// The bridge for a VLAN of a bridge that knows none. It is made if it is missing, and stays: other
/// guests may be on it. May be repeated.
pub(crate) async fn bridge_of(
    host: &dyn Host,
    bridge: &str,
    vlans: &Vlans,
) -> Result<String, Error> {
    let tag = match (vlans.tag, vlans.trunks.is_empty()) {
        (Some(tag), true) => tag,
        _ => {
            let text = "vlan aware feature need to be enabled to use trunks";
            return Err(Error::conflict(text));
        }
    };
    let links = host.links().await?;
    let ports: Vec<&Link> = links
        .iter()
        .filter(|link| link.master.as_deref() == Some(bridge) && !is_guests(link))
        .collect();
    if ports.is_empty() {
        let text = format!("no physical interface on bridge '{bridge}'");
        return Err(Error::conflict(text));
    }
    let name = named(format!("{bridge}v{tag}"))?;
    host.create_bridge(&name).await?;
    for port in ports {
        let part = named(format!("{}.{tag}", port.name))?;
        if !links.iter().any(|link| link.name == part) {
            let id = tag.to_string();
            let of = ["link", "add", "link", &port.name, "name", &part];
            let add = [&of[..], &["type", "vlan", "id", &id]].concat();
            ip(host, &add).await?;
        }
        set_link(host, &part, "up").await?;
        host.join_bridge(&part, &name).await?;
    }
    Ok(name)
}

fn named(name: String) -> Result<String, Error> {
    match name.len() <= NAME_MAX {
        true => Ok(name),
        false => Err(Error::conflict(format!(
            "'{name}' is too long for the name of a network link"
        ))),
    }
}

/// Whether a port is a guest's: its frames are not those of the network outside.
fn is_guests(link: &Link) -> bool {
    let begins = ["veth", "fwpr", "fwln"];
    link.kind == LinkKind::Tap || begins.iter().any(|begin| link.name.starts_with(begin))
}

async fn vlan(host: &dyn Host, args: &[&str]) -> Result<(), Error> {
    let command = Command::new("bridge").args(["vlan"]);
    let command = command.args(args.iter().copied());
    host.run(command).await?.checked("bridge")?;
    Ok(())
}
