//! The target's QEMU: it waits for a guest that runs elsewhere, and gets its disks and memory.
//!
//! ```text
//!   source's QEMU ── drive mirror ══ Ask::Disk ═══► export of the disk ─┐
//!                 ── memory ════════ Ask::Memory ═► -incoming ──────────┴─► QEMU, paused
//!                                    Ask::Land: it has all               │
//!                                    the guest's record names this node: └─ cont
//! ```
//!
//! QEMU talks to unix sockets and descriptors only. It does not open the disks for the guest before
//! `cont`, so that the source can go on as long as the record names the source.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use guest::qemu::block::node_name;
use guest::qemu::{RunningAs, VmConfig};
use model::qemu::DriveSlot;
use model::{Error, GuestRecord, VmId, VolumeId};
use serde_json::Value;

use super::arrival::{Expected, rename_volumes};
use super::ask::Live;
use super::image::broken;
use crate::NodeContext;
use crate::guests::ports;
use crate::qemu::drives;
use crate::qemu::launch::{Begins, Launch, MEMORY_POLL_S};
use crate::tasks::qmp_failed;

/// How long QEMU may take until it answers.
const READY_S: u64 = 60;

/// What the connection is called in QEMU.
pub(super) const DESCRIPTOR: &str = "migration";

/// The line of `/proc/meminfo` with the memory that can still be used, in KiB.
const AVAILABLE: &str = "MemAvailable:";

impl NodeContext {
    /// What will be started for a guest. Refuses one that this node has no memory for.
    pub(super) async fn expect(&self, guest: &GuestRecord, live: &Live) -> Result<Expected, Error> {
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let needed = live.memory_mib;
        if let Some(available) = self.available_memory_mib().await
            && needed > available
        {
            let text = format!("{available} MiB of memory are available, and {needed} are needed");
            return Err(Error::unavailable(text));
        }
        let nets = config.nets.iter();
        let taps = nets.filter_map(|(index, net)| ports::of_vm(guest.vmid, *index, net));
        Ok(Expected {
            executes: live.executes,
            taps: taps.map(|tap| tap.name).collect(),
        })
    }

    /// None where the kernel does not say.
    async fn available_memory_mib(&self) -> Option<u64> {
        let text = self.host.read("/proc/meminfo".as_ref()).await.ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix(AVAILABLE))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1024)
    }

    /// Starts a QEMU that waits, and exports disks.
    pub(super) async fn launch(
        &self,
        mut guest: GuestRecord,
        machine: &Value,
        renamed: &[(VolumeId, VolumeId)],
        exported: &[DriveSlot],
    ) -> Result<(), Error> {
        let vmid = guest.vmid;
        let _admitted = self.admit(&guest).await?;
        rename_volumes(&mut guest, renamed);
        let config = VmConfig::parse(&guest.config).map_err(Error::invalid_fields)?;
        let running_as: RunningAs = serde_json::from_value(machine.clone())
            .map_err(|error| Error::conflict(format!("the machine cannot be read: {error}")))?;
        let accel = self.kvm.accel(config.kvm, self.allow_emulation).await?;
        if accel != running_as.accel {
            let (there, here) = (running_as.accel.as_str(), accel.as_str());
            let text = format!("VM {vmid} runs with acceleration '{there}', here it is '{here}'");
            return Err(Error::conflict(text));
        }
        drives::check(self, &config).await?;
        let nets = config.nets.iter();
        let mut taps: Vec<_> = nets
            .filter_map(|(index, net)| ports::of_vm(vmid, *index, net).map(|spec| (*index, spec)))
            .collect();
        self.isolate(vmid, taps.iter_mut().map(|(_, tap)| tap))
            .await?;
        let (passed, _reservation) = self.pages_of_arrival(vmid, &config, &running_as).await?;
        let launch = Launch {
            vmid,
            config: &config,
            running_as: &running_as,
            taps: &taps,
            user: self.user_of_new(vmid),
            epoch: guest.epoch + 1,
            passed: &passed,
        };
        self.running.forget(vmid).await?;
        let begun = async {
            launch.make_taps(self).await?;
            launch.make_scope(self).await?;
            let process = launch.spawn(self, Begins::Later).await?;
            launch.write_down(self, process.clone()).await?;
            Ok::<_, Error>(process)
        };
        let process = match begun.await {
            Ok(process) => process,
            Err(error) => {
                // No run file says yet what was made for it.
                self.undo_taking(&passed).await?;
                return Err(error);
            }
        };
        let qmp = launch.ready(self, Some(&process), READY_S).await?;
        for card in config.pulled_cables() {
            qmp.set_link(&card, false).await.map_err(qmp_failed)?;
        }
        if exported.is_empty() {
            return Ok(());
        }
        let socket = self.export_socket(vmid);
        let serving = qmp.serve_exports(&socket.display().to_string()).await;
        serving.map_err(qmp_failed)?;
        for slot in exported {
            let export = qmp.export_node(&node_name(*slot), &slot.to_string()).await;
            export.map_err(qmp_failed)?;
        }
        Ok(())
    }

    fn export_socket(&self, vmid: VmId) -> PathBuf {
        self.paths.guest(vmid).join("nbd.sock")
    }

    /// A client's connection to the exports. The client names the disk itself.
    pub(super) async fn connect_to_export(&self, vmid: VmId) -> Result<OwnedFd, Error> {
        let socket = self.export_socket(vmid);
        Ok(self.host.connect_descriptor(&socket).await?)
    }

    /// The connection that QEMU reads the guest's memory from.
    pub(super) async fn connect_to_memory(&self, vmid: VmId) -> Result<OwnedFd, Error> {
        let qmp = self.running.qmp(vmid).await?;
        let (qemus, given) = UnixStream::pair().map_err(broken)?;
        let named = qmp.name_descriptor(DESCRIPTOR, qemus.as_fd()).await;
        named.map_err(qmp_failed)?;
        qmp.receive_guest(DESCRIPTOR).await.map_err(qmp_failed)?;
        Ok(given.into())
    }

    /// Waits until QEMU has the guest.
    pub(super) async fn land(&self, vmid: VmId) -> Result<(), Error> {
        let qmp = match self.running.qmp(vmid).await {
            Err(_) if !self.running.is_running(vmid).await? => return Err(self.ended(vmid).await),
            qmp => qmp?,
        };
        self.until_awake(vmid, &qmp).await?;
        qmp.close_exports().await.map_err(qmp_failed)
    }

    /// Lets a guest that has come execute, unless it was paused. One whose QEMU has ended meanwhile
    /// is stopped.
    pub(super) async fn take_over(&self, vmid: VmId, expected: &Expected) -> Result<(), Error> {
        if !self.running.is_running(vmid).await? {
            return self.dismiss(vmid, expected).await;
        }
        let qmp = self.running.qmp(vmid).await?;
        qmp.close_exports().await.map_err(qmp_failed)?;
        if expected.executes {
            qmp.cont().await.map_err(qmp_failed)?;
        }
        let file = self.running.run_file(vmid).await?;
        if file.is_some_and(|file| file.running_as.device("balloon0").is_some()) {
            qmp.poll_memory(MEMORY_POLL_S).await.map_err(qmp_failed)?;
        }
        self.status.nudge();
        Ok(())
    }

    /// Ends the QEMU of a guest that does not come.
    pub(super) async fn dismiss(&self, vmid: VmId, expected: &Expected) -> Result<(), Error> {
        self.remove_traces(vmid).await?;
        for tap in &expected.taps {
            network::detach(&*self.host, tap).await?;
        }
        Ok(())
    }
}
