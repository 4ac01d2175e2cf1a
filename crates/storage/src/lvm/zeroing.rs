//! Overwriting devices with zeros. It takes as long as their disks do.

use std::path::Path;
use std::time::Duration;

use model::BlockSource;
use sys::Command;

use super::group::Group;
use crate::{Alone, AttachMode, Attacher, Storage, StorageError, Turn};

/// How much the kernel is given at a time where nothing is said. Source: Proxmox VE's default.
const STEP_MIB: u64 = 32;

/// The most that one program zeroes. Between two of them the turn is kept; a slow disk writes so much
/// before it ends.
const PIECE: u64 = 32 << 20;

/// The least, at however low a rate.
const LEAST_PIECE: u64 = 1 << 20;

/// A piece takes no longer on a disk that works.
const LONGEST: Duration = Duration::from_secs(300);

/// A turn is kept at least so often, and asked for again after so long if the store did not answer.
const REST: Duration = Duration::from_secs(5);

/// How often it is asked for.
const ATTEMPTS: usize = 6;

/// How a device is zeroed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// How much the kernel is given at a time.
    pub(super) step_mib: Option<u64>,
    pub(super) bytes_per_s: Option<u64>,
}

impl Group {
    /// Overwrites a device with zeros.
    pub(super) async fn zero(
        &self,
        (device, size): (&Path, u64),
        pace: Pace,
        turn: &dyn Turn,
    ) -> Result<(), StorageError> {
        let rate = pace.bytes_per_s;
        let piece = rate.map_or(PIECE, |rate| rate.clamp(LEAST_PIECE, PIECE));
        let piece = piece - piece % LEAST_PIECE;
        let mut at = 0;
        while at < size {
            let length = piece.min(size - at);
            let deadline = kept(turn).await?;
            let command = zeroing(device, (at, length), pace).deadline(deadline);
            let zeroed = self.host.run(command).await;
            let zeroed = zeroed.and_then(|output| output.checked("blkdiscard"));
            zeroed.map_err(|error| StorageError::of(&self.storage, error))?;
            at += length;
            if let Some(rate) = rate {
                let due = Duration::from_secs_f64(length as f64 / rate as f64);
                rest(due, turn).await?;
            }
        }
        Ok(())
    }
}

fn zeroing(device: &Path, (offset, length): (u64, u64), pace: Pace) -> Command {
    let step = (pace.step_mib.unwrap_or(STEP_MIB) << 20).min(PIECE);
    let device = device.display().to_string();
    let [step, offset, length] = [step, offset, length].map(|bytes| bytes.to_string());
    Command::new("blkdiscard")
        .args(["--force", "--zeroout", "--step", &step])
        .args(["--offset", &offset, "--length", &length, &device])
        .timeout(Some(LONGEST))
}

/// Keeps a turn, also through an election of the store's leader: hours of zeroing are not begun anew for
/// that.
async fn kept(turn: &dyn Turn) -> Result<Option<Duration>, StorageError> {
    let mut last = turn.keep().await;
    for _ in 1..ATTEMPTS {
        if !matches!(last, Err(StorageError::Locked { .. })) {
            break;
        }
        tokio::time::sleep(REST).await;
        last = turn.keep().await;
    }
    last
}

async fn rest(mut left: Duration, turn: &dyn Turn) -> Result<(), StorageError> {
    while left > REST {
        tokio::time::sleep(REST).await;
        left -= REST;
        kept(turn).await?;
    }
    tokio::time::sleep(left).await;
    Ok(())
}

/// Makes a new image read as zeros.
pub(crate) async fn zero_image(
    storage: &dyn Storage,
    group: &Group,
    name: &str,
) -> Result<(), StorageError> {
    let none = || group.no_volume(name);
    let size = storage.stat(name).await?.ok_or_else(none)?.size;
    let by = Attacher::Task(format!("zeros of {name}"));
    let attached = storage.attach(name, AttachMode::Exclusive, &by).await?;
    let zeroed = match &attached.source {
        BlockSource::Device(device) => {
            let device = (Path::new(device), size);
            group.zero(device, Pace::default(), &Alone).await
        }
        _ => Err(none()),
    };
    let detached = storage.detach(name, &by).await;
    zeroed.and(detached)
}
