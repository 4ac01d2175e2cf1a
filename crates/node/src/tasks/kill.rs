//! The step that ends a guest at once.

use async_trait::async_trait;
use model::{Error, Upid, VmId};
use tasks::{Step, Task, TaskContext};

use crate::NodeContext;
use crate::guests::hooks::{self, Phase};

/// A task that ends a guest at once.
pub(super) trait Kills: Task<Node = NodeContext> {
    fn vmid(&self) -> VmId;

    /// Tasks that were ended for it: they waited for the guest to shut down.
    fn overruled(&self) -> &[Upid];
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
        }
        cx.node.remove_traces(task.vmid()).await?;
        hooks::call_or_warn(cx, task.vmid(), Phase::PostStop).await;
        Ok(())
    }
}
