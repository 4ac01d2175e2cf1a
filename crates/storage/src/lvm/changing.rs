//! Changes of a group. What changes the group's metadata is here, and only here: it needs a turn, which
//! for a group that several nodes see is the cluster's.

use std::ops::Deref;
use std::sync::Arc;

use model::VmId;

use super::group::to_its_end;
use super::{THICK, Tools, freed, parse_name, tag};
use crate::{Alone, StorageError, Turn};

/// A group while nothing else changes it.
pub(super) struct Changing {
    tools: Arc<Tools>,
    turn: Arc<dyn Turn>,
}

impl Deref for Changing {
    type Target = Tools;

    fn deref(&self) -> &Tools {
        &self.tools
    }
}

impl Tools {
    /// Runs a change to its end, in a turn of its own. What only activates and deactivates does not
    /// wait for it.
    pub(super) async fn change<T, F>(
        self: &Arc<Self>,
        work: impl FnOnce(Arc<Changing>) -> F + Send + 'static,
    ) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let tools = self.clone();
        let changing = async move {
            let changes = tools.changes.clone();
            let _one_at_a_time = changes.lock_owned().await;
            let what = format!("lvm/{}", tools.group.name);
            let turn = tools.turns.take(&what).await?;
            let changing = Changing {
                tools,
                turn: turn.clone(),
            };
            let done = work(Arc::new(changing)).await;
            turn.end().await;
            done
        };
        to_its_end(&self.group.storage, changing).await
    }
}

impl Changing {
    /// Runs a program that changes the group. It begins at once when the turn has been kept, so that it
    /// ends in time.
    async fn run(
        &self,
        volume: &str,
        program: &str,
        args: &[&str],
    ) -> Result<String, StorageError> {
        let _alone_here = self.group.lock().await;
        self.group.prepare().await?;
        let deadline = self.turn.keep().await?;
        self.group.run_until(deadline, volume, program, args).await
    }

    /// Makes a volume, and leaves it inactive. `Exists` where there is one of that name, of whatever
    /// kind. A failure leaves nothing.
    pub(super) async fn create(
        &self,
        name: &str,
        owner: VmId,
        size: u64,
    ) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        if volumes.iter().any(|volume| volume.name == name) {
            return Err(self.group.exists(name));
        }
        let (size, tag) = (format!("{}b", self.group.whole_size(size)), tag(owner));
        // The host's automatic activation skips it; `attach` activates it. No signature of an
        // earlier volume must be found in it.
        let how = ["--yes", "--setautoactivation", "n", "--wipesignatures", "y"];
        let what = ["--addtag", &tag, "--size", &size, "--name", name];
        let args = [&how[..], &what, &[self.group.name.as_str()]].concat();
        let made = match self.run(name, "lvcreate", &args).await {
            // Wiping needed it to be active.
            Ok(_) => self.finish_new(name).await,
            Err(error) => Err(error),
        };
        if made.is_err() && !matches!(made, Err(StorageError::Exists { .. })) {
            let _ = self.remove(name).await;
        }
        made
    }

    /// Encrypts a new volume that is active, and deactivates it.
    async fn finish_new(&self, name: &str) -> Result<(), StorageError> {
        self.group.format(name).await?;
        let off = ["--activate", "n", &self.group.full(name)];
        let _alone_here = self.group.lock().await;
        self.group.run(name, "lvchange", &off).await.map(drop)
    }

    pub(super) async fn remove(&self, name: &str) -> Result<bool, StorageError> {
        self.remove_zeroed(name, &Alone).await
    }

    /// Removes a volume that was zeroed in another turn, which must hold until it is gone.
    pub(super) async fn remove_zeroed(
        &self,
        name: &str,
        zeroing: &dyn Turn,
    ) -> Result<bool, StorageError> {
        let _alone_here = self.group.lock().await;
        self.group.close(name).await?;
        self.group.prepare().await?;
        let deadlines = [zeroing.keep().await?, self.turn.keep().await?];
        let deadline = deadlines.into_iter().flatten().min();
        self.group.remove_until(deadline, name, THICK).await
    }

    pub(super) async fn grow(&self, name: &str, size: u64) -> Result<(), StorageError> {
        let whole = self.group.whole_size(size);
        if self.get(name).await?.size() < whole {
            let (whole, full) = (format!("{whole}b"), self.group.full(name));
            let args = ["--size", whole.as_str(), &full];
            self.run(name, "lvextend", &args).await?;
        }
        self.group.grow_open(name).await
    }

    /// Takes the name from a volume that is freed. False where there was none.
    pub(super) async fn give_up(&self, name: &str) -> Result<bool, StorageError> {
        if self.find(name).await?.is_none() {
            return Ok(false);
        }
        self.group.close(name).await?;
        let args = [self.group.name.as_str(), name, &freed(name)];
        self.run(name, "lvrename", &args).await.map(|_| true)
    }

    /// Gives a volume another name, and the tag of its new owner.
    pub(super) async fn rename(
        &self,
        from: &str,
        to: &str,
        owner: VmId,
    ) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        let find = |name: &str| volumes.iter().find(|volume| volume.name == name);
        let source = find(from).filter(|volume| volume.is_thick());
        let target = find(to);
        let volume = match (source, target) {
            (Some(_), Some(_)) if from != to => return Err(self.group.exists(to)),
            (Some(volume), None) => {
                self.group.close(from).await?;
                let args = [self.group.name.as_str(), from, to];
                self.run(from, "lvrename", &args).await?;
                volume
            }
            (_, Some(volume)) if volume.is_thick() => volume,
            _ => return Err(self.group.no_volume(to)),
        };
        let earlier = parse_name(from).and_then(|said| said.owner).map(tag);
        let (tag, full) = (tag(owner), self.group.full(to));
        let mut args: Vec<&str> = Vec::new();
        if let Some(earlier) = earlier
            .as_ref()
            .filter(|it| **it != tag && volume.is_tagged(it))
        {
            args.extend(["--deltag", earlier]);
        }
        if !volume.is_tagged(&tag) {
            args.extend(["--addtag", &tag]);
        }
        if args.is_empty() {
            return Ok(());
        }
        args.push(&full);
        self.run(to, "lvchange", &args).await.map(drop)
    }
}
