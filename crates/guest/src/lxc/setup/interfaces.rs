//! `/etc/network/interfaces`, of Debian's family and Alpine. Stanzas of other interfaces, comments
//! and attributes that are not about addresses stay as they are.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::lxc::{Ip4, Ip6, Net};

use super::{Tree, read_text, write_text};

const PATH: &str = "/etc/network/interfaces";

/// Attributes that the configuration decides.
const OURS: [&str; 4] = ["address", "netmask", "gateway", "broadcast"];

/// What the programs that read the file know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Router advertisements and DHCP of version 6.
    pub(super) knows_dynamic6: bool,
    /// An address with the length of its prefix.
    pub(super) knows_prefixes: bool,
}

pub(super) fn write(tree: &dyn Tree, nets: &[Net], manner: Manner) -> io::Result<()> {
    if nets.is_empty() && !tree.exists(PATH)? {
        return Ok(());
    }
    let before = read_text(tree, PATH)?.unwrap_or_default();
    write_text(tree, PATH, &edited(&before, nets, manner), 0o644)
}

/// A part of the file: a stanza with its lines, or lines before any.
struct Section {
    /// The interface and its protocol, of an `iface`; none otherwise.
    iface: Option<(String, String)>,
    lines: Vec<String>,
}

fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let begins = matches!(
            words.first(),
            Some(&("iface" | "auto" | "mapping" | "source" | "source-directory"))
        ) || words.first().is_some_and(|word| word.starts_with("allow-"));
        if begins || sections.is_empty() {
            let iface = match words[..] {
                ["iface", name, family, ..] => Some((name.to_owned(), family.to_owned())),
                _ => None,
            };
            sections.push(Section {
                iface,
                lines: Vec::new(),
            });
        }
        if let Some(section) = sections.last_mut() {
            section.lines.push(line.to_owned());
        }
    }
    sections
}

/// What else a stanza of ours had.
fn kept(section: &Section) -> Vec<String> {
    let lines = section.lines.iter().skip(1);
    let is_kept = |line: &&String| {
        let word = line.split_whitespace().next().unwrap_or_default();
        !OURS.contains(&word) && !line.contains("ip route") && !word.is_empty()
    };
    lines.filter(is_kept).cloned().collect()
}

fn edited(before: &str, nets: &[Net], manner: Manner) -> String {
    let is_ours = |name: &str| nets.iter().any(|net| net.name() == name);
    let mut others: Vec<String> = Vec::new();
    let mut extras: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut has_loopback = false;
    for section in sections(before) {
        match &section.iface {
            Some((name, protocol)) if is_ours(name) => {
                let more = kept(&section);
                extras.insert((name.clone(), protocol.clone()), more);
                continue;
            }
            Some((name, _)) => has_loopback |= name == "lo",
            None => {}
        }
        let is_our_auto = |line: &String| {
            let mut words = line.split_whitespace();
            let verb = words.next();
            matches!(verb, Some("auto" | "allow-hotplug")) && words.clone().all(is_ours)
        };
        others.extend(section.lines.into_iter().filter(|line| !is_our_auto(line)));
    }
    let mut text = String::new();
    if !has_loopback {
        text.push_str("auto lo\niface lo inet loopback\n\n");
    }
    let rest = others.join("\n");
    let rest = rest.trim_matches('\n');
    if !rest.is_empty() {
        text.push_str(rest);
        text.push_str("\n\n");
    }
    for net in nets {
        text.push_str(&stanzas(net, manner, &extras));
    }
    format!("{}\n", text.trim_end_matches('\n'))
}

fn stanzas(net: &Net, manner: Manner, extras: &BTreeMap<(String, String), Vec<String>>) -> String {
    let name = net.name();
    let more = |protocol: &str| -> String {
        let key = (name.to_owned(), protocol.to_owned());
        let lines = extras.get(&key).into_iter().flatten();
        lines.flat_map(|line| [line.as_str(), "\n"]).collect()
    };
    let mut text = format!("auto {name}\n");
    let (method, lines) = inet(net, manner);
    text.push_str(&format!(
        "iface {name} inet {method}\n{lines}{}\n",
        more("inet")
    ));
    if let Some((method, lines)) = inet6(net, manner) {
        text.push_str(&format!(
            "iface {name} inet6 {method}\n{lines}{}\n",
            more("inet6")
        ));
    }
    text
}

fn inet(net: &Net, manner: Manner) -> (&'static str, String) {
    match net.ip4() {
        Some(Ip4::Dhcp) => ("dhcp", String::new()),
        Some(Ip4::Static(address, length)) => {
            let on_link = |gateway: &Ipv4Addr| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                u32::from(*gateway) & mask == u32::from(address) & mask
            };
            let gateway = net.gateway4();
            let near = gateway.is_none_or(|gateway| on_link(&gateway));
            let lines = addresses(
                address.into(),
                length,
                gateway.map(IpAddr::from),
                near,
                net,
                manner,
            );
            ("static", lines)
        }
        Some(Ip4::Manual) | None => ("manual", String::new()),
    }
}

fn inet6(net: &Net, manner: Manner) -> Option<(&'static str, String)> {
    Some(match net.ip6()? {
        Ip6::Dhcp | Ip6::Auto if !manner.knows_dynamic6 => ("manual", String::new()),
        Ip6::Dhcp => ("dhcp", String::new()),
        Ip6::Auto => ("auto", String::new()),
        Ip6::Manual => ("manual", String::new()),
        Ip6::Static(address, length) => {
            let on_link = |gateway: &Ipv6Addr| {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                let is_local = gateway.is_unicast_link_local();
                is_local || u128::from(*gateway) & mask == u128::from(address) & mask
            };
            let gateway = net.gateway6();
            let near = gateway.is_none_or(|gateway| on_link(&gateway));
            let lines = addresses(
                address.into(),
                length,
                gateway.map(IpAddr::from),
                near,
                net,
                manner,
            );
            ("static", lines)
        }
    })
}

/// A gateway that is not on the address's own network needs a route of its own first.
fn addresses(
    address: IpAddr,
    length: u8,
    gateway: Option<IpAddr>,
    is_near: bool,
    net: &Net,
    manner: Manner,
) -> String {
    let mut text = match (manner.knows_prefixes, address) {
        (true, _) => format!("\taddress {address}/{length}\n"),
        (false, IpAddr::V4(_)) => {
            let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0));
            format!("\taddress {address}\n\tnetmask {mask}\n")
        }
        (false, IpAddr::V6(_)) => format!("\taddress {address}\n\tnetmask {length}\n"),
    };
    let name = net.name();
    match gateway {
        None => {}
        Some(gateway) if is_near => text.push_str(&format!("\tgateway {gateway}\n")),
        Some(gateway) => {
            for line in [
                format!("post-up ip route add {gateway} dev {name}"),
                format!("post-up ip route add default via {gateway} dev {name}"),
                format!("pre-down ip route del default via {gateway} dev {name}"),
                format!("pre-down ip route del {gateway} dev {name}"),
            ] {
                text.push_str(&format!("\t{line}\n"));
            }
        }
    }
    text
}
