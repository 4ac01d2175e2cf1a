//! Guests that run with KVM move between nodes.

use std::path::PathBuf;

use lab::{Lab, Moment, Node};

use crate::cluster::{
    SOON, Steps, form, installed_cluster, refusal, run, start_again, start_guest, writes,
};

/// How often the guest moves, ten times in all. With its disks it takes 20 s each time.
const WITH_LOCAL_DISKS: usize = 4;
const WITH_SHARED_DISKS: usize = 6;

const GUEST: &str = "10.99.0.50";

/// Writes numbered blocks to the second disk, flushed, and notes in memory what it wrote.
const WRITE: &str = "mkdir -p /tmp/at; (i=0; while [ ! -e /tmp/stop ]; do i=$((i+1)); b=$((i%64)); \
    usleep 20000; yes $i | head -c 8192 | dd of=/dev/vdb bs=8192 seek=$b conv=notrunc,fsync; echo $i > /tmp/at/$b; \
    done; echo > /tmp/stopped) >/dev/null 2>&1 </dev/null &";

/// Compares the disk with the notes; prints the number of blocks.
const VERIFY: &str = "touch /tmp/stop; until [ -e /tmp/stopped ]; do usleep 10000; done; \
    rm /tmp/stop /tmp/stopped; echo 3 > /proc/sys/vm/drop_caches; for b in /tmp/at/*; do \
    got=$(dd if=/dev/vdb bs=8192 skip=${b##*/} count=1 2>/dev/null | head -n 1); \
    [ $(cat $b) = $got ] || echo LOST $b; done; echo WRITTEN=$(ls /tmp/at | wc -l)";

/// Runs a script in the guest by its agent, and returns what it printed.
fn in_guest(node: &Node, script: &str) -> String {
    node.put("/root/script", script.as_bytes(), 0o644).unwrap();
    run(
        node,
        "qm guest exec 100 -- /bin/sh -c \"$(cat /root/script)\"",
    )
}

/// A bridge on a network of their own for the guests of both nodes, and one folder that both have.
fn connect(lab: &Lab) {
    for node in lab.nodes() {
        run(
            node,
            &format!(
                "ip link add vmbr0 type bridge && ip link set eth1 master vmbr0 && ip link set eth1 up \
                 && ip link set vmbr0 up && ip address add 10.99.0.{}/24 dev vmbr0",
                node.number()
            ),
        );
    }
    run(
        lab.node(1),
        "mkdir -p /disk/shared && echo '/disk/shared *(rw,fsid=0,no_root_squash,insecure)' \
         >/etc/exports && systemctl start nfs-server && exportfs -ra && mkdir -p /mnt/shared && \
         mount --bind /disk/shared /mnt/shared",
    );
    run(
        lab.node(2),
        "mkdir -p /mnt/shared && mount -t nfs4 n1:/ /mnt/shared",
    );
    run(
        lab.node(1),
        "pvesm add dir both --path /mnt/shared --shared 1 --content images",
    );
}

/// Starts the guest on `n1`, which answers pings, and writes once its agent is there.
fn start(lab: &Lab) {
    let guest = PathBuf::from(std::env::var_os("OSTLER_LAB_GUEST").expect("./x lab test names it"));
    let guest = std::fs::canonicalize(guest).unwrap();
    let n1 = lab.node(1);
    n1.deliver(&[&guest], "/opt").unwrap();
    let image = guest.file_name().unwrap().to_string_lossy().into_owned();
    run(
        n1,
        &format!(
            "qm create 100 --memory 128 --cpu host --agent 1 --serial0 socket --boot order=virtio0 \
             --net0 virtio,bridge=vmbr0 --ide2 both:cloudinit --ipconfig0 ip={GUEST}/24 \
             --virtio0 local:0,import-from=/opt/{image},format=qcow2 \
             --virtio1 local:1,format=raw"
        ),
    );
    run(n1, "qm start 100");
    n1.wait_until(SOON, "qm agent 100 ping >/dev/null 2>&1")
        .unwrap();
    n1.wait_until(SOON, &format!("ping -c 1 -W 1 {GUEST} >/dev/null"))
        .unwrap();
}

/// Moves the guest back and forth while it writes and is pinged from `n1`.
fn back_and_forth(lab: &Lab, moves: usize, what: &str, options: &str) {
    let (n1, n2) = (lab.node(1), lab.node(2));
    n1.check(&format!(
        "(ping -i 0.1 {GUEST} >/root/pings; true) >/dev/null 2>&1 & echo $! >/dev/null"
    ))
    .unwrap();
    for time in 0..moves {
        let (from, to) = match time % 2 {
            0 => (n1, n2),
            _ => (n2, n1),
        };
        in_guest(from, WRITE);
        let begun = Moment::now();
        let log = run(
            from,
            &format!("qm migrate 100 {} --online {options}", to.name()),
        );
        let downtime = log.split(" - downtime ").nth(1).unwrap_or_default();
        let downtime = downtime.lines().next().unwrap_or_default();
        let took = begun.elapsed();
        let said = in_guest(to, VERIFY);
        assert!(
            said.contains("WRITTEN=") && !said.contains("LOST") && !said.contains("WRITTEN=0"),
            "{said}"
        );
        println!("{what}, move {time}: {took:.1?}, downtime {downtime}");
        assert!(!from.run("pgrep qemu-system").unwrap().success());
    }
    n1.check("pkill -INT -x ping; while pgrep -x ping; do sleep 0.1; done")
        .unwrap();
    println!("{}", n1.check("tail -n 3 /root/pings").unwrap());
    let received = n1
        .check("sed -n 's/.* \\([0-9]*\\) received.*/\\1/p' /root/pings")
        .unwrap();
    let sent = n1
        .check("sed -n 's/^\\([0-9]*\\) packets.*/\\1/p' /root/pings")
        .unwrap();
    let (sent, received): (u32, u32) = (sent.parse().unwrap(), received.parse().unwrap());
    // Each move may cost as many as fit into a second.
    assert!(
        received > 0 && sent - received <= 10 * u32::try_from(moves).unwrap(),
        "{received} of {sent} pings were answered"
    );
}

/// covers: S0.32 S2.87
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_kvm_guest_moves_with_shared_and_with_local_disks() {
    let mut steps = Steps(Moment::now());
    let lab = installed_cluster(2);
    form(&lab);
    connect(&lab);
    start(&lab);
    steps.done("two nodes with a guest");
    back_and_forth(
        &lab,
        WITH_LOCAL_DISKS,
        "local disks",
        "--with-local-disks 1",
    );
    steps.done("its disks moved along");
    for disk in ["virtio0", "virtio1"] {
        run(
            lab.node(1),
            &format!("qm disk move 100 {disk} both --delete 1"),
        );
    }
    steps.done("its disks are on shared storage");
    back_and_forth(&lab, WITH_SHARED_DISKS, "shared disks", "");
    steps.done("it moved");
}

/// covers: S1.3 S3.84 S3.86
#[test]
#[ignore = "needs the lab: ./x lab test"]
fn nodes_with_unlike_processors_have_a_cpu_type_in_common() {
    let lab = installed_cluster(2);
    let (n1, n2) = (lab.node(1), lab.node(2));
    n2.kill().unwrap();
    n2.exchange_cpu("EPYC,-avx2,-bmi2");
    start_again(n2);
    form(&lab);
    start_guest(n1, 100, "");
    let refused = refusal(n1, "qm migrate 100 n2 --online --with-local-disks 1");
    assert!(
        refused.contains("avx2") && refused.contains("bmi2"),
        "{refused}"
    );
    writes(n1, 100);
    let common = run(n1, "ostler cpu");
    println!("{common}");
    let (_, common) = common.rsplit_once("cpu: ").unwrap();
    run(n1, "qm stop 100");
    run(n1, &format!("qm set 100 --cpu {}", common.trim()));
    run(n1, "qm start 100");
    run(n1, "qm migrate 100 n2 --online --with-local-disks 1");
    writes(n2, 100);
    run(n2, "qm migrate 100 n1 --online --with-local-disks 1");
    writes(n1, 100);
}
