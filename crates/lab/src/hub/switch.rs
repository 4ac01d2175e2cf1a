//! The thread that moves frames between the cards.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::frames::{self, Inbox, Mac};
use super::rules::Fate;
use super::{Hub, Socket};
use crate::{LabError, Moment};

/// The queue limit of a card that does not read, so that a frozen node does not exhaust memory.
const OUTBOX_BYTES_MAX: usize = 4 << 20;

/// The size of one read from a card.
const READ_BYTES: usize = 256 * 1024;

#[derive(Debug)]
struct Port {
    node: u8,
    segment: usize,
    listener: UnixListener,
    stream: Option<UnixStream>,
    inbox: Inbox,
    outbox: Vec<u8>,
}

/// A delayed frame.
#[derive(Debug, PartialEq, Eq)]
struct Late {
    due: Moment,
    /// Frames that are due at the same time go in the order of arrival.
    order: u64,
    from: u8,
    port: usize,
    frame: Vec<u8>,
}

impl Ord for Late {
    fn cmp(&self, other: &Late) -> Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

impl PartialOrd for Late {
    fn partial_cmp(&self, other: &Late) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// All cards of all nodes.
#[derive(Debug)]
pub(super) struct Ports {
    hub: Hub,
    wake: OwnedFd,
    ports: Vec<Port>,
    /// The card where an address was last seen, on each segment.
    addresses: HashMap<(usize, Mac), usize>,
    late: BinaryHeap<Reverse<Late>>,
    sequence: u64,
}

impl Ports {
    pub(super) fn new(hub: Hub, sockets: Vec<Socket>, wake: OwnedFd) -> Result<Ports, LabError> {
        let mut ports = Vec::new();
        for socket in sockets {
            let unblocked = socket.listener.set_nonblocking(true);
            unblocked.map_err(LabError::io("prepare a card's socket"))?;
            ports.push(Port {
                node: socket.node,
                // The first card of each node is on one segment, all others on a second.
                segment: socket.card.min(1),
                listener: socket.listener,
                stream: None,
                inbox: Inbox::default(),
                outbox: Vec::new(),
            });
        }
        Ok(Ports {
            hub,
            wake,
            ports,
            addresses: HashMap::new(),
            late: BinaryHeap::new(),
            sequence: 0,
        })
    }

    /// Moves frames until the lab ends.
    pub(super) fn run(mut self) {
        while !self.hub.lock().ends {
            for port in self.wait() {
                self.serve(port);
            }
            self.deliver_late();
            for port in &mut self.ports {
                port.flush();
            }
        }
    }

    /// Waits for events, and returns their ports.
    fn wait(&self) -> Vec<usize> {
        let timeout = self
            .late
            .peek()
            .map(|Reverse(late)| timespec(late.due.left()));
        let mut watched = vec![PollFd::new(&self.wake, PollFlags::IN)];
        let mut of_port = Vec::new();
        for (at, port) in self.ports.iter().enumerate() {
            watched.push(PollFd::new(&port.listener, PollFlags::IN));
            of_port.push(at);
            if let Some(stream) = &port.stream {
                let mut flags = PollFlags::IN;
                if !port.outbox.is_empty() {
                    flags |= PollFlags::OUT;
                }
                watched.push(PollFd::new(stream, flags));
                of_port.push(at);
            }
        }
        if poll(&mut watched, timeout.as_ref()).is_err() {
            return Vec::new();
        }
        let ready = watched.iter().skip(1).zip(of_port);
        let ready = ready.filter(|(fd, _)| !fd.revents().is_empty());
        let mut ports: Vec<usize> = ready.map(|(_, port)| port).collect();
        ports.dedup();
        ports
    }

    fn serve(&mut self, at: usize) {
        let port = &mut self.ports[at];
        port.accept();
        let frames = port.read();
        for frame in frames {
            self.switch(at, &frame);
        }
    }

    fn switch(&mut self, from: usize, frame: &[u8]) {
        let (Some(source), Some(destination)) = (frames::source(frame), frames::destination(frame))
        else {
            return;
        };
        let segment = self.ports[from].segment;
        self.addresses.insert((segment, source), from);
        let known = self.addresses.get(&(segment, destination)).copied();
        match known.filter(|_| !frames::is_for_many(destination)) {
            Some(to) if to == from => {}
            Some(to) => self.pass(from, to, frame),
            None => {
                for to in 0..self.ports.len() {
                    if to != from && self.ports[to].segment == segment {
                        self.pass(from, to, frame);
                    }
                }
            }
        }
    }

    fn pass(&mut self, from: usize, to: usize, frame: &[u8]) {
        let node = self.ports[from].node;
        match self.hub.judge(node, self.ports[to].node, frame) {
            Fate::Passed(Duration::ZERO) => self.enqueue(node, to, frame),
            Fate::Passed(delay) => {
                self.sequence += 1;
                self.late.push(Reverse(Late {
                    due: Moment::now().after(delay),
                    order: self.sequence,
                    from: node,
                    port: to,
                    frame: frame.to_vec(),
                }));
            }
            Fate::Cut | Fate::Lost | Fate::Overflowed => {}
        }
    }

    fn enqueue(&mut self, from: u8, to: usize, frame: &[u8]) {
        let port = &mut self.ports[to];
        if port.stream.is_none() || port.outbox.len() + frame.len() > OUTBOX_BYTES_MAX {
            self.hub.overflowed(from, port.node, frame);
            return;
        }
        port.outbox.extend((frame.len() as u32).to_be_bytes());
        port.outbox.extend_from_slice(frame);
    }

    fn deliver_late(&mut self) {
        while let Some(Reverse(late)) = self.late.peek() {
            if late.due > Moment::now() {
                return;
            }
            if let Some(Reverse(late)) = self.late.pop() {
                self.enqueue(late.from, late.port, &late.frame);
            }
        }
    }
}

impl Port {
    /// A restarted QEMU connects again.
    fn accept(&mut self) {
        if let Ok((stream, _)) = self.listener.accept()
            && stream.set_nonblocking(true).is_ok()
        {
            self.stream = Some(stream);
            self.inbox = Inbox::default();
            self.outbox.clear();
        }
    }

    fn read(&mut self) -> Vec<Vec<u8>> {
        let Some(stream) = &mut self.stream else {
            return Vec::new();
        };
        let mut buffer = vec![0; READ_BYTES];
        let frames = match stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(n) => {
                self.inbox.add(&buffer[..n]);
                self.inbox.take()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(Vec::new()),
            Err(_) => None,
        };
        frames.unwrap_or_else(|| {
            self.stream = None;
            Vec::new()
        })
    }

    fn flush(&mut self) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        while !self.outbox.is_empty() {
            match stream.write(&self.outbox) {
                Ok(n) => {
                    self.outbox.drain(..n);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.stream = None;
                    return;
                }
            }
        }
    }
}

/// Rounded up; otherwise the thread would wake too early and spin.
fn timespec(duration: Duration) -> Timespec {
    let nanos = duration.subsec_nanos();
    Timespec {
        tv_sec: duration.as_secs().cast_signed(),
        tv_nsec: nanos.into(),
    }
}
