//! Consoles: asked for under a port number, then opened once, then closed.
//!
//! ```text
//!   reserve() ──► waiting, 40 s ── open() ──► open, as long as its `Lease` is kept
//!                    │                          │
//!                    └──── not opened ──────────┴── close() ──► ended()
//! ```
//!
//! Nothing listens on the ports: they are names by which a websocket finds its console.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, Error, ErrorKind, VmId};
use sys::LentLine;
use tokio::sync::Notify;

/// The ports that clients of Proxmox VE expect.
const PORTS: std::ops::RangeInclusive<u16> = 5900..=5999;

/// How long a console waits to be opened; its ticket is good for as long.
pub const CONSOLE_WAIT_S: u32 = 40;

/// Whose console it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleOf {
    Guest(VmId),
    /// This node.
    Node,
}

impl fmt::Display for ConsoleOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(vmid) => write!(f, "VM {vmid}"),
            Self::Node => f.write_str("this node"),
        }
    }
}

/// What a console leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleKind {
    /// VNC, with the password that is good for this one console.
    Display { password: String },
    /// A serial port.
    Serial(u8),
    /// A serial port that is the guest's screen, shown by VNC with a password as above.
    Screen { serial: u8, password: String },
    /// A shell of this node, in a terminal, or shown by VNC with a password.
    Shell {
        login: Login,
        password: Option<String>,
    },
    /// A terminal of a container, or shown by VNC with a password.
    Container { password: Option<String> },
}

/// How a shell begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// As root, who has proved to be that.
    Root,
    /// With the question for a user of the system.
    Prompt,
}

impl ConsoleKind {
    /// The serial port that it takes for itself.
    pub fn serial(&self) -> Option<u8> {
        match self {
            Self::Display { .. } | Self::Shell { .. } | Self::Container { .. } => None,
            Self::Serial(port) | Self::Screen { serial: port, .. } => Some(*port),
        }
    }
}

pub struct Consoles {
    inner: Arc<Inner>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Inner {
    consoles: Mutex<BTreeMap<u16, Console>>,
    changed: Notify,
}

struct Console {
    id: String,
    of: ConsoleOf,
    kind: ConsoleKind,
    state: State,
}

enum State {
    /// Until this time.
    Waiting(Duration),
    /// The line is there once it was given away.
    Open(#[expect(dead_code, reason = "held for its drop")] Option<LentLine>),
}

/// A console that is open. Dropping it closes the console.
pub struct Lease {
    pub kind: ConsoleKind,
    id: String,
    inner: Arc<Inner>,
}

impl Consoles {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::default(),
            clock,
        }
    }

    /// Finds a port for a console. `id` is one that no other console ever has.
    pub fn reserve(&self, id: String, of: ConsoleOf, kind: ConsoleKind) -> Result<u16, Error> {
        let mut consoles = self.inner.current(self.clock.monotonic());
        check_free(&consoles, of, &kind)?;
        let port = PORTS.into_iter().find(|port| !consoles.contains_key(port));
        let port = port.ok_or_else(|| {
            let text = "all ports for consoles are in use, try again later";
            Error::new(ErrorKind::Busy, text)
        })?;
        let until = self.clock.monotonic() + Duration::from_secs(CONSOLE_WAIT_S.into());
        let state = State::Waiting(until);
        let console = Console {
            id,
            of,
            kind,
            state,
        };
        consoles.insert(port, console);
        Ok(port)
    }

    /// Opens the console that waits at a port. It can be opened once.
    pub fn open(&self, port: u16, of: ConsoleOf) -> Result<Lease, Error> {
        let mut consoles = self.inner.current(self.clock.monotonic());
        let waits =
            |console: &&Console| console.of == of && matches!(console.state, State::Waiting(_));
        let console = consoles.get(&port).filter(waits);
        let console = console.ok_or_else(|| {
            Error::conflict(format!("no console of {of} is waiting at port {port}"))
        })?;
        let (id, kind) = (console.id.clone(), console.kind.clone());
        check_free(&consoles, of, &kind)?;
        if let Some(console) = consoles.get_mut(&port) {
            console.state = State::Open(None);
        }
        drop(consoles);
        self.inner.changed.notify_waiters();
        let inner = self.inner.clone();
        Ok(Lease { kind, id, inner })
    }

    /// Waits until a console was closed, or was not opened in time. May be dropped.
    pub async fn ended(&self, id: &str) {
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            let now = self.clock.monotonic();
            let left = match self.inner.current(now).values().find(|c| c.id == id) {
                None => return,
                Some(console) => console.left(now),
            };
            match left {
                None => changed.await,
                Some(left) => tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep(left) => {}
                },
            }
        }
    }

    /// Whether a console waits or is open.
    pub fn is_there(&self, id: &str) -> bool {
        let consoles = self.inner.current(self.clock.monotonic());
        consoles.values().any(|console| console.id == id)
    }

    /// Closes a console, open or not.
    pub fn close(&self, id: &str) {
        self.inner.close(id);
    }
}

impl Console {
    /// How long it still waits; none if it is open.
    fn left(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Waiting(until) => Some(until.saturating_sub(now)),
            State::Open(_) => None,
        }
    }
}

/// A serial port takes one client; a second one would wait in a queue without a word.
fn check_free(
    consoles: &BTreeMap<u16, Console>,
    of: ConsoleOf,
    kind: &ConsoleKind,
) -> Result<(), Error> {
    let Some(port) = kind.serial() else {
        return Ok(());
    };
    let is_it = |console: &Console| {
        console.of == of
            && console.kind.serial() == Some(port)
            && matches!(console.state, State::Open(_))
    };
    if consoles.values().any(is_it) {
        return Err(serial_taken(of, port));
    }
    Ok(())
}

/// The error for a second client of a serial port.
pub fn serial_taken(of: ConsoleOf, port: u8) -> Error {
    let text = format!("serial{port} of {of} is in use by another console");
    Error::new(ErrorKind::Busy, text)
}

impl Inner {
    /// All consoles but those that waited for too long.
    fn current(&self, now: Duration) -> MutexGuard<'_, BTreeMap<u16, Console>> {
        let mut consoles = self.lock();
        consoles.retain(|_, console| console.left(now) != Some(Duration::ZERO));
        consoles
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Console>> {
        self.consoles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, id: &str) {
        self.lock().retain(|_, console| console.id != id);
        self.changed.notify_waiters();
    }
}

impl Lease {
    /// The id under which the console was reserved.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Remembers what was given away, so that closing the console hangs up.
    pub fn keep(&self, line: LentLine) {
        let mut consoles = self.inner.lock();
        // A console that was closed meanwhile is not kept: dropping the line hangs up.
        if let Some(console) = consoles.values_mut().find(|c| c.id == self.id) {
            console.state = State::Open(Some(line));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.inner.close(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::ManualClock;

    fn guest(of: &str) -> ConsoleOf {
        ConsoleOf::Guest(of.parse().unwrap())
    }

    fn consoles() -> (Consoles, ManualClock, ConsoleOf) {
        let clock = ManualClock::default();
        let consoles = Consoles::new(Arc::new(clock.clone()));
        (consoles, clock, guest("100"))
    }

    #[tokio::test]
    async fn a_console_is_opened_once_at_its_port_and_in_time() {
        let (consoles, clock, of) = consoles();
        let display = ConsoleKind::Display {
            password: "x".into(),
        };
        let port = consoles.reserve("a".into(), of, display.clone()).unwrap();
        let late = consoles.reserve("b".into(), of, display).unwrap();
        assert_eq!((port, late), (5900, 5901));
        assert!(consoles.open(5950, of).is_err());
        assert!(consoles.open(port, guest("101")).is_err());
        assert!(consoles.open(port, ConsoleOf::Node).is_err());
        let lease = consoles.open(port, of).unwrap();
        assert!(consoles.open(port, of).is_err(), "it is open already");
        clock.advance(Duration::from_secs(40));
        assert!(consoles.open(late, of).is_err(), "nobody came in time");
        consoles.ended("b").await;
        assert!(consoles.is_there("a"));
        drop(lease);
        consoles.ended("a").await;
    }

    #[tokio::test]
    async fn a_serial_port_has_one_client() {
        let (consoles, _, of) = consoles();
        let serial = ConsoleKind::Serial(0);
        let first = consoles.reserve("a".into(), of, serial.clone()).unwrap();
        let second = consoles.reserve("b".into(), of, serial.clone()).unwrap();
        let lease = consoles.open(first, of).unwrap();
        let error = consoles.open(second, of).err().unwrap();
        assert_eq!(
            error.message,
            "serial0 of VM 100 is in use by another console"
        );
        assert!(consoles.reserve("c".into(), of, serial).is_err());
        drop(lease);
        drop(consoles.open(second, of).unwrap());
    }

    #[test]
    fn there_are_a_hundred_ports() {
        let (consoles, _, of) = consoles();
        for number in 0..100 {
            let kind = ConsoleKind::Serial(0);
            consoles.reserve(number.to_string(), of, kind).unwrap();
        }
        let full = consoles.reserve("x".into(), of, ConsoleKind::Serial(0));
        assert_eq!(full.unwrap_err().kind, ErrorKind::Busy);
        consoles.close("7");
        let freed = consoles.reserve("x".into(), of, ConsoleKind::Serial(0));
        assert_eq!(freed.unwrap(), 5907);
    }
}
