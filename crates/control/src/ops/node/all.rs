//! Code that startall, stopall and migrateall share.

use model::VmId;
use model::schema::format::split_list;
use node::tasks::Chosen;

pub(super) fn chosen(vms: Option<String>, workers: Option<usize>) -> Chosen {
    let parse = |list: String| -> Vec<VmId> {
        split_list(&list).filter_map(|id| id.parse().ok()).collect()
    };
    Chosen {
        vmids: vms.map(parse),
        workers,
    }
}
