//! `GET /ostler/nodes/{node}/tiers`

use model::Error;
use proto::wire::Answer;

use super::{Wanted, shown_volumes};
use crate::ops::Op;

pub(super) async fn volumes(op: Op) -> Result<Answer, Error> {
    let selected = op.params::<Wanted>()?.selected();
    let found = selected.find(&op.context.node).await?;
    Ok(Answer::new(shown_volumes(&found, |_| true)))
}
