//! `DELETE /cluster/qemu/custom-cpu-models/{cputype}`

use model::Error;
use node::cpu_models::cpu_model_key;
use proto::wire::Answer;

use super::Named;
use crate::ops::Op;

/// Refuses a model that guests use: they could not start any more.
pub(super) async fn delete(op: Op) -> Result<Answer, Error> {
    let named: Named = op.params()?;
    let name = named.name()?;
    op.records.cpu_model(name).await?;
    let users = op.records.guests_with_cpu_model(name).await?;
    if !users.is_empty() {
        let users: Vec<String> = users.iter().map(ToString::to_string).collect();
        let text = format!(
            "custom CPU model '{name}' is used by VM {}",
            users.join(", ")
        );
        return Err(Error::conflict(text));
    }
    let revision = op.records.remove_settings(&cpu_model_key(name)?).await?;
    Ok(Answer::null().at(revision.0))
}
