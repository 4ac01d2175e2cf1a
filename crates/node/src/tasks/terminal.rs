//! The steps of a console that is a program at a terminal: it ends when its client hangs up or never
//! came, and nothing that was started in it is left then.

use async_trait::async_trait;
use model::Error;
use sys::ScopeName;
use tasks::{Probe, Step, Task, TaskContext};

use crate::NodeContext;

/// A task that stands for such a console.
pub(super) trait Terminal: Task<Node = NodeContext> {
    /// The console's id, after which the program's scope is named.
    fn console(&self) -> &str;
}

type Cx = TaskContext<NodeContext>;

async fn end(cx: &Cx, console: &str) -> Result<(), Error> {
    cx.node.consoles.close(console);
    Ok(cx.node.host.kill_scope(&ScopeName::shell(console)).await?)
}

pub(super) struct Wait;

#[async_trait]
impl<T: Terminal> Step<T> for Wait {
    fn name(&self) -> &'static str {
        "wait"
    }

    /// An agent that was restarted knows no console: its terminal has been hung up.
    async fn probe(&self, cx: &Cx, task: &mut T) -> Result<Probe, Error> {
        Ok(match cx.node.consoles.is_there(task.console()) {
            true => Probe::NotDone,
            false => Probe::Done,
        })
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        cx.node.consoles.ended(task.console()).await;
        Ok(())
    }

    async fn undo(&self, cx: &Cx, task: &T) -> Result<(), Error> {
        end(cx, task.console()).await
    }
}

pub(super) struct End;

#[async_trait]
impl<T: Terminal> Step<T> for End {
    fn name(&self) -> &'static str {
        "end"
    }

    async fn act(&self, cx: &Cx, task: &mut T) -> Result<(), Error> {
        end(cx, task.console()).await
    }
}
