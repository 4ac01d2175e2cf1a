//! The life of real containers: a tree of busybox, made here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::left_out::missing;

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, kill, left_out, until};

/// Why a test cannot run here, if so.
pub(crate) fn is_left_out(test: &str) -> bool {
    let lacks = ["/usr/bin/lxc-start", "/bin/busybox", "/sbin/mkfs.ext4"];
    let lacking = lacks.iter().find(|path| !Path::new(path).exists());
    if let Some(program) = lacking {
        missing(test, format!("{program} is not installed").as_str());
        return true;
    }
    left_out(test)
}

/// What the init of the container starts.
const INITTAB: &str = "::sysinit:/bin/mount -o remount,rw /\n\
    ::sysinit:/bin/sh /etc/start\n\
    ::respawn:/bin/httpd -f -p 80 -h /www\n\
    tty1::respawn:/sbin/getty 38400 tty1\n\
    ::ctrlaltdel:/sbin/reboot\n";

/// The addresses of `/etc/network/interfaces`, which busybox's own `ifup` reads.
const START: &str = "/bin/ip link set lo up\n/sbin/ifup -a -f\n";

const APPLETS: &[&str] = &[
    "bin/cat",
    "bin/chmod",
    "bin/dd",
    "bin/grep",
    "bin/ln",
    "bin/mkfifo",
    "bin/mv",
    "bin/getty",
    "bin/hostname",
    "bin/httpd",
    "bin/id",
    "bin/ip",
    "bin/login",
    "bin/ls",
    "bin/mkdir",
    "bin/mount",
    "bin/ps",
    "bin/run-parts",
    "bin/sh",
    "bin/sleep",
    "bin/stat",
    "bin/true",
    "bin/wget",
    "sbin/getty",
    "sbin/ifdown",
    "sbin/ifup",
    "sbin/init",
    "sbin/poweroff",
    "sbin/reboot",
];

/// A template like Alpine's: busybox and its init.
pub(crate) fn template(node: &TestNode, name: &str) -> PathBuf {
    let tree = tempfile::tempdir().unwrap();
    let root = tree.path();
    for folder in [
        "bin",
        "dev",
        "etc/network",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "var/run",
        "www",
        "etc/network/if-up.d",
        "etc/network/if-pre-up.d",
        "etc/network/if-down.d",
        "etc/network/if-post-down.d",
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        std::os::unix::fs::symlink("/bin/busybox", root.join(applet)).unwrap();
    }
    for (path, text) in [
        ("etc/alpine-release", "3.20.0\n"),
        ("etc/inittab", INITTAB),
        ("etc/start", START),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/shadow", "root:*:19000:0:99999:7:::\n"),
        ("www/index.html", "a page of the container\n"),
    ] {
        std::fs::write(root.join(path), text).unwrap();
    }
    let folder = node.root.join("var/lib/vz/template/cache");
    std::fs::create_dir_all(&folder).unwrap();
    let archive = folder.join(name);
    let packed = Command::new("tar")
        .args(["--numeric-owner", "--owner=0", "--group=0", "-caf"])
        .arg(&archive)
        .arg("-C")
        .arg(root)
        .arg(".")
        .status()
        .unwrap();
    assert!(packed.success());
    archive
}

async fn status(node: &TestNode, vmid: u32) -> Value {
    let params = json!({"node": "pve1", "vmid": vmid});
    node.call("lxc_status", params).await.unwrap().data
}

/// What a program prints inside of a container.
pub(crate) fn inside(node: &TestNode, vmid: u32, command: &[&str]) -> String {
    let output = Command::new("lxc-attach")
        .arg("-P")
        .arg(node.root.join("run/ostler/guests"))
        .args(["-n", &vmid.to_string(), "--"])
        .args(command)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{said}{}", String::from_utf8_lossy(&output.stderr))
}

/// The page that a container serves, asked for from its network.
pub(crate) fn page(address: &str) -> String {
    let url = format!("http://{address}/");
    let got = Command::new("curl")
        .args(["-s", "-m", "2", &url])
        .output()
        .unwrap();
    String::from_utf8_lossy(&got.stdout).into_owned()
}

pub(crate) fn give_bridge_an_address() {
    let done = Command::new("ip")
        .args(["address", "add", "10.9.0.1/24", "dev", "vmbr0"])
        .status()
        .unwrap();
    assert!(done.success());
}

pub(crate) async fn log_of(node: &TestNode, upid: &str) -> String {
    let params = json!({"node": "pve1", "upid": upid, "limit": 100});
    let lines = node.call("task_log", params).await.unwrap().data;
    let lines = lines.as_array().unwrap().iter();
    lines
        .map(|line| format!("{}\n", line["t"].as_str().unwrap()))
        .collect()
}

pub(crate) async fn created(node: &TestNode, params: Value) -> String {
    let upid = node.call("lxc_create", params).await.unwrap().data;
    let upid = upid.as_str().unwrap();
    let ended = node.ended(upid).await;
    if ended != "OK" {
        println!("{}", log_of(node, upid).await);
    }
    ended
}

/// Programs run inside by a call: their output is the log, their exit code the status.
async fn says_what_programs_print(node: &TestNode) {
    let exec = async |script: &str| {
        let params = json!({
            "node": "pve1", "vmid": 100, "input-data": "given", "timeout": 20,
            "command": ["/bin/sh", "-c", script],
        });
        let upid = node.call("lxc_exec", params).await.unwrap().data;
        let upid = upid.as_str().unwrap();
        (node.ended(upid).await, log_of(node, upid).await)
    };
    let (ended, log) = exec("cat; echo; hostname; echo wrong >&2").await;
    assert_eq!(ended, "OK", "{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert!(
        ["given", "web.example.com", "wrong"]
            .iter()
            .all(|said| lines.contains(said)),
        "{log}"
    );
    let (ended, log) = exec("echo so far; exit 3").await;
    assert_eq!(ended, "command '/bin/sh' failed: exit code 3");
    assert!(log.contains("so far"), "{log}");
    // What goes on in the background holds nothing up, and no output fills the node.
    let (ended, log) = exec("sleep 30 & echo begun").await;
    assert_eq!(ended, "OK");
    assert!(log.contains("begun"), "{log}");
    let (ended, _) = exec("dd if=/dev/zero bs=1M count=20").await;
    assert_eq!(ended, "OK");
    let kept = std::fs::read_dir(node.root.join("var/lib/ostler/tasks")).unwrap();
    let logs = kept.map(Result::unwrap).filter(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        name.contains(":vzexec:") && name.ends_with(".log")
    });
    let largest = logs.map(|file| file.metadata().unwrap().len()).max();
    let kept = 1 << 19..2 << 20;
    assert!(kept.contains(&largest.unwrap()), "{largest:?}");
    let nothing = json!({"node": "pve1", "vmid": 100, "command": [""]});
    let refused = node.call("lxc_exec", nothing).await.unwrap_err();
    assert_eq!(refused.fields["command"], "a program is missing");
}

// covers: S2.41 S2.46 S2.52
#[test]
fn a_container_lives() {
    if is_left_out("a container lives") {
        return;
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.gz");
        let created = created(
            &node,
            json!({
                "node": "pve1", "vmid": 100, "ostemplate": "local:vztmpl/busy.tar.gz",
                "storage": "local", "memory": 64, "swap": 0, "cores": 1, "rootfs": "local:1",
                "hostname": "web.example.com", "password": "secret",
                "net0": "name=eth0,bridge=vmbr0,ip=10.9.0.2/24,gw=10.9.0.1",
                "ssh-public-keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBqkZ3Gzq7RzF8v5vDqVb1bqkqYj1yJmH4b3hYkWv0aQ me@x",
            }),
        )
        .await;
        assert_eq!(created, "OK");
        let config = json!({"node": "pve1", "vmid": 100});
        let config = node.call("lxc_config", config).await.unwrap().data;
        assert_eq!(config["ostype"], "alpine");
        assert_eq!(
            (&config["arch"], &config["unprivileged"]),
            (&json!("amd64"), &json!(1))
        );
        assert_eq!(config["rootfs"], "local:100/vm-100-disk-0.raw,size=1G");
        let power = json!({"node": "pve1", "vmid": 100});
        let started = node.task("lxc_start", power.clone()).await;
        if started != "OK" {
            let log = node.root.join("run/ostler/guests");
            println!(
                "{:?}",
                Command::new("sh")
                    .args([
                        "-c",
                        &format!("cat {}/100/* {}/100.log", log.display(), log.display())
                    ])
                    .output()
            );
        }
        assert_eq!(started, "OK");

        // It serves a page on its network, under the name and address that it was given.
        until("the page is served", async || {
            page("10.9.0.2").contains("a page")
        })
        .await;
        assert_eq!(inside(&node, 100, &["/bin/cat", "/etc/hostname"]), "web\n");
        assert!(
            inside(&node, 100, &["/bin/cat", "/etc/hosts"])
                .contains("10.9.0.2 web.example.com web")
        );
        assert!(inside(&node, 100, &["/bin/cat", "/etc/shadow"]).starts_with("root:$5$"));
        assert!(inside(&node, 100, &["/bin/cat", "/root/.ssh/authorized_keys"]).contains("me@x"));
        assert_eq!(
            inside(
                &node,
                100,
                &["/bin/stat", "-c", "%u %a", "/root/.ssh/authorized_keys"]
            ),
            "0 600\n"
        );

        says_what_programs_print(&node).await;
        is_held(&node).await;
        outlives_and_ends(&node, power).await;
    });
}

/// Its ids and its memory are limited by the kernel.
async fn is_held(node: &TestNode) {
    // Its root is another user on the host.
    let shown = status(node, 100).await;
    let pid = shown["pid"].as_u64().unwrap();
    let ids = std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap();
    assert_eq!(
        ids.split_whitespace().collect::<Vec<_>>(),
        ["0", "100000", "65536"]
    );
    assert!(shown["disk"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(
        (&shown["cpus"], &shown["maxmem"]),
        (&json!(1), &json!(64 << 20))
    );

    // It is held to its memory: what takes more is killed inside of it.
    let hog = "/bin/dd if=/dev/zero of=/dev/null bs=200M count=1; echo code $?";
    let held = inside(node, 100, &["/bin/sh", "-c", hog]);
    assert!(held.contains("code 137"), "{held}");
    let counters = format!("/sys/fs/cgroup/memory/{}/guest-100", node.scope_root());
    let counter = |file: &str| std::fs::read_to_string(format!("{counters}/{file}"));
    if let Ok(limit) = counter("memory.limit_in_bytes") {
        assert_eq!(limit.trim(), (64 << 20).to_string());
        let most = counter("memory.max_usage_in_bytes").unwrap();
        assert!(most.trim().parse::<u64>().unwrap() <= 64 << 20, "{most}");
        // The limit changes while it runs.
        let more = json!({"node": "pve1", "vmid": 100, "memory": 128});
        node.call("lxc_configure", more).await.unwrap();
        let limit = counter("memory.limit_in_bytes").unwrap();
        assert_eq!(limit.trim(), (128 << 20).to_string());
    }
}

async fn outlives_and_ends(node: &TestNode, power: Value) {
    let pid = status(node, 100).await["pid"].as_u64().unwrap();
    // It outlives the agent, which takes it over.
    kill(node.role("node")[0]);
    node.ready().await;
    assert!(page("10.9.0.2").contains("a page"));
    until("it is seen again", async || {
        status(node, 100).await["status"] == "running"
    })
    .await;
    assert_eq!(status(node, 100).await["pid"].as_u64(), Some(pid));

    // In good order it ends, and starts with what was pending.
    let tty = json!({"node": "pve1", "vmid": 100, "tty": 3});
    node.call("lxc_configure", tty).await.unwrap();
    assert_eq!(node.task("lxc_reboot", power.clone()).await, "OK");
    until("it is up again", async || {
        page("10.9.0.2").contains("a page")
    })
    .await;
    assert!(inside(node, 100, &["/bin/cat", "/etc/inittab"]).contains("tty3::"));
    let timeout = json!({"node": "pve1", "vmid": 100, "timeout": 20});
    assert_eq!(node.task("lxc_shutdown", timeout).await, "OK");
    assert_eq!(status(node, 100).await["status"], "stopped");
    let again = node.call("lxc_stop", power.clone()).await.unwrap_err();
    assert_eq!(again.message, "CT 100 not running");

    // Nothing of it stays.
    assert_eq!(node.task("lxc_destroy", power).await, "OK");
    assert!(!node.root.join("var/lib/vz/images/100").exists());
    let links = std::fs::read_dir("/sys/class/net").unwrap().flatten();
    let names: Vec<String> = links
        .map(|l| l.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("veth100")),
        "{names:?}"
    );
}

#[test]
fn a_privileged_container_on_a_folder_lives() {
    if is_left_out("a privileged container") {
        return;
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.xz");
        let created = created(
            &node,
            json!({
                "node": "pve1", "vmid": 101, "ostemplate": "local:vztmpl/busy.tar.xz",
                "rootfs": "local:0", "mp0": "local:0.1,mp=/data", "unprivileged": false, "start": true,
                "net0": "name=eth0,bridge=vmbr0,ip=10.9.0.3/24",
            }),
        )
        .await;
        assert_eq!(created, "OK");
        until("the page is served", async || {
            page("10.9.0.3").contains("a page")
        })
        .await;
        assert!(
            node.root
                .join("var/lib/vz/images/101/subvol-101-disk-0.subvol/www")
                .is_dir()
        );
        let written = "echo kept > /data/file && cat /data/file && mount";
        let mounts = inside(&node, 101, &["/bin/sh", "-c", written]);
        assert!(
            mounts.contains("kept\n") && mounts.contains("/data type ext4"),
            "{mounts}"
        );
        // No mount of it is seen by others.
        let ours = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!ours.contains("/dev/loop"), "{ours}");
        let power = json!({"node": "pve1", "vmid": 101});
        assert_eq!(node.task("lxc_stop", power.clone()).await, "OK");
        // A volume that was just in use is free for the next start.
        assert_eq!(node.task("lxc_start", power.clone()).await, "OK");
        assert_eq!(inside(&node, 101, &["/bin/cat", "/data/file"]), "kept\n");
        let forced = json!({"node": "pve1", "vmid": 101, "force": true});
        assert_eq!(node.task("lxc_destroy", forced).await, "OK");
    });
}

// covers: S2.41
#[test]
fn a_running_containers_cards_change() {
    if is_left_out("cards of a container") {
        return;
    }
    with_bridge(async {
        give_bridge_an_address();
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busy.tar.gz");
        let card = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01";
        let params = json!({
            "node": "pve1", "vmid": 100, "ostemplate": "local:vztmpl/busy.tar.gz", "memory": 64,
            "rootfs": "local:0.1", "start": true, "net0": format!("{card},ip=10.9.0.2/24"),
        });
        assert_eq!(created(&node, params).await, "OK");
        let served = async |address: &str| {
            until("the page is served", async || {
                page(address).contains("a page")
            })
            .await;
        };
        served("10.9.0.2").await;
        let set = async |name: &str, value: &str| {
            let params = json!({"node": "pve1", "vmid": 100, name: value});
            node.call("lxc_configure", params).await
        };
        // The same card with another address, then one more card, without either.
        set("net0", &format!("{card},ip=10.9.0.3/24"))
            .await
            .unwrap();
        served("10.9.0.3").await;
        assert_eq!(page("10.9.0.2"), "");
        let files = inside(&node, 100, &["/bin/cat", "/etc/network/interfaces"]);
        assert!(files.contains("address 10.9.0.3"), "{files}");
        let second = "name=eth1,bridge=vmbr1,ip=10.8.0.2/24,rate=5";
        set("net1", second).await.unwrap();
        let links = inside(&node, 100, &["/bin/ip", "address"]);
        assert!(
            links.contains("eth1") && links.contains("10.8.0.2"),
            "{links}"
        );
        let refused = set("net2", "name=eth2,bridge=vmbr99").await.unwrap_err();
        assert_eq!(refused.message, "bridge 'vmbr99' does not exist");
        // To another bridge: the pair stays.
        set(
            "net0",
            &format!("{card},ip=10.9.0.3/24").replace("vmbr0", "vmbr1"),
        )
        .await
        .unwrap();
        let pair = "/sys/class/net/veth100i0/master";
        let master = std::fs::read_link(pair).unwrap();
        assert!(master.ends_with("vmbr1"), "{master:?}");
        set("delete", "net0,net1").await.unwrap();
        let links = inside(&node, 100, &["/bin/ip", "address"]);
        assert!(
            !links.contains("eth0") && !links.contains("eth1"),
            "{links}"
        );
        let pending = json!({"node": "pve1", "vmid": 100});
        let pending = node.call("lxc_pending", pending).await.unwrap().data;
        let mut rows = pending.as_array().unwrap().iter();
        assert!(rows.all(|row| row.get("pending").is_none()), "{pending}");
        let forced = json!({"node": "pve1", "vmid": 100, "force": true});
        assert_eq!(node.task("lxc_destroy", forced).await, "OK");
    });
}

/// An archive with one bad member beside a file.
fn hostile(node: &TestNode, name: &str, script: &str) {
    let folder = node.root.join("var/lib/vz/template/cache");
    std::fs::create_dir_all(&folder).unwrap();
    let made = Command::new("python3")
        .args(["-c", &format!("import tarfile,io\nt=tarfile.open({:?},'w:gz')\ndef add(name,**k):\n i=tarfile.TarInfo(name)\n d=k.pop('data',b'')\n [setattr(i,a,b) for a,b in k.items()]\n i.size=len(d)\n t.addfile(i,io.BytesIO(d))\n{script}\nt.close()", folder.join(name))])
        .status()
        .unwrap();
    assert!(made.success());
}

type HostileCase = (&'static str, String, &'static str);

/// Names, members, and how the creation ends.
fn hostile_cases(node: &TestNode) -> [HostileCase; 7] {
    let target = node.root.join("canary").display().to_string();
    let release = "add('etc/alpine-release',data=b'3')";
    [
        (
            "climbs",
            format!("add('../../../../../../../../{target}',data=b'x')"),
            "unable to create CT 102 - ",
        ),
        (
            "absolute",
            format!("add('{target}',data=b'x')\n{release}"),
            "OK",
        ),
        (
            "linked-etc",
            "add('etc',type=tarfile.SYMTYPE,linkname='/etc')".to_owned(),
            "unable to create CT 102 - error in setup task",
        ),
        (
            "through",
            format!(
                "add('up',type=tarfile.SYMTYPE,linkname='{}')\nadd('up/canary',data=b'x')\n{release}",
                node.root.display()
            ),
            "",
        ),
        (
            "device",
            format!("{release}\nadd('sda',type=tarfile.BLKTYPE,devmajor=8)"),
            "unable to create CT 102 - ",
        ),
        (
            "pipe",
            "add('etc/os-release',type=tarfile.FIFOTYPE)".to_owned(),
            "unable to create CT 102 - ",
        ),
        (
            "nothing",
            "add('etc/os-release',data=b'ID=strange')".to_owned(),
            "unable to create CT 102 - unable to detect OS distribution",
        ),
    ]
}

/// Devices of the host, with the owners and modes that the container sees.
#[test]
fn a_container_has_a_device_of_its_host() {
    if is_left_out("devices of containers") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        template(&node, "busybox.tar.gz");
        for (vmid, unprivileged) in [(100, 1), (101, 0)] {
            let params = json!({
                "node": "pve1", "vmid": vmid, "ostemplate": "local:vztmpl/busybox.tar.gz",
                "rootfs": "local:0.1", "memory": 64, "unprivileged": unprivileged,
                "dev0": "/dev/full,mode=0604,uid=7,gid=8", "dev1": "path=/dev/loop-control,deny-write=1",
            });
            assert_eq!(created(&node, params).await, "OK");
            let guest = json!({"node": "pve1", "vmid": vmid});
            let started = node.task("lxc_start", guest.clone()).await;
            assert_eq!(started, "OK", "{}", node.log());
            let listed = inside(
                &node,
                vmid,
                &["/bin/stat", "-c", "%a %u %g %t", "/dev/full"],
            );
            assert_eq!(listed.trim(), "604 7 8 1");
            let full = inside(&node, vmid, &["/bin/sh", "-c", "echo x > /dev/full"]);
            assert!(full.contains("No space left on device"), "{full}");
            let read = inside(
                &node,
                vmid,
                &["/bin/sh", "-c", "exec 3</dev/loop-control && echo read"],
            );
            assert_eq!(read.trim(), "read");
            let written = inside(&node, vmid, &["/bin/sh", "-c", "exec 3>/dev/loop-control"]);
            assert!(written.contains("Operation not permitted"), "{written}");

            let files = node.root.join("dev/ostler").join(vmid.to_string());
            assert_eq!(std::fs::read_dir(&files).unwrap().count(), 2);
            assert_eq!(node.task("lxc_stop", guest.clone()).await, "OK");
            assert!(!files.exists());
            let mut missing = guest.clone();
            missing["dev2"] = "/dev/ttyUSB77".into();
            let refused = node.call("lxc_configure", missing).await.unwrap_err();
            assert_eq!(refused.message, "Device /dev/ttyUSB77 does not exist");
        }
    });
}

#[test]
fn hostile_templates_reach_nothing_of_the_host() {
    if is_left_out("hostile templates") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let canary = node.root.join("canary");
        std::fs::write(&canary, "untouched").unwrap();
        let shadow = std::fs::read("/etc/shadow").unwrap();
        let cases = hostile_cases(&node);
        for (name, script, expected) in cases {
            hostile(&node, &format!("{name}.tar.gz"), &script);
            let params = json!({
                "node": "pve1", "vmid": 102, "ostemplate": format!("local:vztmpl/{name}.tar.gz"),
                "rootfs": "local:0.1", "password": "secret",
            });
            let ended = created(&node, params).await;
            println!("{name}: {ended}");
            assert!(ended.starts_with(expected), "{name}: {ended}");
            assert_eq!(
                std::fs::read_to_string(&canary).unwrap(),
                "untouched",
                "{name}"
            );
            assert_eq!(std::fs::read("/etc/shadow").unwrap(), shadow, "{name}");
            if ended == "OK" {
                let gone = node
                    .task("lxc_destroy", json!({"node": "pve1", "vmid": 102}))
                    .await;
                assert_eq!(gone, "OK");
            }
            assert!(!node.root.join("var/lib/vz/images/102").exists(), "{name}");
        }
    });
}
