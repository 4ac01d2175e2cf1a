//! `/nodes/{node}/lxc`

mod clone;
mod config;
mod configure;
mod console;
mod create;
mod delsnapshot;
mod destroy;
mod df;
mod exec;
mod feature;
mod fsck;
mod fstrim;
mod interfaces;
mod migrate;
mod migrate_precondition;
mod mount;
mod mounts;
mod move_volume;
mod pending;
mod reboot;
mod resize;
mod rights;
mod rollback;
mod shutdown;
mod snapshot;
mod snapshot_config;
mod snapshot_list;
mod snapshot_update;
mod start;
mod status;
mod stop;
mod template;
mod termproxy;
mod unmount;
mod vncproxy;
mod vncwebsocket;

use model::{Error, VmId};
use serde::Deserialize;

use super::{Op, Pair, StreamPair, pair, stream_pair};

pub(super) const PAIRS: &[Pair] = &[
    pair!("lxc_clone", clone::clone),
    pair!("lxc_config", config::config),
    pair!("lxc_configure", configure::configure),
    pair!("lxc_create", create::create),
    pair!("lxc_delsnapshot", delsnapshot::delsnapshot),
    pair!("lxc_destroy", destroy::destroy),
    pair!("lxc_df", df::df),
    pair!("lxc_exec", exec::exec),
    pair!("lxc_feature", feature::feature),
    pair!("lxc_fsck", fsck::fsck),
    pair!("lxc_fstrim", fstrim::fstrim),
    pair!("lxc_interfaces", interfaces::interfaces),
    pair!("lxc_migrate", migrate::migrate),
    pair!(
        "lxc_migrate_precondition",
        migrate_precondition::migrate_precondition
    ),
    pair!("lxc_mount", mount::mount),
    pair!("lxc_move_volume", move_volume::move_volume),
    pair!("lxc_pending", pending::pending),
    pair!("lxc_reboot", reboot::reboot),
    pair!("lxc_resize", resize::resize),
    pair!("lxc_rollback", rollback::rollback),
    pair!("lxc_shutdown", shutdown::shutdown),
    pair!("lxc_snapshot", snapshot::snapshot),
    pair!("lxc_snapshot_config", snapshot_config::snapshot_config),
    pair!("lxc_snapshot_list", snapshot_list::snapshot_list),
    pair!("lxc_snapshot_update", snapshot_update::snapshot_update),
    pair!("lxc_start", start::start),
    pair!("lxc_status", status::status),
    pair!("lxc_stop", stop::stop),
    pair!("lxc_template", template::template),
    pair!("lxc_termproxy", termproxy::termproxy),
    pair!("lxc_unmount", unmount::unmount),
    pair!("lxc_vncproxy", vncproxy::vncproxy),
    pair!("lxc_vncwebsocket", vncwebsocket::vncwebsocket),
];

pub(super) const STREAMS: &[StreamPair] = &[stream_pair!("lxc_vncwebsocket", vncwebsocket::open)];

/// The parameters that identify the container.
#[derive(Deserialize)]
struct Container {
    vmid: VmId,
    skiplock: Option<bool>,
}

impl Container {
    fn of(op: &Op) -> Result<Self, Error> {
        let container: Self = op.params()?;
        if container.skiplock == Some(true) && !op.identity()?.is_root() {
            return Err(Error::invalid("skiplock", "Only root may use this option."));
        }
        Ok(container)
    }

    fn skips_lock(&self) -> bool {
        self.skiplock == Some(true)
    }
}

/// Refuses a container that does not run. One that runs here is known without the store.
async fn check_running(op: &Op, vmid: VmId) -> Result<(), Error> {
    if op.context.node.running.is_running(vmid).await? {
        return Ok(());
    }
    op.records.lxc(vmid).await?;
    Err(Error::conflict(format!("CT {vmid} not running")))
}
