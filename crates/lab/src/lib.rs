//! Cluster nodes as virtual machines with a real kernel, for tests that the development machines
//! cannot run: storage drivers, VLANs, watchdogs, fencing, systemd, a usable `/dev/kvm`.
//!
//! ```text
//!  test, or `lab up`:  Lab ──owns──► Hub (frames between cards)
//!                       │   └──────► Disk (data disks, served over NBD)
//!                       └─► Node ──► QEMU: monitor · agent · console · cards · disks
//! ```
//!
//! It is not shipped, knows nothing of Ostler, and needs root only to build the parts
//! (`lab/build.sh`).
//!
//! **Nothing outlives the process with the `Lab`:** QEMUs are killed, its folder is removed.
//!
//! **Judged from outside:** the order of events is known from this process's clock ([`Moment`]),
//! QEMU's events, the hub's counters and the disks' logs, none of which a node can change.
//!
//! **Every failure leaves its traces:** if a test panics while it has a `Lab`, consoles, journals,
//! events and counters are in one folder, and its path is printed.

mod agent;
mod clock;
pub mod control;
mod disk;
mod error;
mod faults;
mod golden;
mod hub;
mod lab;
mod machine;
mod node;
mod process;
mod qmp;
mod store;
mod traces;
mod watched;

pub use agent::{Job, Output, Piece};
pub use clock::{Moment, wait_for};
pub use disk::{Disk, DiskHealth, Write};
pub use error::LabError;
pub use golden::{Effort, build};
pub use hub::{Counters, Fate, Hub, Seen};
pub use lab::Lab;
pub use machine::{Board, CARDS};
pub use node::Node;
pub use qmp::Event;
