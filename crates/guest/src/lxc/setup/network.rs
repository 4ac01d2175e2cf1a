//! The network's files, as the family of the distribution has them.

use std::io;

use model::lxc::Net;

use super::{Order, Tree, interfaces, networkd, read_text};

/// How a family configures its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// `/etc/network/interfaces`
    Interfaces,
    /// Files of systemd-networkd.
    Networkd,
    /// This version writes none.
    Unbuilt,
}

fn manner(tree: &dyn Tree, family: &str) -> io::Result<Manner> {
    Ok(match family {
        "debian" | "devuan" | "alpine" => Manner::Interfaces,
        "ubuntu" if is_old_ubuntu(tree)? => Manner::Interfaces,
        "ubuntu" | "archlinux" | "nixos" | "fedora" => Manner::Networkd,
        _ => Manner::Unbuilt,
    })
}

/// Before 17.10.
fn is_old_ubuntu(tree: &dyn Tree) -> io::Result<bool> {
    Ok(version(tree)?.is_some_and(|number| number < 17.1))
}

fn version(tree: &dyn Tree) -> io::Result<Option<f64>> {
    let release = read_text(tree, "/etc/os-release")?.unwrap_or_default();
    let version = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_ID="))
        .map(|text| text.trim_matches('"').to_owned());
    Ok(version.and_then(|text| text.parse().ok()))
}

/// Whether an address has its prefix length: since Debian 10. The programs of others want a netmask
/// of its own.
fn knows_prefixes(tree: &dyn Tree, family: &str) -> io::Result<bool> {
    Ok(match family {
        "debian" => version(tree)?.is_none_or(|number| number >= 10.0),
        "devuan" => version(tree)?.is_none_or(|number| number >= 3.0),
        _ => false,
    })
}

/// The cards that can be read; the configuration was checked before.
pub(super) fn nets(order: &Order) -> Vec<Net> {
    let nets = order.nets.iter();
    nets.filter_map(|text| Net::parse(text).ok()).collect()
}

pub(super) fn configure(tree: &dyn Tree, order: &Order, family: &str) -> io::Result<()> {
    match manner(tree, family)? {
        Manner::Interfaces => {
            let manner = interfaces::Manner {
                knows_dynamic6: family != "alpine",
                knows_prefixes: knows_prefixes(tree, family)?,
            };
            interfaces::write(tree, &nets(order), manner)
        }
        Manner::Networkd => networkd::write(tree, &nets(order)),
        Manner::Unbuilt => Ok(()),
    }
}

pub(super) fn warnings(order: &Order, family: &str) -> Option<String> {
    let is_unbuilt = matches!(family, "centos" | "opensuse" | "gentoo");
    let text = format!("no network files are written for '{family}' by this version of Ostler");
    (is_unbuilt && !order.nets.is_empty()).then_some(text)
}
