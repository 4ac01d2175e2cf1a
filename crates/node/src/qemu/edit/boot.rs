//! The order in which a guest tries its devices: it names none that are not there.

use model::qemu::{Boot, BootDevice};
use model::{Error, GuestRecord, PendingChange};
use serde_json::Value;

use super::Edit;

impl Edit {
    /// Refuses an order with a device that the guest has not and will not have.
    pub(super) fn check_boot_order(&self, guest: &GuestRecord) -> Result<(), Error> {
        let order = self.set.get("boot").and_then(Value::as_str);
        let Some(Ok(Boot::Order(devices))) = order.map(Boot::parse) else {
            return Ok(());
        };
        for name in devices.iter().map(BootDevice::to_string) {
            let waits = matches!(guest.pending.get(&name), Some(PendingChange::Set(_)));
            let exists = guest.config.0.contains_key(&name) || waits;
            let is_kept = exists && !self.delete.contains(&name);
            if !is_kept && !self.set.contains_key(&name) {
                // The last quotation mark is one that clients know.
                let text = format!("invalid bootorder: device '{name}' does not exist'");
                return Err(Error::conflict(text));
            }
        }
        Ok(())
    }

    /// An order takes the place of the disk that was named the older way.
    pub(super) fn forget_boot_disk(&mut self) {
        let order = self.set.get("boot").and_then(Value::as_str);
        let has_order = matches!(order.map(Boot::parse), Some(Ok(Boot::Order(_))));
        if has_order && !self.set.contains_key("bootdisk") {
            self.delete.push("bootdisk".to_owned());
        }
    }
}
