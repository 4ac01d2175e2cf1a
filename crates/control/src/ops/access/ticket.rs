//! Code that the operations on tickets share.

use model::Privilege;
use model::schema::format::split_list;

pub(super) fn privileges(names: &str) -> Vec<Privilege> {
    split_list(names).filter_map(Privilege::from_name).collect()
}
