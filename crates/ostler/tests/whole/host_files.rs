//! Neither an image's header nor a swapped file brings a file of the host into a guest.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, about, left_out, until};
use serde_json::{Value, json};

const MARK: &[u8] = b"what only the host may know ";

fn qemu_img(args: &[&str]) {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

struct Scene {
    node: TestNode,
    secret: PathBuf,
}

impl Scene {
    /// A node with an empty guest 101, and a file that no guest may see.
    async fn new() -> Self {
        let node = TestNode::start(async |store| {
            let options = [("memory", Value::from("64")), ("kvm", 0.into())];
            crate::harness::put_guest(store, 101, &options).await;
        })
        .await;
        let secret = node.root.join("secret");
        std::fs::write(&secret, MARK.repeat((1 << 20) / MARK.len())).unwrap();
        for folder in ["images/101", "import"] {
            std::fs::create_dir_all(node.root.join("var/lib/vz").join(folder)).unwrap();
        }
        Self { node, secret }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.node.root.join("var/lib/vz").join(name)
    }

    /// An image that names the secret as its base, its data file or one of its extents.
    fn hostile(&self, kind: &str, path: &Path) {
        let (secret, path) = (text(&self.secret), text(path));
        let base = match kind {
            "json" => format!(
                r#"json:{{"driver":"raw","file":{{"driver":"file","filename":"{secret}"}}}}"#
            ),
            _ => secret.to_owned(),
        };
        match kind {
            "backing" | "json" => {
                qemu_img(&["create", "-f", "qcow2", "-F", "raw", "-b", &base, path]);
            }
            "data-file" => {
                // It is created with another data file, since creation empties that one.
                let data = format!("{path}.data");
                let option = format!("data_file={data},data_file_raw=on");
                qemu_img(&["create", "-f", "qcow2", "-o", &option, path, "1M"]);
                std::fs::remove_file(&data).unwrap();
                std::os::unix::fs::symlink(secret, &data).unwrap();
            }
            "extents" => {
                let extent = format!("RW 2048 FLAT \"{secret}\" 0");
                let head = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
                            createType=\"monolithicFlat\"\n";
                std::fs::write(path, format!("{head}{extent}\n")).unwrap();
            }
            "parent" => {
                qemu_img(&["create", "-f", "vmdk", path, "1M"]);
                let mut image = std::fs::read(path).unwrap();
                let from = b"parentCID=ffffffff\n".as_slice();
                let at = image.windows(from.len()).position(|part| part == from);
                let at = at.unwrap();
                let hint = format!("parentCID=fffffffe\nparentFileNameHint=\"{secret}\"\n");
                let rest = image[at + from.len()..].to_vec();
                image.splice(at..at + from.len(), hint.bytes());
                // The following bytes stay in place.
                image.truncate(at + hint.len() + rest.len() - (hint.len() - from.len()));
                std::fs::write(path, image).unwrap();
            }
            _ => panic!("no such kind"),
        }
    }

    /// Makes the image a disk in the guest's record.
    async fn gives_to_101(&self, volume: &str) -> bool {
        let disk = json!({"scsi0": format!("local:{volume}")});
        let set = self.node.call("qemu_configure", about(101, disk)).await;
        let Ok(answer) = set else { return false };
        match answer.data.as_str() {
            Some(upid) if upid.starts_with("UPID") => self.node.ended(upid).await == "OK",
            _ => true,
        }
    }

    /// Runs a task and ignores its result.
    async fn tries(&self, op: &str, vmid: u32, more: Value) -> String {
        println!("{op} {vmid} {more}");
        let said = self.outcome(op, vmid, more).await;
        println!("  {said}");
        said
    }

    async fn outcome(&self, op: &str, vmid: u32, more: Value) -> String {
        match self.node.call(op, about(vmid, more)).await {
            Err(error) => error.to_string(),
            Ok(answer) => match answer.data.as_str() {
                Some(upid) if upid.starts_with("UPID") => self.node.ended(upid).await,
                _ => "OK".to_owned(),
            },
        }
    }

    /// The images that contain the secret file's content.
    fn leaks(&self) -> Vec<PathBuf> {
        let holds = |path: &PathBuf| {
            let content = std::fs::read(path).unwrap_or_default();
            content.windows(MARK.len()).any(|part| part == MARK)
        };
        let mut found = Vec::new();
        let mut folders = vec![self.at("images")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() && holds(&entry.path()) {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

/// Every copying operation, with an image for each way of naming another file.
#[test]
fn no_copy_follows_what_a_header_names() {
    if left_out("hostile headers") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let kinds = [
            ("backing", "qcow2"),
            ("json", "qcow2"),
            ("data-file", "qcow2"),
            ("extents", "vmdk"),
            ("parent", "vmdk"),
        ];
        for (number, (kind, ending)) in (0_u32..).zip(kinds) {
            let volume = format!("101/vm-101-disk-{number}.{ending}");
            scene.hostile(kind, &scene.at(&format!("images/{volume}")));
            scene.hostile(kind, &scene.at(&format!("import/{kind}.{ending}")));
            let newid = 200 + 10 * number;
            let import =
                |from: &str| json!({"scsi0": format!("local:0,format=raw,import-from={from}")});
            let mut said = Vec::new();
            for from in [
                format!("local:import/{kind}.{ending}"),
                text(&scene.at(&format!("import/{kind}.{ending}"))).to_owned(),
                format!("local:{volume}"),
            ] {
                said.push(scene.tries("qemu_create", newid, import(&from)).await);
                scene.tries("qemu_destroy", newid, json!({})).await;
            }
            if scene.gives_to_101(&volume).await {
                let raw = json!({"newid": newid + 1, "full": 1, "format": "raw"});
                said.push(scene.tries("qemu_clone", 101, raw).await);
                let moved = json!({"disk": "scsi0", "format": "raw"});
                said.push(scene.tries("qemu_move_disk", 101, moved).await);
                scene.gives_to_101(&volume).await;
                scene
                    .tries("qemu_resize", 101, json!({"disk": "scsi0", "size": "+1M"}))
                    .await;
                scene
                    .tries("qemu_snapshot", 101, json!({"snapname": "one"}))
                    .await;
                let of_snapshot = json!({"newid": newid + 2, "full": 1, "snapname": "one"});
                scene.tries("qemu_clone", 101, of_snapshot).await;
                scene
                    .tries("qemu_rollback", 101, json!({"snapname": "one"}))
                    .await;
                scene
                    .tries("qemu_delsnapshot", 101, json!({"snapname": "one"}))
                    .await;
                scene.tries("qemu_start", 101, json!({})).await;
                let live = json!({"newid": newid + 3, "full": 1, "format": "raw"});
                scene.tries("qemu_clone", 101, live).await;
                let moved = json!({"disk": "scsi0", "format": "raw"});
                scene.tries("qemu_move_disk", 101, moved).await;
                scene.tries("qemu_stop", 101, json!({})).await;
                scene.gives_to_101(&volume).await;
                said.push(scene.tries("qemu_template", 101, json!({})).await);
                scene
                    .tries("qemu_clone", 101, json!({"newid": newid + 4}))
                    .await;
            }
            assert_eq!(scene.leaks(), Vec::<PathBuf>::new(), "{kind}");
            let refused = |said: &String| said.contains("refers to other files");
            assert!(said.iter().all(refused), "{kind}: {said:#?}");
        }
    });
}

/// An image that is swapped repeatedly during its import: the copy is of the inspected file.
#[test]
fn an_import_copies_what_was_looked_at() {
    if left_out("a race of imports") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (one, other) = (scene.at("import/one.qcow2"), scene.at("import/other.qcow2"));
        qemu_img(&["create", "-f", "qcow2", text(&one), "1M"]);
        scene.hostile("backing", &other);
        let ends = Arc::new(AtomicBool::new(false));
        let is_over = ends.clone();
        let swapping = std::thread::spawn(move || {
            let cwd = rustix::fs::CWD;
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            while !is_over.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(cwd, &one, cwd, &other, exchange).unwrap();
            }
        });
        let mut copied = 0;
        for _ in 0..16 {
            let disk = json!({"scsi0": "local:0,format=raw,import-from=local:import/one.qcow2"});
            let said = scene.tries("qemu_create", 300, disk).await;
            copied += u32::from(said == "OK");
            let leaks = scene.leaks();
            assert!(leaks.is_empty(), "{leaks:?}");
            scene.tries("qemu_destroy", 300, json!({})).await;
        }
        ends.store(true, Ordering::Relaxed);
        swapping.join().unwrap();
        assert!(copied > 0, "nothing was imported: nothing was shown");
    });
}

/// A compromised guest plants links in its own folder, as fast as it can.
#[test]
fn nothing_in_a_guests_folder_leads_out_of_it() {
    if left_out("links of guests") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = scene.node.root.join("run/ostler/guests/101");
        let new = scene.node.root.join("new");
        let before = std::fs::read(&scene.secret).unwrap();
        assert_eq!(scene.tries("qemu_start", 101, json!({})).await, "OK");
        let owner = std::fs::metadata(&folder).unwrap();
        let planter = format!(
            "while :; do cd / && cd {} && ln -s {} log; ln -s {new} frozen; ln -s {new} swtpm.sock; \
             mkdir -p full/of; done",
            text(&folder),
            text(&scene.secret),
            new = text(&new),
        );
        let mut planting = Command::new("sh")
            .args(["-c", &planter])
            .uid(owner.uid())
            .gid(owner.gid())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        until("something is planted", async || {
            folder.join("log").is_symlink()
        })
        .await;
        assert_eq!(scene.tries("qemu_stop", 101, json!({})).await, "OK");
        for _ in 0..4 {
            let said = scene.tries("qemu_start", 101, json!({})).await;
            assert_eq!(said, "OK");
            let said = scene.tries("qemu_stop", 101, json!({})).await;
            assert_eq!(said, "OK");
        }
        planting.kill().unwrap();
        planting.wait().unwrap();
        assert_eq!(std::fs::read(&scene.secret).unwrap(), before);
        assert!(!new.exists(), "a file was made through a link");
    });
}

/// A compromised QEMU does not have the uid of another guest.
#[test]
fn guests_are_users_of_their_own() {
    if left_out("users of guests") {
        return;
    }
    with_bridge(async {
        let settings = "guest-uids = \"200000-209999\"";
        let node = TestNode::start_with(settings, async |store| {
            let options = [("memory", Value::from("64")), ("kvm", 0.into())];
            for vmid in [101, 102, 10101] {
                crate::harness::put_guest(store, vmid, &options).await;
            }
        })
        .await;
        let folder = |vmid: u32| node.root.join(format!("run/ostler/guests/{vmid}"));
        let mut pids = Vec::new();
        for vmid in [101, 102] {
            assert_eq!(node.task("qemu_start", about(vmid, json!({}))).await, "OK");
            let file = std::fs::read(folder(vmid).with_extension("json")).unwrap();
            let file: Value = serde_json::from_slice(&file).unwrap();
            let own = 200_000 + vmid;
            assert_eq!(file["user"], json!([own, own]));
            assert_eq!(std::fs::metadata(folder(vmid)).unwrap().uid(), own);
            pids.push(file["pid"].as_u64().unwrap());
        }
        let tries = |script: String| {
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).uid(200_101).gid(200_101);
            shell.output().unwrap().status.success()
        };
        assert!(tries(format!("kill -0 {}", pids[0])));
        assert!(!tries(format!("kill -0 {}", pids[1])));
        assert!(tries(format!("ls {}", text(&folder(101)))));
        assert!(!tries(format!("ls {}", text(&folder(102)))));
        // A guest with the same uid waits until the other has stopped.
        let far = about(10101, json!({}));
        let said = node.task("qemu_start", far.clone()).await;
        assert!(said.contains("runs as the same user"), "{said}");
        let stopped = node.task("qemu_stop", about(101, json!({}))).await;
        assert_eq!(stopped, "OK");
        assert_eq!(node.task("qemu_start", far).await, "OK");
    });
}
