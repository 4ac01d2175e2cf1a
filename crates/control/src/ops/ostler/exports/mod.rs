//! `/ostler/nodes/{node}/exports`: storages of a node that are given to the other members

mod create;
mod delete;
mod list;

use crate::ops::{Pair, pair};

pub(in crate::ops) const PAIRS: &[Pair] = &[
    pair!("export_create", create::create),
    pair!("export_delete", delete::delete),
    pair!("export_list", list::list),
];
