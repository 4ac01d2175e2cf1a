//! What a guest's scope may use.

use guest::qemu::VmConfig;
use sys::Limits;

/// The limits of a configuration.
pub(crate) fn limits(config: &VmConfig) -> Limits {
    Limits {
        cpus: (config.cpu_limit > 0.0).then_some(config.cpu_limit),
        cpu_weight: config.cpu_units,
        cpu_list: config.affinity.clone(),
        ..Limits::default()
    }
}
