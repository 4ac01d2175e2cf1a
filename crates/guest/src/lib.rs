//! QEMU: what a guest is started with, what is said to it, and what is remembered of it.
//!
//! ```text
//!   GuestConfig ──VmConfig::parse──► VmConfig ──plan──► RunningAs ──argv──► the command line
//!                                                          │ kept in RunFile, in RAM snapshots,
//!                                                          ▼ sent along with a migration
//!   a socket ──Qmp::connect──► Qmp: commands, answers, events
//!   VmConfig ──cloud_init::Source::render──► Seed: the files that a guest reads at its first boot
//! ```
//!
//! It starts nothing and opens nothing: a task hands it resolved volumes and taps, takes the
//! command line to `sys`, and hands it a connected stream.
//!
//! **Invariants:** the command line is a pure function of what a guest runs as, its volumes and
//! its paths. A layout (`qemu::layout`) is never edited, only followed by another version. No
//! text of a user's reaches the command line without being quoted for its place.

pub mod cloud_init;
pub mod qemu;
mod run;

pub use run::{RunFile, Sockets};
