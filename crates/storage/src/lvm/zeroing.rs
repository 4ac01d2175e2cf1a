//! Overwriting volumes with zeros. It takes as long as their disks do, and no change of the group
//! waits for it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sys::Command;

use super::{THICK, Tools, freed};
use crate::{StorageError, Turn, WipeRate};

/// How much is zeroed at a time where nothing is said, in MiB. Source: Proxmox VE's default.
const STEP_MIB: u64 = 32;

/// The most that one program zeroes. Between two of them the turn is kept.
const PIECE: u64 = 256 << 20;

/// The least, at however low a rate.
const LEAST_PIECE: u64 = 1 << 20;

/// A turn is kept at least so often.
const REST: Duration = Duration::from_secs(10);

/// A piece takes no longer on a disk that works.
const LONGEST: Duration = Duration::from_secs(300);

impl Tools {
    /// Frees a volume and what it held: takes its name, zeroes it, removes it. What
    /// an earlier attempt has not finished goes first.
    pub(super) async fn free_safely(self: &Arc<Self>, name: &str) -> Result<bool, StorageError> {
        let was_left = self.finish(name).await?;
        let given_up = {
            let name = name.to_owned();
            self.change(|changing| async move { changing.give_up(&name).await })
        };
        match given_up.await? {
            true => self.finish(name).await,
            false => Ok(was_left),
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
            let done = tools.zero_and_remove(&doomed, &*turn).await;
            turn.end().await;
            done
        };
        // It goes on if its caller stops waiting.
        super::group::to_its_end(&self.group.storage, finishing).await
    }

    async fn zero_and_remove(
        self: &Arc<Self>,
        name: &str,
        turn: &dyn Turn,
    ) -> Result<bool, StorageError> {
        let Some(found) = self.find(name).await? else {
            return Ok(false);
        };
        self.group.activate(name, THICK).await?;
        let device = self.group.path(name);
        self.zero((&device, found.size()), turn).await?;
        let name = name.to_owned();
        self.change(|changing| async move { changing.remove(&name).await })
            .await
    }

    /// Overwrites a device with zeros, no faster than `saferemove_throughput` says.
    pub(super) async fn zero(
        &self,
        (device, size): (&Path, u64),
        turn: &dyn Turn,
    ) -> Result<(), StorageError> {
        let rate = self.spec.saferemove_throughput.as_ref();
        let rate = rate.map(WipeRate::bytes_per_s);
        let piece = rate.map_or(PIECE, |rate| rate.clamp(LEAST_PIECE, PIECE));
        let begun = Instant::now();
        let mut at = 0;
        while at < size {
            let length = (piece - piece % LEAST_PIECE).min(size - at);
            let deadline = turn.keep().await?;
            self.zero_piece(device, (at, length), deadline).await?;
            at += length;
            let due = rate.map(|rate| Duration::from_secs_f64(at as f64 / rate as f64));
            rest_until(due.unwrap_or_default(), begun, turn).await?;
        }
        Ok(())
    }

    async fn zero_piece(
        &self,
        device: &Path,
        (offset, length): (u64, u64),
        deadline: Option<Duration>,
    ) -> Result<(), StorageError> {
        let step = self.spec.saferemove_stepsize.unwrap_or(STEP_MIB) << 20;
        let device = device.display().to_string();
        let [step, offset, length] = [step, offset, length].map(|bytes| bytes.to_string());
        let which = ["--offset", &offset, "--length", &length, &device];
        let command = Command::new("blkdiscard")
            .args(["--force", "--zeroout", "--step", &step])
            .args(which)
            .deadline(deadline)
            .timeout(Some(LONGEST));
        let zeroed = self.group.host.run(command).await;
        let zeroed = zeroed.and_then(|output| output.checked("blkdiscard"));
        let failed = |error| StorageError::of(&self.group.storage, error);
        zeroed.map(drop).map_err(failed)
    }
}

/// Waits until a time after the beginning, and keeps the turn meanwhile.
async fn rest_until(due: Duration, begun: Instant, turn: &dyn Turn) -> Result<(), StorageError> {
    loop {
        let left = due.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(left.min(REST)).await;
        turn.keep().await?;
    }
}
