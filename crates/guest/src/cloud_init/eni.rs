//! The network of a config drive, as a Debian `interfaces` file.

use model::qemu::{Ip4, Ip6};

use super::Source;
use super::network::netmask;

pub(super) fn interfaces(source: &Source<'_>) -> String {
    let mut text = "auto lo\niface lo inet loopback\n".to_owned();
    let (servers, domains) = source.resolvers();
    for (index, net) in &source.config.nets {
        let Some(address) = source.config.cloud_init.addresses.get(index) else {
            continue;
        };
        let name = format!("eth{index}");
        // The agent for Windows finds a card by its address.
        let mac = net.mac.as_deref().filter(|_| source.config.is_windows());
        let mac = mac.map(|mac| format!("        hwaddress {}\n", mac.to_ascii_lowercase()));
        let mac = mac.unwrap_or_default();
        text.push_str(&format!("\nauto {name}\n"));
        let is_silent = address.ip4.is_none() && address.ip6.is_none();
        match address.ip4 {
            Some(Ip4::Static(ip, prefix)) => {
                text.push_str(&format!(
                    "iface {name} inet static\n{mac}        address {ip}\n        netmask {}\n",
                    netmask(prefix)
                ));
                if let Some(gateway) = address.gateway4 {
                    text.push_str(&format!("        gateway {gateway}\n"));
                }
            }
            Some(Ip4::Dhcp) => text.push_str(&format!("iface {name} inet dhcp\n{mac}")),
            None if is_silent => text.push_str(&format!("iface {name} inet dhcp\n{mac}")),
            None => {}
        }
        match address.ip6 {
            Some(Ip6::Static(ip, prefix)) => {
                text.push_str(&format!(
                    "iface {name} inet6 static\n{mac}        address {ip}\n        netmask {prefix}\n"
                ));
                if let Some(gateway) = address.gateway6 {
                    text.push_str(&format!("        gateway {gateway}\n"));
                }
            }
            Some(Ip6::Auto) => text.push_str(&format!("iface {name} inet6 auto\n{mac}")),
            Some(Ip6::Dhcp) => text.push_str(&format!("iface {name} inet6 dhcp\n{mac}")),
            None if is_silent => text.push_str(&format!("iface {name} inet6 dhcp\n{mac}")),
            None => {}
        }
        // They belong to the interface above them.
        for (key, values) in [("dns-nameservers", servers), ("dns-search", domains)] {
            if !values.is_empty() {
                text.push_str(&format!("        {key} {}\n", values.join(" ")));
            }
        }
    }
    text
}
