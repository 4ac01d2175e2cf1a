//! Checks a caller's rights on an option's old value, besides those on the new one.

use model::qemu::DriveSlot;
use model::{Error, GuestConfig, GuestRecord, PendingChange};
use node::Edit;
use proto::{OptionRight, needs_of_option, option_right};

use crate::ops::Op;

/// Refuses a new guest with options that only root may set. The row has checked the others.
pub(in crate::ops) fn check_creation(op: &Op, edit: &Edit) -> Result<(), Error> {
    edit.set
        .iter()
        .try_for_each(|(option, value)| check_root(op, option, value.as_str()))
}

/// Refuses changes of options that only root may change, and of options whose old value (current or
/// pending) needs more rights than the caller has. The row has checked the new values.
pub(super) fn check_change(op: &Op, edit: &Edit, guest: &GuestRecord) -> Result<(), Error> {
    check_creation(op, edit)?;
    for option in edit.set.keys() {
        check_so_far(op, option, guest)?;
    }
    for option in edit.delete.iter().chain(&edit.revert) {
        check_so_far(op, option, guest)?;
        if !depends_on_value(option) {
            check_value(op, guest, option, None)?;
        }
    }
    Ok(())
}

/// Whether the rights on an option depend on its value, so that without one nothing is needed.
fn depends_on_value(option: &str) -> bool {
    let is_drive = option.parse::<DriveSlot>().is_ok();
    is_drive
        || matches!(
            option_right(option, None),
            OptionRight::RootForDevice | OptionRight::RootForUnmapped
        )
}

/// Checks the current and the pending value of an option.
fn check_so_far(op: &Op, option: &str, guest: &GuestRecord) -> Result<(), Error> {
    let mut waiting = GuestConfig::default();
    if let Some(PendingChange::Set(value)) = guest.pending.get(option) {
        waiting.set(option, value.clone());
    }
    let values = [guest.config.text(option), waiting.text(option)];
    values
        .iter()
        .flatten()
        .try_for_each(|value| check_value(op, guest, option, Some(value)))
}

fn check_value(
    op: &Op,
    guest: &GuestRecord,
    option: &str,
    value: Option<&str>,
) -> Result<(), Error> {
    check_root(op, option, value)?;
    let access = op.context.authority.access();
    let view = access.view(op.identity()?, op.context.authority.now());
    let path = format!("/vms/{}", guest.vmid);
    let needs = needs_of_option(option, value, &path, None).unwrap_or_default();
    needs.iter().try_for_each(|need| view.meet(need))?;
    Ok(())
}

fn check_root(op: &Op, option: &str, value: Option<&str>) -> Result<(), Error> {
    let is_roots = needs_of_option(option, value, "", None).is_none();
    if is_roots && !op.identity()?.is_root() {
        let refusal = option_right(option, value).refusal(option);
        return Err(Error::conflict(refusal));
    }
    Ok(())
}
