//! What is done on a host for each kind of bridge. The kernel's side is shown in the lab.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::path::Path;

use model::{PortSpec, Vlans};
use sys::{Command, Files, Links, Output, TapOptions};
use testkit::{Disk, FakeHost, Faults};

const LOG: &str = "/commands";

/// A program that succeeds and is written down.
fn noted(disk: &mut Disk, command: &Command) -> Output {
    let log = Path::new(LOG);
    let before = disk.content(log).unwrap_or_default();
    let before = String::from_utf8(before).unwrap();
    let line = format!("{} {}\n", command.program, command.args.join(" "));
    let content = format!("{before}{line}").into_bytes();
    let size = content.len() as u64;
    disk.put(log, content, size).unwrap();
    Output {
        code: Some(0),
        ..Output::default()
    }
}

async fn host() -> FakeHost {
    let mut host = FakeHost::new(Faults::default());
    for program in ["ip", "bridge", "ovs-vsctl"] {
        host = host.program(program, noted);
    }
    host.create_bridge("vmbr0").await.unwrap();
    host
}

async fn write(host: &FakeHost, path: &str, text: &str) {
    let path = Path::new(path);
    let folder = path.parent().unwrap();
    host.create_dir(folder, 0o755).await.unwrap();
    host.write(path, text.as_bytes(), 0o644).await.unwrap();
}

async fn commands(host: &FakeHost) -> Vec<String> {
    let log = host.read(Path::new(LOG)).await.unwrap_or_default();
    let text = String::from_utf8(log).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn port(bridge: &str, tag: Option<u16>, trunks: Option<&str>) -> PortSpec {
    PortSpec {
        name: "tap100i0".to_owned(),
        bridge: bridge.to_owned(),
        mtu: None,
        vlans: Vlans::of(tag, trunks),
        isolated: false,
    }
}

async fn attach(host: &FakeHost, port: &PortSpec) -> Result<(), model::Error> {
    network::attach(host, port, &TapOptions::default()).await
}

async fn why_not(host: &FakeHost, port: &PortSpec) -> String {
    attach(host, port).await.unwrap_err().message
}

async fn master(host: &FakeHost, name: &str) -> Option<String> {
    let links = host.links().await.unwrap();
    let link = links.into_iter().find(|link| link.name == name);
    link.unwrap().master
}

#[tokio::test]
async fn the_host_has_no_ipv6_at_a_port() {
    let host = host().await;
    let setting = "/proc/sys/net/ipv6/conf/tap100i0/disable_ipv6";
    write(&host, setting, "0\n").await;
    attach(&host, &port("vmbr0", None, None)).await.unwrap();
    let set = host.read(Path::new(setting)).await.unwrap();
    assert_eq!(set, b"1");
}

#[tokio::test]
async fn a_port_on_a_bridge_of_vlans_is_down_until_it_has_its_own() {
    let host = host().await;
    write(&host, "/sys/class/net/vmbr0/bridge/vlan_filtering", "1\n").await;
    attach(&host, &port("vmbr0", Some(5), Some("7;10-12")))
        .await
        .unwrap();
    let first = [
        "ip link set dev tap100i0 down",
        "bridge vlan del dev tap100i0 vid 1-4094",
        "bridge vlan add dev tap100i0 vid 7",
        "bridge vlan add dev tap100i0 vid 10-12",
        "bridge vlan add dev tap100i0 vid 5 pvid untagged",
        "ip link set dev tap100i0 up",
    ];
    assert_eq!(commands(&host).await, first);
    assert_eq!(master(&host, "tap100i0").await.as_deref(), Some("vmbr0"));
    // It is a port already: nothing has to be kept from getting through.
    network::connect(&host, &port("vmbr0", None, None))
        .await
        .unwrap();
    let then = [
        "bridge vlan del dev tap100i0 vid 1-4094",
        "bridge vlan add dev tap100i0 vid 2-4094",
        "bridge vlan add dev tap100i0 vid 1 pvid untagged",
        "ip link set dev tap100i0 up",
    ];
    assert_eq!(commands(&host).await[first.len()..], then);
}

#[tokio::test]
async fn a_bridge_without_vlans_has_one_beside_it_for_each() {
    let host = host().await;
    // Guests' own links are no way out.
    for guests in ["tap200i0", "veth201i0"] {
        let options = TapOptions::default();
        host.create_tap(guests, &options).await.unwrap();
        host.join_bridge(guests, "vmbr0").await.unwrap();
    }
    assert_eq!(
        why_not(&host, &port("vmbr0", Some(5), None)).await,
        "no physical interface on bridge 'vmbr0'"
    );
    assert_eq!(
        why_not(&host, &port("vmbr0", None, Some("5"))).await,
        "vlan aware feature need to be enabled to use trunks"
    );
    // On the fake host a bridge is the only link that is no tap.
    host.create_bridge("eno1").await.unwrap();
    host.create_bridge("eno1.5").await.unwrap();
    host.join_bridge("eno1", "vmbr0").await.unwrap();
    attach(&host, &port("vmbr0", Some(5), None)).await.unwrap();
    assert_eq!(commands(&host).await, ["ip link set dev eno1.5 up"]);
    for link in ["tap100i0", "eno1.5"] {
        assert_eq!(master(&host, link).await.as_deref(), Some("vmbr0v5"));
    }
}

#[tokio::test]
async fn open_vswitch_is_told_of_ports_that_come_and_go() {
    let host = host().await;
    let port = port("ovs0", Some(5), Some("7-9"));
    assert_eq!(why_not(&host, &port).await, "bridge 'ovs0' does not exist");
    write(&host, "/run/openvswitch/db.sock", "").await;
    attach(&host, &port).await.unwrap();
    network::detach(&host, "tap100i0").await.unwrap();
    assert_eq!(
        commands(&host).await,
        [
            "ovs-vsctl br-exists ovs0",
            "ovs-vsctl --if-exists del-port tap100i0 -- add-port ovs0 tap100i0 tag=5 \
             trunks=7,8,9 vlan_mode=native-untagged",
            "ip link set dev tap100i0 up",
            "ovs-vsctl -- --if-exists del-port tap100i0",
        ]
    );
}
