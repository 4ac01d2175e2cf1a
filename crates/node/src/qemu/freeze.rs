//! Frozen guests: their file systems stand still while disks are snapshot or backed up.
//!
//! ```text
//!   freeze()  mark ─► agent: fsfreeze-freeze          the mark is a file that only root writes
//!   thaw()    agent: fsfreeze-thaw ─► no mark
//!   thaw_abandoned()   a mark on a guest that no task is at work on ─► thaw()
//! ```
//!
//! **A task that freezes holds the guest's object** (`tasks::guest_object`), as every task of a guest
//! does, and thaws it in `act`'s end and in `undo`. A guest that is frozen and not held was left
//! by an agent that died, and is thawed by the next one. A freeze that a user asked for by the
//! API has no mark and is that user's to end.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Error, VmId};
use tasks::Engine;
use tracing::{info, warn};

use crate::NodeContext;
use crate::qemu::agent_turns::agent_option;
use crate::tasks::guest_object;

/// How often abandoned frozen guests are looked for, in milliseconds.
const LOOK_MS: u64 = 1_000;

/// And how long one is left alone that could not be thawed.
const RETRY: Duration = Duration::from_secs(30);

/// What became of a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freeze {
    /// So many file systems stand still until `thaw`.
    Frozen { filesystems: u64 },
    /// No agent is configured, or its option says `freeze-fs=0`.
    NotWanted,
    /// Why no agent can do it: the caller goes on, and logs this.
    NoAgent(Error),
}

impl NodeContext {
    /// Freezes a running guest's file systems and writes out what they hold; waits for as long as
    /// that takes. An error leaves the guest thawed, or to be thawed by `thaw` or by
    /// `thaw_abandoned`. May be dropped, with the same effect, and repeated.
    pub async fn freeze(&self, vmid: VmId) -> Result<Freeze, Error> {
        let option = agent_option(&self.records.local().qemu(vmid).await?.record.data);
        if !option.enabled || option.freeze == Some(false) {
            return Ok(Freeze::NotWanted);
        }
        let mut agent = match self.running_agent(vmid).await {
            Ok(agent) => agent,
            Err(error) => return Ok(Freeze::NoAgent(error)),
        };
        self.host
            .write(&self.paths.frozen_mark(vmid), b"", 0o600)
            .await?;
        let frozen = agent.freeze().await;
        let frozen = frozen.map_err(|error| agent.failed(error));
        drop(agent);
        match frozen {
            Ok(filesystems) => Ok(Freeze::Frozen { filesystems }),
            Err(error) => {
                // It may have frozen some, or be about to.
                if let Err(also) = self.thaw(vmid).await {
                    warn!(%vmid, error = %also, "a guest that may be frozen cannot be thawed yet");
                }
                Err(error)
            }
        }
    }

    /// Thaws what `freeze` froze. No error where it froze nothing, or where the guest has ended.
    /// May be dropped and repeated.
    pub async fn thaw(&self, vmid: VmId) -> Result<(), Error> {
        let mark = self.paths.frozen_mark(vmid);
        if self.host.stat(&mark).await?.is_none() {
            return Ok(());
        }
        if self.running.is_running(vmid).await? {
            let mut agent = self.running_agent(vmid).await?;
            let thawed = agent.thaw().await;
            thawed.map_err(|error| agent.failed(error))?;
        }
        self.host.remove(&mark).await?;
        Ok(())
    }
}

/// Thaws guests whose freezers died, for as long as the agent lives. Never returns.
pub async fn thaw_abandoned(node: &NodeContext, tasks: &Engine<NodeContext>) {
    let mut left_alone = BTreeMap::new();
    loop {
        if let Err(error) = thaw_once(node, tasks, &mut left_alone).await {
            warn!(%error, "frozen guests cannot be looked for");
        }
        node.clock.sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// `left_alone` says until when, for those that could not be thawed.
async fn thaw_once(
    node: &NodeContext,
    tasks: &Engine<NodeContext>,
    left_alone: &mut BTreeMap<VmId, Duration>,
) -> Result<(), Error> {
    let now = node.clock.monotonic();
    left_alone.retain(|_, until| *until > now);
    for scope in node.host.scopes().await? {
        let Some(vmid) = scope.vmid() else { continue };
        if left_alone.contains_key(&vmid) {
            continue;
        }
        if node
            .host
            .stat(&node.paths.frozen_mark(vmid))
            .await?
            .is_none()
        {
            continue;
        }
        let Some(_hold) = tasks.try_hold(&guest_object(vmid)) else {
            continue;
        };
        match node.thaw(vmid).await {
            Ok(()) => info!(%vmid, "thawed a guest whose freezer had ended"),
            Err(error) => {
                warn!(%vmid, %error, "a frozen guest cannot be thawed yet");
                left_alone.insert(vmid, now + RETRY);
            }
        }
    }
    Ok(())
}
