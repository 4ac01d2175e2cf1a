//! The steps that save a running guest's memory in a volume.
//!
//! ```text
//!   allocate-memory ─ save-memory ─ (what must happen while it stands still) ─ finish-memory
//!                       │
//!                       memory is written while the guest runs; at the end it stands still
//! ```
//!
//! Undone anywhere, the guest runs on as if nothing had been.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use guest::qemu::{MigrationState, Qmp, QmpError, VmConfig};
use model::{BlockFormat, Error, GuestRecord, SavedMemory, StorageId, VmId, VolumeId};
use serde::{Deserialize, Serialize};
use storage::{AttachMode, ContentType};
use tasks::{Step, Task, TaskContext};

use super::qmp_failed;
use crate::qemu::drives;
use crate::volumes::attached::by_task;
use crate::{NodeContext, volumes};

/// What the state of devices may take besides memory.
const DEVICES_BYTES: u64 = 500 << 20;

/// How often the migration is looked at, and how often its progress is logged.
const LOOK: Duration = Duration::from_millis(50);
const TELL_EVERY: u32 = 20;

/// What the descriptor of the volume is called in QEMU.
const DESCRIPTOR: &str = "memory";

/// Where memory is to be saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NewMemory {
    pub(super) saved: SavedMemory,
    bytes: u64,
    /// The guest's memory in bytes. More than this is only written because the guest is faster
    /// than we are.
    memory_bytes: u64,
    /// Whether the guest executed when the work began, and is to do so afterwards.
    executes: bool,
}

/// Chooses where a running guest's memory goes; `what` names the volume. It may grow to twice
/// the memory, as what changes meanwhile is written again.
pub(super) async fn plan_memory(
    cx: &TaskContext<NodeContext>,
    guest: &GuestRecord,
    storage: Option<StorageId>,
    what: &str,
) -> Result<NewMemory, Error> {
    let vmid = guest.vmid;
    let id = match storage {
        Some(id) => id,
        None => cx.node.memory_storage(guest).await?,
    };
    let storage = cx.node.storage(&id).await?;
    if !storage.config().takes(ContentType::Images) {
        let text = format!("storage '{id}' does not support content-type 'images'");
        return Err(Error::conflict(text));
    }
    if !storage.config().spec.kind().has_paths() {
        let text = format!("storage '{id}' cannot hold the memory of a guest: set vmstatestorage");
        return Err(Error::conflict(text));
    }
    storage.activate().await?;
    let name = storage.image_name(vmid, what, BlockFormat::Raw);
    if storage.stat(&name).await?.is_some() {
        let text = format!("volume '{id}:{name}' already exists");
        return Err(Error::conflict(text));
    }
    let volume = volumes::named(&id, name)?;
    let not_running = || Error::conflict(format!("VM {vmid} is not running"));
    let file = cx
        .node
        .running
        .run_file(vmid)
        .await?
        .ok_or_else(not_running)?;
    let running_as = serde_json::to_value(&file.running_as)
        .map_err(|error| Error::bug(format!("a machine cannot be written: {error}")))?;
    let status = cx.node.running.status(vmid).await?.qmp_status;
    let status = status.unwrap_or_default();
    if !["running", "paused"].contains(&status.as_str()) {
        let text = format!("VM {vmid} is '{status}', which cannot be saved");
        return Err(Error::conflict(text));
    }
    let memory_bytes = file.running_as.total_memory_mib() << 20;
    Ok(NewMemory {
        saved: SavedMemory { volume, running_as },
        bytes: 2 * memory_bytes + DEVICES_BYTES,
        memory_bytes,
        executes: status == "running",
    })
}

impl NodeContext {
    /// The storage for a guest's memory where the caller names none: as configured, else a shared one
    /// that has a disk of the guest, else a local one that does, best with files, else `local`.
    pub async fn memory_storage(&self, guest: &GuestRecord) -> Result<StorageId, Error> {
        let named = |id: &str| StorageId::new(id).map_err(|error| Error::bug(error.to_string()));
        if let Some(id) = guest.config.text("vmstatestorage") {
            return named(&id);
        }
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let (mut with_files, mut other) = (None, None);
        for (_, volume) in drives::disks_of(&config) {
            let id = volume.storage();
            let storage = self.storage(id).await?;
            let spec = &storage.config().spec;
            if spec.is_shared() {
                return Ok(id.clone());
            }
            let local = match spec.folder() {
                Some(_) => &mut with_files,
                None => &mut other,
            };
            local.get_or_insert_with(|| id.clone());
        }
        with_files.or(other).map_or_else(|| named("local"), Ok)
    }
}

/// A task that saves a guest's memory, or does not where none is planned.
pub(super) trait SavesMemory: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;
    fn memory(&self) -> Option<&NewMemory>;
    /// Whether the guest runs on when all is written.
    const RUNS_ON: bool;
}

pub(super) struct AllocateMemory;

#[async_trait]
impl<T: SavesMemory> Step<T> for AllocateMemory {
    fn name(&self) -> &'static str {
        "allocate-memory"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let Some(memory) = task.memory() else {
            return Ok(());
        };
        let volume = &memory.saved.volume;
        let storage = cx.node.storage(volume.storage()).await?;
        storage
            .allocate(volume.name(), BlockFormat::Raw, memory.bytes)
            .await?;
        cx.log(&format!("saving the guest's memory to '{volume}'"))
            .await;
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &T) -> Result<(), Error> {
        // The guest is ours, and its one volume of this name was not there when we began.
        if let Some(memory) = task.memory() {
            free(cx, &memory.saved.volume).await?;
        }
        Ok(())
    }
}

/// Removes a volume of saved memory; none is none too much.
pub(super) async fn free(cx: &TaskContext<NodeContext>, volume: &VolumeId) -> Result<(), Error> {
    let storage = cx.node.storage(volume.storage()).await?;
    storage.free(volume.name()).await?;
    Ok(())
}

pub(super) struct SaveMemory;

#[async_trait]
impl<T: SavesMemory> Step<T> for SaveMemory {
    fn name(&self) -> &'static str {
        "save-memory"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let Some(memory) = task.memory() else {
            return Ok(());
        };
        let qmp = cx.node.running.qmp(task.vmid()).await?;
        let path = attach(cx, &memory.saved.volume).await?;
        let file = cx.node.host.open_image(&path, true, false).await?;
        qmp.name_descriptor(DESCRIPTOR, file.as_fd())
            .await
            .map_err(qmp_failed)?;
        qmp.save_memory(DESCRIPTOR).await.map_err(qmp_failed)?;
        until_it_stands_still(cx, &qmp, memory).await
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &T) -> Result<(), Error> {
        if let Some((qmp, memory)) = saved_by(cx, task).await? {
            give_up(cx, &qmp, memory).await?;
        }
        match task.memory() {
            Some(memory) => cx.node.detach(&memory.saved.volume, &by_task(cx)).await,
            None => Ok(()),
        }
    }
}

/// Who saves what, where memory is saved and its guest still runs.
async fn saved_by<'a, T: SavesMemory>(
    cx: &TaskContext<NodeContext>,
    task: &'a T,
) -> Result<Option<(Qmp, &'a NewMemory)>, Error> {
    match task.memory() {
        Some(memory) if cx.node.running.is_running(task.vmid()).await? => {
            Ok(Some((cx.node.running.qmp(task.vmid()).await?, memory)))
        }
        _ => Ok(None),
    }
}

/// Ends the saving, wherever it is, and lets the guest run on.
///
/// It is not broken off while memory is written: QEMU 7.2 may then wait for ever for the word to
/// go on. It waits by itself before the end, and there it can be.
async fn give_up(
    cx: &TaskContext<NodeContext>,
    qmp: &Qmp,
    memory: &NewMemory,
) -> Result<(), Error> {
    let mut is_paused = !memory.executes;
    loop {
        let migration = qmp.migration().await.map_err(qmp_failed)?;
        match migration.state {
            MigrationState::PreSwitchover => qmp.cancel_migration().await.map_err(qmp_failed)?,
            MigrationState::Active => {
                is_paused = hurry(cx, qmp, memory, migration.written, is_paused).await?;
            }
            MigrationState::Idle | MigrationState::Completed | MigrationState::Failed(_) => break,
        }
        cx.clock.sleep(LOOK).await;
    }
    run_on(cx, qmp, memory).await
}

/// Pauses a guest that changes its memory faster than it is saved. Answers whether it is paused.
async fn hurry(
    cx: &TaskContext<NodeContext>,
    qmp: &Qmp,
    memory: &NewMemory,
    written: u64,
    is_paused: bool,
) -> Result<bool, Error> {
    if is_paused || written <= memory.memory_bytes {
        return Ok(is_paused);
    }
    cx.log("the guest changes its memory faster than it is saved; pausing it")
        .await;
    qmp.pause().await.map_err(qmp_failed)?;
    Ok(true)
}

async fn until_it_stands_still(
    cx: &TaskContext<NodeContext>,
    qmp: &Qmp,
    memory: &NewMemory,
) -> Result<(), Error> {
    let mut is_paused = !memory.executes;
    for look in 0_u32.. {
        let migration = qmp.migration().await.map_err(qmp_failed)?;
        match migration.state {
            MigrationState::PreSwitchover => break,
            MigrationState::Active => {}
            MigrationState::Failed(why) => {
                return Err(Error::unavailable(format!("memory cannot be saved: {why}")));
            }
            MigrationState::Idle | MigrationState::Completed => {
                return Err(Error::unavailable(
                    "somebody else ended the saving of memory",
                ));
            }
        }
        is_paused = hurry(cx, qmp, memory, migration.written, is_paused).await?;
        if look % TELL_EVERY == TELL_EVERY - 1 {
            let all = migration.written + migration.remaining;
            cx.progress("memory", migration.written, all).await;
        }
        cx.clock.sleep(LOOK).await;
    }
    Ok(())
}

/// Lets a guest execute that did so before. One that was paused has to run for a moment: only
/// then its disks are its own again. One that QEMU will not let run is the administrator's to
/// deal with.
async fn run_on(cx: &TaskContext<NodeContext>, qmp: &Qmp, memory: &NewMemory) -> Result<(), Error> {
    let status = qmp.status().await.map_err(qmp_failed)?.state;
    let wanted = if memory.executes { "running" } else { "paused" };
    if status == wanted {
        return Ok(());
    }
    match qmp.cont().await {
        Err(error @ QmpError::Refused { .. }) => {
            cx.warn(&format!(
                "the guest does not run on: {}",
                Error::chain(&error)
            ))
            .await;
            return Ok(());
        }
        result => result.map_err(qmp_failed)?,
    }
    if !memory.executes {
        qmp.pause().await.map_err(qmp_failed)?;
    }
    Ok(())
}

pub(super) struct FinishMemory;

#[async_trait]
impl<T: SavesMemory> Step<T> for FinishMemory {
    fn name(&self) -> &'static str {
        "finish-memory"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        let Some(memory) = task.memory() else {
            return Ok(());
        };
        let qmp = cx.node.running.qmp(task.vmid()).await?;
        qmp.finish_migration().await.map_err(qmp_failed)?;
        let written = loop {
            let migration = qmp.migration().await.map_err(qmp_failed)?;
            match migration.state {
                MigrationState::Completed => break migration.written,
                MigrationState::Active | MigrationState::PreSwitchover => {}
                MigrationState::Failed(why) => {
                    return Err(Error::unavailable(format!("memory cannot be saved: {why}")));
                }
                MigrationState::Idle => {
                    return Err(Error::unavailable(
                        "somebody else ended the saving of memory",
                    ));
                }
            }
            cx.clock.sleep(LOOK).await;
        };
        sync(cx, &memory.saved.volume).await?;
        cx.log(&format!("saved {} MiB of memory", written >> 20))
            .await;
        if T::RUNS_ON {
            run_on(cx, &qmp, memory).await?;
        }
        Ok(())
    }

    async fn undo(&self, cx: &TaskContext<NodeContext>, task: &T) -> Result<(), Error> {
        // Before anything else is undone: until the guest runs on, its disks are not to be touched.
        let Some((qmp, memory)) = saved_by(cx, task).await? else {
            return Ok(());
        };
        go_through(cx, &qmp).await?;
        run_on(cx, &qmp, memory).await
    }
}

/// Has a saving that may have been told to go on come to its end. It is not cancelled there: while
/// it hands over the disks QEMU 7.2 may die of that, with the guest.
async fn go_through(cx: &TaskContext<NodeContext>, qmp: &Qmp) -> Result<(), Error> {
    loop {
        match qmp.migration().await.map_err(qmp_failed)?.state {
            MigrationState::PreSwitchover => match qmp.finish_migration().await {
                // It was told already.
                Err(QmpError::Refused { .. }) => {}
                told => told.map_err(qmp_failed)?,
            },
            MigrationState::Active => {}
            MigrationState::Idle | MigrationState::Completed | MigrationState::Failed(_) => {
                return Ok(());
            }
        }
        cx.clock.sleep(LOOK).await;
    }
}

/// What is saved must outlive the host before anybody counts on it.
async fn sync(cx: &TaskContext<NodeContext>, volume: &VolumeId) -> Result<(), Error> {
    let path = attach(cx, volume).await?;
    cx.node.host.sync(&path).await?;
    cx.node.detach(volume, &by_task(cx)).await
}

/// Attaches the volume for the task, and answers where it is.
async fn attach(cx: &TaskContext<NodeContext>, volume: &VolumeId) -> Result<PathBuf, Error> {
    let by = by_task(cx);
    let spec = cx.node.attach(volume, AttachMode::Exclusive, &by).await?;
    let missing = || Error::bug("a volume for memory has no path");
    spec.source.path().map(PathBuf::from).ok_or_else(missing)
}
