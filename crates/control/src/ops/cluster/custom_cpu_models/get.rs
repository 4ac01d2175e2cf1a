//! `GET /cluster/qemu/custom-cpu-models/{cputype}`

use model::Error;
use proto::wire::Answer;

use super::{Named, shown};
use crate::ops::Op;

pub(super) async fn get(op: Op) -> Result<Answer, Error> {
    let named: Named = op.params()?;
    let name = named.name()?;
    Ok(Answer::new(shown(name, &op.records.cpu_model(name).await?)))
}
