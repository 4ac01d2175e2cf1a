//! The kernel's storage: LVM, ZFS, DRBD, NFS, iSCSI.

use std::time::Duration;

use lab::{Lab, Moment, Node};

const SOON: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn lvm_thin_volumes_are_larger_than_their_pool_and_have_snapshots() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let disk = lab.disk("pv", 256 * MIB).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!(
        "set -e; vgcreate -q vg {device}
         lvcreate -q --type thin-pool -L 160M -n pool vg
         lvcreate -q -V 1G --thinpool vg/pool -n thin
         mkfs.ext4 -q -E lazy_itable_init=1 /dev/vg/thin
         mkdir -p /mnt/thin /mnt/snapshot; mount /dev/vg/thin /mnt/thin
         echo before >/mnt/thin/file; sync
         lvcreate -q --snapshot --setactivationskip n -n earlier vg/thin
         echo after >/mnt/thin/file; sync
         mount -o ro,noload /dev/vg/earlier /mnt/snapshot"
    ))
    .unwrap();
    assert_eq!(node.check("cat /mnt/thin/file").unwrap(), "after");
    assert_eq!(node.check("cat /mnt/snapshot/file").unwrap(), "before");
    let size = node
        .check("lvs --noheadings --nosuffix --units m -o lv_size vg/thin")
        .unwrap();
    assert_eq!(size.trim(), "1024.00");
    let used: f64 = node
        .check("lvs --noheadings -o data_percent vg/pool")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!(used > 0.0 && used < 100.0, "{used}");
    assert!(disk.writes().iter().all(|write| write.node == 1));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn zfs_pools_volumes_and_snapshots_go_to_another_node() {
    let lab = Lab::start(2).unwrap();
    let (a, b) = (lab.node(1), lab.node(2));
    for node in [a, b] {
        let disk = lab
            .disk(&format!("pool{}", node.number()), 256 * MIB)
            .unwrap();
        let device = node.attach(&disk).unwrap();
        node.check(&format!("zpool create tank {device}")).unwrap();
    }
    a.check("zfs create -s -V 64M tank/volume").unwrap();
    a.wait_until(SOON, "[ -b /dev/zvol/tank/volume ]").unwrap();
    a.check(
        "set -e; mkfs.ext4 -q /dev/zvol/tank/volume; mkdir -p /mnt/volume
         mount /dev/zvol/tank/volume /mnt/volume; echo first >/mnt/volume/file; umount /mnt/volume
         zfs snapshot tank/volume@one
         mount /dev/zvol/tank/volume /mnt/volume; echo second >/mnt/volume/file; umount /mnt/volume
         zfs snapshot tank/volume@two",
    )
    .unwrap();
    // The whole first snapshot, and the increment of the second.
    for send in [
        "zfs send tank/volume@one",
        "zfs send -i @one tank/volume@two",
    ] {
        let receive = b
            .spawn("socat -u TCP-LISTEN:9000,reuseaddr EXEC:'zfs receive tank/copy'")
            .unwrap();
        a.check(&format!(
            "{send} | socat -u - TCP:n2:9000,retry=100,interval=0.1"
        ))
        .unwrap();
        assert!(receive.wait(SOON).unwrap().success());
    }
    b.wait_until(SOON, "[ -b /dev/zvol/tank/copy ]").unwrap();
    b.check("mkdir -p /mnt/copy && mount -o ro,noload /dev/zvol/tank/copy /mnt/copy")
        .unwrap();
    assert_eq!(
        b.check("cat /mnt/copy/file; umount /mnt/copy").unwrap(),
        "second"
    );
    b.check("zfs rollback -r tank/copy@one").unwrap();
    b.check("mount -o ro,noload /dev/zvol/tank/copy /mnt/copy")
        .unwrap();
    assert_eq!(b.check("cat /mnt/copy/file").unwrap(), "first");
    let checked = a.check("zpool scrub -w tank && zpool status -x").unwrap();
    assert_eq!(checked, "all pools are healthy");
}

fn drbd_config(node: &Node, device: &str) -> String {
    let other = 3 - node.number();
    format!(
        "resource r0 {{
           protocol C; device /dev/drbd0; meta-disk internal;
           net {{ ping-int 2; ping-timeout 10; connect-int 2; timeout 15; }}
           on {} {{ disk {device}; address {}:7788; }}
           on n{other} {{ disk {device}; address 10.77.0.{other}:7788; }}
         }}",
        node.name(),
        node.address(),
    )
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn drbd_data_is_on_the_peer_when_the_primary_dies() {
    let lab = Lab::start(2).unwrap();
    let (a, b) = (lab.node(1), lab.node(2));
    let mut disks = Vec::new();
    for node in [a, b] {
        let disk = lab
            .disk(&format!("replica{}", node.number()), 64 * MIB)
            .unwrap();
        let device = node.attach(&disk).unwrap();
        // The same path on both nodes, since they share the configuration.
        node.check(&format!("ln -s {device} /dev/replica")).unwrap();
        let config = drbd_config(node, "/dev/replica");
        node.put("/etc/drbd.d/r0.res", config.as_bytes(), 0o644)
            .unwrap();
        node.check("drbdadm create-md --force r0 && drbdadm up r0")
            .unwrap();
        disks.push(disk);
    }
    a.wait_until(SOON, "[ \"$(drbdadm cstate r0)\" = Connected ]")
        .unwrap();
    a.check("drbdadm -- --clear-bitmap new-current-uuid r0 && drbdadm primary r0")
        .unwrap();
    assert!(
        !b.run("drbdadm primary r0").unwrap().success(),
        "there is one primary"
    );
    a.check(
        "set -e; mkfs.ext4 -q /dev/drbd0; mkdir -p /mnt/data; mount /dev/drbd0 /mnt/data
         echo precious >/mnt/data/file; sync /mnt/data/file",
    )
    .unwrap();
    a.kill().unwrap();
    let dead = Moment::now();
    b.wait_until(SOON, "[ \"$(drbdadm cstate r0)\" != Connected ]")
        .unwrap();
    println!("the peer noticed after {:?}", dead.elapsed());
    b.check("drbdadm primary r0 && mkdir -p /mnt/data && mount /dev/drbd0 /mnt/data")
        .unwrap();
    assert_eq!(b.check("cat /mnt/data/file").unwrap(), "precious");
    b.check("echo more >/mnt/data/second; sync /mnt/data/second")
        .unwrap();
    // By the harness's clock: from the death on there was one writer.
    let late = |at: usize| {
        disks[at]
            .writes()
            .into_iter()
            .filter(|write| write.at > dead)
    };
    assert_eq!(late(0).count(), 0);
    assert!(late(1).count() > 0);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn nfs_exports_are_mounted_by_another_node() {
    let lab = Lab::start(2).unwrap();
    let (server, client) = (lab.node(1), lab.node(2));
    let disk = lab.disk("export", 64 * MIB).unwrap();
    let device = server.attach(&disk).unwrap();
    server
        .check(&format!(
            "set -e; mkfs.ext4 -q {device}; mkdir -p /srv/export; mount {device} /srv/export
             echo '/srv/export 10.77.0.0/24(rw,fsid=0,no_root_squash,no_subtree_check)' >/etc/exports
             printf '[nfsd]\\ngrace-time=10\\nlease-time=10\\n' >/etc/nfs.conf.d/lab.conf
             systemctl start nfs-server"
        ))
        .unwrap();
    client
        .check("mkdir -p /mnt/nfs && mount -t nfs4 n1:/ /mnt/nfs && echo over >/mnt/nfs/file && sync /mnt/nfs/file")
        .unwrap();
    assert_eq!(server.check("cat /srv/export/file").unwrap(), "over");
    server.check("echo back >/srv/export/other").unwrap();
    assert_eq!(
        client.check("cat /mnt/nfs/other; umount /mnt/nfs").unwrap(),
        "back"
    );
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn iscsi_targets_are_disks_of_another_node() {
    let lab = Lab::start(2).unwrap();
    let (target, initiator) = (lab.node(1), lab.node(2));
    let disk = lab.disk("lun", 64 * MIB).unwrap();
    let device = target.attach(&disk).unwrap();
    target
        .check(&format!(
            "set -e; modprobe -a target_core_iblock iscsi_target_mod
             core=/sys/kernel/config/target/core/iblock_0/lun
             mkdir -p $core; echo udev_path=$(readlink -f {device}) >$core/control; echo 1 >$core/enable
             group=/sys/kernel/config/target/iscsi/iqn.2026-01.lab:lun/tpgt_1
             mkdir -p $group; mkdir $group/np/{}:3260 $group/lun/lun_0
             ln -s $core $group/lun/lun_0/lun
             echo 0 >$group/attrib/authentication; echo 1 >$group/attrib/generate_node_acls
             echo 0 >$group/attrib/demo_mode_write_protect; echo 1 >$group/enable",
            target.address()
        ))
        .unwrap();
    initiator
        .check(
            "set -e; systemctl start iscsid
             iscsiadm -m discovery -t sendtargets -p 10.77.0.1; iscsiadm -m node --login",
        )
        .unwrap();
    let remote = "/dev/disk/by-path/ip-10.77.0.1:3260-iscsi-iqn.2026-01.lab:lun-lun-0";
    initiator
        .wait_until(SOON, &format!("[ -b {remote} ]"))
        .unwrap();
    initiator
        .check(&format!(
            "set -e; mkfs.ext4 -q {remote}; mkdir -p /mnt/lun; mount {remote} /mnt/lun
             echo remote >/mnt/lun/file; umount /mnt/lun; iscsiadm -m node --logout"
        ))
        .unwrap();
    // The target keeps its disk in use as long as it is exported.
    target
        .check(&format!(
            "set -e; cd /sys/kernel/config/target; group=iscsi/iqn.2026-01.lab:lun/tpgt_1
             echo 0 >$group/enable; rm $group/lun/lun_0/lun; rmdir $group/lun/lun_0 core/iblock_0/lun
             mkdir -p /mnt/lun; mount -o ro {device} /mnt/lun"
        ))
        .unwrap();
    assert_eq!(target.check("cat /mnt/lun/file").unwrap(), "remote");
}
