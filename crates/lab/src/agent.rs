//! The supervisor's end of a node's agent: scripts, their input and output.

use std::collections::{HashMap, VecDeque};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lab_agent::{CHUNK_BYTES, Frame, Message};

use crate::watched::Watched;
use crate::{LabError, Moment};

/// The result of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 and the signal if one ended it.
    pub code: i32,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether the script succeeded.
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// Its standard output as text, without white space at the ends.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }

    /// Its standard error as text, without white space at the ends.
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().to_owned()
    }
}

/// An event of a running script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// It wrote this to its standard output.
    Stdout(Vec<u8>),
    /// It wrote this to its standard error.
    Stderr(Vec<u8>),
    /// It ended, with this code.
    Exit(i32),
}

#[derive(Debug, Default)]
struct State {
    /// The kernel's boot id, once the agent has answered.
    boot_id: Option<String>,
    next_id: u32,
    /// For every running script: its output that was not taken yet. `None` if its node is gone.
    jobs: HashMap<u32, Option<VecDeque<Piece>>>,
    closed: bool,
}

/// The connection to the agent of one running QEMU; it is opened anew after each reset.
#[derive(Debug)]
pub(crate) struct Agent {
    node: String,
    socket: PathBuf,
    state: Watched<State>,
    /// Apart from the state, so that input is still read while a thread writes.
    writer: Mutex<Option<UnixStream>>,
}

impl Agent {
    pub(crate) fn new(node: &str, socket: PathBuf) -> Arc<Agent> {
        let agent = Arc::new(Agent {
            node: node.to_owned(),
            socket,
            state: Watched::new(State::default()),
            writer: Mutex::new(None),
        });
        let of_thread = agent.clone();
        thread::spawn(move || of_thread.keep_connected());
        agent
    }

    fn keep_connected(&self) {
        while !self.state.lock().closed {
            let connection = UnixStream::connect(&self.socket)
                .and_then(|stream| Ok((stream.try_clone()?, stream)));
            let Ok((mut reader, writer)) = connection else {
                break;
            };
            *self.writer() = Some(writer);
            // It waits in the socket until a booted system opens the port.
            let _ = self.send(0, Message::Hello(Vec::new()));
            while let Ok(frame) = Frame::read(&mut reader) {
                self.heard(frame);
            }
            *self.writer() = None;
            self.state.change(State::lose);
        }
        self.state.change(|state| {
            state.lose();
            state.closed = true;
        });
    }

    fn writer(&self) -> MutexGuard<'_, Option<UnixStream>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, Frame { id, message }: Frame) {
        let piece = match message {
            Message::Hello(boot_id) => {
                let boot_id = String::from_utf8_lossy(&boot_id).into_owned();
                self.state.change(|state| state.boot_id = Some(boot_id));
                return;
            }
            Message::Stdout(bytes) => Piece::Stdout(bytes),
            Message::Stderr(bytes) => Piece::Stderr(bytes),
            Message::Exit(code) => Piece::Exit(code),
            Message::Run { .. } | Message::Input(_) | Message::Signal(_) => return,
        };
        self.state.change(|state| {
            if let Some(Some(pieces)) = state.jobs.get_mut(&id) {
                pieces.push_back(piece);
            }
        });
    }

    /// The machine was reset. A partial frame may be in transit, so the connection starts over.
    pub(crate) fn reconnect(&self) {
        self.state.change(|state| state.boot_id = None);
        if let Some(stream) = self.writer().take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// The machine is gone for good.
    pub(crate) fn close(&self) {
        self.state.change(|state| state.closed = true);
        self.reconnect();
    }

    /// Waits until a system with another boot id has booted.
    pub(crate) fn wait_for_boot(
        &self,
        not: Option<&str>,
        timeout: Duration,
    ) -> Result<String, LabError> {
        let found = self.state.wait(timeout, |state| match &state.boot_id {
            Some(id) if Some(id.as_str()) != not => Some(Ok(id.clone())),
            _ if state.closed => Some(Err(self.gone())),
            _ => None,
        });
        found.unwrap_or_else(|| {
            Err(LabError::Timeout {
                what: format!("the agent of {}", self.node),
                after: timeout,
            })
        })
    }

    fn gone(&self) -> LabError {
        LabError::Gone {
            node: self.node.clone(),
            how: "is off, or was reset".to_owned(),
        }
    }

    fn send(&self, id: u32, message: Message) -> Result<(), LabError> {
        let mut writer = self.writer();
        let stream = writer.as_mut().ok_or_else(|| self.gone())?;
        let frame = Frame { id, message };
        frame
            .write(stream)
            .map_err(LabError::io(format!("speak to the agent of {}", self.node)))
    }

    pub(crate) fn start(self: &Arc<Self>, script: &str, input: bool) -> Result<Job, LabError> {
        let id = self.state.change(|state| {
            state.next_id += 1;
            state.jobs.insert(state.next_id, Some(VecDeque::new()));
            state.next_id
        });
        let job = Job {
            agent: self.clone(),
            id,
            script: script.to_owned(),
        };
        let script = script.as_bytes().to_vec();
        self.send(id, Message::Run { input, script })?;
        Ok(job)
    }
}

impl State {
    fn lose(&mut self) {
        self.boot_id = None;
        for pieces in self.jobs.values_mut() {
            *pieces = None;
        }
    }
}

/// A script that runs in a node. It runs on when this is dropped, as long as the node does.
#[derive(Debug)]
pub struct Job {
    agent: Arc<Agent>,
    id: u32,
    script: String,
}

impl Job {
    /// The next event of the script; blocks until then.
    pub fn next(&self, timeout: Duration) -> Result<Piece, LabError> {
        let found = self
            .agent
            .state
            .wait(timeout, |state| match state.jobs.get_mut(&self.id) {
                Some(Some(pieces)) => pieces.pop_front().map(Ok),
                _ => Some(Err(self.agent.gone())),
            });
        found.unwrap_or_else(|| {
            Err(LabError::Timeout {
                what: format!("`{}` on {}", beginning(&self.script), self.agent.node),
                after: timeout,
            })
        })
    }

    /// Waits for the script's end; a script that takes longer is killed.
    pub fn wait(self, timeout: Duration) -> Result<Output, LabError> {
        let deadline = Moment::now().after(timeout);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.next(deadline.left()) {
                Ok(Piece::Stdout(bytes)) => stdout.extend(bytes),
                Ok(Piece::Stderr(bytes)) => stderr.extend(bytes),
                Ok(Piece::Exit(code)) => {
                    return Ok(Output {
                        code,
                        stdout,
                        stderr,
                    });
                }
                Err(LabError::Timeout { what, .. }) => {
                    let _ = self.signal(9);
                    let after = timeout;
                    return Err(LabError::Timeout { what, after });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends standard input to the script, which was started with `input`.
    pub fn input(&self, bytes: &[u8]) -> Result<(), LabError> {
        for chunk in bytes.chunks(CHUNK_BYTES) {
            self.agent.send(self.id, Message::Input(chunk.to_vec()))?;
        }
        Ok(())
    }

    /// Ends the script's standard input.
    pub fn end_input(&self) -> Result<(), LabError> {
        self.agent.send(self.id, Message::Input(Vec::new()))
    }

    /// Sends a signal to the script and what it started.
    pub fn signal(&self, signal: i32) -> Result<(), LabError> {
        self.agent.send(self.id, Message::Signal(signal))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.agent.state.lock().jobs.remove(&self.id);
    }
}

/// The beginning of a script, short enough for a message.
pub(crate) fn beginning(script: &str) -> String {
    let line = script.trim().lines().next().unwrap_or_default();
    if line.chars().count() > 60 {
        return line.chars().take(57).collect::<String>() + "...";
    }
    line.to_owned()
}
