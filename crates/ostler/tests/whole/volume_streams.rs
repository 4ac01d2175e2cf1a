//! `pvesm export` and `pvesm import` on a real node: what is sent is what is received, and nothing is
//! left of what is not.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::commands::{Commands, said};
use crate::harness::ground::Ground;
use crate::harness::namespace::with_bridge;
use crate::harness::{TestNode, kill, left_out, put_guest, until};
use crate::storage::SmallDisk;
use serde_json::json;

const SIZE: usize = 3 << 20;

struct Scene {
    node: TestNode,
    cli: Commands,
}

impl Scene {
    async fn new() -> Self {
        let options = [("name", "own".into()), ("kvm", 0.into())];
        let node = TestNode::start(async |store| put_guest(store, 100, &options).await).await;
        let cli = Commands::new(&node.root);
        Self { node, cli }
    }

    fn images(&self, path: &str) -> PathBuf {
        self.node.root.join("var/lib/vz/images").join(path)
    }

    fn outside(&self, name: &str) -> String {
        self.node.root.join(name).display().to_string()
    }

    /// An image with a pattern in it.
    fn image(&self, name: &str) -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        for (at, byte) in bytes[1 << 20..2 << 20].iter_mut().enumerate() {
            *byte = (at % 253) as u8;
        }
        self.put(&format!("100/{name}"), &bytes);
        bytes
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.images(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// All files of the storage, by their paths.
    fn all(&self) -> Vec<PathBuf> {
        let mut find = Command::new("find");
        find.arg(self.node.root.join("var/lib/vz"));
        let found = find.args(["-type", "f"]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let mut found: Vec<PathBuf> = found.lines().map(PathBuf::from).collect();
        found.sort();
        found
    }

    /// An import of these bytes that must fail, with this in its error, and leave nothing.
    fn refused(&self, volume: &str, format: &str, stream: &[u8], why: &str) {
        let before = self.all();
        let file = self.outside("hostile");
        std::fs::write(&file, stream).unwrap();
        let with = u8::from(format == "qcow2+size" || format == "vmdk+size");
        let line = format!("pvesm import {volume} {format} {file} --with-snapshots {with}");
        let (_, error) = self.cli.fails(&line);
        assert!(error.contains(why), "{line}: {error}");
        assert_eq!(self.all(), before, "{line}");
        assert_eq!(self.node.tasks_in_the_journal(), 0);
    }
}

fn qemu_img(args: &[&str]) {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn stream(size: u64, content: &[u8]) -> Vec<u8> {
    [&size.to_le_bytes()[..], content].concat()
}

/// What a guest sees of an image.
fn shown(path: &Path) -> Vec<u8> {
    let raw = path.with_extension("shown");
    let (from, to) = (path.display().to_string(), raw.display().to_string());
    qemu_img(&["convert", "-O", "raw", &from, &to]);
    let bytes = std::fs::read(&raw).unwrap();
    std::fs::remove_file(raw).unwrap();
    bytes
}

#[test]
fn images_travel_in_each_of_their_formats() {
    if left_out("pvesm export") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let (cli, bytes) = (&scene.cli, scene.image("vm-100-disk-0.raw"));
        let file = scene.outside("stream");
        cli.ok(&format!(
            "pvesm export local:100/vm-100-disk-0.raw raw+size {file}"
        ));
        assert_eq!(std::fs::read(&file).unwrap(), stream(SIZE as u64, &bytes));
        let made = cli.ok(&format!(
            "pvesm import local:100/vm-100-disk-1.raw raw+size {file}"
        ));
        assert_eq!(
            made,
            "successfully imported 'local:100/vm-100-disk-1.raw'\n"
        );
        assert_eq!(
            std::fs::read(scene.images("100/vm-100-disk-1.raw")).unwrap(),
            bytes
        );
        // What a guest sees goes into and out of every format.
        for format in ["qcow2", "vmdk"] {
            let volume = format!("local:101/vm-101-disk-0.{format}");
            cli.ok(&format!("pvesm import {volume} raw+size {file}"));
            let path = scene.images(&format!("101/vm-101-disk-0.{format}"));
            assert_eq!(shown(&path), bytes, "{format}");
            let (code, out, error) =
                said_of(cli.command(&format!("pvesm export {volume} raw+size -")));
            assert_eq!(
                (code, out == stream(SIZE as u64, &bytes)),
                (0, true),
                "{error}"
            );
        }
        own_files(&scene, &bytes);
        renamed_and_refused(&scene, &file);
    });
}

/// A command whose output is no text.
fn said_of(mut command: Command) -> (i32, Vec<u8>, String) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap(), output.stdout, error)
}

/// The file of an image takes its snapshots with it.
fn own_files(scene: &Scene, bytes: &[u8]) {
    let cli = &scene.cli;
    let original = scene.images("101/vm-101-disk-0.qcow2");
    qemu_img(&["snapshot", "-c", "before", &original.display().to_string()]);
    for format in ["qcow2", "vmdk"] {
        let volume = format!("local:101/vm-101-disk-0.{format}");
        let file = scene.outside("file");
        let formats = format!("{format}+size {file} -with-snapshots 1");
        cli.ok(&format!("pvesm export {volume} {formats}"));
        let sent = std::fs::read(&file).unwrap();
        assert_eq!(sent[..8], (SIZE as u64).to_le_bytes());
        cli.ok(&format!(
            "pvesm import local:102/vm-102-disk-0.{format} {formats}"
        ));
        let copy = scene.images(&format!("102/vm-102-disk-0.{format}"));
        assert_eq!(std::fs::read(&copy).unwrap(), sent[8..]);
        assert_eq!(shown(&copy), bytes);
    }
    let snapshots = |vmid: u32| {
        let path = scene.images(&format!("{vmid}/vm-{vmid}-disk-0.qcow2"));
        let mut list = Command::new("qemu-img");
        let listed = list.args(["snapshot", "-l"]).arg(path).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).contains("before")
    };
    assert!(snapshots(102));
    let file = scene.outside("file");
    cli.ok(&format!(
        "pvesm export local:101/vm-101-disk-0.qcow2 qcow2+size {file} -with-snapshots 1"
    ));
    cli.ok(&format!(
        "pvesm import local:103/vm-103-disk-0.qcow2 qcow2+size {file} -with-snapshots 1 -delete-snapshot before"
    ));
    assert!(!snapshots(103));
}

fn renamed_and_refused(scene: &Scene, file: &str) {
    let cli = &scene.cli;
    let taken = format!("pvesm import local:100/vm-100-disk-0.raw raw+size {file}");
    let (_, error) = cli.fails(&taken);
    assert!(
        error.contains("'local:100/vm-100-disk-0.raw' already exists"),
        "{error}"
    );
    let made = cli.ok(&format!("{taken} -allow-rename 1"));
    assert_eq!(
        made,
        "successfully imported 'local:100/vm-100-disk-2.raw'\n"
    );
    for (line, why) in [
        (
            "export local:100/vm-100-disk-0.raw tar+size -",
            "there is raw+size",
        ),
        (
            "export local:100/vm-100-disk-0.raw raw+size - -with-snapshots 1",
            "there is none",
        ),
        (
            "export local:100/vm-100-disk-0.raw raw+size - -snapshot x",
            "snapshot",
        ),
        ("export local:100/vm-100-disk-0.raw zfs -", "zfs"),
        (
            "export local:100/vm-100-disk-9.raw raw+size -",
            "does not exist",
        ),
        (
            "export nope:100/vm-100-disk-9.raw raw+size -",
            "'nope' does not exist",
        ),
        ("export local:100/vm-100-disk-0.raw what -", "format"),
        (
            "import local:100/base-100-disk-7.raw raw+size /dev/null",
            "a base or a linked clone",
        ),
        ("import local:../x.raw raw+size /dev/null", "volume"),
        (
            "import local:100/vm-100-disk-8.raw raw+size /nowhere",
            "opening '/nowhere'",
        ),
        (
            "export local:100/vm-100-disk-0.raw raw+size /nowhere/x",
            "/nowhere",
        ),
        (
            "import local:iso/x.iso raw+size /dev/null -verify 1",
            "only an image from raw+size is read again",
        ),
        (
            "import local:iso/x.iso raw+size /dev/null -allow-rename 1",
            "only volumes of guests",
        ),
        (
            "import local:100/vm-100-disk-8.raw raw+size /dev/null -delete-snapshot x",
            "only an image from qcow2+size",
        ),
    ] {
        let (_, error) = cli.fails(&format!("pvesm {line}"));
        assert!(error.contains(why), "{line}: {error}");
    }
    assert_eq!(scene.node.tasks_in_the_journal(), 0);
}

/// The files of images that are not what their streams say.
fn files_that_lie(scene: &Scene, content: &[u8]) {
    let whole = content.len() as u64;
    let path = |name: &str| scene.outside(name);
    let secret = path("secret.raw");
    std::fs::write(&secret, content).unwrap();
    let (layer, external, small) = (path("layer"), path("external"), path("small"));
    qemu_img(&[
        "create", "-q", "-f", "qcow2", "-b", &secret, "-F", "raw", &layer,
    ]);
    let data = format!("data_file={}", path("data"));
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &data, &external, "1M"]);
    qemu_img(&["convert", "-q", "-f", "raw", "-O", "qcow2", &secret, &small]);
    let small = std::fs::read(small).unwrap();
    let mut long = small.clone();
    // Twice what a guest sees and 64 MiB are the most.
    long.resize((66 << 20) + 1, 0);
    let own = "local:100/vm-100-disk-5.qcow2";
    for (stream, why) in [
        (
            stream(whole, &std::fs::read(layer).unwrap()),
            "refers to other files",
        ),
        (
            stream(whole, &std::fs::read(external).unwrap()),
            "refers to other files",
        ),
        (stream(whole, content), "is no qcow2 image"),
        (
            stream(whole + 1, &small),
            "images of qcow2 have whole sectors",
        ),
        (
            stream(whole, &long),
            "too long for an image of 1048576 bytes",
        ),
        (
            stream(whole * 2, &small),
            "has a size of 1048576 bytes, and its stream says 2097152",
        ),
        (
            stream(whole, &small[..small.len() / 2]),
            "damaged or was cut off",
        ),
    ] {
        scene.refused(own, "qcow2+size", &stream, why);
    }
    let outer = b"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"/etc/shadow\" 0\n";
    scene.refused(
        "local:100/vm-100-disk-5.vmdk",
        "vmdk+size",
        &stream(whole, outer),
        "refers to other files",
    );
}

#[test]
fn streams_that_lie_leave_nothing() {
    if left_out("pvesm import") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let raw = "local:100/vm-100-disk-5.raw";
        let content = vec![7; 1 << 20];
        let whole = content.len() as u64;
        for (stream, why) in [
            (Vec::new(), "before it says a size"),
            (vec![1, 2, 3], "before it says a size"),
            (stream(0, b""), "a size of 0 bytes"),
            (stream(u64::MAX, b"x"), "no volume is as large"),
            (
                stream(whole + 512, &content),
                "ends after 1048576 of the 1049088 bytes",
            ),
            (
                stream(whole - 512, &content),
                "goes on after the 1048064 bytes",
            ),
        ] {
            scene.refused(raw, "raw+size", &stream, why);
        }
        files_that_lie(&scene, &content);
    });
}

#[test]
fn a_stream_comes_over_a_pipe_a_socket_or_the_network() {
    if left_out("pvesm import from elsewhere") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let bytes = stream(SIZE as u64, &scene.image("vm-100-disk-0.raw"));
        let import = |number: u32, from: &str| {
            let line = format!("pvesm import local:100/vm-100-disk-{number}.raw raw+size {from}");
            let mut command = scene.cli.command(&line);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mut child = import(1, "-").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let (code, out, error) = said(child.wait_with_output().unwrap());
        assert_eq!((code, out.contains("disk-1.raw'")), (0, true), "{error}");

        let path = scene.outside("socket");
        let child = import(2, &format!("unix://{path}")).spawn().unwrap();
        until("the socket", async || Path::new(&path).exists()).await;
        let mut socket = std::os::unix::net::UnixStream::connect(&path).unwrap();
        socket.write_all(&bytes).unwrap();
        drop(socket);
        let (code, out, error) = said(child.wait_with_output().unwrap());
        assert_eq!((code, out.starts_with("ready\n")), (0, true), "{error}");
        assert!(!Path::new(&path).exists());

        let mut child = import(3, "tcp://127.0.0.0/8").spawn().unwrap();
        let mut said_where = String::new();
        let mut out = child.stdout.take().unwrap();
        while said_where.matches('\n').count() < 2 {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            said_where.push(char::from(byte[0]));
        }
        let (address, port) = said_where.trim().split_once('\n').unwrap();
        let port: u16 = port.parse().unwrap();
        let mut socket = std::net::TcpStream::connect((address, port)).unwrap();
        socket.write_all(&bytes).unwrap();
        drop(socket);
        let (code, _, error) = said(child.wait_with_output().unwrap());
        assert_eq!(code, 0, "{error}");
        for number in 1..=3 {
            let made = scene.images(&format!("100/vm-100-disk-{number}.raw"));
            assert_eq!(std::fs::read(made).unwrap(), bytes[8..]);
        }
    });
}

#[test]
fn nothing_is_left_where_one_side_dies() {
    if left_out("pvesm import broken off") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let bytes = stream(SIZE as u64, &scene.image("vm-100-disk-0.raw"));
        let (before, made) = (scene.all(), scene.images("100/vm-100-disk-1.raw"));
        let half = || {
            let line = "pvesm import local:100/vm-100-disk-1.raw raw+size -";
            let mut command = scene.cli.command(line);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            input.write_all(&bytes[..2 << 20]).unwrap();
            (child, input)
        };
        // The command line.
        let (mut child, input) = half();
        until("the image", async || made.exists()).await;
        kill(child.id());
        child.wait().unwrap();
        drop(input);
        until("its end", async || !made.exists()).await;
        assert_eq!(scene.all(), before);
        // The agent.
        let (child, input) = half();
        until("the image", async || made.exists()).await;
        scene.node.kill_role("node").await;
        drop(input);
        let (code, _, error) = said(child.wait_with_output().unwrap());
        assert_ne!(code, 0, "{error}");
        scene.node.answers().await;
        until("its end", async || !made.exists()).await;
        assert_eq!(scene.all(), before);
        assert_eq!(scene.node.tasks_in_the_journal(), 0);
    });
}

#[test]
fn a_running_guest_is_not_exported() {
    if left_out("pvesm export of a running guest") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        scene.image("vm-100-disk-0.raw");
        let config = json!({"node": "pve1", "vmid": 100, "scsi0": "local:100/vm-100-disk-0.raw"});
        scene.node.call("qemu_configure", config).await.unwrap();
        let guest = json!({"node": "pve1", "vmid": 100});
        assert_eq!(scene.node.task("qemu_start", guest.clone()).await, "OK");
        let file = scene.outside("stream");
        let line = format!("pvesm export local:100/vm-100-disk-0.raw raw+size {file}");
        let (_, error) = scene.cli.fails(&line);
        assert!(error.contains("is of VM 100, which is running"), "{error}");
        assert!(!Path::new(&file).exists());
        assert_eq!(scene.node.task("qemu_stop", guest).await, "OK");
        scene.cli.ok(&line);
    });
}

fn tar(folder: &Path, args: &[&str]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.arg("-C").arg(folder).args(["-cf", "-"]).args(args);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    stream(0, &output.stdout)
}

/// An archive of a file whose size has a sign: GNU tar reads it to the base of 64.
fn signed_size(folder: &Path) -> Vec<u8> {
    let mut stream = tar(folder, &["x"]);
    // After the size of the stream.
    let block = &mut stream[8..8 + 512];
    block[124..136].copy_from_slice(b"+0000000007\0");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    stream
}

#[test]
fn directories_travel_as_archives_and_hostile_ones_are_refused() {
    if left_out("pvesm import of directories") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let cli = &scene.cli;
        let ground = tempfile::tempdir().unwrap();
        let at = |name: &str| ground.path().join(name);
        std::fs::create_dir_all(at("good/etc")).unwrap();
        std::fs::write(at("good/etc/a"), "of the container").unwrap();
        std::os::unix::fs::symlink("/etc/shadow", at("good/etc/link")).unwrap();
        std::os::unix::fs::lchown(at("good/etc/a"), Some(100_007), Some(100_008)).unwrap();
        let file = scene.outside("tree");
        std::fs::write(&file, tar(&at("good"), &["."])).unwrap();
        cli.ok(&format!(
            "pvesm import local:100/subvol-100-disk-0.subvol tar+size {file}"
        ));
        cli.ok(&format!(
            "pvesm export local:100/subvol-100-disk-0.subvol tar+size {file}"
        ));
        cli.ok(&format!(
            "pvesm import local:101/subvol-101-disk-0.subvol tar+size {file}"
        ));
        let made = scene.images("101/subvol-101-disk-0.subvol");
        assert_eq!(
            std::fs::read_to_string(made.join("etc/a")).unwrap(),
            "of the container"
        );
        let mut stat = Command::new("stat");
        stat.args(["-c", "%u %g"]).arg(made.join("etc/a"));
        let owner = stat.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&owner.stdout), "100007 100008\n");
        let link = std::fs::read_link(made.join("etc/link")).unwrap();
        assert_eq!(link, Path::new("/etc/shadow"));

        let volume = "local:102/subvol-102-disk-0.subvol";
        let canary = at("canary");
        std::fs::write(&canary, "untouched").unwrap();
        std::fs::create_dir_all(at("bad")).unwrap();
        std::fs::write(at("bad/x"), "changed").unwrap();
        let climbs = tar(
            &at("bad"),
            &["-P", "--transform", "s,^x,../../../canary,", "x"],
        );
        let absolute = format!("s,^x,{},", canary.display());
        let absolute = tar(&at("bad"), &["-P", "--transform", &absolute, "x"]);
        let device = Command::new("mknod")
            .arg(at("bad/sda"))
            .args(["b", "8", "0"])
            .status();
        assert!(device.unwrap().success());
        let long = format!("s,^x,../{},", "d".repeat(150));
        let long = tar(&at("bad"), &["-P", "--transform", &long, "x"]);
        let good = std::fs::read(&file).unwrap();
        for (stream, why) in [
            (climbs, "'../../../canary' leads out of it"),
            (absolute, "leads out of it"),
            (long, "leads out of it"),
            (tar(&at("bad"), &["sda"]), "'sda' is a device"),
            (signed_size(&at("bad")), "a size in it cannot be read"),
            (good[..good.len() / 20 * 2].to_vec(), "ends in the middle"),
            (stream(0, &[7; 2048]), "it is no archive of tar"),
        ] {
            scene.refused(volume, "tar+size", &stream, why);
            assert!(!scene.images("102").exists());
        }
        assert_eq!(std::fs::read_to_string(&canary).unwrap(), "untouched");
    });
}

#[test]
fn a_full_storage_says_so() {
    if left_out("pvesm import to a full storage") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        let disk = SmallDisk::mount();
        let params = json!({
            "storage": "small", "type": "dir", "path": disk.path(), "content": "iso,images,rootdir",
            "is_mountpoint": "yes",
        });
        scene.node.call("storage_create", params).await.unwrap();
        let large = vec![7; 16 << 20];
        let raw = stream(large.len() as u64, &large);
        std::fs::write(scene.node.root.join("large"), &large).unwrap();
        let archive = tar(&scene.node.root, &["large"]);
        let path = scene.outside("large.qcow2");
        let from = scene.outside("large");
        qemu_img(&["convert", "-f", "raw", "-O", "qcow2", &from, &path]);
        let image = stream(large.len() as u64, &std::fs::read(path).unwrap());
        let why = "no space left on storage 'small'";
        scene.refused("small:100/vm-100-disk-0.raw", "raw+size", &raw, why);
        // QEMU writes this one.
        scene.refused("small:100/vm-100-disk-0.qcow2", "raw+size", &raw, why);
        scene.refused("small:100/vm-100-disk-0.qcow2", "qcow2+size", &image, why);
        scene.refused(
            "small:100/subvol-100-disk-0.subvol",
            "tar+size",
            &archive,
            why,
        );
        scene.refused("small:iso/x.iso", "raw+size", &raw, why);
        let left = std::fs::read_dir(disk.path().join("images")).unwrap();
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn a_volume_goes_to_btrfs_and_back() {
    let Some(ground) = Ground::btrfs("pvesm import to btrfs") else {
        return;
    };
    if left_out("pvesm import to btrfs") {
        return;
    }
    with_bridge(async {
        let scene = Scene::new().await;
        scene
            .node
            .call("storage_create", ground.storage())
            .await
            .unwrap();
        let bytes = stream(SIZE as u64, &scene.image("vm-100-disk-0.raw"));
        let (cli, file) = (&scene.cli, scene.outside("stream"));
        std::fs::write(&file, &bytes).unwrap();
        cli.ok(&format!(
            "pvesm import pool:100/vm-100-disk-1.raw raw+size {file}"
        ));
        let line = "pvesm export pool:100/vm-100-disk-1.raw raw+size -";
        let (code, out, error) = said_of(cli.command(line));
        assert_eq!((code, out == bytes), (0, true), "{error}");
        std::fs::write(&file, &bytes[..1 << 20]).unwrap();
        let cut = format!("pvesm import pool:100/vm-100-disk-2.raw raw+size {file}");
        let (_, error) = cli.fails(&cut);
        assert!(error.contains("the stream ends after"), "{error}");
        let made = ground.volumes();
        assert_eq!(made.keys().collect::<Vec<_>>(), ["vm-100-disk-1"]);
    });
}
