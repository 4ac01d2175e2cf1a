//! Processes that end with this one, in every case.
//!
//! A parent-death signal is sent when the *thread* that forked ends, so one thread that lives as
//! long as the process does all the forking.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::LabError;

type Order = (Command, Sender<io::Result<Child>>);

static FORKER: OnceLock<Sender<Order>> = OnceLock::new();

fn forker() -> &'static Sender<Order> {
    FORKER.get_or_init(|| {
        let (sender, receiver) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lab starts QEMU on a development machine, not on a host"
)]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// Starts a program that is killed when this process ends; its output goes to the file.
pub(crate) fn spawn_bound(argv: &[String], said: &File) -> Result<Child, LabError> {
    // `setpriv` requests the signal; the shell then checks whether the parent died before that.
    let mut command = command("setpriv");
    command.args(["--pdeathsig", "KILL", "sh", "-c"]);
    command.arg(r#"[ "$PPID" = "$0" ] || exit 1; exec "$@""#);
    command.arg(std::process::id().to_string()).args(argv);
    let doing = || LabError::io(format!("start {}", argv[0]));
    command.stdin(Stdio::null());
    command.stdout(said.try_clone().map_err(doing())?);
    command.stderr(said.try_clone().map_err(doing())?);
    spawn(command, doing())
}

fn spawn(command: Command, doing: impl FnOnce(io::Error) -> LabError) -> Result<Child, LabError> {
    let (sender, receiver) = channel();
    forker()
        .send((command, sender))
        .expect("the forking thread never ends");
    let child = receiver.recv().expect("the forking thread answers");
    child.map_err(doing)
}

/// A folder that is removed when this is dropped, and also when this process is killed.
#[derive(Debug)]
pub(crate) struct BoundFolder {
    path: PathBuf,
    sweeper: Child,
    /// The cleanup process waits while this is open.
    leash: Option<ChildStdin>,
}

impl BoundFolder {
    /// Takes ownership of an existing folder.
    pub(crate) fn new(path: &Path) -> Result<BoundFolder, LabError> {
        let mut command = command("setsid");
        command.args(["sh", "-c", r#"read -r _; exec rm -rf -- "$0""#]);
        command.arg(path);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut sweeper = spawn(command, LabError::io("start a sweeper"))?;
        Ok(BoundFolder {
            path: path.to_owned(),
            leash: sweeper.stdin.take(),
            sweeper,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BoundFolder {
    fn drop(&mut self) {
        drop(self.leash.take());
        let _ = self.sweeper.wait();
    }
}
