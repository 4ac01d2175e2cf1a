//! The tasks of a node, one file each, named as the operation that submits it.

mod claim;
mod qemu_start;
mod qemu_stop;

use model::VmId;
use tasks::Registry;

pub use qemu_start::QemuStart;
pub use qemu_stop::QemuStop;

use crate::World;

/// All tasks that a node knows.
pub fn registry() -> Registry<World> {
    Registry::default().with::<QemuStart>().with::<QemuStop>()
}

/// The object that tasks of a guest wait for their turn at.
pub fn guest_object(vmid: VmId) -> String {
    format!("guest/{vmid}")
}
