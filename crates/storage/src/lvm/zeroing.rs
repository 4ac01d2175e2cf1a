//! Overwriting volumes with zeros. It takes as long as their disks do, and no change of the group
//! waits for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::BlockSource;
use sys::Command;

use super::{Group, THICK, Tools, freed};
use crate::{Alone, AttachMode, Attacher, Storage, StorageError, Turn, WipeRate};

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
    step_mib: Option<u64>,
    bytes_per_s: Option<u64>,
}

impl Tools {
    fn pace(&self) -> Pace {
        let rate = self.spec.saferemove_throughput.as_ref();
        Pace {
            step_mib: self.spec.saferemove_stepsize,
            bytes_per_s: rate.map(WipeRate::bytes_per_s),
        }
    }

    /// Frees a volume and what it held: takes its name, zeroes it, removes it. What
    /// an earlier attempt has not finished goes first.
    pub(super) async fn free_safely(self: &Arc<Self>, name: &str) -> Result<bool, StorageError> {
        let is_left = self.find(&freed(name)).await?.is_some();
        if is_left {
            self.finish(name).await?;
        }
        let given_up = {
            let name = name.to_owned();
            self.change(|changing| async move { changing.give_up(&name).await })
        };
        match given_up.await? {
            true => self.finish(name).await,
            false => Ok(is_left),
        }
    }

    /// Zeroes and removes a volume whose name was taken from it. No other call does meanwhile, on no
    /// node: what is removed may be another volume's at once. False where there was none.
    async fn finish(self: &Arc<Self>, name: &str) -> Result<bool, StorageError> {
        let doomed = freed(name);
        let tools = self.clone();
        let finishing = async move {
            let _one_at_a_time = tools.zeroing.lock().await;
            let what = format!("lvm/{}/{doomed}", tools.group.name);
            let turn = tools.turns.take(&what).await?;
            let done = tools.zero_and_remove(&doomed, &turn).await;
            turn.end().await;
            done
        };
        // It goes on if its caller stops waiting.
        super::group::to_its_end(&self.group.storage, finishing).await
    }

    async fn zero_and_remove(
        self: &Arc<Self>,
        name: &str,
        turn: &Arc<dyn Turn>,
    ) -> Result<bool, StorageError> {
        let Some(found) = self.find(name).await? else {
            return Ok(false);
        };
        let group = &self.group;
        group.activate(name, THICK).await?;
        let device = (&*group.path(name), found.size());
        if let Err(error) = group.zero(device, self.pace(), &**turn).await {
            // Another node may finish it, and another volume have its name.
            let _ = group.deactivate(name, THICK).await;
            return Err(error);
        }
        let (name, turn) = (name.to_owned(), turn.clone());
        self.change(|changing| async move { changing.remove_zeroed(&name, &*turn).await })
            .await
    }
}

impl Group {
    /// Overwrites a device with zeros.
    async fn zero(
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
