//! Runs a program in a running container, as its root. What it prints is the task's log.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Error, VmId};
use serde::{Deserialize, Serialize};
use sys::SysError;
use tasks::{Step, Steps, Task, TaskContext};
use tokio::net::UnixStream;

use super::SHORT_PATIENCE;
use crate::NodeContext;
use crate::migration::pair;

/// The longest line of the log, in bytes; a longer one goes on in the next.
const LINE: usize = 4096;

/// The most that is kept of a program's output, in bytes.
const MOST: usize = 1 << 20;

/// How much is read at once.
const PART: usize = 4096;

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
        let (ours, theirs) = pair()?;
        let theirs = Arc::new(theirs);
        let mut command = cx
            .node
            .attach_to_container(vmid)
            .args(["--clear-env", "--"])
            .args(task.command.iter().cloned())
            .input(task.input.as_bytes())
            .timeout(task.timeout_s.map(Duration::from_secs));
        // What it prints and what it complains of, in their order.
        command.descriptors = vec![(1, theirs.clone()), (2, theirs)];
        let mut shown = Shown::default();
        let runs = cx.run(command);
        let ended = shown.until(cx, &ours, runs).await;
        shown.rest_of(cx, ours).await?;
        let late = |after: Duration| {
            let after = after.as_secs();
            Error::unavailable(format!("command '{program}' did not end within {after} s"))
        };
        let ended = ended.map_err(|error| match error {
            SysError::ProgramTimeout { after, .. } => late(after),
            error => error.into(),
        });
        match ended?.code {
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

/// What was logged of a program's output. The program waits while a part is written, so that it
/// fills neither memory nor, beyond `MOST`, the disk.
#[derive(Default)]
struct Shown {
    /// A line that has no end yet.
    begun: Vec<u8>,
    bytes: usize,
}

impl Shown {
    /// Logs line by line until the program has ended. A part that was read is logged in full before
    /// anything else goes on.
    async fn until<T>(&mut self, cx: &Cx, from: &UnixStream, runs: impl Future<Output = T>) -> T {
        let mut runs = std::pin::pin!(runs);
        let mut part = [0; PART];
        loop {
            tokio::select! {
                ended = &mut runs => return ended,
                ready = from.readable() => if ready.is_err() { return runs.await },
            }
            match from.try_read(&mut part) {
                Ok(0) => return runs.await,
                Ok(length) => self.part(cx, &part[..length]).await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return runs.await,
            }
        }
    }

    /// Logs what is there after the program's end: what it left running may have the other end. It
    /// asks the kernel: the runtime may not have seen yet what was written last.
    async fn rest_of(&mut self, cx: &Cx, from: UnixStream) -> Result<(), Error> {
        let broken = |error| SysError::io("read", Path::new("the program's output"), error);
        let mut from = from.into_std().map_err(broken)?;
        let mut part = [0; PART];
        while self.bytes <= MOST
            && let Ok(length @ 1..) = from.read(&mut part)
        {
            self.part(cx, &part[..length]).await;
        }
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.line(cx, &begun).await;
        }
        Ok(())
    }

    async fn part(&mut self, cx: &Cx, part: &[u8]) {
        for line in part.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(line);
            if line.ends_with(b"\n") || self.begun.len() > LINE {
                let whole = std::mem::take(&mut self.begun);
                self.line(cx, &whole).await;
            }
        }
    }

    async fn line(&mut self, cx: &Cx, line: &[u8]) {
        let was_room = self.bytes <= MOST;
        self.bytes = self.bytes.saturating_add(line.len());
        match (was_room, self.bytes <= MOST) {
            (true, true) => cx.log(&String::from_utf8_lossy(line)).await,
            (true, false) => cx.log("what follows is not kept").await,
            (false, _) => {}
        }
    }
}
