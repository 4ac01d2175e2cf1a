//! How the suite gets at a storage.

use std::path::PathBuf;
use std::sync::Arc;

use model::{BlockFormat, StorageId, VmId};
use storage::{Attacher, ContentType, LvmThinSpec, Storage, StorageConfig, StorageSpec};
use sys::{RealHost, SharedHost};
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
    host: SharedHost,
    scopes: String,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Bed {
    fn drop(&mut self) {
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

    pub(crate) fn lvmthin(case: &str) -> Self {
        let pool = std::env::var("OSTLER_LVM_THIN").expect("the lab says OSTLER_LVM_THIN");
        let (vgname, thinpool) = pool.split_once('/').expect("group/pool");
        let spec = StorageSpec::LvmThin(LvmThinSpec {
            vgname: vgname.to_owned(),
            thinpool: thinpool.to_owned(),
        });
        let config = StorageConfig::new(id("case"), spec, vec![ContentType::Images]);
        let mut bed = Self::new(case, config, BlockFormat::Raw);
        bed.is_slow = true;
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
            scopes,
            _folder: None,
        }
    }

    /// A driver that knows nothing of earlier ones, as a new agent has it.
    pub(crate) fn open(&self) -> Arc<dyn Storage> {
        storage::open(self.config.clone(), self.host.clone())
    }

    /// A driver of an active storage.
    pub(crate) async fn active(&self) -> Arc<dyn Storage> {
        let storage = self.open();
        storage.activate().await.unwrap();
        storage
    }

    /// The file or device of an attached image.
    pub(crate) fn path(spec: &model::BlockSpec) -> PathBuf {
        PathBuf::from(spec.source.path().expect("an image with a path"))
    }
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
