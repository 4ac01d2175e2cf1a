//! `GET /pools/{poolid}`

use model::Error;
use proto::wire::Answer;

use super::{Params, shown};
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let params: Params = op.params()?;
    Ok(Answer::new(
        shown(&op, &params.poolid, params.kind.as_deref()).await?,
    ))
}
