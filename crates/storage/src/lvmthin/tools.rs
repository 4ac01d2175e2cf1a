//! LVM's programs, and how they are called.
//!
//! Every call rejects the devices of guests: a volume group inside a guest's disk must not be found
//! or changed. The administrator's own filter stays in force.
//!
//! A change always completes, even if its caller stops waiting: a program that is killed between
//! suspending and resuming a device leaves it suspended. Changes of one storage run one after
//! another, so that none spends its time-out waiting for LVM's own lock.

use std::sync::Arc;
use std::time::Duration;

use model::{StorageId, UnixTime};
use serde::Deserialize;
use sys::{Command, SharedHost, SysError};
use tokio::sync::{Mutex, OnceCell};

use crate::attach::Attachments;
use crate::{LvmThinSpec, StorageError};

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
const COLUMNS: &str = "lv_name,lv_size,lv_attr,pool_lv,data_percent,lv_time";

/// A logical volume, as `lvs` shows it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Volume {
    #[serde(rename = "lv_name")]
    pub(super) name: String,
    /// In bytes, as text.
    lv_size: String,
    /// A letter for each attribute, in lvs(8).
    lv_attr: String,
    pool_lv: String,
    data_percent: String,
    lv_time: String,
}

impl Volume {
    fn has(&self, attribute: usize, letter: u8) -> bool {
        self.lv_attr.as_bytes().get(attribute) == Some(&letter)
    }

    pub(super) fn is_thin_pool(&self) -> bool {
        self.has(0, b't')
    }

    pub(super) fn is_thin_in(&self, pool: &str) -> bool {
        self.has(0, b'V') && self.pool_lv == pool
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.has(1, b'r')
    }

    pub(super) fn is_active(&self) -> bool {
        self.has(4, b'a')
    }

    /// Whether a pool's new blocks read as zeros.
    pub(super) fn zeroes(&self) -> bool {
        self.has(7, b'z')
    }

    /// In bytes.
    pub(super) fn size(&self) -> u64 {
        self.lv_size.parse().unwrap_or_default()
    }

    /// How much of it has blocks in the pool, in bytes; for a pool, how much is taken.
    pub(super) fn used(&self) -> Option<u64> {
        let percent: f64 = self.data_percent.parse().ok()?;
        Some((self.size() as f64 * percent / 100.0) as u64)
    }

    pub(super) fn created(&self) -> UnixTime {
        self.lv_time.parse().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Printed {
    report: Vec<Report>,
}

#[derive(Deserialize)]
struct Report {
    lv: Vec<Volume>,
}

/// The programs for one volume group.
pub(super) struct Tools {
    pub(super) storage: StorageId,
    pub(super) group: String,
    pub(super) pool: String,
    pub(super) host: SharedHost,
    /// What `--config` says, once it is known.
    config: OnceCell<String>,
    turn: Mutex<()>,
    pub(super) attachments: Attachments,
}

impl Tools {
    pub(super) fn new(storage: StorageId, spec: &LvmThinSpec, host: SharedHost) -> Self {
        Self {
            storage,
            group: spec.vgname.clone(),
            pool: spec.thinpool.clone(),
            host,
            config: OnceCell::new(),
            turn: Mutex::default(),
            attachments: Attachments::default(),
        }
    }

    /// Runs a change to its end, after those that began earlier.
    pub(super) async fn change<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Self>) -> F,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let work = work(self.clone());
        let tools = self.clone();
        let changing = tokio::spawn(async move {
            let _turn = tools.turn.lock().await;
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
    pub(super) fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.group)
    }

    /// Changes what is said of one volume, which errors name.
    pub(super) async fn run(
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
    pub(super) async fn volumes(&self) -> Result<Vec<Volume>, StorageError> {
        let units = ["--reportformat", "json", "--units", "b", "--nosuffix"];
        let args = [&units[..], &["--options", COLUMNS, &self.group]].concat();
        let failed = |error| self.failed(&self.pool, error);
        let command = self.command("lvs", &args, LOOK).await.map_err(failed)?;
        let output = self.host.run(command).await.map_err(failed)?;
        if !output.success() && output.complaint().contains("Cannot process volume group") {
            return Ok(Vec::new());
        }
        parse(&output.checked("lvs").map_err(failed)?).map_err(failed)
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

fn parse(printed: &[u8]) -> Result<Vec<Volume>, SysError> {
    let printed: Printed = serde_json::from_slice(printed).map_err(|error| {
        SysError::Unsupported(format!("lvs printed something else than volumes: {error}"))
    })?;
    Ok(printed
        .report
        .into_iter()
        .flat_map(|report| report.lv)
        .collect())
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
         "data_percent":"","lv_time":"1764331203"}]}]}"#;

    #[test]
    fn volumes_are_read_as_lvs_prints_them() {
        let volumes = parse(PRINTED.as_bytes()).unwrap();
        let [pool, disk, base, root] = &volumes[..] else {
            panic!("{volumes:?}");
        };
        assert!(pool.is_thin_pool() && pool.is_active() && pool.zeroes());
        assert_eq!((pool.size(), pool.used()), (167_772_160, Some(20_971_520)));
        assert!(disk.is_thin_in("pool") && disk.is_active() && !disk.is_read_only());
        assert!(!disk.is_thin_in("other") && disk.created() == 1_764_331_201);
        assert!(base.is_read_only() && !base.is_active() && base.used().is_none());
        assert!(!root.is_thin_in("pool") && !root.is_thin_pool());
        assert!(parse(b"no").is_err());
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
