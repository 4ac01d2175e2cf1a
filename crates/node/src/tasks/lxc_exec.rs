//! Runs a program in a running container, as its root. What it prints is the task's log.

use std::time::Duration;

use async_trait::async_trait;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use tasks::{Step, Steps, Task, TaskContext};
use tokio::sync::mpsc;

use super::SHORT_PATIENCE;
use crate::NodeContext;

/// The longest line of the log.
const LINE: usize = 4096;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LxcExec {
    pub vmid: VmId,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads.
    pub input: String,
    /// After this it is killed; none for as long as it takes.
    pub timeout_s: Option<u64>,
}

impl Task for LxcExec {
    type Node = NodeContext;
    const NAME: &'static str = "lxc_exec";
    const VERSION: u32 = 1;
    const KIND: &'static str = "vzexec";
    const PATIENCE: Duration = SHORT_PATIENCE;

    fn steps() -> Steps<Self> {
        Steps {
            before: &[&Exec],
            after: &[],
        }
    }

    /// It stands in no other task's way: a container can be stopped meanwhile.
    fn object(&self) -> Option<String> {
        None
    }
}

type Cx = TaskContext<NodeContext>;

struct Exec;

#[async_trait]
impl Step<LxcExec> for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    async fn act(&self, cx: &Cx, task: &mut LxcExec) -> Result<(), Error> {
        let vmid = task.vmid;
        let program = task.command.first().cloned().unwrap_or_default();
        cx.log(&format!("running '{program}' in CT {vmid}")).await;
        let (listener, heard) = mpsc::unbounded_channel();
        let command = cx
            .node
            .attach_to_container(vmid)
            .args(["--clear-env", "--"])
            .args(task.command.iter().cloned())
            .input(task.input.as_bytes())
            .timeout(task.timeout_s.map(Duration::from_secs))
            .heard_by(listener);
        let (ended, ()) = tokio::join!(cx.run(command), show(cx, heard));
        let output = ended?;
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            cx.log(&shortened(line)).await;
        }
        match output.code {
            Some(0) => Ok(()),
            Some(code) => Err(Error::unavailable(format!(
                "command '{program}' failed: exit code {code}"
            ))),
            None => Err(Error::unavailable(format!(
                "command '{program}' was killed by a signal"
            ))),
        }
    }
}

/// Logs what a program prints, line by line.
async fn show(cx: &Cx, mut heard: mpsc::UnboundedReceiver<Vec<u8>>) {
    let mut begun = Vec::new();
    while let Some(part) = heard.recv().await {
        begun.extend(part);
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            cx.log(&shortened(&String::from_utf8_lossy(&line))).await;
        }
    }
    if !begun.is_empty() {
        cx.log(&shortened(&String::from_utf8_lossy(&begun))).await;
    }
}

fn shortened(line: &str) -> String {
    line.trim_end().chars().take(LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_characters() {
        assert_eq!(shortened("ab \n"), "ab");
        assert_eq!(shortened(&"ä".repeat(LINE + 7)).chars().count(), LINE);
    }
}
