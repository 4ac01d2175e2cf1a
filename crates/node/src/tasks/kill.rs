//! The step that ends a guest at once.

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, Upid, VmId};
use sys::{ScopeName, SysError};
use tasks::{Step, Task, TaskContext};

use crate::NodeContext;
use crate::guests::hooks::{self, Phase};

/// A task that ends a guest at once.
#[async_trait]
pub(super) trait Kills: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;

    /// Tasks that were ended for it: they waited for the guest to shut down.
    fn overruled(&self) -> &[Upid];

    /// Asks the guest's processes to end at once, but in order.
    async fn quit(&self, _cx: &TaskContext<NodeContext>) {}

    /// Whether the guest was killed and a process of it does not end.
    fn lingers(&mut self) -> &mut bool;
}

/// How often a guest is killed, some seconds each time, before the task goes on without its end. Much memory takes
/// a while to be given back.
const ATTEMPTS: usize = 6;

/// What a task says of a guest that was killed and has not ended. What is left of it is cleared away when it has.
pub(super) fn lingering(vmid: VmId) -> Error {
    Error::unavailable(format!(
        "guest {vmid} was killed, but a process of it waits in the kernel, as for a storage that does not answer; \
         until that has ended, the guest counts as running"
    ))
}

/// How long a QEMU may take to end by itself.
const QUIT: Duration = Duration::from_secs(5);

/// Has QEMU end by itself: it writes out what of its images it alone knows, as tables of qcow2, which
/// would be lost with it, although the guest has been told that its writes are done. One that does not
/// end, as with a storage that does not answer, is killed by the caller.
pub(super) async fn quit(cx: &TaskContext<NodeContext>, vmid: VmId) {
    let ended = async {
        let qmp = cx.node.running.qmp(vmid).await.ok()?;
        let mut events = qmp.events();
        qmp.quit().await.ok()?;
        // The connection is lost after the images are closed.
        while events.next().await.is_ok() {}
        Some(())
    };
    tokio::select! {
        biased;
        _ = ended => {}
        () = cx.clock.sleep(QUIT) => cx.log("QEMU does not end by itself, killing it").await,
    }
}

/// Kills a guest's processes. False if they do not end.
async fn kill(cx: &TaskContext<NodeContext>, vmid: VmId) -> Result<bool, Error> {
    let scope = ScopeName::guest(vmid);
    for _ in 0..ATTEMPTS {
        match cx.node.host.kill_scope(&scope).await {
            Err(SysError::Lingering { .. }) => cx.log("the guest's processes do not end yet").await,
            killed => return Ok(killed.map(|()| true)?),
        }
    }
    Ok(false)
}

pub(super) struct Kill;

#[async_trait]
impl<T: Kills> Step<T> for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    async fn act(&self, cx: &TaskContext<NodeContext>, task: &mut T) -> Result<(), Error> {
        if let Some(first) = task.overruled().first() {
            let upids: Vec<String> = task.overruled().iter().map(Upid::to_string).collect();
            let line = format!("overruled {} tasks: {}", first.kind, upids.join(", "));
            cx.log(&line).await;
        }
        if cx.node.running.is_running(task.vmid()).await? {
            hooks::call_or_warn(cx, task.vmid(), Phase::PreStop).await;
            task.quit(cx).await;
        }
        *task.lingers() = !kill(cx, task.vmid()).await?;
        if *task.lingers() {
            return Ok(());
        }
        cx.node.remove_traces(task.vmid()).await?;
        hooks::call_or_warn(cx, task.vmid(), Phase::PostStop).await;
        Ok(())
    }
}
