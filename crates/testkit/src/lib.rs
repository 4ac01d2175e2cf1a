//! Fakes and harnesses for tests; never shipped.
//!
//! ```text
//!   Faults ── counts every call and breaks one of them
//!     ├── FakeHost      files, processes, scopes, links in memory; programs by handlers
//!     └── FaultyStore   any store, failing at a chosen call
//!   sweep_faults ── runs a task once for every call it makes and every way that call can break
//! ```
//!
//! A fake keeps the contract of its trait, and passes the same conformance tests as the real
//! implementation, if there are any.

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
