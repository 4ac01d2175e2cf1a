//! Fakes and harnesses for tests; never shipped.
//!
//! ```text
//!   Faults ── counts every call and breaks one of them
//!     ├── FakeHost      files, processes, scopes, links in memory; programs by handlers
//!     ├── FaultyHost    any host, the real one too, failing at a chosen call
//!     └── FaultyStore   any store, failing at a chosen call
//!   MinorityStore       any store, losing its majority
//!   sweep_faults ── runs a task once for every call it makes and every way that call can break
//! ```
//!
//! A fake keeps the contract of its trait, and passes the same conformance tests as the real
//! implementation, if there are any.

mod authority;
pub mod ceph;
mod clock;
mod date;
mod disks;
pub mod fault_sweep;
mod faults;
mod faulty_host;
mod genisoimage;
mod guest_agent;
mod host;
pub mod left_out;
mod lvm;
mod minority;
pub mod oci;
mod qemu;
mod qemu_img;
mod rbd;
mod store;
pub mod tgt;
mod zfs;
mod zpools;

pub use authority::{Authority, Certificate};
pub use clock::{HastyClock, ManualClock};
pub use date::date;
pub use disks::{disk_programs, group_programs, put_disk};
pub use faults::{Fault, Faults};
pub use faulty_host::FaultyHost;
pub use genisoimage::genisoimage;
pub use guest_agent::FakeAgent;
pub use host::{Disk, FakeHost, Program, Service, Spawner};
pub use lvm::{LVM_PROGRAMS, cryptsetup, lvm};
pub use minority::MinorityStore;
pub use qemu::{cpu_answers, qemu_facts, spawn_qemu};
pub use qemu_img::{image_content, qemu_img};
pub use rbd::rbd;
pub use store::FaultyStore;
pub use zfs::{zfs, zvol_id};
pub use zpools::pool_programs;
