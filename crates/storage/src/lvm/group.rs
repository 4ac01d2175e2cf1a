//! One volume group and its volumes.
//!
//! A change always completes, even if its caller stops waiting: a program that is killed between
//! suspending and resuming a device leaves it suspended. Changes of one storage run one after
//! another, so that none spends its time-out waiting for LVM's own lock.
//!
//! LVM's lock is a file of the node. The changes of a group that other nodes change too are made
//! in the turns that `super::changing` takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{BlockSource, StorageId, UnixTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sys::{Command, SharedHost, SysError};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::crypt::Crypt;
use super::programs::{GROUP_LEFT_OUT, LvmPrograms};
use crate::StorageError;
use crate::attach::{Attacher, Attachments};

/// The time-out of changes. A program is only killed if its disks hang.
const CHANGE: Duration = Duration::from_secs(300);

/// LVM takes no longer names (lvm(8)).
const LENGTH_MAX: usize = 127;

/// What is asked of a volume.
const COLUMNS: &str =
    "lv_name,lv_uuid,lv_size,lv_attr,pool_lv,data_percent,metadata_percent,lv_tags,lv_time";

/// The same without what the kernel is asked for each thin volume.
const LAYOUT: &str = "lv_name,lv_uuid,lv_size,lv_attr,pool_lv,lv_tags,lv_time";

/// A logical volume, as `lvs` shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Volume {
    #[serde(rename = "lv_name")]
    pub(crate) name: String,
    #[serde(default)]
    lv_uuid: String,
    /// In bytes, as text.
    lv_size: String,
    /// A letter for each attribute, in lvs(8).
    lv_attr: String,
    pool_lv: String,
    #[serde(default)]
    data_percent: String,
    #[serde(default)]
    metadata_percent: String,
    /// Separated by commas.
    #[serde(default)]
    lv_tags: String,
    lv_time: String,
}

impl Volume {
    fn has(&self, attribute: usize, letter: u8) -> bool {
        self.lv_attr.as_bytes().get(attribute) == Some(&letter)
    }

    pub(crate) fn is_thin_pool(&self) -> bool {
        self.has(0, b't')
    }

    pub(crate) fn is_thin_in(&self, pool: &str) -> bool {
        self.has(0, b'V') && self.pool_lv == pool
    }

    /// Whether it has blocks of its own: plain, mirrored, or RAID.
    pub(crate) fn is_thick(&self) -> bool {
        b"-mMrR".iter().any(|kind| self.has(0, *kind))
    }

    pub(crate) fn is_tagged(&self, tag: &str) -> bool {
        self.lv_tags.split(',').any(|found| found == tag)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.has(1, b'r')
    }

    pub(crate) fn is_active(&self) -> bool {
        self.has(4, b'a')
    }

    /// Whether a program of this node has it open.
    pub(crate) fn is_open(&self) -> bool {
        self.has(5, b'o')
    }

    /// Whether a mapping of the kernel is this volume's, by its id: `LVM-` and the ids of the group and
    /// of the volume, without hyphens.
    fn has_mapping(&self, id: &str) -> bool {
        let own = self.lv_uuid.replace('-', "");
        !own.is_empty() && id.trim().ends_with(&own)
    }

    /// Whether a pool's new blocks read as zeros.
    pub(crate) fn zeroes(&self) -> bool {
        self.has(7, b'z')
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.lv_size.parse().unwrap_or_default()
    }

    /// How much of it has blocks in the pool, in bytes; for a pool, how much is taken.
    pub(crate) fn used(&self) -> Option<u64> {
        let percent: f64 = self.data_percent.parse().ok()?;
        Some((self.size() as f64 * percent / 100.0) as u64)
    }

    /// How much of a pool's metadata is taken, in percent.
    pub(crate) fn metadata_percent(&self) -> Option<f64> {
        self.metadata_percent.parse().ok()
    }

    pub(crate) fn created(&self) -> UnixTime {
        self.lv_time.parse().unwrap_or_default()
    }
}

/// What is in a group, in bytes, as text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Space {
    vg_size: String,
    vg_free: String,
}

impl Space {
    /// All of it, and what is free, in bytes.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let read = |text: &str| text.parse().unwrap_or_default();
        (read(&self.vg_size), read(&self.vg_free))
    }
}

/// One volume group, and LVM's programs for it.
pub(crate) struct Group {
    pub(crate) storage: StorageId,
    pub(crate) name: String,
    pub(crate) host: SharedHost,
    programs: LvmPrograms,
    lock: Arc<Mutex<()>>,
    pub(super) attachments: Attachments,
    /// Of an encrypted storage.
    pub(super) crypt: Option<Crypt>,
}

impl Group {
    /// With `crypt`, all volumes are encrypted.
    pub(crate) fn new(
        storage: StorageId,
        name: &str,
        host: SharedHost,
        crypt: Option<Crypt>,
    ) -> Self {
        Self {
            storage,
            name: name.to_owned(),
            programs: LvmPrograms::new(host.clone()),
            crypt,
            host,
            lock: Arc::default(),
            attachments: Attachments::default(),
        }
    }

    /// Runs a change to its end, after those of this node that began earlier.
    pub(crate) async fn locked<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let lock = self.lock.clone();
        let changing = async move {
            let _alone_here = lock.lock_owned().await;
            work.await
        };
        to_its_end(&self.storage, changing).await
    }

    /// Keeps other programs of this node from the group.
    pub(super) async fn lock(&self) -> OwnedMutexGuard<()> {
        self.lock.clone().lock_owned().await
    }

    /// Finds out all that a program needs, so that the next one begins at once.
    pub(super) async fn prepare(&self) -> Result<(), StorageError> {
        let prepared = self.programs.prepare().await;
        prepared.map_err(|error| StorageError::of(&self.storage, error))
    }

    /// The name that LVM's programs know a volume by.
    pub(crate) fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// Changes what is said of one volume, which errors name. Returns what the program prints.
    pub(crate) async fn run(
        &self,
        volume: &str,
        program: &str,
        args: &[&str],
    ) -> Result<String, StorageError> {
        self.run_until(None, volume, program, args).await
    }

    /// The same for a program that must have ended by a time.
    pub(super) async fn run_until(
        &self,
        deadline: Option<Duration>,
        volume: &str,
        program: &str,
        args: &[&str],
    ) -> Result<String, StorageError> {
        let run = self.programs.run_until(program, args, CHANGE, deadline);
        let output = run.await.map_err(|error| self.failed(volume, error))?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Changes volumes that are there and of a kind; else nothing, which is no error. The program
    /// itself looks whether they are: to ask before would take a call more.
    async fn run_on(
        &self,
        deadline: Option<Duration>,
        (names, kind): (&[&str], &str),
        program: &str,
        how: &[&str],
    ) -> Result<String, StorageError> {
        // What LVM takes as no name nothing has; it could say more in an expression.
        let names = names.iter().copied().filter(|name| is_lvm_name(name));
        let names: Vec<&str> = names.collect();
        let Some(first) = names.first() else {
            return Ok(String::new());
        };
        let each: Vec<String> = names
            .iter()
            .map(|name| format!("lv_name=\"{name}\""))
            .collect();
        let select = format!("({}) && {kind}", each.join(" || "));
        let args = [how, &["--select", &select, &self.name]].concat();
        let run = self.programs.run_until(program, &args, CHANGE, deadline);
        match run.await {
            Err(error) if is_no_group(&error) => Ok(String::new()),
            Err(error) => Err(self.failed(first, error)),
            Ok(printed) => Ok(String::from_utf8_lossy(&printed).into_owned()),
        }
    }

    /// Removes a volume of a kind (an expression of lvmreport(7)). False where there was none.
    pub(crate) async fn remove(&self, name: &str, kind: &str) -> Result<bool, StorageError> {
        self.close(name).await?;
        self.remove_until(None, name, kind).await
    }

    /// The same of a volume that is closed, by a program that must have ended by a time.
    pub(super) async fn remove_until(
        &self,
        deadline: Option<Duration>,
        name: &str,
        kind: &str,
    ) -> Result<bool, StorageError> {
        let how = ["--force", "--yes"];
        let named: (&[&str], &str) = (&[name], kind);
        let printed = self.run_on(deadline, named, "lvremove", &how).await?;
        Ok(printed.contains("successfully removed"))
    }

    /// All volumes of the group; none where there is no such group.
    pub(crate) async fn volumes(&self) -> Result<Vec<Volume>, StorageError> {
        self.list("lvs", COLUMNS).await
    }

    /// The same without how full each is.
    pub(crate) async fn layout(&self) -> Result<Vec<Volume>, StorageError> {
        self.list("lvs", LAYOUT).await
    }

    /// How much the group has; none where there is no such group.
    pub(crate) async fn space(&self) -> Result<Option<Space>, StorageError> {
        Ok(self
            .list("vgs", "vg_size,vg_free")
            .await?
            .into_iter()
            .next())
    }

    /// What one of the programs lists of the group; nothing where there is no such group.
    async fn list<T: DeserializeOwned>(
        &self,
        program: &str,
        columns: &str,
    ) -> Result<Vec<T>, StorageError> {
        match self.programs.list(program, columns, &[&self.name]).await {
            Err(error) if is_no_group(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| self.failed(&self.name, error)),
        }
    }

    /// The device of a volume that is active.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/dev/{}", self.full(name)))
    }

    /// Activates a volume of a kind, and returns its device. `how` are arguments of `lvchange`.
    pub(crate) async fn attach(
        &self,
        (name, kind): (&str, &str),
        is_ours: impl Fn(&Volume) -> bool,
        how: &[&str],
        by: &Attacher,
    ) -> Result<BlockSource, StorageError> {
        // What is active already may be of another kind, which `lvchange` passes over in silence.
        if self.mapping_of(name).await.is_some()
            || self.host.resolve(&self.path(name)).await.is_ok()
        {
            let volumes = self.layout().await?;
            let mut ours = volumes.iter().filter(|volume| is_ours(volume));
            let found = ours.find(|volume| volume.name == name);
            let found = found.ok_or_else(|| self.no_volume(name))?;
            self.drop_other_mapping(found).await?;
        }
        self.run_on(None, (&[name], kind), "lvchange", how).await?;
        let resolve = async |path: &Path| {
            let device = self.host.resolve(path).await;
            device.map_err(|error| match error.is_not_found() {
                true => self.no_volume(name),
                false => StorageError::of(&self.storage, error),
            })
        };
        let mut device = resolve(&self.path(name)).await?;
        if self.is_encrypted() {
            let opened = self.opened(name).await;
            if opened.is_err() {
                // The host must not look into it.
                let _ = self.deactivate(name, kind).await;
            }
            device = resolve(&opened?).await?;
        }
        let _ = self.attachments.add(name, by);
        Ok(BlockSource::Device(device.display().to_string()))
    }

    /// Activates volumes of a kind.
    pub(crate) async fn activate(&self, names: &[&str], kind: &str) -> Result<(), StorageError> {
        let how = ["--activate", "y", "--ignoreactivationskip"];
        self.run_on(None, (names, kind), "lvchange", &how)
            .await
            .map(drop)
    }

    /// What the kernel knows of the mapping that has the name of a volume: its id.
    async fn mapping_of(&self, name: &str) -> Option<String> {
        let path = Path::new("/dev/mapper").join(mapping(&self.name, name));
        let device = self.host.resolve(&path).await.ok()?;
        let device = device.file_name()?.to_string_lossy().into_owned();
        let id = PathBuf::from(format!("/sys/class/block/{device}/dm/uuid"));
        let id = self.host.read(&id).await.ok()?;
        Some(String::from_utf8_lossy(&id).into_owned())
    }

    /// Removes a mapping that has a volume's name and is another's: of an earlier volume of this name,
    /// which another node has removed or renamed since. Its blocks may be anything by now. False where
    /// there is none.
    pub(super) async fn drop_other_mapping(&self, volume: &Volume) -> Result<bool, StorageError> {
        match self.mapping_of(&volume.name).await {
            Some(id) if !volume.has_mapping(&id) => {
                self.drop_mapping(&volume.name).await.map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// The same for a name that no volume of the group has.
    pub(super) async fn drop_any_mapping(&self, name: &str) -> Result<(), StorageError> {
        match self.mapping_of(name).await {
            Some(_) => self.drop_mapping(name).await,
            None => Ok(()),
        }
    }

    async fn drop_mapping(&self, name: &str) -> Result<(), StorageError> {
        let remove = Command::new("dmsetup")
            .args(["remove", "--retry", &mapping(&self.name, name)])
            .timeout(Some(CHANGE));
        let removed = self.host.run(remove).await;
        match removed.and_then(|output| output.checked("dmsetup")) {
            // It has just gone.
            Err(SysError::ProgramFailed { message, .. }) if message.contains("No such device") => {
                Ok(())
            }
            removed => removed.map(drop).map_err(|error| self.failed(name, error)),
        }
    }

    /// Waits until the host has ended its looks at devices that were just closed.
    pub(super) async fn let_host_look(&self) {
        let wait = Command::new("udevadm")
            .args(["settle", "--timeout", "5"])
            .timeout(Some(CHANGE));
        // Without it LVM itself waits for some seconds.
        let _ = self.host.run(wait).await;
    }

    /// Whether no attacher of a volume is left.
    pub(crate) fn let_go(&self, name: &str, by: &Attacher) -> bool {
        self.attachments.remove(name, by)
    }

    /// Deactivates a volume of a kind that is attached no more. If it is still open, an agent that has
    /// died had attached it for a process that still runs.
    pub(crate) async fn deactivate(&self, name: &str, kind: &str) -> Result<(), StorageError> {
        match self.close(name).await {
            Err(StorageError::InUse { .. }) => return Ok(()),
            closed => closed?,
        }
        self.deactivate_all(&[name], kind).await
    }

    /// The same of volumes that are not encrypted.
    pub(super) async fn deactivate_all(
        &self,
        names: &[&str],
        kind: &str,
    ) -> Result<(), StorageError> {
        let how = ["--activate", "n"];
        match self.run_on(None, (names, kind), "lvchange", &how).await {
            Err(StorageError::InUse { .. }) => Ok(()),
            deactivated => deactivated.map(drop),
        }
    }

    pub(crate) fn no_volume(&self, name: &str) -> StorageError {
        StorageError::NoVolume {
            storage: self.storage.clone(),
            name: name.to_owned(),
        }
    }

    pub(crate) fn exists(&self, name: &str) -> StorageError {
        StorageError::Exists {
            storage: self.storage.clone(),
            name: name.to_owned(),
        }
    }

    fn failed(&self, volume: &str, error: SysError) -> StorageError {
        let (storage, name) = (self.storage.clone(), volume.to_owned());
        let SysError::ProgramFailed { message, .. } = &error else {
            return StorageError::of(&self.storage, error);
        };
        let says = |text: &str| message.contains(text);
        if says("already exists") {
            StorageError::Exists { storage, name }
        } else if says("in use") || says("is used by another device") {
            StorageError::InUse { storage, name }
        } else if [
            "Failed to find logical volume",
            "Snapshot origin LV",
            "Existing logical volume",
        ]
        .into_iter()
        .any(says)
        {
            StorageError::NoVolume { storage, name }
        } else if says("insufficient free space") || says("above threshold") {
            StorageError::Full(storage)
        } else {
            StorageError::of(&self.storage, error)
        }
    }
}

/// Runs work to its end, also if its caller stops waiting.
pub(super) async fn to_its_end<T: Send + 'static>(
    storage: &StorageId,
    work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels it; no caller is left then.
            Err(_) => Err(StorageError::Silent(storage.clone())),
        },
    }
}

/// What the kernel calls a volume.
pub(super) fn mapping(group: &str, name: &str) -> String {
    let [group, name] = [group, name].map(|part| part.replace('-', "--"));
    format!("{group}-{name}")
}

/// What LVM takes as a name of a volume or a group.
pub(super) fn is_lvm_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
    name.len() <= LENGTH_MAX && !name.starts_with('-') && name.chars().all(is_good)
}

fn is_no_group(error: &SysError) -> bool {
    let SysError::ProgramFailed { message, .. } = error else {
        return false;
    };
    message.contains(GROUP_LEFT_OUT) && message.contains("\" not found")
}

#[cfg(test)]
mod tests {
    use super::super::programs::parse;
    use super::*;

    /// As `lvs` of LVM 2.03.16 prints it.
    const PRINTED: &str = r#"{"report":[{"lv":[
        {"lv_name":"pool","lv_size":"167772160","lv_attr":"twi-aotz--","pool_lv":"",
         "data_percent":"12.50","lv_time":"1764331200"},
        {"lv_name":"vm-100-disk-0","lv_size":"1073741824","lv_attr":"Vwi-a-tz--","pool_lv":"pool",
         "data_percent":"3.13","lv_time":"1764331201"},
        {"lv_name":"base-101-disk-0","lv_size":"4194304","lv_attr":"Vri---tz-k","pool_lv":"pool",
         "data_percent":"","lv_time":"1764331202"},
        {"lv_name":"root","lv_size":"4194304","lv_attr":"-wi-ao----","pool_lv":"",
         "data_percent":"","lv_tags":"a,pve-vm-1","lv_time":"1764331203"}]}]}"#;

    #[test]
    fn volumes_are_read_as_lvs_prints_them() {
        let volumes: Vec<Volume> = parse("lvs", PRINTED.as_bytes()).unwrap();
        let [pool, disk, base, root] = &volumes[..] else {
            panic!("{volumes:?}");
        };
        assert!(pool.is_thin_pool() && pool.is_active() && pool.zeroes());
        assert_eq!((pool.size(), pool.used()), (167_772_160, Some(20_971_520)));
        assert!(disk.is_thin_in("pool") && disk.is_active() && !disk.is_read_only());
        assert!(!disk.is_thin_in("other") && disk.created() == 1_764_331_201);
        assert!(base.is_read_only() && !base.is_active() && base.used().is_none());
        assert!(!root.is_thin_in("pool") && !root.is_thin_pool());
        assert!(root.is_thick() && root.is_tagged("pve-vm-1") && !disk.is_thick());
        assert!(parse::<Volume>("lvs", b"no").is_err());
    }
}
