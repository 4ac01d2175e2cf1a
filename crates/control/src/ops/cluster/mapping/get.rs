//! `GET /cluster/mapping/{kind}/{id}`

use model::Error;
use proto::wire::Answer;

use super::{Kind, Named, shown};
use crate::ops::Op;

pub(super) async fn get<K: Kind>(op: Op) -> Result<Answer, Error> {
    let Named { id } = op.params()?;
    let mapping = op.records.mapping(K::KIND, &id).await?;
    let missing = || Error::not_found(format!("mapping '{id}' not found"));
    Ok(Answer::new(shown(K::KIND, &mapping.ok_or_else(missing)?)))
}
