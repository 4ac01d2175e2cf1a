//! Network cards of a running guest.

use std::os::fd::AsFd;

use guest::qemu::netdev::{netdev_id, tap_netdev, user_netdev};
use guest::qemu::{Backend, Device, QmpError, Tap, VmConfig};
use model::PortSpec;
use model::qemu::Net;
use serde_json::{Map, Value};
use sys::TapOptions;

use super::{Changer, Outcome, Trouble};
use crate::guests::ports;

/// A card that is plugged has no boot program: no guest boots from it now, and QEMU takes no other
/// way to say so than an empty name.
fn without_rom(device: &Device) -> Device {
    let mut device = device.clone();
    if matches!(device.backend, Backend::Net(_)) {
        device.properties.insert("romfile".to_owned(), "".into());
    }
    device
}

impl Changer<'_> {
    pub(super) async fn change_card(
        &mut self,
        index: u8,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let (old, new) = (before.nets.get(&index), after.nets.get(&index));
        let id = format!("net{index}");
        if let (Some(old), Some(new)) = (old, new)
            && old.is_same_card(new)
            && self.is_recorded(&id)
        {
            return self.reconnect(index, old, new).await;
        }
        if !before.hotplug.network {
            return Ok(Outcome::Waits);
        }
        if let Some(recorded) = self.file.running_as.device(&id) {
            let planned = self.planned(after)?;
            let is_wanted = planned.device(&id).is_some_and(|device| {
                let mut device = device.clone();
                // Where it boots from is not changed by plugging.
                match recorded.properties.get("bootindex") {
                    Some(index) => device.properties.insert("bootindex".into(), index.clone()),
                    None => device.properties.remove("bootindex"),
                };
                without_rom(&device) == without_rom(recorded)
            });
            if is_wanted && self.has_device(&id).await? {
                return Ok(Outcome::Took);
            }
            self.unplug_card(index, &id).await?;
        }
        match new {
            Some(new) => self.plug_card(index, new, after).await,
            None => Ok(Outcome::Took),
        }
    }

    /// The same card on another bridge or VLAN, with another rate, its cable plugged or pulled.
    async fn reconnect(&self, index: u8, old: &Net, new: &Net) -> Result<Outcome, Trouble> {
        if let Some(mut tap) = ports::of_vm(self.vmid, index, new) {
            if ports::of_vm(self.vmid, index, old).as_ref() != Some(&tap) {
                self.node.check_vlans([(index, &tap)]).await?;
                self.node.isolate(self.vmid, [&mut tap]).await?;
                // The tap itself is QEMU's by now and is not made again.
                network::connect(&*self.node.host, &tap).await?;
            }
            if old.rate != new.rate {
                self.limit(&tap.name, new).await?;
            }
        }
        let is_up = new.link_down != Some(true);
        self.qmp.set_link(&format!("net{index}"), is_up).await?;
        Ok(Outcome::Took)
    }

    async fn make_tap(&self, tap: &PortSpec, net: &Net) -> Result<(), Trouble> {
        let user = self.node.user_of(self.vmid).await?;
        let options = TapOptions {
            owner: user.map(|(uid, _)| uid),
            multi_queue: net.queues.is_some_and(|queues| queues > 1),
            mtu: tap.mtu,
        };
        network::attach(&*self.node.host, tap, &options).await?;
        Ok(())
    }

    async fn limit(&self, tap: &str, net: &Net) -> Result<(), Trouble> {
        if let Some(text) = network::limit(&*self.node.host, tap, net.rate).await? {
            tracing::warn!(vmid = %self.vmid, tap, text);
        }
        Ok(())
    }

    async fn plug_card(
        &mut self,
        index: u8,
        new: &Net,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        let planned = self.planned(after)?;
        let Some(devices) = self.file.running_as.plug(&planned, &Backend::Net(index)) else {
            return Ok(Outcome::Waits);
        };
        let devices: Vec<Device> = self
            .without_taken_boot_index(devices)
            .iter()
            .map(without_rom)
            .collect();
        let id = format!("net{index}");
        if !self.has_device(&id).await?
            && let Err(trouble) = self.add_card(index, new, &devices).await
        {
            // Whether it came about although its answer was lost, the next attempt finds out.
            if matches!(self.has_device(&id).await, Ok(false)) {
                self.clear_card(index).await?;
            }
            return Err(trouble);
        }
        if new.link_down == Some(true) {
            self.qmp.set_link(&id, false).await?;
        }
        self.record(&devices).await?;
        Ok(Outcome::Took)
    }

    /// The tap first: a card is never there without what it is plugged into.
    async fn add_card(&self, index: u8, new: &Net, devices: &[Device]) -> Result<(), Trouble> {
        let id = netdev_id(index);
        // An earlier attempt may have left it.
        self.remove_netdev(&id).await?;
        let netdev = match ports::of_vm(self.vmid, index, new) {
            None => user_netdev(index),
            Some(mut spec) => {
                self.node.check_vlans([(index, &spec)]).await?;
                self.node.isolate(self.vmid, [&mut spec]).await?;
                self.make_tap(&spec, new).await?;
                if new.rate.is_some() {
                    self.limit(&spec.name, new).await?;
                }
                let mut names = Vec::new();
                for queue in 0..new.queues.unwrap_or(1).max(1) {
                    let tap = self.node.host.open_tap(&spec.name).await?;
                    let name = format!("{id}-{queue}");
                    self.qmp.name_descriptor(&name, tap.as_fd()).await?;
                    names.push(name);
                }
                tap_netdev(index, new, &Tap::Passed { spec, names })
            }
        };
        self.qmp.add_netdev(netdev).await?;
        for device in devices {
            let mut joined = Map::new();
            if device.backend == Backend::Net(index) {
                joined.insert("netdev".to_owned(), Value::from(id.clone()));
            }
            let arguments = Value::Object(device.arguments(joined));
            self.qmp.add_device(arguments).await?;
        }
        Ok(())
    }

    async fn unplug_card(&mut self, index: u8, id: &str) -> Result<(), Trouble> {
        self.unplug(id).await?;
        self.clear_card(index).await?;
        self.remove_from_layout(&[id.to_owned()]).await
    }

    /// Removes what is behind a card that is not there.
    async fn clear_card(&self, index: u8) -> Result<(), Trouble> {
        self.remove_netdev(&netdev_id(index)).await?;
        let tap = ports::tap(self.vmid, index);
        network::detach(&*self.node.host, &tap).await?;
        Ok(())
    }

    /// That it is not there is what is wanted.
    async fn remove_netdev(&self, id: &str) -> Result<(), Trouble> {
        match self.qmp.remove_netdev(id).await {
            Err(QmpError::Refused { .. }) => Ok(()),
            removed => Ok(removed?),
        }
    }
}
