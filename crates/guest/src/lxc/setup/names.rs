//! What the container is called, whom it asks for names, and what time it is there.

use std::io;

use model::lxc::{Ip4, Ip6, Net};

use super::marks::{Placed, others, write_part};
use super::{Order, Tree, is_left_alone, read_text, write_text};

/// The name up to its first dot.
fn short(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

pub(super) fn host_name(tree: &dyn Tree, order: &Order, family: &str) -> io::Result<()> {
    let name = match family {
        "centos" => order.host_name.as_str(),
        _ => short(&order.host_name),
    };
    if family == "gentoo" {
        return write_text(
            tree,
            "/etc/conf.d/hostname",
            &format!("hostname=\"{name}\"\n"),
            0o644,
        );
    }
    write_text(tree, "/etc/hostname", &format!("{name}\n"), 0o644)
}

/// The address that its own name stands for.
fn own_address(order: &Order) -> String {
    let net = order.nets.first().and_then(|text| Net::parse(text).ok());
    let ip4 = net.as_ref().and_then(|net| match net.ip4() {
        Some(Ip4::Static(address, _)) => Some(address.to_string()),
        _ => None,
    });
    let ip6 = net.as_ref().and_then(|net| match net.ip6() {
        Some(Ip6::Static(address, _)) => Some(address.to_string()),
        _ => None,
    });
    ip4.or(ip6).unwrap_or_else(|| "127.0.1.1".to_owned())
}

pub(super) fn hosts(tree: &dyn Tree, order: &Order, _: &str) -> io::Result<()> {
    let path = "/etc/hosts";
    let before = others(&read_text(tree, path)?.unwrap_or_default());
    let has = |address: &str| {
        let mut lines = before.lines();
        lines.any(|line| line.split_whitespace().next() == Some(address))
    };
    let mut lines = Vec::new();
    if !has("127.0.0.1") {
        lines.push("127.0.0.1 localhost.localnet localhost".to_owned());
    }
    if !has("::1") {
        lines.push("::1 localhost.localnet localhost".to_owned());
    }
    let name = short(&order.host_name);
    let mut names: Vec<String> = match order.host_name.contains('.') {
        true => vec![order.host_name.clone()],
        false => order
            .search_domains
            .iter()
            .map(|domain| format!("{name}.{domain}"))
            .collect(),
    };
    names.push(name.to_owned());
    lines.push(format!("{} {}", own_address(order), names.join(" ")));
    write_part(tree, path, &lines.join("\n"), Placed::After, 0o644)
}

pub(super) fn resolver(tree: &dyn Tree, order: &Order, _: &str) -> io::Result<()> {
    let path = "/etc/resolv.conf";
    let mut lines = Vec::new();
    if !order.search_domains.is_empty() {
        lines.push(format!("search {}", order.search_domains.join(" ")));
    }
    let servers = order.name_servers.iter();
    lines.extend(servers.map(|server| format!("nameserver {server}")));
    // A resolver inside keeps this file for itself.
    if tree.read_link(path)?.is_some() && !is_left_alone(tree, path)? {
        tree.remove(path)?;
    }
    write_part(tree, path, &lines.join("\n"), Placed::Alone, 0o644)
}

pub(super) fn time_zone(tree: &dyn Tree, order: &Order, _: &str) -> io::Result<()> {
    let Some(zone) = &order.time_zone else {
        return Ok(());
    };
    let path = "/etc/localtime";
    if is_left_alone(tree, path)? {
        return Ok(());
    }
    let target = format!("/usr/share/zoneinfo/{zone}");
    if tree.read_link(path)?.as_deref() != Some(&*target) {
        tree.link(&target, path)?;
    }
    match tree.exists("/etc/timezone")? {
        true => write_text(tree, "/etc/timezone", &format!("{zone}\n"), 0o644),
        false => Ok(()),
    }
}
