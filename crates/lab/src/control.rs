//! `lab up` and the commands that talk to it: one supervisor in a process of its own, on a unix
//! socket. A request is a line of JSON; the answer is frames as an agent sends them.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lab_agent::{Frame, Message};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::agent::Piece;
use crate::disk::DiskHealth;
pub use crate::faults::FAULT_KINDS;
use crate::faults::Fault;
use crate::lab::Lab;
use crate::store::Store;
use crate::{LabError, Node};

/// A script from the command line runs as long as its user waits.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A client that reads nothing for this long is disconnected.
const LISTENS: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    Exec { node: String, script: String },
    Fault { node: String, kind: String },
    Console { node: String },
    Status,
    Down,
}

/// Runs a lab until `down`; `ready` is called when all nodes are up.
pub fn supervise(count: u8, ready: impl FnOnce(&str)) -> Result<(), LabError> {
    let store = Store::from_environment();
    let _lock = lock(&store, FlockOperation::NonBlockingLockExclusive)?;
    let lab = Arc::new(Lab::start(count)?);
    let socket = store.control()?;
    // The lock is ours, so the earlier supervisor is gone.
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(LabError::file("listen on", &socket))?;
    ready(&describe(&lab)?);
    let mut last = None;
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        let stream = stream.map_err(LabError::file("accept on", &socket))?;
        let prepared = stream
            .set_write_timeout(Some(LISTENS))
            .and_then(|()| stream.try_clone());
        let mut reader = BufReader::new(prepared.map_err(LabError::io("share a connection"))?);
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() {
            continue;
        }
        let Ok(request) = serde_json::from_str::<Request>(&line) else {
            continue;
        };
        if matches!(request, Request::Down) {
            last = Some(stream);
            break;
        }
        let lab = lab.clone();
        threads.push(thread::spawn(move || answer(&lab, request, stream)));
    }
    let _ = fs::remove_file(&socket);
    for node in lab.nodes() {
        // Ends requests that still wait for a node.
        let _ = node.kill();
    }
    for thread in threads {
        let _ = thread.join();
    }
    drop(lab);
    if let Some(mut stream) = last {
        let _ = Frame {
            id: 0,
            message: Message::Exit(0),
        }
        .write(&mut stream);
    }
    Ok(())
}

fn lock(store: &Store, how: FlockOperation) -> Result<File, LabError> {
    let path = store.lock()?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(LabError::file("open", &path))?;
    flock(&file, how).map_err(|_| LabError::Io {
        doing: "start a lab".to_owned(),
        source: std::io::Error::other("there is one already (./x lab down ends it)"),
    })?;
    Ok(file)
}

fn describe(lab: &Lab) -> Result<String, LabError> {
    let mut text = String::new();
    for node in lab.nodes() {
        let boot = match node.machine() {
            Ok(_) => "on",
            Err(_) => "off",
        };
        text += &format!("{} {} {boot}\n", node.name(), node.address());
    }
    Ok(text)
}

fn answer(lab: &Lab, request: Request, mut stream: UnixStream) {
    let done = match request {
        Request::Exec { node, script } => exec(lab, &node, &script, &stream),
        Request::Fault { node, kind } => fault(lab, &node, &kind).map(|()| (String::new(), 0)),
        Request::Console { node } => lab
            .named(&node)
            .map(|node| (node.console_socket().display().to_string(), 0)),
        Request::Status => describe(lab).map(|text| (text + &lab.hub().report(), 0)),
        Request::Down => return,
    };
    let (message, code) = match done {
        Ok((text, code)) => (Message::Stdout(text.into_bytes()), code),
        Err(error) => (Message::Stderr(format!("lab: {error}\n").into_bytes()), 1),
    };
    // The client may have disconnected.
    let _ = Frame { id: 0, message }.write(&mut stream);
    let _ = Frame {
        id: 0,
        message: Message::Exit(code),
    }
    .write(&mut stream);
}

fn exec(
    lab: &Lab,
    node: &str,
    script: &str,
    stream: &UnixStream,
) -> Result<(String, i32), LabError> {
    let job = Arc::new(lab.named(node)?.spawn(script)?);
    let doing = || LabError::io("share a connection");
    let mut gone = stream.try_clone().map_err(doing())?;
    let of_watcher = Arc::downgrade(&job);
    thread::spawn(move || {
        // It sends nothing more; this waits for its end.
        let _ = gone.read(&mut [0]);
        if let Some(job) = of_watcher.upgrade() {
            let _ = job.signal(9);
        }
    });
    let mut stream = stream.try_clone().map_err(doing())?;
    loop {
        let message = match job.next(PATIENCE)? {
            Piece::Stdout(bytes) => Message::Stdout(bytes),
            Piece::Stderr(bytes) => Message::Stderr(bytes),
            Piece::Exit(code) => return Ok((String::new(), code)),
        };
        Frame { id: 0, message }
            .write(&mut stream)
            .map_err(LabError::io("answer"))?;
    }
}

fn fault(lab: &Lab, node: &str, kind: &str) -> Result<(), LabError> {
    let node: &Node = lab.named(node)?;
    let hub = lab.hub();
    match kind.parse::<Fault>()? {
        Fault::Kill => drop(node.kill()?),
        Fault::Start => node.start()?,
        Fault::Reset => node.reset()?,
        Fault::Freeze => node.freeze()?,
        Fault::Thaw => node.thaw()?,
        Fault::Zombie => node.zombie()?,
        Fault::Wake => node.wake()?,
        Fault::Panic => node.panic()?,
        Fault::DiskError => node.set_disks(DiskHealth::Failing),
        Fault::DiskStall => node.set_disks(DiskHealth::Stalled),
        Fault::DiskHeal => node.set_disks(DiskHealth::Well),
        Fault::Unplug(card) => node.unplug(card)?,
        Fault::Plug(card) => node.plug(card)?,
        Fault::Isolate => hub.isolate(node),
        Fault::Cut(other) => hub.cut(node, lab.named(&other)?),
        Fault::OneWay(other) => hub.one_way(node, lab.named(&other)?),
        Fault::Loss(other, share) => hub.loss(node, lab.named(&other)?, share),
        Fault::Delay(other, ms) => {
            hub.delay(node, lab.named(&other)?, Duration::from_millis(ms));
        }
        Fault::Heal => hub.heal(),
    }
    Ok(())
}

/// Passes on the supervisor's answer as it arrives.
fn ask(request: &Request, mut tell: impl FnMut(Piece)) -> Result<i32, LabError> {
    let socket = Store::from_environment().control()?;
    let mut stream = UnixStream::connect(&socket)
        .map_err(|_| LabError::NoSuch("lab that is up (./x lab up N)".to_owned()))?;
    let line = serde_json::to_string(request).expect("a request is text") + "\n";
    stream
        .write_all(line.as_bytes())
        .map_err(LabError::io("ask the supervisor"))?;
    loop {
        let frame =
            Frame::read(&mut stream).map_err(LabError::io("hear the supervisor's answer"))?;
        match frame.message {
            Message::Stdout(bytes) => tell(Piece::Stdout(bytes)),
            Message::Stderr(bytes) => tell(Piece::Stderr(bytes)),
            Message::Exit(code) => return Ok(code),
            Message::Hello(_) | Message::Run { .. } | Message::Input(_) | Message::Signal(_) => {}
        }
    }
}

/// Runs a script on a node of the running lab, and returns its exit code.
pub fn exec_on(node: &str, script: &str, tell: impl FnMut(Piece)) -> Result<i32, LabError> {
    let (node, script) = (node.to_owned(), script.to_owned());
    ask(&Request::Exec { node, script }, tell)
}

/// Applies a fault to a node of the running lab.
pub fn fault_on(node: &str, kind: &str, tell: impl FnMut(Piece)) -> Result<i32, LabError> {
    let (node, kind) = (node.to_owned(), kind.to_owned());
    ask(&Request::Fault { node, kind }, tell)
}

/// Shows the nodes and the counters of the network.
pub fn status(tell: impl FnMut(Piece)) -> Result<i32, LabError> {
    ask(&Request::Status, tell)
}

/// The console socket of a node of the running lab.
pub fn console_of(node: &str) -> Result<PathBuf, LabError> {
    let mut said = Vec::new();
    let request = Request::Console {
        node: node.to_owned(),
    };
    let code = ask(&request, |piece| match piece {
        Piece::Stdout(bytes) | Piece::Stderr(bytes) => said.extend(bytes),
        Piece::Exit(_) => {}
    })?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match code {
        0 => Ok(PathBuf::from(said)),
        _ => Err(LabError::NoSuch(format!("node '{node}'"))),
    }
}

/// Ends the running lab; false if there is none. Nothing of it is left when this returns.
pub fn down() -> Result<bool, LabError> {
    match ask(&Request::Down, |_| {}) {
        Ok(_) => {
            // The lock is free when the process is gone.
            lock(&Store::from_environment(), FlockOperation::LockExclusive)?;
            Ok(true)
        }
        Err(LabError::NoSuch(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
