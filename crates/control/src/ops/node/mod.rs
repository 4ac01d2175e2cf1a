//! `/nodes/{node}`

mod all;
mod apt;
mod backup_prunable;
mod backup_prune;
pub(super) mod capabilities;
mod certificates_info;
mod config;
mod config_update;
mod disks;
mod dns;
mod hardware;
mod hosts;
mod import_metadata;
mod journal;
mod migrateall;
mod network;
mod power;
mod qemu_cpu_flags;
mod qemu_cpu_models;
mod qemu_machines;
mod qemu_migration_capabilities;
mod query_oci_repo_tags;
mod query_url_metadata;
mod replication;
mod report;
mod rrd;
mod rrddata;
mod scan;
mod services;
mod shell;
mod startall;
mod status;
mod stopall;
mod storage;
mod storage_identity;
mod storage_list;
mod storage_status;
mod storage_upload;
mod storage_volumes;
mod subscription;
mod syslog;
mod task_list;
mod task_log;
mod task_status;
mod task_stop;
mod tasks;
pub(super) mod time;
mod time_update;
mod version;
mod volume_copy;
mod volume_create;
mod volume_delete;
mod volume_download;
mod volume_export;
mod volume_get;
mod volume_import;
mod volume_list;
mod volume_pull;
mod volume_streams;
mod volume_update;
mod volume_upload;

use model::NodeName;
pub(super) use qemu_cpu_flags::FLAGS;
use serde::Deserialize;

use super::{Pair, StreamPair, pair, stream_pair};
pub(in crate::ops) use tasks::is_mine;

/// The operations below `/nodes/{node}`, except those on guests.
pub(super) const GROUPS: &[&[Pair]] = &[
    PAIRS,
    apt::PAIRS,
    disks::PAIRS,
    hardware::PAIRS,
    network::PAIRS,
    replication::PAIRS,
    rrd::PAIRS,
    rrddata::PAIRS,
    scan::PAIRS,
    services::PAIRS,
    shell::PAIRS,
];

const PAIRS: &[Pair] = &[
    pair!("backup_prunable", backup_prunable::backup_prunable),
    pair!("backup_prune", backup_prune::backup_prune),
    pair!("certificates_info", certificates_info::certificates_info),
    pair!("node_dns", dns::dns),
    pair!("node_hosts", hosts::hosts),
    pair!(
        "query_oci_repo_tags",
        query_oci_repo_tags::query_oci_repo_tags
    ),
    pair!("query_url_metadata", query_url_metadata::query_url_metadata),
    pair!("subscription", subscription::subscription),
    pair!("import_metadata", import_metadata::import_metadata),
    pair!("storage_identity", storage_identity::storage_identity),
    pair!("volume_copy", volume_copy::volume_copy),
    pair!("node_storage_list", storage_list::storage_list),
    pair!("node_storage_status", storage_status::storage_status),
    pair!("volume_create", volume_create::volume_create),
    pair!("volume_delete", volume_delete::volume_delete),
    pair!("volume_pull", volume_pull::volume_pull),
    pair!("volume_download", volume_download::volume_download),
    pair!("volume_export", volume_export::volume_export),
    pair!("volume_get", volume_get::volume_get),
    pair!("volume_import", volume_import::volume_import),
    pair!("volume_list", volume_list::volume_list),
    pair!("volume_update", volume_update::volume_update),
    pair!("volume_upload", volume_upload::volume_upload),
    pair!("node_config", config::config),
    pair!("node_config_update", config_update::config_update),
    pair!("node_journal", journal::journal),
    pair!("node_power", power::power),
    pair!("node_report", report::report),
    pair!("node_migrateall", migrateall::migrateall),
    pair!("node_startall", startall::startall),
    pair!("node_status", status::status),
    pair!("node_stopall", stopall::stopall),
    pair!("node_syslog", syslog::syslog),
    pair!("node_time", time::time),
    pair!("node_time_update", time_update::time_update),
    pair!("node_version", version::version),
    pair!("qemu_cpu_flags", qemu_cpu_flags::qemu_cpu_flags),
    pair!("qemu_cpu_models", qemu_cpu_models::qemu_cpu_models),
    pair!("qemu_machines", qemu_machines::qemu_machines),
    pair!(
        "qemu_migration_capabilities",
        qemu_migration_capabilities::qemu_migration_capabilities
    ),
    pair!("task_list", task_list::task_list),
    pair!("task_status", task_status::task_status),
    pair!("task_log", task_log::task_log),
    pair!("task_stop", task_stop::task_stop),
];

pub(super) const STREAMS: &[StreamPair] = &[
    shell::STREAM,
    stream_pair!("volume_export", volume_export::open),
    stream_pair!("volume_import", volume_import::open),
    stream_pair!("volume_upload", volume_upload::open),
];

/// For operations below `/nodes/{node}` that use the name of the node.
#[derive(Deserialize)]
struct OnNode {
    node: NodeName,
}
