//! `/nodes/{node}/qemu`

mod agent;
mod clones;
mod cloudinit;
mod config;
mod configure;
mod console;
mod console_holder;
mod create;
mod destroy;
mod drives;
mod monitor;
mod power;
mod resize;
mod rights;
mod snapshots;
mod start;
mod status;
mod stop;

use model::{Error, VmId};
use serde::Deserialize;

use super::{Op, Pair, StreamPair, pair, stream_pair};

pub(super) const AGENT_PAIRS: &[Pair] = agent::PAIRS;

pub(super) const PAIRS: &[Pair] = &[
    pair!("qemu_clone", clones::clone),
    pair!("qemu_cloudinit", cloudinit::pending),
    pair!("qemu_cloudinit_dump", cloudinit::dump),
    pair!("qemu_cloudinit_update", cloudinit::update),
    pair!("qemu_config", config::config),
    pair!("qemu_configure", configure::configure),
    pair!("qemu_configure_task", configure::configure_task),
    pair!("qemu_create", create::create),
    pair!("qemu_delsnapshot", snapshots::delete),
    pair!("qemu_destroy", destroy::destroy),
    pair!("qemu_feature", clones::feature),
    pair!("qemu_monitor", monitor::monitor),
    pair!("qemu_move_disk", clones::move_disk),
    pair!("qemu_pending", config::pending),
    pair!("qemu_reboot", power::reboot),
    pair!("qemu_reset", power::reset),
    pair!("qemu_resize", resize::resize),
    pair!("qemu_resume", power::resume),
    pair!("qemu_rollback", snapshots::rollback),
    pair!("qemu_sendkey", monitor::sendkey),
    pair!("qemu_shutdown", power::shutdown),
    pair!("qemu_snapshot", snapshots::create),
    pair!("qemu_snapshot_config", snapshots::config),
    pair!("qemu_snapshot_list", snapshots::list),
    pair!("qemu_snapshot_update", snapshots::update),
    pair!("qemu_start", start::start),
    pair!("qemu_status", status::status),
    pair!("qemu_stop", stop::stop),
    pair!("qemu_suspend", power::suspend),
    pair!("qemu_template", clones::template),
    pair!("qemu_termproxy", console::termproxy),
    pair!("qemu_unlink", configure::unlink),
    pair!("qemu_vncproxy", console::vncproxy),
    pair!("qemu_vncwebsocket", console::vncwebsocket),
];

pub(super) const STREAMS: &[StreamPair] = &[stream_pair!("qemu_vncwebsocket", console::open)];

/// The parameters that say which guest is meant.
#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
    skiplock: Option<bool>,
}

impl Guest {
    /// Reads them and checks that the guest is this node's to work on.
    fn of(op: &Op) -> Result<Self, Error> {
        let guest: Self = op.params()?;
        check_skiplock(op, guest.skiplock)?;
        Ok(guest)
    }

    fn skips_lock(&self) -> bool {
        self.skiplock == Some(true)
    }
}

/// Only root may leave volumes active. The storages of this version have nothing to activate, so
/// there is no more to it.
fn check_keeps_active(op: &Op, keep_active: Option<bool>) -> Result<(), Error> {
    if keep_active == Some(true) && !op.identity()?.is_root() {
        let text = "Only root may use this option.";
        return Err(Error::invalid("keepActive", text));
    }
    Ok(())
}

/// `skiplock` passes by a protection that is there for everybody else.
fn check_skiplock(op: &Op, skiplock: Option<bool>) -> Result<(), Error> {
    if skiplock == Some(true) && !op.identity()?.is_root() {
        return Err(Error::invalid("skiplock", "Only root may use this option."));
    }
    Ok(())
}
