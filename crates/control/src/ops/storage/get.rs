//! `GET /storage/{storage}`

use model::Error;
use proto::wire::Answer;

use super::Named;
use super::options::shown;
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let Named { storage } = op.params()?;
    let entry = op.records.storage(&storage).await?;
    Ok(Answer::new(shown(&entry.config)))
}
