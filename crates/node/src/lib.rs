//! Composes drivers into tasks, and watches over running guests.
//!
//! ```text
//!   control ── submit(QemuStart{vmid}) ──► tasks::Engine
//!                                             │ step by step, on the NodeContext
//!             NodeContext { store, host, paths, … } ▼
//!        records (store) · storage · network · guest ──► sys::Host
//! ```
//!
//! One file a task below `tasks/`, named as the operation that submits it. What guests of every
//! kind share is in `guests`, what QEMU alone needs in `qemu`, what volumes need without a guest in
//! `volumes`, the machine itself in `host`. Answers to callers are `control`'s part.
//!
//! **Invariants.** A guest's record is changed by compare-and-commit only. A guest is running
//! when its scope has members, whatever we remember. What a guest was started with is in its run
//! file before it executes its first instruction.

mod admission;
pub mod alerts;
pub mod cluster;
mod consoles;
mod context;
pub mod cpu_models;
pub mod deployment;
pub mod doctor;
mod events;
pub mod exports;
mod guests;
pub mod history;
pub mod host;
pub mod isolation;
mod lxc;
pub mod mappings;
pub mod membership;
pub mod migration;
mod paths;
pub mod pki;
pub mod profiles;
pub mod qemu;
mod records;
pub mod schedule;
mod settings;
pub mod snapshot_jobs;
pub mod state;
pub mod tasks;
pub mod tiers;
mod volumes;

pub use admission::{AdmissionMode, Policies, Rooms, cluster_admission_key, node_admission_key};
pub use alerts::list::Alerts;
pub use alerts::{follow_alerts, follow_zpools};
pub use consoles::{CONSOLE_WAIT_S, ConsoleKind, ConsoleOf, Consoles, Lease, Login, serial_taken};
pub use context::{NodeContext, NodeOptions};
pub use events::{Event, Events, Priority};
pub use exports::follow_exports;
pub use guests::digest::{digest, text_digest};
pub(crate) use guests::limits::limits;
pub use guests::mac::random_mac;
pub use guests::onboot::start_guests;
pub use guests::options::{volumes_of, volumes_of_guest};
pub use guests::ports;
pub use guests::reaper::reap_guests;
pub use guests::rescan::{OwnVolume, Rescanned, rescan};
pub use guests::running::{GuestStatus, RunState, Running};
pub use guests::uids::{DEFAULT_GUEST_UIDS, GuestUids};
pub use history::follow_history;
pub use history::kept::NodeHistory;
pub use host::sample::sample;
pub use host::status::{StatusBoard, StatusFeed};
pub use isolation::follow_isolation;
pub use lxc::edit::{CtEdit, NewFileSystem};
pub use paths::Paths;
pub use qemu::agent_turns::{AgentTurn, AgentTurns};
pub use qemu::cloud_init::SeedRecord;
pub use qemu::edit::{Edit, NewVolume};
pub use qemu::freeze::{Freeze, thaw_abandoned};
pub use records::{
    GuestEntry, Records, StorageEntry, guest_key, seed_key, storage_encryption_key, storage_key,
    storage_secret, storage_secret_key,
};
pub use settings::{Settings, bandwidth, cluster_options_key, node_config_key};
pub use tasks::registry;
pub use volumes::backups::{MarkedBackup, PruneMark, Pruning};
pub use volumes::base::make_group;
pub use volumes::streams::{LentStream, Streams};
pub use volumes::uploads::Uploads;
