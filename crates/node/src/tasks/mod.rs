//! The tasks of a node, one file each, named as the operation that submits it.

mod admit;
mod allocate;
mod backup_prune;
mod bases;
mod bulk;
mod bulk_migrate;
mod bulk_shutdown;
mod bulk_start;
mod bulk_suspend;
mod claim;
mod cluster_create;
mod cluster_dissolve;
mod cluster_force;
mod cluster_join;
mod cluster_leave;
mod cluster_restore;
mod cluster_unvote;
mod cluster_vote;
mod copy_file_system;
mod delete_snapshot;
mod destroy;
mod disk_directory_create;
mod disk_directory_delete;
mod disk_group;
mod disk_initgpt;
mod disk_lvm_create;
mod disk_lvm_delete;
mod disk_lvmthin_create;
mod disk_lvmthin_delete;
mod disk_removal;
mod disk_storage;
mod disk_wipe;
mod disk_zfs_create;
mod disk_zfs_delete;
mod export_create;
mod export_delete;
mod exported;
mod file_systems;
mod guest_snapshots;
mod kill;
mod lxc_clone;
mod lxc_configure;
mod lxc_create;
mod lxc_delsnapshot;
mod lxc_destroy;
mod lxc_df;
mod lxc_exec;
mod lxc_fsck;
mod lxc_fstrim;
mod lxc_migrate;
mod lxc_mount;
mod lxc_move_volume;
mod lxc_reassign_volume;
mod lxc_reboot;
mod lxc_resize;
mod lxc_rollback;
mod lxc_shutdown;
mod lxc_snapshot;
mod lxc_start;
mod lxc_stop;
mod lxc_template;
mod lxc_unmount;
mod lxc_upkeep;
mod lxc_vncproxy;
mod make_snapshot;
mod make_template;
mod memory;
mod migrate;
mod migrate_guests;
mod new_guest;
mod new_template;
mod node_adopt;
mod node_all;
mod node_migrateall;
mod node_snapshot_prune;
mod node_startall;
mod node_stopall;
mod node_vncshell;
mod pool_change;
mod power_off;
mod qemu_clone;
mod qemu_cloudinit_update;
mod qemu_configure;
mod qemu_create;
mod qemu_delsnapshot;
mod qemu_destroy;
mod qemu_migrate;
mod qemu_move_disk;
mod qemu_power;
mod qemu_reassign_disk;
mod qemu_reboot;
mod qemu_reset;
mod qemu_resize;
mod qemu_resume;
mod qemu_rollback;
mod qemu_shutdown;
mod qemu_snapshot;
mod qemu_start;
mod qemu_stop;
mod qemu_suspend;
mod qemu_suspend_to_disk;
mod qemu_template;
mod qemu_vncproxy;
mod reassign;
mod removable;
mod roll_back;
mod seed;
mod snapshot_job_run;
mod storage_attach;
mod storage_detach;
mod terminal;
mod tier_apply;
mod volume_arrive;
mod volume_copy;
mod volume_copy_file;
mod volume_create;
mod volume_delete;
mod volume_download;
mod volume_export;
mod volume_import;
mod volume_import_file;
mod volume_pull;
mod volume_upload;
mod zpool_add;
mod zpool_attach;
mod zpool_clear;
mod zpool_detach;
mod zpool_online;
mod zpool_replace;
mod zpool_scrub;

use std::time::Duration;

use model::VmId;
use tasks::Registry;

pub use backup_prune::BackupPrune;
pub use bases::NewTemplate;
pub use bulk_migrate::BulkMigrate;
pub use bulk_shutdown::BulkShutdown;
pub use bulk_start::BulkStart;
pub use bulk_suspend::BulkSuspend;
pub use claim::{check_digest, check_lock};
pub use cluster_create::ClusterCreate;
pub use cluster_dissolve::ClusterDissolve;
pub use cluster_force::ClusterForce;
pub use cluster_join::ClusterJoin;
pub use cluster_leave::ClusterLeave;
pub use cluster_restore::ClusterRestore;
pub use cluster_unvote::ClusterUnvote;
pub use cluster_vote::ClusterVote;
pub use copy_file_system::is_linkable;
pub use delete_snapshot::snapshot_of;
pub use destroy::is_running;
pub use disk_directory_create::{DiskDirectoryCreate, FileSystem};
pub use disk_directory_delete::DiskDirectoryDelete;
pub use disk_initgpt::{DiskInitgpt, check_initgpt};
pub use disk_lvm_create::DiskLvmCreate;
pub use disk_lvm_delete::DiskLvmDelete;
pub use disk_lvmthin_create::DiskLvmthinCreate;
pub use disk_lvmthin_delete::DiskLvmthinDelete;
pub use disk_wipe::{DiskWipe, check_wipe};
pub use disk_zfs_create::{DiskZfsCreate, DraidConfig, PoolWanted, RaidLevel};
pub use disk_zfs_delete::DiskZfsDelete;
pub use export_create::{ExportCreate, ExportPlan};
pub use export_delete::ExportDelete;
pub use lxc_clone::LxcClone;
pub use lxc_configure::LxcConfigure;
pub use lxc_create::{LxcCreate, Template};
pub use lxc_delsnapshot::LxcDelsnapshot;
pub use lxc_destroy::LxcDestroy;
pub use lxc_df::LxcDf;
pub use lxc_exec::LxcExec;
pub use lxc_fsck::LxcFsck;
pub use lxc_fstrim::LxcFstrim;
pub use lxc_migrate::LxcMigrate;
pub use lxc_mount::LxcMount;
pub use lxc_move_volume::LxcMoveVolume;
pub use lxc_reassign_volume::LxcReassignVolume;
pub use lxc_reboot::LxcReboot;
pub use lxc_resize::{LxcResize, no_mount_point};
pub use lxc_rollback::LxcRollback;
pub use lxc_shutdown::LxcShutdown;
pub use lxc_snapshot::LxcSnapshot;
pub use lxc_start::LxcStart;
pub use lxc_stop::LxcStop;
pub use lxc_template::LxcTemplate;
pub use lxc_unmount::LxcUnmount;
pub use lxc_vncproxy::LxcVncproxy;
pub use migrate_guests::Moving;
pub use new_guest::already_exists;
pub use node_adopt::{AdoptedGuest, AdoptedStorage, NodeAdopt};
pub use node_all::Chosen;
pub use node_migrateall::NodeMigrateall;
pub use node_snapshot_prune::NodeSnapshotPrune;
pub use node_startall::NodeStartall;
pub use node_stopall::NodeStopall;
pub use node_vncshell::NodeVncshell;
pub use qemu_clone::{CloneChanges, QemuClone};
pub use qemu_cloudinit_update::QemuCloudinitUpdate;
pub use qemu_configure::QemuConfigure;
pub use qemu_create::QemuCreate;
pub use qemu_delsnapshot::QemuDelsnapshot;
pub use qemu_destroy::QemuDestroy;
pub use qemu_migrate::QemuMigrate;
pub use qemu_move_disk::QemuMoveDisk;
pub use qemu_reassign_disk::QemuReassignDisk;
pub use qemu_reboot::QemuReboot;
pub use qemu_reset::QemuReset;
pub use qemu_resize::{NewSize, QemuResize};
pub use qemu_resume::QemuResume;
pub use qemu_rollback::QemuRollback;
pub use qemu_shutdown::QemuShutdown;
pub use qemu_snapshot::QemuSnapshot;
pub use qemu_start::QemuStart;
pub use qemu_stop::QemuStop;
pub use qemu_suspend::QemuSuspend;
pub use qemu_suspend_to_disk::QemuSuspendToDisk;
pub use qemu_template::QemuTemplate;
pub use qemu_vncproxy::QemuVncproxy;
pub use snapshot_job_run::SnapshotJobRun;
pub use storage_attach::StorageAttach;
pub use storage_detach::StorageDetach;
pub use tier_apply::TierApply;
pub use volume_copy::{NewImage, VolumeCopy};
pub use volume_copy_file::VolumeCopyFile;
pub use volume_create::VolumeCreate;
pub use volume_delete::VolumeDelete;
pub use volume_download::VolumeDownload;
pub use volume_export::VolumeExport;
pub use volume_import::{ImportRules, VolumeImport};
pub use volume_import_file::VolumeImportFile;
pub use volume_pull::VolumePull;
pub use volume_upload::VolumeUpload;
pub use zpool_add::{AddPlan, ZpoolAdd};
pub use zpool_attach::ZpoolAttach;
pub use zpool_clear::ZpoolClear;
pub use zpool_detach::ZpoolDetach;
pub use zpool_online::ZpoolOnline;
pub use zpool_replace::ZpoolReplace;
pub use zpool_scrub::{ScrubAction, ZpoolScrub};

use crate::NodeContext;
use crate::host::disk_writes::DISKS;

/// All tasks that a node knows.
pub fn registry() -> Registry<NodeContext> {
    containers(disks(Registry::default()))
        .with::<NodeStartall>()
        .with::<NodeStopall>()
        .with::<NodeVncshell>()
        .with::<ClusterCreate>()
        .with::<ClusterDissolve>()
        .with::<ClusterForce>()
        .with::<ClusterJoin>()
        .with::<ClusterLeave>()
        .with::<ClusterRestore>()
        .with::<ClusterUnvote>()
        .with::<ClusterVote>()
        .with::<NodeMigrateall>()
        .with::<BackupPrune>()
        .with::<BulkMigrate>()
        .with::<BulkShutdown>()
        .with::<BulkStart>()
        .with::<BulkSuspend>()
        .with::<NodeAdopt>()
        .with::<NodeSnapshotPrune>()
        .with::<SnapshotJobRun>()
        .with::<QemuClone>()
        .with::<QemuCloudinitUpdate>()
        .with::<QemuConfigure>()
        .with::<QemuCreate>()
        .with::<QemuDelsnapshot>()
        .with::<QemuDestroy>()
        .with::<QemuMigrate>()
        .with::<QemuMoveDisk>()
        .with::<QemuReassignDisk>()
        .with::<QemuReboot>()
        .with::<QemuReset>()
        .with::<QemuResize>()
        .with::<QemuResume>()
        .with::<QemuRollback>()
        .with::<QemuShutdown>()
        .with::<QemuSnapshot>()
        .with::<QemuStart>()
        .with::<QemuStop>()
        .with::<QemuSuspend>()
        .with::<QemuSuspendToDisk>()
        .with::<QemuTemplate>()
        .with::<QemuVncproxy>()
        .with::<TierApply>()
        .with::<VolumeCopy>()
        .with::<VolumeCopyFile>()
        .with::<VolumeCreate>()
        .with::<VolumeDelete>()
        .with::<VolumeDownload>()
        .with::<VolumeExport>()
        .with::<VolumeImport>()
        .with::<VolumeImportFile>()
        .with::<VolumePull>()
        .with::<VolumeUpload>()
}

/// The tasks of containers.
fn containers(registry: Registry<NodeContext>) -> Registry<NodeContext> {
    registry
        .with::<LxcConfigure>()
        .with::<LxcTemplate>()
        .with::<LxcSnapshot>()
        .with::<LxcRollback>()
        .with::<LxcResize>()
        .with::<LxcMoveVolume>()
        .with::<LxcDelsnapshot>()
        .with::<LxcClone>()
        .with::<LxcCreate>()
        .with::<LxcDestroy>()
        .with::<LxcDf>()
        .with::<LxcExec>()
        .with::<LxcFsck>()
        .with::<LxcFstrim>()
        .with::<LxcMount>()
        .with::<LxcUnmount>()
        .with::<LxcMigrate>()
        .with::<LxcReassignVolume>()
        .with::<LxcReboot>()
        .with::<LxcShutdown>()
        .with::<LxcStart>()
        .with::<LxcStop>()
        .with::<LxcVncproxy>()
}

/// The tasks of a node's disks.
fn disks(registry: Registry<NodeContext>) -> Registry<NodeContext> {
    registry
        .with::<DiskDirectoryCreate>()
        .with::<DiskInitgpt>()
        .with::<DiskLvmCreate>()
        .with::<DiskLvmthinCreate>()
        .with::<DiskZfsCreate>()
        .with::<DiskDirectoryDelete>()
        .with::<DiskLvmDelete>()
        .with::<DiskLvmthinDelete>()
        .with::<DiskWipe>()
        .with::<DiskZfsDelete>()
        .with::<ExportCreate>()
        .with::<ExportDelete>()
        .with::<StorageAttach>()
        .with::<StorageDetach>()
        .with::<ZpoolAdd>()
        .with::<ZpoolAttach>()
        .with::<ZpoolClear>()
        .with::<ZpoolDetach>()
        .with::<ZpoolOnline>()
        .with::<ZpoolReplace>()
        .with::<ZpoolScrub>()
}

/// The object that tasks of a guest wait for their turn at.
pub fn guest_object(vmid: VmId) -> String {
    format!("{GUEST}{vmid}")
}

const GUEST: &str = "guest/";

/// What Proxmox VE says where others work on a guest for too long.
pub fn timeout_text(object: &str) -> String {
    let file = match object.strip_prefix(GUEST) {
        Some(vmid) => format!("/var/lock/qemu-server/lock-{vmid}.conf"),
        None if object == DISKS => "/run/lock/pve-diskmanage.lck".to_owned(),
        None => object.to_owned(),
    };
    format!("can't lock file '{file}' - got timeout")
}

/// How long what is over in moments waits for its turn at a guest, as in Proxmox VE.
pub const SHORT_PATIENCE: Duration = Duration::from_secs(10);

/// What QEMU would not do.
pub fn qmp_failed(error: guest::qemu::QmpError) -> model::Error {
    model::Error::unavailable(model::Error::chain(&error))
}
