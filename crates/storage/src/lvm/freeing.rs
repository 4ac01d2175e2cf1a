//! Freeing volumes with what they held (`saferemove`). No change of the group waits for it.

use std::sync::Arc;

use super::group::to_its_end;
use super::{THICK, Tools, freed};
use crate::{StorageError, Turn};

impl Tools {
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
        to_its_end(&self.group.storage, finishing).await
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
        let removed = async {
            group.zero(device, self.pace(), &**turn).await?;
            let (name, turn) = (name.to_owned(), turn.clone());
            self.change(|changing| async move { changing.remove_zeroed(&name, &*turn).await })
                .await
        };
        let removed = removed.await;
        if removed.is_err() {
            // Another node may finish it, and another volume have its name.
            let _ = group.deactivate(name, THICK).await;
        }
        removed
    }
}
