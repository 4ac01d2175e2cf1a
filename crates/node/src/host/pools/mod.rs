//! What disks are joined to: volume groups and thin pools of LVM, pools of ZFS, and directories that
//! are mounted by units.

pub mod directories;
pub mod lvm;
pub mod zfs;
pub mod zpool;
