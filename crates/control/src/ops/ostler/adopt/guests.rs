//! Which guests this node can take over: their configurations as they are stored here, and what is wrong with
//! each.

use std::collections::{BTreeMap, BTreeSet};

use guest::qemu::machines;
use model::lxc::MountSlot;
use model::qemu::{DriveSlot, Machine, is_cloud_init_volume};
use model::schema::{Values, check_object};
use model::{
    Error, GuestConfig, GuestKind, GuestRecord, PendingChange, Snapshot, SnapshotState, StorageId,
    StorageMap, VmId, VolumeId,
};
use node::qemu::programs::QEMU;
use node::tasks::AdoptedGuest;
use node::{CtEdit, Edit, volumes_of, volumes_of_guest};
use serde_json::{Value, json};
use storage::{ContentType, VolumeNames};

use super::files::{GuestFile, Options};
use super::raw::devices;
use super::source::{GuestPath, Source};
use super::storages::{Found, Storages};
use crate::ops::Op;

/// Lines that are not options that a caller could set, and that stay as they are.
const KEPT: [&str; 3] = ["meta", "parent", "template"];

/// Lines of the program that ran the guest.
const OF_THE_RUN: [&str; 4] = [
    "digest",
    "running-nets-host-mtu",
    "runningcpu",
    "runningmachine",
];

/// A guest as it will be, and what its administrator should know.
struct Converted {
    record: GuestRecord,
    warnings: Vec<String>,
}

/// What the caller says about guests.
pub(super) struct Wanted<'a> {
    pub(super) only: Option<BTreeSet<VmId>>,
    pub(super) map: &'a StorageMap,
    /// Options that are left out.
    pub(super) drop: Vec<String>,
}

#[derive(Default)]
pub(super) struct Guests {
    pub(super) adopted: Vec<AdoptedGuest>,
    pub(super) rows: Vec<Value>,
}

impl Guests {
    pub(super) async fn plan(
        op: &Op,
        source: &Source,
        found: Vec<GuestPath>,
        wanted: &Wanted<'_>,
        storages: &Storages,
    ) -> Result<Self, Error> {
        let mut plan = Self::default();
        let numbers: BTreeSet<VmId> = found.iter().map(|guest| guest.vmid).collect();
        if let Some(missing) = wanted
            .only
            .iter()
            .flatten()
            .find(|vmid| !numbers.contains(vmid))
        {
            let text = format!("the source has no guest {missing} of this node");
            return Err(Error::invalid("vmids", text));
        }
        let machines = known_machines(op).await;
        for path in found {
            let is_wanted = wanted
                .only
                .as_ref()
                .is_none_or(|only| only.contains(&path.vmid));
            if is_wanted {
                let text = source.text(&path.path).unwrap_or_default();
                plan.add(
                    op,
                    &path,
                    GuestFile::parse(&text),
                    wanted,
                    storages,
                    &machines,
                )
                .await?;
            }
        }
        Ok(plan)
    }

    async fn add(
        &mut self,
        op: &Op,
        path: &GuestPath,
        mut file: GuestFile,
        wanted: &Wanted<'_>,
        storages: &Storages,
        machines: &[String],
    ) -> Result<(), Error> {
        let mut reasons = refusals(op, path, &file).await?;
        for options in file.all_mut() {
            rename_storages(options, wanted.map);
        }
        let mut row = row(path, &file);
        let mut warnings = Vec::new();
        let converter = Converter { op, path, wanted };
        match converter.convert(file).await? {
            Err(why) => reasons.extend(why),
            Ok(mut converted) => {
                warnings.append(&mut converted.warnings);
                let mut record = converted.record;
                let mut look = Look {
                    storages,
                    reasons: &mut reasons,
                    warnings: &mut warnings,
                };
                look.forget_unused(&mut record).await;
                let volumes = look.volumes(&record).await;
                look.snapshots(&mut record).await;
                row["volumes"] = volumes.len().into();
                row["snapshots"] = record.snapshots.len().into();
                self.warn_of_host(op, &record, machines, &mut warnings)
                    .await?;
                if reasons.is_empty() {
                    self.adopted.push(AdoptedGuest::new(record, volumes));
                }
            }
        }
        row["action"] = if reasons.is_empty() { "adopt" } else { "leave" }.into();
        row["reasons"] = reasons.into();
        row["warnings"] = warnings.into();
        self.rows.push(row);
        Ok(())
    }

    /// What this node lacks that the guest's start will ask for.
    async fn warn_of_host(
        &self,
        op: &Op,
        record: &GuestRecord,
        machines: &[String],
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        for bridge in bridges(&record.config) {
            if op.context.node.host.link(&bridge).await?.is_none() {
                warnings.push(format!("bridge '{bridge}' does not exist on this node"));
            }
        }
        let machine = record.config.text("machine");
        let machine = machine.and_then(|text| Machine::parse(&text).ok()?.name);
        if let Some(name) = machine
            && let Some((name, _)) = name.split_once('+').or(Some((&name, "")))
            && name.starts_with("pc-")
            && !machines.is_empty()
            && !machines.iter().any(|known| known == name)
        {
            warnings.push(format!(
                "machine: QEMU of this node does not know '{name}'; its newest is {}",
                machines[0]
            ));
        }
        if let Some(lock) = record.config.text("lock") {
            warnings.push(format!(
                "it is locked ({lock}), and stays so until it is unlocked"
            ));
        }
        Ok(())
    }
}

/// What speaks against a guest, whatever its options are.
async fn refusals(op: &Op, path: &GuestPath, file: &GuestFile) -> Result<Vec<String>, Error> {
    let mut reasons = Vec::new();
    if let Some(taken) = op.records.find(path.vmid).await? {
        let (word, node) = (taken.record.data.kind.word(), &taken.record.data.node);
        let text = format!("{word} {} already exists on node '{node}'", path.vmid);
        reasons.push(text);
    }
    let lock = file.now.values.get("lock");
    if lock.is_some_and(|lock| lock == "suspended") {
        let text = "its memory is saved for its next start, which only the system that saved it can read: \
                    resume it there and shut it down";
        reasons.push(text.to_owned());
    }
    Ok(reasons)
}

/// A guest's row, without what is found out later.
fn row(path: &GuestPath, file: &GuestFile) -> Value {
    let values = &file.now.values;
    let name = match path.kind {
        GuestKind::Qemu => "name",
        GuestKind::Lxc => "hostname",
    };
    let is_template = values.get("template").is_some_and(|text| text == "1");
    let mut row = json!({
        "vmid": path.vmid,
        "type": path.kind.as_str(),
        "volumes": 0,
        "snapshots": file.snapshots.len(),
        "template": u8::from(is_template),
    });
    if let Some(name) = values.get(name) {
        row["name"] = name.as_str().into();
    }
    row
}

/// The versioned machines of this node's QEMU, newest first; none where it cannot be asked.
async fn known_machines(op: &Op) -> Vec<String> {
    let help = op
        .context
        .node
        .programs
        .ask(QEMU, &["-machine", "help"])
        .await;
    let help = help.ok().flatten().unwrap_or_default();
    machines(&help)
        .into_iter()
        .map(|machine| machine.id)
        .collect()
}

/// The bridges that a guest's cards are on.
fn bridges(config: &GuestConfig) -> BTreeSet<String> {
    let nets = config.0.iter().filter(|(name, _)| name.starts_with("net"));
    let keys = nets.filter_map(|(_, value)| Some(value.as_str()?.split(',')));
    let bridges = keys.flatten().filter_map(|key| key.strip_prefix("bridge="));
    bridges.map(str::to_owned).collect()
}

/// Volumes of storages that get another id here.
fn rename_storages(options: &mut Options, map: &StorageMap) {
    for (name, value) in &mut options.values {
        let names_volumes = name.parse::<DriveSlot>().is_ok()
            || name.parse::<MountSlot>().is_ok()
            || name.starts_with("unused")
            || ["vmstate", "hookscript", "cicustom"].contains(&name.as_str());
        if names_volumes {
            let parts = value.split(',').map(|part| renamed(part, map));
            *value = parts.collect::<Vec<_>>().join(",");
        }
    }
}

/// `local:100/x`, `file=local:100/x`.
fn renamed(part: &str, map: &StorageMap) -> String {
    let (key, volume) = match part.split_once('=') {
        Some((key, volume)) if !key.contains(':') => (format!("{key}="), volume),
        _ => (String::new(), part),
    };
    let storage = volume
        .split_once(':')
        .and_then(|(id, rest)| Some((StorageId::new(id).ok()?, rest)));
    match storage {
        Some((id, rest)) if !volume.starts_with('/') => format!("{key}{}:{rest}", map.target(&id)),
        _ => part.to_owned(),
    }
}

/// Makes records of files.
struct Converter<'a> {
    op: &'a Op,
    path: &'a GuestPath,
    wanted: &'a Wanted<'a>,
}

impl Converter<'_> {
    /// The guest, or all that cannot be taken over.
    async fn convert(&self, file: GuestFile) -> Result<Result<Converted, Vec<String>>, Error> {
        let GuestFile {
            now,
            pending,
            snapshots,
            unreadable,
        } = file;
        let mut reasons: Vec<String> = unreadable
            .iter()
            .map(|line| format!("a line is no option: '{line}'"))
            .collect();
        let (node, clock) = (&self.op.context.node.name, &self.op.context.clock);
        let mut record =
            GuestRecord::new(self.path.vmid, self.path.kind, node.clone(), clock.wall());
        let mut warnings = Vec::new();
        let pending = self.pending(&now.values, pending).await?;
        match self.options(now, &mut warnings).await? {
            Ok(config) => record.config = config,
            Err(why) => reasons.extend(why),
        }
        match pending {
            Ok(pending) => record.pending = pending,
            Err(why) => reasons.extend(why.into_iter().map(|why| format!("pending: {why}"))),
        }
        let mut memories = Vec::new();
        for (name, options) in snapshots {
            match self
                .snapshot(&name, options, &mut warnings, &mut memories)
                .await?
            {
                Ok(snapshot) => {
                    record.snapshots.insert(name, snapshot);
                }
                Err(why) => {
                    let why = why
                        .into_iter()
                        .map(|why| format!("snapshot '{name}': {why}"));
                    reasons.extend(why);
                }
            }
        }
        keep_unused(&mut record.config, memories);
        Ok(match reasons.is_empty() {
            true => Ok(Converted { record, warnings }),
            false => Err(reasons),
        })
    }

    /// The options of a configuration or of a snapshot, in the form in which they are stored.
    async fn options(
        &self,
        mut options: Options,
        warnings: &mut Vec<String>,
    ) -> Result<Result<GuestConfig, Vec<String>>, Error> {
        let mut kept = Vec::new();
        for name in KEPT {
            kept.extend(options.take(name).map(|value| (name, value)));
        }
        for name in OF_THE_RUN {
            options.take(name);
        }
        let mut given = Values::new();
        let left = &self.wanted.drop;
        for (name, value) in options.values {
            match left.contains(&name) {
                true => warnings.push(format!("'{name}' is left out, as wanted")),
                false => {
                    given.insert(name, value.into());
                }
            }
        }
        if let Some(text) = options.description.as_deref().map(str::trim_end) {
            given.insert("description".to_owned(), text.into());
        }
        let raw = options
            .raw
            .into_iter()
            .filter(|(name, _)| !left.contains(name));
        let mut reasons = match devices(raw.collect(), &mut given, warnings) {
            Ok(()) => Vec::new(),
            Err(reasons) => reasons,
        };
        match self.edited(&given).await? {
            Err(why) => reasons.extend(why),
            Ok(mut config) if reasons.is_empty() => {
                for (name, value) in kept {
                    match (name, value.as_str()) {
                        ("template", flag) => config.set("template", i64::from(flag == "1")),
                        (name, value) => config.set(name, value),
                    }
                }
                return Ok(Ok(config));
            }
            Ok(_) => {}
        }
        Ok(Err(reasons))
    }

    /// Checked as a caller's parameters are.
    async fn edited(&self, given: &Values) -> Result<Result<GuestConfig, Vec<String>>, Error> {
        let groups = match self.path.kind {
            GuestKind::Qemu => model::qemu::OPTIONS,
            GuestKind::Lxc => model::lxc::OPTIONS,
        };
        let typed = match check_object(groups, given) {
            Ok(typed) => typed,
            Err(errors) => return Ok(Err(texts(Error::invalid_fields(errors)))),
        };
        let edited = match self.path.kind {
            GuestKind::Qemu => self.edited_vm(typed).await,
            GuestKind::Lxc => self.edited_container(&typed).await,
        };
        match edited {
            Ok(config) => Ok(Ok(config)),
            Err(error) if error.kind == model::ErrorKind::Bug => Err(error),
            Err(error) => Ok(Err(texts(error))),
        }
    }

    async fn edited_vm(&self, options: Values) -> Result<GuestConfig, Error> {
        let cluster = self.op.records.cluster_options().await?;
        let mut options = crate::ops::qemu::stored_options(&options, &cluster);
        let before = GuestConfig::default();
        crate::ops::qemu::seal_password(&self.op.context, &mut options, &before).await?;
        let edit = Edit::new(&options, &|| {
            node::random_mac(cluster.mac_prefix(), &self.op.context.node.name)
        })?;
        nothing_new(
            edit.new_volumes
                .iter()
                .map(|volume| volume.slot.to_string()),
        )?;
        edit.check(None)?;
        Ok(GuestConfig(edit.set))
    }

    async fn edited_container(&self, options: &Values) -> Result<GuestConfig, Error> {
        let cluster = self.op.records.cluster_options().await?;
        let local = StorageId::new("local").map_err(|error| Error::bug(error.to_string()))?;
        let mut edit = CtEdit::new(options, &local, &|| {
            node::random_mac(cluster.mac_prefix(), &self.op.context.node.name)
        })?;
        nothing_new(
            edit.new_volumes
                .iter()
                .map(|volume| volume.slot.to_string()),
        )?;
        if edit.set.get("unprivileged") == Some(&0.into()) {
            edit.set.remove("unprivileged");
        }
        edit.check(None)?;
        Ok(GuestConfig(edit.set))
    }

    /// What waits for the next start, checked together with what is now.
    async fn pending(
        &self,
        now: &BTreeMap<String, String>,
        mut options: Options,
    ) -> Result<Result<BTreeMap<String, PendingChange>, Vec<String>>, Error> {
        let mut pending = BTreeMap::new();
        let deleted = options.take("delete").unwrap_or_default();
        for name in model::schema::format::split_list(&deleted) {
            let force = name.starts_with('!');
            let name = name.trim_start_matches('!').to_owned();
            pending.insert(name, PendingChange::Delete { force });
        }
        options
            .values
            .retain(|name, _| !self.wanted.drop.contains(name));
        let mut after = now.clone();
        after.retain(|name, _| {
            let is_kept = KEPT.contains(&name.as_str()) || OF_THE_RUN.contains(&name.as_str());
            !is_kept && !pending.contains_key(name) && !self.wanted.drop.contains(name)
        });
        let set: Vec<String> = options.values.keys().cloned().collect();
        if set.is_empty() {
            return Ok(Ok(pending));
        }
        after.append(&mut options.values);
        let given = after.into_iter().map(|(name, value)| (name, value.into()));
        let mut config = match self.edited(&given.collect()).await? {
            Ok(config) => config,
            Err(reasons) => return Ok(Err(reasons)),
        };
        for name in set {
            if let Some(value) = config.0.remove(&name) {
                pending.insert(name, PendingChange::Set(value));
            }
        }
        Ok(Ok(pending))
    }

    async fn snapshot(
        &self,
        name: &str,
        mut options: Options,
        warnings: &mut Vec<String>,
        memories: &mut Vec<String>,
    ) -> Result<Result<Snapshot, Vec<String>>, Error> {
        let created = options.take("snaptime").and_then(|text| text.parse().ok());
        let parent = options.take("parent");
        let state = options.take("snapstate").map(|text| match text.as_str() {
            "delete" => SnapshotState::Delete,
            _ => SnapshotState::Prepare,
        });
        if let Some(volume) = options.take("vmstate") {
            warnings.push(format!(
                "snapshot '{name}': its memory ({volume}) cannot be loaded here; it becomes an unused volume, and a rollback restores the disks"
            ));
            memories.push(volume);
        }
        let description = options.description.take();
        let description = description.map(|text| text.trim_end().to_owned());
        let config = match self.options(options, warnings).await? {
            Ok(config) => config,
            Err(reasons) => return Ok(Err(reasons)),
        };
        Ok(Ok(Snapshot {
            config,
            description,
            parent,
            created: created.unwrap_or_else(|| self.op.context.clock.wall()),
            memory: None,
            state,
            job: None,
        }))
    }
}

/// Each field of an error with its reason.
fn texts(error: Error) -> Vec<String> {
    match error.fields.is_empty() {
        true => vec![error.message],
        false => error
            .fields
            .into_iter()
            .map(|(name, why)| format!("{name}: {}", why.trim_end()))
            .collect(),
    }
}

/// A file has no volumes that have yet to be made.
fn nothing_new(mut slots: impl Iterator<Item = String>) -> Result<(), Error> {
    slots.next().map_or(Ok(()), |slot| {
        Err(Error::invalid(slot, "it names no volume that was made"))
    })
}

/// Volumes that no option names any more are kept as unused ones, so that their owner can remove them.
fn keep_unused(config: &mut GuestConfig, volumes: Vec<String>) {
    let mut free = (0..256).map(|number| format!("unused{number}"));
    for volume in volumes {
        if let Some(slot) = free.by_ref().find(|slot| !config.0.contains_key(slot)) {
            config.set(slot, volume);
        }
    }
}

/// Looks for what a guest's configuration names.
struct Look<'a> {
    storages: &'a Storages,
    reasons: &'a mut Vec<String>,
    warnings: &'a mut Vec<String>,
}

impl Look<'_> {
    fn names(&self) -> VolumeNames {
        let found = self.storages.found.values();
        VolumeNames::of(found.map(|found| found.driver.config()))
    }

    /// Where a volume is. A storage of this node that has the id of one that is left is another one.
    fn storage(&self, volume: &VolumeId) -> Result<&Found, String> {
        let id = volume.storage();
        if let Some(why) = self.storages.left.get(id) {
            return Err(format!("volume '{volume}': storage '{id}' is left: {why}"));
        }
        let found = self.storages.found.get(id);
        found.ok_or_else(|| format!("volume '{volume}': there is no storage '{id}'"))
    }

    /// Volumes that the guest did not use and that are gone are no loss.
    async fn forget_unused(&mut self, record: &mut GuestRecord) {
        let unused = volumes_of(&record.config).into_iter();
        for (option, volume) in unused.filter(|(option, _)| option.starts_with("unused")) {
            let Ok(found) = self.storage(&volume) else {
                continue;
            };
            if found.not_ready.is_none()
                && matches!(found.driver.stat(volume.name()).await, Ok(None))
            {
                record.config.0.remove(&option);
                self.warnings.push(format!(
                    "'{option}' is left out: volume '{volume}' does not exist"
                ));
            }
        }
    }

    /// The disks and file systems that must be there for the guest to be adopted.
    async fn volumes(&mut self, record: &GuestRecord) -> Vec<VolumeId> {
        let names = self.names();
        let mut needed = Vec::new();
        let volumes = volumes_of_guest(record);
        for volume in volumes
            .into_iter()
            .filter(|volume| !is_cloud_init_volume(volume))
        {
            let found = match self.storage(&volume) {
                Ok(found) => found,
                Err(reason) => {
                    self.reasons.push(reason);
                    continue;
                }
            };
            let is_image = names.parse(&volume).is_none_or(|name| {
                matches!(name.content, ContentType::Images | ContentType::Rootdir)
            });
            let looked = match &found.not_ready {
                Some(_) => Ok(true),
                None => found
                    .driver
                    .stat(volume.name())
                    .await
                    .map(|found| found.is_some()),
            };
            match looked {
                Ok(true) if is_image => needed.push(volume),
                Ok(true) => {}
                Ok(false) if is_image => self
                    .reasons
                    .push(format!("volume '{volume}' does not exist")),
                Ok(false) => self.warnings.push(format!("'{volume}' does not exist")),
                Err(error) => self.reasons.push(format!("volume '{volume}': {error}")),
            }
        }
        needed
    }

    /// Leaves out the snapshots that a volume does not have.
    async fn snapshots(&mut self, record: &mut GuestRecord) {
        let mut missing = Vec::new();
        for (name, snapshot) in &record.snapshots {
            for (_, volume) in volumes_of(&snapshot.config) {
                if self.lacks(&volume, name).await {
                    missing.push((name.clone(), volume));
                    break;
                }
            }
        }
        for (name, volume) in missing {
            self.warnings.push(format!(
                "snapshot '{name}' is left out: volume '{volume}' has none of that name"
            ));
            let gone = record.snapshots.remove(&name);
            let parent = gone.and_then(|gone| gone.parent);
            let hangs = |on: &Option<String>| on.as_deref() == Some(&name);
            for snapshot in record.snapshots.values_mut() {
                if hangs(&snapshot.parent) {
                    snapshot.parent.clone_from(&parent);
                }
            }
            if hangs(&record.config.text("parent")) {
                match parent {
                    Some(parent) => record.config.set("parent", parent),
                    None => drop(record.config.0.remove("parent")),
                }
            }
        }
    }

    /// Whether a volume that can have snapshots has none of this name. What cannot be looked up counts as there.
    async fn lacks(&self, volume: &VolumeId, snapshot: &str) -> bool {
        let Some(found) = self.storages.found.get(volume.storage()) else {
            return false;
        };
        if found.not_ready.is_some() || is_cloud_init_volume(volume) {
            return false;
        }
        let Some(snapshots) = found.driver.snapshots() else {
            return false;
        };
        if snapshots.maker(volume.name()).is_none() {
            return false;
        }
        let listed = snapshots.list_snapshots(volume.name()).await;
        listed.is_ok_and(|listed| !listed.iter().any(|one| one == snapshot))
    }
}
