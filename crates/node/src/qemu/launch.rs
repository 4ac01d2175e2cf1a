//! Starting QEMU, for a guest that boots, wakes up, or comes from another node.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use guest::qemu::{Accel, Behind, Qmp, RunningAs, RuntimePaths, Tap, Taps, VmConfig, argv};
use guest::{RunFile, Sockets};
use model::qemu::{Aio, DriveSlot};
use model::{Error, PortSpec, VmId};
use storage::Attacher;
use sys::{Command, ProcessId, ScopeName, Stdio, TapOptions};

use super::drives::Descriptors;
use super::passed::Passed;
use super::programs::QEMU;
use super::{drives, efi_vars, ports, shares, swtpm, usb};
use crate::guests::ports::FIREWALL_WAITS;
use crate::{NodeContext, limits};

/// How often a guest reports its memory.
pub(crate) const MEMORY_POLL_S: u64 = 2;

/// How long to wait between two looks at a process that is starting.
const READY_PAUSE: Duration = Duration::from_millis(5);

/// After how many attempts to connect the process itself is looked at.
const ATTEMPTS_PER_LOOK: u32 = 4;

/// What a guest begins with.
pub(crate) enum Begins {
    /// It boots.
    Afresh,
    /// It wakes up with the memory in this file.
    With(Arc<OwnedFd>),
    /// It comes over a connection that QEMU gets later.
    Later,
}

/// A guest that is started.
pub(crate) struct Launch<'a> {
    pub(crate) vmid: VmId,
    pub(crate) config: &'a VmConfig,
    pub(crate) running_as: &'a RunningAs,
    pub(crate) taps: &'a [(u8, PortSpec)],
    /// The uid and gid that it is started with.
    pub(crate) user: Option<(u32, u32)>,
    /// The guest's epoch.
    pub(crate) epoch: u64,
    pub(crate) passed: &'a Passed,
}

impl Launch<'_> {
    fn by(&self) -> Attacher {
        let (vmid, epoch) = (self.vmid, self.epoch);
        Attacher::Guest { vmid, epoch }
    }

    fn runtime(&self, node: &NodeContext) -> RuntimePaths {
        RuntimePaths::new(node.paths.guest(self.vmid).display().to_string())
    }

    /// Makes the taps. May be repeated. What has no effect is answered as warnings.
    pub(crate) async fn make_taps(&self, node: &NodeContext) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        for (index, tap) in self.taps {
            let net = &self.config.nets[index];
            let options = TapOptions {
                owner: self.user.map(|(uid, _)| uid),
                multi_queue: net.queues.is_some_and(|queues| queues > 1),
                mtu: tap.mtu,
            };
            if net.firewall == Some(true) {
                warnings.push(format!("net{index}: {FIREWALL_WAITS}"));
            }
            network::attach(&*node.host, tap, &options).await?;
            if net.rate.is_some() {
                let limited = network::limit(&*node.host, &tap.name, net.rate).await?;
                warnings.extend(limited.map(|text| format!("net{index}: {text}")));
            }
        }
        Ok(warnings)
    }

    pub(crate) async fn make_scope(&self, node: &NodeContext) -> Result<(), Error> {
        let scope = ScopeName::guest(self.vmid);
        Ok(node.host.create_scope(&scope, &limits(self.config)).await?)
    }

    /// Starts the process in its scope. It executes nothing before `cont`.
    pub(crate) async fn spawn(
        &self,
        node: &NodeContext,
        begins: Begins,
    ) -> Result<ProcessId, Error> {
        let Self {
            vmid, config, user, ..
        } = *self;
        node.check_own_user(vmid).await?;
        let folder = node.paths.guest(vmid);
        node.host.create_dir(&folder, 0o700).await?;
        if let Some((uid, gid)) = user {
            node.host.chown(&folder, uid, gid).await?;
        }
        let mut volumes = drives::attach(node, config, &self.by()).await?;
        for spec in volumes.values_mut() {
            *spec = drives::let_reach(node, vmid, user, spec).await?;
        }
        if config.has_temporary_variables() {
            efi_vars::make_temporary(node, vmid).await?;
            volumes.insert(DriveSlot::EFI, efi_vars::temporary(node, vmid));
        }
        let (volumes, mut descriptors) = drives::open(&node.host, config, &volumes).await?;
        let taps = self.open_taps(node, &mut descriptors).await?;
        let usbs = usb::open(node, config, &mut descriptors).await?;
        let behind = Behind {
            volumes,
            taps,
            usbs,
            ports: ports::open(node, config, &mut descriptors).await?,
            pcis: self.passed.pcis.clone(),
            page_mib: self.passed.page_mib,
        };
        let paths = self.runtime(node);
        // Sockets are made while no program of the guest's user runs that could exchange them.
        shares::start(node, vmid, config, &paths, user).await?;
        if let Some(tpm) = &config.tpm {
            swtpm::start(node, vmid, tpm, &paths, user, &self.by()).await?;
        }
        let machine = self.running_as;
        let mut args = argv(machine, config, &behind, &paths, Aio::Threads)
            .map_err(|error| Error::bug(Error::chain(&error)))?;
        match begins {
            Begins::Afresh => {}
            Begins::With(memory) => {
                let number = drives::next_descriptor(&descriptors);
                descriptors.push((number, memory));
                args.extend(["-incoming".to_owned(), format!("fd:{number}")]);
            }
            Begins::Later => args.extend(["-incoming", "defer"].map(str::to_owned)),
        }
        let command = Command {
            args,
            descriptors,
            user,
            groups_of: match machine.accel {
                Accel::Kvm => vec!["/dev/kvm".into()],
                Accel::Tcg => Vec::new(),
            },
            // Devices of the host read and write the guest's memory where it is.
            locks_memory: !self.passed.pcis.is_empty(),
            output: Stdio::File(node.paths.guest_log(vmid)),
            timeout: None,
            ..Command::new(QEMU)
        };
        Ok(node.host.spawn(command, &ScopeName::guest(vmid)).await?)
    }

    /// Opens the taps, each queue a descriptor: the guest's user need not be able to open the device.
    async fn open_taps(
        &self,
        node: &NodeContext,
        descriptors: &mut Descriptors,
    ) -> Result<Taps, Error> {
        let mut taps = Taps::new();
        for (index, spec) in self.taps {
            let queues = self.config.nets[index].queues.unwrap_or(1).max(1);
            let mut numbers = Vec::new();
            for _ in 0..queues {
                let number = drives::next_descriptor(descriptors);
                descriptors.push((number, node.host.open_tap(&spec.name).await?));
                numbers.push(number);
            }
            let tap = Tap::Descriptors {
                spec: spec.clone(),
                taps: numbers,
                vhost: Vec::new(),
            };
            taps.insert(*index, tap);
        }
        Ok(taps)
    }

    /// Writes the run file.
    pub(crate) async fn write_down(
        &self,
        node: &NodeContext,
        process: ProcessId,
    ) -> Result<(), Error> {
        let file = RunFile {
            vmid: self.vmid,
            boot_id: process.boot_id,
            pid: process.pid,
            start_time: process.start_time,
            running_as: self.running_as.clone(),
            sockets: Sockets::new(self.config, &self.runtime(node)),
            user: self.user,
            volumes: drives::opened_by(self.config),
            epoch: self.epoch,
            pcis: self.passed.functions(),
            page_mib: self.passed.page_mib,
            made_pages: self.passed.pages_to_give_back(),
        };
        node.running.write_run_file(&file).await
    }

    /// Connects as soon as QEMU listens. A process that has ended says why in its log.
    pub(crate) async fn ready(
        &self,
        node: &NodeContext,
        process: Option<&ProcessId>,
        timeout_s: u64,
    ) -> Result<Qmp, Error> {
        let deadline = node.clock.monotonic() + Duration::from_secs(timeout_s);
        let socket = self.runtime(node).control();
        let mut attempts = 0_u32;
        loop {
            let error = match node.running.qmp_at(self.vmid, &socket).await {
                Ok(qmp) => return Ok(qmp),
                Err(error) => error,
            };
            if attempts.is_multiple_of(ATTEMPTS_PER_LOOK) && !self.is_alive(node, process).await? {
                return Err(node.ended(self.vmid).await);
            }
            if node.clock.monotonic() >= deadline {
                let text = format!("QEMU did not answer within {timeout_s} s ({error})");
                return Err(Error::unavailable(text));
            }
            attempts = attempts.wrapping_add(1);
            node.clock.sleep(READY_PAUSE).await;
        }
    }

    /// Whether QEMU's process is there. The scope may have a helper left that waits for it.
    async fn is_alive(
        &self,
        node: &NodeContext,
        process: Option<&ProcessId>,
    ) -> Result<bool, Error> {
        match process {
            Some(process) => Ok(node.host.is_alive(process).await?),
            None => node.running.is_running(self.vmid).await,
        }
    }
}

impl NodeContext {
    /// What a guest's QEMU has printed.
    pub(crate) async fn printed(&self, vmid: VmId) -> Vec<String> {
        let log = self.paths.guest_log(vmid);
        let content = self.host.read(&log).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&content).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// The error of a QEMU that has ended, in its last words.
    pub(crate) async fn ended(&self, vmid: VmId) -> Error {
        let printed = self.printed(vmid).await;
        let mut lines = printed.iter().map(|line| line.trim());
        Error::unavailable(match lines.rfind(|line| !line.is_empty()) {
            Some(last) => format!("QEMU ended: {last}"),
            None => "QEMU ended without a word".to_owned(),
        })
    }

    /// Waits until a guest that wakes up or comes from another node is there. QEMU ends where that
    /// fails.
    pub(crate) async fn until_awake(&self, vmid: VmId, qmp: &Qmp) -> Result<(), Error> {
        loop {
            let state = match qmp.status().await {
                Ok(status) => status.state,
                Err(_) if !self.running.is_running(vmid).await? => {
                    return Err(self.ended(vmid).await);
                }
                Err(error) => return Err(crate::tasks::qmp_failed(error)),
            };
            if state != "inmigrate" {
                return Ok(());
            }
            self.clock.sleep(READY_PAUSE).await;
        }
    }
}
