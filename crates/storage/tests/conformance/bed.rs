//! How the suite gets at a storage.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use model::{BlockFormat, BlockSource, BlockSpec, StorageId, VmId};
use storage::{
    Attacher, BtrfsSpec, CifsSpec, ContentType, FolderOptions, LvmSpec, LvmThinSpec, NfsSpec,
    RbdSpec, Storage, StorageConfig, StorageSpec, ZfsPoolSpec,
};
use sys::{RealHost, SharedHost};
use testkit::ceph::Ceph;
use testkit::left_out::missing;
use testkit::{Faults, FaultyHost};

/// A storage of one case, and what it is on.
pub(crate) struct Bed {
    pub(crate) faults: Faults,
    pub(crate) config: StorageConfig,
    /// The format of images that can have snapshots.
    pub(crate) format: BlockFormat,
    /// Its calls take long: a method's calls are broken in one way each.
    pub(crate) is_slow: bool,
    /// Only the newest snapshot can be rolled back to.
    pub(crate) rolls_back_newest: bool,
    secret: Option<String>,
    host: SharedHost,
    scopes: String,
    _folder: Option<tempfile::TempDir>,
    mounted: Option<PathBuf>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Some(point) = &self.mounted {
            let unmounted = Command::new("umount").arg(point).status();
            assert!(unmounted.unwrap().success(), "{}", point.display());
        }
        let begin = format!("{}-", self.config.id());
        let of_clusters = std::fs::read_dir("/run/ostler/ceph").into_iter().flatten();
        for file in of_clusters.flatten() {
            let is_own = file.file_name().to_string_lossy().starts_with(&begin);
            if is_own && matches!(self.config.spec, StorageSpec::Rbd(_)) {
                let _ = std::fs::remove_file(file.path());
            }
        }
        for controller in [".", "cpu", "cpuacct", "cpuset", "memory", "pids", "freezer"] {
            // Where there is none, nothing was made.
            let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{controller}/{}", self.scopes));
        }
    }
}

impl Bed {
    /// None, with a word why, where the host has not what it takes.
    pub(crate) fn dir(case: &str) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            missing(case, "it needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let config = StorageConfig::dir(id("case"), path);
        let mut bed = Self::new(case, config, BlockFormat::Qcow2);
        bed._folder = Some(folder);
        Some(bed)
    }

    /// A folder whose snapshots are layers.
    pub(crate) fn chain(case: &str) -> Option<Self> {
        Self::dir(case).map(Self::with_layers)
    }

    fn with_layers(mut self) -> Self {
        let chain = match &mut self.config.spec {
            StorageSpec::Dir(spec) => &mut spec.folder.snapshot_as_volume_chain,
            StorageSpec::Nfs(spec) => &mut spec.folder.snapshot_as_volume_chain,
            StorageSpec::Cifs(spec) => &mut spec.folder.snapshot_as_volume_chain,
            StorageSpec::Lvm(spec) => &mut spec.snapshot_as_volume_chain,
            other => panic!("{:?} has no layers", other.kind()),
        };
        *chain = Some(true);
        self.format = BlockFormat::Qcow2;
        self.rolls_back_newest = true;
        self
    }

    /// A file system of its own on a loop device.
    pub(crate) fn btrfs(case: &str) -> Option<Self> {
        let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !rustix::process::getuid().is_root() || !has("mkfs.btrfs") {
            missing(case, "it needs root and btrfs-progs");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (image, point) = (folder.path().join("image"), folder.path().join("mounted"));
        std::fs::File::create(&image)
            .unwrap()
            .set_len(256 << 20)
            .unwrap();
        std::fs::create_dir(&point).unwrap();
        let made = Command::new("mkfs.btrfs").arg("-q").arg(&image).status();
        assert!(made.unwrap().success());
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args([&image, &point])
            .status();
        if !mounted.unwrap().success() {
            missing(case, "its kernel cannot mount btrfs from a file");
            return None;
        }
        let spec = StorageSpec::Btrfs(BtrfsSpec {
            path: point.display().to_string(),
            ..BtrfsSpec::default()
        });
        let config = StorageConfig::new(id("case"), spec, ContentType::ALL.to_vec());
        let mut bed = Self::new(case, config, BlockFormat::Raw);
        bed._folder = Some(folder);
        bed.mounted = Some(point);
        Some(bed)
    }

    /// `OSTLER_LVM_THIN=group/pool`; encrypted with `OSTLER_ENCRYPTED=1`.
    pub(crate) fn lvmthin(case: &str) -> Self {
        let (vgname, thinpool) = variable_pair("OSTLER_LVM_THIN", '/');
        let spec = StorageSpec::LvmThin(LvmThinSpec {
            vgname,
            thinpool,
            encrypted: encrypted(),
        });
        Self::of_devices(case, spec)
    }

    /// `OSTLER_LVM=group`; encrypted with `OSTLER_ENCRYPTED=1`.
    pub(crate) fn lvm(case: &str) -> Self {
        let spec = StorageSpec::Lvm(LvmSpec {
            vgname: variable("OSTLER_LVM"),
            saferemove: Some(true),
            encrypted: encrypted(),
            ..LvmSpec::default()
        });
        Self::of_devices(case, spec)
    }

    pub(crate) fn lvm_chain(case: &str) -> Self {
        Self::lvm(case).with_layers()
    }

    /// `OSTLER_ZFS=pool/dataset`
    pub(crate) fn zfspool(case: &str) -> Self {
        let spec = StorageSpec::ZfsPool(ZfsPoolSpec {
            pool: variable("OSTLER_ZFS"),
            sparse: Some(true),
            ..ZfsPoolSpec::default()
        });
        let mut bed = Self::of_devices(case, spec);
        bed.rolls_back_newest = true;
        bed
    }

    /// `OSTLER_NFS=server:/export`
    pub(crate) fn nfs(case: &str) -> Self {
        let (server, export) = variable_pair("OSTLER_NFS", ':');
        let spec = StorageSpec::Nfs(NfsSpec {
            server,
            export,
            path: Some(format!("/mnt/nfs-{case}")),
            folder: sparse(),
            ..NfsSpec::default()
        });
        let config = StorageConfig::new(id("case"), spec, vec![ContentType::Images]);
        let mut bed = Self::new(case, config, BlockFormat::Qcow2);
        bed.is_slow = true;
        bed
    }

    pub(crate) fn nfs_chain(case: &str) -> Self {
        Self::nfs(case).with_layers()
    }

    pub(crate) fn cifs_chain(case: &str) -> Self {
        Self::cifs(case).with_layers()
    }

    /// `OSTLER_CIFS=server/share`, `OSTLER_CIFS_USER=user:password`
    pub(crate) fn cifs(case: &str) -> Self {
        let (server, share) = variable_pair("OSTLER_CIFS", '/');
        let (user, password) = variable_pair("OSTLER_CIFS_USER", ':');
        let spec = StorageSpec::Cifs(CifsSpec {
            server,
            share,
            path: Some(format!("/mnt/cifs-{case}")),
            username: Some(user),
            folder: sparse(),
            ..CifsSpec::default()
        });
        let config = StorageConfig::new(id("case"), spec, vec![ContentType::Images]);
        let mut bed = Self::new(case, config, BlockFormat::Qcow2);
        bed.secret = Some(password);
        bed.is_slow = true;
        bed
    }

    /// A namespace of its own in the pool of a cluster.
    pub(crate) fn rbd(case: &str, ceph: &Ceph) -> Self {
        ceph.make_namespace(case);
        let spec = StorageSpec::Rbd(RbdSpec {
            monhost: Some(ceph.address().to_owned()),
            namespace: Some(case.to_owned()),
            ..RbdSpec::default()
        });
        let mut bed = Self::of_devices(case, spec);
        bed.config.common.id = id(&format!("ceph-{}", std::process::id()));
        bed.secret = Some(ceph.keyring());
        bed
    }

    fn of_devices(case: &str, spec: StorageSpec) -> Self {
        let content = spec.kind().contents().to_vec();
        let config = StorageConfig::new(id("case"), spec, content);
        let mut bed = Self::new(case, config, BlockFormat::Raw);
        bed.is_slow = true;
        bed.secret = encrypted().map(|_| "0123456789abcdef".repeat(4));
        bed
    }

    fn new(case: &str, config: StorageConfig, format: BlockFormat) -> Self {
        let scopes = format!("ostler-test-{}-{case}", std::process::id());
        let faults = Faults::default();
        let real: SharedHost = Arc::new(RealHost::open(&scopes).unwrap());
        Self {
            host: Arc::new(FaultyHost::new(real, faults.clone())),
            faults,
            config,
            format,
            is_slow: false,
            rolls_back_newest: false,
            secret: None,
            scopes,
            _folder: None,
            mounted: None,
        }
    }

    fn open_with(&self, config: StorageConfig, secret: Option<String>) -> Arc<dyn Storage> {
        storage::open(config, secret, self.host.clone(), Arc::new(storage::Alone))
    }

    /// A driver that knows nothing of earlier ones, as a new agent has it.
    pub(crate) fn open(&self) -> Arc<dyn Storage> {
        self.open_with(self.config.clone(), self.secret.clone())
    }

    /// Over what a case has made.
    pub(crate) fn over(case: &str, config: StorageConfig) -> Self {
        Self::new(case, config, BlockFormat::Raw)
    }

    /// A driver of another storage.
    pub(crate) fn open_config(&self, config: StorageConfig) -> Arc<dyn Storage> {
        self.open_with(config, self.secret.clone())
    }

    pub(crate) fn secret(&self) -> Option<String> {
        self.secret.clone()
    }

    /// A driver of another namespace, or with another secret.
    pub(crate) fn open_as(&self, namespace: &str, secret: Option<String>) -> Arc<dyn Storage> {
        let mut config = self.config.clone();
        if let StorageSpec::Rbd(spec) = &mut config.spec {
            spec.namespace = Some(namespace.to_owned());
        }
        self.open_with(config, secret)
    }

    /// A driver of an active storage.
    pub(crate) async fn active(&self) -> Arc<dyn Storage> {
        let storage = self.open();
        storage.activate().await.unwrap();
        storage
    }

    /// An attached image as QEMU's programs name it.
    pub(crate) fn filename(spec: &BlockSpec) -> String {
        match &spec.source {
            BlockSource::Rbd(image) => {
                let (full, conf) = (image.spec(), &image.conf);
                format!("rbd:{full}:conf={conf}:id={}", image.user)
            }
            BlockSource::Iscsi(image) => {
                format!("iscsi://{}/{}/{}", image.portal, image.target, image.unit)
            }
            source => source.path().expect("an image with a path").to_owned(),
        }
    }
}

/// Images take no more space than what is written.
fn sparse() -> FolderOptions {
    FolderOptions {
        preallocation: Some(storage::Preallocation::Off),
        ..FolderOptions::default()
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("the lab says {name}"))
}

fn encrypted() -> Option<bool> {
    std::env::var_os("OSTLER_ENCRYPTED").map(|_| true)
}

fn variable_pair(name: &str, between: char) -> (String, String) {
    let value = variable(name);
    let pair = value.split_once(between);
    let (one, other) = pair.unwrap_or_else(|| panic!("{name} is A{between}B"));
    (one.to_owned(), other.to_owned())
}

fn id(text: &str) -> StorageId {
    StorageId::new(text).unwrap()
}

pub(crate) fn vmid(number: u32) -> VmId {
    VmId::new(number).unwrap()
}

pub(crate) fn guest(number: u32) -> Attacher {
    Attacher::Guest {
        vmid: vmid(number),
        epoch: 1,
    }
}
