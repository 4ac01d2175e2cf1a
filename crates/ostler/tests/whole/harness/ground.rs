//! The storages under test, looked at by their own programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::ceph::Ceph;
use testkit::left_out::missing;

/// What images are here: a whole number of LVM's extents.
pub const SIZE: usize = 8 << 20;

/// Images, each with the names of its snapshots.
pub type Volumes = BTreeMap<String, BTreeSet<String>>;

/// What a storage does by itself, without a copy.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Snapshot,
    Rollback,
    Remove,
    /// Once, before the first linked clone.
    Base,
    /// The n-th linked clone.
    Clone(u32),
}

pub enum Ground {
    Ceph(Ceph),
    Btrfs(Mounted),
    /// A folder whose snapshots are layers.
    Layers(tempfile::TempDir),
    /// A dataset.
    Zfs(String),
    /// A group of LVM, and the pool in it.
    LvmThin(String, String),
    /// A group of LVM with volumes of full size, and snapshots as layers.
    LvmLayers(String),
}

/// A file system of btrfs in a file.
pub struct Mounted {
    folder: tempfile::TempDir,
}

impl Mounted {
    fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[&text(&self.path())]);
    }
}

impl Ground {
    pub fn ceph(test: &str) -> Option<Self> {
        Ceph::start(test).map(Self::Ceph)
    }

    pub fn btrfs(test: &str) -> Option<Self> {
        if Command::new("mkfs.btrfs")
            .arg("--version")
            .output()
            .is_err()
        {
            missing(test, "it needs btrfs-progs");
            return None;
        }
        let mounted = Mounted {
            folder: tempfile::tempdir().unwrap(),
        };
        let image = mounted.folder.path().join("image");
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(2 << 30).unwrap();
        std::fs::create_dir(mounted.path()).unwrap();
        run("mkfs.btrfs", &["-q", &text(&image)]);
        run(
            "mount",
            &["-o", "loop", &text(&image), &text(&mounted.path())],
        );
        Some(Self::Btrfs(mounted))
    }

    pub fn layers() -> Self {
        Self::Layers(tempfile::tempdir().unwrap())
    }

    /// `OSTLER_ZFS=pool/dataset`
    pub fn zfs() -> Self {
        Self::Zfs(std::env::var("OSTLER_ZFS").expect("the lab gives a dataset"))
    }

    /// `OSTLER_LVM_THIN=group/pool`
    pub fn lvm_thin() -> Self {
        let named = std::env::var("OSTLER_LVM_THIN").expect("the lab gives a pool");
        let (group, pool) = named.split_once('/').expect("a group and a pool");
        Self::LvmThin(group.to_owned(), pool.to_owned())
    }

    /// `OSTLER_LVM=group`
    pub fn lvm_layers() -> Self {
        Self::LvmLayers(std::env::var("OSTLER_LVM").expect("the lab gives a group"))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Ceph(_) => "rbd",
            Self::Btrfs(_) => "btrfs",
            Self::Layers(_) => "dir with layers",
            Self::Zfs(_) => "zfspool",
            Self::LvmThin(..) => "lvmthin",
            Self::LvmLayers(_) => "lvm with layers",
        }
    }

    /// The format of images that can have snapshots.
    pub fn format(&self) -> &'static str {
        match self {
            Self::Layers(_) | Self::LvmLayers(_) => "qcow2",
            _ => "raw",
        }
    }

    pub fn has_templates(&self) -> bool {
        !matches!(self, Self::LvmLayers(_))
    }

    /// Whether its tools take long.
    pub fn is_slow(&self) -> bool {
        !matches!(self, Self::Btrfs(_) | Self::Layers(_))
    }

    /// The parameters that make the storage `pool` of it.
    pub fn storage(&self) -> Value {
        let mut storage = match self {
            Self::Ceph(ceph) => {
                json!({"type": "rbd", "monhost": ceph.address(), "keyring": ceph.keyring()})
            }
            Self::Btrfs(mounted) => json!({"type": "btrfs", "path": text(&mounted.path())}),
            Self::Layers(folder) => json!({
                "type": "dir", "path": text(folder.path()), "format": "qcow2",
                "snapshot-as-volume-chain": 1,
            }),
            Self::Zfs(dataset) => json!({"type": "zfspool", "pool": dataset, "sparse": 1}),
            Self::LvmThin(group, pool) => {
                json!({"type": "lvmthin", "vgname": group, "thinpool": pool})
            }
            Self::LvmLayers(group) => json!({
                "type": "lvm", "vgname": group, "snapshot-as-volume-chain": 1,
            }),
        };
        storage["storage"] = json!("pool");
        storage["content"] = json!("images");
        storage
    }

    pub fn volumes(&self) -> Volumes {
        let mut volumes = Volumes::new();
        for name in self.names() {
            let (image, snapshot) = match name.split_once('@') {
                Some((image, snapshot)) => (image.to_owned(), Some(snapshot.to_owned())),
                None => (name, None),
            };
            volumes.entry(image).or_default().extend(snapshot);
        }
        // What linked clones are made of is no guest's snapshot.
        for (image, snapshots) in &mut volumes {
            if image.starts_with("base-") {
                snapshots.remove("__base__");
            }
        }
        volumes
    }

    /// All images and snapshots: `image` and `image@snapshot`.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Ceph(ceph) => {
                let listed = ceph.rbd(&["ls", "-l", "rbd"]);
                let lines = listed.lines().skip(1);
                lines.map(|line| word(line).to_owned()).collect()
            }
            Self::Btrfs(mounted) => {
                let guests = entries(&mounted.path().join("images"));
                let images = guests.iter().flat_map(|guest| entries(guest));
                images
                    .map(|image| text(Path::new(image.file_name().unwrap())))
                    .collect()
            }
            Self::Layers(folder) => {
                let guests = entries(&folder.path().join("images"));
                let images = guests.iter().flat_map(|guest| entries(guest));
                images
                    .map(|image| of_layer(image.file_stem().unwrap().to_str().unwrap()))
                    .collect()
            }
            Self::Zfs(dataset) => {
                let list = [
                    "list",
                    "-H",
                    "-o",
                    "name",
                    "-t",
                    "volume,snapshot",
                    "-r",
                    dataset,
                ];
                let listed = run("zfs", &list);
                let below = format!("{dataset}/");
                let names = listed.lines().filter_map(|line| line.strip_prefix(&below));
                names.map(str::to_owned).collect()
            }
            Self::LvmThin(group, pool) => {
                let listed = run("lvs", &["--noheadings", "-o", "lv_name", group]);
                let names = listed.lines().map(word).filter(|name| name != pool);
                names.map(of_thin).collect()
            }
            Self::LvmLayers(group) => {
                let listed = run("lvs", &["--noheadings", "-o", "lv_name", group]);
                let names = listed.lines().map(word);
                names
                    .map(|name| of_thin(name.trim_end_matches(".qcow2")))
                    .collect()
            }
        }
    }

    /// Writes this byte all over an image.
    pub fn fill(&self, volume: &str, byte: u8) {
        let write = format!("write -q -P {byte} 0 {}", SIZE);
        self.opened(volume, |image| {
            run(
                "qemu-io",
                &["-n", "-t", "none", "--image-opts", "-c", &write, image],
            );
        });
    }

    /// What the bare tool does for a snapshot, a rollback to it, its removal, and a linked clone of it.
    pub fn by_hand(&self, act: Act, image: &str) {
        let snapshot = format!("{image}@hand");
        let clone = |number: u32| format!("vm-{number}-by-hand");
        match self {
            Self::Ceph(ceph) => {
                let of = format!("rbd/{snapshot}");
                match act {
                    Act::Snapshot => ceph.rbd(&["snap", "create", "--no-progress", &of]),
                    Act::Rollback => ceph.rbd(&["snap", "rollback", "--no-progress", &of]),
                    Act::Remove => ceph.rbd(&["snap", "rm", "--no-progress", &of]),
                    Act::Base => {
                        ceph.rbd(&["snap", "create", "--no-progress", &of]);
                        ceph.rbd(&["snap", "protect", &of])
                    }
                    Act::Clone(number) => {
                        ceph.rbd(&["clone", &of, &format!("rbd/{}", clone(number))])
                    }
                };
            }
            Self::Btrfs(mounted) => {
                let path = |name: &str| text(&mounted.path().join("images/100").join(name));
                let (image, snapshot) = (path(image), path(&snapshot));
                let copy = |more: &[&str]| {
                    run("btrfs", &[&["-q", "subvolume", "snapshot"], more].concat())
                };
                let delete = |name: &str| run("btrfs", &["-q", "subvolume", "delete", name]);
                match act {
                    Act::Snapshot | Act::Base => copy(&["-r", &image, &snapshot]),
                    Act::Rollback => {
                        delete(&image);
                        copy(&[&snapshot, &image])
                    }
                    Act::Remove => delete(&snapshot),
                    Act::Clone(number) => copy(&[&image, &path(&clone(number))]),
                };
            }
            Self::Layers(folder) => layers_by_hand(&folder.path().join("images/101"), act, image),
            Self::LvmLayers(group) => layers_of_lvm_by_hand(group, act, image),
            Self::Zfs(dataset) => {
                let of = format!("{dataset}/{snapshot}");
                match act {
                    Act::Snapshot | Act::Base => run("zfs", &["snapshot", &of]),
                    Act::Rollback => run("zfs", &["rollback", &of]),
                    Act::Remove => run("zfs", &["destroy", &of]),
                    Act::Clone(number) => run(
                        "zfs",
                        &["clone", &of, &format!("{dataset}/{}", clone(number))],
                    ),
                };
            }
            Self::LvmThin(group, _) => {
                let (image, copy) = (format!("{group}/{image}"), format!("{image}_hand"));
                let copied = format!("{group}/{copy}");
                let copy_of = |of: &str, name: &str| run("lvcreate", &["-q", "-s", "-n", name, of]);
                let remove = |name: &str| run("lvremove", &["-q", "-f", name]);
                match act {
                    Act::Snapshot | Act::Base => copy_of(&image, &copy),
                    Act::Rollback => {
                        remove(&image);
                        let name = image.rsplit('/').next().unwrap();
                        copy_of(&copied, name)
                    }
                    Act::Remove => remove(&copied),
                    Act::Clone(number) => copy_of(&copied, &clone(number)),
                };
            }
        }
    }

    /// The bytes that an image has, each one once.
    pub fn content(&self, volume: &str) -> Vec<u8> {
        let bytes: BTreeSet<u8> = self.bytes(volume).into_iter().collect();
        bytes.into_iter().collect()
    }

    /// All that is in an image.
    pub fn bytes(&self, volume: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy.raw");
        self.opened(volume, |image| {
            let copy = text(&copy);
            run(
                "qemu-img",
                &[
                    "convert",
                    "-T",
                    "none",
                    "--image-opts",
                    "-O",
                    "raw",
                    image,
                    &copy,
                ],
            );
        });
        let content = std::fs::read(copy).unwrap();
        assert_eq!(content.len(), SIZE, "{volume}");
        content
    }

    /// The content of the only image there is.
    pub fn content_of<'a>(&self, mut volumes: impl Iterator<Item = &'a String>) -> Vec<u8> {
        let only = volumes.next().unwrap();
        assert!(volumes.next().is_none());
        self.content(only)
    }

    /// Does something with an image that no guest has open, which is named by QEMU's options.
    fn opened(&self, volume: &str, work: impl FnOnce(&str)) {
        match self {
            Self::Ceph(ceph) => {
                let conf = text(&ceph.configuration());
                work(&format!("driver=rbd,pool=rbd,image={volume},conf={conf}"));
            }
            Self::Btrfs(mounted) => {
                let guest = volume.split('-').nth(1).unwrap();
                let file = format!("images/{guest}/{volume}/disk.raw");
                let path = text(&mounted.path().join(file));
                work(&format!("driver=raw,file.driver=file,file.filename={path}"));
            }
            Self::Layers(folder) => {
                let guest = volume.split('-').nth(1).unwrap();
                let file = format!("images/{guest}/{volume}.qcow2");
                let path = text(&folder.path().join(file));
                work(&format!(
                    "driver=qcow2,file.driver=file,file.filename={path}"
                ));
            }
            Self::Zfs(dataset) => {
                run("udevadm", &["settle"]);
                work(&device(&format!("/dev/zvol/{dataset}/{volume}")));
            }
            Self::LvmThin(group, _) => {
                let volume = format!("{group}/{volume}");
                run("lvchange", &["-ay", "-K", &volume]);
                work(&device(&format!("/dev/{volume}")));
                run("lvchange", &["-an", &volume]);
            }
            Self::LvmLayers(group) => {
                run("lvchange", &["-ay", group]);
                let path = format!("/dev/{group}/{volume}.qcow2");
                work(&format!(
                    "driver=qcow2,file.driver=host_device,file.filename={path}"
                ));
                run("lvchange", &["-an", group]);
            }
        }
    }
}

/// What is in a folder; nothing where there is none.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn device(path: &str) -> String {
    format!("driver=raw,file.driver=host_device,file.filename={path}")
}

/// `snap_vm-100-disk-0_one` is the snapshot `one` of an image.
fn of_thin(name: &str) -> String {
    match name
        .strip_prefix("snap_")
        .and_then(|rest| rest.split_once('_'))
    {
        Some((image, snapshot)) => format!("{image}@{snapshot}"),
        None => name.to_owned(),
    }
}

fn layers_by_hand(folder: &Path, act: Act, image: &str) {
    let path = |name: &str| text(&folder.join(name));
    let layer = format!("snap-hand-{image}.qcow2");
    let image = path(&format!("{image}.qcow2"));
    let create = |on: &str, name: &str| {
        let how = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
        run("qemu-img", &[&how[..], &[on, name]].concat())
    };
    match act {
        Act::Snapshot => {
            run("mv", &[&image, &path(&layer)]);
            create(&layer, &image)
        }
        Act::Rollback => create(&layer, &image),
        Act::Remove => {
            run("qemu-img", &["commit", "-q", "-d", &image]);
            run("mv", &[&path(&layer), &image])
        }
        Act::Base => String::new(),
        Act::Clone(number) => create(&image, &path(&format!("vm-{number}-by-hand"))),
    };
}

fn layers_of_lvm_by_hand(group: &str, act: Act, image: &str) {
    let layer = format!("snap_{image}_hand.qcow2");
    let image = format!("{image}.qcow2");
    let device = |name: &str| format!("/dev/{group}/{name}");
    let create = || {
        let size = format!("{}b", 2 * SIZE);
        run("lvcreate", &["-q", "-y", "-L", &size, "-n", &image, group]);
        let how = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &layer];
        run("qemu-img", &[&how[..], &[&device(&image)]].concat())
    };
    let remove = || run("lvremove", &["-q", "-y", &format!("{group}/{image}")]);
    let rename = |from: &str, to: &str| run("lvrename", &["-q", group, from, to]);
    run("lvchange", &["-ay", group]);
    match act {
        Act::Snapshot => {
            rename(&image, &layer);
            create()
        }
        Act::Rollback => {
            remove();
            create()
        }
        Act::Remove => {
            run("qemu-img", &["commit", "-q", "-d", &device(&image)]);
            remove();
            rename(&layer, &image)
        }
        Act::Base | Act::Clone(_) => panic!("it has no linked clones"),
    };
    run("lvchange", &["-an", group]);
}

/// `snap-one-vm-100-disk-0` is the snapshot `one` of an image.
fn of_layer(stem: &str) -> String {
    let parts = stem
        .strip_prefix("snap-")
        .and_then(|rest| rest.split_once("-vm-"));
    match parts {
        Some((snapshot, image)) => format!("vm-{image}@{snapshot}"),
        None => stem.to_owned(),
    }
}

fn word(line: &str) -> &str {
    line.split_whitespace().next().unwrap()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}
