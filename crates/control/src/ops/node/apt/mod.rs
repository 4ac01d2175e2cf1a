//! `/nodes/{node}/apt` and the appliance templates

mod aplinfo;
mod changelog;
mod package;
mod repositories;
mod update_list;
mod versions;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("aplinfo", aplinfo::aplinfo),
    pair!("apt_changelog", changelog::changelog),
    pair!("apt_repositories", repositories::repositories),
    pair!("apt_update_list", update_list::update_list),
    pair!("apt_versions", versions::versions),
];
