//! `DELETE /ostler/cluster/witness`

use model::Error;
use node::membership::remove_witness;
use proto::wire::Answer;

use crate::ops::Op;

pub(super) async fn witness_remove(op: Op) -> Result<Answer, Error> {
    remove_witness(&op.context.node).await?;
    Ok(Answer::null())
}
