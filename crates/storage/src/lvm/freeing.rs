//! Freeing volumes with what they held (`saferemove`). No change of the group waits for it.

use std::sync::Arc;

use super::group::to_its_end;
use super::names::freed;
use super::{THICK, Tools};
use crate::{StorageError, Turn};

impl Tools {
    /// Frees a volume and what it held: takes its name, zeroes it, removes it. What
    /// an earlier attempt has not finished goes first.
    pub(super) async fn free_safely(self: &Arc<Self>, name: &str) -> Result<bool, StorageError> {
        let is_left = self.find(&freed(name)).await?.is_some();
        if is_left {
            self.finish(&freed(name)).await?;
        }
        let given_up = {
            let name = name.to_owned();
            self.change(|changing| async move { changing.give_up(&name).await })
        };
        match given_up.await? {
            true => self.finish(&freed(name)).await,
            false => Ok(is_left),
        }
    }

    /// Zeroes, if that is wanted, and removes a volume whose name was taken from it. No other call does meanwhile, on no
    /// node: what is removed may be another volume's at once. False where there was none.
    pub(super) async fn finish(self: &Arc<Self>, doomed: &str) -> Result<bool, StorageError> {
        let doomed = doomed.to_owned();
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
        if found.is_open() {
            group.let_host_look().await;
            if self.find(name).await?.is_some_and(|found| found.is_open()) {
                let (storage, name) = (group.storage.clone(), name.to_owned());
                return Err(StorageError::InUse { storage, name });
            }
        }
        let removed = async {
            if self.spec.saferemove == Some(true) {
                group.drop_other_mapping(&found).await?;
                group.activate(&[name], THICK).await?;
                let device = (&*group.path(name), found.size());
                group.zero(device, self.pace(), &**turn).await?;
            }
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
