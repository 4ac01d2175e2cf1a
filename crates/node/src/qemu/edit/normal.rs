//! Values in the form in which they are stored.

use model::qemu::{DriveSlot, TpmState};
use model::{Error, GuestRecord};

use super::Edit;

/// The largest weight of a control group.
const CPU_UNITS_MAX: i64 = 10_000;

impl Edit {
    pub(super) fn normalise(&mut self) {
        self.normalize_smp();
        self.normalize_cpu_units();
        self.normalize_description();
        self.forget_boot_disk();
    }

    /// `smp` is what `sockets` was called, when there were no cores.
    fn normalize_smp(&mut self) {
        let Some(count) = self.set.remove("smp") else {
            return;
        };
        if !self.set.contains_key("sockets") {
            self.set.insert("sockets".to_owned(), count);
            self.set.remove("cores");
            self.delete.push("cores".to_owned());
        }
    }

    /// The kernel accepts no more than this.
    fn normalize_cpu_units(&mut self) {
        let units = self.set.get_mut("cpuunits");
        if let Some(units) = units.filter(|units| units.as_i64() > Some(CPU_UNITS_MAX)) {
            *units = CPU_UNITS_MAX.into();
        }
    }

    /// Keeps the version of the standard that the state of a security module was made for: it is
    /// of no use to another.
    pub fn keep_tpm_version(&mut self, guest: &GuestRecord) -> Result<(), Error> {
        let slot = DriveSlot::TPM.to_string();
        let parse = |text: &str| TpmState::parse(text).ok();
        let before = guest.config.text(&slot).as_deref().and_then(parse);
        let after = self.set.get(&slot).and_then(|value| value.as_str());
        let (Some(before), Some(mut after)) = (before, after.and_then(parse)) else {
            return Ok(());
        };
        if before.volume() != after.volume() {
            return Ok(());
        }
        if !after.keep_version(&before) {
            let text = "the version of a TPM's state cannot be changed";
            return Err(Error::invalid(slot, text));
        }
        self.set.insert(slot, after.print().into());
        Ok(())
    }

    /// White space at the end says nothing; nor does a description of nothing else.
    fn normalize_description(&mut self) {
        let Some(text) = self.set.get("description").and_then(|value| value.as_str()) else {
            return;
        };
        let text = text.trim_end().to_owned();
        if text.is_empty() {
            self.set.remove("description");
            self.delete.push("description".to_owned());
        } else {
            self.set.insert("description".to_owned(), text.into());
        }
    }
}
