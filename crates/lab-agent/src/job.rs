//! One script that runs in a node.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use lab_agent::{CHUNK_BYTES, Message};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::Outbox;

/// A script and its remaining input.
pub(crate) struct Job {
    group: Option<Pid>,
    input: Option<Sender<Vec<u8>>>,
    end: Arc<End>,
}

/// Whether the script itself has ended. Later output of its descendants is read and dropped: a pipe
/// without a reader would block or kill them.
#[derive(Default)]
struct End {
    has_ended: Mutex<bool>,
    /// Notified after a read.
    progress: Condvar,
}

impl End {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.has_ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    pub(crate) fn start(
        id: u32,
        script: &[u8],
        input: bool,
        outbox: &Outbox,
    ) -> std::io::Result<Job> {
        let mut child = shell(script, input).spawn()?;
        let end = Arc::new(End::default());
        let job = Job {
            group: Pid::from_raw(child.id().cast_signed()),
            input: child.stdin.take().map(feed),
            end: end.clone(),
        };
        let outbox = outbox.clone();
        thread::spawn(move || watch(id, child, &end, &outbox));
        Ok(job)
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.end.lock()
    }

    /// Sends more input to the script; an empty one ends it.
    pub(crate) fn input(&self, bytes: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.send(bytes);
        }
    }

    pub(crate) fn signal(&self, number: i32) {
        // The id of an ended process group may have been reused.
        let has_ended = self.end.lock();
        if let (Some(group), Some(signal), false) =
            (self.group, Signal::from_named_raw(number), *has_ended)
        {
            let _ = kill_process_group(group, signal);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent is alone in its node; the crate sys is not for it"
)]
fn shell(script: &[u8], input: bool) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(OsStr::from_bytes(script));
    command.process_group(0).current_dir("/root");
    command.stdin(if input { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Writes input as fast as the script reads it, without blocking other scripts.
fn feed(mut stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, receiver): (_, Receiver<Vec<u8>>) = channel();
    thread::spawn(move || {
        for bytes in receiver {
            if bytes.is_empty() || stdin.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    sender
}

/// Forwards a script's output, and then its end.
fn watch(id: u32, mut child: Child, end: &Arc<End>, outbox: &Outbox) {
    let stdout = child.stdout.take().map(Arc::new);
    let stderr = child.stderr.take().map(Arc::new);
    if let Some(pipe) = stdout.clone() {
        let (end, outbox) = (end.clone(), outbox.clone());
        thread::spawn(move || {
            pass_on(&*pipe, &end, |bytes| {
                outbox.send(id, Message::Stdout(bytes))
            })
        });
    }
    if let Some(pipe) = stderr.clone() {
        let (end, outbox) = (end.clone(), outbox.clone());
        thread::spawn(move || {
            pass_on(&*pipe, &end, |bytes| {
                outbox.send(id, Message::Stderr(bytes))
            })
        });
    }
    let status = child.wait();
    let unread = || {
        let of = |pipe: Option<rustix::fd::BorrowedFd<'_>>| {
            pipe.map_or(0, |pipe| rustix::io::ioctl_fionread(pipe).unwrap_or(0))
        };
        of(stdout.as_ref().map(|pipe| pipe.as_fd())) + of(stderr.as_ref().map(|pipe| pipe.as_fd()))
    };
    // All output of the script itself is in the pipes by now.
    let mut has_ended = end.lock();
    while unread() > 0 {
        has_ended = end
            .progress
            .wait(has_ended)
            .unwrap_or_else(PoisonError::into_inner);
    }
    *has_ended = true;
    drop(has_ended);
    outbox.send(id, Message::Exit(status.map_or(127, code)));
}

fn pass_on(pipe: &impl AsFd, end: &End, tell: impl Fn(Vec<u8>)) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let mut ready = [PollFd::new(pipe, PollFlags::IN)];
        if poll(&mut ready, None).is_err() {
            continue;
        }
        // Held while reading, so that the pipe does not look empty before its bytes are sent.
        let has_ended = end.lock();
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(_) if *has_ended => {}
            Ok(n) => tell(buffer[..n].to_vec()),
        }
        end.progress.notify_all();
    }
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}
