//! `ostler run`: starts the agent and the API and restarts them when they die. For hosts without
//! systemd.

use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};
use tracing::{error, info};

use super::ITSELF;
use crate::config::Config;

/// How long a role may take to end after the signal.
const END_TIMEOUT_S: u64 = 10;

pub(crate) async fn supervise(config: &Config) -> Result<()> {
    let agent = keep("node", config.restart_pause);
    let api = keep("api", config.restart_pause);
    tokio::select! {
        ended = agent => ended,
        ended = api => ended,
        // Both roles get the signal from `Role::drop`; guests are not our children.
        ended = super::asked_to_end() => Ok(ended?),
    }
}

/// Runs a role until this process ends.
async fn keep(role: &'static str, pause: Duration) -> Result<()> {
    loop {
        let mut running = Role::start(role)?;
        let status = running.ended().await?;
        error!(role, %status, "ended, starting it again");
        tokio::time::sleep(pause).await;
    }
}

/// Settings that make the C library's allocator return memory: it would otherwise keep the peak of
/// the largest list, in every thread's arena. Other ways to start the roles should set the same.
const SMALL_HEAP: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "65536"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

struct Role {
    name: &'static str,
    child: Child,
}

impl Role {
    #[expect(
        clippy::disallowed_methods,
        reason = "a supervisor starts its own program"
    )]
    fn start(name: &'static str) -> Result<Self> {
        let child = Command::new(ITSELF)
            .arg0("ostler")
            .arg(name)
            .kill_on_drop(true)
            .envs(SMALL_HEAP)
            .spawn()
            .with_context(|| format!("starting the {name} role"))?;
        info!(role = name, pid = child.id(), "started");
        Ok(Self { name, child })
    }

    async fn ended(&mut self) -> Result<ExitStatus> {
        self.child
            .wait()
            .await
            .with_context(|| format!("waiting for the {} role", self.name))
    }
}

impl Drop for Role {
    /// Sends the role a signal to end; kills it if it does not end in time.
    fn drop(&mut self) {
        let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) else {
            return;
        };
        let Some(pid) = rustix::process::Pid::from_raw(pid) else {
            return;
        };
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..END_TIMEOUT_S * 20 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
