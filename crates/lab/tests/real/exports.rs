//! A pool of one node, exported to the others: a guest has its disks there whichever node it runs on.

use lab::{Disk, Lab, Node};
use serde_json::Value;

use crate::cluster::{SOON, form, installed_cluster, refusal, writes};
use crate::product::{are_up, boot_sector, get};

const VOLUMES: [(&str, &str); 2] = [
    ("virtio0", "vms:100/vm-100-disk-0.raw"),
    ("virtio1", "vms:100/vm-100-disk-1.raw"),
];

/// Three stores on emulated processors may lose their majority for a moment on a busy host. What was
/// refused for that is asked for again.
fn run(node: &Node, command: &str) -> String {
    for _ in 0..4 {
        let output = node.run_within(SOON, &format!("{command} 2>&1")).unwrap();
        match output.success() {
            true => return output.text(),
            false if output.text().contains("no quorum") => {}
            false => panic!("{command}: {}", output.text()),
        }
        let is_ready = "pvecm status 2>/dev/null | grep -q '^Quorate: *Yes'";
        node.wait_until(SOON, is_ready).unwrap();
    }
    panic!("{command}: no quorum again and again");
}

/// A pool on a disk of its own, as a storage of that node alone.
fn pool(lab: &Lab, node: &Node) -> Disk {
    let disk = lab.disk("tank", 1 << 30).unwrap();
    let device = node.attach(&disk).unwrap();
    run(node, &format!("zpool create tank {device}"));
    run(
        node,
        "pvesm add zfspool tank --pool tank --nodes n1 --content images",
    );
    disk
}

/// The root of a lab's node is an overlay, which cannot be exported and so cannot lead clients to what
/// is: the tree of exports has a root of its own, whose `/srv` is the node's.
fn serve(lab: &Lab, node: &Node) -> Disk {
    let disk = lab.disk("pseudo", 64 << 20).unwrap();
    let device = node.attach(&disk).unwrap();
    run(
        node,
        &format!(
            "set -e; mkfs.ext4 -q {device}; mkdir -p /pseudo; mount {device} /pseudo; mkdir /pseudo/srv
             mount --make-shared /pseudo; mkdir -p /srv; mount --bind /pseudo/srv /srv
             printf \"[nfsd]\\ngrace-time=10\\nlease-time=10\\n[exports]\\nrootdir=/pseudo\\n\" \
             >/etc/nfs.conf.d/lab.conf
             systemctl start nfs-server"
        ),
    );
    disk
}

fn exported(node: &Node) -> String {
    run(node, "exportfs -s")
}

/// Guest 100 on the export, which boots from one disk and has something on another one.
fn make_guest(node: &Node) {
    node.put("/root/sector.raw", &boot_sector(), 0o644).unwrap();
    run(
        node,
        "truncate -s 4M /root/sector.raw; head -c 8M /dev/urandom >/root/data.raw",
    );
    run(
        node,
        "qm create 100 --memory 64 --cpu host --serial0 socket --boot order=virtio0 \
         --virtio0 vms:0,import-from=/root/sector.raw,format=raw \
         --virtio1 vms:0,import-from=/root/data.raw,format=raw",
    );
    run(node, "qm start 100");
    writes(node, 100);
}

/// The sum of the second disk, and the files of both, as a node sees them.
fn seen(node: &Node, folder: &str) -> (String, String) {
    let file = |number: u8| format!("{folder}/images/100/vm-100-disk-{number}.raw");
    let sum = run(node, &format!("sha256sum <{}", file(1)));
    let inodes = run(node, &format!("stat -c %i {} {}", file(0), file(1)));
    (sum, inodes)
}

/// Nothing is copied: the volumes are the same files under the same names.
fn moves(from: &Node, to: &Node) {
    let log = run(from, &format!("qm migrate 100 {} --online", to.name()));
    assert!(!log.contains("copying"), "{log}");
    writes(to, 100);
    let name = to.name();
    let config = get(to, &format!("/nodes/{name}/qemu/100/config"));
    for (drive, volume) in VOLUMES {
        let value = config[drive].as_str().unwrap();
        assert!(value.starts_with(volume), "{config}");
    }
}

// covers: S1.9
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_pool_of_one_node_has_the_disks_of_guests_of_all() {
    let lab = installed_cluster(3);
    form(&lab);
    let [n1, n2, n3] = lab.nodes() else {
        panic!("three nodes")
    };
    let (_pool, _pseudo) = (pool(&lab, n1), serve(&lab, n1));

    let plan = run(n1, "ostler storage export tank --as vms");
    for said in ["dataset: tank/vms", "clients: 10.77.0.2, 10.77.0.3"] {
        assert!(plan.contains(said), "{plan}");
    }
    assert_eq!(exported(n1), "", "a plan exports nothing");
    run(n1, "ostler storage export tank --as vms --dry-run 0");
    let clients = exported(n1);
    assert_eq!(clients.lines().count(), 2, "{clients}");
    for address in ["10.77.0.2(sync,", "10.77.0.3(sync,"] {
        assert!(clients.contains(address), "{clients}");
    }

    make_guest(n2);
    let version = run(n2, "grep /mnt/pve/vms /proc/mounts");
    assert!(version.contains("vers=4.1"), "{version}");
    let before = seen(n2, "/mnt/pve/vms");
    run(n1, "systemctl restart ostler-node");
    writes(n2, 100);
    are_up(n1);
    assert_eq!(
        exported(n1),
        clients,
        "a restart of the agent changes nothing"
    );
    moves(n2, n3);
    moves(n3, n1);
    assert_eq!(seen(n1, "/srv/ostler/vms"), before);
    assert_eq!(seen(n3, "/mnt/pve/vms"), before);
    moves(n1, n2);
    assert_eq!(seen(n1, "/srv/ostler/vms"), before);

    refuses(n1);
    leaves(n1, n3);
    writes(n2, 100);
    taken_back(n1, n2);
}

/// While a guest of another node has its disks there.
fn refuses(n1: &Node) {
    let said = refusal(n1, "ostler storage unexport vms");
    assert!(
        said.contains("guest 100 of node 'n2' has volume 'vms:100/"),
        "{said}"
    );
    let said = refusal(n1, "pvesm remove vms");
    assert!(said.contains("node 'n1' exports it"), "{said}");
    let said = refusal(n1, "ostler storage export vms --as again");
    assert!(said.contains("all nodes have already"), "{said}");
    // Its disk has the state of the node, too.
    let said = refusal(n1, "ostler storage export local --as again");
    assert!(
        said.contains("the file system of '/var/lib/ostler'"),
        "{said}"
    );
}

/// A node that leaves the cluster reaches nothing any more, neither by its mount nor by a new one.
fn leaves(n1: &Node, n3: &Node) {
    run(n3, "ls /mnt/pve/vms/images/100");
    run(n3, "ostler cluster leave --yes");
    n1.wait_until(SOON, "! exportfs -s | grep -q 10.77.0.3")
        .unwrap();
    let mount = "mkdir -p /mnt/again; timeout 60 mount -t nfs -o vers=4.1,retry=0 10.77.0.1:/srv/ostler/vms \
                 /mnt/again && ls /mnt/again/images";
    refusal(n3, mount);
    refusal(
        n3,
        "timeout 60 cat /mnt/pve/vms/images/100/vm-100-disk-1.raw | wc -c | grep -v ^0",
    );
}

fn taken_back(n1: &Node, n2: &Node) {
    run(n2, "qm stop 100");
    run(n2, "qm destroy 100");
    run(n1, "ostler storage unexport vms");
    assert_eq!(exported(n1), "");
    refusal(n1, "zfs list tank/vms");
    let storages = get(n2, "/storage");
    let mut storages = storages.as_array().unwrap().iter();
    assert!(!storages.any(|storage: &Value| storage["storage"] == "vms"));
    n2.wait_until(SOON, "! grep -q /mnt/pve/vms /proc/mounts")
        .unwrap();
}
