//! The network of NoCloud: version 1 of cloud-init's own format.

use model::qemu::{Ip4, Ip6, IpConfig};

use super::Source;
use super::yaml::single_quoted;

pub(super) fn version_1(source: &Source<'_>) -> String {
    let mut text = String::new();
    for (index, net) in &source.config.nets {
        let Some(address) = source.config.cloud_init.addresses.get(index) else {
            continue;
        };
        let mac = net.mac.as_deref().unwrap_or_default().to_ascii_lowercase();
        text.push_str(&format!(
            "    - type: physical\n      name: eth{index}\n      mac_address: {}\n      subnets:\n",
            single_quoted(&mac)
        ));
        text.push_str(&subnets(address));
    }
    let (servers, domains) = source.resolvers();
    if !servers.is_empty() || !domains.is_empty() {
        text.push_str("    - type: nameserver\n");
        text.push_str(&list("address", servers));
        text.push_str(&list("search", domains));
    }
    if text.is_empty() {
        // A key without a value is not a list.
        return "version: 1\nconfig: []\n".to_owned();
    }
    format!("version: 1\nconfig:\n{text}")
}

fn list(key: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let lines = items
        .iter()
        .map(|item| format!("      - {}\n", single_quoted(item)));
    format!("      {key}:\n{}", lines.collect::<String>())
}

fn subnets(address: &IpConfig) -> String {
    let mut text = String::new();
    match address.ip4 {
        Some(Ip4::Dhcp) => text.push_str("      - type: dhcp4\n"),
        Some(Ip4::Static(ip, prefix)) => {
            text.push_str(&format!(
                "      - type: static\n        address: '{ip}'\n        netmask: '{}'\n",
                netmask(prefix)
            ));
            if let Some(gateway) = address.gateway4 {
                text.push_str(&format!("        gateway: '{gateway}'\n"));
            }
        }
        None => {}
    }
    match address.ip6 {
        Some(Ip6::Dhcp) => text.push_str("      - type: dhcp6\n"),
        Some(Ip6::Auto) => text.push_str("      - type: ipv6_slaac\n"),
        Some(Ip6::Static(ip, prefix)) => {
            text.push_str(&format!(
                "      - type: static6\n        address: '{ip}/{prefix}'\n"
            ));
            if let Some(gateway) = address.gateway6 {
                text.push_str(&format!("        gateway: '{gateway}'\n"));
            }
        }
        None => {}
    }
    if text.is_empty() {
        // A card without configured addresses uses DHCP.
        text.push_str("      - type: dhcp4\n      - type: dhcp6\n");
    }
    text
}

/// 24 is 255.255.255.0.
pub(super) fn netmask(prefix: u8) -> std::net::Ipv4Addr {
    let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    bits.into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn masks_are_written_out() {
        let masks = [8, 24, 25, 32].map(|prefix| super::netmask(prefix).to_string());
        let wanted = [
            "255.0.0.0",
            "255.255.255.0",
            "255.255.255.128",
            "255.255.255.255",
        ];
        assert_eq!(masks, wanted);
    }
}
