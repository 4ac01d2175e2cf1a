//! The operations, one file per resource, named and ordered as in the API's tree.

mod access;
mod admission;
mod adopt;
mod changes;
mod cluster;
mod cluster_options;
mod deployment;
mod exports;
mod isolation;
mod lxc;
mod moves;
mod node;
mod numbered;
mod params;
mod pools;
mod profiles;
mod qemu;
mod rescan;
mod snapshot_jobs;
mod snapshots;
mod storage;
mod tiers;
mod version;
mod zpools;

use crate::Row;

pub use access::domains::REALM_OPTIONS;
pub use cluster_options::{
    BWLIMIT, CLUSTER_OPTIONS, MIGRATION, NEXT_ID, TAG_STYLE, USER_TAG_ACCESS,
};
pub use node::services::SERVICES;

/// All rows, in groups.
const GROUPS: &[&[Row]] = &[
    access::ROWS,
    access::acl::ROWS,
    access::domains::ROWS,
    access::groups::ROWS,
    access::password::ROWS,
    access::permissions::ROWS,
    access::roles::ROWS,
    access::tfa::ROWS,
    access::ticket::ROWS,
    access::tokens::ROWS,
    access::users::ROWS,
    admission::ROWS,
    adopt::ROWS,
    changes::ROWS,
    node::storage::ROWS,
    node::streams::ROWS,
    cluster::ROWS,
    cluster::backup::ROWS,
    cluster::bulk::ROWS,
    cluster::config::ROWS,
    cluster::ha::ROWS,
    cluster::jobs::ROWS,
    cluster::mapping::ROWS,
    cluster::metrics::ROWS,
    cluster::qemu::ROWS,
    cluster::replication::ROWS,
    lxc::clones::ROWS,
    lxc::config::ROWS,
    lxc::console::ROWS,
    lxc::exec::ROWS,
    lxc::guests::ROWS,
    lxc::migration::ROWS,
    lxc::power::ROWS,
    lxc::snapshots::ROWS,
    lxc::upkeep::ROWS,
    node::all::ROWS,
    node::apt::ROWS,
    node::capabilities::ROWS,
    node::certificates::ROWS,
    node::config::ROWS,
    node::disks::ROWS,
    node::scan::ROWS,
    node::hardware::ROWS,
    node::journal::ROWS,
    node::list::ROWS,
    node::names::ROWS,
    node::network::ROWS,
    node::replication::ROWS,
    node::rrddata::ROWS,
    node::services::ROWS,
    node::shell::ROWS,
    node::status::ROWS,
    node::tasks::ROWS,
    node::web::ROWS,
    qemu::agent::ROWS,
    qemu::clones::ROWS,
    qemu::cloudinit::ROWS,
    qemu::config::ROWS,
    qemu::console::ROWS,
    qemu::guests::ROWS,
    qemu::migration::ROWS,
    qemu::power::ROWS,
    qemu::snapshots::ROWS,
    qemu::status::ROWS,
    deployment::ROWS,
    exports::ROWS,
    isolation::ROWS,
    profiles::ROWS,
    rescan::ROWS,
    snapshot_jobs::ROWS,
    snapshots::ROWS,
    storage::ROWS,
    tiers::ROWS,
    version::ROWS,
    zpools::ROWS,
    pools::ROWS,
];

pub use lxc::{CtRight, ct_option_right, needs_of_ct_option};
pub use profiles::PROFILE;
pub use qemu::{OptionRight, bridge_paths, needs_of_option, option_right};
pub use snapshot_jobs::SNAPSHOT_JOB;
pub use tiers::TIER_PROPERTIES;

/// All operations of this version.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| group.iter())
}

/// The row with this name.
pub fn row(name: &str) -> Option<&'static Row> {
    rows().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
