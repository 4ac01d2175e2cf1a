//! Guests with cloud-init on a real node: the tiny guest, which has a small reader of its own, and
//! a Debian with cloud-init, reached by SSH.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::namespace::inside;
use crate::harness::namespace::with_bridge;
use crate::harness::{Serial, TestNode, left_out, tiny_disk};
use serde_json::{Value, json};
use testkit::left_out::missing;

const PASSWORD: &str = "correct horse of lab";

/// A bridge with an address.
const LINKS: &str = "ip link add vmbr0 type bridge && ip addr add 10.9.0.1/24 dev vmbr0 && \
                     ip link set vmbr0 up";

/// Whether this test is left out here.
fn left_out_here(test: &str) -> bool {
    let absent = ["genisoimage", "ssh", "ssh-keygen"]
        .into_iter()
        .find(|program| !Path::new("/usr/bin").join(program).exists());
    if let Some(program) = absent {
        missing(test, format!("{program} is not installed"));
    }
    absent.is_some() || left_out(test)
}

/// The cloud guest's disk, built if it is missing; none if that is impossible.
fn cloud_disk() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guests/cloud/build.sh");
    let out = tempfile::tempdir().unwrap();
    let built = Command::new(script).arg(out.path()).output().unwrap();
    if !built.status.success() {
        let reason = String::from_utf8_lossy(&built.stderr).into_owned();
        missing("the cloud guest", format!("it cannot be built: {reason}"));
        return None;
    }
    std::fs::canonicalize(out.path().join("cloud.qcow2")).ok()
}

/// A key pair: the private one's file, and the public one in the option's format.
fn key_pair(folder: &Path) -> (PathBuf, String) {
    let private = folder.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test key", "-f"])
        .arg(&private)
        .status();
    assert!(made.unwrap().success());
    let public = std::fs::read_to_string(folder.join("key.pub")).unwrap();
    let all = percent_encoding::NON_ALPHANUMERIC;
    let encoded = percent_encoding::utf8_percent_encode(&public, all).to_string();
    (private, encoded)
}

fn write_snippet(node: &TestNode, name: &str, text: &str) {
    let folder = node.root.join("var/lib/vz/snippets");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}

/// Replaces a guest's disk by a copy of another one.
fn put_disk(node: &TestNode, vmid: u32, disk: &Path) {
    let image = format!("var/lib/vz/images/{vmid}/vm-{vmid}-disk-0.qcow2");
    std::fs::copy(disk, node.root.join(image)).unwrap();
}

fn of(vmid: u32, more: Value) -> Value {
    let mut params = json!({"node": "pve1", "vmid": vmid});
    params
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    params
}

async fn get(node: &TestNode, op: &str, vmid: u32) -> Value {
    node.call(op, of(vmid, json!({}))).await.unwrap().data
}

/// The row of one option in a list of changes.
fn row(rows: &Value, key: &str) -> Value {
    let mut rows = rows.as_array().unwrap().iter();
    let found = rows.find(|row| row["key"] == key);
    found.cloned().unwrap_or_default()
}

async fn set(node: &TestNode, vmid: u32, options: Value) {
    node.call("qemu_configure", of(vmid, options))
        .await
        .unwrap();
}

async fn refused(node: &TestNode, options: Value) -> String {
    let params = of(100, options);
    node.call("qemu_configure", params)
        .await
        .unwrap_err()
        .to_string()
}

#[test]
fn a_tiny_guest_reads_what_it_is_told() {
    if left_out_here("cloud-init of the tiny guest") {
        return;
    }
    let Some(disk) = tiny_disk() else { return };
    inside(LINKS, async { tiny(&disk).await });
}

async fn tiny(disk: &Path) {
    let node = TestNode::start(async |_| {}).await;
    let keys = tempfile::tempdir().unwrap();
    let (_, public) = key_pair(keys.path());
    let options = json!({
        "name": "web", "memory": "128", "kvm": 0, "serial0": "socket",
        "virtio0": "local:0.125,format=qcow2", "ide2": "local:cloudinit",
        "net0": "virtio,bridge=vmbr0", "ipconfig0": "ip=10.9.0.2/24,gw=10.9.0.1",
        "ciuser": "lab", "cipassword": PASSWORD, "sshkeys": public,
    });
    assert_eq!(node.task("qemu_create", of(100, options)).await, "OK");
    put_disk(&node, 100, disk);

    let config = get(&node, "qemu_config", 100).await;
    let medium = "local:100/vm-100-cloudinit.qcow2,media=cdrom,size=4M";
    assert_eq!(config["ide2"], medium);
    assert_eq!(config["cipassword"], "**********");
    assert_eq!(config["sshkeys"], public.as_str());
    assert_eq!(config["boot"], "order=virtio0;net0");
    let pending = get(&node, "qemu_pending", 100).await;
    assert_eq!(row(&pending, "cipassword")["value"], "**********");
    // No medium has been made yet, so everything is pending.
    let changes = get(&node, "qemu_cloudinit", 100).await;
    assert_eq!(
        row(&changes, "ciuser"),
        json!({"key": "ciuser", "pending": "lab"})
    );

    check_refusals(&node).await;

    assert_eq!(node.task("qemu_start", of(100, json!({}))).await, "OK");
    let mut console = Serial::connect(&node.root.join("run/ostler/guests/100/serial0.sock"));
    console.expect("tiny: seed read, host name web");
    console.expect("tiny: ready");
    console.type_line("ip -4 addr show | grep 10.9");
    console.expect("inet 10.9.0.2/24");
    let made = get(&node, "qemu_cloudinit", 100).await;
    assert_eq!(
        row(&made, "ciuser"),
        json!({"key": "ciuser", "value": "lab"})
    );
    check_dumps(&node).await;

    change_while_it_runs(&node, &mut console).await;
    check_secrets(&node);
    check_end(&node).await;
}

async fn check_refusals(node: &TestNode) {
    let cases = [
        (
            json!({"sshkeys": "nonsense"}),
            "sshkeys: SSH public key validation error",
        ),
        (json!({"ipconfig0": "gw=10.9.0.1"}), "ipconfig0: "),
        (json!({"nameserver": "not an address!"}), "nameserver: "),
        (json!({"cicustom": "user=local"}), "cicustom: "),
        (json!({"citype": "opennebula"}), "citype: "),
        (json!({"ciuser": "a\nb"}), "ciuser: "),
        (
            json!({"scsi0": "local:cloudinit"}),
            "cloud-init drive is already attached at 'ide2'",
        ),
    ];
    for (options, reason) in cases {
        let error = refused(node, options.clone()).await;
        assert!(error.contains(reason), "{options}: {error}");
    }
    let images = std::fs::read_dir(node.root.join("var/lib/vz/images/100")).unwrap();
    assert_eq!(images.count(), 2);
}

async fn check_dumps(node: &TestNode) {
    let dump = async |kind: &str| {
        let params = of(100, json!({"type": kind}));
        let answer = node.call("qemu_cloudinit_dump", params).await.unwrap();
        answer.data.as_str().unwrap().to_owned()
    };
    let user = dump("user").await;
    assert!(user.starts_with("#cloud-config\nhostname: web\n"), "{user}");
    // Root may see the hash in the guest's file.
    assert!(user.contains("\npassword: $5$rounds=5000$"), "{user}");
    assert!(dump("network").await.contains("address: '10.9.0.2'"));
    assert!(dump("meta").await.starts_with("instance-id: "));
}

/// Options change at once, the medium when it is regenerated, the guest when it reads it at its
/// next boot.
async fn change_while_it_runs(node: &TestNode, console: &mut Serial) {
    write_snippet(node, "vendor.yaml", "#cloud-config\nfinal_message: told\n");
    let options = json!({"ciuser": "other", "cicustom": "vendor=local:snippets/vendor.yaml"});
    set(node, 100, options).await;
    let pending = get(node, "qemu_pending", 100).await;
    assert_eq!(
        row(&pending, "ciuser"),
        json!({"key": "ciuser", "value": "other"})
    );
    let changes = get(node, "qemu_cloudinit", 100).await;
    let wanted = json!({"key": "ciuser", "value": "lab", "pending": "other"});
    assert_eq!(row(&changes, "ciuser"), wanted);

    let read = "umount /seed; echo 3 >/proc/sys/vm/drop_caches; \
                mount -o ro /dev/sr0 /seed && cat /seed/user-data /seed/vendor-data; echo read-$?-";
    console.type_line(read);
    let before = console.expect("read-0-");
    assert!(before.contains("user: lab"), "{before}");
    get(node, "qemu_cloudinit_update", 100).await;
    let made = get(node, "qemu_cloudinit", 100).await;
    assert_eq!(
        row(&made, "ciuser"),
        json!({"key": "ciuser", "value": "other"})
    );
    console.type_line(read);
    let after = console.expect("read-0-");
    assert!(
        after.contains("user: other") && after.contains("final_message: told"),
        "{after}"
    );
    // A custom file replaces the generated one.
    write_snippet(node, "user.yaml", "#cloud-config\nhostname: my-own\n");
    let own = "user=local:snippets/user.yaml,vendor=local:snippets/vendor.yaml";
    set(node, 100, json!({"cicustom": own})).await;
    get(node, "qemu_cloudinit_update", 100).await;
    console.type_line(read);
    let own = console.expect("read-0-");
    assert!(
        own.contains("hostname: my-own") && !own.contains("user: other"),
        "{own}"
    );
    // A missing snippet is an error, and the medium does not change.
    std::fs::remove_file(node.root.join("var/lib/vz/snippets/vendor.yaml")).unwrap();
    let params = of(100, json!({}));
    let error = node
        .call("qemu_cloudinit_update", params)
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .contains("'local:snippets/vendor.yaml' does not exist"),
        "{error}"
    );
    set(node, 100, json!({"delete": "cicustom"})).await;
}

/// The password and its hash are only stored sealed, and on the medium itself.
fn check_secrets(node: &TestNode) {
    let mut folders = vec![
        node.root.join("var/lib/ostler"),
        node.root.join("run/ostler"),
        node.root.join("var/log"),
    ];
    let mut files = vec![node.root.join("log")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let content = std::fs::read(&file).unwrap();
        let content = String::from_utf8_lossy(&content);
        for secret in [PASSWORD, "$5$rounds"] {
            assert!(
                !content.contains(secret),
                "'{secret}' in {}",
                file.display()
            );
        }
    }
    assert!(!node.root.join("run/ostler/guests/100.seed").exists());
}

/// The medium is removed with its drive, and its record with the guest.
async fn check_end(node: &TestNode) {
    assert_eq!(node.task("qemu_stop", of(100, json!({}))).await, "OK");
    set(node, 100, json!({"delete": "ide2"})).await;
    let medium = node
        .root
        .join("var/lib/vz/images/100/vm-100-cloudinit.qcow2");
    assert!(!medium.exists());
    let config = get(node, "qemu_config", 100).await;
    assert!(config.get("unused0").is_none(), "{config}");
    set(node, 100, json!({"sata1": "local:cloudinit,format=raw"})).await;
    let config = get(node, "qemu_config", 100).await;
    let wanted = "local:100/vm-100-cloudinit.raw,media=cdrom,size=4M";
    assert_eq!(config["sata1"], wanted);
    let changes = get(node, "qemu_cloudinit", 100).await;
    assert_eq!(
        row(&changes, "ciuser"),
        json!({"key": "ciuser", "pending": "other"})
    );
    get(node, "qemu_cloudinit_update", 100).await;
    let raw = std::fs::read(node.root.join("var/lib/vz/images/100/vm-100-cloudinit.raw")).unwrap();
    assert_eq!(&raw[0x8001..0x8006], b"CD001");
    assert_eq!(node.task("qemu_destroy", of(100, json!({}))).await, "OK");
    assert!(!node.root.join("var/lib/vz/images/100").exists());
}

/// The moments, in milliseconds after the request, at which the agent is killed.
const MOMENTS_MS: [u64; 6] = [0, 5, 12, 25, 50, 90];

#[test]
fn killed_while_it_makes_the_medium_the_agent_leaves_nothing_half_done() {
    if left_out("cloudinit killed") {
        return;
    }
    with_bridge(async {
        let node = TestNode::start(async |_| {}).await;
        let options = json!({
            "memory": "64", "kvm": 0, "ide2": "local:cloudinit,format=raw", "cipassword": PASSWORD
        });
        assert_eq!(node.task("qemu_create", of(100, options)).await, "OK");
        get(&node, "qemu_cloudinit_update", 100).await;
        let medium = node.root.join("var/lib/vz/images/100/vm-100-cloudinit.raw");
        for moment_ms in MOMENTS_MS {
            let name = format!("web{moment_ms}");
            set(&node, 100, json!({"name": name})).await;
            let killed = async {
                tokio::time::sleep(Duration::from_millis(moment_ms)).await;
                node.kill_role("node").await;
            };
            // Whether the request was processed and answered depends on the moment.
            let asked = node.call("qemu_cloudinit_update", of(100, json!({})));
            let _ = tokio::join!(asked, killed);
            // Queued behind any task that still works on the guest.
            let change = of(100, json!({"description": name}));
            assert_eq!(node.task("qemu_configure_task", change).await, "OK");
            assert!(!node.root.join("run/ostler/guests/100.seed").exists());
            let content = std::fs::read(&medium).unwrap();
            assert_eq!(
                (content.len(), &content[0x8001..0x8006]),
                (4 << 20, &b"CD001"[..])
            );
            let has = |text: &str| {
                let line = format!("hostname: {text}\n");
                content
                    .windows(line.len())
                    .any(|part| part == line.as_bytes())
            };
            // The medium contains what the answer shows.
            let rows = get(&node, "qemu_cloudinit", 100).await;
            let noted = row(&rows, "name")["value"].as_str().map(str::to_owned);
            assert!(
                has(noted.as_deref().unwrap_or("VM100")),
                "{moment_ms} ms: {rows}"
            );
            get(&node, "qemu_cloudinit_update", 100).await;
        }
    });
}

/// A busy host takes ten times as long as an idle one; beyond this it hangs.
const BOOT_LIMIT: Duration = Duration::from_secs(420);

#[test]
#[ignore = "thorough: it boots a Debian under emulation"]
fn debian_is_reached_with_the_key_that_cloud_init_brought() {
    if left_out_here("cloud-init of a Debian") {
        return;
    }
    let Some(disk) = cloud_disk() else { return };
    inside(LINKS, async {
        let node = TestNode::start(async |_| {}).await;
        write_snippet(
            &node,
            "vendor.yaml",
            "#cloud-config\nruncmd:\n  - echo told by the vendor > /var/lib/told\n",
        );
        let keys = tempfile::tempdir().unwrap();
        let (private, public) = key_pair(keys.path());
        tokio::join!(
            boot(&node, &disk, (101, "nocloud", "ide2"), &private, &public),
            boot(
                &node,
                &disk,
                (102, "configdrive2", "scsi1"),
                &private,
                &public
            ),
        );
    });
}

async fn boot(
    node: &TestNode,
    disk: &Path,
    (vmid, kind, drive): (u32, &str, &str),
    private: &Path,
    public: &str,
) {
    let address = format!("10.9.0.{vmid}");
    let options = json!({
        "name": format!("web{vmid}"), "memory": "512", "cores": 2, "kvm": 0, "serial0": "socket",
        "virtio0": "local:2,format=qcow2", drive: "local:cloudinit", "citype": kind,
        "scsihw": "virtio-scsi-pci", "agent": "1", "ostype": "l26",
        "net0": "virtio,bridge=vmbr0", "ipconfig0": format!("ip={address}/24,gw=10.9.0.1"),
        "nameserver": "10.9.0.1", "searchdomain": "lab.example", "ciupgrade": 0,
        "ciuser": "lab", "cipassword": PASSWORD, "sshkeys": public,
        "cicustom": "vendor=local:snippets/vendor.yaml",
    });
    assert_eq!(node.task("qemu_create", of(vmid, options)).await, "OK");
    put_disk(node, vmid, disk);
    assert_eq!(node.task("qemu_start", of(vmid, json!({}))).await, "OK");
    let started = tokio::time::Instant::now();
    // The vendor's command runs last.
    let told = async || ssh(private, &address, "cat /var/lib/told").status.success();
    let came_up = tokio::time::timeout(BOOT_LIMIT, async {
        while !told().await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(came_up.await.is_ok(), "{kind}: the guest cannot be reached");
    println!("{kind}: told and reached after {:?}", started.elapsed());

    let ask = |command: &str| {
        let output = ssh(private, &address, command);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{command}: {output:?}");
        said
    };
    assert_eq!(ask("hostname -f"), format!("web{vmid}.lab.example"));
    assert_eq!(ask("cat /var/lib/told"), "told by the vendor");
    let shown = ask("ip -4 -o addr show dev eth0");
    assert!(shown.contains(&format!("inet {address}/24")), "{shown}");
    assert!(ask("ip route").contains("default via 10.9.0.1"));
    // The guest's C library verifies the password against the hash that it was given.
    let check = format!(
        "hash=$(sudo getent shadow lab | cut -d: -f2); export hash; python3 -W ignore -c \
         \"import crypt, os; h = os.environ['hash']; print(crypt.crypt('{PASSWORD}', h) == h)\""
    );
    assert_eq!(ask(&check), "True");
    assert_eq!(node.task("qemu_stop", of(vmid, json!({}))).await, "OK");
}

fn ssh(private: &Path, address: &str, command: &str) -> Output {
    Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "LogLevel=ERROR", "-i"])
        .arg(private)
        .args([&format!("lab@{address}"), command])
        .output()
        .unwrap()
}
