//! `/nodes/{node}/scan`

mod cifs;
mod iscsi;
mod lvm;
mod lvmthin;
mod nfs;
mod zfs;

use crate::ops::{Pair, pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("scan_cifs", cifs::cifs),
    pair!("scan_iscsi", iscsi::iscsi),
    pair!("scan_lvm", lvm::lvm),
    pair!("scan_lvmthin", lvmthin::lvmthin),
    pair!("scan_nfs", nfs::nfs),
    pair!("scan_zfs", zfs::zfs),
];
