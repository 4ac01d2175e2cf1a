//! Changes of a group. What changes the group's metadata is here, and only here: it needs a turn, which
//! for a group that several nodes see is the cluster's.

use std::ops::Deref;
use std::sync::Arc;

use model::VmId;

use super::group::{Volume, to_its_end};
use super::names::{Family, freed, nth_freed, parse_name, taking};
use super::{THICK, Tools, tags};
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

    /// Makes a volume with the tags of this name, and leaves it inactive. `Exists` where there is one
    /// of that name, of whatever kind, or what is about to have it. A failure leaves nothing.
    pub(super) async fn create(
        &self,
        name: &str,
        owner: VmId,
        size: u64,
    ) -> Result<(), StorageError> {
        if self.is_taken(name).await? {
            return Err(self.group.exists(name));
        }
        let made = match self.make(name, &tags(name, owner), size).await {
            // Wiping needed it to be active.
            Ok(()) => self.finish_new(name).await,
            Err(error) => Err(error),
        };
        if made.is_err() && !matches!(made, Err(StorageError::Exists { .. })) {
            let _ = self.remove(name).await;
        }
        made
    }

    /// Whether there is a volume of this name, or what is left of the image that had it.
    async fn is_taken(&self, name: &str) -> Result<bool, StorageError> {
        let family = Family::of(name);
        let is_part = |volume: &Volume| {
            let family = family.as_ref().filter(|family| family.owns(volume));
            volume.name == name || family.is_some()
        };
        Ok(self.group.layout().await?.iter().any(is_part))
    }

    /// Makes a volume, and leaves it active.
    async fn make(&self, name: &str, tags: &[String], size: u64) -> Result<(), StorageError> {
        self.group.drop_any_mapping(name).await?;
        let size = format!("{}b", self.group.whole_size(size));
        // The host's automatic activation skips it; `attach` activates it. No signature of an
        // earlier volume must be found in it.
        let how = ["--yes", "--setautoactivation", "n", "--wipesignatures", "y"];
        let tags = tags.iter().flat_map(|tag| ["--addtag", tag]);
        let mut args: Vec<&str> = how.into_iter().chain(tags).collect();
        args.extend(["--size", &size, "--name", name, &self.group.name]);
        self.run(name, "lvcreate", &args).await.map(drop)
    }

    /// Makes a volume for a new layer of an image, in place of an earlier one that was not finished,
    /// and leaves it active. An image of another program may lack the tag that all its layers have.
    pub(super) async fn make_layer(
        &self,
        family: &Family,
        owner: VmId,
        size: u64,
    ) -> Result<(), StorageError> {
        let (name, tag) = (family.new_layer(), family.tag());
        self.remove(&name).await?;
        let image = self.find(family.image()).await?;
        if image.is_some_and(|image| !image.is_tagged(&tag)) {
            let args = ["--addtag", tag.as_str(), &self.group.full(family.image())];
            self.run(family.image(), "lvchange", &args).await?;
        }
        self.make(&name, &tags(family.image(), owner), size).await
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
        self.name(name, &freed(name)).await.map(|()| true)
    }

    async fn name(&self, from: &str, to: &str) -> Result<(), StorageError> {
        self.group.drop_any_mapping(to).await?;
        let args = [self.group.name.as_str(), from, to];
        self.run(from, "lvrename", &args).await.map(drop)
    }

    /// Takes the name from a layer, which `remove_freed` removes: a QEMU that stands still does not close
    /// what it has left, and LVM gives another name also to what is open.
    pub(super) async fn discard(&self, name: &str) -> Result<bool, StorageError> {
        let volumes = self.group.layout().await?;
        let has = |name: &str| volumes.iter().any(|volume| volume.name == name);
        if !has(name) {
            return Ok(false);
        }
        let doomed = (0..).map(|number| nth_freed(name, number));
        let mut doomed = doomed.filter(|doomed| !has(doomed));
        let doomed = doomed.next().expect("there are more numbers than volumes");
        self.name(name, &doomed).await.map(|()| true)
    }

    /// Gives a part of an image a name of it; the one that has it goes. LVM cannot do that in one step:
    /// what is broken off is ended by `end_naming`.
    pub(super) async fn take_name(
        &self,
        family: &Family,
        from: &str,
        to: &str,
    ) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        match volumes.iter().find(|volume| volume.name == to) {
            None => self.name(from, to).await,
            Some(own) if family.owns(own) => {
                self.name(from, &taking(to)).await?;
                self.discard(to).await?;
                self.name(&taking(to), to).await
            }
            Some(_) => Err(self.group.exists(to)),
        }
    }

    /// Puts a new layer above an image, which becomes that of a snapshot.
    pub(super) async fn insert(&self, family: &Family, layer: &str) -> Result<(), StorageError> {
        let image = family.image();
        self.take_name(family, image, layer).await?;
        self.take_name(family, &family.new_layer(), image).await
    }

    /// Ends what `take_name` began with the layers of an image.
    pub(super) async fn end_naming(&self, family: &Family) -> Result<(), StorageError> {
        let volumes = self.group.layout().await?;
        for volume in volumes.iter().filter(|volume| family.owns(volume)) {
            if let Some(layer) = family.takes(&volume.name) {
                let name = family.name(&layer);
                let mut named = volumes.iter().filter(|other| other.name == name);
                if named.any(|other| !family.owns(other)) {
                    return Err(self.group.exists(&name));
                }
                self.discard(&name).await?;
                self.name(&volume.name, &name).await?;
            }
        }
        Ok(())
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
        let family = Family::of(to).filter(|_| find(to).is_none());
        if let Some(family) = family
            && volumes.iter().any(|volume| family.owns(volume))
        {
            // What is left of an image of that name.
            return Err(self.group.exists(to));
        }
        let source = find(from).filter(|volume| volume.is_thick());
        let target = find(to);
        let volume = match (source, target) {
            (Some(_), Some(_)) if from != to => return Err(self.group.exists(to)),
            (Some(volume), None) => {
                self.group.close(from).await?;
                self.name(from, to).await?;
                volume
            }
            (_, Some(volume)) if volume.is_thick() => volume,
            _ => return Err(self.group.no_volume(to)),
        };
        let earlier = parse_name(from).and_then(|said| said.owner);
        let earlier = earlier.map(|owner| tags(from, owner)).unwrap_or_default();
        let (tags, full) = (tags(to, owner), self.group.full(to));
        let mut args: Vec<&str> = Vec::new();
        for tag in earlier.iter().filter(|tag| !tags.contains(tag)) {
            if volume.is_tagged(tag) {
                args.extend(["--deltag", tag]);
            }
        }
        for tag in tags.iter().filter(|tag| !volume.is_tagged(tag)) {
            args.extend(["--addtag", tag]);
        }
        if args.is_empty() {
            return Ok(());
        }
        args.push(&full);
        self.run(to, "lvchange", &args).await.map(drop)
    }
}
