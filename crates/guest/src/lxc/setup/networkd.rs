//! Files of systemd-networkd, one for each card.

use std::io;
use std::net::IpAddr;

use model::lxc::{Ip4, Ip6, Net};

use super::{Tree, write_text};

const FOLDER: &str = "/etc/systemd/network";

pub(super) fn write(tree: &dyn Tree, nets: &[Net]) -> io::Result<()> {
    for net in nets {
        let path = format!("{FOLDER}/{}.network", net.name());
        write_text(tree, &path, &text(net), 0o644)?;
    }
    // What the template came with would configure the first card again.
    tree.remove("/etc/netplan/10-lxc.yaml").map(drop)
}

fn text(net: &Net) -> String {
    let name = net.name();
    let mut lines = vec![
        "[Match]".to_owned(),
        format!("Name = {name}"),
        String::new(),
        "[Network]".to_owned(),
        format!("Description = Interface {name} autoconfigured by PVE"),
    ];
    let mut far = None;
    if let Some(Ip4::Static(address, length)) = net.ip4() {
        lines.push(format!("Address = {address}/{length}"));
        if let Some(gateway) = net.gateway4() {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            lines.push(format!("Gateway = {gateway}"));
            if u32::from(gateway) & mask != u32::from(address) & mask {
                far = Some(IpAddr::from(gateway));
            }
        }
    }
    if let Some(Ip6::Static(address, length)) = net.ip6() {
        lines.push(format!("Address = {address}/{length}"));
        if let Some(gateway) = net.gateway6() {
            lines.push(format!("Gateway = {gateway}"));
        }
    }
    let dhcp = match (net.ip4() == Some(Ip4::Dhcp), net.ip6() == Some(Ip6::Dhcp)) {
        (true, true) => "yes",
        (true, false) => "ipv4",
        (false, true) => "ipv6",
        (false, false) => "no",
    };
    lines.push(format!("DHCP = {dhcp}"));
    let accepts = match net.ip6() {
        Some(Ip6::Auto | Ip6::Dhcp) => true,
        _ => net.gateway6().is_none() && net.ip6().is_some(),
    };
    lines.push(format!("IPv6AcceptRA = {accepts}"));
    if let Some(gateway) = far {
        lines.extend([
            String::new(),
            "[Route]".to_owned(),
            format!("Destination = {gateway}/32"),
            "Scope = link".to_owned(),
        ]);
    }
    format!("{}\n", lines.join("\n"))
}
