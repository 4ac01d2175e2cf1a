//! Starting a container: LXC in the container's scope, with the container's file systems mounted
//! where only it sees them.
//!
//! ```text
//!   scope guest-100                     limits; outlives the agent
//!     ├── monitor   lxc-start           in a mount namespace of its own
//!     └── payload   the container's init and all that it starts
//! ```

use std::path::PathBuf;
use std::time::Duration;

use guest::lxc::{CtConfig, CtRunFile, ROOT, Rendering, render, seccomp_rules};
use model::{Error, VmId};
use sys::{Cell, CellMount, Command, Limits, ProcessId, ScopeName, Stdio};

use crate::NodeContext;
use crate::host::facts::Facts;

const START: &str = "lxc-start";
pub(super) const INFO: &str = "lxc-info";
const STOP: &str = "lxc-stop";

/// Says whether AppArmor confines programs.
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// How often a container that begins is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// The last lines that LXC wrote, for the log of a task.
const SHOWN_LINES: usize = 10;

impl NodeContext {
    /// What a container's scope may use.
    pub(crate) async fn container_limits(&self, vmid: VmId, config: &CtConfig) -> Limits {
        let cpus = Facts::new(self.host.clone()).processors().await.cpus;
        Limits {
            cpus: (config.cpu_limit > 0.0).then_some(config.cpu_limit),
            cpu_weight: Some(config.cpu_units.unwrap_or(100)),
            cpu_list: Some(cpu_list(vmid, config.cores, cpus)),
            memory_bytes: Some(config.memory_mib << 20),
            swap_bytes: Some(config.swap_mib << 20),
            processes: None,
        }
    }

    /// Writes what LXC reads.
    pub(crate) async fn write_container_config(
        &self,
        vmid: VmId,
        config: &CtConfig,
    ) -> Result<(), Error> {
        let folder = self.paths.guest(vmid);
        self.host.create_dir(&folder, 0o755).await?;
        let has_apparmor = self.host.read(APPARMOR.as_ref()).await;
        let rendering = Rendering {
            vmid,
            folder: &folder.display().to_string(),
            has_apparmor: has_apparmor.is_ok_and(|text| text.starts_with(b"Y")),
            mtus: &self.mtus(config).await?,
            isolated: &self.isolated_cards(vmid, config).await?,
            devices: &self.make_devices(vmid, config).await?,
        };
        let text = render(config, &rendering);
        let rules = seccomp_rules(&config.features);
        for (name, text) in [("rules.seccomp", rules), ("config", text)] {
            let path = folder.join(name);
            self.host.write(&path, text.as_bytes(), 0o600).await?;
        }
        Ok(())
    }

    /// LXC's name of a container, and the folder of all of them.
    pub(super) fn lxc(&self, program: &str, vmid: VmId) -> Command {
        let folder = self.paths.guests().display().to_string();
        Command::new(program).args(["-P".to_owned(), folder, "-n".to_owned(), vmid.to_string()])
    }

    /// A program in a running container, as its root.
    pub fn attach_to_container(&self, vmid: VmId) -> Command {
        self.lxc("lxc-attach", vmid)
    }

    /// A terminal of a running container; its console is number 0.
    pub fn container_terminal(&self, vmid: VmId, number: Option<u8>) -> Command {
        let mut command = self.lxc("lxc-console", vmid).args(["-e", "-1"]);
        if let Some(number) = number {
            command = command.args(["-t".to_owned(), number.to_string()]);
        }
        command
    }

    fn lxc_log(&self, vmid: VmId) -> PathBuf {
        self.paths.guest(vmid).join("lxc.log")
    }

    /// Starts LXC for a container.
    pub(crate) async fn spawn_container(
        &self,
        vmid: VmId,
        config: &CtConfig,
        mounts: Vec<CellMount>,
    ) -> Result<ProcessId, Error> {
        let file = self.paths.guest(vmid).join("config").display().to_string();
        let log = self.lxc_log(vmid).display().to_string();
        let level = if config.is_debugged { "DEBUG" } else { "WARN" };
        let mut command = self.lxc(START, vmid).args([
            "--foreground",
            "--rcfile",
            &file,
            "--logfile",
            &log,
            "--logpriority",
            level,
        ]);
        if let Some(words) = config.command() {
            // LXC 5 parts `lxc.init.cmd` at each blank.
            command = command.arg("--").args(words);
        }
        command.timeout = None;
        command.output = Stdio::File(self.paths.guest_log(vmid));
        let command = command.cell(Cell {
            mounts,
            at: ROOT.into(),
            beside: None,
            hides: Some(self.paths.all_mounted()),
            first_id: config.first_id(),
            program: None,
        });
        Ok(self.host.spawn(command, &ScopeName::guest(vmid)).await?)
    }

    /// Waits until the container's init executes. Ends with an error if LXC ends before.
    pub(crate) async fn until_container_runs(
        &self,
        vmid: VmId,
        process: &ProcessId,
    ) -> Result<(), Error> {
        while !self.is_container_up(vmid).await? {
            if !self.host.is_alive(process).await? {
                let text = format!("startup for container '{vmid}' failed");
                return Err(Error::unavailable(text));
            }
            self.clock.sleep(LOOK).await;
        }
        Ok(())
    }

    async fn is_container_up(&self, vmid: VmId) -> Result<bool, Error> {
        let asked = self
            .host
            .run(self.lxc(INFO, vmid).args(["-s", "-H"]))
            .await?;
        Ok(asked.success() && asked.stdout.starts_with(b"RUNNING"))
    }

    /// Asks a container's init to power off; it takes as long as it takes.
    pub(crate) async fn ask_container_to_end(&self, vmid: VmId) -> Result<(), Error> {
        let command = self.lxc(STOP, vmid).args(["--nokill", "--nowait"]);
        let asked = self.host.run(command).await?;
        if !asked.success() && self.running.is_running(vmid).await? {
            asked.checked(STOP)?;
        }
        Ok(())
    }

    /// The last lines of what LXC wrote about a container.
    pub(crate) async fn lxc_printed(&self, vmid: VmId) -> Vec<String> {
        let mut lines = Vec::new();
        for path in [self.lxc_log(vmid), self.paths.guest_log(vmid)] {
            let content = self.host.read(&path).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&content).into_owned();
            let shown = text.lines().filter(|line| !line.contains(" WARN "));
            lines.extend(shown.map(str::to_owned));
        }
        let first = lines.len().saturating_sub(SHOWN_LINES);
        lines.split_off(first)
    }

    /// The agent's file on a running container.
    pub async fn container_file(&self, vmid: VmId) -> Result<Option<CtRunFile>, Error> {
        self.running.container_file(vmid).await
    }
}

/// Processors for so many cores, from one that depends on the container on, so that containers
/// spread over all.
fn cpu_list(vmid: VmId, cores: Option<u32>, cpus: u32) -> String {
    let cpus = cpus.max(1);
    let cores = cores.unwrap_or(cpus).clamp(1, cpus);
    if cores == cpus {
        return format!("0-{}", cpus - 1);
    }
    let first = vmid.get().wrapping_mul(cores) % cpus;
    let mut list: Vec<u32> = (0..cores).map(|n| (first + n) % cpus).collect();
    list.sort_unstable();
    let list: Vec<String> = list.iter().map(u32::to_string).collect();
    list.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_spread_over_the_processors() {
        let list = |vmid: u32, cores| cpu_list(VmId::new(vmid).unwrap(), cores, 4);
        assert_eq!(list(100, None), "0-3");
        assert_eq!(list(100, Some(9)), "0-3");
        assert_eq!(list(100, Some(1)), "0");
        assert_eq!(list(101, Some(1)), "1");
        assert_eq!(list(103, Some(2)), "2,3");
        assert_eq!(list(101, Some(3)), "0,1,3");
    }
}
