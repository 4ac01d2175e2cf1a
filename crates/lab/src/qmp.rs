//! QEMU's monitor: commands one at a time, and all events with their times.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use crate::watched::Watched;
use crate::{LabError, Moment};

/// The time limit of an answer; tests pause QEMU sometimes.
const ANSWER: Duration = Duration::from_secs(30);

/// An event from QEMU.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it arrived, by the harness's clock.
    pub at: Moment,
    /// Its name, such as `RESET`.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// All events of a node, over all its QEMUs.
pub(crate) type Events = Arc<Watched<Vec<Event>>>;

#[derive(Debug, Default)]
struct Answers {
    last: Option<(u64, Result<Value, String>)>,
    closed: bool,
}

/// A connection to the monitor of one QEMU.
#[derive(Debug)]
pub(crate) struct Qmp {
    node: String,
    writer: Mutex<(UnixStream, u64)>,
    answers: Arc<Watched<Answers>>,
}

impl Qmp {
    /// Waits for a QEMU that was just started to connect, or to end. `on_event` is called for each
    /// event from a thread of its own, and finally with `None`, when QEMU is gone.
    pub(crate) fn accept(
        node: &str,
        listener: &UnixListener,
        child: &Child,
        events: Events,
        on_event: impl Fn(Option<&Event>) + Send + 'static,
    ) -> Result<Qmp, LabError> {
        wait_for_connection(node, listener, child)?;
        let (stream, _) = listener
            .accept()
            .map_err(LabError::io(format!("accept the monitor of {node}")))?;
        let reader = stream
            .try_clone()
            .map_err(LabError::io(format!("share the monitor of {node}")))?;
        let answers = Arc::new(Watched::new(Answers::default()));
        let of_reader = answers.clone();
        thread::spawn(move || {
            read(reader, &of_reader, &events, &on_event);
            of_reader.change(|answers| answers.closed = true);
            on_event(None);
        });
        let qmp = Qmp {
            node: node.to_owned(),
            writer: Mutex::new((stream, 0)),
            answers,
        };
        qmp.call("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call(&self, command: &str, arguments: Value) -> Result<Value, LabError> {
        // Held until the answer has arrived: commands are one at a time.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.1 += 1;
        let id = writer.1;
        let mut line = json!({"execute": command, "arguments": arguments, "id": id}).to_string();
        line.push('\n');
        writer
            .0
            .write_all(line.as_bytes())
            .map_err(LabError::io(format!("send {command} to {}", self.node)))?;
        let answer = self
            .answers
            .wait(ANSWER, |answers| match answers.last.take() {
                Some((of, answer)) if of == id => Some(Some(answer)),
                _ if answers.closed => Some(None),
                _ => None,
            });
        match answer {
            Some(Some(Ok(value))) => Ok(value),
            Some(Some(Err(text))) => Err(LabError::Refused {
                node: self.node.clone(),
                command: command.to_owned(),
                text,
            }),
            Some(None) => Err(LabError::Gone {
                node: self.node.clone(),
                how: format!("ended before it answered {command}"),
            }),
            None => Err(LabError::Timeout {
                what: format!("{} to answer {command}", self.node),
                after: ANSWER,
            }),
        }
    }
}

fn wait_for_connection(node: &str, listener: &UnixListener, child: &Child) -> Result<(), LabError> {
    let pid = Pid::from_child(child);
    let doing = || LabError::io(format!("watch QEMU of {node}"));
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| doing()(errno.into()))?;
    let mut ready = [
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(&ended, PollFlags::IN),
    ];
    let limit = Timespec {
        tv_sec: ANSWER.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    poll(&mut ready, Some(&limit)).map_err(|errno| doing()(errno.into()))?;
    if !ready[0].revents().is_empty() {
        return Ok(());
    }
    if ready[1].revents().is_empty() {
        return Err(LabError::Timeout {
            what: format!("QEMU of {node} to connect"),
            after: ANSWER,
        });
    }
    Err(LabError::Gone {
        node: node.to_owned(),
        how: "ended at once: see its qemu.log".to_owned(),
    })
}

fn read(
    stream: UnixStream,
    answers: &Watched<Answers>,
    events: &Events,
    on_event: &dyn Fn(Option<&Event>),
) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        let Ok(value) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if let Some(name) = value["event"].as_str() {
            let event = Event {
                at: Moment::now(),
                name: name.to_owned(),
                data: value["data"].clone(),
            };
            // Handled before it is published: a caller who waits for a reset finds the old agent
            // gone.
            on_event(Some(&event));
            events.change(|events| events.push(event));
        } else if let Some(id) = value["id"].as_u64() {
            let answer = match value.get("error") {
                Some(error) => Err(error["desc"].as_str().unwrap_or_default().to_owned()),
                None => Ok(value["return"].clone()),
            };
            answers.change(|answers| answers.last = Some((id, answer)));
        }
    }
}
