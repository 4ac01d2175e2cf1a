//! Whether guests can be accelerated here.

use guest::qemu::Accel;
use model::Error;

/// What is known of KVM on this machine.
///
/// `/dev/kvm` proves nothing: there are hosts where it opens and every call on it succeeds, and
/// a guest hangs all the same. Until a probe guest has answered, only the administrator's word
/// counts (`kvm` in `ostler.toml`).
#[derive(Debug, Clone)]
pub struct Kvm {
    is_usable: Option<bool>,
}

impl Kvm {
    pub(crate) fn new(word: Option<bool>) -> Self {
        Self { is_usable: word }
    }

    /// What is known: none as long as nothing has shown whether KVM works.
    pub fn is_usable(&self) -> Option<bool> {
        self.is_usable
    }

    /// How a guest is run that does or does not ask for KVM.
    pub(crate) fn accel(&self, wanted: bool, allow_emulation: bool) -> Result<Accel, Error> {
        match (wanted, self.is_usable) {
            (false, _) => Ok(Accel::Tcg),
            (true, Some(true)) => Ok(Accel::Kvm),
            (true, _) if allow_emulation => Ok(Accel::Tcg),
            (true, known) => {
                let why = match known {
                    Some(false) => "this node is configured to do without KVM",
                    _ => "nothing has shown yet that KVM works on this node",
                };
                Err(Error::unavailable(format!(
                    "KVM virtualisation configured, but not available: {why}. Either set \
                     'kvm: 0' in the VM configuration, or 'kvm = true' or 'emulate = true' in \
                     /etc/ostler/ostler.toml"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_proof_a_guest_that_wants_kvm_is_told_why_it_cannot_start() {
        let error = Kvm::new(None).accel(true, false).unwrap_err();
        assert!(error.message.contains("'kvm: 0'"), "{error}");
        assert_eq!(Kvm::new(None).accel(false, false).unwrap(), Accel::Tcg);
        assert_eq!(Kvm::new(None).accel(true, true).unwrap(), Accel::Tcg);
        assert_eq!(Kvm::new(Some(true)).accel(true, false).unwrap(), Accel::Kvm);
    }
}
