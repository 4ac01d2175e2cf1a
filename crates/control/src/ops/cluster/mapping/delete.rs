//! `DELETE /cluster/mapping/{kind}/{id}`: also of one that guests use, and without an error of one
//! that is not there, as in Proxmox VE.

use model::Error;
use node::mappings::mapping_key;
use proto::wire::Answer;

use super::{Kind, Named, during};
use crate::ops::Op;

pub(super) async fn delete<K: Kind>(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let removed = op
        .records
        .remove_settings(&mapping_key(K::KIND, &id)?)
        .await;
    let revision = removed.map_err(during("delete", K::KIND))?;
    Ok(Answer::null().at(revision.0))
}
