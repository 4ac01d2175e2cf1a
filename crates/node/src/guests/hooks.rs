//! An administrator's own script, run around a guest's start and stop.

use std::path::PathBuf;
use std::time::Duration;

use model::{Error, VmId, VolumeId};
use storage::ContentType;
use sys::{Command, Limits};
use tasks::TaskContext;

use crate::NodeContext;

/// How long a script may take: the guest's other tasks wait for it.
const PATIENCE: Duration = Duration::from_secs(600);

/// When the script is called; the second of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    PreStart,
    PostStart,
    PreStop,
    PostStop,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Self::PreStart => "pre-start",
            Self::PostStart => "post-start",
            Self::PreStop => "pre-stop",
            Self::PostStop => "post-stop",
        }
    }
}

impl NodeContext {
    /// Where a guest's script is, if it is one.
    pub async fn hook_script(&self, volume: &VolumeId) -> Result<PathBuf, Error> {
        let storage = self.storage(volume.storage()).await?;
        let info = storage.stat(volume.name()).await?;
        let missing = || Error::not_found(format!("hookscript '{volume}' does not exist"));
        let is_script = info.ok_or_else(missing)?.content == ContentType::Snippets;
        if !is_script {
            let text = format!("hookscript: '{volume}' is not in content type 'snippets'");
            return Err(Error::invalid("hookscript", text));
        }
        Ok(storage.path(volume.name())?)
    }

    /// Calls a guest's script, if it has one, and answers what it printed. It may be called
    /// again where it was cut off.
    async fn call_hook(&self, vmid: VmId, phase: Phase, command: Command) -> Result<String, Error> {
        let failed = |why: String| {
            let phase = phase.as_str();
            Error::unavailable(format!("hookscript error for {vmid} on {phase}: {why}"))
        };
        let output = self.host.run(command).await;
        let output = output.map_err(|error| failed(Error::chain(&error)))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = "the script";
        output
            .checked(name)
            .map_err(|error| failed(Error::chain(&error)))?;
        Ok(said)
    }

    async fn hook(&self, vmid: VmId, phase: Phase) -> Result<Option<Command>, Error> {
        let record = self.records.local().guest(vmid).await?.record.data;
        let script = record.config.text("hookscript");
        let Some(volume) = script.and_then(|text| text.parse().ok()) else {
            return Ok(None);
        };
        let path = self.hook_script(&volume).await?.display().to_string();
        let command = Command::new(path).args([vmid.to_string(), phase.as_str().to_owned()]);
        Ok(Some(command.timeout(Some(PATIENCE))))
    }

    /// Calls the script for a guest that ended by itself, of which no task is in charge.
    pub(crate) async fn call_hook_outside_tasks(&self, vmid: VmId, phase: Phase) {
        let called = async {
            match self.hook(vmid, phase).await? {
                Some(command) => self.call_hook(vmid, phase, command).await.map(drop),
                None => Ok(()),
            }
        };
        if let Err(error) = called.await {
            tracing::warn!(%vmid, %error);
        }
    }
}

/// Calls the script in the task's scope; what it prints goes to the task's log.
pub(crate) async fn call(
    cx: &TaskContext<NodeContext>,
    vmid: VmId,
    phase: Phase,
) -> Result<(), Error> {
    let Some(command) = cx.node.hook(vmid, phase).await? else {
        return Ok(());
    };
    let scope = cx.scope();
    let command = Command {
        scope: Some(scope.clone()),
        ..command
    };
    let called = async {
        cx.node
            .host
            .create_scope(&scope, &Limits::default())
            .await?;
        cx.node.call_hook(vmid, phase, command).await
    };
    let called = called.await;
    clear(cx).await?;
    for line in called?.lines() {
        cx.log(line).await;
    }
    Ok(())
}

/// Ends what the script left running: it is not the guest's.
pub(crate) async fn clear(cx: &TaskContext<NodeContext>) -> Result<(), Error> {
    let scope = cx.scope();
    match cx.node.host.kill_scope(&scope).await {
        Ok(()) => Ok(()),
        // No other code calls it later.
        Err(_) => Ok(cx.node.host.kill_scope(&scope).await?),
    }
}

/// The same where what follows goes on without it.
pub(crate) async fn call_or_warn(cx: &TaskContext<NodeContext>, vmid: VmId, phase: Phase) {
    if let Err(error) = call(cx, vmid, phase).await {
        cx.warn(&error.to_string()).await;
    }
}
