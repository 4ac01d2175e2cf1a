//! What guests of every kind share: their numbers, users and limits, their turn at start
//! and stop, scripts around them, and the reaper of those that have ended.

pub(crate) mod digest;
pub(crate) mod disk_snapshots;
pub(crate) mod disks;
pub(crate) mod hooks;
pub(crate) mod limits;
pub(crate) mod mac;
pub(crate) mod onboot;
pub(crate) mod options;
pub mod ports;
pub(crate) mod purge;
pub(crate) mod reaper;
pub(crate) mod rescan;
pub(crate) mod reserved;
pub(crate) mod running;
pub(crate) mod startup_order;
pub(crate) mod uids;
mod vmids;
