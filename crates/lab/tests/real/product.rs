//! Ostler as installed by users: the Debian package on a node, its units, and a guest with KVM that
//! outlives all of them.

use std::path::PathBuf;
use std::time::Duration;

use lab::{Lab, Node};
use serde_json::Value;

pub(crate) const SOON: Duration = Duration::from_secs(60);

const UNITS: [&str; 2] = ["ostler-node", "ostler-api"];

/// A boot sector that writes a letter to the first serial port at each tick of the timer:
/// `sti; mov dx, 0x3f8; again: mov al, 'k'; out dx, al; hlt; jmp again`.
pub(crate) fn boot_sector() -> Vec<u8> {
    let mut sector = vec![0xfb, 0xba, 0xf8, 0x03, 0xb0, b'k', 0xee, 0xf4, 0xeb, 0xfa];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector
}

/// Whether the probe guest finds out if KVM works, or the administrator says so.
#[derive(PartialEq)]
pub(crate) enum Kvm {
    Probed,
    Given,
}

/// A node with the package installed and both units running.
pub(crate) fn installed(lab: &Lab, kvm: Kvm) -> &Node {
    let package = std::env::var_os("OSTLER_LAB_DEB").expect("./x lab test names the package");
    let package = PathBuf::from(package);
    let node = lab.node(1);
    // Images are opened with direct I/O, which the node's own root, a tmpfs, does not support.
    let disk = lab.disk("images", 1 << 30).unwrap();
    let device = node.attach(&disk).unwrap();
    node.check(&format!(
        "mkfs.ext4 -q {device} && mkdir -p /var/lib/vz && mount {device} /var/lib/vz"
    ))
    .unwrap();
    node.deliver(&[&package], "/opt").unwrap();
    let name = package.file_name().unwrap().to_string_lossy();
    node.check(&format!("mv /opt/{name} /opt/ostler.deb"))
        .unwrap();
    if kvm == Kvm::Given {
        node.check("mkdir -p /etc/ostler").unwrap();
        node.put("/etc/ostler/ostler.toml", b"kvm = true\n", 0o644)
            .unwrap();
    }
    install(node, "/opt/ostler.deb");
    node
}

/// Waits until the probe guest has shown that KVM works. It has five seconds, and needs three here
/// on an idle host, so on a busy one it may fail at first; the agent probes again when it starts.
fn is_proven(node: &Node) {
    let said = "journalctl -u ostler-node -o cat";
    for attempt in 1..=5 {
        let verdicts = format!("{said} | grep -c -e 'KVM works here' -e 'KVM cannot be used'");
        node.wait_until(SOON, &format!("[ \"$({verdicts})\" -ge {attempt} ]"))
            .unwrap();
        if node
            .run(&format!("{said} | grep -q 'KVM works here'"))
            .unwrap()
            .success()
        {
            return;
        }
        node.check("systemctl restart ostler-node").unwrap();
        are_up(node);
    }
    panic!("{}", node.check(said).unwrap());
}

pub(crate) fn install(node: &Node, package: &str) {
    node.check(&format!("dpkg --install {package} 2>&1"))
        .unwrap();
    are_up(node);
}

/// Waits until the agent answers and the API listens.
pub(crate) fn are_up(node: &Node) {
    node.wait_until(SOON, "pvesh get /version >/dev/null 2>&1")
        .unwrap();
    node.wait_until(
        SOON,
        "curl -ksS -o /dev/null https://127.0.0.1:8006/ 2>/dev/null",
    )
    .unwrap();
    for unit in UNITS {
        assert_eq!(
            node.check(&format!("systemctl is-active {unit}")).unwrap(),
            "active"
        );
    }
}

pub(crate) fn get(node: &Node, path: &str) -> Value {
    let text = node
        .check(&format!("pvesh get {path} --output-format json"))
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn property(node: &Node, unit: &str, name: &str) -> String {
    node.check(&format!("systemctl show --value -p {name} {unit}"))
        .unwrap()
}

/// A request to the node, with its parameters, whose task is awaited.
type Post<'a> = &'a dyn Fn(&str, &[(&str, &str)]);

/// Creates guest 100 with KVM and a bootable disk, starts it, and returns its process.
fn start_guest_by(node: &Node, post: Post<'_>) -> u64 {
    let options = [
        ("vmid", "100"),
        ("memory", "64"),
        ("cpu", "host"),
        ("virtio0", "local:1,format=qcow2"),
        ("serial0", "socket"),
        ("boot", "order=virtio0"),
    ];
    post("/nodes/n1/qemu", &options);
    node.put("/root/sector", &boot_sector(), 0o644).unwrap();
    node.check(
        "qemu-img convert -n -f raw -O qcow2 /root/sector /var/lib/vz/images/100/vm-100-disk-0.qcow2",
    )
    .unwrap();
    post("/nodes/n1/qemu/100/status/start", &[]);
    pid_of_guest(node)
}

fn start_guest(node: &Node) -> u64 {
    start_guest_by(node, &|path, options| {
        let words = options
            .iter()
            .map(|(name, value)| format!(" --{name} {value}"));
        let words: String = words.collect();
        node.check(&format!("pvesh create {path}{words}")).unwrap();
    })
}

/// The same over HTTPS, with a token.
fn start_guest_over_https(node: &Node) -> u64 {
    let made = "pvesh create /access/users/root@pam/token/lab --privsep 0 --output-format json";
    let made: Value = serde_json::from_str(&node.check(made).unwrap()).unwrap();
    let secret = made["value"].as_str().unwrap();
    start_guest_by(node, &|path, options| {
        let data = options
            .iter()
            .map(|(name, value)| format!(" --data-urlencode {name}={value}"));
        let data: String = data.collect();
        let answer = node
            .check(&format!(
                "curl -ksS --fail-with-body -X POST{data} -H 'Authorization: PVEAPIToken=root@pam!lab={secret}' \
                 https://127.0.0.1:8006/api2/json{path}"
            ))
            .unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let task = format!(
            "/nodes/n1/tasks/{}/status",
            answer["data"].as_str().unwrap()
        );
        let ended = format!("pvesh get {task} --output-format json | grep -q stopped");
        node.wait_until(SOON, &ended).unwrap();
        assert_eq!(get(node, &task)["exitstatus"], "OK");
    })
}

fn pid_of_guest(node: &Node) -> u64 {
    let status = get(node, "/nodes/n1/qemu/100/status/current");
    assert_eq!(status["status"], "running", "{status}");
    status["pid"].as_u64().unwrap()
}

/// The guest keeps writing, so it runs.
fn writes(node: &Node) {
    let heard = "timeout 30 socat -u UNIX:/run/ostler/guests/100/serial0.sock STDOUT | head -c 3";
    assert_eq!(node.check(heard).unwrap(), "kkk");
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn the_package_runs_as_its_users_and_uses_kvm() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Probed);
    is_proven(node);
    for (unit, user) in UNITS.iter().zip(["root", "ostler"]) {
        let pid = property(node, unit, "MainPID");
        assert_eq!(node.check(&format!("ps -o user= -p {pid}")).unwrap(), user);
    }
    let guest = start_guest_over_https(node);
    // The first uid of guests, and the guest's number.
    assert_eq!(
        node.check(&format!("ps -o uid= -p {guest}"))
            .unwrap()
            .trim(),
        "1879048292"
    );
    let line = node
        .check(&format!("tr '\\0' ' ' </proc/{guest}/cmdline"))
        .unwrap();
    assert!(
        line.contains("accel=kvm") || line.contains("-accel kvm"),
        "{line}"
    );
    let group = "/sys/fs/cgroup/system.slice/ostler-guests.service/ostler/guest-100/cgroup.procs";
    // The group may also contain a kernel thread for its KVM.
    let members = node.check(&format!("cat {group}")).unwrap();
    assert!(
        members.lines().any(|pid| pid == guest.to_string()),
        "{members}"
    );
    writes(node);
    node.check("qm stop 100").unwrap();
    node.check("qm destroy 100").unwrap();
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn a_guest_outlives_kills_restarts_and_an_upgrade() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let guest = start_guest(node);
    for unit in UNITS {
        let before = property(node, unit, "MainPID");
        node.check(&format!("kill -9 {before}")).unwrap();
        let is_another = format!("[ \"$(systemctl show --value -p MainPID {unit})\" != {before} ]");
        node.wait_until(SOON, &is_another).unwrap();
        are_up(node);
        assert_eq!(pid_of_guest(node), guest);
    }
    for unit in UNITS {
        node.check(&format!("systemctl restart {unit}")).unwrap();
        are_up(node);
        assert_eq!(pid_of_guest(node), guest);
    }
    let before = property(node, "ostler-node", "MainPID");
    node.check_within(
        SOON,
        "set -e; cd /opt; dpkg-deb --raw-extract ostler.deb next
         sed -i 's/^Version: .*/&.1/' next/DEBIAN/control; dpkg-deb -Znone --build next next.deb",
    )
    .unwrap();
    install(node, "/opt/next.deb");
    let version = node.check("dpkg-query -W -f '${Version}' ostler").unwrap();
    assert!(version.ends_with(".1"), "{version}");
    assert_ne!(
        property(node, "ostler-node", "MainPID"),
        before,
        "the new program runs"
    );
    assert_eq!(pid_of_guest(node), guest);
    writes(node);
}

#[test]
#[ignore = "needs the lab: ./x lab test"]
fn removal_leaves_guests_running_and_purge_leaves_images() {
    let lab = Lab::start(1).unwrap();
    let node = installed(&lab, Kvm::Given);
    let guest = start_guest(node);
    node.check("DEBIAN_FRONTEND=noninteractive apt-get remove -y -q ostler 2>&1")
        .unwrap();
    assert!(!node.run("command -v ostler").unwrap().success());
    for unit in UNITS {
        assert!(
            !node
                .run(&format!("systemctl is-active {unit}"))
                .unwrap()
                .success()
        );
    }
    writes(node);
    // Reinstalled, it knows the guest, and that it runs.
    install(node, "/opt/ostler.deb");
    assert_eq!(pid_of_guest(node), guest);
    node.check("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q ostler 2>&1")
        .unwrap();
    assert_eq!(
        node.check("ls -d /var/lib/ostler /etc/ostler 2>/dev/null || true")
            .unwrap(),
        ""
    );
    node.check("qemu-img info -U /var/lib/vz/images/100/vm-100-disk-0.qcow2")
        .unwrap();
    writes(node);
}
