//! `/cluster/{backup,backup-info}`: there are no backup jobs yet.

mod get;
mod included_volumes;
mod list;
mod not_backed_up;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("backup_get", get::get),
    pair!(
        "backup_included_volumes",
        included_volumes::included_volumes
    ),
    pair!("backup_list", list::list),
    pair!("not_backed_up", not_backed_up::not_backed_up),
];
