//! Checks a caller's rights on an option's old value, besides those on the new one.

use model::{Error, GuestConfig, GuestRecord, PendingChange};
use node::CtEdit;
use proto::{CtRight, ct_option_right, needs_of_ct_option};

use crate::ops::Op;

/// Refuses options that only root may set. The row has checked the others.
pub(super) fn check_creation(op: &Op, edit: &CtEdit, is_privileged: bool) -> Result<(), Error> {
    edit.set
        .iter()
        .try_for_each(|(option, value)| check_root(op, option, value.as_str(), is_privileged))
}

/// Refuses changes of options that only root may change, and of options whose old value (current or
/// pending) needs more rights than the caller has. The row has checked the new values.
pub(super) fn check_change(op: &Op, edit: &CtEdit, guest: &GuestRecord) -> Result<(), Error> {
    let is_privileged = guest.config.flag("unprivileged") != Some(true);
    check_creation(op, edit, is_privileged)?;
    let changed = edit.set.keys().chain(&edit.delete).chain(&edit.revert);
    for option in changed {
        let mut waiting = GuestConfig::default();
        if let Some(PendingChange::Set(value)) = guest.pending.get(option) {
            waiting.set(option, value.clone());
        }
        let values = [guest.config.text(option), waiting.text(option)];
        for value in values.iter().flatten() {
            check_value(op, guest, option, Some(value), is_privileged)?;
        }
        if values.iter().all(Option::is_none) && !edit.set.contains_key(option) {
            check_value(op, guest, option, None, is_privileged)?;
        }
    }
    Ok(())
}

fn check_value(
    op: &Op,
    guest: &GuestRecord,
    option: &str,
    value: Option<&str>,
    is_privileged: bool,
) -> Result<(), Error> {
    check_root(op, option, value, is_privileged)?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/vms/{}", guest.vmid);
    let needs = needs_of_ct_option(option, value, &path, None).unwrap_or_default();
    needs.iter().try_for_each(|need| view.meet(need))?;
    Ok(())
}

fn check_root(
    op: &Op,
    option: &str,
    value: Option<&str>,
    is_privileged: bool,
) -> Result<(), Error> {
    let refusal = match ct_option_right(option, value) {
        CtRight::Root(refusal) => refusal,
        CtRight::Nesting if is_privileged => {
            "changing feature flags for privileged container is only allowed for root@pam"
        }
        _ => return Ok(()),
    };
    match op.identity()?.is_root() {
        true => Ok(()),
        false => Err(Error::forbidden(refusal)),
    }
}
