//! What tasks share that make and delete snapshots of many guests: the work is a task of each guest.

use model::{Error, GuestKind, VmId};
use tasks::{INTERRUPTED, Submission, Task, TaskContext, TaskState};

use super::{LxcDelsnapshot, QemuDelsnapshot};
use crate::NodeContext;

type Cx = TaskContext<NodeContext>;

/// How often a guest's task is repeated that a restart of the agent has ended.
const ATTEMPTS: usize = 5;

/// Runs a task of a guest to its end; again, if it only ended because the agent was restarted. `what` is
/// different for each task of the guest.
pub(super) async fn perform<T: Task<Node = NodeContext>>(
    cx: &Cx,
    (vmid, kind): (VmId, GuestKind),
    what: &str,
    task: T,
) -> Result<(), Error> {
    let (engine, upid) = (cx.engine()?, &cx.upid);
    let mut ended = String::new();
    for attempt in 0..ATTEMPTS {
        let submission = Submission {
            request_id: format!("{upid} {vmid} {what} {attempt}"),
            user: upid.user.clone(),
            id: vmid.to_string(),
            listed: false,
        };
        let child = engine.submit(submission, task.clone()).await?;
        let summary = engine.wait(&child).await?;
        let is_ok = summary.is_ok();
        ended = match summary.state {
            TaskState::Ended { status, .. } => status,
            TaskState::Stuck(why) => why,
            TaskState::Running => String::new(),
        };
        if is_ok {
            if ended.starts_with("WARNINGS") {
                let word = kind.word();
                let text = format!("{word} {vmid}: {what} ended with warnings");
                cx.warn(&text).await;
            }
            return Ok(());
        }
        if ended != INTERRUPTED {
            break;
        }
    }
    Err(Error::conflict(ended))
}

/// Deletes a snapshot of a guest, and says so.
pub(super) async fn delete(cx: &Cx, of: (VmId, GuestKind), name: &str) -> Result<(), Error> {
    let (vmid, kind) = of;
    let (what, word) = (format!("delete {name}"), kind.word());
    let deleted = match kind {
        GuestKind::Qemu => {
            let task = QemuDelsnapshot::new(vmid, name.to_owned(), false);
            perform(cx, of, &what, task).await
        }
        GuestKind::Lxc => {
            let task = LxcDelsnapshot::new(vmid, name.to_owned(), false);
            perform(cx, of, &what, task).await
        }
    };
    deleted.map_err(|error| {
        let text = format!("snapshot '{name}' is not removed: {error}");
        Error::new(error.kind, text)
    })?;
    let text = format!("{word} {vmid}: snapshot '{name}' removed");
    cx.log(&text).await;
    Ok(())
}
