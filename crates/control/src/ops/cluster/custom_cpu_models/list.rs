//! `GET /cluster/qemu/custom-cpu-models`

use model::Error;
use proto::wire::Answer;

use super::{seen, shown};
use crate::ops::Op;

pub(super) async fn list(op: Op) -> Result<Answer, Error> {
    let models = seen(&op).await?;
    let rows = models.iter().map(|(name, model)| shown(name, model).into());
    Ok(Answer::new(rows.collect::<Vec<serde_json::Value>>()))
}
