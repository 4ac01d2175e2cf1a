//! Each fault of a node, and its watchdogs.

use std::time::Duration;

use lab::{DiskHealth, Lab, LabError, Moment, Node, Piece, wait_for};

const SOON: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// A node with a disk, which has a file system with a file.
fn with_data(lab: &Lab) -> (&Node, String) {
    let node = lab.node(1);
    let disk = lab.disk("data", 32 * MIB).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!(
        "set -e; mkfs.ext4 -q {device}; mkdir -p /mnt/data; mount {device} /mnt/data
         echo kept >/mnt/data/file; sync; echo lost >/root/file"
    ))
    .unwrap();
    (node, device)
}

/// After a boot: the disk's content is there, everything else is gone, and the node has its
/// identity.
fn is_itself_again(node: &Node, device: &str) {
    node.wait_until(SOON, &format!("[ -b {device} ]")).unwrap();
    let kept = node.check(&format!(
        "mkdir -p /mnt/data; mount {device} /mnt/data; cat /mnt/data/file"
    ));
    assert_eq!(kept.unwrap(), "kept");
    assert!(!node.run("cat /root/file").unwrap().success());
    assert_eq!(node.check("hostname").unwrap(), node.name());
    let address = format!("ip -br address show eth0 | grep -q {}/24", node.address());
    node.check(&address).unwrap();
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn kill_takes_all_but_the_disks() {
    let lab = Lab::start(1).unwrap();
    let (node, device) = with_data(&lab);
    let before = node.boot_id().unwrap();
    let running = node.spawn("sleep 1000").unwrap();
    node.kill().unwrap();
    assert!(matches!(running.wait(SOON), Err(LabError::Gone { .. })));
    assert!(matches!(node.run("true"), Err(LabError::Gone { .. })));
    node.start().unwrap();
    let begun = Moment::now();
    assert_ne!(node.wait_for_boot(None).unwrap(), before);
    println!("the node was back {:?} after its start", begun.elapsed());
    is_itself_again(node, &device);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn reset_boots_the_node_again() {
    let lab = Lab::start(1).unwrap();
    let (node, device) = with_data(&lab);
    let before = node.boot_id().unwrap();
    let running = node.spawn("sleep 1000").unwrap();
    node.reset().unwrap();
    assert!(matches!(running.wait(SOON), Err(LabError::Gone { .. })));
    assert_ne!(node.wait_for_boot(None).unwrap(), before);
    is_itself_again(node, &device);
    let off: i64 = node
        .check(&format!("echo $(($(date +%s) - {}))", now()))
        .unwrap()
        .parse()
        .unwrap();
    assert!(off.abs() <= 3, "its clock is off by {off} s");
}

fn now() -> u64 {
    let output = std::process::Command::new("date")
        .arg("+%s")
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_panic_is_on_the_console_and_resets_the_node() {
    let lab = Lab::start(1).unwrap();
    let (node, device) = with_data(&lab);
    let before = node.boot_id().unwrap();
    node.panic().unwrap();
    assert!(node.console().unwrap().contains("Kernel panic"));
    assert_ne!(node.wait_for_boot(None).unwrap(), before);
    is_itself_again(node, &device);
}

/// The uptime that the node reports, in seconds.
fn uptime(node: &Node) -> f64 {
    let text = node.check("cut -d' ' -f1 /proc/uptime").unwrap();
    text.parse().unwrap()
}

/// Lets time pass while a node is stopped.
fn pass(time: Duration) {
    let begun = Moment::now();
    wait_for("time to pass", 2 * time, || begun.elapsed() > time).unwrap();
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn time_goes_on_for_a_frozen_node_but_not_for_a_zombie() {
    let lab = Lab::start(2).unwrap();
    let (node, other) = (lab.node(1), lab.node(2));
    let asleep = Duration::from_secs(4);
    let ping = "ping -c 2 -i 0.3 -W 1 n1";
    assert!(other.run(ping).unwrap().success());

    let before = uptime(node);
    node.freeze().unwrap();
    assert!(!other.run(ping).unwrap().success());
    pass(asleep);
    node.thaw().unwrap();
    let slept = uptime(node) - before;
    assert!(
        slept >= asleep.as_secs_f64(),
        "it believes {slept} s have passed"
    );

    let begun = Moment::now();
    let before = uptime(node);
    node.zombie().unwrap();
    assert!(!other.run(ping).unwrap().success());
    pass(asleep);
    node.wake().unwrap();
    let believed = uptime(node) - before;
    let passed = begun.elapsed().as_secs_f64();
    assert!(
        believed < passed - asleep.as_secs_f64(),
        "{believed} s of {passed} s"
    );
    assert!(other.run(ping).unwrap().success());
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn failing_and_stalled_disks_are_so_for_one_node_alone() {
    let lab = Lab::start(2).unwrap();
    let (a, b) = (lab.node(1), lab.node(2));
    let disk = lab.disk("shared", 16 * MIB).unwrap();
    let device = a.attach(&disk).unwrap();
    assert_eq!(b.attach(&disk).unwrap(), device);
    let write = format!("dd if=/dev/zero of={device} bs=4k count=1 oflag=direct 2>&1");
    let read = format!("dd if={device} of=/dev/null bs=4k count=1 iflag=direct 2>&1");
    disk.set_health(1, DiskHealth::Failing);
    for script in [&write, &read] {
        let output = a.run(script).unwrap();
        assert!(output.text().contains("Input/output error"), "{output:?}");
        b.check(script).unwrap();
    }
    disk.set_health(1, DiskHealth::Well);
    a.check(&write).unwrap();

    disk.set_health(1, DiskHealth::Stalled);
    let stalled = a.spawn(&write).unwrap();
    b.check(&write).unwrap();
    let nothing = stalled.next(Duration::from_secs(2));
    assert!(
        matches!(nothing, Err(LabError::Timeout { .. })),
        "{nothing:?}"
    );
    let healed = Moment::now();
    disk.set_health(1, DiskHealth::Well);
    assert!(stalled.wait(SOON).unwrap().success());
    // The log shows the node and time of every write.
    let write = disk
        .wait_for_write(SOON, |write| write.at > healed)
        .unwrap();
    assert_eq!((write.node, write.offset, write.bytes), (1, 0, 4096));
}

/// Opens a watchdog without feeding it, and returns the time until the node is reset.
fn bite(node: &Node, open: &str) -> Duration {
    let before = node.boot_id().unwrap();
    let job = node
        .spawn(&format!("set -e; {open}; echo armed; sleep 1000"))
        .unwrap();
    let armed = job.next(SOON).unwrap();
    assert_eq!(armed, Piece::Stdout(b"armed\n".to_vec()));
    let armed = Moment::now();
    let reset = node.wait_for_event_after(armed, "RESET", SOON).unwrap();
    assert_ne!(node.wait_for_boot(None).unwrap(), before);
    reset.at.since(armed)
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn softdog_resets_a_node_that_does_not_feed_it() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let open = "modprobe softdog soft_margin=5; udevadm settle; exec 3>/dev/watchdog1";
    let bitten = bite(node, open);
    println!("softdog bit after {bitten:?}");
    assert!(
        bitten > Duration::from_secs(4) && bitten < SOON,
        "{bitten:?}"
    );
    assert!(node.events().iter().all(|event| event.name != "WATCHDOG"));
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn the_hardware_watchdog_resets_a_node_that_does_not_feed_it() {
    let lab = Lab::start(1).unwrap();
    let node = lab.node(1);
    let open = "modprobe -r i6300esb; modprobe i6300esb heartbeat=6; udevadm settle; \
                exec 3>/dev/watchdog0";
    let bitten = bite(node, open);
    println!("i6300esb bit after {bitten:?}");
    assert!(
        bitten > Duration::from_secs(4) && bitten < SOON,
        "{bitten:?}"
    );
    assert!(node.events().iter().any(|event| event.name == "WATCHDOG"));
}
