//! Drives of a running guest: plugged, unplugged, another medium, other limits.

use guest::qemu::block::{HostOptions, node_name, nodes, throttle_group, throttle_object};
use guest::qemu::{Backend, Device, VmConfig, block};
use model::BlockSpec;
use model::qemu::{Aio, BootDevice, Drive, DriveBus, DriveSlot};
use serde_json::{Map, Value, json};
use storage::Attacher;

use super::{Behind, Changer, Outcome, Trouble};
use crate::qemu::drives;

impl Changer<'_> {
    pub(super) async fn change_drive(
        &mut self,
        slot: DriveSlot,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        if !slot.bus().is_seen() {
            return Ok(Outcome::Waits);
        }
        let (old, new) = (before.drives.get(&slot), after.drives.get(&slot));
        if let (Some(old), Some(new)) = (old, new) {
            if old.is_cdrom() != new.is_cdrom() {
                return Err(Trouble::Refused("unable to change media type".to_owned()));
            }
            if new.is_cdrom() && self.is_recorded(&slot.to_string()) {
                return self.change_medium(slot, old, new).await;
            }
            if old.source() == new.source() {
                return self.change_throttle(slot, old, new).await;
            }
        }
        let can_be_plugged = matches!(slot.bus(), DriveBus::Scsi | DriveBus::Virtio);
        if !before.hotplug.disk || !can_be_plugged {
            return Ok(Outcome::Waits);
        }
        let id = slot.to_string();
        let is_there = match new {
            Some(new) => {
                self.has_label(&drives::label_of(slot, new)).await? && self.has_device(&id).await?
            }
            None => false,
        };
        if self.is_recorded(&id) && !is_there {
            if before.boot_devices().contains(&BootDevice::Drive(slot)) {
                let text = format!("can't unplug bootdisk '{slot}'");
                return Err(Trouble::Refused(text));
            }
            self.unplug_drive(slot, before).await?;
        }
        match new {
            Some(new) => self.plug_drive(slot, new, after).await,
            None => Ok(Outcome::Took),
        }
    }

    async fn change_throttle(
        &self,
        slot: DriveSlot,
        old: &Drive,
        new: &Drive,
    ) -> Result<Outcome, Trouble> {
        if !old.differs_only_in_throttle(new) {
            return Ok(Outcome::Waits);
        }
        let limits = block::limits(&new.throttle());
        self.qmp
            .set_throttle(&format!("/objects/{}", throttle_group(slot)), limits)
            .await?;
        Ok(Outcome::Took)
    }

    /// Whatever is in the drive comes out, and what is wanted goes in.
    async fn change_medium(
        &mut self,
        slot: DriveSlot,
        old: &Drive,
        new: &Drive,
    ) -> Result<Outcome, Trouble> {
        let id = slot.to_string();
        self.qmp.remove_medium(&id).await?;
        self.clear_drive(slot).await?;
        self.let_go(old).await?;
        if let Some(spec) = drives::attach_one(self.node, new, &self.attacher()).await? {
            self.add_nodes(slot, new, &spec).await?;
            self.qmp.insert_medium(&id, &node_name(slot)).await?;
        }
        self.note_attached(new);
        self.record(&[]).await?;
        Ok(Outcome::Took)
    }

    fn attacher(&self) -> Attacher {
        let (vmid, epoch) = (self.vmid, self.file.epoch);
        Attacher::Guest { vmid, epoch }
    }

    /// The run file will say that the guest has the drive's volume.
    fn note_attached(&mut self, drive: &Drive) {
        if let Some(volume) = drive.volume()
            && !self.file.volumes.contains(&volume)
        {
            self.file.volumes.push(volume);
        }
    }

    /// Detaches the volume of a drive that is gone; the run file will say so.
    async fn let_go(&mut self, drive: &Drive) -> Result<(), Trouble> {
        if let Some(volume) = drive.volume() {
            self.node.detach(&volume, &self.attacher()).await?;
            self.file.volumes.retain(|attached| *attached != volume);
        }
        Ok(())
    }

    async fn plug_drive(
        &mut self,
        slot: DriveSlot,
        new: &Drive,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let planned = self.planned(after)?;
        if self.is_recorded(&slot.to_string()) {
            return Ok(Outcome::Took);
        }
        let Some(devices) = self.file.running_as.plug(&planned, &Backend::Drive(slot)) else {
            return Ok(Outcome::Waits);
        };
        let devices = self.without_taken_boot_index(devices);
        if !self.has_device(&slot.to_string()).await? {
            // What an earlier attempt may have left is in the way.
            self.clear_drive(slot).await?;
            if let Err(trouble) = self.add_drive(slot, new, &devices).await {
                self.take_back(slot, new, &devices).await;
                return Err(trouble);
            }
        }
        self.note_attached(new);
        self.record(&devices).await?;
        Ok(Outcome::Took)
    }

    async fn add_drive(
        &self,
        slot: DriveSlot,
        new: &Drive,
        devices: &[Device],
    ) -> Result<(), Trouble> {
        let mut joined = Map::new();
        if let Some(spec) = drives::attach_one(self.node, new, &self.attacher()).await? {
            self.add_nodes(slot, new, &spec).await?;
            joined.insert("drive".to_owned(), node_name(slot).into());
        }
        for device in devices {
            if self.has_device(&device.id).await? {
                continue;
            }
            if let Some(thread) = &device.iothread
                && !self.has_object(thread).await?
            {
                let object = json!({"qom-type": "iothread", "id": thread});
                self.qmp.add_object(object).await?;
            }
            let backend = match device.backend {
                Backend::Drive(_) => joined.clone(),
                _ => Map::new(),
            };
            let arguments = Value::Object(device.arguments(backend));
            self.qmp.add_device(arguments).await?;
        }
        Ok(())
    }

    /// Opens a volume for QEMU and makes its block nodes.
    async fn add_nodes(
        &self,
        slot: DriveSlot,
        drive: &Drive,
        spec: &BlockSpec,
    ) -> Result<(), Trouble> {
        let options = HostOptions::new(drive, spec, Aio::Threads);
        let label = drives::label_of(slot, drive);
        let host = &self.node.host;
        let spec = drives::let_reach(self.node, self.vmid, self.file.user, spec).await?;
        let spec = drives::pass(host, &self.qmp, &label, &spec, &options).await?;
        if let Some(throttle) = &options.throttle {
            self.qmp.add_object(throttle_object(slot, throttle)).await?;
        }
        for node in nodes(slot, &spec, &options) {
            self.qmp.add_block_node(node).await?;
        }
        Ok(())
    }

    async fn has_label(&self, label: &str) -> Result<bool, Trouble> {
        let sets = self.qmp.descriptor_sets().await?;
        Ok(sets
            .iter()
            .any(|(_, said)| said.iter().any(|said| said == label)))
    }

    async fn unplug_drive(&mut self, slot: DriveSlot, before: &VmConfig) -> Result<(), Trouble> {
        let mut without = before.clone();
        without.drives.remove(&slot);
        let planned = self.planned(&without)?;
        let id = slot.to_string();
        let own = self.own_controller(slot, &id);
        let gone: Vec<String> = [id]
            .into_iter()
            .chain(own.filter(|id| planned.device(id).is_none()))
            .collect();
        let threads: Vec<String> = gone
            .iter()
            .filter_map(|id| self.file.running_as.device(id)?.iothread.clone())
            .collect();
        for id in &gone {
            self.unplug(id).await?;
        }
        self.clear_drive(slot).await?;
        if let Some(drive) = before.drives.get(&slot) {
            self.let_go(drive).await?;
        }
        for thread in threads {
            if self.has_object(&thread).await? {
                self.remove_when_free(Behind::Object(&thread)).await?;
            }
        }
        self.remove_from_layout(&gone).await
    }

    /// The SCSI controller that a drive hangs on.
    fn own_controller(&self, slot: DriveSlot, id: &str) -> Option<String> {
        let device = self.file.running_as.device(id)?;
        let bus = device.bus.as_deref()?;
        let controller = bus.rsplit_once('.').map_or(bus, |(name, _)| name);
        (slot.bus() == DriveBus::Scsi).then(|| controller.to_owned())
    }

    /// Removes what is behind a drive that no device uses.
    async fn clear_drive(&self, slot: DriveSlot) -> Result<(), Trouble> {
        let existing = self.qmp.block_nodes().await?;
        // From the top: what another one uses cannot go.
        let top = existing.iter().find(|name| **name == node_name(slot));
        let below = block::image_nodes(slot, &existing);
        for name in top.cloned().into_iter().chain(below) {
            self.remove_when_free(Behind::Node(&name)).await?;
        }
        let throttle = throttle_group(slot);
        if self.has_object(&throttle).await? {
            self.remove_when_free(Behind::Object(&throttle)).await?;
        }
        for (set, said) in self.qmp.descriptor_sets().await? {
            if said.iter().any(|said| drives::is_label_of(said, slot)) {
                self.qmp.remove_descriptors(set).await?;
            }
        }
        Ok(())
    }

    /// After a plug that failed. What cannot be taken back now is in the way of the next one,
    /// which will try again.
    async fn take_back(&mut self, slot: DriveSlot, new: &Drive, devices: &[Device]) {
        for device in devices.iter().rev() {
            if let Err(error) = self.unplug(&device.id).await {
                tracing::warn!(vmid = %self.vmid, device = device.id, %error, "stays plugged");
            }
        }
        if let Err(error) = self.clear_drive(slot).await {
            tracing::warn!(vmid = %self.vmid, %slot, %error, "block nodes stay");
        } else if let Err(error) = self.let_go(new).await {
            tracing::warn!(vmid = %self.vmid, %slot, %error, "the volume stays attached");
        }
        for thread in devices.iter().filter_map(|device| device.iothread.as_ref()) {
            let _ = self.qmp.remove_object(thread).await;
        }
    }
}
