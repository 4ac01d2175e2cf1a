//! A port from its making to its removal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use model::{Error, PortSpec};
use sys::{Command, Host, LinkKind, TapOptions};

use crate::ip::{ip, set_link};
use crate::{openvswitch, vlan};

/// What forwards between ports.
enum Bridge {
    /// The kernel's, without VLANs.
    Plain,
    /// The kernel's, each of its ports with VLANs.
    OfVlans,
    OpenVSwitch,
}

/// Creates a guest's tap and joins it to its bridge. May be repeated.
pub async fn attach(host: &dyn Host, tap: &PortSpec, options: &TapOptions) -> Result<(), Error> {
    host.create_tap(&tap.name, options).await?;
    connect(host, tap).await
}

/// Makes an existing link a port of its bridge, and of no other. May be repeated.
pub async fn connect(host: &dyn Host, port: &PortSpec) -> Result<(), Error> {
    let PortSpec {
        name,
        bridge,
        vlans,
        ..
    } = port;
    leave_ipv6(host, name).await?;
    match find(host, bridge).await? {
        Bridge::Plain => {
            let bridge = match vlans.is_empty() {
                true => bridge.clone(),
                false => vlan::bridge_of(host, bridge, vlans).await?,
            };
            openvswitch::forget(host, &[name]).await?;
            let is_joined = master_of(host, name).await?.as_ref() == Some(&bridge);
            if port.isolated && !is_joined {
                // It forwards nothing before it is isolated.
                set_link(host, name, "down").await?;
            }
            host.join_bridge(name, &bridge).await?;
            isolate(host, port).await?;
            match port.isolated && !is_joined {
                true => set_link(host, name, "up").await,
                false => Ok(()),
            }
        }
        Bridge::OfVlans => {
            openvswitch::forget(host, &[name]).await?;
            if master_of(host, name).await?.as_ref() != Some(bridge) {
                // Its first VLANs are the bridge's defaults.
                set_link(host, name, "down").await?;
                host.join_bridge(name, bridge).await?;
            }
            vlan::set(host, name, vlans).await?;
            isolate(host, port).await?;
            set_link(host, name, "up").await
        }
        Bridge::OpenVSwitch => {
            if master_of(host, name).await?.is_some() {
                ip(host, &["link", "set", "dev", name, "nomaster"]).await?;
            }
            openvswitch::add(host, port).await?;
            set_link(host, name, "up").await
        }
    }
}

/// Takes the host's own IPv6 from a port: the host has no address there, and sends the guest
/// nothing.
async fn leave_ipv6(host: &dyn Host, name: &str) -> Result<(), Error> {
    let setting = PathBuf::from(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"));
    match host.read(&setting).await {
        Ok(value) if value.starts_with(b"0") => Ok(host.set(&setting, b"1").await?),
        // It has none, or the host has no IPv6.
        _ => Ok(()),
    }
}

/// Sets whether a port of the kernel's bridge is isolated.
async fn isolate(host: &dyn Host, port: &PortSpec) -> Result<(), Error> {
    let name = &port.name;
    let setting = PathBuf::from(format!("/sys/class/net/{name}/brport/isolated"));
    let is_isolated = host.read(&setting).await;
    if is_isolated.is_ok_and(|text| text.starts_with(b"1")) == port.isolated {
        return Ok(());
    }
    let value = if port.isolated { "on" } else { "off" };
    let args = ["link", "set", "dev", name, "isolated", value];
    let command = Command::new("bridge").args(args);
    host.run(command).await?.checked("bridge")?;
    Ok(())
}

/// Sets whether a port that exists is isolated, and leaves it as it is otherwise. May be repeated.
pub async fn set_isolated(host: &dyn Host, port: &PortSpec) -> Result<(), Error> {
    match find(host, &port.bridge).await? {
        Bridge::Plain | Bridge::OfVlans => isolate(host, port).await,
        Bridge::OpenVSwitch => openvswitch::protect(host, port).await,
    }
}

async fn master_of(host: &dyn Host, name: &str) -> Result<Option<String>, Error> {
    let link = host.link(name).await?;
    Ok(link.and_then(|link| link.master))
}

/// Removes a tap. False if there was none.
pub async fn detach(host: &dyn Host, tap: &str) -> Result<bool, Error> {
    let removed = host.remove_tap(tap).await?;
    openvswitch::forget(host, &[tap]).await?;
    Ok(removed)
}

/// Takes links that are gone out of the bridges that remember them.
pub async fn forget(host: &dyn Host, links: &[&str]) -> Result<(), Error> {
    openvswitch::forget(host, links).await
}

/// Those of these bridges that this host lacks.
pub async fn missing_bridges(
    host: &dyn Host,
    names: &BTreeSet<String>,
) -> Result<BTreeSet<String>, Error> {
    let mut missing = BTreeSet::new();
    for name in names {
        if find(host, name).await.is_err() {
            missing.insert(name.clone());
        }
    }
    Ok(missing)
}

async fn find(host: &dyn Host, name: &str) -> Result<Bridge, Error> {
    let link = host.link(name).await?;
    let is_kernels = link.is_some_and(|link| link.kind == LinkKind::Bridge);
    if is_kernels {
        let setting = PathBuf::from(format!("/sys/class/net/{name}/bridge/vlan_filtering"));
        let knows_vlans = host.read(&setting).await;
        return Ok(match knows_vlans.is_ok_and(|text| text.starts_with(b"1")) {
            true => Bridge::OfVlans,
            false => Bridge::Plain,
        });
    }
    match openvswitch::has_bridge(host, name).await? {
        true => Ok(Bridge::OpenVSwitch),
        false => Err(Error::conflict(format!("bridge '{name}' does not exist"))),
    }
}
