//! What reset, suspend and resume share: a task that gives a running guest one command.

use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use guest::qemu::Qmp;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Probe, Step, Steps, Task, TaskContext};

use super::{SHORT_PATIENCE, guest_object, qmp_failed};
use crate::NodeContext;

/// Which command.
pub trait Command: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    const KIND: &'static str;
    /// What QEMU says once it is done; none where it cannot be told.
    const RESULT: Option<&'static str>;

    fn send(qmp: &Qmp) -> impl Future<Output = Result<(), guest::qemu::QmpError>> + Send;
}

/// A task that sends one command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct QemuPower<C> {
    pub vmid: VmId,
    #[serde(skip)]
    command: PhantomData<C>,
}

impl<C> QemuPower<C> {
    pub fn new(vmid: VmId) -> Self {
        Self {
            vmid,
            command: PhantomData,
        }
    }
}

impl<C: Command> Task for QemuPower<C> {
    type Node = NodeContext;
    const NAME: &'static str = C::NAME;
    const VERSION: u32 = 1;
    const KIND: &'static str = C::KIND;
    const ON_FULL_DISK: bool = true;
    const PATIENCE: Duration = SHORT_PATIENCE;

    /// A command that was given is not taken back.
    fn steps() -> Steps<Self> {
        Steps {
            before: &[&SendCommand],
            after: &[],
        }
    }

    fn object(&self) -> Option<String> {
        Some(guest_object(self.vmid))
    }
}

struct SendCommand;

#[async_trait]
impl<C: Command> Step<QemuPower<C>> for SendCommand {
    fn name(&self) -> &'static str {
        "send"
    }

    async fn probe(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut QemuPower<C>,
    ) -> Result<Probe, Error> {
        let status = cx.node.running.status(task.vmid).await?.qmp_status;
        let is_done = C::RESULT.is_some() && status.as_deref() == C::RESULT;
        Ok(if is_done { Probe::Done } else { Probe::NotDone })
    }

    async fn act(
        &self,
        cx: &TaskContext<NodeContext>,
        task: &mut QemuPower<C>,
    ) -> Result<(), Error> {
        let qmp = cx.node.running.qmp(task.vmid).await?;
        C::send(&qmp).await.map_err(qmp_failed)
    }
}
