//! Guests that run, or do not: what their scopes and run files say.

use std::sync::Arc;

use guest::RunFile;
use guest::lxc::CtRunFile;
use guest::qemu::Qmp;
use model::{Error, VmId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sys::{ProcessId, ScopeName, SharedHost};

use crate::qemu::monitors::Monitors;
use crate::{Paths, StatusBoard};

/// Whether a guest runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    Stopped,
}

/// What is observed of a guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuestStatus {
    pub state: RunState,
    /// The process that is the guest, while it runs.
    pub pid: Option<u32>,
    /// QEMU's own word: `running`, `paused`, `prelaunch`; none where it does not answer.
    pub qmp_status: Option<String>,
}

impl GuestStatus {
    const STOPPED: Self = Self {
        state: RunState::Stopped,
        pid: None,
        qmp_status: None,
    };
}

/// Looks at guests, and talks to those that run.
pub struct Running {
    host: SharedHost,
    paths: Paths,
    status: Arc<StatusBoard>,
    monitors: Monitors,
}

impl Running {
    pub(crate) fn new(host: SharedHost, paths: Paths, status: Arc<StatusBoard>) -> Self {
        Self {
            monitors: Monitors::new(host.clone()),
            host,
            paths,
            status,
        }
    }

    /// Whether the guest's scope has members: that is what running means.
    pub async fn is_running(&self, vmid: VmId) -> Result<bool, Error> {
        Ok(!self.host.members(&ScopeName::guest(vmid)).await?.is_empty())
    }

    /// The process that is the guest; none where it does not run. Without a run file, as while
    /// it is being started, it is the youngest of its scope.
    pub async fn main_process(&self, vmid: VmId) -> Result<Option<ProcessId>, Error> {
        let members = self.host.members(&ScopeName::guest(vmid)).await?;
        if members.len() < 2 {
            return Ok(members.into_iter().next());
        }
        if let Some(file) = self.container_file(vmid).await? {
            // The first that LXC starts is the container's init.
            let others = members
                .into_iter()
                .filter(|process| process.pid != file.pid);
            return Ok(others.min_by_key(|process| (process.start_time, process.pid)));
        }
        let file = self.run_file(vmid).await?;
        let is_main = |process: &ProcessId| {
            file.as_ref()
                .is_some_and(|file| file.is_of(&process.boot_id, process.pid, process.start_time))
        };
        let main = members.iter().find(|process| is_main(process)).cloned();
        // Helpers are there before it.
        Ok(main.or_else(|| members.into_iter().max_by_key(|process| process.start_time)))
    }

    /// The run file of a VM; none where there is none that can be read.
    pub async fn run_file(&self, vmid: VmId) -> Result<Option<RunFile>, Error> {
        self.read_file(vmid).await
    }

    /// The run file of a container; none where there is none that can be read.
    pub async fn container_file(&self, vmid: VmId) -> Result<Option<CtRunFile>, Error> {
        self.read_file(vmid).await
    }

    /// Each kind of guest has fields that the other one lacks.
    async fn read_file<T: DeserializeOwned>(&self, vmid: VmId) -> Result<Option<T>, Error> {
        let content = match self.host.read(&self.paths.run_file(vmid)).await {
            Ok(content) => content,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(serde_json::from_slice(&content).ok())
    }

    pub async fn write_run_file(&self, file: &RunFile) -> Result<(), Error> {
        self.write_file(file.vmid, file).await
    }

    pub(crate) async fn write_container_file(&self, file: &CtRunFile) -> Result<(), Error> {
        self.write_file(file.vmid, file).await
    }

    async fn write_file(&self, vmid: VmId, file: &impl Serialize) -> Result<(), Error> {
        let content = serde_json::to_vec(file)
            .map_err(|error| Error::bug(format!("a run file cannot be written: {error}")))?;
        self.host
            .write(&self.paths.run_file(vmid), &content, 0o600)
            .await?;
        self.status.nudge();
        Ok(())
    }

    /// Removes what a guest leaves in the runtime folder.
    pub async fn forget(&self, vmid: VmId) -> Result<(), Error> {
        self.monitors.close(vmid);
        self.host.remove_tree(&self.paths.guest(vmid)).await?;
        self.host.remove_tree(&self.paths.clusters(vmid)).await?;
        self.host.remove_tree(&self.paths.devices(vmid)).await?;
        // The run file last: it says that there is something to remove.
        let files = [
            self.paths.temporary_variables(vmid),
            self.paths.guest_log(vmid),
            self.paths.frozen_mark(vmid),
            self.paths.run_file(vmid),
        ];
        self.host.remove_files(&files).await?;
        self.status.nudge();
        Ok(())
    }

    /// The QMP connection to a guest that is being started, at this socket. Whether its process
    /// still runs is the caller's to check.
    pub(crate) async fn qmp_at(&self, vmid: VmId, socket: &str) -> Result<Qmp, Error> {
        self.monitors.connection(vmid, socket).await
    }

    /// The QMP connection to a running guest, which all that talk to it share.
    pub async fn qmp(&self, vmid: VmId) -> Result<Qmp, Error> {
        let not_running = || Error::conflict(format!("VM {vmid} not running"));
        if !self.is_running(vmid).await? {
            self.monitors.close(vmid);
            return Err(not_running());
        }
        let file = self.run_file(vmid).await?.ok_or_else(not_running)?;
        self.monitors.connection(vmid, &file.sockets.control).await
    }

    /// What can be seen of a guest now.
    pub async fn status(&self, vmid: VmId) -> Result<GuestStatus, Error> {
        let Some(process) = self.main_process(vmid).await? else {
            return Ok(GuestStatus::STOPPED);
        };
        let qmp_status = match self.qmp(vmid).await {
            Ok(qmp) => qmp.status().await.ok().map(|status| status.state),
            Err(_) => None,
        };
        Ok(GuestStatus {
            state: RunState::Running,
            pid: Some(process.pid),
            qmp_status,
        })
    }
}
