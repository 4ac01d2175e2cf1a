//! Processors, memory, balloon, tablet and limits of a running guest.

use guest::HugePool;
use guest::qemu::memory::Backing;
use guest::qemu::{Backend, Device, VmConfig, memory};
use serde_json::{Map, Value};
use sys::ScopeName;

use super::{Behind, Changer, Outcome, Trouble};
use crate::host::huge_pages;
use crate::limits;

/// See `sys::Limits`.
const DEFAULT_WEIGHT: u32 = 100;

impl Changer<'_> {
    pub(super) async fn change_limits(&self, after: &VmConfig) -> Result<Outcome, Trouble> {
        let scope = ScopeName::guest(self.vmid);
        let mut limits = limits(after);
        // A weight that is taken away leaves the one that everybody has.
        limits.cpu_weight.get_or_insert(DEFAULT_WEIGHT);
        self.node.host.limit_scope(&scope, &limits).await?;
        Ok(Outcome::Took)
    }

    /// What the guest shall make do with: the option, or all that it has.
    pub(super) async fn change_balloon(
        &self,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let has_device = |config: &VmConfig| config.balloon_mib != Some(0);
        if has_device(before) != has_device(after) {
            return Ok(Outcome::Waits);
        }
        if has_device(after) {
            let all_mib = self.file.running_as.total_memory_mib();
            let target_mib = after.balloon_mib.unwrap_or(all_mib).min(all_mib);
            self.qmp.set_balloon(target_mib << 20).await?;
        }
        Ok(Outcome::Took)
    }

    /// It can come and go where its USB controller was there at start.
    pub(super) async fn change_tablet(&mut self, after: &VmConfig) -> Result<Outcome, Trouble> {
        let planned = self.planned(after)?;
        let tablet = planned.device("tablet").cloned();
        if tablet.is_some() == self.is_recorded("tablet") {
            return Ok(Outcome::Took);
        }
        if !after.hotplug.usb || !self.is_recorded("uhci") {
            return Ok(Outcome::Waits);
        }
        match tablet {
            Some(tablet) => self.add_plain(&tablet).await?,
            None => self.remove_plain("tablet").await?,
        }
        Ok(Outcome::Took)
    }

    /// Processors come one by one and go, the last one first, where they were plugged. Those
    /// that were there at start stay.
    pub(super) async fn change_processors(
        &mut self,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let running = &self.file.running_as;
        let wanted = after.vcpus.unwrap_or(after.sockets * after.cores);
        let is_same_board =
            (running.processors.sockets, running.processors.cores) == (after.sockets, after.cores);
        if !before.hotplug.cpu || !is_same_board || wanted < running.processors.online {
            return Ok(Outcome::Waits);
        }
        let first = running.processors.online + 1;
        let total = running.processors.total();
        let planned = self.planned(after)?;
        for number in first..=wanted {
            if let Some(device) = planned.device(&format!("cpu{number}")).cloned() {
                self.add_plain(&device).await?;
            }
        }
        for number in (wanted + 1..=total).rev() {
            let id = format!("cpu{number}");
            if self.is_recorded(&id) || self.has_device(&id).await? {
                self.remove_plain(&id).await?;
            }
        }
        Ok(Outcome::Took)
    }

    /// Modules of memory come in order and go, the last one first, as far as the guest lets go
    /// of them.
    pub(super) async fn change_memory(
        &mut self,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        if !before.hotplug.memory || self.file.running_as.memory_max_mib.is_none() {
            return Ok(Outcome::Waits);
        }
        let planned = self.planned(after)?;
        for device in &planned.devices {
            if let Backend::Memory { mib } = device.backend {
                self.add_module(device, mib, before).await?;
            }
        }
        let devices = self.qmp.children("/machine/peripheral").await?;
        let objects = self.qmp.children("/objects").await?;
        for id in memory::module_ids().rev() {
            if planned.device(&id).is_some() {
                break;
            }
            if self.is_recorded(&id) || devices.contains(&id) {
                self.remove_plain(&id).await?;
            }
            let object = memory::object_id(&id);
            if objects.contains(&object) {
                self.remove_when_free(Behind::Object(&object)).await?;
            }
        }
        self.change_balloon(before, after).await
    }

    async fn add_module(
        &mut self,
        device: &Device,
        mib: u64,
        before: &VmConfig,
    ) -> Result<(), Trouble> {
        let object = memory::object_id(&device.id);
        if !self.has_object(&object).await? {
            let page_mib = self.file.page_mib;
            let backing = Backing::of(before, page_mib);
            if let Some(page_mib) = page_mib {
                self.make_pages(page_mib, mib).await?;
            }
            let object = memory::object(&device.id, mib, backing);
            self.qmp.add_object(object).await?;
        }
        let backend = Map::from_iter([("memdev".to_owned(), object.clone().into())]);
        let added = self.add_with(device, backend).await;
        if let Err(Trouble::Refused(_)) = added {
            self.remove_when_free(Behind::Object(&object)).await?;
        }
        added
    }

    /// Has the kernel make the pages of a module, which the guest has from then on.
    async fn make_pages(&mut self, page_mib: u32, mib: u64) -> Result<(), Trouble> {
        let count = mib.div_ceil(page_mib.into());
        let pool = HugePool {
            page_mib,
            node: None,
            count,
        };
        let _deciding = self.node.passes.deciding.lock().await;
        let (all, _) = huge_pages::look(&self.node.host, &pool).await?;
        match huge_pages::raise(&self.node.host, &pool, all + count).await {
            Ok(()) => {
                self.file.made_pages.push(pool);
                Ok(self.node.running.write_run_file(&self.file).await?)
            }
            Err(error) => {
                huge_pages::lower(&self.node.host, &pool).await?;
                Err(Trouble::Refused(error.message))
            }
        }
    }

    /// A device without anything behind it.
    async fn add_plain(&mut self, device: &Device) -> Result<(), Trouble> {
        self.add_with(device, Map::new()).await
    }

    /// A device and how it names what is behind it.
    async fn add_with(
        &mut self,
        device: &Device,
        backend: Map<String, Value>,
    ) -> Result<(), Trouble> {
        if !self.has_device(&device.id).await? {
            let arguments = Value::Object(device.arguments(backend));
            self.qmp.add_device(arguments).await?;
        }
        self.record(std::slice::from_ref(device)).await
    }

    async fn remove_plain(&mut self, id: &str) -> Result<(), Trouble> {
        self.unplug(id).await?;
        self.remove_from_layout(&[id.to_owned()]).await
    }
}
