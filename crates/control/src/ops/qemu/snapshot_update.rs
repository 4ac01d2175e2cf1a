//! `PUT /nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config`

use model::{Error, GuestRecord};
use node::tasks::snapshot_of;
use proto::wire::Answer;
use serde::Deserialize;

use super::Guest;
use crate::ops::Op;

#[derive(Deserialize)]
struct Update {
    snapname: String,
    description: Option<String>,
}

pub(super) async fn snapshot_update(op: Op) -> Result<Answer, Error> {
    let vmid = Guest::of(&op)?.vmid;
    let Update {
        snapname,
        description,
    } = op.params()?;
    let describe = |guest: &mut GuestRecord| {
        snapshot_of(guest, &snapname)?;
        if let Some(snapshot) = guest.snapshots.get_mut(&snapname)
            && let Some(text) = &description
        {
            snapshot.description = Some(text.clone()).filter(|text| !text.is_empty());
        }
        Ok(())
    };
    let records = &op.records;
    let revision = records.change_guest(vmid, describe).await?;
    Ok(Answer::null().at(revision.0))
}
