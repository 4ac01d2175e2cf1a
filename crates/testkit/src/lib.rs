//! Fakes and harnesses for tests; never shipped.
//!
//! ```text
//!   Faults ── counts every call to the world and breaks one of them
//!     ├── FakeHost      files, processes, scopes, links in memory; programs by handlers
//!     └── FaultyStore   any store, failing where it is told to
//!   walk ── runs a task once for every call it makes and every way that call can break
//! ```
//!
//! A fake keeps the contract of the trait that it stands for, and is held to it by the same
//! conformance test as the real thing where there is one.

mod clock;
pub mod fault_sweep;
mod faults;
mod genisoimage;
mod guest_agent;
mod host;
pub mod left_out;
mod qemu;
mod qemu_img;
mod store;

pub use clock::{HastyClock, ManualClock};
pub use faults::{Fault, Faults};
pub use genisoimage::genisoimage;
pub use guest_agent::FakeAgent;
pub use host::{Disk, FakeHost, Program, Service, Spawner};
pub use qemu::{qemu_facts, spawn_qemu};
pub use qemu_img::{image_content, qemu_img};
pub use store::FaultyStore;
