//! A guest's cloud-init medium: what it is made of, making it, writing it.
//!
//! ```text
//!   record, snippets, resolv.conf ──render──► Seed ──build──► /run/ostler/guests/100.seed/medium
//!                                                                     │ write
//!   seed/100: what it was made of ◄──note──  local:100/vm-100-cloudinit.qcow2
//! ```
//!
//! Passwords are sealed in records and opened here only. The folder of the files in between is
//! root's alone, and the task that makes it removes it, also after a crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guest::cloud_init::{Custom, Dns, Seed, Source};
use guest::qemu::VmConfig;
use model::qemu::{CLOUD_INIT_BYTES, is_told_by_cloud_init};
use model::{BlockFormat, BlockSpec, Error, GuestConfig, Record, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::{AttachMode, ContentType, Opened, Storage, StorageError};
use store::{Commit, Revision};
use sys::{Command, Fence};
use tasks::TaskContext;

use crate::records::{seed_key, unreadable};
use crate::volumes::attached::by_task;
use crate::{NodeContext, Records, volumes};

const ISO_PROGRAM: &str = "genisoimage";
const IMAGE_PROGRAM: &str = "qemu-img";
/// How long it may compute: the medium is small.
const IMAGE_CPU: Duration = Duration::from_secs(60);

/// The largest snippet that is read: more does not fit onto the medium.
const SNIPPET_BYTES_MAX: u64 = 3 << 20;

/// The format of a medium that is made on a storage.
pub(crate) fn format_on(storage: &dyn Storage) -> BlockFormat {
    match storage.files() {
        Some(_) => BlockFormat::Qcow2,
        None => BlockFormat::Raw,
    }
}

/// What a guest's medium was last made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeedRecord {
    /// The options that find their way onto it, as the guest's record has them.
    pub values: BTreeMap<String, Value>,
}

impl SeedRecord {
    pub fn of(config: &GuestConfig) -> Self {
        let told = config
            .0
            .iter()
            .filter(|(name, _)| is_told_by_cloud_init(name));
        Self {
            values: told
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        }
    }
}

impl Records {
    /// None where no medium was made yet.
    pub async fn seed(&self, vmid: VmId) -> Result<Option<SeedRecord>, Error> {
        let (entry, _) = self.store().get(&seed_key(vmid), self.read()).await?;
        let decode = |entry: store::Entry| Record::decode(&entry.value).map(|record| record.data);
        entry.map(decode).transpose().map_err(unreadable)
    }

    /// To be called by the task that has claimed the guest: no other code writes this record.
    pub(crate) async fn note_seed(&self, vmid: VmId, seed: SeedRecord) -> Result<Revision, Error> {
        let value = Record::new(seed).encode().map_err(unreadable)?;
        Ok(self
            .store()
            .commit(Commit::new().put(seed_key(vmid), value))
            .await?)
    }

    /// As if no medium had been made.
    pub(crate) async fn forget_seed(&self, vmid: VmId) -> Result<(), Error> {
        if self.seed(vmid).await?.is_some() {
            let commit = Commit::new().delete(seed_key(vmid));
            self.store().commit(commit).await?;
        }
        Ok(())
    }
}

impl NodeContext {
    /// What the guest would be told now.
    pub async fn render_seed(&self, vmid: VmId, config: &VmConfig) -> Result<Seed, Error> {
        let mut config = config.clone();
        if let Some(sealed) = &config.cloud_init.password {
            config.cloud_init.password = Some(self.authority.unseal(sealed).await?);
        }
        let custom = &config.cloud_init.custom;
        let custom = Custom {
            meta: self.snippet(custom.meta.as_ref()).await?,
            network: self.snippet(custom.network.as_ref()).await?,
            user: self.snippet(custom.user.as_ref()).await?,
            vendor: self.snippet(custom.vendor.as_ref()).await?,
        };
        let dns = self.dns().await?;
        let source = Source {
            vmid,
            config: &config,
            dns: &dns,
            custom,
        };
        source
            .render()
            .map_err(|error| Error::conflict(error.to_string()))
    }

    /// Whom the host asks for names.
    pub(crate) async fn dns(&self) -> Result<Dns, Error> {
        match self.host.read(Path::new("/etc/resolv.conf")).await {
            Ok(text) => Ok(Dns::of_resolv_conf(&String::from_utf8_lossy(&text))),
            Err(error) if error.is_not_found() => Ok(Dns::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a file of the administrator's own.
    async fn snippet(&self, volume: Option<&VolumeId>) -> Result<Option<String>, Error> {
        let Some(volume) = volume else {
            return Ok(None);
        };
        let storage = self.storage(volume.storage()).await?;
        let no_snippet = || Error::conflict(format!("cicustom: '{volume}' is no snippet"));
        if storage.config().parse(volume.name())?.content != ContentType::Snippets {
            return Err(no_snippet());
        }
        if !storage.config().takes(ContentType::Snippets) {
            let id = volume.storage();
            let text = format!("storage '{id}' does not support content-type 'snippets'");
            return Err(Error::conflict(text));
        }
        storage.activate().await?;
        if volumes::info_of(&*storage, volume).await?.size > SNIPPET_BYTES_MAX {
            return Err(Error::conflict(format!("cicustom: '{volume}' is too big")));
        }
        let content = self.host.read(&storage.path(volume.name())?).await?;
        let no_text = |_| Error::conflict(format!("cicustom: '{volume}' is no UTF-8 text"));
        String::from_utf8(content).map(Some).map_err(no_text)
    }

    fn medium(&self, vmid: VmId) -> PathBuf {
        self.paths.seed(vmid).join("medium")
    }

    /// Makes the medium beside its volume. What it is made of is gone again on return.
    pub(crate) async fn build_medium(&self, vmid: VmId, seed: &Seed) -> Result<(), Error> {
        let folder = self.paths.seed(vmid);
        self.host.create_dir(&folder, 0o700).await?;
        let mut args: Vec<String> = ["-quiet", "-joliet", "-rock", "-volid", seed.label()]
            .map(str::to_owned)
            .to_vec();
        args.push("-graft-points".to_owned());
        let mut parts = Vec::new();
        for (number, file) in (0..).zip(seed.files()) {
            let part = folder.join(format!("part{number}"));
            self.host
                .write(&part, file.content.as_bytes(), 0o600)
                .await?;
            args.push(format!("{}={}", file.path, grafted(&part)));
            parts.push(part);
        }
        let made = self.host.run(Command::new(ISO_PROGRAM).args(args)).await?;
        let mut medium = made.checked(ISO_PROGRAM)?;
        if medium.len() as u64 > CLOUD_INIT_BYTES {
            return Err(Error::conflict("the cloud-init medium is too big"));
        }
        // The volume is written from end to end, so that nothing of an earlier medium is left.
        medium.resize(CLOUD_INIT_BYTES as usize, 0);
        for part in parts {
            self.host.remove(&part).await?;
        }
        Ok(self.host.write(&self.medium(vmid), &medium, 0o600).await?)
    }

    pub(crate) async fn has_medium(&self, vmid: VmId) -> Result<bool, Error> {
        Ok(self.host.stat(&self.medium(vmid)).await?.is_some())
    }

    /// Writes the medium into its volume, which is made anew where it is missing. The program is
    /// the task's, so that none is left that still writes when the task is gone on with.
    pub(crate) async fn write_medium(
        cx: &TaskContext<Self>,
        vmid: VmId,
        volume: &VolumeId,
        is_running: bool,
    ) -> Result<(), Error> {
        let node = &cx.node;
        let storage = node.storage(volume.storage()).await?;
        storage.activate().await?;
        let format = storage.config().image_format(volume.name())?;
        // What an agent left that died while it made the volume is of no use.
        let is_made = match storage.stat(volume.name()).await {
            Err(StorageError::Host { source, .. }) if source.is_wrong_content() => false,
            info => info?.is_some_and(|info| info.size >= CLOUD_INIT_BYTES),
        };
        if !is_made && !is_running {
            storage.free(volume.name()).await?;
            storage
                .allocate(volume.name(), format, CLOUD_INIT_BYTES)
                .await?;
        }
        // A running guest has it attached already.
        let by = match is_running {
            true => node.by_guest(vmid).await?,
            false => by_task(cx),
        };
        let attached = node.attach(volume, AttachMode::Exclusive, &by).await;
        let written = match attached {
            Ok(spec) => Self::fill_medium(cx, vmid, &spec, is_running).await,
            Err(error) => Err(error),
        };
        if !is_running {
            node.detach(volume, &by).await?;
        }
        written
    }

    async fn fill_medium(
        cx: &TaskContext<Self>,
        vmid: VmId,
        spec: &BlockSpec,
        is_running: bool,
    ) -> Result<(), Error> {
        let node = &cx.node;
        let target = Opened::open(&node.host, spec, true).await?;
        let medium = node.medium(vmid);
        let file = node.host.open_image(&medium, false, false).await?;
        let source = Opened::of(&node.host, &medium, BlockFormat::Raw, file).await?;
        // A running guest has the image open and locked. Every cluster of it was written before
        // the guest started, so writing all of them again moves none.
        let (from, to) = match is_running {
            true => (source.filename(), target.filename_unlocked()),
            false => (source.filename(), target.filename()),
        };
        let format = spec.format.as_str();
        let args = ["convert", "-n", "-S", "0", "-O", format, &from, &to];
        let fence = Fence::new(Some(IMAGE_CPU));
        let command = Command::new(IMAGE_PROGRAM)
            .args(args)
            .fence(target.inside(source.inside(fence)));
        let written = cx.run(command).await?;
        written.checked(IMAGE_PROGRAM)?;
        Ok(())
    }

    /// Removes what making a medium left behind.
    pub(crate) async fn clear_seed_folder(&self, vmid: VmId) -> Result<(), Error> {
        let folder = self.paths.seed(vmid);
        for entry in self.host.list(&folder).await? {
            self.host.remove(&folder.join(entry.name)).await?;
        }
        self.host.remove_dir(&folder).await?;
        Ok(())
    }
}

/// A path as the right side of a graft point, where `\` and `=` mean something.
fn grafted(path: &Path) -> String {
    let text = path.display().to_string();
    text.replace('\\', "\\\\").replace('=', "\\=")
}
