//! The network of a lab: a switch for Ethernet frames inside the supervisor.
//!
//! ```text
//!  n1 eth0 ──┐             ┌── eth0 n2
//!            ├─ segment ───┤                each direction between two nodes has a rule:
//!  n3 eth0 ──┘    lan      └── …            passed, cut, lossy, delayed; and counters
//! ```
//!
//! Each card is a unix socket that QEMU connects to; no root, no taps. **A cut is silent**: the
//! carrier stays, frames vanish. `Node::unplug` sets a link down, which the guest notices.

mod frames;
mod rules;
mod switch;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};

pub use rules::{Counters, Fate};

use crate::node::Node;
use crate::{LabError, Moment};
use rules::Rules;

/// How many frames the trace keeps.
const TRACE_FRAMES: usize = 4096;

/// One frame in the trace.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When it arrived, by the harness's clock.
    pub at: Moment,
    /// The number of the node that sent it.
    pub from: u8,
    /// The number of the destination node.
    pub to: u8,
    /// Its Ethernet type.
    pub ethertype: u16,
    /// Its length.
    pub bytes: usize,
    /// What happened to it.
    pub fate: Fate,
}

/// Shared by rules, switch and tests.
#[derive(Debug, Default)]
struct Shared {
    rules: Rules,
    trace: VecDeque<Seen>,
    ends: bool,
}

/// The network between the nodes, and its faults.
#[derive(Debug, Clone)]
pub struct Hub {
    shared: Arc<Mutex<Shared>>,
}

/// The thread that moves frames; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Switch {
    hub: Hub,
    bell: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// One card of one node, before QEMU has connected to it.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) node: u8,
    pub(crate) card: usize,
    pub(crate) listener: UnixListener,
}

impl Hub {
    pub(crate) fn start(sockets: Vec<Socket>) -> Result<(Hub, Switch), LabError> {
        let hub = Hub {
            shared: Arc::default(),
        };
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let (wake, bell) =
            pipe.map_err(|errno| LabError::io("make the hub's bell")(errno.into()))?;
        let switch = switch::Ports::new(hub.clone(), sockets, wake)?;
        let thread = thread::spawn(move || switch.run());
        let running = Switch {
            hub: hub.clone(),
            bell,
            thread: Some(thread),
        };
        Ok((hub, running))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts both directions between two nodes.
    pub fn cut(&self, a: &Node, b: &Node) {
        self.one_way(a, b);
        self.one_way(b, a);
    }

    /// Cuts only the direction from one node to the other.
    pub fn one_way(&self, from: &Node, to: &Node) {
        let link = (from.number(), to.number());
        self.lock().rules.link(link).cut = true;
    }

    /// Cuts the node off from all others.
    pub fn isolate(&self, node: &Node) {
        self.lock().rules.isolated.insert(node.number());
    }

    /// A share of the frames between the two nodes, from 0 to 1, is lost in each direction.
    pub fn loss(&self, a: &Node, b: &Node, share: f64) {
        let mut shared = self.lock();
        for link in [(a.number(), b.number()), (b.number(), a.number())] {
            shared.rules.link(link).loss = share;
        }
    }

    /// Delays frames between the two nodes, in each direction.
    pub fn delay(&self, a: &Node, b: &Node, delay: Duration) {
        let mut shared = self.lock();
        for link in [(a.number(), b.number()), (b.number(), a.number())] {
            shared.rules.link(link).delay = delay;
        }
    }

    /// Removes all faults between all nodes. Counters stay.
    pub fn heal(&self) {
        self.lock().rules.heal();
    }

    /// The counters of frames from one node to the other.
    pub fn counters(&self, from: &Node, to: &Node) -> Counters {
        let link = (from.number(), to.number());
        self.lock().rules.link(link).counters
    }

    /// The last few thousand frames, oldest first.
    pub fn trace(&self) -> Vec<Seen> {
        self.lock().trace.iter().copied().collect()
    }

    /// Rules and counters as text, for people.
    pub fn report(&self) -> String {
        self.lock().rules.to_string()
    }

    /// Decides about a frame, counts it and adds it to the trace.
    fn judge(&self, from: u8, to: u8, frame: &[u8]) -> Fate {
        let mut shared = self.lock();
        let fate = shared.rules.judge(from, to, frame.len());
        shared.remember(from, to, frame, fate);
        fate
    }

    /// The port of a frame's receiver is full: its node does not read.
    fn overflowed(&self, from: u8, to: u8, frame: &[u8]) {
        let mut shared = self.lock();
        shared.rules.link((from, to)).counters.overflowed += 1;
        shared.remember(from, to, frame, Fate::Overflowed);
    }
}

impl Shared {
    fn remember(&mut self, from: u8, to: u8, frame: &[u8], fate: Fate) {
        if self.trace.len() == TRACE_FRAMES {
            self.trace.pop_front();
        }
        self.trace.push_back(Seen {
            at: Moment::now(),
            from,
            to,
            ethertype: frames::ethertype(frame),
            bytes: frame.len(),
            fate,
        });
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.hub.lock().ends = true;
        let _ = rustix::io::write(&self.bell, b"!");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
