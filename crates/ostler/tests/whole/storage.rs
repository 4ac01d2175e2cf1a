//! Storages, volumes and uploads on a real node, by a real client.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, kill, left_out, until};
use serde_json::{Value, json};

/// A node, and a token with all rights for curl.
struct Scene {
    node: TestNode,
    token: String,
}

impl Scene {
    async fn new() -> Self {
        let node = TestNode::start(async |_| {}).await;
        let params = json!({"userid": "root@pam", "tokenid": "test", "privsep": 0});
        let made = node.call("token_create", params).await.unwrap().data;
        let token = format!(
            "PVEAPIToken=root@pam!test={}",
            made["value"].as_str().unwrap()
        );
        Self { node, token }
    }

    fn curl(&self, storage: &str, extra: &[&str]) -> Command {
        let port = self.node.port;
        let mut curl = Command::new("curl");
        curl.args(["-sk", "--http1.1", "-w", "\n%{http_code}"])
            .args(["-H", &format!("Authorization: {}", self.token)])
            .args(extra)
            .arg(format!(
                "https://127.0.0.1:{port}/api2/json/nodes/pve1/storage/{storage}/upload"
            ));
        curl
    }

    /// Uploads a file; returns the status and the body.
    fn upload(&self, storage: &str, file: &Path, name: &str, fields: &[&str]) -> (u16, Value) {
        let fields = [&["content=iso"], fields].concat();
        self.upload_of(storage, file, name, &fields)
    }

    fn upload_of(&self, storage: &str, file: &Path, name: &str, fields: &[&str]) -> (u16, Value) {
        let file = format!("filename=@{};filename={name}", file.display());
        let mut args = Vec::new();
        for field in fields {
            args.extend(["-F", field]);
        }
        args.extend(["-F", &file]);
        let output = self.curl(storage, &args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (
            status.parse().unwrap(),
            serde_json::from_str(body).unwrap_or(json!(body)),
        )
    }

    /// Uploads a file and waits for the task's end.
    async fn uploaded(&self, storage: &str, file: &Path, name: &str, fields: &[&str]) -> String {
        let (status, body) = self.upload(storage, file, name, fields);
        assert_eq!(status, 200, "{body}");
        self.node.ended(body["data"].as_str().unwrap()).await
    }

    fn local(&self, path: &str) -> PathBuf {
        self.node.root.join("var/lib/vz").join(path)
    }

    /// The number of files in the upload folder.
    fn arriving(&self) -> usize {
        std::fs::read_dir(self.local(".arriving")).map_or(0, |entries| entries.count())
    }

    /// The PSS of both processes together, in KiB, without the program's own pages: those are
    /// shared with the nodes of other tests, and our share grows when one of them ends.
    fn pss_kib(&self) -> u64 {
        let of = |pid: u32| -> u64 {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let own = |line: &&str| line.starts_with("Pss_Anon:") || line.starts_with("Pss_Shmem:");
            let lines = text.lines().filter(own);
            lines
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                .sum()
        };
        ["node", "api"]
            .iter()
            .map(|role| of(self.node.role(role)[0]))
            .sum()
    }

    /// The number of unnamed files that the agent and the api have open.
    fn unnamed(&self) -> usize {
        let of = |pid: u32| {
            let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .flatten();
            entries
                .filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .filter(|link| link.starts_with(&self.node.root))
                .filter(|link| link.display().to_string().ends_with(" (deleted)"))
                .count()
        };
        ["node", "api"]
            .iter()
            .map(|role| of(self.node.role(role)[0]))
            .sum()
    }

    async fn volumes(&self, storage: &str) -> Vec<String> {
        let params = json!({"node": "pve1", "storage": storage});
        let rows = self.node.call("volume_list", params).await.unwrap().data;
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["volid"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn file(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Of "abc" (FIPS 180-4).
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_file_is_uploaded_checked_and_replaced() {
    if left_out("upload") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = tempfile::tempdir().unwrap();
        let abc = file(folder.path(), "abc", b"abc");
        let sum = format!("checksum={SHA256}");
        let fields = [sum.as_str(), "checksum-algorithm=sha256"];
        assert_eq!(scene.uploaded("local", &abc, "x.iso", &fields).await, "OK");
        let iso = scene.local("template/iso/x.iso");
        assert_eq!(std::fs::read(&iso).unwrap(), b"abc");
        assert_eq!(std::fs::metadata(&iso).unwrap().mode() & 0o777, 0o644);

        // An existing file is replaced, unless the new one fails its checksum.
        let other = file(folder.path(), "other", b"other");
        let wrong = scene.uploaded("local", &other, "x.iso", &fields).await;
        assert!(wrong.starts_with("checksum mismatch: got '"), "{wrong}");
        assert_eq!(std::fs::read(&iso).unwrap(), b"abc");
        assert_eq!(scene.uploaded("local", &other, "x.iso", &[]).await, "OK");
        assert_eq!(std::fs::read(&iso).unwrap(), b"other");
        assert_eq!(scene.volumes("local").await, ["local:iso/x.iso"]);
        assert_eq!((scene.arriving(), scene.unnamed()), (0, 0));
    });
}

#[test]
fn an_upload_that_cannot_be_says_so_once_and_leaves_nothing() {
    if left_out("upload refused") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = tempfile::tempdir().unwrap();
        let abc = file(folder.path(), "abc", &vec![7; 3 << 20]);
        let long = format!("{}.iso", "a".repeat(252));
        for (name, wanted) in [
            ("x.exe", "wrong file extension"),
            (long.as_str(), "may only be 255 characters long"),
        ] {
            let (status, body) = scene.upload("local", &abc, name, &[]);
            assert_eq!(status, 400, "{body}");
            assert!(
                body["errors"]["filename"]
                    .as_str()
                    .unwrap()
                    .contains(wanted),
                "{body}"
            );
        }
        let (status, body) = scene.upload("nosuch", &abc, "x.iso", &[]);
        assert_eq!(
            (status, &body["message"]),
            (500, &json!("storage 'nosuch' does not exist\n"))
        );
        let forbidden = Scene {
            token: "PVEAPIToken=root@pam!none=x".into(),
            ..scene
        };
        assert_eq!(forbidden.upload("local", &abc, "x.iso", &[]).0, 401);
        assert!(forbidden.volumes("local").await.is_empty());
        assert_eq!((forbidden.arriving(), forbidden.unnamed()), (0, 0));
    });
}

/// A small file system, to be filled.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=755", "small", &path])
            .status();
        assert!(status.unwrap().success());
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_ends_an_upload_with_one_clear_error() {
    if left_out("upload to a full disk") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let disk = SmallDisk::mount();
        let params = json!({
            "storage": "small", "type": "dir", "path": disk.path(), "content": "iso,images",
            "is_mountpoint": "yes",
        });
        scene.node.call("storage_create", params).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let large = file(folder.path(), "large", &vec![7; 16 << 20]);
        let (status, body) = scene.upload("small", &large, "x.iso", &[]);
        let text = json!("no space left on storage 'small'\n");
        assert_eq!((status, &body["message"]), (500, &text), "{body}");
        until("the file is given back", async || scene.unnamed() == 0).await;
        assert!(scene.volumes("small").await.is_empty());
        let image = json!({
            "node": "pve1", "storage": "small", "vmid": 100, "filename": "vm-100-disk-0.qcow2",
            "size": "100G",
        });
        // Even the metadata of such a large image does not fit.
        let full = scene.node.call("volume_create", image).await.unwrap_err();
        assert_eq!(full.message, "no space left on storage 'small'");
        assert!(scene.volumes("small").await.is_empty());
        let small = file(folder.path(), "small", &vec![7; 6 << 20]);
        assert_eq!(scene.uploaded("small", &small, "x.iso", &[]).await, "OK");
    });
}

/// A server with one file of 16 MiB, with or without a length; returns its address.
fn web(announced: bool) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.iso", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
            let length = if announced {
                "Content-Length: 16777216\r\n"
            } else {
                ""
            };
            let head = format!("HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n");
            let _ = std::io::Write::write_all(&mut stream, head.as_bytes());
            let _ = std::io::Write::write_all(&mut stream, &vec![7; 16 << 20]);
        }
    });
    url
}

#[test]
fn a_download_goes_where_it_fits() {
    if left_out("download") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let disk = SmallDisk::mount();
        let params =
            json!({"storage": "small", "type": "dir", "path": disk.path(), "content": "iso"});
        scene.node.call("storage_create", params).await.unwrap();
        let download = async |storage: &str, name: &str, url: &str| {
            let params = json!({
                "node": "pve1", "storage": storage, "content": "iso", "filename": name, "url": url,
            });
            scene.node.task("volume_download", params).await
        };
        for (announced, name) in [(true, "x.iso"), (false, "y.iso")] {
            let url = web(announced);
            assert_eq!(
                download("small", name, &url).await,
                "no space left on storage 'small'"
            );
            assert!(scene.volumes("small").await.is_empty());
            assert_eq!(download("local", name, &url).await, "OK");
            let file = scene.local("template/iso").join(name);
            assert_eq!(std::fs::metadata(file).unwrap().len(), 16 << 20);
        }
        assert_eq!((scene.arriving(), scene.unnamed()), (0, 0));
    });
}

#[test]
fn a_download_replaces_nothing() {
    if left_out("download over a file") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let iso = scene.local("template/iso");
        std::fs::create_dir_all(&iso).unwrap();
        let iso = file(&iso, "x.iso", b"abc");
        // The address need not work: it is not requested.
        let download = async |more: Value| {
            let mut params = json!({
                "node": "pve1", "storage": "local", "content": "iso", "filename": "x.iso",
                "url": "http://127.0.0.1:1/x.iso",
            });
            let more = more.as_object().unwrap().clone();
            params.as_object_mut().unwrap().extend(more);
            scene.node.task("volume_download", params).await
        };
        let refused = format!("refusing to override existing file '{}'", iso.display());
        assert_eq!(download(json!({})).await, refused);
        let right = json!({"checksum": SHA256, "checksum-algorithm": "sha256"});
        assert_eq!(download(right).await, "OK");
        let wrong = json!({"checksum": "00", "checksum-algorithm": "sha256"});
        let status = download(wrong).await;
        assert!(status.starts_with("checksum mismatch"), "{status}");
        assert_eq!(std::fs::read(&iso).unwrap(), b"abc");
        assert_eq!(scene.arriving(), 0);
    });
}

fn qemu_img(args: &[&str]) {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

#[test]
fn what_is_to_be_imported_is_what_its_name_says() {
    if left_out("upload of images") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("secret"), vec![7; 1 << 20]).unwrap();
        qemu_img(&["create", "-f", "qcow2", &at("right"), "1M"]);
        let (secret, layer) = (at("secret"), at("layer"));
        qemu_img(&["create", "-f", "qcow2", "-F", "raw", "-b", &secret, &layer]);
        let outside = format!("data_file={},data_file_raw=on", at("data"));
        qemu_img(&[
            "create",
            "-f",
            "qcow2",
            "-o",
            &outside,
            &at("outside"),
            "1M",
        ]);
        std::fs::write(at("short"), b"QFI\xfb").unwrap();
        for (file, name, refused) in [
            ("right", "a.qcow2", ""),
            ("secret", "b.raw", ""),
            ("secret", "c.qcow2", "the file is no qcow2"),
            ("right", "d.raw", "the file is no raw"),
            ("right", "e.vmdk", "the file is no vmdk"),
            ("right", "f.ova", "the file is no ova"),
            ("layer", "g.qcow2", "it refers to other files"),
            ("outside", "h.qcow2", "it refers to other files"),
            ("short", "i.qcow2", "is refused: "),
        ] {
            let file = folder.path().join(file);
            let (status, body) = scene.upload_of("local", &file, name, &["content=import"]);
            assert_eq!(status, 200, "{name}: {body}");
            let ended = scene.node.ended(body["data"].as_str().unwrap()).await;
            let is_there = scene.local("import").join(name).exists();
            if refused.is_empty() {
                assert_eq!((ended.as_str(), is_there), ("OK", true), "{name}");
            } else {
                assert!(ended.contains(refused) && !is_there, "{name}: {ended}");
            }
        }
        // The same by a download.
        let params = json!({
            "node": "pve1", "storage": "local", "content": "import", "filename": "j.qcow2",
            "url": web(true),
        });
        let ended = scene.node.task("volume_download", params).await;
        assert!(ended.contains("the file is no qcow2"), "{ended}");
        assert_eq!((scene.arriving(), scene.unnamed()), (0, 0));
    });
}

/// A slow upload.
fn slow(scene: &Scene, file: &Path) -> Child {
    let form = format!("filename=@{};filename=slow.iso", file.display());
    let args = ["--limit-rate", "4M", "-F", "content=iso", "-F", &form];
    scene
        .curl("local", &args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn whoever_dies_during_an_upload_leaves_nothing() {
    if left_out("upload broken off") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = tempfile::tempdir().unwrap();
        let large = file(folder.path(), "large", &vec![7; 24 << 20]);

        // The client.
        let client = slow(&scene, &large);
        until("the upload has begun", async || scene.unnamed() > 0).await;
        kill(client.id());
        client.wait_with_output().unwrap();
        until("the file is given back", async || scene.unnamed() == 0).await;

        // The api: the agent notices that no process has the file open any more.
        let client = slow(&scene, &large);
        until("the upload has begun", async || scene.unnamed() > 0).await;
        scene.node.kill_role("api").await;
        client.wait_with_output().unwrap();
        until("the file is given back", async || scene.unnamed() == 0).await;

        // The agent: the upload continues, and its end is reported, with or without a new agent by
        // then.
        let client = slow(&scene, &large);
        until("the upload has begun", async || scene.unnamed() > 0).await;
        scene.node.kill_role("node").await;
        let output = client.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = [
            "the uploaded file is not here any more",
            "the node agent closed the connection",
        ];
        assert!(told.iter().any(|reason| text.contains(reason)), "{text}");
        assert!(text.ends_with("\n500"), "{text}");
        until("the file is given back", async || scene.unnamed() == 0).await;
        assert!(scene.volumes("local").await.is_empty());
        assert_eq!(scene.arriving(), 0);
    });
}

#[test]
fn two_gib_pass_through_flat_memory() {
    if left_out("upload of 2 GiB") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let folder = tempfile::tempdir().unwrap();
        let small = file(folder.path(), "small", b"warm");
        assert_eq!(scene.uploaded("local", &small, "warm.iso", &[]).await, "OK");
        let sparse = folder.path().join("sparse");
        std::fs::File::create(&sparse)
            .unwrap()
            .set_len(2 << 30)
            .unwrap();
        let before = scene.pss_kib();
        let form = format!("filename=@{};filename=big.iso", sparse.display());
        let fields = ["-F", "content=iso", "-F", "checksum-algorithm=md5"];
        // `head -c 2G /dev/zero | md5sum`
        let sum = [
            "-F",
            "checksum=a981130cf2b7e09f4686dc273cf7187e",
            "-F",
            &form,
        ];
        let mut client = scene
            .curl("local", &[&fields[..], &sum[..]].concat())
            .stdout(Stdio::piped())
            .spawn();
        let client = client.as_mut().unwrap();
        let mut highest = 0;
        until("the upload is over", async || {
            highest = highest.max(scene.pss_kib());
            client.try_wait().unwrap().is_some()
        })
        .await;
        let mut text = String::new();
        std::io::Read::read_to_string(client.stdout.as_mut().unwrap(), &mut text).unwrap();
        let (body, _) = text.rsplit_once('\n').unwrap();
        let answer: Value = serde_json::from_str(body).unwrap();
        let upid = answer["data"].as_str().unwrap().to_owned();
        until("the task is over", async || {
            highest = highest.max(scene.pss_kib());
            let params = json!({"node": "pve1", "upid": upid});
            let status = scene.node.call("task_status", params).await.unwrap().data;
            status["status"] == "stopped"
        })
        .await;
        assert_eq!(scene.node.ended(&upid).await, "OK");
        let rise = highest.saturating_sub(before);
        println!("2 GiB raised the memory of both processes from {before} by {rise} KiB");
        assert!(rise < 16 * 1024, "{rise} KiB");
        let size = std::fs::metadata(scene.local("template/iso/big.iso"))
            .unwrap()
            .len();
        assert_eq!(size, 2 << 30);
    });
}

#[test]
fn an_image_is_made_shown_and_removed() {
    if left_out("volumes") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let node = &scene.node;
        for (file_name, size) in [("vm-100-disk-0.raw", "1G"), ("vm-100-disk-1.qcow2", "32M")] {
            let params = json!({
                "node": "pve1", "storage": "local", "vmid": 100, "filename": file_name, "size": size,
            });
            let made = node
                .call("volume_create", params.clone())
                .await
                .unwrap()
                .data;
            assert_eq!(made, format!("local:100/{file_name}"));
            let twice = node.call("volume_create", params).await.unwrap_err();
            assert!(twice.message.contains("already exists"), "{twice}");
        }
        let params = json!({"node": "pve1", "storage": "local", "content": "images"});
        let rows = node.call("volume_list", params).await.unwrap().data;
        let sizes: Vec<u64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["size"].as_u64().unwrap())
            .collect();
        assert_eq!(sizes, [1 << 30, 32 << 20]);
        for name in ["100/vm-100-disk-0.raw", "local:100/vm-100-disk-1.qcow2"] {
            let params = json!({"node": "pve1", "storage": "local", "volume": name});
            assert_eq!(node.task("volume_delete", params).await, "OK");
        }
        assert!(!scene.local("images/100").exists());
        assert_eq!(scene.arriving(), 0);
        // An invalid image does not hide others.
        std::fs::create_dir_all(scene.local("import")).unwrap();
        std::fs::write(scene.local("import/broken.qcow2"), "not an image").unwrap();
        assert_eq!(scene.volumes("local").await, ["local:import/broken.qcow2"]);
    });
}
