//! Who talks to the agents inside of guests, one after the other.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use guest::qemu::{AgentError, GuestAgent};
use model::qemu::Agent;
use model::{Error, GuestRecord, VmId};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::NodeContext;

/// How long a handshake may take. An agent that runs answers at once, unless it is busy with
/// what a caller before us stopped waiting for.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The most characters of an agent's complaint that are passed on.
const TEXT_MAX: usize = 500;

/// An agent serves one caller at a time, so callers take turns, in the order of their coming.
#[derive(Default)]
pub struct AgentTurns {
    turns: StdMutex<BTreeMap<VmId, Arc<Mutex<()>>>>,
}

impl AgentTurns {
    /// Waits for the caller's turn. May be dropped, which gives the place up.
    async fn take(&self, vmid: VmId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Entries without a holder or a waiter are removed, so that guests come and go.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(vmid).or_default().clone()
        };
        turn.lock_owned().await
    }
}

/// A turn at a guest's agent: a connection past its handshake. Ends when it is dropped.
pub struct AgentTurn {
    agent: GuestAgent,
    vmid: VmId,
    _turn: OwnedMutexGuard<()>,
}

impl Deref for AgentTurn {
    type Target = GuestAgent;

    fn deref(&self) -> &GuestAgent {
        &self.agent
    }
}

impl DerefMut for AgentTurn {
    fn deref_mut(&mut self) -> &mut GuestAgent {
        &mut self.agent
    }
}

impl AgentTurn {
    /// What a failed command is called at the border.
    pub fn failed(&self, error: AgentError) -> Error {
        agent_failed(self.vmid, error)
    }
}

/// What a guest's agent would not do, in the words of Proxmox VE.
fn agent_failed(vmid: VmId, error: AgentError) -> Error {
    Error::unavailable(match error {
        AgentError::Silent => "QEMU guest agent is not running".to_owned(),
        AgentError::Refused { description, .. } => {
            format!("Agent error: {}", line_of(&description))
        }
        AgentError::TimedOut { command, .. } => {
            format!("VM {vmid} qga command '{command}' failed - got timeout")
        }
        other => format!("VM {vmid}: {}", Error::chain(&other)),
    })
}

/// A text from the guest, as one line of a log or a header: the owner of the guest chose it.
fn line_of(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(TEXT_MAX).map(visible).collect()
}

/// What a guest's configuration says of its agent.
pub(crate) fn agent_option(guest: &GuestRecord) -> Agent {
    let text = guest.config.text("agent");
    text.and_then(|text| Agent::parse(&text).ok())
        .unwrap_or_default()
}

impl NodeContext {
    /// Waits for a turn at the agent of a guest and shakes hands with it. Refused at once where
    /// none is configured, the guest does not run, or nothing in it listens.
    pub async fn guest_agent(&self, vmid: VmId) -> Result<AgentTurn, Error> {
        let guest = self.records.local().qemu(vmid).await?.record.data;
        if !agent_option(&guest).enabled {
            return Err(Error::conflict("No QEMU guest agent configured"));
        }
        self.running_agent(vmid).await
    }

    /// The same, whatever the configuration says by now.
    pub(crate) async fn running_agent(&self, vmid: VmId) -> Result<AgentTurn, Error> {
        let turn = self.agent_turns.take(vmid).await;
        let not_running = || Error::conflict(format!("VM {vmid} is not running"));
        if !self.running.is_running(vmid).await? {
            return Err(not_running());
        }
        let file = self.running.run_file(vmid).await?.ok_or_else(not_running)?;
        // One that was configured while the guest runs has no channel yet.
        let silent = || agent_failed(vmid, AgentError::Silent);
        let socket = file.sockets.agent.ok_or_else(silent)?;
        if self.is_agent_absent(vmid).await {
            return Err(silent());
        }
        let stream = self.host.connect(socket.as_ref()).await?;
        match GuestAgent::connect(stream, HANDSHAKE).await {
            Ok(agent) => Ok(AgentTurn {
                agent,
                vmid,
                _turn: turn,
            }),
            Err(AgentError::Lost { .. }) if !self.running.is_running(vmid).await? => {
                Err(not_running())
            }
            Err(error) => Err(agent_failed(vmid, error)),
        }
    }

    /// Whether QEMU knows that nothing in the guest listens; then no caller need wait to find out.
    async fn is_agent_absent(&self, vmid: VmId) -> bool {
        let Ok(qmp) = self.running.qmp(vmid).await else {
            return false;
        };
        qmp.is_agent_open().await == Ok(Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guest_complains_of_is_one_line() {
        let description = format!("no\nTASK OK\u{1b}[2J{}", "x".repeat(1000));
        let error = agent_failed(
            VmId::new(100).unwrap(),
            AgentError::Refused {
                command: "guest-exec".to_owned(),
                class: String::new(),
                description,
            },
        );
        assert!(error.message.starts_with("Agent error: no TASK OK [2Jxxx"));
        assert_eq!(
            error.message.chars().count(),
            "Agent error: ".len() + TEXT_MAX
        );
    }
}
