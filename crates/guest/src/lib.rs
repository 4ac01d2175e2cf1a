//! QEMU and LXC: command lines, configurations, protocols, and the files that describe a running guest.
//!
//! ```text
//!   GuestConfig ──VmConfig::parse──► VmConfig ──plan──► RunningAs ──argv──► the command line
//!                                                          │ kept in RunFile, in RAM snapshots,
//!                                                          ▼ sent along with a migration
//!   a socket ──Qmp::connect──► Qmp: commands, answers, events
//!   VmConfig ──cloud_init::Source::render──► Seed: the files that a guest reads at its first boot
//! ```
//!
//! It starts nothing and opens nothing: a task passes resolved volumes and taps, gives the command
//! line to `sys`, and passes a connected stream.
//!
//! **Invariants:** the command line is a pure function of what a guest runs as, its volumes and its
//! paths. A layout (`qemu::layout`) is never edited, only followed by another version. No user's
//! text reaches the command line unquoted.

pub mod cloud_init;
pub mod lxc;
pub mod ovf;
pub mod qemu;
mod run;

pub use run::{HugePool, RunFile, Sockets};
