//! The network interfaces of a host: what `/etc/network/interfaces` says of them, and those that
//! the kernel has.
//!
//! ```text
//!   /etc/network/interfaces ──► file::parse ──┐
//!                                             ├──► Interface: the fields that the API shows
//!   ip -json address ─────────► links::links ─┘
//! ```
//!
//! An interface that the file does not know is shown as it runs, if it is a card, a bridge, a bond
//! or a VLAN. Those of guests are not.

mod file;
mod links;

use std::net::IpAddr;

use ipnet::IpNet;
use model::Error;
use serde_json::{Map, Value, json};
use sys::SharedHost;

use crate::NodeContext;

use file::Stanzas;
use links::Running;

/// An interface: its name, and its fields as the API names them, `type` among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    pub name: String,
    pub fields: Map<String, Value>,
}

impl Interface {
    pub fn kind(&self) -> &str {
        self.fields["type"].as_str().unwrap_or_default()
    }

    pub fn is_bridge(&self) -> bool {
        matches!(self.kind(), "bridge" | "OVSBridge")
    }
}

/// All interfaces, those of the file first.
pub async fn interfaces(node: &NodeContext) -> Result<Vec<Interface>, Error> {
    let text = node.etc("network/interfaces").await?.unwrap_or_default();
    let stanzas = file::parse(&String::from_utf8_lossy(&text));
    let running = links::links(&node.host).await?;
    Ok(merge(stanzas, &running))
}

/// The bridges of the file.
pub async fn bridges_of_file(node: &NodeContext) -> Result<Vec<Interface>, Error> {
    let text = node.etc("network/interfaces").await?.unwrap_or_default();
    let stanzas = file::parse(&String::from_utf8_lossy(&text)).into_fields();
    let interfaces = stanzas.map(|(name, fields)| Interface { name, fields });
    Ok(interfaces.filter(Interface::is_bridge).collect())
}

/// The interface with an address, and its MTU.
pub async fn mtu_of(host: &SharedHost, address: &str) -> Result<Option<(String, u32)>, Error> {
    let links = links::links(host).await?;
    let link = links.into_iter().find(|link| link.has_address(address));
    Ok(link.and_then(|link| Some((link.name, link.mtu?))))
}

/// The first address of this host that is in a network.
pub async fn address_in(host: &SharedHost, network: &IpNet) -> Result<Option<IpAddr>, Error> {
    let links = links::links(host).await?;
    let mut addresses = links.iter().flat_map(Running::addresses);
    Ok(addresses.find(|address| network.contains(address)))
}

fn merge(stanzas: Stanzas, running: &[Running]) -> Vec<Interface> {
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut priority = stanzas.next_priority();
    for (name, mut fields) in stanzas.into_fields() {
        let link = running.iter().find(|link| link.is_called(&name));
        if let Some(link) = link {
            link.add_state(&mut fields);
        } else if fields["type"] == "vlan" {
            fields.insert("exists".into(), Value::Null);
        }
        interfaces.push(Interface { name, fields });
    }
    for link in running.iter().filter(|link| link.is_shown()) {
        if interfaces.iter().any(|known| link.is_called(&known.name)) {
            continue;
        }
        let mut fields = link.fields(running);
        fields.insert("priority".into(), json!(priority));
        priority += 1;
        link.add_state(&mut fields);
        interfaces.push(Interface {
            name: link.name.clone(),
            fields,
        });
    }
    interfaces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(interface: &Interface) -> Value {
        Value::Object(interface.fields.clone())
    }

    #[test]
    fn a_vlan_without_a_number_shows_none() {
        for (data, id) in [(r#"{"id": 7}"#, json!("7")), ("null", Value::Null)] {
            let printed = format!(
                r#"[{{"ifname": "eno1.7", "link": "eno1",
                      "linkinfo": {{"info_kind": "vlan", "info_data": {data}}}}}]"#
            );
            let running = links::parse(printed.as_bytes()).unwrap();
            let interfaces = merge(file::parse(""), &running);
            assert_eq!(text(&interfaces[0])["vlan-id"], id);
        }
    }

    #[test]
    fn the_file_and_the_kernel_are_put_together() {
        let stanzas = file::parse(
            "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\n\
             iface vmbr0 inet static\n\taddress 192.168.77.11/24\n\tgateway 192.168.77.1\n\
             \tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n",
        );
        let running = links::parse(
            br#"[{"ifname": "lo", "flags": ["UP"], "link_type": "loopback"},
                {"ifname": "eno1", "flags": ["UP"], "link_type": "ether", "altnames": ["enp3s0"]},
                {"ifname": "eno2", "flags": [], "link_type": "ether"},
                {"ifname": "vmbr0", "flags": ["UP"], "link_type": "ether",
                 "linkinfo": {"info_kind": "bridge"}},
                {"ifname": "br9", "flags": ["UP"], "link_type": "ether",
                 "linkinfo": {"info_kind": "bridge", "info_data": {"forward_delay": 1500}},
                 "addr_info": [{"family": "inet", "local": "10.9.0.1", "prefixlen": 24}]},
                {"ifname": "tap100i0", "flags": ["UP"], "link_type": "ether", "master": "br9",
                 "linkinfo": {"info_kind": "tun"}}]"#,
        )
        .unwrap();
        let interfaces = merge(stanzas, &running);
        let names: Vec<&str> = interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["lo", "eno1", "vmbr0", "eno2", "br9"]);
        assert_eq!(
            text(&interfaces[1]),
            json!({"type": "eth", "method": "manual", "method6": "manual", "families": ["inet"],
                   "priority": 3, "active": 1, "exists": 1, "altnames": ["enp3s0"]})
        );
        assert_eq!(
            text(&interfaces[2]),
            json!({"type": "bridge", "method": "static", "method6": "manual",
                   "families": ["inet"], "priority": 4, "active": 1, "autostart": 1,
                   "address": "192.168.77.11", "netmask": "24", "cidr": "192.168.77.11/24",
                   "gateway": "192.168.77.1", "bridge_ports": "eno1", "bridge_stp": "off",
                   "bridge_fd": "0"})
        );
        assert_eq!(
            text(&interfaces[3]),
            json!({"type": "eth", "method": "manual", "method6": "manual", "families": ["inet"],
                   "priority": 5, "exists": 1})
        );
        let bridge = &interfaces[4].fields;
        assert_eq!(bridge["bridge_ports"], "");
        assert_eq!(
            (&bridge["cidr"], &bridge["bridge_fd"]),
            (&json!("10.9.0.1/24"), &json!("15"))
        );
    }
}
