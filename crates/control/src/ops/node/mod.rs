//! `/nodes/{node}`

mod all;
mod apt;
mod capabilities;
mod certificates_info;
mod config;
mod disk_list;
mod dns;
mod hardware;
mod hosts;
mod journal;
mod network;
mod query_url_metadata;
mod replication;
mod report;
mod rrddata;
mod services;
mod status;
mod storage;
mod storage_download;
mod storage_upload;
mod storage_volumes;
mod subscription;
mod tasks;
pub(super) mod time;

use model::NodeName;
use serde::Deserialize;

use super::{Pair, StreamPair, pair, stream_pair};
pub(in crate::ops) use tasks::is_mine;

/// What lies below `/nodes/{node}`, but for guests.
pub(super) const GROUPS: &[&[Pair]] = &[
    PAIRS,
    apt::PAIRS,
    hardware::PAIRS,
    network::PAIRS,
    replication::PAIRS,
    rrddata::PAIRS,
    services::PAIRS,
];

const PAIRS: &[Pair] = &[
    pair!("certificates_info", certificates_info::certificates_info),
    pair!("disk_list", disk_list::disk_list),
    pair!("node_dns", dns::dns),
    pair!("node_hosts", hosts::hosts),
    pair!("query_url_metadata", query_url_metadata::query_url_metadata),
    pair!("subscription", subscription::subscription),
    pair!("node_storage_list", storage::list),
    pair!("node_storage_status", storage::status),
    pair!("volume_create", storage_volumes::create),
    pair!("volume_delete", storage_volumes::delete),
    pair!("volume_download", storage_download::download),
    pair!("volume_get", storage_volumes::get),
    pair!("volume_list", storage_volumes::list),
    pair!("volume_update", storage_volumes::update),
    pair!("volume_upload", storage_upload::finish),
    pair!("node_config", config::get),
    pair!("node_config_update", config::update),
    pair!("node_journal", journal::journal),
    pair!("node_power", status::power),
    pair!("node_report", report::report),
    pair!("node_startall", all::start),
    pair!("node_status", status::get),
    pair!("node_stopall", all::stop),
    pair!("node_syslog", journal::syslog),
    pair!("node_time", time::get),
    pair!("node_time_update", time::update),
    pair!("node_version", status::version),
    pair!("qemu_cpu_flags", capabilities::cpu_flags),
    pair!("qemu_cpu_models", capabilities::cpu),
    pair!("qemu_machines", capabilities::machine_types),
    pair!("qemu_migration_capabilities", capabilities::migration),
    pair!("task_list", tasks::list),
    pair!("task_status", tasks::status),
    pair!("task_log", tasks::log),
    pair!("task_stop", tasks::stop),
];

pub(super) const STREAMS: &[StreamPair] = &[stream_pair!("volume_upload", storage_upload::open)];

/// The one parameter of most operations below `/nodes/{node}`.
#[derive(Deserialize)]
struct OnNode {
    node: NodeName,
}
