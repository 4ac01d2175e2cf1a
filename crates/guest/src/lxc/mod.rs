//! Containers.
//!
//! ```text
//!   GuestConfig ──CtConfig::parse──► CtConfig ──render──► the text of LXC's configuration
//!                                       │
//!   a tree of files ── setup::detect ──┴─ apply ──► the tree with names, addresses, terminals
//! ```
//!
//! What an OCI image contains is read and unpacked by `image`, through another trait and in the same
//! surroundings. `setup` reads and writes the container's files through a trait: it runs in a process that sees
//! nothing but the container's file systems, as the container's root.

mod config;
pub mod image;
mod render;
mod run;
pub mod setup;

pub use config::{ConsoleMode, CtConfig, ID_COUNT, ID_FIRST, LXC_KEYS};
pub use render::{PassedDevice, ROOT, Rendering, render, seccomp_rules};
pub use run::CtRunFile;
