//! `POST /nodes/{node}/termproxy`

use model::Error;
use proto::wire::Answer;

use super::reserve;
use crate::ops::Op;

pub(super) async fn termproxy(op: Op) -> Result<Answer, Error> {
    Ok(Answer::new(reserve(&op, None).await?))
}
