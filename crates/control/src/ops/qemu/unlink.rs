//! `PUT /nodes/{node}/qemu/{vmid}/unlink`

use model::Error;
use node::Edit;
use node::tasks::QemuConfigure;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use super::configure::{check_options, make, names};
use super::rights::check_change;
use crate::ops::Op;
use crate::ops::before::snapshot_before_options;

#[derive(Deserialize)]
struct Unlink {
    idlist: String,
    force: Option<bool>,
}

/// The same as deleting drives by a change of the configuration.
pub(super) async fn unlink(op: Op) -> Result<Answer, Error> {
    let guest = Guest::of(&op)?;
    let Unlink { idlist, force } = op.params()?;
    let mut edit = Edit {
        delete: names(Some(&idlist)),
        force: force == Some(true),
        ..Edit::default()
    };
    let record = op.records.qemu(guest.vmid).await?.record.data;
    check_options(&mut edit, &record)?;
    check_change(&op, &edit, &record)?;
    snapshot_before_options(&op, &record, edit.names(), None).await?;
    make(&op, QemuConfigure::new(guest.vmid, edit, None, false)).await
}
