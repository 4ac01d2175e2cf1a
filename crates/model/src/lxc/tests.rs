//! Options of containers, as Proxmox VE writes them.

use super::*;

fn mount(name: &str, text: &str) -> Result<MountPoint, String> {
    let slot: MountSlot = name.parse()?;
    MountPoint::parse(slot, text).map_err(|error| error.to_string())
}

#[test]
fn a_card_is_printed_as_proxmox_ve_prints_it() {
    let recorded = "name=eth0,bridge=vmbr0,firewall=1,gw=192.168.77.1,hwaddr=BC:24:11:8E:BF:5B,\
         ip=192.168.77.50/24,rate=3,tag=5,type=veth";
    let net = Net::parse(recorded).unwrap();
    assert_eq!(net.print(), recorded);
    assert_eq!(
        (net.name(), net.rate(), net.tag()),
        ("eth0", Some(3.0), Some(5))
    );
    assert_eq!(
        net.ip4(),
        Some(Ip4::Static("192.168.77.50".parse().unwrap(), 24))
    );

    let given = Net::parse("bridge=vmbr0,name=eth0,ip=dhcp,ip6=auto").unwrap();
    let stored = given.completed(&|| "BC:24:11:00:00:01".to_owned()).print();
    let expected = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,ip=dhcp,ip6=auto,type=veth";
    assert_eq!(stored, expected);
    assert_eq!(Net::parse(expected).unwrap().print(), expected);
}

#[test]
fn a_card_that_cannot_be_is_refused() {
    for (text, reason) in [
        ("bridge=vmbr0", "name: property is missing"),
        ("name=eth0,foo=1", "foo: property is not defined"),
        ("name=a-name-that-is-too-long", "name: "),
        ("name=lo", "name: "),
        (
            "name=eth0,ip=10.0.0.1",
            "ip: invalid format - value does not look like",
        ),
        ("name=eth0,ip=10.0.0.1/33", "ip: "),
        ("name=eth0,hwaddr=01:00:00:00:00:00", "hwaddr: "),
        ("name=eth0,mtu=10", "mtu: "),
    ] {
        let error = Net::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{text}: {error}");
    }
}

#[test]
fn a_mount_point_is_printed_as_proxmox_ve_prints_it() {
    for (name, text) in [
        ("rootfs", "local:200/vm-200-disk-0.raw,size=1G"),
        (
            "mp0",
            "local:200/vm-200-disk-1.raw,mp=/data,backup=1,size=1G",
        ),
        (
            "mp1",
            "local:200/vm-200-disk-3.raw,mp=/mnt/a,acl=1,mountoptions=noatime,ro=1,size=10M",
        ),
        ("mp255", "/srv/bindsrc,mp=/mnt/bind"),
    ] {
        assert_eq!(mount(name, text).unwrap().print(), text);
    }
    let relative = mount("mp0", "local:1,mp=a//b/").unwrap();
    assert_eq!(relative.path(), "/a/b");
}

#[test]
fn a_mount_point_says_what_it_shows() {
    let source = |text: &str| mount("rootfs", text).unwrap().source();
    let new = MountSource::New {
        storage: "local".parse().unwrap(),
        gib: 0.5,
    };
    assert_eq!(source("local:0.5"), new);
    assert_eq!(source("/srv/x"), MountSource::Bind("/srv/x".into()));
    assert_eq!(source("/dev/sdb1"), MountSource::Device("/dev/sdb1".into()));
    let volume = "local:100/subvol-100-disk-0.subvol";
    assert_eq!(source(volume), MountSource::Volume(volume.parse().unwrap()));
}

#[test]
fn a_mount_point_stays_in_the_container() {
    for (name, text, reason) in [
        ("mp0", "local:1", "mp: property is missing"),
        (
            "mp0",
            "local:1,mp=/a/../b",
            "mp: invalid format - /a/../b contains illegal",
        ),
        ("mp0", "local:1,mp=/", "mp: this is no folder"),
        (
            "mp0",
            "/srv/../etc,mp=/a",
            "volume: invalid format - /srv/../etc contains",
        ),
        (
            "mp0",
            "nothing,mp=/a",
            "unable to parse volume ID 'nothing'",
        ),
        ("rootfs", "local:1,mp=/a", "mp: property is not defined"),
        ("rootfs", "local:1,mountoptions=dev", "mountoptions: "),
        ("mp256", "local:1,mp=/a", "'mp256' is not a mount point"),
        ("mp01", "local:1,mp=/a", "'mp01' is not a mount point"),
    ] {
        let error = mount(name, text).unwrap_err();
        assert!(error.starts_with(reason), "{text}: {error}");
    }
}

#[test]
fn features_are_read() {
    let features = Features::parse("nesting=1,mount=nfs;cifs,fuse=1").unwrap();
    assert_eq!(features.mount, ["nfs", "cifs"]);
    assert!(features.nesting && features.fuse && !features.is_only_nesting());
    assert!(Features::parse("nesting=1").unwrap().is_only_nesting());
    assert!(Features::parse("foo=1").is_err());
}
