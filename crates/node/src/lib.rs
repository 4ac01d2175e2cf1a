//! Composes drivers into tasks, and watches over running guests.
//!
//! ```text
//!   control ── submit(QemuStart{vmid}) ──► tasks::Engine
//!                                             │ step by step, with the World
//!             World { store, host, paths, … } ▼
//!        records (store) · storage · network · guest ──► sys::Host
//! ```
//!
//! One file a task below `tasks/`, named as the operation that submits it. It answers nobody:
//! that is `control`'s part.
//!
//! **Invariants.** A guest's record is changed by compare-and-commit only. A guest is running
//! when its scope has members, whatever we remember. What a guest was started with is in its run
//! file before it executes its first instruction.

mod arrivals;
mod ballooning;
mod boot;
pub mod certificates;
mod cloud_init;
mod consoles;
mod digest;
mod disk_snapshots;
pub mod disks;
mod edit;
mod efi_vars;
mod events;
pub mod facts;
pub mod fetch;
mod freeze;
mod guest_agents;
mod guest_users;
mod hooks;
mod hotplug;
mod images;
mod in_turn;
pub mod interfaces;
pub mod kvm;
mod limits;
mod live_copy;
mod mac;
mod news;
pub mod packages;
mod paths;
pub mod pci;
pub mod programs;
mod records;
mod running;
mod sample;
pub mod services;
mod settings;
mod status;
mod swtpm;
pub mod taps;
pub mod tasks;
mod tend;
pub mod usb;
mod vmids;
mod volumes;
mod world;

pub use arrivals::Arrivals;
pub use boot::start_guests;
pub use cloud_init::SeedRecord;
pub use consoles::{CONSOLE_WAIT_S, ConsoleKind, Consoles, Lease, serial_taken};
pub use digest::{digest, text_digest};
pub use edit::{Edit, NewVolume, volumes_of, volumes_of_guest};
pub use events::{Event, Events, Priority};
pub use freeze::{Freeze, thaw_abandoned};
pub use guest_agents::{AgentTurn, AgentTurns};
pub use guest_users::{DEFAULT_GUEST_UIDS, GuestUids};
pub(crate) use limits::limits;
pub use mac::random_mac;
pub use news::News;
pub use paths::Paths;
pub use records::{GuestEntry, Records, guest_key, seed_key, storage_key};
pub use running::{GuestStatus, RunState, Running};
pub use sample::sample;
pub use settings::{Settings, cluster_options_key, node_config_key};
pub use status::{StatusBoard, StatusFeed};
pub use tasks::registry;
pub use tend::tend;
pub use world::{World, WorldOptions};
