//! Changing a running guest, option by option.
//!
//! ```text
//!   pending option ──► Changer ──► took      QEMU has it: the option is configuration
//!                         │   ├──► waits     not to be changed while it runs
//!                         │   └──► problem   QEMU or the guest would not: stays pending, and why
//!                         ▼
//!          QEMU over QMP · taps · the run file
//! ```
//!
//! **Invariant:** a task that is cut off anywhere begins again and finds out. A device that is in
//! QEMU and not in the run file is the new one, because an old one's going is written down
//! before anything takes its place; which volume is behind a drive follows from the name that its
//! descriptor was passed under.

mod cpu_memory;
mod drive;
mod nic;
mod usb;

use std::time::Duration;

use guest::RunFile;
use guest::qemu::{Device, Events, QemuInfo, Qmp, QmpError, RunningAs, VmConfig, plan};
use model::qemu::DriveSlot;
use model::{Error, GuestConfig, PendingChange, VmId};
use sys::SysError;

use crate::NodeContext;
use crate::guests::options::is_indexed;
use crate::qemu::drives::PassError;

/// How long a guest may take to let go of a device: one that still boots does not answer at once.
const UNPLUG_PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// What became of a pending option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Took,
    Waits,
    Problem(String),
}

/// Why a change did not take effect.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// QEMU or the guest will not have it; trying again is of no use.
    #[error("{0}")]
    Refused(String),
    /// Something that the change needs was out of reach.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<QmpError> for Trouble {
    fn from(error: QmpError) -> Self {
        match error {
            QmpError::Refused { description, .. } => Self::Refused(description),
            // Connected anew, it may do better; a QEMU that does not answer will not.
            QmpError::Lost { .. } => Self::Failed(Error::unavailable(Error::chain(&error))),
            other => Self::Refused(Error::chain(&other)),
        }
    }
}

impl From<PassError> for Trouble {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Host(error) => error.into(),
            PassError::Qemu(error) => error.into(),
        }
    }
}

impl From<SysError> for Trouble {
    fn from(error: SysError) -> Self {
        Self::Failed(error.into())
    }
}

/// Something behind a device.
#[derive(Debug, Clone, Copy)]
enum Behind<'a> {
    /// A block node, by its name.
    Node(&'a str),
    /// An object, by its id.
    Object(&'a str),
}

/// A running guest that is being changed.
pub(crate) struct Changer<'a> {
    node: &'a NodeContext,
    vmid: VmId,
    qmp: Qmp,
    file: RunFile,
    /// What holds now; options that took effect are in it.
    config: GuestConfig,
}

impl<'a> Changer<'a> {
    /// None where the guest does not run.
    pub(crate) async fn open(
        node: &'a NodeContext,
        vmid: VmId,
        config: GuestConfig,
    ) -> Result<Option<Self>, Error> {
        if !node.running.is_running(vmid).await? {
            return Ok(None);
        }
        let unknown = || Error::unavailable(format!("VM {vmid} has no run file"));
        let file = node.running.run_file(vmid).await?.ok_or_else(unknown)?;
        let qmp = node.running.qmp(vmid).await?;
        Ok(Some(Self {
            node,
            vmid,
            qmp,
            file,
            config,
        }))
    }

    /// Makes one pending option take effect, if that can be. May be repeated, also after it was
    /// cut off.
    pub(crate) async fn change(
        &mut self,
        option: &str,
        change: &PendingChange,
    ) -> Result<Outcome, Error> {
        let mut wanted = self.config.clone();
        match change {
            PendingChange::Set(value) => wanted.set(option, value.clone()),
            PendingChange::Delete { .. } => {
                wanted.0.remove(option);
            }
        }
        let parse = |config: &GuestConfig| VmConfig::parse(config).map_err(Error::invalid_fields);
        let (before, after) = match (parse(&self.config), parse(&wanted)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(error), _) | (_, Err(error)) => return Ok(Outcome::Problem(error.to_string())),
        };
        match self.dispatch(option, &before, &after).await {
            Ok(Outcome::Took) => {
                self.config = wanted;
                Ok(Outcome::Took)
            }
            Ok(outcome) => Ok(outcome),
            Err(Trouble::Refused(why)) => Ok(Outcome::Problem(why)),
            Err(Trouble::Failed(error)) => Err(error),
        }
    }

    async fn dispatch(
        &mut self,
        option: &str,
        before: &VmConfig,
        after: &VmConfig,
    ) -> Result<Outcome, Trouble> {
        if is_indexed(option, "unused") {
            return Ok(Outcome::Took);
        }
        if is_indexed(option, "net") {
            let index = option.trim_start_matches("net").parse().unwrap_or(u8::MAX);
            return self.change_card(index, before, after).await;
        }
        if is_indexed(option, "usb") {
            let index = option.trim_start_matches("usb").parse().unwrap_or(u8::MAX);
            return self.change_usb(index, before, after).await;
        }
        if let Ok(slot) = option.parse::<DriveSlot>() {
            return self.change_drive(slot, before, after).await;
        }
        match option {
            "cpulimit" | "cpuunits" => self.change_limits(after).await,
            "vcpus" => self.change_processors(before, after).await,
            "balloon" => self.change_balloon(before, after).await,
            "memory" => self.change_memory(before, after).await,
            "tablet" => self.change_tablet(after).await,
            _ => Ok(Outcome::Waits),
        }
    }

    /// The machine as it would be started with a configuration.
    fn planned(&self, config: &VmConfig) -> Result<RunningAs, Trouble> {
        let running = &self.file.running_as;
        let refused = |error: &dyn std::error::Error| Trouble::Refused(Error::chain(error));
        let version = running.qemu.parse().map_err(|error| refused(&error))?;
        plan(config, &QemuInfo::new(version), running.accel).map_err(|error| refused(&error))
    }

    /// Whether QEMU has a device.
    async fn has_device(&self, id: &str) -> Result<bool, Trouble> {
        let devices = self.qmp.children("/machine/peripheral").await?;
        Ok(devices.iter().any(|device| device == id))
    }

    async fn has_object(&self, id: &str) -> Result<bool, Trouble> {
        let objects = self.qmp.children("/objects").await?;
        Ok(objects.iter().any(|object| object == id))
    }

    fn is_recorded(&self, id: &str) -> bool {
        self.file.running_as.device(id).is_some()
    }

    /// Writes down that these devices are there.
    async fn record(&mut self, devices: &[Device]) -> Result<(), Trouble> {
        for device in devices {
            if !self.is_recorded(&device.id) {
                self.file.running_as.devices.push(device.clone());
            }
        }
        Ok(self.node.running.write_run_file(&self.file).await?)
    }

    /// Writes down that these devices are gone.
    async fn remove_from_layout(&mut self, gone: &[String]) -> Result<(), Trouble> {
        let devices = &mut self.file.running_as.devices;
        devices.retain(|device| !gone.contains(&device.id));
        Ok(self.node.running.write_run_file(&self.file).await?)
    }

    /// Asks the guest to let go of a device and waits until it has.
    async fn unplug(&self, id: &str) -> Result<(), Trouble> {
        if !self.has_device(id).await? {
            return Ok(());
        }
        let mut events = self.qmp.events();
        match self.qmp.remove_device(id).await {
            Err(QmpError::Refused { description, .. })
                if description.contains("in the process of unplug") => {}
            asked => asked?,
        }
        let clock = &self.node.clock;
        let deadline = clock.monotonic() + UNPLUG_PATIENCE;
        while self.has_device(id).await? {
            if clock.monotonic() >= deadline {
                let text = format!("error on hot-unplugging device '{id}'");
                return Err(Trouble::Refused(text));
            }
            tokio::select! {
                () = deleted(&mut events, id) => {}
                () = clock.sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Removes what a device had behind it. A device is gone from QEMU's list a moment before it
    /// lets go of that.
    async fn remove_when_free(&self, what: Behind<'_>) -> Result<(), Trouble> {
        let clock = &self.node.clock;
        let deadline = clock.monotonic() + UNPLUG_PATIENCE;
        loop {
            let removed = match what {
                Behind::Node(name) => self.qmp.remove_block_node(name).await,
                Behind::Object(id) => self.qmp.remove_object(id).await,
            };
            match removed {
                Err(QmpError::Refused { description, .. })
                    if description.contains("in use") && clock.monotonic() < deadline =>
                {
                    clock.sleep(LOOK).await;
                }
                removed => return Ok(removed?),
            }
        }
    }

    /// The devices of a plan that a boot index of a device in QEMU would be in the way of lose
    /// theirs: two alike are refused.
    fn without_taken_boot_index(&self, mut devices: Vec<Device>) -> Vec<Device> {
        let taken: Vec<_> = self
            .file
            .running_as
            .devices
            .iter()
            .filter_map(|device| device.properties.get("bootindex").cloned())
            .collect();
        for device in &mut devices {
            if device
                .properties
                .get("bootindex")
                .is_some_and(|index| taken.contains(index))
            {
                device.properties.remove("bootindex");
            }
        }
        devices
    }
}

/// Waits until QEMU reports that the guest has released a device. A lost connection ends the wait
/// only with the deadline: the next question to QEMU says what is wrong.
async fn deleted(events: &mut Events, device: &str) {
    while let Ok(event) = events.next_named("DEVICE_DELETED").await {
        if event.data["device"] == device {
            return;
        }
    }
    std::future::pending().await
}
