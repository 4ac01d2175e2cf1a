//! `/nodes/{node}/qemu`

mod agent;
mod clone;
mod clones;
mod cloudinit;
mod cloudinit_dump;
mod cloudinit_update;
mod config;
mod configure;
mod configure_task;
mod console;
mod create;
mod delsnapshot;
mod destroy;
mod drives;
mod feature;
mod migrate;
mod migrate_precondition;
mod monitor;
mod move_disk;
mod pending;
mod power;
mod reboot;
mod reset;
mod resize;
mod resume;
mod rights;
mod rollback;
mod sendkey;
mod shutdown;
mod snapshot;
mod snapshot_config;
mod snapshot_list;
mod snapshot_update;
mod start;
mod status;
mod stop;
mod suspend;
mod template;
mod termproxy;
mod unlink;
mod vncproxy;
mod vncwebsocket;

use model::{Error, VmId};
use serde::Deserialize;

use super::{Op, Pair, StreamPair, pair, stream_pair};

pub(super) use clone::task as clone_task;
pub(super) use cloudinit::seal_password;
pub(super) use configure::{
    check_cpu_model, check_hook_script as check_hook_script_in,
    check_hook_script_of as check_hook_script, names as option_names, options as stored_options,
};
pub(super) use create::submit as submit_creation;
pub(super) use pending::rows as pending_rows;
pub(super) use rights::check_creation;
pub(super) use stop::overrule_shutdowns;

pub(super) const AGENT_PAIRS: &[Pair] = agent::PAIRS;

pub(super) const PAIRS: &[Pair] = &[
    pair!("qemu_clone", clone::clone),
    pair!("qemu_cloudinit", cloudinit::cloudinit),
    pair!("qemu_cloudinit_dump", cloudinit_dump::cloudinit_dump),
    pair!("qemu_cloudinit_update", cloudinit_update::cloudinit_update),
    pair!("qemu_config", config::config),
    pair!("qemu_configure", configure::configure),
    pair!("qemu_configure_task", configure_task::configure_task),
    pair!("qemu_create", create::create),
    pair!("qemu_delsnapshot", delsnapshot::delsnapshot),
    pair!("qemu_destroy", destroy::destroy),
    pair!("qemu_feature", feature::feature),
    pair!("qemu_migrate", migrate::migrate),
    pair!(
        "qemu_migrate_precondition",
        migrate_precondition::migrate_precondition
    ),
    pair!("qemu_monitor", monitor::monitor),
    pair!("qemu_move_disk", move_disk::move_disk),
    pair!("qemu_pending", pending::pending),
    pair!("qemu_reboot", reboot::reboot),
    pair!("qemu_reset", reset::reset),
    pair!("qemu_resize", resize::resize),
    pair!("qemu_resume", resume::resume),
    pair!("qemu_rollback", rollback::rollback),
    pair!("qemu_sendkey", sendkey::sendkey),
    pair!("qemu_shutdown", shutdown::shutdown),
    pair!("qemu_snapshot", snapshot::snapshot),
    pair!("qemu_snapshot_config", snapshot_config::snapshot_config),
    pair!("qemu_snapshot_list", snapshot_list::snapshot_list),
    pair!("qemu_snapshot_update", snapshot_update::snapshot_update),
    pair!("qemu_start", start::start),
    pair!("qemu_status", status::status),
    pair!("qemu_stop", stop::stop),
    pair!("qemu_suspend", suspend::suspend),
    pair!("qemu_template", template::template),
    pair!("qemu_termproxy", termproxy::termproxy),
    pair!("qemu_unlink", unlink::unlink),
    pair!("qemu_vncproxy", vncproxy::vncproxy),
    pair!("qemu_vncwebsocket", vncwebsocket::vncwebsocket),
];

pub(super) const STREAMS: &[StreamPair] = &[stream_pair!("qemu_vncwebsocket", vncwebsocket::open)];

/// The parameters that identify the guest.
#[derive(Deserialize)]
struct Guest {
    vmid: VmId,
    skiplock: Option<bool>,
}

impl Guest {
    /// Reads them and checks that the guest is on this node.
    fn of(op: &Op) -> Result<Self, Error> {
        let guest: Self = op.params()?;
        check_skiplock(op, guest.skiplock)?;
        Ok(guest)
    }

    fn skips_lock(&self) -> bool {
        self.skiplock == Some(true)
    }
}

/// Only root may leave volumes active. This version's storages have no activation, so this has no
/// other effect.
fn check_keeps_active(op: &Op, keep_active: Option<bool>) -> Result<(), Error> {
    if keep_active == Some(true) && !op.identity()?.is_root() {
        let text = "Only root may use this option.";
        return Err(Error::invalid("keepActive", text));
    }
    Ok(())
}

/// `skiplock` bypasses the guest's lock, so only root may use it.
fn check_skiplock(op: &Op, skiplock: Option<bool>) -> Result<(), Error> {
    if skiplock == Some(true) && !op.identity()?.is_root() {
        return Err(Error::invalid("skiplock", "Only root may use this option."));
    }
    Ok(())
}
