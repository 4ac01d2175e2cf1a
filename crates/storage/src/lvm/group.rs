//! LVM's programs, and how they are called.
//!
//! Every call rejects the devices of guests: a volume group inside a guest's disk must not be found
//! or changed. The administrator's own filter stays in force.
//!
//! A change always completes, even if its caller stops waiting: a program that is killed between
//! suspending and resuming a device leaves it suspended. Changes of one storage run one after
//! another, so that none spends its time-out waiting for LVM's own lock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{BlockSource, StorageId, UnixTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sys::{Command, SharedHost, SysError};
use tokio::sync::{Mutex, OnceCell};

use crate::StorageError;
use crate::attach::{Attacher, Attachments};

/// The time-out of calls that only read.
const LOOK: Duration = Duration::from_secs(10);

/// The time-out of changes. A program is only killed if its disks hang.
const CHANGE: Duration = Duration::from_secs(300);

/// Devices that are never searched for physical volumes: disks of guests on any storage. `scan_lvs=0`
/// excludes all logical volumes; the names of guests' volumes are rejected as well.
const REJECTED: [&str; 6] = [
    "r|^/dev/zd|",
    "r|^/dev/zvol/|",
    "r|^/dev/rbd|",
    "r|^/dev/drbd|",
    "r|^/dev/mapper/.*-(vm|base)--[0-9]+--|",
    "r|^/dev/mapper/.*-(snap|back)_(vm|base)--[0-9]+--|",
];

/// What is asked of a volume.
const COLUMNS: &str = "lv_name,lv_size,lv_attr,pool_lv,data_percent,lv_tags,lv_time";

/// A logical volume, as `lvs` shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Volume {
    #[serde(rename = "lv_name")]
    pub(crate) name: String,
    /// In bytes, as text.
    lv_size: String,
    /// A letter for each attribute, in lvs(8).
    lv_attr: String,
    pool_lv: String,
    data_percent: String,
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

    pub(crate) fn created(&self) -> UnixTime {
        self.lv_time.parse().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Printed<T> {
    report: Vec<T>,
}

#[derive(Deserialize)]
struct Volumes {
    lv: Vec<Volume>,
}

#[derive(Deserialize)]
struct Groups {
    vg: Vec<Space>,
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
    /// What `--config` says, once it is known.
    config: OnceCell<String>,
    turn: Arc<Mutex<()>>,
    attachments: Attachments,
}

impl Group {
    pub(crate) fn new(storage: StorageId, name: &str, host: SharedHost) -> Self {
        Self {
            storage,
            name: name.to_owned(),
            host,
            config: OnceCell::new(),
            turn: Arc::default(),
            attachments: Attachments::default(),
        }
    }

    /// Runs a change to its end, after those that began earlier.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StorageError>> + Send + 'static,
    ) -> Result<T, StorageError> {
        let turn = self.turn.clone();
        let changing = tokio::spawn(async move {
            let _turn = turn.lock_owned().await;
            work.await
        });
        match changing.await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that shuts down cancels it; no caller is left then.
                Err(_) => Err(StorageError::Silent(self.storage.clone())),
            },
        }
    }

    /// The name that LVM's programs know a volume by.
    pub(crate) fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// Changes what is said of one volume, which errors name.
    pub(crate) async fn run(
        &self,
        volume: &str,
        program: &str,
        args: &[&str],
    ) -> Result<(), StorageError> {
        let command = self.command(program, args, CHANGE).await;
        let command = command.map_err(|error| self.failed(volume, error))?;
        let output = self.host.run(command).await;
        let output = output.and_then(|output| output.checked(program));
        output.map(drop).map_err(|error| self.failed(volume, error))
    }

    /// All volumes of the group; none where there is no such group.
    pub(crate) async fn volumes(&self) -> Result<Vec<Volume>, StorageError> {
        let lists: Vec<Volumes> = self.ask("lvs", COLUMNS).await?;
        Ok(lists.into_iter().flat_map(|list| list.lv).collect())
    }

    /// How much the group has; none where there is no such group.
    pub(crate) async fn space(&self) -> Result<Option<Space>, StorageError> {
        let lists: Vec<Groups> = self.ask("vgs", "vg_size,vg_free").await?;
        Ok(lists.into_iter().flat_map(|list| list.vg).next())
    }

    /// What one of the programs lists of the group.
    async fn ask<T: DeserializeOwned>(
        &self,
        program: &str,
        columns: &str,
    ) -> Result<Vec<T>, StorageError> {
        let units = ["--reportformat", "json", "--units", "b", "--nosuffix"];
        let args = [&units[..], &["--options", columns, &self.name]].concat();
        let failed = |error| self.failed(&self.name, error);
        let command = self.command(program, &args, LOOK).await.map_err(failed)?;
        let output = self.host.run(command).await.map_err(failed)?;
        if !output.success() && output.complaint().contains("Cannot process volume group") {
            return Ok(Vec::new());
        }
        parse(program, &output.checked(program).map_err(failed)?).map_err(failed)
    }

    /// The device of a volume that is active.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/dev/{}", self.full(name)))
    }

    /// Activates a volume, and returns its device. `how` are arguments of `lvchange`.
    pub(crate) async fn attach(
        &self,
        volume: &Volume,
        how: &[&str],
        by: &Attacher,
    ) -> Result<BlockSource, StorageError> {
        let name = &volume.name;
        let full = self.full(name);
        if !volume.is_active() {
            let args = [how, &[full.as_str()]].concat();
            self.run(name, "lvchange", &args).await?;
        }
        self.attachments.add(name, by);
        let device = self.host.resolve(&self.path(name)).await;
        let device = device.map_err(|error| StorageError::of(&self.storage, error))?;
        Ok(BlockSource::Device(device.display().to_string()))
    }

    /// Whether no attacher of a volume is left.
    pub(crate) fn let_go(&self, name: &str, by: &Attacher) -> bool {
        self.attachments.remove(name, by)
    }

    /// Deactivates a volume that nobody has attached. If it is still open, an agent that has died
    /// had attached it for a process that still runs.
    pub(crate) async fn deactivate(&self, volume: &Volume) -> Result<(), StorageError> {
        if !volume.is_active() {
            return Ok(());
        }
        let (name, full) = (&volume.name, self.full(&volume.name));
        match self
            .run(name, "lvchange", &["--activate", "n", &full])
            .await
        {
            Err(StorageError::InUse { .. }) => Ok(()),
            deactivated => deactivated,
        }
    }

    async fn command(
        &self,
        program: &str,
        args: &[&str],
        timeout: Duration,
    ) -> Result<Command, SysError> {
        let config = self.config.get_or_try_init(|| self.read_config()).await?;
        let mut command = Command::new(program)
            .args(["--config", config])
            .args(args.iter().copied())
            .timeout(Some(timeout));
        // What the agent has open is closed in its programs; LVM need not look for more.
        let quiet = ("LVM_SUPPRESS_FD_WARNINGS".to_owned(), "1".to_owned());
        command.env.push(quiet);
        Ok(command)
    }

    /// Our filter, and the administrator's beside it: a device has to pass both.
    async fn read_config(&self) -> Result<String, SysError> {
        let ask = Command::new("lvmconfig")
            .arg("devices/global_filter")
            .timeout(Some(LOOK));
        let asked = self.host.run(ask).await?;
        let printed = String::from_utf8_lossy(&asked.stdout);
        // It fails if the filter is not set.
        let theirs = printed.split_once('=').filter(|_| asked.success());
        Ok(config(theirs.map(|(_, filter)| filter.trim())))
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
        } else if says("Failed to find logical volume") {
            StorageError::NoVolume { storage, name }
        } else if says("insufficient free space") || says("above threshold") {
            StorageError::Full(storage)
        } else {
            StorageError::of(&self.storage, error)
        }
    }
}

/// What `--config` says, with the administrator's filter as `lvmconfig` prints it.
fn config(theirs: Option<&str>) -> String {
    let quoted: Vec<String> = REJECTED.map(|pattern| format!("\"{pattern}\"")).to_vec();
    let ours = quoted.join(",");
    let filter = theirs.map(|theirs| format!(" filter={theirs}"));
    let filter = filter.unwrap_or_default();
    format!(
        "devices {{ global_filter=[{ours}]{filter} scan_lvs=0 }} report {{ time_format=\"%s\" }}"
    )
}

fn parse<T: DeserializeOwned>(program: &str, printed: &[u8]) -> Result<Vec<T>, SysError> {
    let printed: Printed<T> = serde_json::from_slice(printed).map_err(|error| {
        SysError::Unsupported(format!(
            "{program} printed something else than JSON: {error}"
        ))
    })?;
    Ok(printed.report)
}

#[cfg(test)]
mod tests {
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
        let lists: Vec<Volumes> = parse("lvs", PRINTED.as_bytes()).unwrap();
        let volumes: Vec<Volume> = lists.into_iter().flat_map(|list| list.lv).collect();
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
        assert!(parse::<Volumes>("lvs", b"no").is_err());
    }

    #[test]
    fn guests_disks_are_rejected_beside_what_the_administrator_rejects() {
        let plain = config(None);
        assert!(plain.starts_with("devices { global_filter=[\"r|^/dev/zd|\",\"r|^/dev/zvol/|\","));
        assert!(plain.contains("scan_lvs=0") && !plain.contains(" filter="));
        let both = config(Some(r#"["r|/dev/sdz|"]"#));
        assert!(
            both.contains(r#"] filter=["r|/dev/sdz|"] scan_lvs=0"#),
            "{both}"
        );
    }
}
