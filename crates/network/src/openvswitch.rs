//! Bridges of Open vSwitch. It remembers ports whose links are gone, until they are taken out.

use std::path::Path;

use model::{Error, PortSpec};
use sys::{Command, Host};

const PROGRAM: &str = "ovs-vsctl";

/// Its database listens here while it runs.
const SOCKET: &str = "/run/openvswitch/db.sock";

/// Whether it runs here and has this bridge.
pub(crate) async fn has_bridge(host: &dyn Host, name: &str) -> Result<bool, Error> {
    if !is_running(host).await? {
        return Ok(false);
    }
    let asked = Command::new(PROGRAM).args(["br-exists", name]);
    Ok(host.run(asked).await?.success())
}

/// Makes a link a port of a bridge, with its VLANs. May be repeated.
pub(crate) async fn add(host: &dyn Host, port: &PortSpec) -> Result<(), Error> {
    let PortSpec {
        name,
        bridge,
        vlans,
        ..
    } = port;
    let mut args = vec!["--if-exists", "del-port", name];
    args.extend(["--", "add-port", bridge, name]);
    let tag = vlans.tag.map(|tag| format!("tag={tag}"));
    args.extend(tag.as_deref());
    let trunks = vlans.trunks.iter().flat_map(|(first, last)| *first..=*last);
    let trunks: Vec<String> = trunks.map(|vlan| vlan.to_string()).collect();
    let trunks = (!trunks.is_empty()).then(|| format!("trunks={}", trunks.join(",")));
    args.extend(trunks.as_deref());
    // A tag alone is an access port by itself.
    let is_both = tag.is_some() && trunks.is_some();
    args.extend(is_both.then_some("vlan_mode=native-untagged"));
    args.extend(port.isolated.then_some("protected=true"));
    call(host, &args).await
}

/// Sets whether a port is protected, as isolated ports are called here.
pub(crate) async fn protect(host: &dyn Host, port: &PortSpec) -> Result<(), Error> {
    let protected = format!("protected={}", port.isolated);
    call(host, &["set", "port", &port.name, &protected]).await
}

/// Takes ports out of the bridges that have them. May be repeated.
pub(crate) async fn forget(host: &dyn Host, ports: &[&str]) -> Result<(), Error> {
    if ports.is_empty() || !is_running(host).await? {
        return Ok(());
    }
    let mut args = Vec::new();
    for port in ports {
        args.extend(["--", "--if-exists", "del-port", *port]);
    }
    call(host, &args).await
}

async fn is_running(host: &dyn Host) -> Result<bool, Error> {
    Ok(host.stat(Path::new(SOCKET)).await?.is_some())
}

async fn call(host: &dyn Host, args: &[&str]) -> Result<(), Error> {
    let command = Command::new(PROGRAM).args(args.iter().copied());
    host.run(command).await?.checked(PROGRAM)?;
    Ok(())
}
